"""Views: the board of lamps, what burns, urges and cards, the closed loop."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.desk import api as desk
from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.context import address_of
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules


def _words(item: Any) -> str:
    return desk.lamp_words(item.days_left, paused=desk.lamp_of(item) == "paused")


@page(permission="supervision.read")
def home(request: ActorRequest) -> HttpResponse:
    """The board: every department's lamps, and the steps that burn."""
    viewer = request.actor
    area = request.GET.get("area", "")[:20]
    lines = queries.board(viewer, area)
    shown = [x for x in lines if x.open][:15]
    labels = [str(x.department) for x in shown]
    table = Table(
        request,
        queries.watched(viewer, area),
        columns=[
            Column(
                "case.title", "办件", primary=True, sub=lambda i: i.case.code,
                link=lambda i: reverse("supervision:step", args=[i.pk]),
            ),
            Column("title", "环节"),
            Column("department.short", "部门", cell=lambda i: str(i.department or "")),
            Column("assignee.name", "办理人", cell=lambda i: i.assignee.name if i.assignee else "未认领"),
            Column("due_on", "灯号", kind="badge", cell=_words, tone=lambda i: desk.TONES[desk.lamp_of(i)]),
        ],
        filters=[
            Filter("lamp", "灯号", "select", choices=[(k, v) for k, v in desk.LAMPS.items()], apply=desk.with_lamp),
            Filter(
                "department", "部门", "select", lookup="department__slug",
                choices=[(str(x.department.slug), str(x.department)) for x in lines],
            ),
        ],
        caption="在办环节",
        export_name="监察灯号",
        empty=Empty("没有在办的环节", "部门受理申请后，每个环节的灯号会显示在这里。", icon="check"),
    )  # fmt: skip
    total = {
        k: sum(getattr(x, k) for x in lines)
        for k in ("open", "red", "yellow", "green", "done", "in_time")
    }
    return table.respond(
        request,
        "supervision/home.html",
        {
            "lines": lines,
            "total": total,
            "share": rules.share(total["in_time"], total["done"]),
            "chart": charts.Chart(
                "stack", "各部门在办环节灯号", labels,
                [
                    charts.Series("逾期", [x.red for x in shown]),
                    charts.Series("期限内", [x.green for x in shown]),
                    charts.Series("临近期限", [x.yellow for x in shown]),
                    charts.Series("中止", [x.paused for x in shown]),
                ],
                "件",
            ),
            "items": queries.item_codes(viewer),
            "area": next((a for a in queries.areas() if a.code == area), None),
            "areas": [("全部", request.path, None)] + [
                (a.title, f"{request.path}?area={a.code}", count) for a, count, _ in queries.by_area(viewer)
            ],
            "settings": queries.settings(),
        },
    )  # fmt: skip


@page(permission="supervision.read")
def step(request: ActorRequest, number: int) -> HttpResponse:
    """One step of an application: how long it takes, and urge or propose a card."""
    viewer = request.actor
    item = queries.step_of(viewer, number)
    if request.method == "POST" and once(request):
        does, content = request.POST.get("do", ""), request.POST.get("content", "")
        try:
            made = (
                actions.urge(item, content, by=viewer)
                if does == rules.URGE
                else actions.propose_card(item, does, content, by=viewer)
            )
        except UserError as wrong:
            messages.error(request, str(wrong))
        else:
            messages.success(request, f"已{'发出督办' if does == rules.URGE else '提请发牌'}。")
            return redirect("supervision:case", code=made.code)
    return render(
        request,
        "supervision/step.html",
        {
            "item": item,
            "lamp": _words(item),
            "tone": desk.TONES[desk.lamp_of(item)],
            "may": viewer.may("supervision.watch"),
            "matters": queries.matters(viewer).filter(subject=item.case.ref),
            "steps": item.case.items.select_related("department", "by").order_by("id"),
        },
    )


@page(permission="supervision.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Urges and cards."""
    table = Table(
        request,
        queries.matters(request.actor),
        columns=[
            Column(
                "title", "督办件", primary=True, sub=lambda c: c.code,
                link=lambda c: reverse("supervision:case", args=[c.code]),
            ),
            Column(
                "data.does", "类别", kind="badge",
                cell=lambda c: rules.DOES.get(c.data.get("does", ""), ""),
                tone=lambda c: rules.TONES.get(c.data.get("does", ""), "grey"),
            ),
            Column("department.short", "责任部门", cell=lambda c: str(c.department or "")),
            Column("data.rule", "规则", cell=lambda c: c.data.get("rule", "")),
            Column("opened_at", "发出", kind="stamp"),
            Column(
                "outcome", "结果", kind="badge",
                cell=lambda c: rules.ENDS.get(c.outcome, (c.get_state_display(), ""))[0],
                tone=lambda c: rules.ENDS.get(c.outcome, ("", "blue"))[1],
            ),
        ],
        filters=[
            Filter("does", "类别", "select", choices=list(rules.DOES.items()), lookup="data__does"),
            Filter("state", "状态", "select", choices=[("open", "办理中"), ("closed", "办结")], lookup="state"),
        ],
        caption="督办和发牌",
        export_name="督办和发牌",
        keyset="-id",
        empty=Empty("没有督办件", "逾期的环节会按规则自动督办，也可以在灯号列表中逐件督办。", icon="check"),
    )  # fmt: skip
    return table.respond(request, "supervision/list.html", {"settings": queries.settings()})


@page(permission="supervision.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One urge or card: what it is about, the answer, the confirmation."""
    viewer = request.actor
    found = queries.matter_of(viewer, code)
    if request.method == "POST" and once(request):
        try:
            actions.work(
                found,
                request.POST.get("step", ""),
                request.POST.get("outcome", ""),
                note=request.POST.get("note", ""),
                by=viewer,
            )
            messages.success(request, "已办理。")
        except UserError as wrong:
            messages.error(request, str(wrong))
        return redirect("supervision:case", code=code)
    about = queries.watched_case(viewer, found)
    return render(
        request,
        "supervision/case.html",
        {
            "case": found,
            "does": rules.DOES.get(found.data.get("does", ""), ""),
            "tone": rules.TONES.get(found.data.get("does", ""), "grey"),
            "end": rules.ENDS.get(found.outcome),
            "item": queries.item_of(viewer, found),
            "about": about,
            "about_url": _place_of(viewer, about),
            "events": queries.events(viewer, found),
            "answers": found.items.exclude(done_at=None).select_related("by"),
        },
    )  # fmt: skip


def _place_of(viewer: Any, about: Any) -> str:
    """Where the viewer may read the case that an urge or card is about; empty where nowhere."""
    if about is None:
        return ""
    name, wanted = ("ratings:case", "ratings.read")
    if about.subject.startswith(desk.SUBJECT):
        name, wanted = ("desk:case", "desk.read")
    elif about.path.key != "rating_rework":
        return ""
    return address_of(name, about.code) if viewer.may(wanted, about.department) else ""


@page(permission="supervision.read")
def loop(request: ActorRequest, code: str) -> HttpResponse:
    """责任→标准→清单→节点→程序→控制 of one item."""
    found = queries.loop(request.actor, code)
    chart = charts.Chart(
        "stack", "各节点办理情况", [n.title for n in found.nodes],
        [
            charts.Series("按时办理", [n.in_time for n in found.nodes]),
            charts.Series("逾期", [n.done - n.in_time + n.red for n in found.nodes]),
            charts.Series("在办", [n.open - n.red for n in found.nodes]),
        ],
        "件",
    )  # fmt: skip
    return render(
        request,
        "supervision/loop.html",
        {"loop": found, "chart": chart, "steps": rules.LOOP, "items": queries.item_codes(request.actor)},
    )  # fmt: skip
