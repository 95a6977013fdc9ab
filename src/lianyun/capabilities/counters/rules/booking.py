"""Booking: how late one may cancel, when one is too early or too late, when one is kept away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

EARLY, DUE, LATE = "early", "due", "late"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE = 8
"""An appointment's code has so many of LETTERS: 10^12 of them, none that is misread."""


def plain(code: str) -> str:
    """A code as it was meant: capitals, without blanks and dashes."""
    return "".join(c for c in code.upper() if c in LETTERS)


def may_cancel(starts: dt.datetime, now: dt.datetime, minutes: int) -> bool:
    """Whether there is still so much time before the slot."""
    return now <= starts - dt.timedelta(minutes=minutes)


def arrival(starts: dt.datetime, now: dt.datetime, *, early: int, late: int) -> str:
    """early (come back later) | due | late (queue as anybody), by the declared minutes."""
    if now < starts - dt.timedelta(minutes=early):
        return EARLY
    return DUE if now <= starts + dt.timedelta(minutes=late) else LATE


class Begins(Protocol):
    """What has a beginning, in minutes after midnight."""

    @property
    def begin(self) -> int: ...


T = TypeVar("T", bound=Begins)


def nearest(slots: Sequence[T], begin: int) -> T:
    """Of some free slots the one nearest to an hour; of two as near, the earlier."""
    return min(slots, key=lambda s: (abs(s.begin - begin), s.begin))


def blocked_until(
    missed: Iterable[dt.date], today: dt.date, rule: Mapping[str, Any]
) -> dt.date | None:
    """Until when (that day included) a person may not book online; None where he may.

    `missed` are the days of appointments that were not kept; the rule names times, within_days and
    block_days (packs/core/halls.yaml). The block begins on the day of the last of so many misses.
    """
    days = sorted(missed)
    times, within = int(rule["times"]), dt.timedelta(days=int(rule["within_days"]))
    for at in range(len(days) - 1, times - 2, -1):
        if days[at] - days[at - times + 1] <= within:
            end = days[at] + dt.timedelta(days=int(rule["block_days"]))
            return end if end >= today else None
    return None


__all__ = [
    "CODE",
    "DUE",
    "EARLY",
    "LATE",
    "LETTERS",
    "arrival",
    "blocked_until",
    "may_cancel",
    "nearest",
    "plain",
]
