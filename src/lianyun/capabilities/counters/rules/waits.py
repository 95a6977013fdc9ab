"""Waits: how long somebody will wait by today's figures, and how long people did wait."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

ENOUGH = 3
"""So many services of today are asked before they stand in place of the declared time."""


def service_seconds(done: Sequence[float], declared_minutes: float) -> float:
    """How long one service takes: the median of today's, or what is declared for too few of them."""
    return median(done) if len(done) >= ENOUGH else declared_minutes * 60


def minutes_left(ahead: int, counters: int, service: float) -> int | None:
    """About how many minutes until the call; None where no counter is at work.

    `ahead` wait before, `service` is in seconds.
    """
    if counters <= 0:
        return None
    return math.ceil(ahead / counters * service / 60)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile (share 0–1) of values; None without any."""
    if not values:
        return None
    rows = sorted(values)
    return rows[max(0, math.ceil(share * len(rows)) - 1)]


@dataclass(frozen=True)
class Hour:
    """How those waited who took a ticket within one hour of the day; minutes."""

    hour: int
    count: int
    half: float
    most: float

    @property
    def label(self) -> str:
        """09 时."""
        return f"{self.hour:02d} 时"


def by_hour(waits: Iterable[tuple[int, float]]) -> list[Hour]:
    """p50 and p90 in minutes by the hour of the ticket, from (hour, seconds) pairs."""
    found: dict[int, list[float]] = {}
    for hour, seconds in waits:
        found.setdefault(hour, []).append(seconds)
    return [
        Hour(
            hour,
            len(rows),
            round((percentile(rows, 0.5) or 0) / 60, 1),
            round((percentile(rows, 0.9) or 0) / 60, 1),
        )
        for hour, rows in sorted(found.items())
    ]


__all__ = [
    "ENOUGH",
    "Hour",
    "by_hour",
    "minutes_left",
    "percentile",
    "service_seconds",
]
