"""Authorization: a system's request to know who is there: login, level, consent, then the code."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.middleware import POLICY
from lianyun.ui.pages import public, refusal

from ... import actions, queries, rules
from .answers import actor_in
from .leaving import leave_city

if TYPE_CHECKING:
    from ...models import ClientSystem

AGAIN = "again"
_AGAIN_SALT = "login.again"
_AGAIN_SECONDS = 1800
PROMPTS = {"none", "login", "consent", "select_account"}
_WHY = {
    "redirect": "回调地址与登记的不一致，为防止您的登录信息被送往别处，已停止登录。",
    "client": "没有登记这个系统，或它已停用。",
}


class _Ask:
    """One authorization request that authlib has found good, with what we found out about it."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.actor = actor_in(request)
        self.issuer = actions.issuer_of(request)
        self.server = actions.provider(self.issuer)
        party = self.actor.party if request.user.is_authenticated else None
        self.grant = self.server.get_consent_grant(request, party)
        self.data = self.grant.request.payload.data
        self.redirect_uri: str = self.data["redirect_uri"]
        self.system: ClientSystem = self.grant.request.client
        self.scopes: list[str] = self.grant.request.scope.split()
        self.prompts = set((self.data.get("prompt") or "").split())
        self._refuse_what_we_do_not_speak()

    def _refuse_what_we_do_not_speak(self) -> None:
        if "request" in self.data or "request_uri" in self.data:
            name = "request_uri_not_supported" if "request_uri" in self.data else ""
            raise self.error(name or "request_not_supported")
        if self.data.get("response_mode", "query") != "query":
            raise self.error("invalid_request", "Only response_mode query is supported.")
        if self.prompts - PROMPTS or ("none" in self.prompts and len(self.prompts) > 1):
            raise self.error("invalid_request", "Unknown or contradictory prompt.")
        nonce = self.data.get("nonce", "")
        if len(nonce) > 255 or "\0" in nonce:
            raise self.error("invalid_request", "The nonce is too long, or no text.")
        repeated = self.grant.request.payload.datalist
        if any(len(repeated.get(n, [])) > 1 for n in ("nonce", "prompt", "max_age", "acr_values")):
            raise self.error("invalid_request", "A parameter stands twice.")
        try:
            self.max_age = rules.wanted_age(self.data.get("max_age"))
        except ValueError as wrong:
            raise self.error("invalid_request", "max_age is no number.") from wrong
        level = rules.demanded(
            self.system.level, self.data.get("acr_values"), self.data.get("claims")
        )
        if level is None:
            raise self.error("unmet_authentication_requirements", "Unknown acr.")
        self.level = level

    def error(self, name: str, description: str = "") -> OAuth2Error:
        """An error that goes back to the system."""
        made: OAuth2Error = OAuth2Error(
            error=name, description=description or None, redirect_uri=self.redirect_uri
        )
        made.state = self.data.get("state")
        return made

    @property
    def entered_at(self) -> dt.datetime:
        """When the person logged in at the city in this session."""
        began = self.request.session.get("began")
        if isinstance(began, int | float):
            return dt.datetime.fromtimestamp(began, tz=dt.UTC)
        known = getattr(self.request.user, "last_login", None)
        return known or dt.datetime.fromtimestamp(0, tz=dt.UTC)

    @cached_property
    def known(self) -> identity.Account | None:
        """Who the person is to the city at this moment, read once a request."""
        return identity.account_of(self.actor)

    @property
    def held(self) -> int:
        """How surely the person is known at this moment."""
        return self.known.level if self.known else 0

    @property
    def fingerprint(self) -> str:
        """This request without the mark that a new login was asked for."""
        pairs = sorted((k, v) for k, v in self.request.GET.items() if k != AGAIN)
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()

    def must_log_in_again(self) -> bool:
        """Whether the system wants a newer login than this one."""
        now = timezone.now()
        if {"login", "select_account"} & self.prompts or self.max_age == 0:
            try:
                told = signing.loads(
                    self.request.GET.get(AGAIN, ""), salt=_AGAIN_SALT, max_age=_AGAIN_SECONDS
                )
            except signing.BadSignature:
                return True
            mine = told.get("f") == self.fingerprint
            return not (
                mine and self.entered_at.timestamp() >= float(told.get("t", now.timestamp()))
            )
        return rules.too_old(self.entered_at, self.max_age, now)

    def answer(self, *, granted: bool) -> HttpResponse:
        """The code, or the refusal of the person, for the system."""
        self.grant.request.terms = {
            "seat": self.request.session.session_key or "",
            "issuer": self.issuer,
            "level": self.held,
            "simulated": bool(self.known and self.known.simulated),
            "amr": rules.amr_of(
                self.request.session.get("factor", ""), self.request.session.get("way", "")
            ),
            "entered_at": self.entered_at,
            "by": self.actor,
        }
        response: HttpResponse = self.server.create_authorization_response(
            self.grant.request, self.actor.party if granted else None, self.grant
        )
        return _with_issuer(response, self.issuer)


def _with_issuer(response: HttpResponse, issuer: str) -> HttpResponse:
    """Say who answers (RFC 9207), so that a system never takes our answer for another's."""
    if "Location" in response:
        response["Location"] = add_params_to_uri(response["Location"], [("iss", issuer)])
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _ask(request: HttpRequest) -> _Ask | HttpResponse:
    """The request, or the answer to a bad one: to the system where its address is proven, else a page."""
    try:
        return _Ask(request)
    except OAuth2Error as wrong:
        if wrong.redirect_uri:
            server, issuer = actions.provider(""), actions.issuer_of(request)
            return _with_issuer(server.handle_error_response(request, wrong), issuer)
        known = queries.client(request.GET.get("client_id"))
        asked = request.GET.get("redirect_uri", "")
        if known is None:
            why = _WHY["client"]
        elif asked not in known.redirect_uris:
            why = _WHY["redirect"]
        else:
            why = f"登录请求有误（{wrong.error}），请联系该系统的管理员。"
        return refusal(request, 400, why)
    except ValueError:
        # authlib puts words of the request into descriptions that may hold ASCII only.
        return refusal(request, 400, _WHY["redirect"])


def _address(request: HttpRequest, **more: str) -> str:
    query = request.GET.copy()
    query.pop(AGAIN, None)
    for name, value in more.items():
        query[name] = value
    return f"{reverse('login:authorize')}?{query.urlencode()}"


def _to_login(ask: _Ask) -> HttpResponse:
    """The login page, and from there by a page of its own back here.

    A login form that leads by redirects to another site would break the policy `form-action 'self'`.
    """
    mark = signing.dumps(
        {"f": ask.fingerprint, "t": int(timezone.now().timestamp())}, salt=_AGAIN_SALT
    )
    here = _address(ask.request, **{AGAIN: mark})
    onward = f"{reverse('login:onward')}?{urlencode({'to': here})}"
    return redirect(f"{resolve_url('identity:login')}?{urlencode({'next': onward})}")


@csrf_exempt
@never_cache
@public
def authorize(request: HttpRequest) -> HttpResponse:
    """Weigh a system's request to know who is there: login, level, consent, then the code."""
    if request.method == "POST":
        # Both methods are allowed (Core 1.0, 3.1.2.1); one way through is enough.
        response = redirect(f"{reverse('login:authorize')}?{request.POST.urlencode()}")
        response.status_code = 303
        return response
    ask = _ask(request)
    if isinstance(ask, HttpResponse):
        return ask
    silent = "none" in ask.prompts
    try:
        if not request.user.is_authenticated or ask.actor.party is None:
            if silent:
                raise ask.error("login_required")
            return _to_login(ask)
        if ask.must_log_in_again():
            if silent:
                raise ask.error("login_required")
            return render(request, "login/again.html", {"ask": ask, "system": ask.system})
        if ask.held < ask.level:
            if silent:
                raise ask.error("unmet_authentication_requirements")
            return _raise_level(ask)
        if "consent" in ask.prompts or not queries.consent_covers(
            ask.actor, ask.system, ask.scopes
        ):
            if silent:
                raise ask.error("consent_required")
            return _consent_page(ask)
    except OAuth2Error as wrong:
        return _with_issuer(ask.server.handle_error_response(request, wrong), ask.issuer)
    return ask.answer(granted=True)


def _raise_level(ask: _Ask) -> HttpResponse:
    back = _address(ask.request)
    onward = f"{reverse('login:onward')}?{urlencode({'to': back})}"
    context = {
        "ask": ask,
        "system": ask.system,
        "wanted": identity.LEVELS.get(ask.level, ""),
        "held": identity.LEVELS.get(ask.held, "未实名"),
        "way": f"/my/identity/?{urlencode({'need': ask.level, 'next': onward})}",
        "consent_url": f"{reverse('login:consent')}?{ask.request.GET.urlencode()}",
    }
    return _leading_to(ask, render(ask.request, "login/level.html", context, status=403))


def _consent_page(ask: _Ask) -> HttpResponse:
    assert ask.actor.party is not None
    claims = queries.claims_for(ask.actor, ask.actor.party, ask.scopes, ask.held)
    rows = [
        {
            "title": rules.SCOPES[name].title,
            "claims": "、".join(rules.SCOPES[name].claims.values()),
            "why": ask.system.scopes.get(name) or "识别您是同一个人",
            "value": rules.shown(name, claims),
        }
        for name in ask.scopes
    ]
    context = {
        "ask": ask,
        "system": ask.system,
        "rows": rows,
        "host": rules.origin_of(ask.redirect_uri),
        "consent_url": f"{reverse('login:consent')}?{ask.request.GET.urlencode()}",
    }
    return _leading_to(ask, render(ask.request, "login/consent.html", context))


def _leading_to(ask: _Ask, response: HttpResponse) -> HttpResponse:
    """A page whose form leads to the system: its policy names that one address beside ours."""
    wider = f"form-action 'self' {rules.origin_of(ask.redirect_uri)}"
    response["Content-Security-Policy"] = POLICY.replace("form-action 'self'", wider)
    return response


@never_cache
@public
def consent(request: HttpRequest) -> HttpResponse:
    """The person's yes or no; the request stands in the address and is weighed anew."""
    if request.method != "POST":
        return redirect(_address(request))
    ask = _ask(request)
    if isinstance(ask, HttpResponse):
        return ask
    if not request.user.is_authenticated or ask.actor.party is None:
        return _to_login(ask)
    if request.POST.get("do") != "agree":
        return ask.answer(granted=False)
    if ask.must_log_in_again() or ask.held < ask.level:
        return redirect(_address(request))
    actions.give_consent(
        ask.system, {s: ask.system.scopes.get(s, "") for s in ask.scopes}, by=ask.actor
    )
    return ask.answer(granted=True)


@never_cache
@public
def again(request: HttpRequest) -> HttpResponse:
    """The person agrees to log in anew, as the system asks; by POST only."""
    if request.method != "POST":
        return redirect(_address(request))
    ask = _ask(request)
    if isinstance(ask, HttpResponse):
        return ask
    leave_city(request, "系统要求重新登录")
    request.actor = ANONYMOUS  # type: ignore[attr-defined]
    return _to_login(ask)


@never_cache
@public
def onward(request: HttpRequest) -> HttpResponse:
    """A page between the login form and the way back to the system; leads to this endpoint only."""
    to = request.GET.get("to", "")
    if not to.startswith(f"{reverse('login:authorize')}?"):
        raise UserError("登录请求不完整，请回到原来的系统重新登录")
    return render(request, "login/onward.html", {"to": to})
