"""Ledger: what was done, what was read, and who has seen a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Event, Party, Resource

from ..models import CallRecord
from .tallies import CONTINUED


def ledger(
    viewer: Actor,
    *,
    kind: str = "",
    department: int | None = None,
    since: dt.date | None = None,
    until: dt.date | None = None,
    text: str = "",
) -> QuerySet[Event]:
    """Events that the viewer may see, newest first."""
    viewer.require("audit.read")
    rows = Event.objects.select_related("department").order_by("-id")
    scope = viewer.departments("audit.read")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    if kind:
        rows = rows.filter(kind=kind)
    if department:
        rows = rows.filter(department_id=department)
    if since:
        rows = rows.filter(at__gte=_day(since))
    if until:
        rows = rows.filter(at__lt=_day(until + dt.timedelta(days=1)))
    if text:
        rows = rows.filter(Q(subject__icontains=text) | Q(by_name__icontains=text))
    return rows


def _day(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def event_kinds(viewer: Actor) -> list[str]:
    """Kinds of events that exist."""
    viewer.require("audit.read")
    return list(Event.objects.order_by("kind").values_list("kind", flat=True).distinct())


def calls(
    viewer: Actor,
    *,
    resource: str = "",
    department: int | None = None,
    outcome: str = "",
    channel: str = "",
    grant: str = "",
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> QuerySet[CallRecord]:
    """Call records that the viewer may see (its own department's, or all), newest first."""
    viewer.require("audit.read")
    rows = CallRecord.objects.order_by("-id")
    scope = viewer.departments("audit.read")
    if scope is not None:
        mine = Resource.objects.filter(owner_id__in=scope).values("name")
        rows = rows.filter(Q(department_id__in=scope) | Q(resource__in=mine))
    for name, value in (
        ("resource", resource),
        ("department_id", department),
        ("outcome", outcome),
        ("channel", channel),
        ("grant_code", grant),
    ):
        if value:
            rows = rows.filter(**{name: value})
    if since:
        rows = rows.filter(at__gte=_day(since))
    if until:
        rows = rows.filter(at__lt=_day(until + dt.timedelta(days=1)))
    return rows


def call_figures(viewer: Actor, hours: int = 24) -> dict[str, Any]:
    """Calls, rows and refusals of the last hours that the viewer may see."""
    rows = calls(viewer).filter(at__gte=timezone.now() - dt.timedelta(hours=hours)).order_by()
    found = rows.aggregate(
        calls=Count("id", filter=~CONTINUED),
        rows=Sum("rows"),
        refused=Count("id", filter=~Q(outcome__in=["ok", "empty"])),
        departments=Count("department_id", distinct=True),
    )
    return {k: v or 0 for k, v in found.items()}


def names(viewer: Actor) -> tuple[dict[int, str], dict[str, str]]:
    """What departments (by id) and resources (by name) are called, for lists of calls."""
    departments = {p.pk: str(p) for p in Party.objects.filter(kind=Party.DEPARTMENT)}
    resources = Resource.objects.filter(
        name__in=CallRecord.objects.order_by().values("resource").distinct()
    ).values_list("name", "title")
    return departments, dict(resources)


def departments(viewer: Actor) -> list[tuple[int, str]]:
    """Departments for a filter: (id, name)."""
    rows = Party.objects.filter(kind=Party.DEPARTMENT).order_by("id")
    scope = viewer.departments("audit.read")
    if scope is not None:
        rows = rows.filter(pk__in=scope)
    return list(rows.values_list("pk", "name"))


def seen(viewer: Actor) -> QuerySet[CallRecord] | None:
    """Who read the viewer's own data, newest first; None where no citizen number is tied."""
    if viewer.party is None:
        return None
    mine = viewer.party.data.get("citizen_hash")
    if not mine:
        return None
    return CallRecord.objects.filter(
        Q(key_hash=mine) | Q(others__contains=[mine]), outcome="ok"
    ).order_by("-id")


def readers_since(
    viewer: Actor,
    resources: Iterable[str],
    since: dt.datetime,
    keys: Sequence[str] | None = None,
) -> dict[str, tuple[int, int]]:
    """Who read these resources since a moment, by grant code: (answered calls, calls of `keys`).

    With `keys`, the keyed hashes of rows, only grants that called for one of them (or for whom the
    record cannot tell, as with a whole extract) are named; without, everybody who called.
    """
    viewer.require("audit.read")
    found = CallRecord.objects.filter(resource__in=list(resources), at__gte=since, outcome="ok")
    found = found.exclude(grant_code="")
    if keys is None:
        counted = found.values_list("grant_code").annotate(n=Count("pk"))
        return {code: (n, n) for code, n in counted}
    listed = list(keys)
    of_these = Q(key_hash__in=listed) | Q(others__overlap=listed)
    untold = Q(key_hash="", others=None)
    rows = found.filter(of_these | untold).values_list("grant_code")
    return {
        code: (n, exact)
        for code, n, exact in rows.annotate(n=Count("pk"), exact=Count("pk", filter=of_these))
    }
