"""Pages of requests: what upper nodes offer, and how a request to one stands."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from lianyun.capabilities.sharing.api import Request
from lianyun.kernel.access import UserError
from lianyun.ui.forms import TOKEN, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from . import forms

SHARE = {1: ("无条件共享", "green"), 2: ("有条件共享", "blue"), 3: ("不予共享", "red")}


@page(permission="cascade.request")
def offers(request: ActorRequest) -> HttpResponse:
    """What upper nodes offer."""
    table = Table(
        request,
        queries.offers(request.actor),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                sort=True,
                link=lambda m: reverse("cascade:offer", args=[m.pk]),
                sub=lambda m: m.code,
            ),
            Column("department", "上级提供部门", sort=True),
            Column("node", "节点", cell=lambda m: m.link.name, phone=False),
            Column(
                "share",
                "共享类型",
                kind="badge",
                cell=lambda m: SHARE[rules.share_of(m.content)][0],
                tone=lambda m: SHARE[rules.share_of(m.content)][1],
            ),
            Column(
                "area",
                "可按属地回流",
                cell=lambda m: "是" if rules.area_column(m.content["items"]) else "否",
            ),
            Column("changed_at", "更新", kind="stamp", sort=True, phone=False),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains|department__icontains")
        ],
        caption="上级目录",
        export_name="上级目录",
        order="title",
        empty=Empty(
            "还没有上级目录",
            "接入上级节点并启用后，上级发布的可共享目录会出现在这里。",
            icon="folder",
        ),
    )
    return table.respond(request, "cascade/offers.html", {})


@page(permission="cascade.request")
def offer(request: ActorRequest, number: int) -> HttpResponse:
    """One entry of an upper node, and the form to ask for it."""
    viewer = request.actor
    found = queries.offer(viewer, number)
    if found is None:
        raise Http404
    items = list(found.content["items"])
    area = rules.area_column(items)
    form = forms.AskForm(request.POST or None, items=items)
    if request.method == "POST" and form.is_valid():
        wanted = form.request()
        problems = actions.problems(found, wanted, timezone.localdate())
        form.tell(problems)
        if not problems:
            token = f"cascade-{viewer.ref}-{request.POST.get(TOKEN, '')}"[:120]
            try:
                ask = actions.ask_upper(mirror=found, request=wanted, once=token, by=viewer)
            except UserError as wrong:
                form.add_error(None, str(wrong))
            else:
                messages.success(request, "申请已提交，请本部门负责人审定后报上级")
                return redirect("cascade:case", ask.case.code)
    content = found.content
    share = content.get("share") or {}
    return render(
        request,
        "cascade/offer.html",
        {
            "mirror": found,
            "form": form,
            "area": area,
            "area_title": next((i["title"] for i in items if i["name"] == area), ""),
            "forbidden": rules.share_of(content) == 3,
            "pairs": [
                ("上级节点", found.link.name),
                ("提供部门", found.department),
                ("资源代码", found.code),
                ("共享类型", SHARE[rules.share_of(content)][0]),
                ("共享条件", share.get("conditions") or "—", "full"),
                ("更新周期", content.get("cycle") or "—"),
                ("摘要", content.get("summary") or "—", "full"),
            ],
            "items": items,
        },
    )


@page(permission="cascade.read")
def requests(request: ActorRequest) -> HttpResponse:
    """Requests across nodes, asked and received."""
    table = Table(
        request,
        queries.asks(request.actor),
        columns=[
            Column(
                "case.code",
                "办件",
                primary=True,
                cell=lambda a: a.case.title,
                link=lambda a: reverse(
                    "cascade:case" if a.link.side == rules.UPPER else "sharing:case",
                    args=[a.case.code],
                ),
                sub=lambda a: f"{a.case.code} · 交换编号 {a.exchange}",
            ),
            Column(
                "side",
                "方向",
                cell=lambda a: "报上级" if a.link.side == rules.UPPER else "下级报来",
            ),
            Column("node", "对方", cell=lambda a: a.link.name, phone=False),
            Column("at", "对方环节", cell=lambda a: a.told.get("title") or "—"),
            Column("due", "上级到期日", cell=lambda a: a.told.get("due_on") or "—"),
            Column("state", "状态", kind="state", cell=lambda a: a.case.state),
            Column(
                "grant",
                "授权",
                kind="badge",
                cell=lambda a: queries.standing(a.grant)[0],
                tone=lambda a: queries.standing(a.grant)[1],
            ),
        ],
        filters=[Filter("q", "关键词", lookup="case__title__icontains|exchange__icontains")],
        caption="跨级申请",
        export_name="跨级申请",
        empty=Empty("还没有跨级申请", "在“上级目录”中选择数据提出申请。", icon="send"),
    )
    return table.respond(request, "cascade/requests.html", {})


@page(permission="cascade.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One request to an upper node: what is asked, where it stands there, and what came back."""
    viewer = request.actor
    found = queries.ask(viewer, code)
    if found is None or found.mirror is None:
        raise Http404
    asked = Request.of(found.case.data["request"])
    titles = {str(i["name"]): str(i["title"]) for i in found.mirror.content["items"]}
    told = found.told
    to_do: list[dict[str, Any]] = []
    for item in queries.to_do(viewer, found.case):
        entry: dict[str, Any] = {"item": item, "outcomes": item.declared.outcomes}
        if item.step == "supplement":
            entry["form"] = forms.AskForm(
                items=list(found.mirror.content["items"]), initial=forms.initial_of(asked)
            )
            entry["outcomes"] = [o for o in item.declared.outcomes if o.name != "submit"]
        to_do.append(entry)
    arrived = None
    if found.target is not None:
        arrived = queries.transfers(viewer).filter(resource=found.target).first()
    waiting_upper = any(
        i.step == "upper" and i.done_at is None for i in queries.steps(viewer, found.case)
    )
    return render(
        request,
        "cascade/case.html",
        {
            "ask": found,
            "case": found.case,
            "standing": queries.standing(found.grant),
            "pairs": [
                ("数据", found.mirror.title),
                ("上级提供部门", f"{found.link.name} {found.mirror.department}"),
                ("申请部门", str(found.case.applicant)),
                ("交换编号", found.exchange),
                ("使用依据", asked.basis, "full"),
                ("使用场景", asked.scene, "full"),
                ("用途", asked.purpose, "full"),
                ("数据项", "、".join(titles.get(f, f) for f in asked.fields), "full"),
                (
                    "明文数据项",
                    "、".join(titles.get(f, f) for f in asked.plain) or "无（全部脱敏）",
                    "full",
                ),
                ("使用时限", f"至 {asked.until}"),
            ],
            "upper_pairs": [
                ("上级办件编号", told.get("case") or "—"),
                ("当前环节", told.get("title") or ("已办结" if told.get("closed") else "—")),
                ("到期日（上级计时）", told.get("due_on") or "不计时"),
                ("依据", told.get("basis") or "—", "full"),
                ("最近意见", told.get("note") or "—", "full"),
            ]
            if told
            else [],
            "items": queries.steps(viewer, found.case),
            "to_do": to_do,
            "timeline": queries.timeline(viewer, found.case),
            "transfer": arrived,
            "may_withdraw": waiting_upper
            and found.grant is None
            and viewer.may("cascade.request", found.case.applicant),
            "reason_form": forms.ReasonForm(),
        },
    )


@page(permission="cascade.read")
@require_POST
def step(request: ActorRequest, number: int) -> HttpResponse:
    """Do one step of a request to an upper node."""
    viewer = request.actor
    item = queries.item(viewer, number)
    ask = queries.ask(viewer, item.case.code) if item else None
    if item is None or ask is None or ask.mirror is None:
        raise Http404
    if not once(request):
        return redirect("cascade:case", item.case.code)
    outcome, wanted = request.POST.get("outcome", "agree"), None
    if item.step == "supplement" and outcome == "submit":
        form = forms.AskForm(request.POST, items=list(ask.mirror.content["items"]))
        if not form.is_valid():
            raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
        wanted = form.request()
    actions.do_step(
        item=item,
        outcome=outcome,
        note=request.POST.get("note", ""),
        request=wanted,
        by=viewer,
    )
    messages.success(request, f"“{item.title}”已办理")
    return redirect("cascade:case", item.case.code)


@page(permission="cascade.request")
@require_POST
def withdraw(request: ActorRequest, code: str) -> HttpResponse:
    """Ask the upper node to let the request be."""
    found = queries.ask(request.actor, code)
    if found is None:
        raise Http404
    if once(request):
        actions.withdraw_ask(ask=found, reason=request.POST.get("reason", ""), by=request.actor)
        messages.success(request, "撤回请求已发往上级")
    return redirect("cascade:case", code)
