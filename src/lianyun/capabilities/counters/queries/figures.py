"""Figures: how long people waited by hour, what each counter did, who did not come."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import models
from django.utils import timezone

from lianyun.kernel.access import Actor

from ..models import Booking, Hall, Ticket
from ..rules import waits
from . import halls


@dataclass(frozen=True)
class Load:
    """What one counter did on a day; minutes."""

    counter: str
    served: int
    busy: float
    average: float


@dataclass(frozen=True)
class Day:
    """One day of one hall."""

    tickets: int
    served: int
    missed: int
    booked: int
    unkept: int
    half: float | None
    most: float | None
    hours: list[waits.Hour]
    loads: list[Load]
    queues: list[tuple[str, int]]

    @property
    def most_text(self) -> str:
        """Nine of ten waited no longer than this."""
        return f"九成的人不超过 {self.most} 分钟"

    @property
    def unkept_text(self) -> str:
        """Appointments of the day, and those to which nobody came."""
        return f"预约 {self.booked}，爽约 {self.unkept}"


def days(viewer: Actor, hall: Hall) -> list[dt.date]:
    """Days of which a hall has tickets, newest first, at most 30."""
    viewer.require(halls.READ, hall.department)
    rows = Ticket.objects.filter(hall=hall).values_list("day", flat=True).order_by("-day")
    return list(rows.distinct()[:30])


def day(viewer: Actor, hall: Hall, on: dt.date) -> Day:
    """The figures of one day: waits in minutes (p50, p90), by hour, by counter."""
    viewer.require(halls.READ, hall.department)
    rows = list(Ticket.objects.filter(hall=hall, day=on).select_related("counter"))
    # Who came before the time of an appointment waited from that time on.
    waited = [
        (
            timezone.localtime(t.taken_at).hour,
            (
                t.first_called_at - max(t.taken_at, min(t.place_at, t.first_called_at))
            ).total_seconds(),
        )
        for t in rows
        if t.first_called_at is not None
    ]
    seconds = [s for _, s in waited]
    half, most = waits.percentile(seconds, 0.5), waits.percentile(seconds, 0.9)
    loads: dict[str, list[float]] = {}
    for t in rows:
        if t.stage == Ticket.DONE and t.counter is not None and t.called_at and t.ended_at:
            loads.setdefault(str(t.counter), []).append((t.ended_at - t.called_at).total_seconds())
    booked = Booking.objects.filter(slot__hall=hall, day=on, cancelled_at=None)
    counted = booked.aggregate(
        all=models.Count("pk"), none=models.Count("pk", filter=models.Q(ticket=None))
    )
    letters: dict[str, int] = {}
    for t in rows:
        letters[t.letter] = letters.get(t.letter, 0) + 1
    return Day(
        tickets=len(rows),
        served=sum(t.stage == Ticket.DONE for t in rows),
        missed=sum(t.stage == Ticket.MISSED for t in rows),
        booked=counted["all"],
        unkept=counted["none"] if on < timezone.localdate() else 0,
        half=None if half is None else round(half / 60, 1),
        most=None if most is None else round(most / 60, 1),
        hours=waits.by_hour(waited),
        loads=[
            Load(name, len(took), round(sum(took) / 60, 1), round(sum(took) / len(took) / 60, 1))
            for name, took in sorted(loads.items(), key=lambda e: int(e[0].split()[0]))
        ],
        queues=[
            (f"{letter} {hall.queue_title(letter)}", n) for letter, n in sorted(letters.items())
        ],
    )


__all__ = ["Day", "Load", "day", "days"]
