"""Jobs: what identity does by the clock."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def erase() -> None:
    """Erase the accounts whose day has come (nightly)."""
    actions.erase_due(by=SYSTEM)


def compare_representatives() -> None:
    """End representations that the register of today contradicts (nightly)."""
    actions.compare_representatives(by=SYSTEM)
