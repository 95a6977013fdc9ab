"""Libraries' door: declare, build, read."""

from __future__ import annotations

from .actions import build_library, look_up, look_up_rows, queue_build, send_back, sync_libraries
from .models import Merging

__all__ = [
    "Merging",
    "build_library",
    "look_up",
    "look_up_rows",
    "queue_build",
    "send_back",
    "sync_libraries",
]
