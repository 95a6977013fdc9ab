"""Jobs: what sharing does by itself each night: rights that end, terms that run out."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def follow_lives() -> None:
    """Disposal tasks for ended rights, reminders before the end, lapsed rectifications."""
    actions.close_the_ended(by=SYSTEM)
    actions.lapse_rectifications(by=SYSTEM)
