"""Notices: simplified cancellations that the public may object to, and who has."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, WorkItem

from ..models import Notice, Objection
from .changes import CANCELLATION

STEP = "notice"


def notices(viewer: Actor) -> QuerySet[Notice]:
    """All notices, public; the newest first."""
    del viewer
    return Notice.objects.select_related("case").order_by("-begins_on", "-id")


def notice(viewer: Actor, number: int) -> Notice | None:
    """One notice."""
    return notices(viewer).filter(pk=number).first()


def notice_of(case: Case) -> Notice | None:
    """The notice of a case."""
    return Notice.objects.filter(case=case).first()


@dataclass(frozen=True)
class Shown:
    """A notice as the public sees it."""

    notice: Notice
    words: str
    tone: str
    open: bool


def shown(notice: Notice, today: dt.date) -> Shown:
    """How a notice stands today: objections are taken until its last day is over."""
    if notice.ended_at is not None:
        tone = "green" if notice.outcome == "clear" else "amber"
        return Shown(notice, notice.get_outcome_display(), tone, False)
    if notice.case.state == Case.CLOSED:
        return Shown(notice, "已终止公示", "grey", False)
    if today > notice.ends_on:
        return Shown(notice, "公示期满", "grey", False)
    return Shown(notice, "公示中", "blue", True)


def objections(viewer: Actor, notice: Notice) -> QuerySet[Objection]:
    """Objections to a notice that were not taken back."""
    viewer.require("registration.read")
    return notice.objections.filter(withdrawn_at=None).select_related("by", "department")


def own_objection(viewer: Actor, notice: Notice) -> Objection | None:
    """What the viewer has objected, the newest."""
    if viewer.party is None:
        return None
    return notice.objections.filter(by=viewer.party).order_by("-id").first()


def objector_kinds() -> list[tuple[str, str]]:
    """As what one may object."""
    return list(Objection.KINDS)


def unpublished(viewer: Actor, limit: int = 200) -> list[Case]:
    """Cases that have come to their notice and have none yet."""
    del viewer
    rows = WorkItem.objects.filter(
        step=STEP, done_at=None, case__state=Case.OPEN,
        case__subject=f"item:{CANCELLATION}",
    ).exclude(case__in=Notice.objects.values("case"))  # fmt: skip
    return [w.case for w in rows.select_related("case").order_by("id")[:limit]]


def due(viewer: Actor, today: dt.date | None = None, limit: int = 200) -> list[Notice]:
    """Notices whose last day is over and that were not ended yet."""
    del viewer
    rows = Notice.objects.filter(
        Q(ends_on__lt=today or timezone.localdate()), ended_at=None, case__state=Case.OPEN
    )
    return list(rows.select_related("case").order_by("id")[:limit])


__all__ = [
    "STEP",
    "Shown",
    "due",
    "notice",
    "notice_of",
    "notices",
    "objections",
    "objector_kinds",
    "own_objection",
    "shown",
    "unpublished",
]
