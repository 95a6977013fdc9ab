"""Rounds: which there are, how far each is, its points table, schools and published lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count, Q
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.decision import Model, Table
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Case, Event, Party, WorkItem

from .. import adapters
from ..models import Allotment, Registration, Round, School, Seat
from ..rules import calendar
from ..rules.scheme import Scheme, read

READ = "enrolment.read"
USE = "enrolment"
REVIEW, OBJECTION = "enrolment_review", "enrolment_objection"


def phase(viewer: Actor, found: Round) -> str:
    """The step in which a round is (a key of calendar.PHASES)."""
    if found.case_id is None:
        return calendar.PREPARE
    item = WorkItem.objects.filter(case_id=found.case_id, done_at=None).order_by("id").first()
    return calendar.OVER if item is None else item.step


def phases(viewer: Actor, rounds: list[Round]) -> dict[int, str]:
    """The steps of several rounds by row; one query."""
    rows = WorkItem.objects.filter(case_id__in=[r.case_id for r in rounds], done_at=None)
    by_case: dict[int | None, str] = dict(rows.values_list("case_id", "step"))
    return {r.pk: by_case.get(r.case_id, calendar.OVER) for r in rounds}


def rounds(viewer: Actor) -> list[Round]:
    """Rounds as everybody may know them: those whose plan was approved, newest first."""
    rows = Round.objects.exclude(promise="").select_related("department", "case")
    return list(rows.order_by("-year", "-id"))


def of_desk(viewer: Actor) -> models.QuerySet[Round]:
    """Rounds of the viewer's departments, those in preparation as well."""
    viewer.require(READ)
    scope = viewer.departments(READ)
    rows = Round.objects.select_related("department", "case").order_by("-year", "-id")
    return rows if scope is None else rows.filter(department_id__in=scope)


def find(viewer: Actor, code: str) -> Round | None:
    """A round by its code: an approved one for everybody, any for officers of its department."""
    found = Round.objects.select_related("department", "case", "by").filter(code=code).first()
    if found is None or (not found.promise and not viewer.may(READ, found.department)):
        return None
    return found


def scheme_of(found: Round) -> Scheme:
    """A round's points table: as it was approved, before that as the pack has it."""
    return read(found.content) if found.content else adapters.schemes()[found.scheme]


def model_of(found: Round) -> Model:
    """The decision table that counts a round's points; raises UserError where it is not installed."""
    scheme = scheme_of(found)
    version = found.table_version
    if not version:
        newest = adapters.newest_table(scheme.table)
        version = newest.version if newest else 0
    model = adapters.table(scheme.table, version)
    if model is None:
        raise UserError(f"没有积分表的决策表 {scheme.table}，请先安装")
    return model


@dataclass(frozen=True)
class Row:
    """One rule of a line's table in words."""

    when: tuple[str, ...]
    points: str
    note: str


@dataclass(frozen=True)
class Priced:
    """One line of the points table as people read it."""

    id: str
    title: str
    most: int
    basis: str
    department: str
    sources: tuple[str, ...]
    paper: bool
    rows: tuple[Row, ...]


def table_of(viewer: Actor, found: Round) -> list[Priced]:
    """The points table of a round: every line with source, ceiling, basis and rules."""
    scheme, model, out = scheme_of(found), model_of(found), []
    for line in scheme.lines:
        node = model.nodes.get(line.table)
        rows: tuple[Row, ...] = ()
        if node is not None and isinstance(node.logic, Table):
            columns = node.logic.inputs
            rows = tuple(
                Row(
                    tuple(
                        f"{c.title} {cell}"
                        for c, cell in zip(columns, r.tests, strict=True)
                        if cell.strip() != "-"
                    ),
                    r.results[0],
                    next((n for n in r.notes if n.strip()), ""),
                )
                for r in node.logic.rules
            )
        told = dict.fromkeys(scheme.facts[n].source for n in line.facts)
        sources = tuple(adapters.told(s)[0] for s in told)
        out.append(
            Priced(
                line.id,
                line.title,
                line.most,
                line.basis,
                adapters.short_name(line.department),
                sources,
                bool(line.paper),
                rows,
            )
        )
    return out


@dataclass(frozen=True)
class Held:
    """A school with what it offers, and where its places ended."""

    school: School
    line: Mapping[str, Any] | None


def schools(viewer: Actor, found: Round) -> list[Held]:
    """The schools of a round; lines only of what has been published, or for officers of the round."""
    last = newest(viewer, found)
    lines = {told["school"]: told for told in last.lines} if last is not None else {}
    return [Held(s, lines.get(s.pk)) for s in found.schools.all()]


def newest(viewer: Actor, found: Round) -> Allotment | None:
    """The newest allotment that the viewer may know: published, or any for the round's officers."""
    rows = found.allotments.select_related("made_by", "signed_by").order_by("-turn")
    if not viewer.may(READ, found.department):
        rows = rows.exclude(published_at=None)
    return rows.first()


def entered(viewer: Actor, found: Round) -> models.QuerySet[Registration]:
    """Whoever stands in a round: filed and not out."""
    return found.registrations.exclude(filed_at=None).filter(out_at=None)


@dataclass(frozen=True)
class Public:
    """One line of a published list: number, masked name, points, rank, school."""

    number: str
    name: str
    points: str
    rank: int | None
    school: str


def published(viewer: Actor, found: Round) -> list[Public]:
    """The list as it is published: nothing before its day, names masked; by rank, else by points."""
    if found.published_at is None:
        return []
    # Who left after the ranking stays on the list: its digest and the lots can be recomputed.
    listed = found.registrations.exclude(rank=None) if found.ranked_at else entered(viewer, found)
    rows = listed.order_by(models.F("rank").asc(nulls_last=True), "-points", "number")
    told = rows.values_list(
        "number", "child__name", "points", "rank", "school__name", "declined_at", "out_at"
    )
    return [
        Public(
            number,
            str(mask_value("name", name)),
            "" if points is None else f"{points.normalize():f}",
            rank,
            "已退出" if out else "" if declined else school or "",
        )
        for number, name, points, rank, school, declined, out in told
    ]


@dataclass(frozen=True)
class Counts:
    """How many stand where in a round."""

    entered: int
    begun: int
    out: int
    counted: int
    placed: int
    confirmed: int
    declined: int


def counts(viewer: Actor, found: Round) -> Counts:
    """A round in numbers; one query."""
    filed, inside = Q(filed_at__isnull=False), Q(out_at=None)
    kept = inside & Q(school__isnull=False, declined_at=None)
    told = found.registrations.aggregate(
        entered=Count("pk", filter=filed & inside),
        begun=Count("pk", filter=Q(filed_at=None) & inside),
        out=Count("pk", filter=filed & Q(out_at__isnull=False)),
        counted=Count("pk", filter=filed & inside & Q(points__isnull=False)),
        placed=Count("pk", filter=kept),
        confirmed=Count("pk", filter=kept & Q(confirmed_at__isnull=False)),
        declined=Count("pk", filter=inside & Q(declined_at__isnull=False)),
    )
    return Counts(**told)


def open_cases(viewer: Actor, found: Round) -> dict[str, int]:
    """What must be settled before a round goes on: papers to check, reviews, objections."""
    checks = WorkItem.objects.filter(
        done_at=None,
        step__in=("check", "supplement"),
        case__in=found.registrations.exclude(case=None).values("case"),
    )
    others = Case.objects.exclude(state=Case.CLOSED).filter(data__round=found.code)
    return {
        "check": checks.count(),
        "review": others.filter(path__key=REVIEW).count(),
        "objection": others.filter(path__key=OBJECTION).count(),
    }


def left(viewer: Actor, found: Round) -> dict[int, int]:
    """Places that nobody keeps, by school row: given up, or never taken."""
    kept = dict(
        entered(viewer, found)
        .filter(school__isnull=False, declined_at=None)
        .values_list("school")
        .annotate(n=Count("pk"))
    )
    return {s.pk: max(s.places - kept.get(s.pk, 0), 0) for s in found.schools.all()}


def happened(viewer: Actor, found: Round) -> list[Event]:
    """What was done to a round and in its case, oldest first."""
    case = found.case.ref if found.case is not None else ""
    rows = Event.objects.filter(subject__in=[found.ref, case]).exclude(kind="enrolment.moved")
    return list(rows.order_by("id")[:200])


def age_days(found: Round) -> tuple[dt.date, dt.date]:
    """Between which birthdays a child enters: full years by 31 August of the year (义务教育法 art. 11)."""
    youngest, oldest = scheme_of(found).born
    first = dt.date(found.year - oldest - 1, 9, 1)
    return first, dt.date(found.year - youngest, 8, 31)


def seats_of(viewer: Actor, allotment: Allotment) -> models.QuerySet[Seat]:
    """What an allotment says of everybody, by rank, for the round's officers."""
    viewer.require(READ, allotment.round.department)
    rows = allotment.seats.select_related("registration__child", "school")
    return rows.order_by("registration__rank")


def secret_of(viewer: Actor, found: Round) -> str:
    """The lots' secret, which everybody may know once the ranking is published; empty before."""
    if found.ranked_at is None:
        return ""
    return audit.decrypt(found.secret, USE).decode()


def now() -> dt.datetime:
    """This moment in the city's time."""
    return timezone.localtime()


def step_of(viewer: Actor, case: Case | None) -> WorkItem | None:
    """The open step of a case that the viewer may do."""
    if case is None or case.state == Case.CLOSED:
        return None
    for item in case.items.filter(done_at=None).select_related("department", "case__path"):
        if item.permission and viewer.may(item.permission, item.department):
            return item
    return None


def department_of(viewer: Actor, slug: str) -> Party | None:
    """A department by its slug."""
    return Party.objects.filter(kind=Party.DEPARTMENT, slug=slug).first()
