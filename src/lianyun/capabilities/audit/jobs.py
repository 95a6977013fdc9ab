"""Jobs: what audit does by the clock."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def anchor() -> None:
    """Every hour: write the call chain's newest value into the ledger of events."""
    actions.anchor(by=SYSTEM)
