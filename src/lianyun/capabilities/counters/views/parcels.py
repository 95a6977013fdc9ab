"""Parcels: the applicant chooses the courier and follows it; the window posts what was decided."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from ..actions import parcels as actions
from ..adapters import declared
from ..queries import halls
from ..queries import parcels as queries
from ..rules import parcels as rules


@signed_in
def own(request: ActorRequest, application: str) -> HttpResponse:
    """The courier for one application: originals to the hall, the result home; how far they are."""
    viewer = request.actor
    found = queries.application_of(viewer, application)
    kept = {"name": found.applicant.name} if found.applicant.kind == "person" else {}
    wrong = ""
    if request.method == "POST":
        try:
            if once(request):
                _do(request, found)
            return redirect("counters:parcels", application=application)
        except UserError as error:
            wrong = str(error)
            kept = {k: request.POST.get(k, "") for k in ("way", "hall", "name", "phone", "place")}
    shown = [
        (p, [(dt.datetime.fromisoformat(s["at"]), s["words"]) for s in reversed(p.trail)])
        for p in queries.of_application(viewer, found)
    ]
    return render(
        request,
        "counters/parcels.html",
        {
            "application": found,
            "ways": queries.ways(viewer, found),
            "halls": halls.halls(viewer),
            "parcels": shown,
            "kept": kept,
            "wrong": wrong,
            "courier": declared.courier()["name"],
        },
    )


def _do(request: ActorRequest, application: object) -> None:
    viewer, do = request.actor, request.POST.get("do", "")
    found = queries.application_of(viewer, getattr(application, "code", ""))
    if do == "choose":
        made = actions.choose(
            found,
            request.POST.get("way", ""),
            hall=halls.hall_of(viewer, request.POST.get("hall", "")),
            address={k: request.POST.get(k, "") for k in ("name", "phone", "place")},
            by=viewer,
        )
        messages.success(request, "已选择寄送。")
        if made.way == rules.ORIGINALS:
            # A courier that is down is asked again by the job; the choice stands.
            with suppress(UserError):
                actions.order_originals(made, by=viewer)
        return
    one = next(
        (
            p
            for p in queries.of_application(viewer, found)
            if str(p.pk) == request.POST.get("parcel")
        ),
        None,
    )
    if one is None:
        raise UserError("没有这件寄送")
    if do == "cancel":
        actions.cancel(one, by=viewer)
        messages.success(request, "已取消寄送。")
    else:
        actions.track(one, by=viewer)


@page(permission=queries.POST)
def posting(request: ActorRequest) -> HttpResponse:
    """What applicants want to have sent: post it once the case is closed."""
    table = Table(
        request,
        queries.posted(request.actor),
        columns=[
            Column("item_name", "事项", primary=True, sub=lambda p: p.case.code),
            Column("way", "寄送", cell=lambda p: p.get_way_display()),
            Column("shown", "地址（脱敏）"),
            Column("hall.title", "大厅", phone=False),
            Column("waybill", "运单号", kind="code"),
            Column("stage", "进度", kind="badge", cell=lambda p: p.words[0], tone=lambda p: p.words[1]),
            Column("case.state", "办件", kind="state"),
            Column("chosen_at", "选择时间", kind="stamp", phone=False),
        ],
        filters=[
            Filter("q", "办件编号", lookup="case__code__icontains|waybill__icontains"),
            Filter(
                "sent", "下单", "select", choices=[("False", "已下单"), ("True", "未下单")],
                lookup="sent_at__isnull",
            ),
        ],
        caption="寄送",
        export_name="寄送",
        order="-id",
        empty=Empty("还没有寄送", "申请人在办件页面选择快递寄送后，会出现在这里。", icon="send"),
    )  # fmt: skip
    ready = list(
        queries.posted(request.actor).filter(
            way=rules.RESULT, sent_at=None, cancelled_at=None, case__state="closed"
        )[:30]
    )
    return table.respond(request, "counters/posting.html", {"ready": ready})


@page(permission=queries.POST)
def post(request: ActorRequest, number: int) -> HttpResponse:
    """Hand one result to the courier."""
    if request.method == "POST":
        try:
            row = actions.post(queries.parcel_of(request.actor, number), by=request.actor)
            messages.success(request, f"已交寄，运单号 {row.waybill}。")
        except UserError as wrong:
            messages.error(request, str(wrong))
    return redirect("counters:posting")
