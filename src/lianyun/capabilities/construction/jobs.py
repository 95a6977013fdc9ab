"""Jobs: gates looked at again, for what a listener has missed."""

from __future__ import annotations

from . import actions


def admit() -> None:
    """Let go on whatever waits at a gate and may."""
    actions.admit_all()
