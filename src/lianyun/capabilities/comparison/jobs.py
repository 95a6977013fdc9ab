"""Jobs: what comparison does in the background."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def run(code: str) -> None:
    """Carry out a run that was asked for."""
    actions.carry_out(code=code, by=SYSTEM)


def due() -> None:
    """Queue every rule whose cycle has come round."""
    actions.queue_due(by=SYSTEM)
