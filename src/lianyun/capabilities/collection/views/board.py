"""Board views: all datasets with their lamps, and one dataset with its loads and rows."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from lianyun.ui import charts
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import queries
from .batches import batch_columns
from .sources import source_columns

STATES = [
    ("dead", "入库后从未更新"),
    ("late", "逾期未更新"),
    ("due", "今日应更新"),
    ("fresh", "按期更新"),
    ("any", "不定期"),
    ("empty", "尚未归集"),
    ("unread", "从未被使用"),
]


def spark(row: queries.Row) -> SafeString:
    """A dataset's last loads as a small line; the figures are on its own page."""
    if not row.trend_points:
        return format_html('<span class="muted">{}</span>', "—")
    return format_html(
        '<svg width="80" height="24" viewBox="0 0 80 24" role="img" aria-label="最近 {} 批落地行数走势">'
        '<polyline points="{}" fill="none" stroke="var(--blue-600)" stroke-width="1.6"/></svg>',
        len(row.trend),
        row.trend_points,
    )


def lamp(row: queries.Row) -> SafeString:
    """The freshness lamp, and beside it whether nobody reads the dataset."""
    shown = format_html('<span class="lamp {}">{}</span>', row.fresh.tone, row.fresh.words)
    if row.unread:
        shown = format_html('{}<br><span class="lamp red">{}</span>', shown, "从未被使用")
    return shown


def _by_state(rows: list[queries.Row], value: str) -> list[queries.Row]:
    return [r for r in rows if (r.unread if value == "unread" else r.state == value)]


@page(permission="collection.read")
def board(request: ActorRequest) -> HttpResponse:
    """Every dataset's lamp, last batch and trend; `?all=1` lists also what was never collected."""
    everything = request.GET.get("all") == "1"
    rows = queries.board(request.actor, everything=everything)
    table = Table(
        request,
        rows,
        columns=[
            Column(
                "title",
                "数据集",
                primary=True,
                sort=True,
                link=lambda r: reverse("collection:dataset", args=[r.name]),
                sub=lambda r: r.name,
            ),
            Column(
                "owner",
                "提供部门",
                sort=True,
                sub=lambda r: f"{r.cycle}更新" if r.cycle != "不定期" else r.cycle,
            ),
            Column("rank", "新鲜度", cell=lamp, sort=True, export=lambda r: r.fresh.words),
            Column("last_good_at", "最近归集", kind="stamp", sort=True),
            Column("rows", "总行数", kind="number", sort=True),
            Column("score", "质量得分", kind="number", sort=True),
            Column("used", "使用次数", kind="number", sort=True, phone=False),
            Column("trend", "走势", cell=spark, phone=False, export=False),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                apply=lambda rs, v: [r for r in rs if v in r.title or v in r.name],
                placeholder="数据集名称",
            ),
            Filter(
                "department",
                "提供部门",
                "select",
                choices=queries.departments_of(rows),
                apply=lambda rs, v: [r for r in rs if r.department == v],
            ),
            Filter("state", "新鲜度", "select", choices=STATES, apply=_by_state),
        ],
        caption="数据集归集情况",
        export_name="归集看板",
        row_class=lambda r: "late" if r.names_red else "",
        empty=Empty(
            "还没有归集任何数据",
            "登记数据源后按计划归集，或直接上传一个文件。",
            reverse("collection:upload"),
            "上传文件",
            "database",
        ),
    )
    red = [r for r in rows if r.names_red]
    return table.respond(
        request,
        "collection/board.html",
        {
            "summary": queries.summary(rows),
            "red": red[:8],
            "red_count": len(red),
            "everything": everything,
            "can_run": request.actor.may("collection.run"),
        },
    )


@page(permission="collection.read")
def dataset(request: ActorRequest, name: str) -> HttpResponse:
    """One dataset: its freshness, its loads as bars, its sources, masked rows."""
    row = queries.one_row(name, request.actor)
    resource = row.resource
    found = queries.batches(request.actor, resource)
    recent = list(reversed(found.filter(state="succeeded")[:15]))
    figure = charts.Chart(
        "stack",
        "最近批次的落地行数",
        [f"{b.started_at:%m-%d} {b.code[-4:]}" for b in recent],
        [
            charts.Series("通过", [b.accepted for b in recent]),
            charts.Series("拒收", [b.rejected for b in recent]),
        ],
        "行",
        links=[reverse("collection:batch", args=[b.code]) for b in recent],
        first_column="批次",
    )
    table = Table(
        request,
        found,
        columns=batch_columns(with_dataset=False),
        caption="归集批次",
        page_size=10,
        empty=Empty("还没有归集过", "运行一个数据源，或上传文件。"),
    )
    titles, rows = queries.sample(resource, request.actor)
    places = Table(
        request,
        queries.sources(request.actor, resource),
        columns=source_columns(with_dataset=False),
        name="s",
        caption="数据源",
        empty=Empty(
            "还没有数据源",
            "登记后可按计划自动归集。",
            f"{reverse('collection:new_source')}?dataset={resource.name}"
            if queries.may_edit(request.actor, resource)
            else "",
            "登记数据源",
            "link",
        ),
    )
    return table.respond(
        request,
        "collection/dataset.html",
        {
            "row": row,
            "resource": resource,
            "figure": figure,
            "titles": titles,
            "sample": rows,
            "places": places,
            "can_run": queries.may_run(request.actor, resource),
            "can_edit": queries.may_edit(request.actor, resource),
        },
    )
