"""Exchange's door: count what was exchanged, look for misuse."""

from __future__ import annotations

from .actions import tally, watch

__all__ = ["tally", "watch"]
