"""Lists: requests, the desk, what may be asked for, and the bureau's overview."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from lianyun.ui import charts
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Bulk, Column, Empty, Filter, Table

from .. import queries, rules

OUTCOMES = {"delivered": "已开通", "refused": "不同意", "withdrawn": "已撤回", "": "办理中"}
TONES = {"delivered": "green", "refused": "red", "withdrawn": "grey", "": "blue"}


def _current(case: Any) -> str:
    waiting = [i.title for i in case.items.all() if i.done_at is None]
    return "、".join(waiting) if waiting else "—"


def _due(case: Any) -> Any:
    dues = [i.due_on for i in case.items.all() if i.done_at is None and i.due_on]
    return min(dues) if dues else None


@page(permission="sharing.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Requests: what one's own department asked, what it was asked, or all."""
    viewer = request.actor
    side = request.GET.get("side", "")
    side = side if side in ("asked", "received") else ""
    rows = queries.requests(viewer, side).prefetch_related("items")
    table = Table(
        request,
        rows,
        columns=[
            Column(
                "title",
                "申请",
                primary=True,
                link=lambda c: reverse("sharing:case", args=[c.code]),
                sub=lambda c: c.code,
            ),
            Column("applicant.short", "申请部门", cell=lambda c: str(c.applicant)),
            Column("department.short", "提供部门", cell=lambda c: str(c.department), phone=False),
            Column("now", "当前环节", cell=_current),
            Column("due", "法定时限", kind="lamp", cell=_due),
            Column(
                "outcome",
                "结果",
                kind="badge",
                cell=lambda c: OUTCOMES.get(c.outcome, c.outcome),
                tone=lambda c: TONES.get(c.outcome, "grey"),
            ),
            Column("opened_at", "申请时间", kind="stamp", sort=True, phone=False),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains"),
            Filter(
                "outcome",
                "结果",
                "select",
                choices=[
                    ("open", "办理中"),
                    ("delivered", "已开通"),
                    ("refused", "不同意"),
                    ("withdrawn", "已撤回"),
                ],
                apply=lambda r, v: r.filter(outcome="" if v == "open" else v),
            ),
        ],
        caption="共享申请",
        export_name="共享申请",
        empty=Empty(
            "还没有共享申请",
            "在数据目录中找到需要的数据，说明使用依据和场景即可申请。",
            reverse("sharing:choose") if viewer.may("sharing.request") else "",
            "申请共享",
        ),
    )
    base = reverse("sharing:list")
    tabs = [
        ("全部", base),
        ("本部门申请的", f"{base}?side=asked"),
        ("申请本部门数据的", f"{base}?side=received"),
    ]
    return table.respond(
        request, "sharing/list.html", {"tab_list": tabs, "notices": queries.notices(viewer)}
    )


@page(permission="sharing.read")
def desk(request: ActorRequest) -> HttpResponse:
    """Steps that wait for the viewer, the most urgent first."""
    table = Table(
        request,
        queries.desk(request.actor).select_related("case__applicant", "case__department"),
        columns=[
            Column(
                "title",
                "环节",
                primary=True,
                link=lambda i: reverse(
                    "sharing:case", args=[i.case.data.get("case") or i.case.code]
                ),
                sub=lambda i: i.case.title,
            ),
            Column("applicant", "申请部门", cell=lambda i: str(i.case.applicant)),
            Column(
                "provider", "提供部门", cell=lambda i: str(i.case.department or "—"), phone=False
            ),
            Column("basis", "依据", phone=False),
            Column("due_on", "时限", kind="lamp"),
            Column("opened_at", "到达时间", kind="stamp", phone=False),
        ],
        filters=[Filter("q", "关键词", lookup="case__title__icontains|case__code__icontains")],
        caption="共享待办",
        row_class=lambda i: "overdue" if i.overdue else "",
        empty=Empty("没有待办", "需要您办理的共享申请会出现在这里。", icon="check"),
    )
    return table.respond(request, "sharing/desk.html")


@page(permission="sharing.request")
def choose(request: ActorRequest) -> HttpResponse:
    """Which data to ask for."""
    table = Table(
        request,
        queries.requestable(request.actor),
        columns=[
            Column("title", "数据", primary=True, sub=lambda r: r.code),
            Column("owner.short", "提供部门", cell=lambda r: str(r.owner)),
            Column(
                "share",
                "共享属性",
                kind="badge",
                cell=lambda r: rules.SHARE_TYPES[rules.share_type(r.terms)],
                tone=lambda r: {1: "green", 2: "blue", 3: "grey"}[rules.share_type(r.terms)],
            ),
            Column(
                "ask",
                "操作",
                kind="actions",
                cell=lambda r: "不予共享" if rules.share_type(r.terms) == 3 else "申请",
                link=lambda r: reverse("sharing:new", args=[r.name]),
                export=False,
            ),
        ],
        filters=[
            Filter(
                "q",
                "数据名称、代码或部门",
                lookup="title__icontains|code__icontains|owner__name__icontains",
            )
        ],
        caption="可申请的数据",
        bulk=[Bulk("加入选数车", reverse("sharing:put_many"), tone="primary")],
        pick=lambda r: r.name,
        empty=Empty("没有找到数据", "换个关键词再试。", icon="search"),
    )
    return table.respond(request, "sharing/choose.html")


@page(permission="sharing.supervise")
def overview(request: ActorRequest) -> HttpResponse:
    """The bureau's view: what is overdue, and how each department keeps its legal clocks."""
    viewer = request.actor
    by_step, by_department = queries.clocks(viewer)
    late = [c for c in by_department if c.overdue or c.late]
    figure = (
        charts.one(
            "bars", "逾期环节最多的部门", [(c.title, c.overdue + c.late) for c in late[:10]], "个"
        )
        if late
        else None
    )
    table = Table(
        request,
        by_department,
        columns=[
            Column("title", "部门", primary=True),
            Column("done", "已办环节", kind="number", sort=True),
            Column("waiting", "在办", kind="number", sort=True),
            Column(
                "overdue",
                "逾期未办",
                kind="badge",
                sort=True,
                tone=lambda c: "red" if c.overdue else "grey",
            ),
            Column("late", "逾期办结", kind="number", sort=True),
            Column(
                "on_time",
                "按时率",
                cell=lambda c: "—" if c.on_time is None else f"{c.on_time * 100:.1f}%",
            ),
            Column(
                "average",
                "平均用时（工作日）",
                cell=lambda c: "—" if c.average is None else f"{c.average:.1f}",
                phone=False,
            ),
        ],
        caption="法定时限执行情况",
        export_name="共享法定时限报告",
        page_size=60,
        empty=Empty("还没有计时的环节", icon="clock"),
    )
    return table.respond(
        request,
        "sharing/overview.html",
        {
            "figures": queries.figures(viewer),
            "by_step": by_step,
            "overdue": queries.overdue(viewer).select_related("case__applicant"),
            "figure": figure,
        },
    )
