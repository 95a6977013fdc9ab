"""Home: what the departments' sharing site shows: what is offered, one's requests and services."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Grant, Resource, WorkItem

from .. import rules
from ..models import DayOfUse
from .basket import basket_names
from .cases import requests, stands


@dataclass(frozen=True)
class Offer:
    """A dataset one may ask for: with its share attribute, and whether it is asked for already."""

    resource: Resource
    share: int
    in_basket: bool
    own: bool
    held: bool

    @property
    def share_title(self) -> str:
        """The share attribute in words."""
        return rules.SHARE_TYPES[self.share]


def _offers(viewer: Actor, rows: list[Resource]) -> list[Offer]:
    chosen = basket_names(viewer) if viewer.department else set()
    mine = Grant.objects.filter(
        kind="data", grantee=viewer.department, resource__in=rows, state=Grant.ACTIVE
    ).filter(Q(valid_to=None) | Q(valid_to__gt=timezone.now()))
    held = set(mine.values_list("resource_id", flat=True))
    home = viewer.department.pk if viewer.department else None
    return [
        Offer(r, rules.share_type(r.terms), r.name in chosen, r.owner_id == home, r.pk in held)
        for r in rows
    ]


def offered(viewer: Actor, text: str, limit: int = 12) -> list[Offer]:
    """What the catalogue has for these words, best first."""
    found = catalogue.search(
        viewer, catalogue.Filters(q=text, state=Resource.PUBLISHED), size=limit
    ).rows
    rows = [r for r in found if r.kind in (Resource.DATASET, Resource.LIBRARY)]
    return _offers(viewer, rows)


def popular(viewer: Actor, limit: int = 6) -> list[Offer]:
    """What most departments hold a grant on."""
    counted = (
        Grant.objects.filter(kind="data", state=Grant.ACTIVE, resource__state=Resource.PUBLISHED)
        .values("resource")
        .annotate(n=Count("grantee", distinct=True))
        .order_by("-n", "resource")[:limit]
    )
    ids = [c["resource"] for c in counted]
    rows = Resource.objects.select_related("owner").in_bulk(ids)
    return _offers(viewer, [rows[pk] for pk in ids])


def my_requests(viewer: Actor, limit: int = 8) -> list[tuple[Case, WorkItem | None]]:
    """The department's newest requests, each with the step it stands at."""
    rows = requests(viewer, "asked").prefetch_related("items__department")[:limit]
    return [(c, next((i for i in c.items.all() if i.done_at is None), None)) for c in rows]


@dataclass(frozen=True)
class Held:
    """A grant that the viewer's department holds: its health, use and end."""

    grant: Grant
    state: str
    used: int
    limit: int
    month: int
    refused: int
    last: dt.date | None
    days_left: int | None

    @property
    def health(self) -> tuple[str, str]:
        """A word and a tone: does it work, is it nearly used up, does it end soon?"""
        if self.state != "active":
            return {"suspended": "已暂停", "expired": "已到期"}.get(self.state, "已撤回"), "red"
        if self.limit and self.used >= self.limit:
            return "今日次数已用完", "red"
        if self.refused and self.refused * 10 >= self.month:
            return "失败较多", "amber"
        if self.days_left is not None and self.days_left <= 30:
            return f"{self.days_left} 天后到期", "amber"
        if not self.month:
            return "近 30 天未使用", "grey"
        return "正常", "green"

    @property
    def operations(self) -> str:
        """What it allows, in short words."""
        named = self.grant.terms.get("operations") or ()
        return "、".join(rules.OPERATIONS.get(o, o).partition("（")[0] for o in named)


def my_services(viewer: Actor, limit: int = 20) -> list[Held]:
    """The grants the viewer's department holds, those that end first on top."""
    if viewer.department is None:
        return []
    rows = list(
        Grant.objects.filter(kind="data", grantee=viewer.department)
        .exclude(state=Grant.REVOKED)
        .select_related("resource", "grantor")
        .order_by("valid_to", "id")[:limit]
    )
    used = services.used_today(viewer, rows)
    month = timezone.localdate() - dt.timedelta(days=30)
    told = {
        code: (calls, failed, last)
        for code, calls, failed, last in DayOfUse.objects.filter(
            grant_code__in=[g.code for g in rows], day__gte=month
        )
        .values_list("grant_code")
        .annotate(n=Sum("calls"), f=Sum("failed"), last=Max("day"))
    }
    now = timezone.now()
    out = []
    for g in rows:
        calls, refused, last = told.get(g.code, (0, 0, None))
        left = (g.valid_to - now).days if g.valid_to else None
        out.append(
            Held(
                g,
                stands(g),
                used.get(g.pk, 0),
                int(g.terms.get("calls_per_day") or 0),
                calls,
                refused,
                last,
                left,
            )
        )
    return out


def reminders(viewer: Actor) -> list[tuple[Grant, int]]:
    """Grants of the viewer's department that end within thirty days."""
    if viewer.department is None:
        return []
    now = timezone.now()
    rows = Grant.objects.filter(
        kind="data",
        grantee=viewer.department,
        valid_to__gt=now,
        valid_to__lte=now + dt.timedelta(days=30),
    ).exclude(state=Grant.REVOKED)
    return [(g, (g.valid_to - now).days) for g in rows.select_related("resource") if g.valid_to]
