"""Desk: a department's subscriptions, a provider's receivers, the bureau's dead letters."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from .forms import ReasonForm, ReceiverForm


def _columns(*, provider: bool) -> list[Column]:
    who = (
        Column("grantee.short", "接收部门", sort=True)
        if provider
        else Column("provider.short", "提供部门", sort=True)
    )
    return [
        Column(
            "title",
            "数据",
            primary=True,
            sort=True,
            link=lambda x: reverse("delivery:detail", args=[x.code]),
            sub=lambda x: f"{x.kind}　{x.row.location}" if x.row.location else x.kind,
        ),
        who,
        Column("words", "状态", kind="badge", tone=lambda x: x.tone),
        Column("behind", "落后批次", kind="number", sort=True),
        Column("taken_at", "最近接收", kind="stamp", sort=True),
        Column("row.number", "交付次数", kind="number", phone=False),
    ]


def _filters() -> list[Filter]:
    return [
        Filter(
            "q",
            "关键词",
            apply=lambda rows, v: [
                r for r in rows if v in r.title or v in r.grantee.name or v in r.code
            ],
        ),
        Filter(
            "kind",
            "方式",
            "select",
            choices=list(rules.KINDS.items()),
            apply=lambda rows, v: [r for r in rows if r.row.kind == v],
        ),
    ]


@page(permission="delivery.read")
def listing(request: ActorRequest) -> HttpResponse:
    """What the viewer's department receives, and the grants for which nothing is set up."""
    lines = queries.received(request.actor)
    can_set = request.actor.may("delivery.use")
    table = Table(
        request,
        lines,
        columns=_columns(provider=request.actor.may("delivery.supervise")),
        filters=_filters(),
        caption="订阅",
        export_name="批量交换订阅",
        empty=Empty(
            "还没有订阅",
            "共享申请选择“批量交换”并获批后，会自动出现在这里，设置接收地址即可。",
            icon="send",
        ),
    )
    grants = queries.grants_for(request.actor, "feed") if can_set else []
    return table.respond(
        request,
        "delivery/list.html",
        {"totals": queries.totals(request.actor, lines), "grants": grants, "kinds": rules.KINDS},
    )


@page(permission="delivery.read")
def receivers(request: ActorRequest) -> HttpResponse:
    """Who takes the viewer's data, and how far each of them is."""
    lines = queries.provided(request.actor)
    table = Table(
        request,
        lines,
        columns=_columns(provider=True),
        filters=_filters(),
        caption="接收方",
        export_name="数据去向",
        empty=Empty(
            "还没有部门订阅本部门的数据",
            "批量交换的授权开通后，这里显示谁在接收、接收到哪一批。",
            icon="grant",
        ),
    )
    named = {x.row.grant.resource.name: x.title for x in lines if x.row.grant.resource}
    return table.respond(
        request,
        "delivery/receivers.html",
        {"totals": queries.totals(request.actor, lines), "named": sorted(named.items())},
    )


@page(permission="delivery.read")
def takers(request: ActorRequest, name: str) -> HttpResponse:
    """Who has not yet taken a batch of a dataset: a correction or a deletion."""
    resource = queries.resource(request.actor, name)
    if resource is None:
        raise Http404
    batches = queries.batches_of(request.actor, resource)
    wanted = request.GET.get("batch") or (batches[0].code if batches else "")
    rows = queries.takers(request.actor, resource, wanted) if wanted else []
    return render(
        request,
        "delivery/takers.html",
        {
            "resource": resource,
            "batches": batches,
            "wanted": wanted,
            "rows": rows,
            "missing": sum(1 for r in rows if not r.taken),
        },
    )


# ---- one subscription ----------------------------------------------------------------------


def _found(request: ActorRequest, code: str) -> Any:
    row = queries.subscription(request.actor, code)
    if row is None:
        raise Http404
    return row


@page(permission="delivery.read")
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One subscription: how far it is, what is wrong, what was delivered, what people did."""
    row = _found(request, code)
    table = Table(
        request,
        queries.deliveries(request.actor, row),
        columns=[
            Column("number", "序号", kind="number", primary=True),
            Column("full", "内容", cell=lambda d: "全量" if d.full else "变更"),
            Column("upserts", "新增或更新", kind="number"),
            Column("deletes", "删除", kind="number"),
            Column(
                "standing",
                "结果",
                kind="badge",
                cell=lambda d: rules.STANDINGS[d.standing][0],
                tone=lambda d: rules.STANDINGS[d.standing][1],
            ),
            Column("begun_at", "开始", kind="stamp"),
            Column("finished_at", "完成", kind="stamp", phone=False),
            Column("upto", "数据截至批次", kind="code", phone=False),
        ],
        caption="交付历史",
        export_name=f"交付历史-{row.code}",
        keyset="-id",
        empty=Empty("还没有交付", "接通后第一次交付全量，之后只送变更。", icon="history"),
    )
    line = queries.line(request.actor, row)
    may_set = queries.may_set(request.actor, row)
    return table.respond(
        request,
        "delivery/detail.html",
        {
            "row": row,
            "line": line,
            "dead": queries.dead_letters(request.actor).filter(subscription=row).first(),
            "may_set": may_set,
            "may_settle": queries.may_settle(request.actor, row),
            "fields": queries.sample_of(request.actor, row.grant),
            "timeline": queries.history(request.actor, row),
            "pull": row.kind == rules.PULL,
        },
    )


@page(permission="delivery.use")
def new(request: ActorRequest, grant: str) -> HttpResponse:
    """Set up a receiver: choose a kind, then fill in its form."""
    found = queries.grant(request.actor, grant)
    if found is None:
        raise Http404
    kind = request.GET.get("kind", "")
    if kind not in rules.KINDS:
        kinds = [(title, f"?kind={key}", key) for key, title in rules.KINDS.items()]
        return render(request, "delivery/kinds.html", {"kinds": kinds, "grant": found})
    form = ReceiverForm(kind, request.POST or None)
    ready = request.method == "POST" and form.is_valid()
    if ready:
        if not once(request):
            return redirect("delivery:list")
        try:
            made = actions.open_subscription(grant=found, by=request.actor, **form.arguments())
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "订阅已建立，请测试连接")
            return redirect("delivery:detail", made.code)
    return render(
        request,
        "delivery/form.html",
        {"form": form, "kind": rules.KINDS[kind], "grant": found, "back": reverse("delivery:list")},
    )


@page(permission="delivery.use")
def edit(request: ActorRequest, code: str) -> HttpResponse:
    """Change a receiver, or turn a pull into another kind; what is stored secretly is never shown."""
    row = _found(request, code)
    if not queries.may_set(request.actor, row):
        raise Http404
    kind = request.GET.get("kind", "") or row.kind
    if kind not in rules.KINDS:
        raise Http404
    form = ReceiverForm(
        kind,
        request.POST or None,
        kept=bool(row.secret) and kind == row.kind,
        initial={"location": row.location if kind == row.kind else "", **row.options},
    )
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_subscription(row=row, by=request.actor, **form.arguments())
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "接收方式已保存，请测试连接")
            return redirect("delivery:detail", row.code)
    return render(
        request,
        "delivery/form.html",
        {
            "form": form,
            "kind": rules.KINDS[kind],
            "grant": row.grant,
            "row": row,
            "others": [(t, f"?kind={k}") for k, t in rules.KINDS.items() if k != kind],
            "back": reverse("delivery:detail", args=[row.code]),
        },
    )


@require_POST
@page(permission="delivery.use")
def act(request: ActorRequest, code: str) -> HttpResponse:
    """Test, run now, pause, go on, all anew, end: by the button's `do`."""
    row = _found(request, code)
    by, doing = request.actor, request.POST.get("do", "")
    reason = request.POST.get("reason", "")
    match doing:
        case "test":
            result = actions.test_receiver(row=row, by=by)
            if request.htmx:
                return render(request, "delivery/_test.html", {"result": result})
            (messages.success if result["ok"] else messages.error)(request, result["message"])
        case "run":
            actions.run_now(row=row, by=by)
            messages.success(request, "已开始交换")
        case "pause" | "resume":
            actions.pause_subscription(row=row, paused=doing == "pause", by=by)
            messages.success(request, "已暂停" if doing == "pause" else "已恢复，将补齐期间的变更")
        case "anew":
            actions.ask_anew(row=row, reason=reason, by=by)
            messages.success(request, "将重新全量交付")
        case "close":
            actions.close_subscription(row=row, reason=reason, by=by)
            messages.success(request, "订阅已停用，凭据已删除")
        case _:
            raise UserError("没有这个操作")
    return redirect("delivery:detail", row.code)


# ---- dead letters --------------------------------------------------------------------------


@page(permission="delivery.read")
def dead(request: ActorRequest) -> HttpResponse:
    """Parcels that the worker gave up on: what, for whom, why."""
    table = Table(
        request,
        queries.dead_letters(request.actor),
        columns=[
            Column(
                "subscription.grant.resource.title",
                "数据",
                primary=True,
                link=lambda d: reverse("delivery:settle", args=[d.pk]),
                sub=lambda d: d.error[:80],
            ),
            Column("subscription.grant.grantee.short", "接收部门"),
            Column("subscription.kind", "方式", cell=lambda d: rules.KINDS[d.subscription.kind]),
            Column("number", "序号", kind="number"),
            Column("attempts", "尝试次数", kind="number"),
            Column("dead_at", "停止重试", kind="stamp"),
        ],
        caption="死信",
        export_name="交换死信",
        empty=Empty(
            "没有死信", "送不到的变更在多次重试后停在这里，由接收部门或大数据局处理。", icon="check"
        ),
    )
    return table.respond(request, "delivery/dead.html", {})


@page(permission="delivery.read")
def settle(request: ActorRequest, number: int) -> HttpResponse:
    """One dead letter: try again, or leave it out with a reason."""
    parcel = queries.dead_letter(request.actor, number)
    if parcel is None:
        raise Http404
    row = parcel.subscription
    form = ReasonForm(request.POST if request.POST.get("do") == "skip" else None)
    if request.method == "POST":
        try:
            if request.POST.get("do") == "retry":
                actions.retry_dead(parcel=parcel, by=request.actor)
                messages.success(request, "已重新投递")
                return redirect("delivery:detail", row.code)
            if form.is_valid():
                actions.skip_dead(
                    parcel=parcel, reason=form.cleaned_data["reason"], by=request.actor
                )
                messages.success(request, "已跳过，后续变更继续投递")
                return redirect("delivery:detail", row.code)
        except UserError as error:
            form.add_error(None, str(error)) if form.is_bound else messages.error(
                request, str(error)
            )
    return render(
        request,
        "delivery/settle.html",
        {
            "parcel": parcel,
            "row": row,
            "line": queries.line(request.actor, row),
            "form": form,
            "may_settle": queries.may_settle(request.actor, row),
        },
    )
