"""Officers: registrations of a round with names masked, cases of reviews and objections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Case, Party

from ..models import Registration, Round
from ..rules.points import Line
from . import own, rounds

REVIEW = "enrolment.review"


def registrations(viewer: Actor, found: Round) -> models.QuerySet[Registration]:
    """Filed registrations of a round for officers of its department."""
    viewer.require(rounds.READ, found.department)
    rows = found.registrations.exclude(filed_at=None)
    return rows.select_related("child", "school", "case").order_by("number")


def masked(party: Party) -> str:
    """A name as officers' lists show it."""
    return str(mask_value("name", party.name))


def of_case(viewer: Actor, case: Case) -> Registration | None:
    """The registration that a case is about: its own, or the one a review or objection names."""
    rows = Registration.objects.select_related("round__department", "child", "guardian", "case")
    ref = case.subject.partition(":")[2]
    return rows.filter(models.Q(case=case) | models.Q(code=ref)).first()


def case_of(viewer: Actor, code: str) -> Case | None:
    """A case of this capability that the viewer may see; None for others."""
    case = Case.objects.select_related("path", "department", "applicant").filter(code=code).first()
    if case is None:
        return None
    keys = ("enrolment_round", "enrolment_application", rounds.REVIEW, rounds.OBJECTION)
    if case.key not in keys:
        return None
    if any(viewer.may(p, case.department) for p in (rounds.READ, REVIEW)):
        return case
    return None


def review_cases(viewer: Actor) -> models.QuerySet[Case]:
    """Reviews at the viewer's departments, the open ones first."""
    viewer.require(REVIEW)
    scope = viewer.departments(REVIEW)
    rows = Case.objects.filter(path__key=rounds.REVIEW).select_related("department", "path")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    return rows.order_by("-state", "-id")


def objections(viewer: Actor, found: Round) -> models.QuerySet[Case]:
    """Objections to a round's list."""
    viewer.require(rounds.READ, found.department)
    rows = Case.objects.filter(path__key=rounds.OBJECTION, data__round=found.code)
    return rows.select_related("department", "path").order_by("-id")


@dataclass(frozen=True)
class Seen:
    """A registration as an officer sees it: masked names, lines, the hall's materials."""

    row: Registration
    child: str
    guardian: str
    lines: list[Line]
    shown: Any | None


def seen(viewer: Actor, row: Registration, line: str = "") -> Seen:
    """What an officer reads of a registration: all of it for its bureau, one line for who holds its data.

    The reading is on record and the family sees it. Raises Denied.
    """
    whole = viewer.may(rounds.READ, row.round.department)
    if not whole and not line:
        raise Denied("您没有查看这份登记的权限")
    lines = own.lines_of(viewer, row)
    numbers = identity.numbers_of([row.guardian_id, row.child_id])
    audit.record_reading(
        by=viewer,
        resource="enrolment.registration",
        people=list(numbers.values()),
        purpose=f"“{row.round.title}”：{'核查登记' if whole else '复核一项积分'}",
    )
    shown = None
    if whole and row.case is not None and viewer.may("hall.read", row.round.department):
        shown = hall.application_of(row.case, viewer)
    return Seen(
        row,
        masked(row.child),
        masked(row.guardian),
        lines if whole else [one for one in lines if one.id == line],
        shown,
    )
