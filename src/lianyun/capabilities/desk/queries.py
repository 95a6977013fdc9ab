"""Queries: officers' pool by lamp, one case with all that its officer needs, the archive of cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, Denied, roles
from lianyun.kernel.case import work_items
from lianyun.kernel.clock import calendar
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Decision, Event, Membership, Party, Pause, WorkItem

from . import rules

SUBJECT = "item:"
MINE = ("receive", "recheck", "settle", "settle_again", "review", "review_again", "decide")


def settings() -> dict[str, Any]:
    """Lamps, pauses, extension and remedies as packs/core/desk.yaml declares them."""
    return packs.mapping("core", "desk.yaml")


def yellow() -> int:
    """How many working days before its day a step turns yellow."""
    return int(settings()["lamps"]["yellow"])


def yellow_until(today: dt.date | None = None) -> dt.date:
    """The last due day that is yellow today."""
    return calendar().deadline(today or timezone.localdate(), yellow())[0]


def lamp_of(item: WorkItem) -> str:
    """The lamp of a work item now."""
    paused = item.case.state == Case.SUSPENDED
    return rules.lamp(item.days_left, paused=paused, yellow=yellow())


def with_lamp(rows: models.QuerySet[WorkItem], lamp: str) -> models.QuerySet[WorkItem]:
    """Those work items on which this lamp burns today."""
    today, edge = timezone.localdate(), yellow_until()
    if lamp == rules.PAUSED:
        return rows.filter(case__state=Case.SUSPENDED)
    running = rows.exclude(case__state=Case.SUSPENDED)
    match lamp:
        case rules.RED:
            return running.filter(due_on__lt=today)
        case rules.YELLOW:
            return running.filter(due_on__gte=today, due_on__lte=edge)
        case rules.GREEN:
            return running.filter(due_on__gt=edge)
    return running.filter(due_on=None)


def counts(rows: models.QuerySet[WorkItem]) -> dict[str, int]:
    """How many work items burn in which lamp, in one statement."""
    today, edge = timezone.localdate(), yellow_until()
    runs = ~Q(case__state=Case.SUSPENDED)
    told: dict[str, int] = rows.order_by().aggregate(
        all=models.Count("case_id"),
        red=models.Count("case_id", filter=runs & Q(due_on__lt=today)),
        yellow=models.Count("case_id", filter=runs & Q(due_on__gte=today, due_on__lte=edge)),
        green=models.Count("case_id", filter=runs & Q(due_on__gt=edge)),
        paused=models.Count("case_id", filter=Q(case__state=Case.SUSPENDED)),
    )
    return told


def queue(viewer: Actor) -> models.QuerySet[WorkItem]:
    """Open steps of applications that the viewer may do, the most urgent first."""
    viewer.require("desk.read")
    rows = work_items(viewer).filter(case__subject__startswith=SUBJECT)
    return rows.filter(permission__startswith="desk.").select_related(
        "assignee", "case__department"
    )


def with_urges(viewer: Actor, rows: models.QuerySet[WorkItem]) -> models.QuerySet[WorkItem]:
    """Work items of the viewer's that know whether their application was urged (`urged`)."""
    viewer.require("desk.read")
    urges = Event.objects.filter(case_id_ref=models.OuterRef("case_id"), kind="case.urged")
    return rows.annotate(urged=models.Exists(urges))


def stood_in_for(viewer: Actor) -> list[int]:
    """Ids of the persons on leave whose posts the viewer fills today."""
    if viewer.party is None:
        return []
    today = timezone.localdate()
    return [
        c.absent_id
        for c in identity.covers(viewer, viewer.party)
        if c.deputy_id == viewer.party.pk and c.ended_at is None and c.since <= today <= c.until
    ]


def mine(viewer: Actor) -> models.QuerySet[WorkItem]:
    """Steps that the viewer, or somebody on leave whose posts the viewer fills, has claimed."""
    if viewer.party is None:
        return queue(viewer).none()
    return queue(viewer).filter(assignee__in=[viewer.party.pk, *stood_in_for(viewer)])


def item_choices(viewer: Actor) -> list[tuple[str, str]]:
    """The items that wait in the viewer's pool, for the filter."""
    told = (
        queue(viewer)
        .order_by()
        .values_list("case__subject", "case__data__item_name")
        .distinct()[:300]
    )
    return sorted((c, name or c.removeprefix(SUBJECT)) for c, name in told)


def item_title(code: str) -> str:
    """An item's name by its code; the code itself where it is not published (any more)."""
    found = items.find(code)
    return found.name if found is not None else code


def cases(viewer: Actor) -> models.QuerySet[Case]:
    """Applications of the viewer's departments: led by them, or with a step at their desk."""
    viewer.require("desk.read")
    rows = Case.objects.filter(subject__startswith=SUBJECT).select_related(
        "path", "department", "applicant"
    )
    scope = viewer.departments("desk.read")
    if scope is None:
        return rows
    # Asked of each row by itself: of one matter nothing else is read.
    at_desk = _at_desk(scope).filter(case_id=models.OuterRef("pk"))
    return rows.filter(Q(department_id__in=scope) | models.Exists(at_desk))


def _at_desk(scope: frozenset[int]) -> models.QuerySet[WorkItem]:
    return WorkItem.objects.filter(department_id__in=scope, permission__startswith="desk.")


def archived(viewer: Actor) -> models.QuerySet[Case]:
    """The same applications for lists: found by the departments, not by walking all there are."""
    scope = viewer.departments("desk.read")
    if scope is None:
        return cases(viewer)
    rows = Case.objects.filter(subject__startswith=SUBJECT, pk__in=_numbers(scope))
    return rows.select_related("path", "department", "applicant")


def _numbers(scope: frozenset[int]) -> Any:
    """The numbers of what these departments lead or had at a desk; read from indexes alone."""
    led = Case.objects.filter(department_id__in=scope).order_by().values_list("id")
    return led.union(_at_desk(scope).order_by().values_list("case_id"))


COUNTED = 5_000
"""So many of the newest applications are counted on a page; a longer time is a report's affair."""


def newest(viewer: Actor, rows: models.QuerySet[Case] | None = None) -> models.QuerySet[Case]:
    """The newest of these applications, of all the archive's without: those that a page counts."""
    viewer.require("desk.read")
    scope = viewer.departments("desk.read")
    if rows is None and scope is not None:
        told = _numbers(scope).order_by("-id")
    else:
        told = (cases(viewer) if rows is None else rows).order_by("-id").values_list("id")
    found = [number for (number,) in told[:COUNTED]]
    # One array: so many numbers as parameters of their own cost more than the question.
    rows = Case.objects.filter(subject__startswith=SUBJECT)
    return rows.extra(where=['"kernel_case"."id" = ANY(%s)'], params=[found])


def case_of(viewer: Actor, code: str) -> Case:
    """One application that the viewer may see; raises Denied, alike for unknown ones."""
    found = cases(viewer).filter(code=code).first()
    if found is None:
        raise Denied("没有这个办件，或者它不由您所在的部门办理")
    return found


def item_of(viewer: Actor, number: int) -> WorkItem:
    """One step of an application that the viewer may see; raises Denied."""
    row = (
        WorkItem.objects.filter(pk=number, case__in=cases(viewer))
        .select_related("case__path", "case__department", "department", "assignee")
        .first()
    )
    if row is None:
        raise Denied("没有这个环节，或者它不由您所在的部门办理")
    return row


def colleagues(viewer: Actor, item: WorkItem) -> list[Party]:
    """Who else may do a step: officers in post today whose roles give its permission there."""
    names = [r.name for r in roles().values() if item.permission in r.permissions]
    wide = [r.name for r in roles().values() if r.name in names and r.scope == "all"]
    today = timezone.localdate()
    posts = Membership.objects.filter(role__in=names).filter(
        Q(since=None) | Q(since__lte=today), Q(until=None) | Q(until__gte=today)
    )
    posts = posts.filter(Q(department=item.department) | Q(role__in=wide))
    rows = Party.objects.filter(memberships__in=posts, active=True).distinct().order_by("name")
    if item.assignee_id is not None:
        rows = rows.exclude(pk=item.assignee_id)
    elif viewer.party is not None:
        rows = rows.exclude(pk=viewer.party.pk)
    return list(rows[:100])


QUIET = ("application.seen", "case.claimed", "case.handed_over")
"""Events after which an application is still as it was when an officer looked at it."""


def mark(viewer: Actor, case: Case) -> int:
    """The mark of an application as it stands now: the last event that changed it."""
    viewer.require("desk.read")
    rows = Event.objects.filter(case_id_ref=case.pk).exclude(kind__in=QUIET)
    return rows.order_by("-id").values_list("pk", flat=True).first() or 0


def marks(viewer: Actor, items: list[WorkItem]) -> list[int]:
    """The marks of many steps' applications, in their order; one query."""
    viewer.require("desk.read")
    rows = Event.objects.filter(case_id_ref__in=[i.case_id for i in items])
    found = dict(
        rows.exclude(kind__in=QUIET)
        .order_by()
        .values_list("case_id_ref")
        .annotate(models.Max("pk"))
        .values_list("case_id_ref", "pk__max")
    )
    return [found.get(i.case_id, 0) for i in items]


FREE, OWN, COVERED, OTHER = "free", "own", "covered", "other"


def holding(viewer: Actor, item: WorkItem) -> str:
    """Whose a step is to the viewer: nobody's, one's own, an absent colleague's whom the viewer
    stands in for, or another's."""
    if item.assignee_id is None:
        return FREE
    if viewer.party is not None and item.assignee_id == viewer.party.pk:
        return OWN
    return COVERED if item.assignee_id in stood_in_for(viewer) else OTHER


@dataclass(frozen=True)
class Folder:
    """A case as its officer sees it: steps, those the viewer may do now, pauses, what happened."""

    case: Case
    item_title: str
    items: list[WorkItem]
    to_do: list[WorkItem]
    pauses: list[Pause]
    events: list[Event]
    verdict: rules.Verdict
    answers: dict[str, Any]
    application: hall.Shown | None = None
    wanted: Wanted | None = None
    stood_in: dict[int, str] = field(default_factory=dict)
    """Steps that a deputy did: for whom."""
    newer_rules: int = 0
    """The version in force where the case was judged by an older one."""

    @property
    def paused(self) -> Pause | None:
        """The pause that holds the clock now."""
        return next((p for p in self.pauses if p.until is None), None)


def verdict_of(case: Case) -> rules.Verdict:
    """What the decision table said of an application; an empty verdict where none was asked."""
    said = case.data.get("verdict") or {}
    told = case.data.get("decided") or {}
    return rules.Verdict(
        str(said.get("result") or ""),
        tuple(str(r).rpartition("_")[2] for r in told.get("rules") or ()),
        str(said.get("reason") or "；".join(map(str, told.get("annotations") or ()))),
        str(told.get("title") or told.get("table") or ""),
        int(told.get("version") or 0),
    )


def newer_rules(case: Case) -> int:
    """The newest version of the table that judged a case by an older one, else 0 (ADR 0045)."""
    told = case.data.get("decided") or {}
    if not told.get("version"):
        return 0
    newest = Decision.objects.filter(key=told["table"]).aggregate(n=models.Max("version"))["n"]
    return newest if newest and newest > told["version"] else 0


def joint_of(case: Case) -> dict[str, Any]:
    """Departments' opinions on a case as one joint opinion; empty where nobody was asked."""
    told = case.data.get("opinion") or {}
    said = [
        {**a, "department": a.get("name") or a["department"]} for a in told.get("answers") or ()
    ]
    return {**rules.joint(said), "total": told.get("total", 0)} if said else {}


def application(viewer: Actor, case: Case) -> hall.Shown | None:
    """The application as its officer sees it (masked, the reading on record); None where there is none.

    Whoever may not read the hall's applications sees the case without them.
    """
    try:
        return hall.application_of(case, viewer)
    except Denied:
        return None


def clear(viewer: Actor, case: Case) -> dict[str, Any]:
    """An application's plain fields in clear, for whoever has to judge them; the reading is on record."""
    told = hall.answers(case, viewer)
    return {k: v for k, v in told.items() if isinstance(v, str | int | float)}


def filed(case: Case, viewer: Actor) -> bool:
    """Whether an application of the hall stands behind a case."""
    return bool(case.data.get("application")) and viewer.may("hall.read", case.department)


@dataclass(frozen=True)
class Wanted:
    """The licence that a case ends in: its type, the elements that are known, those that are not.

    `held` is the licence that is renewed in place of a new one; `wrong` why it cannot be today;
    `renewed` says that another application has renewed it already. `anothers`: the form names whose
    it will be; `ends` is the licence that ends with it.
    """

    kind: str
    title: str
    elements: dict[str, Any]
    lacking: tuple[tuple[str, str], ...] = ()
    held: licences.Licence | None = None
    wrong: str = ""
    renewed: bool = False
    anothers: bool = False
    ends: licences.Licence | None = None


def wanted(viewer: Actor, case: Case) -> Wanted | None:
    """What is to be issued at the end of a case; None where the result is no licence.

    The form's values are read in clear for it, which is on record. Raises Denied.
    """
    item = items.find(str(case.data.get("item") or ""), case.data.get("item_version") or None)
    if item is None or not item.result.licence:
        return None
    kind = licences.find_kind(item.result.licence)
    if kind is None:
        return None
    known = hall.answers(case, viewer) if filed(case, viewer) else {}
    if item.result.renews:
        return _renewal(viewer, case, item.result, kind, known)
    values = rules.licence_elements(
        kind.names,
        {**(case.data.get("facts") or {}), **known},
        item.result.elements,
        holder=(kind.holder_name, kind.holder_number),
        until=(kind.ends, item.result.days),
        today=timezone.localdate(),
    )
    # A type that numbers its licences itself is told neither number nor day; every other is.
    made = (kind.number, kind.issued, kind.begins) if kind.numbering else (kind.begins,)
    if not kind.numbering:
        values.setdefault(kind.issued, timezone.localdate().isoformat())
    lacking = tuple(
        (i.name, i.title)
        for i in kind.items
        if i.required and not values.get(i.name) and i.name not in made
    )
    ends, wrong = _ending(viewer, item.result, kind, known, values)
    anothers = kind.holder_number in item.result.elements
    return Wanted(kind.name, kind.title, values, lacking, wrong=wrong, anothers=anothers, ends=ends)


def _ending(
    viewer: Actor,
    result: Any,
    kind: licences.LicenceType,
    known: Mapping[str, Any],
    values: Mapping[str, Any],
) -> tuple[licences.Licence | None, str]:
    """The licence that ends with a case, and why it may not: it must be somebody's of this very form."""
    number = str(known.get(result.ends) or "") if result.ends else ""
    found = licences.numbered(kind.name, number, viewer) if number else None
    if found is None:
        return None, ""
    named = {v for v in known.values() if isinstance(v, str)} - {values.get(kind.holder_number)}
    if not any(licences.belongs_to(found, n) for n in named):
        return None, f"编号“{number}”的{kind.title}不属于申请表中的当事人，请核对"
    return found, ""


def _renewal(
    viewer: Actor, case: Case, result: Any, kind: licences.LicenceType, known: Mapping[str, Any]
) -> Wanted:
    """What changes of the licence that the applicant holds: its end, and what the item names.

    A form's other answers change nothing: who renews keeps address and number.
    """
    held = licences.current(kind.name, case.applicant, viewer) if case.applicant else None
    if held is None or held.ends_on is None:
        return Wanted(kind.name, kind.title, {}, wrong=f"申请人名下没有可以延续的{kind.title}")
    today = timezone.localdate()
    if rules.too_early(held.ends_on, today, result.early):
        return Wanted(kind.name, kind.title, {}, held=held, renewed=True)
    told = {name: known[field] for name, field in result.elements.items() if known.get(field)}
    ends = rules.renewed_until(held.ends_on, today, int(result.days or 365))
    return Wanted(
        kind.name,
        kind.title,
        {**told, kind.issued: today.isoformat(), kind.ends: ends.isoformat()},
        held=held,
    )


def folder(viewer: Actor, code: str) -> Folder:
    """One application with everything its officer needs; raises Denied."""
    case = case_of(viewer, code)
    items = list(case.items.select_related("department", "assignee", "by").order_by("id"))
    for item in items:
        item.case = case
    to_do = [
        i
        for i in items
        if i.done_at is None
        and i.permission.startswith("desk.")
        and case.state != Case.CLOSED
        and viewer.may(i.permission, i.department)
    ]
    return Folder(
        case,
        item_title(case.subject.removeprefix(SUBJECT)),
        items,
        to_do,
        list(case.pauses.all()),
        list(timeline(case).order_by("-id")[:60]),
        verdict_of(case),
        joint_of(case),
        application(viewer, case),
        _wanted_now(viewer, case, to_do),
        {
            int(e.data["item"]): str(e.data["absent_name"])
            for e in Event.objects.filter(case_id_ref=case.pk, kind="application.stood_in")
        },
        newer_rules(case),
    )


def _wanted_now(viewer: Actor, case: Case, to_do: list[WorkItem]) -> Wanted | None:
    """The licence to be issued, looked at only by whoever is to issue it now."""
    if not any(i.step == "deliver" for i in to_do):
        return None
    try:
        return wanted(viewer, case)
    except Denied:
        return None


def reviewer(case: Case) -> Party | None:
    """Who examined a case last; the decision is somebody else's."""
    row = (
        case.items.filter(step__in=["review", "review_again"])
        .exclude(done_at=None)
        .order_by("-id")
        .first()
    )
    return row.by if row is not None else None


def late_receipts(today: dt.date | None = None) -> list[WorkItem]:
    """First receipts whose five working days passed without a word: accepted by law."""
    return list(
        WorkItem.objects.filter(
            step="receive",
            done_at=None,
            due_on__lt=today or timezone.localdate(),
            case__state=Case.OPEN,
            case__subject__startswith=SUBJECT,
        ).select_related("case__path")
    )


# ---- the archive -----------------------------------------------------------------------------


def since_day(rows: models.QuerySet[Case], text: str) -> models.QuerySet[Case]:
    """Applications filed on or after a day (ISO); what is no day narrows nothing."""
    day = _day(text)
    return rows if day is None else rows.filter(opened_at__gte=_midnight(day))


def until_day(rows: models.QuerySet[Case], text: str) -> models.QuerySet[Case]:
    """Applications filed on or before a day (ISO)."""
    day = _day(text)
    return rows if day is None else rows.filter(opened_at__lt=_midnight(day + dt.timedelta(days=1)))


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def archived_items(viewer: Actor, rows: models.QuerySet[Case]) -> list[tuple[str, str]]:
    """The items of these applications, for a filter: named as the newest is."""
    viewer.require("desk.read")
    last = rows.order_by().values("subject").annotate(newest=models.Max("pk"))[:400]
    told = Case.objects.filter(pk__in=[r["newest"] for r in last])
    names = told.values_list("subject", KT("data__item_name"))
    return sorted(((c, name or c.removeprefix(SUBJECT)) for c, name in names), key=_by_title)


def archived_departments(viewer: Actor, rows: models.QuerySet[Case]) -> list[tuple[str, str]]:
    """The departments that lead these applications, for a filter."""
    viewer.require("desk.read")
    led = rows.order_by().values_list("department", flat=True).distinct()
    parties = Party.objects.filter(pk__in=[pk for pk in led if pk is not None])
    return [(p.slug or "", str(p)) for p in parties.order_by("name")]


def _by_title(pair: tuple[str, str]) -> str:
    return pair[1]


_WHOLE = (
    Q(state=Case.CLOSED, closed_at__isnull=False, department__isnull=False)
    & Q(applicant__isnull=False)
    & (Q(data__has_key="resolution") | Q(outcome="withdrawn"))
)
"""办件入库合格: whose matter, whose desk, when it ended, and what was decided all stand in it."""


def figures(viewer: Actor, rows: models.QuerySet[Case]) -> rules.Figures:
    """How the given applications ended, in one statement; the viewer was checked for them."""
    viewer.require("desk.read")
    ends = {name: Q(state=Case.CLOSED, outcome=name) for name in rules.RESULTS}
    told = rows.order_by().aggregate(
        whole=models.Count("pk", filter=_WHOLE),
        total=models.Count("pk"),
        open=models.Count("pk", filter=Q(state=Case.OPEN)),
        paused=models.Count("pk", filter=Q(state=Case.SUSPENDED)),
        closed=models.Count("pk", filter=Q(state=Case.CLOSED)),
        **{f"n_{name}": models.Count("pk", filter=q) for name, q in ends.items()},
    )
    ended = {name: int(told[f"n_{name}"]) for name in ends}
    return rules.Figures(
        told["total"], told["open"], told["paused"], told["closed"], ended, whole=told["whole"]
    )


def by_item(viewer: Actor, rows: models.QuerySet[Case], most: int = 12) -> list[rules.Figures]:
    """The same by item, those with most applications first; one statement."""
    viewer.require("desk.read")
    ends = {name: Q(state=Case.CLOSED, outcome=name) for name in rules.RESULTS}
    told: Any = (
        rows.order_by()
        .values("subject")
        .annotate(
            name=models.Max(KT("data__item_name")),
            total=models.Count("pk"),
            open=models.Count("pk", filter=Q(state=Case.OPEN)),
            paused=models.Count("pk", filter=Q(state=Case.SUSPENDED)),
            closed=models.Count("pk", filter=Q(state=Case.CLOSED)),
            **{f"n_{name}": models.Count("pk", filter=q) for name, q in ends.items()},
        )
        .order_by("-total", "subject")[:most]
    )
    return [
        rules.Figures(
            r["total"],
            r["open"],
            r["paused"],
            r["closed"],
            {name: int(r[f"n_{name}"]) for name in ends},
            title=r["name"] or item_title(r["subject"].removeprefix(SUBJECT)),
        )
        for r in told
    ]
