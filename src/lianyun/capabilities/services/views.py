"""Views: services and their OpenAPI pages, credentials, and read-only questions."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.pages import ActorRequest, page, public
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

MASKS = {
    "none": "不脱敏",
    "name": "保留姓氏",
    "citizen_number": "保留首尾",
    "phone": "隐去中间四位",
    "address": "保留前六字",
    "account": "保留后四位",
    "all": "全部隐去",
}
ASK_ROWS = 200


@public
def openapi(request: ActorRequest, name: str = "") -> HttpResponse:
    """OpenAPI 3.1 of all services, or of one."""
    document = queries.openapi(ANONYMOUS, name)
    if name and not document["paths"]:
        raise Http404
    return JsonResponse(document, json_dumps_params={"ensure_ascii": False})


@page(permission="services.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All services."""
    table = Table(
        request,
        queries.services(request.actor),
        columns=[
            Column(
                "source.title",
                "数据",
                primary=True,
                link=lambda s: reverse("services:detail", args=[s.source.name]),
                sub=lambda s: f"/api/data/{s.source.name}",
            ),
            Column("source.owner", "提供部门", cell=lambda s: str(s.source.owner)),
            Column("ways", "查询条件", cell=lambda s: _ways(s), phone=False),
            Column("rows", "记录数", kind="number", sort=True),
            Column("published_at", "刷新时间", kind="stamp", sort=True),
            Column("resource.state", "状态", kind="state"),
        ],
        filters=[Filter("q", "关键词", lookup="source__title__icontains|source__name__icontains")],
        caption="数据服务",
        export_name="数据服务",
        empty=Empty(
            "还没有数据服务", "共享申请经批准、提供部门开通后，查询服务会自动生成。", icon="api"
        ),
    )
    return table.respond(request, "services/list.html")


def _ways(service: Any) -> str:
    titles = {f.name: f.title for f in queries.service_fields(service)}
    return "；".join("、".join(titles.get(c, c) for c in way) for way in service.lookups)


@page(permission="services.read")
def detail(request: ActorRequest, name: str) -> HttpResponse:
    """One service: fields, masks, limits, an example, and a way to try it."""
    viewer = request.actor
    service = queries.service(viewer, name)
    if service is None:
        raise Http404
    grants = queries.grants_on(viewer, service)
    home = viewer.department.pk if viewer.department else None
    own = next((g for g in grants if g.grantee_id == home and g.in_force()), None)
    columns = queries.service_fields(service)
    masks = (own.terms.get("masks") or {}) if own else rules.masks_of(columns, ())
    chosen = set(own.terms.get("fields", ())) if own else {f.name for f in columns}
    shown = [f for f in columns if f.name in chosen]
    used = queries.used_today(viewer, grants)
    titles = {f.name: f.title for f in columns}
    return render(
        request,
        "services/detail.html",
        {
            "service": service,
            "own": own,
            "fields": [
                (f, MASKS.get(masks.get(f.name, "none"), "已脱敏"), f.name in masks) for f in shown
            ],
            "ways": _ways(service),
            "lookups": [
                {"titles": "、".join(titles.get(c, c) for c in way), "names": ",".join(way)}
                for way in service.lookups
            ],
            "first": service.lookups[0] if service.lookups else [],
            "inputs": [
                {"name": c, "title": titles.get(c, c)}
                for c in dict.fromkeys(c for way in service.lookups for c in way)
            ],
            "example": json.dumps(
                queries.example_of(service.source.name, shown, masks), ensure_ascii=False, indent=2
            ),
            "grants": [
                {"grant": g, "used": used.get(g.pk, 0), "limit": g.terms.get("calls_per_day", 0)}
                for g in grants
            ],
            "own_used": used.get(own.pk, 0) if own else 0,
            "may_manage": viewer.may("services.manage"),
        },
    )


@page(permission="services.manage")
@require_POST
def refresh(request: ActorRequest, name: str) -> HttpResponse:
    """Publish a service's data anew."""
    service = queries.service(request.actor, name)
    if service is None:
        raise Http404
    actions.refresh_service(service=service, by=request.actor)
    messages.success(request, "服务数据已刷新")
    return redirect("services:detail", name)


def _standing(client: Any) -> tuple[str, str]:
    if client.closed_at:
        return "已注销", "grey"
    if not client.grant.in_force():
        return "授权无效", "red"
    return ("使用中", "green") if client.collected_at else ("待领取", "amber")


@page(permission="services.use")
def clients(request: ActorRequest) -> HttpResponse:
    """Credentials of the viewer's department."""
    table = Table(
        request,
        queries.clients(request.actor),
        columns=[
            Column(
                "client_id",
                "凭证号",
                kind="code",
                primary=True,
                sub=lambda c: c.grant.resource.title,
            ),
            Column("grant.code", "授权", kind="code", phone=False),
            Column("grantee", "使用部门", cell=lambda c: str(c.grant.grantee), phone=False),
            Column(
                "standing",
                "状态",
                kind="badge",
                cell=lambda c: _standing(c)[0],
                tone=lambda c: _standing(c)[1],
            ),
            Column("collected_at", "领取时间", kind="stamp"),
            Column("rotated_at", "更换时间", kind="stamp", phone=False),
            Column(
                "more",
                "操作",
                kind="actions",
                cell=lambda c: "" if c.closed_at else "管理",
                link=lambda c: reverse("services:change_client", args=[c.client_id, "manage"]),
            ),
        ],
        filters=[
            Filter("q", "关键词", lookup="client_id__icontains|grant__resource__title__icontains")
        ],
        caption="调用凭证",
        empty=Empty("还没有调用凭证", "共享申请开通后，凭证会出现在这里。", icon="key"),
    )
    return table.respond(request, "services/clients.html")


@never_cache
@sensitive_variables("shown")
@page(permission="services.use")
def change_client(request: ActorRequest, client_id: str, verb: str) -> HttpResponse:
    """Collect, change or close a credential; a secret is shown once."""
    viewer = request.actor
    client = queries.client(viewer, client_id)
    if client is None or verb not in ("manage", "collect", "rotate", "close"):
        raise Http404
    if request.method != "POST" or verb == "manage":
        return render(
            request, "services/client.html", {"client": client, "standing": _standing(client)}
        )
    if verb == "close":
        actions.close_client(client=client, reason=request.POST.get("reason", ""), by=viewer)
        messages.success(request, "凭证已注销")
        return redirect("services:clients")
    if verb == "collect":
        shown = actions.collect_secret(client=client, by=viewer)
    else:
        hours = request.POST.get("hours", "24")
        if not hours.isdecimal() or len(hours) > 3:
            raise UserError("新旧密钥并用时间应为 0 至 168 的整数")
        shown = actions.rotate_secret(client=client, by=viewer, overlap_hours=int(hours))
    return render(request, "services/secret.html", {"client": client, "token": shown})
