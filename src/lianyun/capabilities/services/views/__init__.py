"""Views: services and their OpenAPI pages, credentials, and read-only questions."""

from __future__ import annotations

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

from .. import actions, queries, rules
from ..api import visitors_wait
from . import pages
from .builder import build
from .pages import detail, end_version, trial


@public
def openapi(request: ActorRequest, name: str = "") -> HttpResponse:
    """OpenAPI 3.1 of all services, or of one."""
    if wait := visitors_wait(
        request.META["REMOTE_ADDR"], request.headers.get("X-Forwarded-For", "")
    ):
        answer = JsonResponse({"error": "请求过于频繁，请稍后再试"}, status=429)
        answer["Retry-After"] = str(wait)
        return answer
    kind, version = request.GET.get("kind", ""), request.GET.get("version", "")
    if kind not in ("", *rules.KINDS) or not (version == "" or version.isdecimal()):
        raise Http404
    document = queries.openapi(ANONYMOUS, name, None, kind, int(version[:4] or 0))
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
                link=lambda s: pages.address(s),
                sub=lambda s: pages.place(s),
            ),
            Column("kind", "类型", cell=lambda s: rules.KINDS[s.kind], phone=False),
            Column("version", "版本", cell=lambda s: f"第 {s.version} 版", phone=False),
            Column("source.owner", "提供部门", cell=lambda s: str(s.source.owner)),
            Column("ways", "条件", cell=lambda s: pages.ways(s), phone=False),
            Column("rows", "记录数", kind="number", sort=True),
            Column("published_at", "刷新时间", kind="stamp", sort=True),
            Column("resource.state", "状态", kind="state"),
        ],
        filters=[
            Filter("q", "关键词", lookup="source__title__icontains|source__name__icontains"),
            Filter("kind", "类型", "select", choices=list(rules.KINDS.items()), lookup="kind"),
        ],
        caption="数据服务",
        export_name="数据服务",
        empty=Empty(
            "还没有数据服务", "共享申请经批准、提供部门开通后，查询服务会自动生成。", icon="api"
        ),
    )
    may = request.actor.may("services.design")
    return table.respond(request, "services/list.html", {"may_design": may})


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


__all__ = [
    "build",
    "change_client",
    "clients",
    "detail",
    "end_version",
    "listing",
    "openapi",
    "refresh",
    "trial",
]
