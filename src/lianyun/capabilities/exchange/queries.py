"""Queries: flows between departments, today's volume, and the lists behind every figure of the page."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import Actor
from lianyun.kernel.case import WorkItem, overdue_items
from lianyun.kernel.models import Batch, Grant, Party, Resource
from lianyun.ui.context import address_of

from . import rules
from .models import Hour, Mark, Suspicion

UNUSED_DAYS = 30
"""A grant that nobody used for so long after it was given is named."""


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def span(days: int) -> tuple[dt.datetime, dt.datetime]:
    """The last `days` days up to and with today, as moments."""
    today = timezone.localdate()
    return (
        _midnight(today - dt.timedelta(days=days - 1)),
        _midnight(today + dt.timedelta(days=1)),
    )


def _scope(viewer: Actor) -> frozenset[int] | None:
    """The departments whose exchanges the viewer may see; None for all."""
    viewer.require("exchange.read")
    return viewer.departments("exchange.read")


def hours(viewer: Actor, since: dt.datetime, until: dt.datetime) -> QuerySet[Hour]:
    """Counted exchanges of a time that the viewer's departments gave or got (all for the bureau)."""
    rows = Hour.objects.filter(hour__gte=since, hour__lt=until, channel__in=audit.EXCHANGES)
    scope = _scope(viewer)
    if scope is not None:
        own = Resource.objects.filter(owner_id__in=scope).values("name")
        rows = rows.filter(Q(department_id__in=scope) | Q(resource__in=own))
    return rows


def counted_at(viewer: Actor) -> dt.datetime | None:
    """When calls were last counted."""
    viewer.require("exchange.read")
    return Mark.objects.values_list("at", flat=True).first()


# ---- flows ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """What one department got from another under one grant (or one ended credential)."""

    provider: Party
    receiver: Party | None
    resource: str
    title: str
    grant_code: str
    calls: int
    rows: int
    refused: int

    @property
    def giver(self) -> str:
        """The provider's short name."""
        return str(self.provider)

    @property
    def taker(self) -> str:
        """The receiver's short name."""
        return str(self.receiver) if self.receiver else "其他系统"


def flows(
    viewer: Actor,
    since: dt.datetime,
    until: dt.datetime,
    provider: str = "",
    receiver: str = "",
) -> list[Flow]:
    """Who got what from whom, the most called first; `provider` and `receiver` are slugs."""
    counted = list(
        hours(viewer, since, until)
        .values_list("department_id", "resource", "grant_code")
        .annotate(
            calls=Sum("calls"),
            given=Sum("rows"),
            good=Sum("answered") + Sum("empty") + Sum("failed"),
        )
        .order_by("-calls", "resource", "grant_code")
    )
    resources = {
        r.name: r
        for r in Resource.objects.filter(name__in={c[1] for c in counted})
        .select_related("owner")
        .defer("search")
    }
    parties = Party.objects.in_bulk({c[0] for c in counted if c[0]})
    out = []
    for department, name, grant, calls, given, good in counted:
        found = resources.get(name)
        if found is None:
            continue
        taker = parties.get(department)
        if provider and found.owner.slug != provider:
            continue
        if receiver and (taker.slug if taker else "-") != receiver:
            continue
        out.append(
            Flow(found.owner, taker, name, found.title, grant, calls, given or 0, calls - good)
        )
    return out


def between(flows: Sequence[Flow], measure: str) -> list[tuple[Flow, int]]:
    """Flows summed up for each pair of departments, the greatest first; each with one as its face."""
    sums: dict[tuple[int, int], int] = defaultdict(int)
    faces: dict[tuple[int, int], Flow] = {}
    for flow in flows:
        pair = (flow.provider.pk, flow.receiver.pk if flow.receiver else 0)
        sums[pair] += flow.rows if measure == "rows" else flow.calls
        faces.setdefault(pair, flow)
    ordered = sorted(sums, key=lambda p: (-sums[p], p))
    return [(faces[pair], sums[pair]) for pair in ordered if sums[pair]]


# ---- volume --------------------------------------------------------------------------------


def volume(viewer: Actor, shown: int = 14) -> rules.Volume:
    """Today's exchanges, what is usual, and the last `shown` days."""
    today = timezone.localdate()
    since, until = _midnight(today - dt.timedelta(days=rules.HISTORY_DAYS)), span(1)[1]
    now = timezone.localtime()
    days: dict[dt.date, int] = defaultdict(int)
    by_now: dict[dt.date, int] = defaultdict(int)
    rows = 0
    counted = hours(viewer, since, until).values_list("hour")
    for hour, calls, given in counted.annotate(n=Sum("calls"), r=Sum("rows")).order_by("hour"):
        local = timezone.localtime(hour)
        days[local.date()] += calls
        if local.hour < now.hour:
            by_now[local.date()] += calls
        elif local.hour == now.hour:
            by_now[local.date()] += calls * now.minute // 60
        if local.date() == today:
            rows += given
    before = [today - dt.timedelta(days=n) for n in range(rules.HISTORY_DAYS, 0, -1)]
    last = [today - dt.timedelta(days=n) for n in range(shown - 1, -1, -1)]
    return rules.Volume(
        calls=days[today],
        rows=rows,
        usual=rules.usual([days[d] for d in before]),
        usual_by_now=rules.usual([by_now[d] for d in before]),
        days=tuple((d, days[d]) for d in last),
    )


# ---- what is overdue, dead, failed ---------------------------------------------------------


def overdue(viewer: Actor) -> list[WorkItem]:
    """Steps of sharing's cases whose day has passed, the oldest first."""
    scope = _scope(viewer)
    rows = (
        overdue_items()
        .filter(permission__startswith="sharing.")
        .select_related("case__applicant", "case__department")
    )
    if scope is not None:
        rows = rows.filter(
            Q(department_id__in=scope)
            | Q(case__applicant_id__in=scope)
            | Q(case__department_id__in=scope)
        )
    return list(rows.order_by("due_on", "id"))


@dataclass(frozen=True)
class Named:
    """One thing that is dead or has failed: what it is, whose, why, since when, and its page."""

    kind: str
    title: str
    owner: str
    words: str
    at: dt.datetime | None = None
    url: str = ""


def dead(viewer: Actor) -> list[Named]:
    """Datasets that stopped or that nobody ever read, and grants that nobody ever used."""
    scope = _scope(viewer)
    out = [
        Named(
            "数据集",
            row.title,
            row.owner,
            row.fresh.words if row.state == "dead" else "从未被使用",
            row.last_good_at,
            address_of("collection:dataset", row.resource.name),
        )
        for row in collection.board(viewer)
        if (row.state == "dead" or row.unread) and (scope is None or row.resource.owner_id in scope)
    ]
    limit = timezone.now() - dt.timedelta(days=UNUSED_DAYS)
    used = Hour.objects.exclude(grant_code="").values("grant_code")
    grants = (
        Grant.objects.filter(kind="data", state=Grant.ACTIVE, issued_at__lt=limit)
        .exclude(code__in=used)
        .select_related("grantee", "resource")
        .order_by("issued_at")
    )
    if scope is not None:
        grants = grants.filter(Q(grantee_id__in=scope) | Q(grantor_id__in=scope))
    for grant in grants:
        out.append(
            Named(
                "授权",
                f"{grant.grantee}使用“{grant.resource}”（{grant.code}）",
                str(grant.grantee),
                f"授权后从未使用，已 {(timezone.now() - grant.issued_at).days} 天",
                grant.issued_at,
                address_of("sharing:grant", grant.code),
            )
        )
    return out


def failed(viewer: Actor, days: int = 7) -> list[Named]:
    """Collections, deliveries and services that failed in the last days, the newest first."""
    scope = _scope(viewer)
    since, until = span(days)
    batches = Batch.objects.filter(
        state=Batch.FAILED, started_at__gte=since, started_at__lt=until
    ).select_related("resource__owner")
    if scope is not None:
        batches = batches.filter(resource__owner_id__in=scope)
    out = [
        Named(
            "归集",
            batch.resource.title,
            str(batch.resource.owner),
            batch.message or "归集失败",
            batch.finished_at or batch.started_at,
            address_of("collection:batch", batch.code),
        )
        for batch in batches
    ]
    counted = (
        hours(viewer, since, until)
        .filter(failed__gt=0)
        .values_list("resource", "channel")
        .annotate(n=Sum("failed"), calls=Sum("calls"), spans=Count("hour", distinct=True))
    )
    titles = {
        r.name: r
        for r in Resource.objects.filter(name__in=[c[0] for c in counted]).select_related("owner")
    }
    for name, channel, count, calls, spans in counted:
        found = titles.get(name)
        last = hours(viewer, since, until).filter(resource=name, channel=channel, failed__gt=0)
        out.append(
            Named(
                audit.CHANNELS.get(channel, channel),
                found.title if found else name,
                str(found.owner) if found else "",
                f"{calls:,} 次中有 {count:,} 次失败，分布在 {spans} 个小时",
                last.order_by("-hour").values_list("hour", flat=True).first(),
                address_of("services:detail", name) if channel == "api" else "",
            )
        )
    out.sort(key=lambda n: n.at or since, reverse=True)
    return out


# ---- suspicions ----------------------------------------------------------------------------


def suspicions(viewer: Actor, *, waiting: bool = False) -> QuerySet[Suspicion]:
    """What looks like misuse, newest first: all for the bureau, a department's own data otherwise."""
    scope = _scope(viewer)
    rows = Suspicion.objects.select_related("grant__grantee", "grant__resource__owner", "case")
    if scope is not None:
        # Of their own use departments are told in the case, by the bureau.
        rows = rows.filter(grant__resource__owner_id__in=scope)
    return rows.filter(case=None, settled_at=None) if waiting else rows


def suspicion(viewer: Actor, number: int) -> Suspicion | None:
    """One of them."""
    return suspicions(viewer).filter(pk=number).first()


def profiles(viewer: Actor, day: dt.date) -> Iterator[tuple[Grant, rules.Day]]:
    """Every grant that was called on a day, with that day's counts and what is usual for it."""
    viewer.require("exchange.read")
    begin = _midnight(day)
    end = _midnight(day + dt.timedelta(days=1))
    fields = ("calls", "answered", "empty", "failed", "rows")
    today: dict[str, dict[str, Any]] = {}
    called = Hour.objects.filter(hour__gte=begin, hour__lt=end, channel__in=audit.EXCHANGES)
    for code, hour, *sums in (
        called.exclude(grant_code="")
        .values_list("grant_code", "hour")
        .annotate(*(Sum(f) for f in fields))
        .order_by("grant_code", "hour")
    ):
        seen = today.setdefault(
            code, {"hours": [0] * rules.HOURS, "at": [], **dict.fromkeys(fields, 0)}
        )
        seen["hours"][timezone.localtime(hour).hour] += sums[0]
        seen["at"].append((hour, sums[0]))
        for name, value in zip(fields, sums, strict=True):
            seen[name] += value
    past: dict[str, list[int]] = {code: [0] * rules.HOURS for code in today}
    days: dict[str, dict[dt.date, int]] = {code: defaultdict(int) for code in today}
    before = Hour.objects.filter(
        grant_code__in=today,
        hour__gte=begin - dt.timedelta(days=rules.HISTORY_DAYS),
        hour__lt=begin,
        channel__in=audit.EXCHANGES,
    )
    for code, hour, calls in before.values_list("grant_code", "hour").annotate(n=Sum("calls")):
        local = timezone.localtime(hour)
        past[code][local.hour] += calls
        days[code][local.date()] += calls
    keys = audit.keys_asked(viewer, begin, end) if today else {}
    grants = Grant.objects.filter(code__in=today).select_related("grantee", "resource")
    for grant in grants:
        seen = today[grant.code]
        over = _end_of(grant)
        answered = seen["answered"] + seen["empty"] + seen["failed"]
        yield (
            grant,
            rules.Day(
                hours=seen["hours"],
                past=past[grant.code],
                days=[n for _, n in sorted(days[grant.code].items())],
                keys=keys.get(grant.code, 0),
                empty=seen["empty"],
                refused=seen["calls"] - answered,
                rows=seen["rows"],
                ended=sum(n for at, n in seen["at"] if over is not None and at >= over),
            ),
        )


def _end_of(grant: Grant) -> dt.datetime | None:
    """When a grant ended: withdrawn, or its time run out."""
    ends = [grant.valid_to] if grant.valid_to else []
    if grant.state == Grant.REVOKED:
        ends.append(grant.changed_at)
    return min(ends) if ends else None


def departments(viewer: Actor, flows: Sequence[Flow]) -> tuple[list[Party], list[Party]]:
    """Providers and receivers that occur in flows, by name."""
    viewer.require("exchange.read")
    givers = {f.provider.pk: f.provider for f in flows}
    takers = {f.receiver.pk: f.receiver for f in flows if f.receiver}
    return sorted(givers.values(), key=str), sorted(takers.values(), key=str)
