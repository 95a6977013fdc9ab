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
            # A case that somebody has suspended keeps the answer until it goes on: the round is
            # settled by a later run then, and this one must not wait for it.
            before = None
            while (left := actions.settle_round(found, by=SYSTEM)) and left != before:
                before = left
