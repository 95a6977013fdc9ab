"""Pages of what crosses: upper nodes' offers, requests, lower nodes' entries, rows."""

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


# ---- offers and requests -----------------------------------------------------------------


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


# ---- lower nodes' entries ----------------------------------------------------------------


@page(permission="cascade.read")
def entries(request: ActorRequest) -> HttpResponse:
    """Lower nodes' entries and the conflicts that wait for an officer."""
    viewer = request.actor
    table = Table(
        request,
        queries.entries(viewer),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                sort=True,
                link=lambda m: reverse("cascade:entry", args=[m.pk]),
                sub=lambda m: m.code,
            ),
            Column("node", "节点", cell=lambda m: m.link.name, sort="link__name"),
            Column("department", "原提供部门", phone=False),
            Column(
                "standing",
                "情况",
                kind="badge",
                cell=lambda m: _standing(m)[0],
                tone=lambda m: _standing(m)[1],
            ),
            Column("changed_at", "更新", kind="stamp", sort=True),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains|department__icontains"),
            Filter(
                "conflict",
                "冲突",
                "select",
                choices=list(rules.CONFLICTS.items()),
                lookup="conflict",
            ),
        ],
        caption="下级目录",
        export_name="下级目录",
        order="-conflict",
        empty=Empty(
            "还没有下级目录",
            "下级节点接入并启用后，其发布的目录会自动出现在这里和数据目录中。",
            icon="list",
        ),
    )
    waiting = queries.entries(viewer).exclude(conflict="").count()
    return table.respond(request, "cascade/entries.html", {"waiting": waiting})


def _standing(mirror: Any) -> tuple[str, str]:
    if mirror.withdrawn:
        return "原单位已撤销", "grey"
    if mirror.conflict:
        return "冲突待处理", "red"
    if mirror.resource_id is not None:
        return "已收录", "green"
    return ("以本级为准", "grey") if mirror.decision == rules.KEEP else ("待收录", "amber")


@page(permission="cascade.read")
def entry(request: ActorRequest, number: int) -> HttpResponse:
    """One entry of a lower node; a conflict beside ours, and its decision."""
    viewer = request.actor
    found = queries.entry(viewer, number)
    if found is None:
        raise Http404
    form = None
    if found.conflict and viewer.may("cascade.decide"):
        form = forms.DecideForm(request.POST or None, conflict=found.conflict)
        if request.method == "POST" and form.is_valid():
            if once(request):
                actions.decide_conflict(
                    mirror=found,
                    decision=form.cleaned_data["decision"],
                    note=form.cleaned_data["note"],
                    by=viewer,
                )
                messages.success(request, "已处理")
            return redirect("cascade:entry", number)
    return render(
        request,
        "cascade/entry.html",
        {
            "mirror": found,
            "standing": _standing(found),
            "rows": queries.differences(found),
            "form": form,
            "items": found.content["items"],
            "pairs": [
                ("下级节点", f"{found.link.name}（{found.link.code}）"),
                ("原提供部门", found.department),
                ("资源代码", found.code),
                ("共享类型", SHARE[rules.share_of(found.content)][0]),
                ("摘要", found.content.get("summary") or "—", "full"),
                ("处理", found.get_decision_display() or "—"),
                ("处理人", found.decided_by or "—"),
                ("理由", found.note or "—", "full"),
            ],
        },
    )


# ---- rows --------------------------------------------------------------------------------


@page(permission="cascade.read")
def transfers(request: ActorRequest) -> HttpResponse:
    """Rows under way and arrived."""
    viewer = request.actor
    table = Table(
        request,
        queries.transfers(viewer),
        columns=[
            Column(
                "resource.title",
                "数据",
                primary=True,
                cell=lambda t: t.resource.title,
                link=lambda t: reverse("cascade:transfer", args=[t.code]),
                sub=lambda t: t.code,
            ),
            Column(
                "kind",
                "方向",
                cell=lambda t: f"{t.get_kind_display()}{'至' if t.sending else '自'} {t.link.name}",
            ),
            Column("rows", "行数", kind="number", cell=lambda t: t.manifest.get("rows")),
            Column("rejected", "拒收", kind="number", cell=lambda t: t.verdict.get("rejected")),
            Column("progress", "进度", cell=lambda t: f"{t.fraction:.0%}", phone=False),
            Column(
                "stage",
                "阶段",
                kind="badge",
                cell=lambda t: t.get_stage_display(),
                tone=lambda t: {"done": "green", "failed": "red"}.get(t.stage, "blue"),
            ),
            Column("began_at", "开始", kind="stamp", sort=True),
        ],
        filters=[
            Filter("q", "关键词", lookup="resource__title__icontains|code__icontains"),
            Filter(
                "kind",
                "方向",
                "select",
                choices=[("upload", "上传"), ("return", "回流")],
                lookup="kind",
            ),
        ],
        caption="跨级传送",
        export_name="跨级传送",
        empty=Empty("还没有传送", "上传本部门数据，或在上级授权后等待回流。", icon="swap"),
    )
    return table.respond(
        request,
        "cascade/transfers.html",
        {
            "flows": queries.flows(viewer),
            "may_upload": viewer.may("cascade.upload") and bool(queries.uppers(viewer)),
        },
    )


@page(permission="cascade.read")
def transfer(request: ActorRequest, code: str) -> HttpResponse:
    """One transfer: how far it is, its verdict, and the rows that were rejected."""
    found = queries.transfer(request.actor, code)
    if found is None:
        raise Http404
    seen = queries.may_see_rejects(request.actor, found)
    verdict = found.verdict
    return render(
        request,
        "cascade/transfer.html",
        {
            "transfer": found,
            "pairs": [
                ("数据", found.resource.title),
                (
                    "方向",
                    f"{found.get_kind_display()}{'至' if found.sending else '自'} {found.link.name}",
                ),
                ("交换编号", found.code),
                ("授权", found.grant.code if found.grant else "—"),
                ("限定属地", found.manifest.get("area") or "—"),
                ("发起", found.by_name),
            ],
            "rejects": (verdict.get("rejects") or []) if seen else [],
            "hidden": bool(verdict.get("rejects")) and not seen,
            "told": rules.REJECTS_TOLD,
        },
    )


@page(permission="cascade.read")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The bar of a transfer, for its polling."""
    found = queries.transfer(request.actor, code)
    if found is None:
        raise Http404
    return render(request, "cascade/_progress.html", {"transfer": found})


@page(permission="cascade.upload")
def upload(request: ActorRequest) -> HttpResponse:
    """Declare a dataset for upload and send it."""
    viewer = request.actor
    datasets = {r.name: r for r in queries.uploadable(viewer)}
    uppers = {u.code: u for u in queries.uppers(viewer)}
    form = forms.UploadForm(request.POST or None)
    form.fields["resource"].choices = [  # type: ignore[attr-defined]
        (n, f"{r.title}（{r.owner}）") for n, r in datasets.items()
    ]
    form.fields["link"].choices = [(c, u.name) for c, u in uppers.items()]  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("cascade:transfers")
        data = form.cleaned_data
        try:
            flow = actions.arrange_upload(
                resource=datasets[data["resource"]],
                link=uppers[data["link"]],
                auto=data["auto"],
                by=viewer,
            )
            made = actions.send_flow(flow=flow, by=viewer)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "已开始上传")
            return redirect("cascade:transfer", made.code)
    return render(
        request,
        "cascade/form.html",
        {
            "form": form,
            "title": "上传数据到上级",
            "lede": "上传的数据在上级逐行检查，拒收的行和原因会传回。",
            "submit": "开始上传",
        },
    )


@page(permission="cascade.upload")
@require_POST
def change_flow(request: ActorRequest, number: int, verb: str) -> HttpResponse:
    """Send an arrangement's rows now, or let it send no more by itself."""
    found = queries.flow(request.actor, number)
    if found is None or verb not in ("send", "stop"):
        raise Http404
    if not once(request):
        return redirect("cascade:transfers")
    if verb == "stop":
        actions.stop_flow(flow=found, by=request.actor)
        messages.success(request, "已停止自动传送")
        return redirect("cascade:transfers")
    made = actions.send_flow(flow=found, by=request.actor)
    messages.success(request, "已开始传送")
    return redirect("cascade:transfer", made.code)
