"""Jobs: notices published and ended, granted changes brought into the register."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def move_on() -> None:
    """Do what waits (every ten minutes)."""
    actions.move_on(by=SYSTEM)
