"""Page: one service with its fields, limits, versions and a way to try it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries, rules

MASKS = {
    "none": "不脱敏",
    "name": "保留姓氏",
    "citizen_number": "保留首尾",
    "phone": "隐去中间四位",
    "address": "保留前六字",
    "account": "保留后四位",
    "all": "全部隐去",
}


def place(service: Any) -> str:
    """Where a service is called, without its server."""
    verb = rules.VERBS[service.kind]
    number = f"v{service.version}/" if service.version > 1 else ""
    return f"/api/data/{number}{service.source.name}{':' + verb if verb else ''}"


def address(service: Any) -> str:
    """The page of a service."""
    if service.kind == "federated":
        return reverse("services:detail", args=[service.source.name])
    asked = urlencode({"kind": service.kind, "version": service.version})
    return f"{reverse('services:detail', args=[service.source.name])}?{asked}"


def ways(service: Any) -> str:
    """By what a service may be asked, in words."""
    titles = {f.name: f.title for f in queries.service_fields(service)}
    if service.kind == "statistics":
        return "按" + "、".join(titles.get(c, c) for c in service.design.get("by", ())) + "分组"
    said = ["、".join(titles.get(c, c) for c in way) for way in service.lookups]
    said += [f"{titles.get(c, c)}范围" for c in service.design.get("ranges", ())]
    return "；".join(said)


@page(permission="services.read")
def detail(request: ActorRequest, name: str) -> HttpResponse:
    """One service: fields, masks, limits, an example, and a way to try it."""
    return _detail(request, name, "")


@never_cache
@sensitive_variables("token")
@page(permission="services.read")
@require_POST
def trial(request: ActorRequest, name: str) -> HttpResponse:
    """A test credential, shown once and filled into the page's own form."""
    service = _service(request, name)
    token = actions.issue_trial(source=service.source, by=request.actor)
    return _detail(request, name, token)


@page(permission="services.design")
@require_POST
def end_version(request: ActorRequest, name: str) -> HttpResponse:
    """Tell on which day an older version stops."""
    service = _service(request, name)
    day = parse_date(request.POST.get("on", ""))
    if day is None:
        raise UserError("请填写停止日期")
    actions.end_version(service=service, on=day, by=request.actor)
    messages.success(request, f"已告知调用方：第 {service.version} 版于 {day:%Y-%m-%d} 停止")
    return redirect(address(service))


def _service(request: ActorRequest, name: str) -> Any:
    kind, version = request.GET.get("kind", ""), request.GET.get("version", "")
    if kind not in ("", *rules.KINDS) or not (version == "" or version.isdecimal()):
        raise Http404
    found = queries.service(request.actor, name, kind, int(version[:4] or 0))
    if found is None:
        raise Http404
    return found


def _detail(request: ActorRequest, name: str, token: str) -> HttpResponse:
    viewer = request.actor
    service = _service(request, name)
    grants = queries.grants_on(viewer, service)
    home = viewer.department.pk if viewer.department else None
    own = next((g for g in grants if g.grantee_id == home and g.in_force()), None)
    columns = queries.service_fields(service)
    masks = (own.terms.get("masks") or {}) if own else rules.masks_of(columns, ())
    chosen = set(own.terms.get("fields", ())) if own else {f.name for f in columns}
    shown = [f for f in columns if f.name in chosen]
    used = queries.used_today(viewer, grants)
    titles = {f.name: f.title for f in columns}
    document = queries.openapi(viewer, name, own, service.kind, service.version)
    operation: dict[str, Any] = next(
        (m for p in document["paths"].values() for m in p.values()), {}
    )
    answer = operation.get("responses", {}).get("200", {}).get("content", {})
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    others = queries.siblings(viewer, service)
    summed, masked = rules.measures_of(
        service.design, chosen or (), (masks if own and not token else {})
    )
    used_words = dict.fromkeys(c for way in service.lookups for c in way)

    def named(columns: Any) -> list[dict[str, str]]:
        return [{"name": c, "title": titles.get(c, c)} for c in columns]

    return render(
        request,
        "services/detail.html",
        {
            "service": service,
            "kind_title": rules.KINDS[service.kind],
            "place": place(service),
            "method": "POST" if service.kind == "verify" else "GET",
            "verifies": service.kind == "verify",
            "counts": service.kind == "statistics",
            "tabs": [
                (
                    f"{rules.KINDS[o.kind]}{'' if o.version == 1 else f'（第 {o.version} 版）'}",
                    address(o),
                )
                for o in others
            ],
            "here": address(service),
            "newer": any(o.kind == service.kind and o.version > service.version for o in others),
            "own": own,
            "token": token,
            "fields": [
                (f, MASKS.get(masks.get(f.name, "none"), "已脱敏"), f.name in masks) for f in shown
            ],
            "ways": ways(service),
            "lookups": [
                {"titles": "、".join(titles.get(c, c) for c in way), "names": ",".join(way)}
                for way in service.lookups
            ],
            "inputs": named(used_words),
            "ranges": named(service.design.get("ranges", ())),
            "values": named(service.design.get("values", ())),
            "by": named(service.design.get("by", ())),
            "measures": [
                {"name": f"{f}_{m}", "title": f"{titles.get(m, m)}{word}"}
                for m in summed
                for f, word in (("sum", "合计"), ("avg", "平均"))
            ],
            "masked": "、".join(titles.get(m, m) for m in masked),
            "samples": queries.sample_keys(viewer, service),
            "example": json.dumps(
                answer.get("application/json", {}).get("example", {}), ensure_ascii=False, indent=2
            ),
            "asked": json.dumps(body["example"], ensure_ascii=False, indent=2) if body else "",
            "grants": [
                {"grant": g, "used": used.get(g.pk, 0), "limit": g.terms.get("calls_per_day", 0)}
                for g in grants
            ],
            "own_used": used.get(own.pk, 0) if own else 0,
            "may_manage": viewer.may("services.manage"),
            "may_design": viewer.may("services.manage")
            or viewer.may("services.design", service.source.owner),
        },
    )
