"""Jobs: the watch over everything overdue, and the count of what was finished in time."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def watch() -> None:
    """Urge and propose cards as the rules call for."""
    actions.watch()


def count_up() -> None:
    """Count the days that have passed."""
    actions.count_up(by=SYSTEM)
