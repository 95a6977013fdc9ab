"""Messages' door: for the sample city, the checker of packs and the benches."""

from __future__ import annotations

from .actions import choose, send_due, take, tell_readings, tell_work
from .adapters import declarations
from .models import Message, Sending


def pack_faults() -> tuple[str, ...]:
    """What is wrong in the declared kinds of message, in words."""
    return declarations()[1]


__all__ = [
    "Message",
    "Sending",
    "choose",
    "pack_faults",
    "send_due",
    "take",
    "tell_readings",
    "tell_work",
]
