"""Reports: the legal clocks for an auditor, the year of every department, the ranking, repeated collection."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries
from .matters import TITLES

PATH_TITLES = {
    "share_request": "共享申请",
    "share_extension": "答复延期",
    "correction": "数据校核",
    "catalogue_entry": "目录审核",
    **TITLES,
}
STANDINGS = {
    "kept": "按时办结",
    "late": "逾期办结",
    "overdue": "逾期未办",
    "running": "计时中",
    "paused": "中止",
}
TONES = {"kept": "green", "late": "amber", "overdue": "red", "running": "blue", "paused": "grey"}


def case_url(case: Any) -> str:
    """Where a case of any of the clocked paths is seen."""
    key = case.path.key
    place = {"correction": "quality:case", "catalogue_entry": "catalogue:case"}.get(
        key, "sharing:matter" if key in queries.MATTERS else "sharing:case"
    )
    code = case.data.get("case") or case.code if key == "share_extension" else case.code
    try:
        return reverse(place, args=[code])
    except NoReverseMatch:
        return reverse("sharing:clock_case", args=[case.code])


def _standing(item: Any) -> str:
    if item.done_at:
        return "kept" if timezone.localtime(item.done_at).date() <= item.due_on else "late"
    if item.case.state == "suspended":
        return "paused"
    return "overdue" if item.due_on < timezone.localdate() else "running"


@page(permission="sharing.read")
def clock_report(request: ActorRequest) -> HttpResponse:
    """Every case with each clock: begun, stood still by which article, due, done, in working days."""
    viewer = request.actor
    rows = queries.clocked(viewer)
    extended: dict[tuple[int, str], list[str]] = {}

    def extension(item: Any) -> str:
        key = (item.case_id, item.step)
        if key not in extended:
            extended.update({key: [], **queries.extensions(viewer, [item])})
        return "；".join(extended[key])

    def moved(item: Any) -> str:
        pauses = [f"中止 {text}" for text in queries.pauses_of(item)]
        return "；".join([*pauses, *filter(None, [extension(item)])])

    def days(item: Any) -> str:
        return f"{item.declared.days} 个工作日" if item.declared.days else "与前一环节共用"

    table = Table(
        request,
        rows,
        columns=[
            Column(
                "case",
                "办件与环节",
                primary=True,
                cell=lambda i: i.title,
                sub=lambda i: f"{PATH_TITLES.get(i.case.path.key, '')} {i.case.code}",
                link=lambda i: reverse("sharing:clock_case", args=[i.case.code]),
                export=lambda i: f"{i.case.code} {i.title}",
            ),
            Column("department", "责任部门", cell=lambda i: str(i.department or "")),
            Column("opened_at", "起算", kind="date", phone=False),
            Column(
                "days",
                "期限、中止和延长",
                cell=days,
                sub=lambda i: "；".join(filter(None, [i.basis, moved(i)])),
                export=lambda i: "；".join(filter(None, [days(i), i.basis, moved(i)])),
            ),
            Column("due_on", "应办结", kind="date"),
            Column("done_at", "实际办结", kind="date"),
            Column(
                "used",
                "用时（工作日）",
                kind="number",
                cell=lambda i: queries.used_days(viewer, i),
                phone=False,
            ),
            Column(
                "standing",
                "结论",
                kind="badge",
                cell=lambda i: STANDINGS[_standing(i)],
                tone=lambda i: TONES[_standing(i)],
            ),
        ],
        filters=[
            Filter("q", "办件编号或标题", lookup="case__code__icontains|case__title__icontains"),
            Filter(
                "path",
                "类别",
                "select",
                choices=list(PATH_TITLES.items()),
                lookup="case__path__key",
            ),
            Filter(
                "department",
                "责任部门",
                "select",
                choices=lambda: [(d.slug or "", d.name) for d in queries.departments(viewer)],
                lookup="department__slug",
            ),
            Filter(
                "standing",
                "结论",
                "select",
                choices=list(STANDINGS.items()),
                apply=queries.narrowed_to,
            ),
        ],
        caption="法定时限报告",
        export_name="法定时限报告",
        page_size=15,
        empty=Empty("没有计时的办件", icon="clock"),
    )
    checked = None
    if "verify" in request.GET:
        checked = queries.check_clocks(viewer, table.filtered)
    base = reverse("sharing:clock_report")
    return table.respond(
        request,
        "sharing/clock_report.html",
        {
            "stats": [
                (STANDINGS[k], n, f"{base}?standing={k}", TONES[k])
                for k, n in queries.counts(rows).items()
            ],
            "checked": checked,
            "today": timezone.localdate(),
        },
    )


@page(permission="sharing.read")
def clock_case(request: ActorRequest, code: str) -> HttpResponse:
    """One case: each clock as stored beside what the events alone make of it."""
    found = queries.any_case(request.actor, code)
    if found is None:
        raise Http404
    return render(
        request,
        "sharing/clock_case.html",
        {
            "case": found,
            "kind": PATH_TITLES.get(found.path.key, found.path.title),
            "basis": found.path.data.get("basis", ""),
            "lines": queries.compared(request.actor, found),
            "url": case_url(found),
            "timeline": queries.timeline(request.actor, found),
        },
    )


def _year(request: ActorRequest) -> int:
    text = request.GET.get("year", "")
    now = timezone.localdate().year
    return int(text) if text.isdecimal() and 2000 <= int(text) <= now else now


@page(permission="sharing.read")
def yearly(request: ActorRequest) -> HttpResponse:
    """The year of every department: given, received, calls, rows, in time, refused, corrected."""
    viewer, year = request.actor, _year(request)
    rows = queries.yearly(viewer, year)
    base = reverse("sharing:yearly_list")

    def column(what: str) -> Column:
        title, _ = queries.FIGURES[what]
        return Column(
            what,
            title,
            kind="number",
            cell=lambda y: y.counts[what],
            link=lambda y: (
                f"{base}?what={what}&year={year}&department={y.department.slug}"
                if y.counts[what]
                else ""
            ),
            phone=what in ("provided", "received", "answered", "on_time"),
        )

    table = Table(
        request,
        rows,
        columns=[
            Column(
                "department",
                "部门",
                primary=True,
                cell=lambda y: format_html('<span class="nowrap">{}</span>', y.department),
                export=lambda y: str(y.department),
            ),
            *(column(w) for w in ("provided", "received", "asked", "asked_of")),
            *(column(w) for w in ("answered", "on_time")),
            Column(
                "rate",
                "按时率",
                cell=lambda y: "—" if y.rate is None else f"{y.rate * 100:.1f}%",
            ),
            column("refused"),
            Column("reasons", "不同意的理由", cell=lambda y: "；".join(y.reasons), phone=False),
            *(column(w) for w in ("corrections", "corrected", "misuse", "disposed")),
            Column("calls_given", "被调用次数", kind="number", phone=False),
            Column("rows_given", "提供行数", kind="number", phone=False),
            Column("calls_made", "调用次数", kind="number", phone=False),
            Column("rows_got", "获得行数", kind="number", phone=False),
        ],
        caption=f"{year} 年政务数据共享情况",
        export_name=f"{year}年政务数据共享情况",
        page_size=100,
        empty=Empty(f"{year} 年没有共享", icon="chart"),
    )
    now = timezone.localdate().year
    top = [y for y in rows if y.counts["provided"]][:12]
    figure = (
        charts.one(
            "bars",
            "提供授权最多的部门",
            [(str(y.department), y.counts["provided"]) for y in top],
            "项",
        )
        if top
        else None
    )
    return table.respond(
        request,
        "sharing/yearly.html",
        {
            "year": year,
            "years": [
                (f"{y} 年", request.path if y == now else f"{request.path}?year={y}")
                for y in range(now, now - 3, -1)
            ],
            "definitions": list(queries.FIGURES.values()),
            "figure": figure,
            "kept": queries.retention(viewer, timezone.localdate()),
        },
    )


@page(permission="sharing.read")
def yearly_list(request: ActorRequest) -> HttpResponse:
    """The cases, grants or steps that one number of the yearly report counts."""
    what, slug = request.GET.get("what", ""), request.GET.get("department", "")
    if what not in queries.FIGURES:
        raise Http404
    title, definition = queries.FIGURES[what]
    rows = queries.behind_figure(request.actor, what, _year(request), slug)

    def url(row: Any) -> str:
        if hasattr(row, "grantee"):
            return reverse("sharing:grant", args=[row.code])
        return case_url(row.case if hasattr(row, "step") else row)

    table = Table(
        request,
        rows,
        columns=[
            Column(
                "code",
                "编号",
                primary=True,
                cell=lambda r: r.case.code if hasattr(r, "step") else r.code,
                link=url,
            ),
            Column(
                "title",
                "事项",
                cell=lambda r: str(r.resource) if hasattr(r, "grantee") else r.title,
            ),
            Column(
                "when",
                "时间",
                kind="stamp",
                cell=lambda r: r.issued_at if hasattr(r, "grantee") else r.opened_at,
            ),
        ],
        caption=title,
        export_name=title,
        empty=Empty("没有记录", icon="list"),
    )
    return table.respond(
        request, "sharing/yearly_list.html", {"title": title, "definition": definition}
    )


@page(permission="sharing.read")
def ranking(request: ActorRequest) -> HttpResponse:
    """Providers by error rate, timeliness and reuse, with the definitions."""
    rows = queries.ranking(request.actor)
    base = reverse("sharing:clock_report")
    table = Table(
        request,
        rows,
        columns=[
            Column("name", "提供部门", primary=True),
            Column(
                "errors",
                "错误率（每万行）",
                kind="number",
                sort=True,
                cell=lambda r: "—" if r.errors is None else f"{r.errors:.2f}",
                sub=lambda r: f"更正 {r.wrong} 件 / 收到 {r.reports} 件 / 提供 {r.rows:,} 行",
            ),
            Column(
                "punctuality",
                "及时率（%）",
                kind="number",
                sort=True,
                cell=lambda r: "—" if r.punctuality is None else f"{r.punctuality * 100:.1f}%",
                sub=lambda r: f"{r.on_time} / {r.timed} 个环节",
                link=lambda r: f"{base}?department={r.department.slug}",
            ),
            Column(
                "reuse",
                "复用度",
                kind="number",
                sort=True,
                cell=lambda r: "—" if r.reuse is None else f"{r.reuse:.1f}",
                sub=lambda r: f"{r.datasets} 个数据，{r.users} 个使用关系",
            ),
        ],
        caption="提供部门排名",
        export_name="提供部门排名",
        page_size=60,
        empty=Empty("还没有可排名的部门", icon="chart"),
    )
    shown = [r for r in rows if r.punctuality is not None][:12]
    figure = (
        charts.one(
            "bars",
            "及时率（%）",
            [(r.name, round((r.punctuality or 0) * 100, 1)) for r in shown],
            "%",
            target=100,
        )
        if shown
        else None
    )
    used = sorted((r for r in rows if r.users), key=lambda r: -(r.reuse or 0))[:12]
    reuse = (
        charts.one(
            "bars",
            "复用度（使用部门数）",
            [(r.name, round(r.reuse or 0, 1)) for r in used],
            "个部门",
        )
        if used
        else None
    )
    return table.respond(
        request,
        "sharing/ranking.html",
        {"figure": figure, "reuse": reuse, "definitions": list(queries.RANKED.values())},
    )


class DecideForm(Styled):
    """Whether a pair is repeated collection, and why."""

    reason = forms.CharField(label="理由", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


STATES = {"open": "待认定", "repeated": "属重复收集", "different": "不属重复"}


@page(permission="sharing.read")
def overlaps(request: ActorRequest) -> HttpResponse:
    """Datasets whose items mostly exist elsewhere."""
    table = Table(
        request,
        queries.overlap_list(request.actor),
        columns=[
            Column(
                "resource",
                "疑似重复的数据",
                primary=True,
                cell=lambda o: o.resource.title,
                sub=lambda o: str(o.resource.owner),
                link=lambda o: reverse("sharing:overlap", args=[o.pk]),
            ),
            Column("other", "已有的数据", cell=lambda o: f"{o.other.title}（{o.other.owner}）"),
            Column("shared", "相同数据项", cell=lambda o: f"{o.shared} / {o.total}", sort="shared"),
            Column(
                "state",
                "认定",
                kind="badge",
                cell=lambda o: STATES[o.state],
                tone=lambda o: {"open": "amber", "repeated": "red"}.get(o.state, "green"),
            ),
            Column("found_at", "发现", kind="date", phone=False),
        ],
        filters=[
            Filter("q", "数据名称", lookup="resource__title__icontains|other__title__icontains"),
            Filter("state", "认定", "select", choices=list(STATES.items()), lookup="state"),
        ],
        caption="疑似重复收集",
        export_name="疑似重复收集",
        empty=Empty(
            "没有疑似重复收集",
            "每天夜里比较各部门数据的数据项，大部分相同的列在这里。",
            icon="check",
        ),
    )
    return table.respond(request, "sharing/overlaps.html")


@page(permission="sharing.read")
def overlap(request: ActorRequest, number: int) -> HttpResponse:
    """One pair with its evidence, and the bureau's decision."""
    found = queries.overlap(request.actor, number)
    if found is None:
        raise Http404
    return render(
        request,
        "sharing/overlap.html",
        {
            "overlap": found,
            "state": STATES[found.state],
            "form": DecideForm(),
            "may_decide": found.state == "open" and request.actor.may("sharing.supervise"),
        },
    )


@page(permission="sharing.supervise")
@require_POST
def decide(request: ActorRequest, number: int) -> HttpResponse:
    """Decide about a pair."""
    found = queries.overlap(request.actor, number)
    if found is None:
        raise Http404
    if once(request):
        actions.decide_overlap(
            overlap=found,
            repeated=request.POST.get("decision") == "repeated",
            reason=request.POST.get("reason", ""),
            by=request.actor,
        )
        messages.success(request, "已认定")
    return redirect("sharing:overlap", number)
