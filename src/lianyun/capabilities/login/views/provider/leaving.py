"""Leaving: a system asks to end the login, and the person agrees."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from django.contrib import messages
from django.contrib.auth import logout
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from lianyun.capabilities.identity import api as identity
from lianyun.ui.middleware import POLICY
from lianyun.ui.pages import public, refusal

from ... import actions, queries, rules
from .answers import actor_in


def leave_city(request: HttpRequest, why: str) -> None:
    """End the login at the city, and with it the entries to all systems."""
    if not request.user.is_authenticated:
        return
    key, actor = request.session.session_key or "", actor_in(request)
    identity.leave(request.user, key, by=actor)
    actions.end_of_seat(key, why=why, by=actor)
    logout(request)


@csrf_exempt
@never_cache
@public
def end_session(request: HttpRequest) -> HttpResponseBase:
    """A system asks to end the login (RP-Initiated Logout 1.0).

    At once where its ID token is of this very session; otherwise the person is asked, since any
    page of the web could lead here.
    """
    if request.method == "POST":
        # A post from another site comes without the session; the way by GET brings it.
        onward = redirect(f"{reverse('login:end_session')}?{request.POST.urlencode()}")
        onward.status_code = 303
        return onward
    server = actions.provider(actions.issuer_of(request))
    try:
        asked = server.validate_endpoint_request("end_session", request)
    except (OAuth2Error, ValueError):
        return refusal(request, 400, "退出请求有误。您可以在本站右上角直接退出。")
    if not request.user.is_authenticated:
        return _left(request, asked.redirect_uri)
    claims = asked.id_token_claims or {}
    mine = queries.admission_of_sid(actor_in(request), str(claims.get("sid", "")))
    if mine is not None and mine.seat == request.session.session_key:
        leave_city(request, "从接入系统退出")
        return _left(request, asked.redirect_uri)
    sealed = signing.dumps(asked.redirect_uri or "", salt="login.leave")
    context = {"system": asked.client, "sealed": sealed}
    response = render(request, "login/leave.html", context)
    if asked.redirect_uri:
        wider = f"form-action 'self' {rules.origin_of(asked.redirect_uri)}"
        response["Content-Security-Policy"] = POLICY.replace("form-action 'self'", wider)
    return response


def _left(request: HttpRequest, to: str | None) -> HttpResponse:
    if to:
        response = HttpResponse(status=302)
        response["Location"] = to
        return response
    messages.success(request, "已安全退出")
    return redirect("/")


@never_cache
@public
def leave(request: HttpRequest) -> HttpResponse:
    """The person agrees to end the login; by POST with the form's token."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        to = signing.loads(request.POST.get("to", ""), salt="login.leave", max_age=1800)
    except signing.BadSignature:
        to = ""
    if request.POST.get("do") == "stay":
        return redirect("/")
    leave_city(request, "从接入系统退出")
    return _left(request, to)
