"""Jobs: what the worker does for relay: hand over what waits, carry letters, ask after the silent."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def due() -> None:
    """Each minute: hand over, tell of ends, queue the systems that are to be called."""
    actions.move_on(by=SYSTEM)


def carry(code: str) -> None:
    """Talk with one system; a failure is noted and tried again after its pause."""
    actions.carry(code=code, by=SYSTEM)
