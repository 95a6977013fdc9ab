"""Queries: kinds of projects, one's own projects, where each stage stands, the picture of a project."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, Party, WorkItem

from . import rules
from .models import Project, StageCase

ITEMS = {key: f"stage_{key}" for key in rules.STAGES}


def kinds() -> dict[str, rules.Kind]:
    """The kinds of projects that packs declare, by name."""
    return {d.name: rules.kind(d.name, d.data, ITEMS) for d in packs.declarations("construction")}


def stage_of_item(code: str) -> str:
    """The stage that an item applies for, or nothing."""
    return next((key for key, item in ITEMS.items() if item == code), "")


def principals(viewer: Actor) -> list[Party]:
    """For whom the viewer may look after projects: the firm acted for, else oneself."""
    if viewer.party is None:
        return []
    if viewer.behalf is not None:
        good = identity.may_act(viewer.party, viewer.behalf, "follow")
        return [viewer.behalf] if good else []
    return [viewer.party]


def mine(viewer: Actor) -> QuerySet[Project]:
    """Projects of the viewer, or of the firm that the viewer acts for."""
    return Project.objects.filter(owner__in=principals(viewer)).select_related("owner", "agent")


def own(viewer: Actor, code: str) -> Project | None:
    """One of them; None alike for another's and for one that does not exist."""
    return mine(viewer).filter(code=code).first()


def projects(viewer: Actor) -> QuerySet[Project]:
    """All projects, for officers: a department sees what comes to it and what will."""
    viewer.require("construction.read")
    return Project.objects.select_related("owner", "agent")


def project(viewer: Actor, code: str) -> Project | None:
    """One project, for officers."""
    return projects(viewer).filter(code=code).first()


def to_admit() -> list[Case]:
    """Applications for stages that wait at the gate."""
    rows = WorkItem.objects.filter(
        step="gate", done_at=None, case__path__key=rules.PATH, case__state=Case.OPEN
    )
    return [r.case for r in rows.select_related("case__path", "case__applicant")[:500]]


def former(project_: Project, stage: str) -> str:
    """How the stage before one stands: rules.GRANTED, RUNNING, ENDED or NONE; GRANTED for the first."""
    kind = kinds()[project_.kind]
    before = kind.before(stage)
    if before is None:
        return rules.GRANTED
    rows = [
        s.case
        for s in project_.stages.filter(stage=before.key)
        .exclude(admitted=rules.BLOCKED)
        .select_related("case")
    ]
    if any(c.outcome == "granted" for c in rows):
        return rules.GRANTED
    if any(c.state != Case.CLOSED for c in rows):
        return rules.RUNNING
    return rules.ENDED if rows else rules.NONE


# ---- the picture -----------------------------------------------------------------------------


@dataclass(frozen=True)
class StageView:
    """One stage as the project's page shows it."""

    stage: rules.Stage
    row: StageCase | None
    words: str
    tone: str
    note: str
    may_apply: bool
    item_name: str
    lead: str


@dataclass(frozen=True)
class View:
    """A project with its stages, its picture and what happened."""

    project: Project
    kind: rules.Kind
    stages: list[StageView]
    bars: list[rules.Bar]
    marks: list[tuple[float, str]]
    today: float
    events: list[Event]

    @property
    def done(self) -> int:
        """How many stages are granted."""
        return sum(s.tone == "green" for s in self.stages)


OUTCOMES = {"granted": ("已批准", "green"), "refused": ("不予批准", "red"),
            "not_accepted": ("未受理", "grey"), "withdrawn": ("已撤回", "grey"),
            "lapsed": ("逾期未补齐", "red")}  # fmt: skip


def view(viewer: Actor, project_: Project) -> View:
    """A project as its owner, its agent or an officer sees it; the viewer was checked."""
    kind = kinds()[project_.kind]
    rows = sorted(project_.stages.select_related("case"), key=_weight)
    newest = {s.stage: s for s in rows}
    names = dict(Party.objects.filter(kind=Party.DEPARTMENT).values_list("slug", "short"))
    stages, spans, today = [], [], timezone.localdate()
    for stage in kind.stages:
        row = newest.get(stage.key)
        item = items.find(stage.item)
        steps = list(
            row.case.items.select_related("department").order_by("id") if row is not None else ()
        )
        words, tone = _standing(row, steps, today)
        blocked = (
            row is not None and row.case.state == Case.CLOSED and row.case.outcome != "granted"
        )
        stages.append(
            StageView(
                stage, row, words, tone, row.words if row else "",
                (row is None or blocked) and former(project_, stage.key) in (rules.GRANTED, rules.RUNNING),
                item.name if item else stage.title,
                "、".join(names.get(d, d) for d in stage.departments),
            )
        )  # fmt: skip
        spans += _spans(stage, row, steps, words, tone, names, today)
    made, marks, now = rules.bars(spans, today)
    refs = [project_.ref, *(s.case.ref for s in newest.values())]
    events = list(
        Event.objects.filter(subject__in=refs).order_by("-id")[:40]
        if newest
        else timeline(project_).order_by("-id")[:40]
    )
    return View(project_, kind, stages, made, marks, now, events)


def _weight(row: StageCase) -> tuple[int, int]:
    """Of several applications for a stage the granted one counts, then the open one, then the newest."""
    return ((row.case.outcome == "granted") * 2 + (row.case.state != Case.CLOSED), row.pk)


def _standing(row: StageCase | None, steps: list[WorkItem], today: dt.date) -> tuple[str, str]:
    if row is None:
        return "未申报", "grey"
    case = row.case
    if case.state == Case.CLOSED:
        return OUTCOMES.get(case.outcome, ("已办结", "green"))
    if case.state == Case.SUSPENDED:
        return "中止计时", "amber"
    open_ = [s for s in steps if s.done_at is None]
    if any(s.due_on is not None and s.due_on < today for s in open_):
        return "有环节逾期", "red"
    if any(s.step == "gate" for s in open_):
        return "等待前一阶段", "amber"
    if any(s.permission == "hall.supplement" for s in open_):
        return "待建设单位补正", "amber"
    if any(s.step == "owed" for s in open_):
        return "等待容缺材料补齐", "amber"
    return "办理中", "blue"


def _spans(
    stage: rules.Stage, row: StageCase | None, steps: list[WorkItem], words: str, tone: str,
    names: dict[str | None, str], today: dt.date,
) -> list[rules.Span]:  # fmt: skip
    if row is None:
        return [rules.Span(stage.title, "grey", f"{words}，限 {stage.days} 个工作日")]
    case = row.case
    due = [s.due_on for s in steps if s.due_on is not None]
    closed = timezone.localtime(case.closed_at).date() if case.closed_at else None
    since = timezone.localtime(case.opened_at).date()
    until = closed or max([today, *due])
    out = [rules.Span(stage.title, tone, words, since, until)]
    for step in (s for s in steps if s.step == "opinion"):
        done = timezone.localtime(step.done_at).date() if step.done_at else None
        late = step.due_on is not None and (done or today) > step.due_on
        said = (
            step.declared.outcome(step.outcome).title
            if step.outcome in ("agree", "refuse")
            else "办理中"
        )
        colour = "red" if late or step.outcome == "refuse" else "green" if done else "blue"
        slug = step.department.slug if step.department else ""
        out.append(
            rules.Span(
                names.get(slug, ""), colour, f"{said}{'（逾期）' if late else ''}",
                timezone.localtime(step.opened_at).date(), done or step.due_on or today, deep=True,
            )
        )  # fmt: skip
    return out


def applications(viewer: Actor, project_: Project) -> list[Any]:
    """The hall's applications behind a project's cases, for officers who may read them."""
    if not viewer.may("hall.read"):
        return []
    cases = set(project_.stages.values_list("case_id", flat=True))
    return [a for a in hall.applications(viewer, applicant=project_.owner) if a.case_id in cases]


def agents(viewer: Actor) -> bool:
    """Whether the viewer helps with projects."""
    return viewer.may("construction.help")
