"""Relay's door: register a system, give it items, carry what waits; where a case is with a system."""

from __future__ import annotations

from .actions import (
    allow_item,
    ask_after,
    carry,
    change_system,
    move_on,
    register_system,
    test_system,
)
from .models import Handover, System
from .queries import of_case

__all__ = [
    "Handover",
    "System",
    "allow_item",
    "ask_after",
    "carry",
    "change_system",
    "move_on",
    "of_case",
    "register_system",
    "test_system",
]
