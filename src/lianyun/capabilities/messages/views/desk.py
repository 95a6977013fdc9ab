"""Desk: what was sent, failed, simulated, by kind, way and day; send again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Bulk, Column, Empty, Filter, Table

from .. import actions, adapters, queries
from ..rules import declared

DAYS = 30
HOW = {
    "sent": ("已发出", queries.SENT),
    "simulated": ("模拟", queries.SIMULATED),
    "failed": ("失败", queries.FAILED),
    "held": ("未发送", queries.HELD),
    "waiting": ("待发送", queries.WAITS),
}


def _title(row: Any) -> str:
    kind = adapters.kinds().get(row.message.key)
    return kind.title if kind else row.message.key


@page(permission="messages.read")
def desk(request: ActorRequest) -> HttpResponse:
    """Figures, chart, and every mail and text of the last while; the readers are not named."""
    viewer = request.actor
    days, lines = queries.daily(viewer, DAYS)
    kinds = adapters.kinds()
    table = Table(
        request,
        queries.sendings(viewer),
        columns=[
            Column("message.key", "类别", primary=True, cell=_title, sub=lambda s: s.message.title),
            Column("channel", "渠道", cell=lambda s: s.get_channel_display()),
            Column("where", "送往", cell=lambda s: s.where or "—"),
            Column("made_at", "生成", kind="stamp"),
            Column("sent_at", "发出", kind="stamp", phone=False),
            Column("tries", "已试", kind="number"),
            Column("state", "结果", kind="badge", cell=lambda s: s.badge[0], tone=lambda s: s.badge[1]),
            Column("problem", "原因", cell=lambda s: s.problem or "—"),
        ],
        filters=[
            Filter("how", "结果", "select", choices=[(k, v[0]) for k, v in HOW.items()],
                   apply=lambda rows, how: rows.filter(HOW[how][1]) if how in HOW else rows),
            Filter("channel", "渠道", "select", lookup="channel",
                   choices=[(c, declared.CHANNELS[c]) for c in declared.OUTER]),
            Filter("kind", "类别", "select", lookup="message__key",
                   choices=[(k.key, k.title) for k in kinds.values()]),
        ],
        bulk=[Bulk("重新发送", reverse("messages:resend"))] if viewer.may("messages.resend") else [],
        caption="短信和邮件",
        export_name="消息发送",
        empty=Empty("还没有短信和邮件", "办件有进展时，会按类别和本人的设置发送。", icon="send"),
    )  # fmt: skip
    return table.respond(
        request,
        "messages/desk.html",
        {
            "figures": queries.figures(viewer, DAYS),
            "days": DAYS,
            "chart": charts.Chart(
                "stack", "每日短信和邮件", days,
                [charts.Series(HOW[k][0], lines[k]) for k in ("sent", "simulated", "failed", "held")],
                "条",
            ),
            "kinds": queries.by_kind(viewer, DAYS),
            "faults": adapters.declarations()[1],
            "stands_in": queries.stands_in(viewer),
        },
    )  # fmt: skip


@page(permission="messages.resend")
def resend(request: ActorRequest) -> HttpResponse:
    """Try again what was ticked."""
    if request.method == "POST" and once(request):
        picked = [int(n) for n in request.POST.getlist("pick") if n.isdigit()]
        try:
            count = actions.resend(picked, by=request.actor)
            messages.success(request, f"{count} 条已重新排队，一分钟内发送。")
        except UserError as wrong:
            messages.error(request, str(wrong))
    return redirect("messages:desk")
