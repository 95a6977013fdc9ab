"""Supervision's door: the watch, urging, cards; for the sample city and the dashboard."""

from __future__ import annotations

from .actions import propose_card, urge, watch, work
from .queries import board

__all__ = ["board", "propose_card", "urge", "watch", "work"]
