"""Action: register a system, hand cases over, take what it says, ask after the silent, settle what is stuck."""

from __future__ import annotations

from .inbox import Refused, fetch_file, let_in, take_in
from .outbox import RUN, carry, move_on, queue
from .settling import (
    answer_instead,
    ask_after,
    ask_now,
    retry_letter,
    retry_message,
    settle_message,
    skip_letter,
)
from .systems import (
    allow_item,
    change_system,
    close_system,
    forbid_item,
    pause_system,
    register_system,
    rotate_key,
    test_system,
)

__all__ = [
    "RUN",
    "Refused",
    "allow_item",
    "answer_instead",
    "ask_after",
    "ask_now",
    "carry",
    "change_system",
    "close_system",
    "fetch_file",
    "forbid_item",
    "let_in",
    "move_on",
    "pause_system",
    "queue",
    "register_system",
    "retry_letter",
    "retry_message",
    "rotate_key",
    "settle_message",
    "skip_letter",
    "take_in",
    "test_system",
]
