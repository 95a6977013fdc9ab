"""Queries: lamps of all departments, what burns, urges and cards, the closed loop of an item."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from lianyun.capabilities.desk import api as desk
from lianyun.capabilities.items import api as items
from lianyun.capabilities.ratings import api as ratings
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.event import timeline
from lianyun.kernel.manifest import permissions
from lianyun.kernel.models import Case, Event, Party, Path, WorkItem
from lianyun.kernel.path import Step

from . import rules
from .models import Tally

URGE_PATH, CARD_PATH = "supervision_urge", "supervision_card"
PATHS = (URGE_PATH, CARD_PATH)


def settings() -> dict[str, Any]:
    """Rules and limits as packs/core/supervision.yaml declares them."""
    return packs.mapping("core", "supervision.yaml")


@cache
def declared() -> tuple[rules.Rule, ...]:
    """The rules of supervision."""
    return rules.read(settings()["rules"])


@cache
def areas() -> tuple[rules.Area, ...]:
    """The fields that are supervised."""
    return rules.areas(settings()["areas"])


def _of(area: rules.Area) -> Q:
    """The work items of an area's cases."""
    if area.every_item:
        return Q(case__subject__startswith=desk.SUBJECT)
    subjects = [f"{desk.SUBJECT}{code}" for code in area.items]
    return Q(case__subject__in=subjects) | Q(case__path__key__in=area.paths)


def within(code: str = "") -> Q:
    """The work items of one area by its code; of all together without one (or for an unknown one)."""
    chosen = [a for a in areas() if a.code == code] or areas()
    found = Q(pk__in=())
    for area in chosen:
        found |= _of(area)
    return found


def by_area(viewer: Actor) -> list[tuple[rules.Area, int, int]]:
    """Each area with its open and its red steps; one statement."""
    rows, today = watched(viewer), timezone.localdate()
    red = Q(due_on__lt=today) & ~Q(case__state=Case.SUSPENDED)
    told = rows.order_by().aggregate(
        **{f"open_{a.code}": models.Count("case_id", filter=_of(a)) for a in areas()},
        **{f"red_{a.code}": models.Count("case_id", filter=_of(a) & red) for a in areas()},
    )
    return [(a, told[f"open_{a.code}"], told[f"red_{a.code}"]) for a in areas()]


def watched(viewer: Actor, area: str = "") -> models.QuerySet[WorkItem]:
    """Open steps of what is supervised, at the departments of the viewer's; of one area if given.

    What waits for the applicant is nobody's lateness.
    """
    viewer.require("supervision.read")
    rows = (
        WorkItem.objects.filter(
            within(area), done_at=None, case__state__in=[Case.OPEN, Case.SUSPENDED]
        )
        .exclude(permission__startswith="hall.")
        .select_related("case__path", "department", "assignee")
        .order_by(models.F("due_on").asc(nulls_last=True), "id")
    )
    scope = viewer.departments("supervision.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def step_of(viewer: Actor, number: int) -> WorkItem:
    """One step that the viewer supervises; raises Denied."""
    found = watched(viewer).filter(pk=number).first()
    if found is None:
        raise Denied("没有这个环节，或者它不归您监察")
    return found


@dataclass
class Line:
    """How one department stands: lamps now, urges and cards that are open, its share in time."""

    department: Party
    open: int = 0
    red: int = 0
    yellow: int = 0
    green: int = 0
    paused: int = 0
    urges: int = 0
    yellow_cards: int = 0
    red_cards: int = 0
    done: int = 0
    in_time: int = 0

    @property
    def share(self) -> float | None:
        """Share of finished steps that were in time, 0–1."""
        return rules.share(self.in_time, self.done)


def board(viewer: Actor, area: str = "") -> list[Line]:
    """All departments with their lamps (of one area if given), the reddest first.

    Its cost grows with what is open, and by a few rows a day with what is finished.
    """
    today, edge = timezone.localdate(), desk.yellow_until()
    runs = ~Q(case__state=Case.SUSPENDED)
    rows = (
        watched(viewer, area)
        .exclude(department=None)
        .order_by()
        .values("department")
        .annotate(
            open=models.Count("case_id"),
            red=models.Count("case_id", filter=runs & Q(due_on__lt=today)),
            yellow=models.Count("case_id", filter=runs & Q(due_on__gte=today, due_on__lte=edge)),
            green=models.Count("case_id", filter=runs & Q(due_on__gt=edge)),
            paused=models.Count("case_id", filter=~runs),
        )
    )
    found: dict[int, dict[str, int]] = {
        r["department"]: {
            "open": r["open"], "red": r["red"], "yellow": r["yellow"],
            "green": r["green"], "paused": r["paused"],
        }
        for r in rows
    }  # fmt: skip
    done = {r["department"]: r for r in _finished(viewer, area)}
    matters_by: dict[int, list[tuple[str, str]]] = {}
    for pk, key, data in (
        matters(viewer)
        .filter(state=Case.OPEN)
        .order_by()
        .values_list("department", "path__key", "data__does")
    ):
        matters_by.setdefault(pk, []).append((key, data))
    parties = Party.objects.in_bulk([*found, *done, *matters_by])
    lines = []
    for pk, party in parties.items():
        mine = matters_by.get(pk, [])
        lines.append(
            Line(
                party,
                **found.get(pk, {}),
                urges=sum(k == URGE_PATH for k, _ in mine),
                yellow_cards=sum(d == rules.YELLOW for _, d in mine),
                red_cards=sum(d == rules.RED for _, d in mine),
                done=done.get(pk, {}).get("done", 0),
                in_time=done.get(pk, {}).get("in_time", 0),
            )
        )
    return sorted(lines, key=lambda x: (-x.red, -x.yellow, -x.open, x.department.pk))


def finished(rows: models.QuerySet[WorkItem], *by: str) -> Any:
    """By department (and `by`) how many of these steps were finished, and how many in time."""
    day = models.functions.TruncDate("done_at")
    return (
        rows.exclude(done_at=None)
        .exclude(permission__startswith="hall.")
        .exclude(department=None)
        .exclude(due_on=None)
        .order_by()
        .annotate(day=day)
        .values("department", *by)
        .annotate(done=models.Count("pk"), in_time=models.Count("pk", filter=Q(due_on__gte=day)))
    )


def midnight(day: dt.date) -> dt.datetime:
    """When a day begins in the city."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def uncounted() -> dt.date | None:
    """The first day that no tally counts yet; None where none was ever made."""
    last = Tally.objects.aggregate(last=models.Max("day"))["last"]
    return last + dt.timedelta(days=1) if last is not None else None


def _finished(viewer: Actor, area: str) -> list[dict[str, int]]:
    """What was finished and in time by department: the days that are counted, and those since."""
    known = area if any(a.code == area for a in areas()) else ""
    since, scope = uncounted(), viewer.departments("supervision.read")
    tallies = Tally.objects.filter(area=known)
    rows = WorkItem.objects.filter(within(known))
    if since is not None:
        rows = rows.filter(done_at__gte=midnight(since))
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
        tallies = tallies.filter(department_id__in=scope)
    counted = tallies.values("department").annotate(
        done=models.Sum("done"), in_time=models.Sum("in_time")
    )
    told: dict[int, dict[str, int]] = {}
    for row in (*counted, *finished(rows)):
        line = told.setdefault(
            row["department"], {"department": row["department"], "done": 0, "in_time": 0}
        )
        line["done"] += row["done"]
        line["in_time"] += row["in_time"]
    return list(told.values())


def matters(viewer: Actor) -> models.QuerySet[Case]:
    """Urges and cards over the departments that the viewer supervises (or works in), newest first."""
    viewer.require("supervision.read")
    # Named by their rows: the planner then knows how few there are.
    paths = list(Path.objects.filter(key__in=PATHS).values_list("pk", flat=True))
    rows = Case.objects.filter(path__in=paths).select_related("path", "department").order_by("-id")
    scope = viewer.departments("supervision.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def matter_of(viewer: Actor, code: str) -> Case:
    """One urge or card; raises Denied."""
    found = matters(viewer).filter(code=code).first()
    if found is None:
        raise Denied("没有这件督办，或者它不归您监察")
    return found


def item_of(viewer: Actor, case: Case) -> WorkItem | None:
    """The step of an urge or card that the viewer may do now."""
    row = case.items.filter(done_at=None).select_related("case__path", "department").first()
    return row if row is not None and viewer.may(row.permission, row.department) else None


def watched_case(viewer: Actor, matter: Case) -> Case | None:
    """The application that an urge or card is about."""
    viewer.require("supervision.read", matter.department)
    code = matter.subject.removeprefix("case:")
    return Case.objects.filter(code=code).select_related("path", "department").first()


def events(viewer: Actor, case: Case) -> list[Event]:
    """What became of an urge or card, newest first."""
    viewer.require("supervision.read", case.department)
    return list(timeline(case).order_by("-id")[:40])


# ---- the closed loop -------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """One step of an item's path and how it goes: limit, open, late, finished, in time."""

    title: str
    basis: str
    days: str
    open: int = 0
    red: int = 0
    done: int = 0
    in_time: int = 0

    @property
    def share(self) -> float | None:
        """Share in time, 0–1."""
        return rules.share(self.in_time, self.done)


@dataclass
class Loop:
    """责任→标准→清单→节点→程序→控制 of one item."""

    code: str
    title: str
    duty: list[tuple[str, str]] = field(default_factory=list)
    standard: list[tuple[str, str]] = field(default_factory=list)
    checklist: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    urges: int = 0
    cards: int = 0
    rating: Any = None


RECENT = 5_000
"""So many of the newest applications tell which items are asked for most."""


def item_codes(viewer: Actor, most: int = 12) -> list[tuple[str, str, int]]:
    """Items asked for most among the newest applications that the viewer supervises: code, title, count."""
    viewer.require("supervision.read")
    rows = Case.objects.filter(subject__startswith=desk.SUBJECT)
    scope = viewer.departments("supervision.read")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    told = (
        Case.objects.filter(pk__in=rows.order_by("-id").values("pk")[:RECENT])
        .order_by()
        .values("subject")
        .annotate(n=models.Count("pk"), newest=models.Max("pk"))
        .order_by("-n", "subject")[:most]
    )
    found = list(told)
    names = dict(
        Case.objects.filter(pk__in=[r["newest"] for r in found]).values_list(
            "subject", "data__item_name"
        )
    )
    return [
        (code, names.get(r["subject"]) or code, r["n"])
        for r in found
        for code in [r["subject"].removeprefix(desk.SUBJECT)]
    ]


def loop(viewer: Actor, code: str) -> Loop:
    """The closed loop of one item, from what was declared to what is controlled today."""
    viewer.require("supervision.read")
    cases = Case.objects.filter(subject=f"{desk.SUBJECT}{code}")
    scope = viewer.departments("supervision.read")
    if scope is not None:
        cases = cases.filter(department_id__in=scope)
    last = cases.select_related("path", "department").order_by("-id").first()
    if last is None:
        raise Denied("这个事项没有归您监察的办件")
    told = items.find(code)
    out = Loop(code, desk.item_title(code))
    out.duty = [
        ("责任部门", str(last.department or "")),
        ("设定依据", (told.basis if told else "") or str(last.path.data.get("basis") or "")),
        ("办理岗位", "、".join(_posts(last.path))),
    ]
    out.standard = [
        ("法定时限", _days(last.data.get("legal_days"))),
        ("承诺时限", _days(last.data.get("promised_days"))),
        ("受理条件", "；".join(c.rstrip("。") for c in (told.conditions if told else ())) or "—"),
        ("办理方式", last.path.title),
    ]
    out.checklist = [m.name for m in told.materials] if told else []
    if not out.checklist:
        out.checklist = [str(m.get("name")) for m in last.data.get("materials") or ()]
    out.nodes = _nodes(cases, last.path)
    out.states = dict(
        cases.order_by()
        .values_list("state")
        .annotate(n=models.Count("pk"))
        .values_list("state", "n")
    )
    refs = cases.annotate(ref_=models.functions.Concat(models.Value("case:"), "code")).values(
        "ref_"
    )
    about = Case.objects.filter(path__key__in=PATHS, subject__in=refs)
    out.urges = about.filter(path__key=URGE_PATH).count()
    out.cards = about.filter(path__key=CARD_PATH).exclude(outcome="dropped").count()
    if viewer.may("ratings.read"):
        out.rating = ratings.of_item(viewer, code)
    return out


def _days(value: Any) -> str:
    return f"{value} 个工作日" if value else "—"


def _posts(path: Path) -> list[str]:
    known = permissions()
    named = [known.get(s.permission, "") for s in path.steps.values()]
    return list(dict.fromkeys(n for n in named if n))


def _nodes(cases: models.QuerySet[Case], path: Path) -> list[Node]:
    today = timezone.localdate()
    day = models.functions.TruncDate("done_at")
    rows = (
        WorkItem.objects.filter(case__in=cases)
        .order_by()
        .values("step")
        .annotate(
            open=models.Count("pk", filter=Q(done_at=None) & ~Q(case__state=Case.CLOSED)),
            red=models.Count("pk", filter=Q(done_at=None, due_on__lt=today, case__state=Case.OPEN)),
            done=models.Count("pk", filter=~Q(done_at=None)),
            in_time=models.Count(
                "pk", filter=~Q(done_at=None) & (Q(due_on=None) | Q(due_on__gte=day))
            ),
        )
    )
    found: dict[str, dict[str, int]] = {
        str(r["step"]): {
            "open": r["open"],
            "red": r["red"],
            "done": r["done"],
            "in_time": r["in_time"],
        }
        for r in rows
    }
    return [
        Node(s.title, s.basis, _limit(s), **found.get(s.id, {}))
        for s in path.steps.values()
        if s.permission
    ]


def _limit(step: Step) -> str:
    """A step's limit as it was declared."""
    if step.days:
        return _days(step.days)
    if step.days_by:
        return "承诺时限内" if step.days_by == "promised_days" else step.days_by
    return "随上一环节计时" if step.clock else "不限时"
