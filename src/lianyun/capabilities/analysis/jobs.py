"""Jobs: answers past their time are removed, runs of dead processes closed."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def sweep() -> None:
    """Every quarter of an hour."""
    actions.sweep(by=SYSTEM)
