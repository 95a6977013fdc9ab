"""Jobs: the watch over everything overdue."""

from __future__ import annotations

from . import actions


def watch() -> None:
    """Urge and propose cards as the rules call for."""
    actions.watch()
