"""Own: a guardian's children, registrations, counted lines, results with their reasons."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Event, Grant, Party

from ..models import Registration, Round, School
from ..rules import calendar
from ..rules.points import Known, Line
from . import rounds
from .rounds import USE

SCOPE = "apply"
_WITH = ("round__department", "round__case", "child", "guardian", "case__path", "school")


def children(viewer: Actor) -> list[Party]:
    """Those under eighteen for whom the viewer may apply today as guardian."""
    if viewer.party is None:
        return []
    return [
        a.principal
        for a in identity.agencies(viewer.party)
        if a.kind == "guardian" and identity.may_act(viewer.party, a.principal, SCOPE)
    ]


def born(child: Party) -> dt.date | None:
    """A child's birthday by its proven number; None where none is on record."""
    return birthday(identity.number_of(child))


def birthday(number: str) -> dt.date | None:
    """The birthday that a citizen number says; None where it says none."""
    try:
        return dt.datetime.strptime(number[6:14], "%Y%m%d").date()  # noqa: DTZ007 - a day, no moment
    except ValueError:
        return None


@dataclass(frozen=True)
class Child:
    """One child of the viewer's, and why it cannot enter a round (empty: it can)."""

    party: Party
    problem: str
    there: Registration | None = None


def entrants(viewer: Actor, found: Round) -> list[Child]:
    """The viewer's children with what stands in the way of entering a round."""
    first, last = rounds.age_days(found)
    known = {r.child_id: r for r in mine(viewer).filter(round=found, out_at=None)}
    out = []
    for child in children(viewer):
        day = born(child)
        problem = (
            calendar.age_problem(day, first, last)
            if day is not None
            else "没有孩子的公民身份号码，请先在“我的代办”中登记"
        )
        out.append(Child(child, problem, known.get(child.pk)))
    return out


def mine(viewer: Actor) -> models.QuerySet[Registration]:
    """The viewer's registrations, newest first."""
    rows = Registration.objects.select_related(*_WITH).order_by("-id")
    return rows.filter(guardian=viewer.party) if viewer.party is not None else rows.none()


def one(viewer: Actor, code: str) -> Registration | None:
    """A registration of the viewer's; None alike for another's and for one that does not exist."""
    return mine(viewer).filter(code=code).first()


def application_of(viewer: Actor, row: Registration) -> Any:
    """The hall's application behind a registration; None for one entered at a counter."""
    return next(iter(hall.of_bundle(row.ref, viewer)), None)


def opened(row: Registration) -> dict[str, Any]:
    """What is sealed of a registration: facts by name, lines; empty before the points were counted."""
    if not row.sealed:
        return {"facts": {}, "lines": []}
    return dict(json.loads(audit.decrypt(row.sealed, USE)))


def facts_of(row: Registration) -> dict[str, Known]:
    """The facts on which a registration's points rest."""
    return {name: Known(**told) for name, told in opened(row)["facts"].items()}


def lines_of(viewer: Actor, row: Registration) -> list[Line]:
    """The counted lines of a registration; who may see it was judged by the caller."""
    return [Line.of(told) for told in opened(row)["lines"]]


def consents(viewer: Actor, row: Registration) -> dict[str, Grant]:
    """The consents in force of a registration's application, by the name of the register."""
    found = Grant.objects.filter(
        kind="hall", grantor=row.guardian_id, terms__application=row.application
    )
    out = {}
    for grant in found:
        kind, _, name = str(grant.terms.get("source", "")).partition(":")
        if kind == "dataset" and grant.in_force():
            out[name] = grant
    return out


@dataclass(frozen=True)
class Asked:
    """A review that was asked for: its line, case, and what was answered."""

    line: str
    case: Case
    answer: str


def reviews(viewer: Actor, row: Registration) -> list[Asked]:
    """The reviews of a registration's lines, oldest first."""
    cases = Case.objects.filter(subject=row.ref, path__key=rounds.REVIEW).order_by("id")
    out = []
    for case in cases:
        last = case.items.exclude(done_at=None).order_by("-id").first()
        out.append(Asked(str(case.data["line"]), case, last.note if last else ""))
    return out


@dataclass(frozen=True)
class Wish:
    """One wish in order with what became of it, in words."""

    place: int
    school: School
    words: str = ""
    got: bool = False
    wait: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a published allotment says to one family: school or none, reasons, place on waiting lists."""

    turn: int
    school: School | None
    words: str
    wishes: tuple[Wish, ...]
    rank: int | None


def wishes(viewer: Actor, row: Registration) -> list[Wish]:
    """The schools that a registration wishes for, in order."""
    known = {s.pk: s for s in row.round.schools.all()}
    return [Wish(at, known[pk]) for at, pk in enumerate(row.wishes, 1) if pk in known]


def choosable(viewer: Actor, row: Registration) -> list[tuple[School, bool, int]]:
    """Schools that a child may wish for: whether it lives in the catchment, how many places are left."""
    scheme, left = rounds.scheme_of(row.round), rounds.left(viewer, row.round)
    out = []
    for school in row.round.schools.all():
        inside = in_area(school, row.town)
        if scheme.areas == "only" and school.towns and not inside:
            continue
        if row.round.turn > 1 and not left.get(school.pk, 0):
            continue
        out.append((school, inside, left.get(school.pk, 0)))
    return sorted(out, key=lambda told: (not told[1], told[0].name, told[0].pk))


def in_area(school: School, town: str) -> bool:
    """Whether a town lies in a school's catchment."""
    return bool(town) and any(town.startswith(code) for code in school.towns)


def siblings(viewer: Actor, row: Registration) -> list[Registration]:
    """Other children of the same guardian in the same round."""
    same = Registration.objects.filter(round=row.round, guardian=row.guardian, out_at=None)
    return list(same.exclude(filed_at=None).exclude(pk=row.pk).select_related("child"))


def outcome(viewer: Actor, row: Registration) -> Outcome | None:
    """What the newest published allotment says of a registration; None before there is one."""
    seat = (
        row.seats.exclude(allotment__published_at=None)
        .select_related("allotment", "school")
        .order_by("-allotment__turn")
        .first()
    )
    if seat is None:
        return None
    lines = {int(told["school"]): told for told in seat.allotment.lines}
    known = {s.pk: s for s in row.round.schools.all()}
    told = []
    for at, pk in enumerate(seat.wishes, 1):
        if pk not in known:
            continue
        got = seat.school_id == pk
        wait = seat.waits.get(str(pk))
        told.append(Wish(at, known[pk], _reason(row, known[pk], lines.get(pk), got), got, wait))
        if got:
            break
    return Outcome(
        seat.allotment.turn, seat.school, _words(row, seat, lines), tuple(told), row.rank
    )


def _points(told: Mapping[str, Any]) -> str:
    return f"{Decimal(str(told['points'])).normalize():f}" if told.get("points") is not None else ""


def _reason(row: Registration, school: School, line: Mapping[str, Any] | None, got: bool) -> str:
    if line is None:
        return ""
    where = "施教区外" if line["outside"] else ("施教区内" if line["areas"] else "")
    cut = f"录取线 {_points(line)} 分（{where}第 {line['rank']} 名）" if line["rank"] else ""
    if got:
        return f"您第 {row.rank} 名，{cut}，已录取" if cut else "已录取"
    if not line["places"]:
        return "这次没有学位"
    if line["areas"] and not line["outside"] and line["rank"] and not in_area(school, row.town):
        return f"您第 {row.rank} 名；学位由施教区内的孩子录满，{cut}"
    return f"您第 {row.rank} 名，{cut}，没有达到"


def _words(row: Registration, seat: Any, lines: Mapping[int, Mapping[str, Any]]) -> str:
    if seat.school is None:
        return f"第 {row.rank} 名，所填志愿都没有学位" if seat.wishes else "没有填报志愿"
    line = lines.get(seat.school_id)
    cut = f"，录取线 {_points(line)} 分" if line and line["rank"] else ""
    return f"第 {row.rank} 名{cut}，第 {seat.wish} 志愿录取"


def happened(viewer: Actor, row: Registration) -> list[Event]:
    """What happened to a registration, oldest first."""
    refs = [row.ref, *([row.case.ref] if row.case is not None else [])]
    return list(Event.objects.filter(subject__in=refs).order_by("id")[:100])
