"""Jobs: what the worker does for delivery: parcels, due subscriptions, files, sweeping."""

from __future__ import annotations

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import SYSTEM

from . import actions


def carry(code: str) -> None:
    """Bring a receiver up to date; a failure is noted and tried again after its pause."""
    if actions.carry(code=code, by=SYSTEM):
        audit.sort_people()


def due() -> None:
    """Queue what has something to take or to try again (each minute)."""
    actions.queue_due(by=SYSTEM)


def make_file(code: str) -> None:
    """Make a file that was asked for."""
    actions.make_file(code=code, by=SYSTEM)
    audit.sort_people()


def sweep() -> None:
    """Remove files whose time is over."""
    actions.sweep_files(by=SYSTEM)
