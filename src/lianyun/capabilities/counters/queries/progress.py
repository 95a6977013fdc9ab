"""Progress: how a case stands, for whoever knows its number and the end of the applicant's own."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case

LAST = 4
STATES = {Case.OPEN: ("办理中", "blue"), Case.SUSPENDED: ("中止计时", "amber")}
ENDS = {
    "granted": ("已办结：准予", "green"),
    "refused": ("已办结：不予", "red"),
    "withdrawn": ("已撤回", "grey"),
}


@dataclass(frozen=True)
class Progress:
    """What a terminal tells: no name, nothing of the form."""

    item: str
    department: str
    words: str
    tone: str
    filed_on: dt.date | None
    due_on: dt.date | None
    number: str
    """The applicant's number, for the record of the reading; never shown."""


def progress(viewer: Actor, code: str, last: str) -> Progress | None:
    """A case by its number, if `last` are the last four of the applicant's own number; else None."""
    del viewer  # two things that only the applicant has at hand together
    found = (
        hall.Application.objects.filter(case__code=code.strip())
        .select_related("case", "applicant", "department")
        .first()
    )
    if found is None or found.case is None:
        return None
    number = identity.number_of(found.applicant) or (found.applicant.code or "")
    given = last.strip().upper()
    if len(given) != LAST or not secrets.compare_digest(number[-LAST:].encode(), given.encode()):
        return None
    case = found.case
    words, tone = STATES.get(case.state) or ENDS.get(case.outcome, ("已办结", "grey"))
    return Progress(
        found.item_name,
        found.department.name,
        words,
        tone,
        timezone.localdate(found.filed_at) if found.filed_at else None,
        found.due_on if case.state != Case.CLOSED else None,
        number,
    )


__all__ = ["LAST", "Progress", "progress"]
