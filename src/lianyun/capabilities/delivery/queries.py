"""Queries: subscriptions and files, how far each receiver is, who has not taken a correction yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Batch, Event, Grant, Party, Resource
from lianyun.lake.shelves import LakeError

from . import adapters, rules
from .models import Delivery, Download, Subscription

_PARTS = ("grant__resource__owner", "grant__grantee", "grant__grantor")


# ---- grants --------------------------------------------------------------------------------


def grants_for(viewer: Actor, operation: str) -> list[Grant]:
    """Grants in force of the viewer's departments that allow an operation (feed, file)."""
    viewer.require("delivery.use")
    rows = Grant.objects.filter(kind="data", state=Grant.ACTIVE).select_related(
        "resource__owner", "grantee"
    )
    scope = viewer.departments("delivery.use")
    if scope is not None:
        rows = rows.filter(grantee_id__in=scope)
    return [g for g in rows if g.in_force() and allows(g, operation)]


def barred(
    viewer: Actor, grants: Iterable[Grant], headers: Iterable[tuple[bytes, bytes]], peer: str
) -> dict[int, str]:
    """Why files of these grants may not be fetched by this browser, by the grant's row."""
    viewer.require("delivery.use")
    known = list(headers)
    told = {g.pk: services.browser_problem(g, headers=known, peer=peer) for g in grants}
    return {pk: problem for pk, problem in told.items() if problem}


def allows(grant: Grant, operation: str) -> bool:
    """Whether a grant on a dataset or library allows the operation."""
    resource = grant.resource
    return (
        resource is not None
        and resource.kind in (Resource.DATASET, Resource.LIBRARY)
        and operation in services.operations_of(grant.terms)
    )


def grant(viewer: Actor, code: str) -> Grant | None:
    """A grant of the viewer's own departments."""
    row = Grant.objects.select_related("resource__owner", "grantee").filter(code=code).first()
    return row if row is not None and viewer.may("delivery.use", row.grantee) else None


def portion_of(viewer: Actor, grant: Grant, salt: str) -> adapters.Portion:
    """What the grant's terms give of its resource, as the lake understands it."""
    resource = grant.resource
    if resource is None:
        raise UserError("授权没有指明数据")
    terms = grant.terms
    told = services.fields(viewer, resource)
    key = services.key_of(viewer, resource)
    return adapters.Portion(
        resource.name,
        tuple(str(f) for f in terms.get("fields") or ()),
        dict(terms.get("masks") or {}),
        {k: tuple(str(v) for v in vs) for k, vs in (terms.get("scope") or {}).items()},
        tuple(f.name for f in told if f.check == "citizen_number"),
        key[0] if resource.kind == Resource.LIBRARY and key else "",
        salt,
    )


def titles_of(viewer: Actor, resource: Resource) -> dict[str, str]:
    """Chinese names of a resource's columns."""
    return {f.name: f.title for f in services.fields(viewer, resource)}


def sample_of(viewer: Actor, grant: Grant) -> list[tuple[str, str, str]]:
    """The granted columns: title, name, and how each is given."""
    if grant.resource is None:
        return []
    titles, masks = titles_of(viewer, grant.resource), grant.terms.get("masks") or {}
    return [
        (titles.get(f, f), f, "脱敏" if f in masks else "原值")
        for f in grant.terms.get("fields") or ()
    ]


# ---- subscriptions -------------------------------------------------------------------------


def _visible(viewer: Actor) -> QuerySet[Subscription]:
    """Subscriptions that the viewer's departments receive or provide, or all for the bureau."""
    viewer.require("delivery.read")
    rows = Subscription.objects.select_related(*_PARTS)
    if viewer.may("delivery.supervise"):
        return rows
    scope = viewer.departments("delivery.read")
    if scope is None:
        return rows
    return rows.filter(
        Q(grant__grantee_id__in=scope)
        | Q(grant__grantor_id__in=scope)
        | Q(grant__resource__owner_id__in=scope)
    )


@dataclass
class Line:
    """A subscription as lists show it: how far it is and in what state."""

    row: Subscription
    behind: int
    words: str
    tone: str
    dead: bool = False

    @property
    def code(self) -> str:
        """The subscription's code."""
        return self.row.code

    @property
    def title(self) -> str:
        """The data's name."""
        return str(self.row.grant.resource)

    @property
    def grantee(self) -> Party:
        """Who receives."""
        return self.row.grant.grantee

    @property
    def provider(self) -> Party:
        """Who provides."""
        assert self.row.grant.resource is not None
        return self.row.grant.resource.owner

    @property
    def kind(self) -> str:
        """How it receives, in words."""
        return rules.KINDS[self.row.kind]

    @property
    def taken_at(self) -> dt.datetime | None:
        """When something was last taken."""
        return self.row.taken_at


def _order(grant: Grant, known: dict[str, list[str]]) -> list[str]:
    """The resource's batches, read once for a page."""
    resource = grant.resource
    if resource is None:
        return []
    if resource.name not in known:
        key = services.key_of(SYSTEM, resource) if resource.kind == Resource.LIBRARY else []
        told = adapters.Portion(resource.name, (), library=key[0] if key else "")
        try:
            known[resource.name] = adapters.positions(told)
        except LakeError:
            known[resource.name] = []
    return known[resource.name]


def _line(row: Subscription, known: dict[str, list[str]], dead: set[int]) -> Line:
    order = _order(row.grant, known)
    behind = len(order) - 1 - order.index(row.position) if row.position in order else len(order)
    if not row.grant.in_force():
        return Line(row, behind, f"已停止：授权{row.grant.get_state_display()}或已到期", "grey")
    if row.pk in dead:
        return Line(row, behind, "停在死信，等待处理", "red", True)
    if row.paused:
        return Line(row, behind, "接收方已暂停", "grey")
    if row.error:
        return Line(row, behind, "失败，将自动重试", "red")
    words, tone = rules.lag(behind, row.taken_at, timezone.now())
    return Line(row, behind, words, tone)


def _lines(rows: Iterable[Subscription]) -> list[Line]:
    listed = list(rows)
    dead = set(
        Delivery.objects.filter(
            subscription__in=listed, finished_at=None, dead_at__isnull=False
        ).values_list("subscription_id", flat=True)
    )
    known: dict[str, list[str]] = {}
    return [_line(row, known, dead) for row in listed]


def received(viewer: Actor) -> list[Line]:
    """What the viewer's departments receive; for the bureau all there is."""
    rows = _visible(viewer)
    scope = viewer.departments("delivery.read")
    if scope is not None and not viewer.may("delivery.supervise"):
        rows = rows.filter(grant__grantee_id__in=scope)
    return _lines(rows)


def provided(viewer: Actor) -> list[Line]:
    """Who takes the data of the viewer's departments; for the bureau all there is."""
    rows = _visible(viewer)
    scope = viewer.departments("delivery.read")
    if scope is not None and not viewer.may("delivery.supervise"):
        rows = rows.filter(grant__resource__owner_id__in=scope)
    return _lines(rows)


def subscription(viewer: Actor, code: str) -> Subscription | None:
    """One subscription, if the viewer may see it."""
    return _visible(viewer).filter(code=code).first()


def line(viewer: Actor, row: Subscription) -> Line:
    """How far one subscription is."""
    viewer.require("delivery.read")
    return _lines([row])[0]


def may_set(viewer: Actor, row: Subscription) -> bool:
    """Whether the viewer may change where and how this is received."""
    return viewer.may("delivery.use", row.grant.grantee)


def may_settle(viewer: Actor, row: Subscription) -> bool:
    """Whether the viewer may retry and skip."""
    return may_set(viewer, row) or viewer.may("delivery.supervise")


def deliveries(viewer: Actor, row: Subscription) -> QuerySet[Delivery]:
    """What was delivered, newest first."""
    viewer.require("delivery.read")
    return row.deliveries.order_by("-id")


def dead_letters(viewer: Actor) -> QuerySet[Delivery]:
    """Parcels that the worker gave up on, in the viewer's sight."""
    return (
        Delivery.objects.filter(
            subscription__in=_visible(viewer), finished_at=None, dead_at__isnull=False
        )
        .select_related(*(f"subscription__{p}" for p in _PARTS))
        .order_by("dead_at")
    )


def dead_letter(viewer: Actor, number: int) -> Delivery | None:
    """One of them."""
    return dead_letters(viewer).filter(pk=number).first()


def history(viewer: Actor, row: Subscription) -> list[Event]:
    """What people did with a subscription."""
    viewer.require("delivery.read")
    return list(timeline(row))


def salt_of(row: Subscription) -> str:
    """What makes this receiver's opaque keys its own."""
    return adapters.salt_of(row.salt)


def waiting(now: dt.datetime) -> list[Subscription]:
    """Subscriptions that the worker should look at: active, not dead, their pause over."""
    rows = Subscription.objects.select_related(*_PARTS).filter(
        grant__state=Grant.ACTIVE, paused=False
    )
    rows = rows.exclude(kind=rules.PULL).exclude(
        pk__in=Delivery.objects.filter(finished_at=None, dead_at__isnull=False).values(
            "subscription_id"
        )
    )
    due = [r for r in rows.filter(Q(next_at=None) | Q(next_at__lte=now)) if r.grant.in_force()]
    known: dict[str, list[str]] = {}
    return [
        r
        for r in due
        if r.anew or r.error or ((order := _order(r.grant, known)) and order[-1] != r.position)
    ]


# ---- who has not taken it ------------------------------------------------------------------


@dataclass(frozen=True)
class Untaken:
    """A receiver of a dataset and whether a batch (a correction, a deletion) has reached it."""

    department: Party
    grant: Grant
    way: str
    taken: bool
    words: str
    url_code: str = ""


def takers(viewer: Actor, resource: Resource, batch: str) -> list[Untaken]:
    """Everybody who receives a dataset in bulk, and whether they have taken this batch.

    Subscriptions stand at a position; a file that was fetched before the batch is old for good.
    """
    viewer.require("delivery.read")
    if not viewer.may("delivery.supervise"):
        viewer.require("delivery.read", resource.owner)
    known: dict[str, list[str]] = {}
    out = []
    rows = Subscription.objects.select_related(*_PARTS).filter(grant__resource=resource)
    for one in _lines(rows):
        row = one.row
        order = _order(row.grant, known)
        at = order.index(row.position) if row.position in order else -1
        wanted = order.index(batch) if batch in order else len(order)
        out.append(
            Untaken(
                row.grant.grantee,
                row.grant,
                rules.KINDS[row.kind],
                at >= wanted,
                "已接收" if at >= wanted else one.words,
                row.code,
            )
        )
    files = (
        Download.objects.filter(grant__resource=resource, fetched__gt=0)
        .select_related("grant__grantee", "grant__resource")
        .order_by("grant_id", "-id")
    )
    newest: dict[int, Download] = {}
    for file in files:
        newest.setdefault(file.grant_id, file)
    for file in newest.values():
        order = _order(file.grant, known)
        at = order.index(file.position) if file.position in order else -1
        wanted = order.index(batch) if batch in order else len(order)
        words = "已下载更正后的文件" if at >= wanted else "手中的文件是更正前的，须重新下载"
        out.append(Untaken(file.grant.grantee, file.grant, "文件下载", at >= wanted, words))
    return sorted(out, key=lambda x: (x.taken, x.department.name))


def batches_of(viewer: Actor, resource: Resource, limit: int = 30) -> list[Batch]:
    """A resource's newest batches that changed something."""
    viewer.require("delivery.read")
    rows = Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED).order_by("-id")[:200]
    changed = ("inserted", "updated", "deleted")
    return [b for b in rows if any(b.outcome.get(k) for k in changed)][:limit]


def resource(viewer: Actor, name: str) -> Resource | None:
    """A dataset or library by its name."""
    viewer.require("delivery.read")
    return (
        Resource.objects.filter(name=name, kind__in=(Resource.DATASET, Resource.LIBRARY))
        .select_related("owner")
        .first()
    )


# ---- files ---------------------------------------------------------------------------------


def downloads(viewer: Actor) -> QuerySet[Download]:
    """Files that the viewer's departments asked for."""
    viewer.require("delivery.use")
    rows = Download.objects.select_related("grant__resource", "grant__grantee", "asked_by")
    scope = viewer.departments("delivery.use")
    return rows if scope is None else rows.filter(grant__grantee_id__in=scope)


def download(viewer: Actor, code: str) -> Download | None:
    """One of them."""
    return downloads(viewer).filter(code=code).first()


def files_of(viewer: Actor, client: services.Client) -> list[Download]:
    """Files of a credential's grant that are there to be fetched, while the grant allows files."""
    now = timezone.now()
    if not client.grant.in_force(now) or not allows(client.grant, "file"):
        raise Denied("该凭证没有有效的文件下载授权")
    return [d for d in Download.objects.filter(grant=client.grant)[:200] if d.there(now)]


def path_of(row: Download) -> Path:
    """Where a download lies on disk."""
    return adapters.downloads() / f"{row.code}.{row.format}"


def stale_downloads(now: dt.datetime) -> list[Download]:
    """Files whose time is over, or whose right has ended."""
    rows = Download.objects.exclude(expires_at=None).select_related("grant")
    return [r for r in rows if not r.there(now) or not r.grant.in_force(now)]


# ---- pull ----------------------------------------------------------------------------------


def pull_of(client: services.Client) -> Subscription | None:
    """The subscription that a credential may pull from."""
    return (
        Subscription.objects.select_related(*_PARTS)
        .filter(grant=client.grant, kind=rules.PULL)
        .first()
    )


def totals(viewer: Actor, lines: list[Line]) -> dict[str, Any]:
    """Figures above a list."""
    viewer.require("delivery.read")
    return {
        "all": len(lines),
        "fresh": sum(1 for x in lines if x.tone == "green"),
        "behind": sum(1 for x in lines if x.behind and x.tone != "grey"),
        "failing": sum(1 for x in lines if x.row.error or x.dead),
    }
