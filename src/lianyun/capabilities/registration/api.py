"""Registration's door: what waits is moved on; for the sample city."""

from __future__ import annotations

from .actions import move_on

__all__ = ["move_on"]
