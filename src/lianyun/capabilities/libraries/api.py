"""Libraries' door: declare, build, read."""

from __future__ import annotations

from .actions import build_library, look_up, queue_build, send_back, sync_libraries
from .models import Merging

__all__ = [
    "Merging",
    "build_library",
    "look_up",
    "queue_build",
    "send_back",
    "sync_libraries",
]
