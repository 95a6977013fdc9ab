"""Desk: what officers read: the list of their items, one with its checks, reviews, imports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import work_items
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, Party, WorkItem

from ..models import ItemImport, ItemVersion, Listing
from ..rules.checks import ERROR, Finding, check
from ..rules.item import BadItem, Item, read
from .around import around, departments, known

PATH = "publish_item"
_EDITORS = ("items.edit", "items.sign", "items.retire")


def _mine(viewer: Actor) -> Q:
    if viewer.everything:
        return Q()
    seen = Q(pk=None)
    for permission in _EDITORS:
        scope = viewer.departments(permission)
        if scope is None:
            return Q()
        seen |= Q(department_id__in=scope)
    if viewer.may("items.review"):
        return Q()
    return seen


def rows(viewer: Actor) -> QuerySet[Listing]:
    """The items of the viewer's departments; every item for who reviews them."""
    viewer.require("items.read")
    return Listing.objects.filter(_mine(viewer)).select_related("department", "case")


def for_department(viewer: Actor, permission: str = "items.edit") -> list[Party]:
    """The departments for which the viewer holds the permission."""
    scope = viewer.departments(permission)
    found = Party.objects.filter(kind=Party.DEPARTMENT, active=True)
    return list(found if scope is None else found.filter(pk__in=scope))


def look_up(viewer: Actor, code: str) -> Listing:
    """One of the viewer's items; raises UserError."""
    row = rows(viewer).filter(code=code).first()
    if row is None:
        raise UserError("没有这个事项，或不属于您的部门")
    return row


def exists(viewer: Actor, code: str) -> bool:
    """Whether the viewer's list has this item."""
    return rows(viewer).filter(code=code).exists()


def faults_of(viewer: Actor, content: dict[str, Any] | None) -> tuple[Item | None, list[Finding]]:
    """An item of a content with everything that is wrong with it; unreadable: one finding."""
    parties = departments(viewer)
    if content is None:
        return None, []
    try:
        item = read(content, around(parties))
    except (BadItem, ValueError, TypeError, KeyError) as error:
        return None, [Finding("内容", str(error))]
    found = check(item, known(viewer, parties))
    return item, sorted(found, key=lambda f: f.severity != ERROR)


def content_of(row: Listing) -> dict[str, Any]:
    """The content that an officer works on: the copy in work, else what is published."""
    return row.draft or row.content or {}


def last_saved(viewer: Actor, row: Listing) -> Event | None:
    """Who saved the copy in work last, and when; None where nobody has."""
    viewer.require("items.read", row.department)
    kinds = ("item.drafted", "item.changed", "item.published")
    return timeline(row).filter(kind__in=kinds).order_by("-id").first()


@dataclass(frozen=True)
class Detail:
    """One item as its officers see it."""

    row: Listing
    item: Item | None
    findings: list[Finding]
    published: Item | None
    versions: list[ItemVersion]
    events: list[Event]
    in_review: bool
    may_edit: bool
    may_retire: bool


def detail(viewer: Actor, code: str) -> Detail:
    """One item with its checks, versions and history; raises UserError."""
    row = look_up(viewer, code)
    item, findings = faults_of(viewer, content_of(row))
    published = None
    if row.draft is not None and row.content is not None:
        published, _ = faults_of(viewer, row.content)
    under_review = row.case is not None and row.case.state != Case.CLOSED
    return Detail(
        row,
        item,
        findings,
        published,
        list(row.versions.select_related("by")[:50]),
        list(Event.objects.filter(subject=row.ref).order_by("-id")[:50]),
        under_review,
        viewer.may("items.edit", row.department) and not under_review,
        viewer.may("items.retire", row.department),
    )


@dataclass(frozen=True)
class Review:
    """One review step: the item as submitted, beside what is published."""

    work: WorkItem
    row: Listing
    item: Item
    findings: list[Finding]
    before: Item | None


def review_desk(viewer: Actor) -> list[WorkItem]:
    """Items waiting for this officer's decision."""
    return list(work_items(viewer).filter(case__path__key=PATH)[:200])


def cases_of(viewer: Actor) -> list[Case]:
    """Reviews of the viewer's departments that are under way."""
    codes = rows(viewer).exclude(case=None).values_list("case_id", flat=True)
    return list(Case.objects.filter(pk__in=codes).exclude(state=Case.CLOSED)[:200])


def review(viewer: Actor, number: int) -> Review:
    """One open review step of the viewer's; raises UserError."""
    work = work_items(viewer).filter(case__path__key=PATH, pk=number).first()
    if work is None:
        raise UserError("没有这一审核环节，或已由他人办理")
    row = Listing.objects.select_related("department").filter(case=work.case).first()
    if row is None or row.draft is None:
        raise UserError("事项已不在审核中")
    item, findings = faults_of(viewer, row.draft)
    before, _ = faults_of(viewer, row.content)
    if item is None:
        raise UserError("；".join(f.text for f in findings))
    return Review(work, row, item, findings, before)


def place_of_case(viewer: Actor, code: str) -> tuple[int | None, str]:
    """(the open step of a case if it is the viewer's to do, the item's code); raises UserError."""
    work = work_items(viewer).filter(case__path__key=PATH, case__code=code).first()
    case = Case.objects.filter(path__key=PATH, code=code).first()
    if case is None:
        raise UserError("没有这个办件")
    return (work.pk if work is not None else None), case.subject.removeprefix("item:")


def to_export(viewer: Actor, chosen: QuerySet[Listing] | None = None) -> Iterator[Item]:
    """The items that an export writes: the copy in work where there is one, else the published."""
    lean = around(departments(viewer))
    for row in (rows(viewer) if chosen is None else chosen).iterator(chunk_size=500):
        try:
            yield read(content_of(row), lean)
        except BadItem:
            continue


def imports(viewer: Actor) -> list[ItemImport]:
    """Earlier imports of the viewer's departments, the newest first."""
    scope = viewer.departments("items.edit")
    found = ItemImport.objects.defer("file", "report").select_related("by")
    return list((found if scope is None else found.filter(department_id__in=scope))[:20])


def import_of(viewer: Actor, code: str) -> ItemImport:
    """One import; raises UserError."""
    scope = viewer.departments("items.edit")
    found = ItemImport.objects.defer("file").filter(code=code)
    row = (found if scope is None else found.filter(department_id__in=scope)).first()
    if row is None:
        raise UserError("没有这次导入")
    return row
