"""Acting: choose in whose name one does things here, and see it on every page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from lianyun.ui.pages import safe_next, signed_in

from .. import actions, queries, rules
from .entry import ACTING, actor_in
from .own import tabs


@never_cache
@signed_in
def acting(request: HttpRequest) -> HttpResponse:
    """Myself, my firms, my children: one of them is chosen and stays chosen until I change it."""
    actor = actor_in(request)
    assert actor.party is not None
    if request.method == "POST":
        chosen = request.POST.get("agency", "")
        if chosen.isdecimal() and 0 < len(chosen) < 19:
            found = actions.begin_acting(int(chosen), by=actor)
            request.session[ACTING] = found.pk
            messages.success(request, f"现在以“{found.principal.name}”的身份办理")
        elif request.session.pop(ACTING, None) is not None:
            actions.end_acting(by=actor)
            messages.success(request, "已恢复本人身份")
        return redirect(safe_next(request, reverse("identity:acting")))
    context = {
        "tabs": tabs(),
        "me": queries.own_identity(actor),
        "agencies": queries.agencies(actor.party),
        "chosen": request.session.get(ACTING),
        "person": rules.PERSON,
        "back": safe_next(request, ""),
    }
    return render(request, "identity/acting.html", context)
