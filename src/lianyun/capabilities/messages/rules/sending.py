"""Sending: when something may go out, how often it is tried, how much a day bears."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import declared

MINUTES = (1, 5, 30, 120, 720)
"""Waits after the first, second … failure; after the last try it is given up."""
TRIES = len(MINUTES) + 1


class BadTerms(Exception):
    """packs/core/message_terms.yaml cannot be used; the message says which line."""


@dataclass(frozen=True)
class Terms:
    """The city's own terms: hours of rest for texts, the day's limits, the hour of the digest."""

    rest_from: dt.time
    rest_until: dt.time
    digest_at: dt.time
    most: Mapping[str, int]
    stale_hours: int
    pool: int
    keep_days: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Terms:
        """The terms as declared; raises BadTerms."""
        try:
            return cls(
                _time(told["rest"]["from"]),
                _time(told["rest"]["until"]),
                _time(told["digest_at"]),
                {c: int(told["most_a_day"][c]) for c in declared.OUTER},
                int(told["stale_hours"]),
                int(told["pool"]),
                int(told["keep_days"]),
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise BadTerms(f"message_terms.yaml：{wrong}") from wrong


def _time(text: Any) -> dt.time:
    return dt.time.fromisoformat(str(text))


def resting(terms: Terms, now: dt.datetime) -> bool:
    """Whether it is night for texts; `now` is in the city's time."""
    at = now.time()
    if terms.rest_from <= terms.rest_until:
        return terms.rest_from <= at < terms.rest_until
    return at >= terms.rest_from or at < terms.rest_until


def when(kind: declared.Kind, channel: str, terms: Terms, now: dt.datetime) -> dt.datetime:
    """From when a message may go by a way: texts wait for the morning, low urgency for the digest.

    An urgent text does not wait. `now` is in the city's time.
    """
    if channel == declared.SMS and kind.urgency != declared.URGENT and resting(terms, now):
        return _next(now, terms.rest_until)
    if channel == declared.MAIL and kind.urgency == declared.LOW:
        return _next(now, terms.digest_at)
    return now


def _next(now: dt.datetime, at: dt.time) -> dt.datetime:
    day = now.date() if now.time() < at else now.date() + dt.timedelta(days=1)
    return dt.datetime.combine(day, at, tzinfo=now.tzinfo)


def again(tries: int) -> dt.timedelta | None:
    """How long to wait after so many tries; None: it is given up."""
    return dt.timedelta(minutes=MINUTES[tries - 1]) if 0 < tries <= len(MINUTES) else None


def too_many(kind: declared.Kind, channel: str, today: int, terms: Terms) -> bool:
    """Whether the day's limit of a way is reached; what the law demands is not counted out."""
    return not kind.legal and today >= terms.most[channel]


__all__ = ["MINUTES", "TRIES", "BadTerms", "Terms", "again", "resting", "too_many", "when"]
