"""Tallies: calls counted by the hour, for those who watch over what flows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncHour

from lianyun.kernel.access import Actor

from .. import rules
from ..models import CallRecord

CONTINUED = Q(outcome="ok", rows=0) & ~Q(key_hash="")
"""A record that only names more people of the exchange before it: it is no exchange of its own."""


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


@dataclass(frozen=True)
class ReadAbout:
    """How often others read about one person in a time, and which departments did."""

    count: int
    departments: tuple[str, ...]


_ABOUT = """
SELECT p.id, count(*), array_agg(DISTINCT d.name) FILTER (WHERE d.name IS NOT NULL)
FROM (
    SELECT key_hash AS hash, by, department_id FROM audit_callrecord
    WHERE at >= %s AND at < %s AND outcome = 'ok' AND key_hash <> ''
    UNION ALL
    SELECT unnest(others), by, department_id FROM audit_callrecord
    WHERE at >= %s AND at < %s AND outcome = 'ok' AND others IS NOT NULL
) r
JOIN kernel_party p ON p.kind = 'person' AND p.data ->> 'citizen_hash' = r.hash
LEFT JOIN kernel_party d ON d.id = r.department_id
WHERE r.by <> 'person:' || p.id
GROUP BY p.id
"""


def read_about(viewer: Actor, since: dt.datetime, until: dt.datetime) -> dict[int, ReadAbout]:
    """Who was read about in a time, by the person's row number; what one reads oneself is not counted."""
    viewer.require("audit.read")
    with connection.cursor() as cursor:
        cursor.execute(_ABOUT, [since, until, since, until])
        rows = cursor.fetchall()
    return {int(pk): ReadAbout(int(n), tuple(names or ())) for pk, n, names in rows}


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
            .exclude(CONTINUED)
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
