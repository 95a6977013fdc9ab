"""Jobs: appointments that nobody kept are counted, parcels are followed."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from .actions import bookings, parcels


def count_missed() -> None:
    """Count yesterday's appointments to which nobody came."""
    bookings.count_missed(by=SYSTEM)


def track_parcels() -> None:
    """Ask the courier how far every parcel is."""
    parcels.track_all(by=SYSTEM)
