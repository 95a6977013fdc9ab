"""Queries: requests and grants that the viewer's department has to do with, and the legal clocks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor
from lianyun.kernel.clock import remaining
from lianyun.kernel.models import Case, Event, Grant, Resource, WorkItem

from .. import rules

PATHS = ("share_request", "share_extension")
MATTERS = ("misuse", "disposal", "stop", "dispute", "need", "return_flow")
"""The cases that are not requests: they have one page in common."""


def _all(viewer: Actor) -> bool:
    return viewer.may("sharing.supervise") or viewer.departments("sharing.read") is None


def requests(viewer: Actor, side: str = "") -> QuerySet[Case]:
    """Requests the viewer may see; side `asked` (own department asks) or `received`, or both."""
    viewer.require("sharing.read")
    rows = Case.objects.filter(path__key="share_request").select_related(
        "path", "applicant", "department"
    )
    scope = viewer.departments("sharing.read") or frozenset()
    home = frozenset({viewer.department.pk}) if viewer.department else frozenset()
    mine = scope or home
    if side == "asked":
        return rows.filter(applicant_id__in=mine)
    if side == "received":
        return rows.filter(department_id__in=mine)
    if _all(viewer):
        return rows
    return rows.filter(Q(applicant_id__in=mine) | Q(department_id__in=mine))


def request(viewer: Actor, code: str) -> Case | None:
    """One request, if the viewer may see it."""
    return requests(viewer).filter(code=code).first()


def desk(viewer: Actor) -> QuerySet[WorkItem]:
    """Open steps of sharing cases that the viewer may do, the most urgent first."""
    viewer.require("sharing.read")
    return cases.work_items(viewer).filter(case__path__key__in=(*PATHS, *MATTERS))


def item(viewer: Actor, number: int) -> WorkItem | None:
    """One step of a sharing case; who may do it is the action's question."""
    viewer.require("sharing.read")
    return (
        WorkItem.objects.select_related("case__path", "department")
        .filter(pk=number, case__path__key__in=(*PATHS, *MATTERS))
        .first()
    )


def steps(viewer: Actor, case: Case) -> list[WorkItem]:
    """The steps of a case so far, in their order."""
    return list(case.items.select_related("department", "by").order_by("id"))


def mine_to_do(viewer: Actor, case: Case) -> list[WorkItem]:
    """Open steps of a case that the viewer may do."""
    return [
        i
        for i in case.items.filter(done_at=None).select_related("department")
        if case.state != Case.CLOSED and viewer.may(i.permission, i.department)
    ]


def resource_of(viewer: Actor, case: Case) -> Resource:
    """What a request is about."""
    return Resource.objects.select_related("owner").get(name=case.data["resource"])


@dataclass(frozen=True)
class Part:
    """One dataset of a request: what is asked of it, and what its provider would allow.

    A request from the basket has several; `refused` is one that the provider leaves out.
    """

    number: int
    resource: Resource
    asked: rules.Request
    allowed: rules.Request | None
    disposal: str
    refused: bool = False


def parts_of(viewer: Actor, case: Case) -> list[Part]:
    """The datasets of a request in the order they were put into it."""
    kept = [case.data, *case.data.get("more", ())]
    found = {
        r.name: r
        for r in Resource.objects.select_related("owner").filter(
            name__in=[k["resource"] for k in kept]
        )
    }
    return [
        Part(
            number,
            found[k["resource"]],
            rules.Request.of(k["request"]),
            rules.Request.of(k["allowed"]) if k.get("allowed") else None,
            k.get("disposal", ""),
            bool(k.get("refused")),
        )
        for number, k in enumerate(kept)
    ]


def resource(viewer: Actor, name: str) -> Resource | None:
    """A published dataset or library by name."""
    return (
        Resource.objects.filter(
            name=name, kind__in=[Resource.DATASET, Resource.LIBRARY], state=Resource.PUBLISHED
        )
        .select_related("owner")
        .first()
    )


def requestable(viewer: Actor, text: str = "") -> QuerySet[Resource]:
    """Published data of other departments."""
    viewer.require("sharing.request")
    rows = Resource.objects.filter(
        kind__in=[Resource.DATASET, Resource.LIBRARY], state=Resource.PUBLISHED
    ).select_related("owner")
    if viewer.department is not None:
        rows = rows.exclude(owner=viewer.department)
    if text:
        rows = rows.filter(
            Q(title__icontains=text) | Q(code__icontains=text) | Q(owner__name__icontains=text)
        )
    return rows.order_by("kind", "code")


def waiting_answer(case: Case) -> WorkItem | None:
    """The provider's open step whose clock runs, if any."""
    return (
        case.items.filter(done_at=None, step__in=rules.ANSWER_STEPS)
        .exclude(due_on=None)
        .order_by("-id")
        .first()
    )


def extension_of(viewer: Actor, case: Case) -> Case | None:
    """The extension that was asked for a request, if any."""
    return Case.objects.filter(path__key="share_extension", subject=case.ref).first()


def timeline(viewer: Actor, case: Case) -> list[dict[str, Any]]:
    """What happened in a case, newest first, as the timeline component wants it."""
    titles = {
        "case.opened": "提出",
        "case.closed": "办结",
        "case.suspended": "暂停计时",
        "case.resumed": "恢复计时",
        "case.extended": "延长或另定期限",
        "grant.issued": "签发授权",
        "grant.suspended": "暂停共享",
        "grant.resumed": "恢复共享",
        "grant.revoked": "撤回授权",
        "client.issued": "生成调用凭证",
        "client.collected": "领取调用密钥",
        "request.extension_refused": "数据主管部门不同意延期",
    }
    out = []
    for event in Event.objects.filter(case_id_ref=case.pk).order_by("-id"):
        data = event.data
        what = titles.get(event.kind) or data.get("title") or event.kind
        if event.kind == "case.stepped":
            what = f"{data.get('title')}：{data.get('outcome')}"
        out.append(
            {
                "when": event.at,
                "what": what,
                "who": event.by_name,
                "more": data.get("note") or data.get("reason") or "",
                "tone": "red"
                if event.kind in ("grant.revoked", "grant.suspended", "request.extension_refused")
                else "",
            }
        )
    return out


def grants(viewer: Actor) -> QuerySet[Grant]:
    """Data grants the viewer may see, newest first."""
    viewer.require("sharing.read")
    rows = Grant.objects.filter(kind="data").select_related(
        "grantor", "grantee", "resource", "case"
    )
    if _all(viewer):
        return rows
    scope = viewer.departments("sharing.read") or frozenset()
    return rows.filter(Q(grantor_id__in=scope) | Q(grantee_id__in=scope))


def grant(viewer: Actor, code: str) -> Grant | None:
    """One grant, if the viewer may see it."""
    return grants(viewer).filter(code=code).first()


def grant_of(viewer: Actor, case: Case) -> Grant | None:
    """The grant a request ended in."""
    return Grant.objects.filter(case=case, kind="data").order_by("-id").first()


def grants_of(viewer: Actor, case: Case) -> list[Grant]:
    """Every grant a request ended in, in the order of its datasets."""
    rows = Grant.objects.filter(case=case, kind="data").select_related("resource", "grantee")
    return list(rows.order_by("id"))


def under_request(viewer: Actor, resource: Resource) -> Case | None:
    """The open request of the viewer's own department for a dataset, if any."""
    rows = Case.objects.filter(path__key="share_request", applicant=viewer.department)
    named = Q(subject=resource.ref) | Q(data__more__contains=[{"resource": resource.name}])
    return rows.filter(named).exclude(state=Case.CLOSED).first()


def disposal_of(viewer: Actor, grant: Grant) -> Case | None:
    """The disposal of the data that a grant gave, once the grant has ended."""
    return (
        Case.objects.filter(once=f"disposal:{grant.code}")
        .select_related("path", "applicant", "department")
        .first()
    )


def open_of(viewer: Actor, grant: Grant, path: str) -> Case | None:
    """The open case of a path about a grant, if any."""
    rows = Case.objects.filter(path__key=path, subject=grant.ref)
    return rows.exclude(state=Case.CLOSED).select_related("path").first()


def open_misuse_of(viewer: Actor, grant: Grant) -> Case | None:
    """The open misuse case about a grant, if any."""
    return open_of(viewer, grant, "misuse")


def ended_without_disposal(viewer: Actor, at: dt.datetime) -> list[Grant]:
    """Data grants that have ended by then and whose data nobody was yet told to dispose of."""
    rows = Grant.objects.filter(kind="data").filter(
        Q(state=Grant.REVOKED) | Q(valid_to__isnull=False, valid_to__lte=at)
    )
    task = Case.objects.filter(once=Concat(Value("disposal:"), OuterRef("code")))
    return list(
        rows.filter(~Exists(task)).select_related("grantee", "grantor", "resource", "case")[:1000]
    )


def ending_soon(viewer: Actor, at: dt.datetime, days: int) -> list[tuple[Grant, int]]:
    """Grants in force that end within so many calendar days, each with the days it has left."""
    rows = (
        Grant.objects.filter(kind="data", valid_to__gt=at)
        .filter(valid_to__lte=at + dt.timedelta(days=days))
        .exclude(state=Grant.REVOKED)
        .select_related("grantee", "grantor", "resource")
    )
    return [(g, (g.valid_to - at).days) for g in rows if g.valid_to]


def told_of(viewer: Actor, grant: Grant, correction: str) -> bool:
    """Whether the holder of a grant was told of a correction case already."""
    told = Event.objects.filter(subject=grant.ref, kind="receiver.told")
    return told.filter(data__correction=correction).exists()


def notices(viewer: Actor, limit: int = 5) -> list[tuple[Event, str]]:
    """The newest corrections of data that the viewer's department had read, each with its grant."""
    scope = viewer.departments("sharing.read")
    held = Grant.objects.filter(kind="data")
    if scope is not None:
        held = held.filter(grantee_id__in=scope)
    refs = {g.ref: g.code for g in held}
    told = Event.objects.filter(kind="receiver.told", subject__in=list(refs)).order_by("-id")
    return [(event, refs[event.subject]) for event in told[:limit]]


def grant_timeline(viewer: Actor, grant: Grant) -> list[Event]:
    """What happened to a grant."""
    return list(Event.objects.filter(subject=grant.ref).order_by("-id"))


def stands(grant: Grant) -> str:
    """The state to show: active, suspended, revoked or expired."""
    if grant.state == Grant.ACTIVE and grant.valid_to and grant.valid_to <= timezone.now():
        return "expired"
    return grant.state


@dataclass
class Clock:
    """How a department (or a step) keeps its legal time."""

    title: str
    done: int = 0
    late: int = 0
    waiting: int = 0
    overdue: int = 0
    days: list[int] = field(default_factory=list)

    @property
    def on_time(self) -> float | None:
        """The part of all judged steps that was in time; None where none was judged."""
        judged = self.done + self.overdue
        return (self.done - self.late) / judged if judged else None

    @property
    def average(self) -> float | None:
        """Working days used on average."""
        return sum(self.days) / len(self.days) if self.days else None


def clocks(viewer: Actor) -> tuple[list[Clock], list[Clock]]:
    """The legal clocks of all requests: by step, and by department."""
    viewer.require("sharing.supervise")
    by_step: dict[str, Clock] = {}
    by_department: dict[str, Clock] = {}
    rows = (
        WorkItem.objects.filter(case__path__key__in=PATHS)
        .exclude(due_on=None)
        .select_related("case", "department")
    )
    for row in rows:
        name = row.department.name if row.department else "—"
        for clock in (
            by_step.setdefault(row.step, Clock(row.title)),
            by_department.setdefault(name, Clock(name)),
        ):
            if row.done_at is None:
                if row.case.state == Case.CLOSED:
                    continue
                clock.waiting += 1
                clock.overdue += row.overdue
            else:
                clock.done += 1
                clock.late += row.overdue
                opened = timezone.localtime(row.opened_at).date()
                clock.days.append(remaining(timezone.localtime(row.done_at).date(), opened))
    worst = sorted(by_department.values(), key=lambda c: (-c.overdue, -c.late, c.title))
    return list(by_step.values()), worst


def figures(viewer: Actor) -> dict[str, int]:
    """The bureau's numbers: requests, open ones, grants in force, overdue steps."""
    rows = Case.objects.filter(path__key="share_request")
    now = timezone.now()
    return {
        "requests": rows.count(),
        "open": rows.exclude(state=Case.CLOSED).count(),
        "refused": rows.filter(outcome="refused").count(),
        "grants": Grant.objects.filter(kind="data", state=Grant.ACTIVE)
        .filter(Q(valid_to=None) | Q(valid_to__gt=now))
        .count(),
        "overdue": overdue(viewer).count(),
    }


def overdue(viewer: Actor) -> QuerySet[WorkItem]:
    """Open steps of sharing cases past their legal day."""
    return cases.overdue_items().filter(case__path__key__in=PATHS).order_by("due_on")
