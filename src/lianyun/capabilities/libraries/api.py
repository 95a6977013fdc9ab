"""Libraries' door: declare, build, read."""

from __future__ import annotations

from .actions import build_library, look_up, look_up_rows, queue_build, send_back, sync_libraries
from .models import Merging
from .queries import Plain, plain, rule

__all__ = [
    "Merging",
    "Plain",
    "build_library",
    "look_up",
    "look_up_rows",
    "plain",
    "queue_build",
    "rule",
    "send_back",
    "sync_libraries",
]
