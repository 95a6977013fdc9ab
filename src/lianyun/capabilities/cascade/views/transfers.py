"""Pages of transfers: rows under way and arrived, and what is sent by arrangement."""

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
from . import forms


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
            Column("way", "方式", cell=_way, phone=False),
            Column("rows", "行数", kind="number", cell=lambda t: t.manifest.get("rows")),
            Column("gone", "删除", kind="number", cell=lambda t: t.manifest.get("gone")),
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


def _way(transfer: Any) -> str:
    """Whether a transfer is a whole snapshot or the changes since the last one."""
    if "chunks" not in transfer.manifest:
        return "—"
    return "变更" if transfer.manifest.get("since") else "全量"


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
                ("方式", _way(found)),
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
    if found is None or verb not in ("send", "whole", "stop"):
        raise Http404
    if not once(request):
        return redirect("cascade:transfers")
    if verb == "stop":
        actions.stop_flow(flow=found, by=request.actor)
        messages.success(request, "已停止自动传送")
        return redirect("cascade:transfers")
    made = actions.send_flow(flow=found, whole=verb == "whole", by=request.actor)
    messages.success(request, "已开始传送")
    return redirect("cascade:transfer", made.code)
