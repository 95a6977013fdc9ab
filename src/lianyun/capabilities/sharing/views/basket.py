"""Basket: datasets put together, one form for all of them, one case for each provider."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page, safe_next

from .. import actions, queries, rules
from . import forms


@page(permission="sharing.request")
def basket(request: ActorRequest) -> HttpResponse:
    """The basket and its form; sent, every provider gets one case."""
    viewer = request.actor
    held = queries.basket(viewer)
    sent = request.POST if request.method == "POST" else None
    use = forms.UseForm(sent)
    parts = [
        (
            resource,
            forms.PartForm(
                sent, columns=services.fields(viewer, resource), prefix=f"d{resource.pk}"
            ),
        )
        for resource in held
    ]
    if sent is not None:
        answer = _ask(request, use, parts)
        if answer is not None:
            return answer
    providers = {(r.owner_id, rules.share_type(r.terms)) for r in held}
    return render(
        request,
        "sharing/basket.html",
        {
            "use": use,
            "parts": parts,
            "cases": len(providers),
            "titles": rules.SHARE_TYPES,
        },
    )


def _ask(request: ActorRequest, use: Any, parts: list[Any]) -> HttpResponse | None:
    # Every form is checked, so that all that is wrong shows at once.
    good = [use.is_valid(), *(part.is_valid() for _, part in parts)]
    if not all(good):
        return None
    asked = [
        (resource, forms.request_of(use.cleaned_data, part.cleaned_data))
        for resource, part in parts
    ]
    wrong = [
        forms.add_problems(use, part, request_)
        for (_, part), (_, request_) in zip(parts, asked, strict=True)
    ]
    if any(wrong):
        return None
    if not once(request):
        return redirect("sharing:home")
    try:
        made = actions.ask_for_basket(asked=asked, by=request.actor)
    except UserError as problem:
        use.add_error(None, str(problem))
        return None
    codes = "、".join(c.code for c in made)
    messages.success(request, f"已提交 {len(made)} 件申请：{codes}")
    return redirect("sharing:home")


@page(permission="sharing.request")
@require_POST
def put(request: ActorRequest, name: str) -> HttpResponse:
    """Put a dataset into the basket, or take it out."""
    viewer = request.actor
    resource = queries.resource(viewer, name)
    if resource is None:
        raise Http404
    if request.POST.get("out"):
        actions.take_from_basket(resource=resource, by=viewer)
        messages.success(request, f"已从选数车移出“{resource.title}”")
    else:
        actions.put_in_basket(resource=resource, by=viewer)
        messages.success(request, f"已加入选数车：{resource.title}")
    return redirect(safe_next(request, "/workbench/sharing/basket/"))


@page(permission="sharing.request")
@require_POST
def put_many(request: ActorRequest) -> HttpResponse:
    """Put the ticked datasets of a list into the basket."""
    viewer = request.actor
    put_in, refused = 0, []
    for name in request.POST.getlist("pick")[:30]:
        resource = queries.resource(viewer, name)
        if resource is None:
            continue
        try:
            actions.put_in_basket(resource=resource, by=viewer)
            put_in += 1
        except UserError as wrong:
            refused.append(str(wrong))
    if put_in:
        messages.success(request, f"已加入选数车 {put_in} 个数据集")
    for text in refused[:3]:
        messages.error(request, text)
    return redirect("sharing:basket" if put_in else "sharing:choose")
