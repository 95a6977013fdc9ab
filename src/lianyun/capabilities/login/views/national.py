"""National: log in by the national platform, there and back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.pages import public, refusal, safe_next

from .. import actions

ERRAND = "national"
"""Session key: what this browser began at the platform."""


def _back(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("login:national_back"))


@never_cache
@public
def national(request: HttpRequest) -> HttpResponse:
    """Send the browser to the platform."""
    own = reverse("identity:mine")
    target = safe_next(request, own)
    if target == "/workbench/":
        # The login page's own default: who comes this way is no officer.
        target = own
    if request.user.is_authenticated:
        return redirect(target)
    try:
        anew = request.GET.get("anew") == "1"
        url, errand = actions.begin_national(_back(request), anew=anew)
    except UserError as wrong:
        return refusal(request, 400, str(wrong), ("用本市账号登录", reverse("identity:login")))
    request.session[ERRAND] = {**errand, "next": target}
    response = redirect(url)
    response["Referrer-Policy"] = "no-referrer"
    return response


@never_cache
@public
def national_back(request: HttpRequest) -> HttpResponse:
    """Come back from the platform; whatever fails leaves nobody logged in."""
    errand = request.session.pop(ERRAND, None)
    if request.user.is_authenticated:
        return redirect("identity:mine")
    answer = {k: v for k, v in request.GET.items() if isinstance(v, str)}
    try:
        user, title, at = actions.finish_national(errand, answer, _back(request), by=ANONYMOUS)
    except UserError as wrong:
        return refusal(request, 400, str(wrong), ("重新登录", reverse("identity:login")))
    target = str((errand or {})["next"])
    response = identity.let_in(request, user, target, identity.PLATFORM, entered=at)
    messages.success(request, f"已通过{title}登录")
    return response
