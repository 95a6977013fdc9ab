"""Records: use records of a grant, and how many are kept, for how long."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Max, Min, Q, QuerySet

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Grant

from .. import rules
from ..models import UseRecord
from .cases import _all


def use_records(viewer: Actor, grant: Grant | None = None) -> QuerySet[UseRecord]:
    """What receivers noted, newest first: to receiver, provider and bureau alone (art. 29)."""
    viewer.require("sharing.read")
    rows = UseRecord.objects.select_related("grant__resource", "grant__grantee")
    if grant is not None:
        rows = rows.filter(grant=grant)
    if _all(viewer):
        return rows
    scope = viewer.departments("sharing.read") or frozenset()
    return rows.filter(Q(grant__grantee_id__in=scope) | Q(grant__grantor_id__in=scope))


def retention(viewer: Actor, today: dt.date) -> dict[str, int]:
    """How many use records there are, how many the law still protects, how many are past their day."""
    least = rules.least_kept(today)
    found = UseRecord.objects.aggregate(
        kept=Count("pk"),
        protected=Count("pk", filter=Q(keep_until__gte=today) | Q(at__date__gte=least)),
        over=Count("pk", filter=Q(keep_until__lt=today, at__date__lt=least)),
    )
    return {k: int(v) for k, v in found.items()}


def span(viewer: Actor) -> tuple[dt.datetime | None, dt.datetime | None]:
    """When the oldest and the newest use record were written."""
    found = UseRecord.objects.aggregate(first=Min("at"), last=Max("at"))
    return found["first"], found["last"]
