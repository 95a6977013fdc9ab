"""Queries: the work that waits, the department's datasets, and the city's figures."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.case import Case, WorkItem, overdue_items, work_items
from lianyun.kernel.models import Batch, Event, Grant, Measurement, Resource
from lianyun.ui.charts import Chart, Series, one
from lianyun.ui.context import address_of
from lianyun.ui.templatetags.ui import event_title

from . import rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

SHARE = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
DAYS = 14
SHOWN = 8


@dataclass(frozen=True)
class Waiting:
    """One work item with the address where it is done."""

    item: WorkItem
    url: str


def item_url(item: WorkItem) -> str:
    """Where a work item is done: its capability's case page, desk or list."""
    owner = item.permission.split(".")[0]
    return (
        address_of(f"{owner}:case", item.case.code)
        or address_of(f"{owner}:desk")
        or address_of(f"{owner}:list")
    )


def awaiting(viewer: Actor) -> tuple[list[Waiting], int, int]:
    """The most urgent work items, how many wait in all, and how many of them are overdue."""
    rows = work_items(viewer)
    total = rows.count()
    late = rows.filter(due_on__lt=timezone.localdate(), case__state=Case.OPEN).count()
    return [Waiting(item, item_url(item)) for item in rows[:SHOWN]], total, late


def board(viewer: Actor) -> list[collection.Row]:
    """Every dataset that is (or should be) collected, the worst first."""
    return collection.board(viewer)


def own_datasets(viewer: Actor, rows: list[collection.Row]) -> list[collection.Row]:
    """Those rows of the board that are the viewer's department's."""
    if viewer.department is None or not viewer.may("collection.read"):
        return []
    return [row for row in rows if row.resource.owner_id == viewer.department.pk]


@dataclass(frozen=True)
class Figures:
    """The city's figures for the head of the page."""

    published: int
    departments: int
    collected: int
    rows: int
    on_time: str
    on_time_tone: str
    grants: int
    open_cases: int
    overdue: int
    score: float | None
    dead: list[collection.Row]


def figures(viewer: Actor, board: list[collection.Row]) -> Figures:
    """How the city's data stand today; for those who may read the dashboard."""
    viewer.require("dashboard.read")
    published = Resource.objects.filter(state=Resource.PUBLISHED)
    good = sum(1 for r in board if r.state in ("fresh", "due"))
    bad = [r for r in board if r.state in ("late", "dead")]
    words, tone = rules.health_words(good, good + len(bad))
    scores = [r.score for r in board if r.score is not None]
    return Figures(
        published=published.count(),
        departments=published.values("owner").distinct().count(),
        collected=sum(1 for r in board if r.loads),
        rows=sum(r.rows or 0 for r in board),
        on_time=words,
        on_time_tone=tone,
        grants=Grant.objects.filter(kind="data", state=Grant.ACTIVE).count(),
        open_cases=Case.objects.filter(state=Case.OPEN).count(),
        overdue=overdue_items().count(),
        score=sum(scores) / len(scores) if scores else None,
        dead=[r for r in board if r.names_red][:SHOWN] if viewer.may("collection.read") else [],
    )


@dataclass(frozen=True)
class Tile:
    """One indicator's newest value for the whole city."""

    title: str
    value: float
    unit: str
    url: str


def tiles(viewer: Actor) -> list[Tile]:
    """What departments' data said about each other, by the newest measurements; empty before any."""
    viewer.require("dashboard.read")
    rows = Measurement.objects.filter(indicator__code__startswith="comparison.", dims="")
    newest: dict[str, Measurement] = {}
    for row in rows.select_related("indicator").order_by("day"):
        newest[row.indicator.code] = row
    url = address_of("comparison:home") if viewer.may("comparison.read") else ""
    out = []
    for code in ("found", "amount", "confirmed", "recovered"):
        last = newest.get(f"comparison.{code}")
        if last is not None:
            money = last.indicator.unit == "元"
            value = round(last.value / 10000, 2) if money else int(last.value)
            out.append(
                Tile(last.indicator.title, value, "万元" if money else last.indicator.unit, url)
            )
    return out


def charts(viewer: Actor) -> dict[str, Chart]:
    """The charts of the page: loads by day, catalogue by department, share types, overdue desks."""
    viewer.require("dashboard.read")
    days = rules.days_back(timezone.localdate(), DAYS)
    labels = [f"{d.month}-{d.day}" for d in days]
    start = timezone.make_aware(dt.datetime.combine(days[0], dt.time()))
    loads = Batch.objects.filter(started_at__gte=start).annotate(day=TruncDate("started_at"))
    by_state = {
        state: dict(
            loads.filter(state=state).values_list("day").annotate(n=Count("id")).order_by("day")
        )
        for state in (Batch.SUCCEEDED, Batch.FAILED)
    }
    landed = {
        row["day"]: row
        for row in loads.filter(state=Batch.SUCCEEDED)
        .values("day")
        .annotate(good=Sum("accepted"), bad=Sum("rejected"), score=Avg("score"))
        .order_by("day")
    }
    departments = (
        Resource.objects.filter(state=Resource.PUBLISHED)
        .values_list("owner__short", "owner__name")
        .annotate(n=Count("id"))
        .order_by("-n")[:12]
    )
    shares = dict(
        Resource.objects.filter(state=Resource.PUBLISHED)
        .values_list("terms__share__type")
        .annotate(n=Count("id"))
        .order_by("terms__share__type")
    )
    late = (
        overdue_items()
        .exclude(department=None)
        .order_by()
        .values_list("department__short", "department__name")
        .annotate(n=Count("*"))
        .order_by("-n")[:8]
    )
    return {
        "loads": Chart(
            "stack",
            "每日归集批次",
            labels,
            [
                Series("成功", rules.by_day(days, by_state[Batch.SUCCEEDED])),
                Series("失败", rules.by_day(days, by_state[Batch.FAILED])),
            ],
            "批",
            first_column="日期",
        ),
        "rows": Chart(
            "area",
            "每日归集行数",
            labels,
            [
                Series("通过", rules.by_day(days, {d: r["good"] or 0 for d, r in landed.items()})),
                Series("拒收", rules.by_day(days, {d: r["bad"] or 0 for d, r in landed.items()})),
            ],
            "行",
            first_column="日期",
        ),
        "departments": one(
            "bar",
            "各部门已发布目录",
            [(short or name, n) for short, name, n in departments],
            "条",
            first_column="部门",
        ),
        "shares": one(
            "donut",
            "共享类型",
            [(SHARE[k], shares.get(k, 0)) for k in SHARE if shares.get(k)],
            "条",
            first_column="类型",
        ),
        "late": one(
            "bars",
            "逾期事项最多的部门",
            [(short or name, n) for short, name, n in late],
            "件",
            first_column="部门",
        ),
    }


def recent(viewer: Actor) -> list[dict[str, Any]]:
    """The last things that the viewer's department did, newest first, as timeline entries."""
    if viewer.department is None:
        return []
    wanted = Q(department=viewer.department) & ~Q(kind__startswith="session.")
    events = list(Event.objects.filter(wanted).exclude(kind="seat.taken").order_by("-id")[:6])
    cases = Case.objects.in_bulk([e.case_id_ref for e in events if e.case_id_ref])
    out = []
    for event in events:
        case = cases.get(event.case_id_ref)
        done = event.data.get("outcome") or ""
        words = f"{event.data['title']}：{done}" if event.data.get("title") and done else ""
        out.append(
            {
                "when": event.at,
                "what": words or event_title(event.kind),
                "who": event.by_name,
                "more": case.title if case else event.data.get("note") or "",
                "tone": "red" if event.kind.endswith((".failed", ".revoked")) else "",
            }
        )
    return out


def beginning(viewer: Actor) -> list[dict[str, Any]]:
    """The first steps of a new city, each with whether it is done and where it is done."""
    viewer.require("dashboard.read")
    steps = [
        (
            "为各部门建立账号",
            "数据专员编目和归集，共享工作机构负责人审签。",
            Event.objects.filter(kind="account.created").exists(),
            address_of("identity:accounts"),
            "users",
        ),
        (
            "编制并发布目录",
            "导入 Excel 目录，或由各部门逐条编制后送审。",
            Resource.objects.filter(state=Resource.PUBLISHED).exists(),
            address_of("catalogue:import"),
            "folder",
        ),
        (
            "归集第一批数据",
            "登记数据库、文件或接口，也可以直接上传文件。",
            Batch.objects.filter(state=Batch.SUCCEEDED).exists(),
            address_of("collection:upload"),
            "database",
        ),
        (
            "办理第一件共享申请",
            "其他部门在目录中提出申请，提供部门按时限答复。",
            Grant.objects.filter(kind="data").exists(),
            address_of("sharing:list"),
            "share",
        ),
    ]
    if all(done for _, _, done, _, _ in steps[1:3]):
        return []
    return [{"title": t, "text": x, "done": d, "url": u, "icon": i} for t, x, d, u, i in steps]
