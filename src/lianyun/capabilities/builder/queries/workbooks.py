"""Workbooks: services being made, for who makes, signs or reviews them; their history and reviews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import work_items
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, Party, WorkItem

from ..models import Rehearsal, Revision, Workbook
from ..rules import content as parts

PATH = "publish_service"
_OWN = ("builder.edit", "builder.sign")


def rows(viewer: Actor) -> QuerySet[Workbook]:
    """The workbooks of the viewer's departments; all of them for who reviews."""
    viewer.require("builder.read")
    found = Workbook.objects.select_related("department", "case", "made_by").defer("content")
    if viewer.everything or viewer.may("builder.review"):
        return found
    wanted = Q(pk=None)
    for permission in _OWN:
        scope = viewer.departments(permission)
        if scope is None:
            return found
        wanted |= Q(department_id__in=scope)
    return found.filter(wanted)


def find(viewer: Actor, code: str) -> Workbook:
    """One of the viewer's workbooks with its content; raises UserError."""
    row = rows(viewer).defer(None).filter(code=code).first()
    if row is None:
        raise UserError("没有这个服务草案，或不属于您的部门")
    return row


def actor_departments(viewer: Actor) -> list[Party]:
    """The departments for which the viewer may make services."""
    scope = viewer.departments("builder.edit")
    found = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
    return list(found if scope is None else found.filter(pk__in=scope))


def in_review(row: Workbook) -> bool:
    """Whether a review of this workbook is running."""
    return row.case is not None and row.case.state != Case.CLOSED


def history(viewer: Actor, row: Workbook) -> list[Revision]:
    """The saves of a workbook, the newest first, at most 200; their contents stay in the database."""
    viewer.require("builder.read")
    return list(row.revisions.select_related("by").defer("content")[:200])


def content_at(viewer: Actor, row: Workbook, number: int) -> dict[str, Any]:
    """The whole content as it stood after a save; raises UserError."""
    viewer.require("builder.read")
    found = row.revisions.filter(number=number, aside=False).first()
    if found is None:
        raise UserError("没有这一次修订")
    return dict(found.content)


def clash(viewer: Actor, row: Workbook, number: int) -> Revision:
    """Words of the viewer's own that met another's save and were laid aside; raises UserError."""
    viewer.require("builder.read")
    found = row.revisions.select_related("by").filter(pk=number, aside=True).first()
    if found is None:
        raise UserError("没有这份未并入的修改")
    return found


def saved_as(viewer: Actor, row: Workbook, number: int) -> Revision | None:
    """One save, without its content."""
    viewer.require("builder.read")
    found = row.revisions.select_related("by").filter(aside=False, number=number)
    return found.defer("content").first()


def running(viewer: Actor, row: Workbook) -> int:
    """How many applications for a service are under way."""
    viewer.require("builder.read")
    return Case.objects.filter(subject=f"item:{row.code}").exclude(state=Case.CLOSED).count()


def withdrawal(viewer: Actor, row: Workbook) -> Event | None:
    """When, by whom and why a service was taken down; None while it is offered."""
    viewer.require("builder.read")
    if row.withdrawn_at is None:
        return None
    return timeline(row.ref).filter(kind="workbook.withdrawn").order_by("-id").first()


def digests(viewer: Actor, row: Workbook) -> dict[str, int]:
    """What the newest hundred revisions said, as digests, each with its (newest) number."""
    viewer.require("builder.read")
    rows = row.revisions.filter(aside=False).order_by("-number")[:100]
    return {parts.digest(r.content, row.code): r.number for r in reversed(rows)}


def open_asides(viewer: Actor, row: Workbook) -> list[Revision]:
    """Words that were laid aside and not yet decided about, the newest first."""
    viewer.require("builder.read")
    found = row.revisions.filter(aside=True, settled_at=None).exclude(places=[])
    return list(found.select_related("by").defer("content")[:20])


def editors_since(viewer: Actor, row: Workbook) -> set[int]:
    """Parties who saved something since the service was published last: none of them agrees to it."""
    viewer.require("builder.read")
    saved = row.revisions.filter(aside=False, number__gt=row.live).exclude(by=None)
    return set(saved.values_list("by_id", flat=True))


def rehearsal(viewer: Actor, row: Workbook) -> Rehearsal | None:
    """The viewer's own try of a workbook."""
    if viewer.party is None:
        return None
    return Rehearsal.objects.filter(workbook=row, by=viewer.party).first()


def reviews(viewer: Actor) -> list[WorkItem]:
    """Services waiting for this officer's decision."""
    return list(work_items(viewer).filter(case__path__key=PATH)[:200])


@dataclass(frozen=True)
class Review:
    """One review step: the workbook, what is to be published, what is live now."""

    work: WorkItem
    row: Workbook
    content: dict[str, Any]
    before: dict[str, Any] | None
    revision: int


def seen(viewer: Actor, row: Workbook) -> bool:
    """Whether the viewer may change a workbook now."""
    return viewer.may("builder.edit", row.department) and not in_review(row)


def review(viewer: Actor, number: int) -> Review:
    """One open review step of the viewer's; raises UserError."""
    work = work_items(viewer).filter(case__path__key=PATH, pk=number).first()
    if work is None:
        raise UserError("没有这一审核环节，或已由他人办理")
    row = Workbook.objects.select_related("department", "case").filter(case=work.case).first()
    if row is None:
        raise UserError("服务草案已不在审核中")
    revision = int(work.case.data.get("revision") or row.number)
    before = row.revisions.filter(number=row.live, aside=False).first() if row.live else None
    return Review(
        work,
        row,
        content_at(viewer, row, revision),
        dict(before.content) if before else None,
        revision,
    )


def place_of_case(viewer: Actor, code: str) -> tuple[int | None, str]:
    """(the open step of a case if it is the viewer's to do, the workbook's code); raises UserError."""
    case = Case.objects.filter(path__key=PATH, code=code).first()
    if case is None:
        raise UserError("没有这个办件")
    work = work_items(viewer).filter(case=case).first()
    return (work.pk if work else None), case.subject.removeprefix("workbook:")
