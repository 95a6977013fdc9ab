"""Jobs: the hall's cases of rounds that are over hear their result."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions
from .queries import rounds
from .rules import calendar


def settle() -> None:
    """Every ten minutes: close what waits in rounds that have ended; nothing is done where none has."""
    over = [r for r in rounds.rounds(SYSTEM) if r.settled_at is None]
    steps = rounds.phases(SYSTEM, over)
    for found in over:
        if steps[found.pk] == calendar.OVER:
            while actions.settle_round(found, by=SYSTEM):
                pass
