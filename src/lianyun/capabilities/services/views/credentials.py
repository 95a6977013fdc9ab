"""Credentials' keys: the department's public keys and certificates beside its secret."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries


@page(permission="services.use")
def keys(request: ActorRequest, client_id: str) -> HttpResponse:
    """What is registered for a credential, and the form to register more."""
    viewer = request.actor
    client = queries.client(viewer, client_id)
    if client is None:
        raise Http404
    problem, pem, use = "", "", "signature"
    if request.method == "POST":
        pem, use = request.POST.get("pem", "")[:20_000], request.POST.get("use", "")
        try:
            actions.register_key(client=client, use=use, pem=pem, by=viewer)
        except UserError as wrong:
            problem = str(wrong)
        else:
            messages.success(request, "已登记，立即生效")
            return redirect("services:client_keys", client_id)
    return render(
        request,
        "services/keys.html",
        {
            "client": client,
            "keys": queries.client_keys(viewer, client),
            "required": client.grant.terms.get("signature") == "required",
            "networks": client.grant.terms.get("networks") or [],
            "problem": problem,
            # A private key that was pasted by mistake is not shown again.
            "pem": "" if "PRIVATE" in pem else pem,
            "use": use,
            "front": settings.MUTUAL_TLS,
            "service": client.grant.resource.name if client.grant.resource else "",
        },
        status=400 if problem else 200,
    )


@page(permission="services.use")
@require_POST
def end_key(request: ActorRequest, client_id: str, number: int) -> HttpResponse:
    """End one of them, now or after the time to change over."""
    viewer = request.actor
    client = queries.client(viewer, client_id)
    key = queries.client_key(viewer, client, number) if client is not None else None
    if key is None:
        raise Http404
    hours = request.POST.get("hours", "0")
    if not hours.isdecimal() or len(hours) > 3:
        raise UserError("继续使用的时间应为 0 至 168 的整数")
    actions.end_key(key=key, hours=int(hours), by=viewer)
    messages.success(request, "已停用" if hours == "0" else f"将在 {int(hours)} 小时后停用")
    return redirect("services:client_keys", client_id)
