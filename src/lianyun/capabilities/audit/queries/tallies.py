"""Tallies: calls counted by the hour, for those who watch over what flows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncHour

from lianyun.kernel.access import Actor

from .. import rules
from ..models import CallRecord


@dataclass(frozen=True)
class Tally:
    """The calls of one hour under one grant, by one way, to one resource."""

    hour: dt.datetime
    grant_code: str
    department_id: int | None
    resource: str
    channel: str
    calls: int
    answered: int
    empty: int
    failed: int
    rows: int
    micros: int
    keys: int


def hours_since(viewer: Actor, last: int) -> tuple[int, list[dt.datetime]]:
    """The newest call's id, and the hours into which the calls after id `last` fall, oldest first."""
    viewer.require("audit.read")
    top = CallRecord.objects.aggregate(top=Max("id"))["top"] or 0
    fresh = CallRecord.objects.filter(id__gt=last, id__lte=top).order_by()
    hours = fresh.annotate(hour=TruncHour("at", tzinfo=dt.UTC)).values_list("hour", flat=True)
    return top, sorted(hours.distinct())


def tallies(viewer: Actor, hours: Sequence[dt.datetime]) -> Iterator[Tally]:
    """What was exchanged in these hours (in ascending order), counted anew from the records."""
    viewer.require("audit.read")
    spans: list[list[dt.datetime]] = []
    for hour in hours:
        if spans and spans[-1][1] == hour:
            spans[-1][1] = hour + dt.timedelta(hours=1)
        else:
            spans.append([hour, hour + dt.timedelta(hours=1)])
    for since, until in spans:
        counted = (
            CallRecord.objects.filter(at__gte=since, at__lt=until)
            .order_by()
            .annotate(hour=TruncHour("at", tzinfo=dt.UTC))
            .values_list("hour", "grant_code", "department_id", "resource", "channel")
            .annotate(
                calls=Count("id"),
                answered=Count("id", filter=Q(outcome="ok")),
                empties=Count("id", filter=Q(outcome="empty")),
                failures=Count("id", filter=Q(outcome__in=rules.FAILURES)),
                given=Sum("rows"),
                took=Sum("micros"),
                keys=Count("key_hash", distinct=True, filter=~Q(key_hash="")),
            )
        )
        for row in counted.iterator(chunk_size=5000):
            yield Tally(*row)


def keys_asked(viewer: Actor, since: dt.datetime, until: dt.datetime) -> dict[str, int]:
    """How many different keys were asked for under each grant in this time."""
    viewer.require("audit.read")
    found = CallRecord.objects.filter(at__gte=since, at__lt=until).exclude(grant_code="")
    counted = found.exclude(key_hash="").order_by().values_list("grant_code")
    return dict(counted.annotate(n=Count("key_hash", distinct=True)))


__all__ = ["Tally", "hours_since", "keys_asked", "tallies"]
