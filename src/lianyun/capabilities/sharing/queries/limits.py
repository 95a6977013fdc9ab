"""Limits: the legal days of every case, as stored and as its events make them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor
from lianyun.kernel.clock import calendar, remaining
from lianyun.kernel.models import Case, Event, WorkItem
from lianyun.kernel.path import BadPath

from .. import rules
from .cases import MATTERS, PATHS, _all

CLOCKED = (*PATHS, "correction", "catalogue_entry", *MATTERS)
"""Every path whose days Order 809 or the city's own agreement fixes."""


def _deadline(start: dt.date, days: int) -> dt.date:
    return calendar().deadline(start, days)[0]


def _between(start: dt.date, end: dt.date) -> int:
    return remaining(end, start)


def clocked(viewer: Actor) -> QuerySet[WorkItem]:
    """Every step with a legal day that the viewer may know of, newest first."""
    viewer.require("sharing.read")
    rows = (
        WorkItem.objects.filter(case__path__key__in=CLOCKED)
        .exclude(due_on=None)
        .select_related("case__path", "case__applicant", "case__department", "department")
        .prefetch_related("case__pauses")
        .order_by("-id")
    )
    if _all(viewer):
        return rows
    scope = viewer.departments("sharing.read") or frozenset()
    sides = Q(case__applicant_id__in=scope) | Q(case__department_id__in=scope)
    return rows.filter(sides | Q(department_id__in=scope))


def waiting_with_a_day(viewer: Actor) -> QuerySet[WorkItem]:
    """Every step that somebody has still to do by a legal day, of cases whose clock runs."""
    return clocked(viewer).filter(done_at=None, case__state=Case.OPEN).order_by("due_on", "id")


def narrowed_to(rows: QuerySet[WorkItem], standing: str) -> QuerySet[WorkItem]:
    """The steps that stand so: late (done late), overdue (waiting past the day), running, kept."""
    from django.db.models import F
    from django.db.models.functions import TruncDate

    today = timezone.localdate()
    done = rows.annotate(done_on=TruncDate("done_at"))
    match standing:
        case "kept":
            return done.filter(done_on__lte=F("due_on"))
        case "late":
            return done.filter(done_on__gt=F("due_on"))
        case "overdue":
            return rows.filter(done_at=None, due_on__lt=today, case__state=Case.OPEN)
        case "running":
            return rows.filter(done_at=None, case__state=Case.OPEN, due_on__gte=today)
        case "paused":
            return rows.filter(done_at=None, case__state=Case.SUSPENDED)
    return rows


def counts(rows: QuerySet[WorkItem]) -> dict[str, int]:
    """How many clocks stand how; each number is the length of `narrowed_to`'s list."""
    kinds = ("kept", "late", "overdue", "running", "paused")
    return {k: narrowed_to(rows, k).count() for k in kinds}


def extensions(viewer: Actor, items: Iterable[WorkItem]) -> dict[tuple[int, str], list[str]]:
    """What extended the steps of these cases: (case, step) → “+5 工作日（条例第二十一条）”."""
    ids = {i.case_id for i in items}
    out: dict[tuple[int, str], list[str]] = defaultdict(list)
    rows = Event.objects.filter(kind="case.extended", case_id_ref__in=ids).order_by("id")
    for case, data in rows.values_list("case_id_ref", "data"):
        out[int(case or 0), data["step"]].append(f"{data['days']:+d} 工作日（{data['article']}）")
    return out


def pauses_of(item: WorkItem) -> list[str]:
    """When the clock of a step stood still, by which article."""
    begun = timezone.localtime(item.opened_at).date()
    done = timezone.localtime(item.done_at).date() if item.done_at else None
    return [
        f"{p.since:%Y-%m-%d} 至 {p.until:%Y-%m-%d}（{p.article}）"
        if p.until
        else f"{p.since:%Y-%m-%d} 起（{p.article}）"
        for p in item.case.pauses.all()
        if (p.until is None or p.until >= begun) and (done is None or p.since <= done)
    ]


def used_days(viewer: Actor, item: WorkItem) -> int:
    """Working days that a step has used so far, without those in which its case stood still."""
    run = rules.Run(
        item.step,
        timezone.localtime(item.opened_at).date(),
        item.due_on,
        timezone.localtime(item.done_at).date() if item.done_at else None,
        [(p.since, p.until, p.article) for p in item.case.pauses.all()],
    )
    return run.used(timezone.localdate(), _between)


def runs(case: Case) -> list[rules.Run]:
    """The clocks of a case from its events alone."""
    events = []
    article = ""
    for event, opened in cases.replay(case):
        if event.kind == "case.suspended":
            article = event.data["article"]
        events.append(
            rules.Happened(
                kind=event.kind.partition(".")[2],
                on=timezone.localtime(event.at).date(),
                step=event.data.get("step", ""),
                opens=tuple(opened),
                days=int(event.data.get("days", 0)),
                article=event.data.get("article", article),
            )
        )
    limits = {s.id: rules.Limit(s.days, s.clock) for s in case.path.steps.values()}
    return rules.recompute(limits, events, _deadline, _between)


@dataclass(frozen=True)
class Compared:
    """One clock of a case: as stored, and as its events make it."""

    item: WorkItem
    run: rules.Run | None
    used: int
    verdict: str

    @property
    def agrees(self) -> bool:
        """Whether what is stored is what the events say."""
        if self.run is None:
            return False
        stored = timezone.localtime(self.item.done_at).date() if self.item.done_at else None
        return (self.item.step, self.item.due_on, stored) == (
            self.run.step,
            self.run.due,
            self.run.done,
        )


def compared(viewer: Actor, case: Case) -> list[Compared]:
    """Every step of a case beside what its events say; a step the events do not know has no run."""
    items = list(case.items.select_related("department", "by").order_by("id"))
    try:
        told: list[rules.Run | None] = list(runs(case))
    except BadPath:
        told = []
    told += [None] * (len(items) - len(told))
    today = timezone.localdate()
    standing = case.state == Case.SUSPENDED
    return [
        Compared(
            item,
            run,
            run.used(today, _between) if run else 0,
            rules.verdict(run, today, standing) if run else "事件不符",
        )
        for item, run in zip(items, told, strict=False)
    ]


def check_clocks(viewer: Actor, rows: QuerySet[WorkItem], limit: int = 500) -> dict[str, Any]:
    """Recompute the clocks of these steps' cases from their events, and compare.

    Returns cases, clocks, and the codes of the cases in which anything differs.
    """
    ids = list(rows.order_by("-case_id").values_list("case_id", flat=True).distinct()[:limit])
    found = Case.objects.filter(pk__in=ids).select_related("path")
    clocks, differing = 0, []
    for case in found:
        listed = compared(viewer, case)
        clocks += sum(c.item.due_on is not None for c in listed)
        if not all(c.agrees for c in listed):
            differing.append(case.code)
    return {"cases": len(ids), "clocks": clocks, "differing": differing}


def any_case(viewer: Actor, code: str) -> Case | None:
    """One clocked case that the viewer may know of."""
    if not clocked(viewer).filter(case__code=code).exists():
        return None
    return Case.objects.select_related("path", "applicant", "department").get(code=code)
