"""Entry: the guard of every session, the login with its second factor, and the way out."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import ANONYMOUS, actor_of
from lianyun.ui.context import address
from lianyun.ui.forms import Styled
from lianyun.ui.pages import public, refusal, safe_next
from lianyun.ui.visitor import address_of, caller_of

from .. import actions, queries, rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

    from ..models import User

SEEN_EVERY = 60
DEVICE_COOKIE = "lianyun_device"
DEVICE_AGE = 365 * 24 * 3600
FREE = ("/workbench/account/factors/", "/workbench/account/password/", "/logout/")
ACTING = "acting"
"""Session key: the number of the mandate under which the person acts for another."""
HALF = rules.HALF
ENTERED = "entered"
"""Session key: when the platform that let him in says that he gave his secret there."""


def actor_in(request: HttpRequest) -> Actor:
    """Who acts in this request."""
    return cast("Actor", request.actor)  # type: ignore[attr-defined]


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person gave his secret at a platform a moment ago: stands in for a password here."""
    return rules.is_fresh(float(request.session.get(ENTERED) or 0), time.time())


def host_in(request: HttpRequest) -> str:
    """The host without its port: the relying party of security keys."""
    return request.get_host().rsplit(":", 1)[0] if "]" not in request.get_host() else "localhost"


def _agent(request: HttpRequest) -> str:
    return request.headers.get("User-Agent", "")


def _agent_digest(agent: str) -> str:
    return hashlib.sha256(agent.encode()).hexdigest()[:16]


class Guard:
    """Ends sessions that slept or lived too long or came from another browser, and withholds posts
    from those who owe a new password or a second factor; says for whom a person acts.

    Stands after AuthenticationMiddleware and before ui's Shell.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        if not request.path.startswith("/static/") and request.user.is_authenticated:
            answer = self._ended(request) or self._owing(request) or self._acting(request)
            if answer is not None:
                return answer
        return self.get_response(request)

    def _ended(self, request: HttpRequest) -> HttpResponse | None:
        now, session = time.time(), request.session
        seen: float | None = session.get("seen")
        agent = session.get("agent")
        if agent and agent != _agent_digest(_agent(request)):
            user = cast("User", request.user)
            actions.note_stolen(user, session.session_key or "", _agent(request), by=ANONYMOUS)
            logout(request)
            messages.warning(request, "浏览器与登录时不同，为安全起见请重新登录")
        elif rules.is_idle(seen or now, now):
            logout(request)
            messages.info(request, "离开时间较长，请重新登录")
        elif rules.is_over(session.get("began"), now):
            logout(request)
            messages.info(request, "登录已满 8 小时，请重新登录")
        else:
            if seen is None or now - seen > SEEN_EVERY:
                session["seen"] = now
            notice = session.pop("notice", None)
            if notice:
                messages.warning(request, notice)
        return None

    def _acting(self, request: HttpRequest) -> HttpResponse | None:
        chosen = request.session.get(ACTING) if request.user.is_authenticated else None
        if not chosen:
            return None
        party = cast("User", request.user).party
        found = queries.mandate(party, chosen) if party is not None else None
        if found is not None:
            request.behalf = found.principal  # type: ignore[attr-defined]
            return None
        request.session.pop(ACTING, None)
        messages.warning(request, "代理已经到期或终止，现已恢复本人身份")
        # What was meant for another must not be done in one's own name.
        return None if request.method in ("GET", "HEAD") else redirect("identity:acting")

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Refuse a form that was opened in another name than the one chosen now (two windows)."""
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        meant = request.POST.get("behalf")
        behalf = getattr(request, "behalf", None)
        now = behalf.ref if behalf is not None else ""
        if meant is None or meant == now or not request.user.is_authenticated:
            return None
        name = behalf.name if behalf is not None else "本人"
        why = f"您在另一个窗口换了办理身份，现在是“{name}”。这次没有提交，请核对身份后重新打开页面办理。"
        return refusal(request, 400, why, ("办理身份", reverse("identity:acting")))

    def _owing(self, request: HttpRequest) -> HttpResponse | None:
        user = request.user
        if not user.is_authenticated:
            return None
        inside = request.path.startswith("/workbench/") and not request.path.startswith(FREE)
        if user.must_change:
            request.without_posts = True  # type: ignore[attr-defined]
            return redirect("identity:password") if inside else None
        if request.session.get("factor") or not queries.must_have_second(ANONYMOUS, user):
            return None
        request.without_posts = True  # type: ignore[attr-defined]
        return redirect("identity:factors") if inside else None


class LoginForm(Styled):
    """User name and password."""

    username = forms.CharField(
        label="账号",
        max_length=60,
        help_text="工作人员填账号；个人填手机号码，实人核验后也可填公民身份号码",
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    password = forms.CharField(
        label="密码",
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


def _home_of(user: User, target: str, wanted: bool) -> str:
    """Where a login leads: what was asked for, else the workbench or one's own page."""
    if wanted or (user.party is not None and user.party.memberships.exists()):
        return target
    return reverse("identity:mine")


@never_cache
@sensitive_post_parameters("password")
@public
def login_page(request: HttpRequest) -> HttpResponse:
    """The door; answers every failure alike."""
    target = safe_next(request)
    wanted = bool(request.POST.get("next") or request.GET.get("next")) and target != "/workbench/"
    if request.user.is_authenticated and actor_in(request).known:
        return redirect(_home_of(request.user, target, wanted))
    form = LoginForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        user = actions.enter(
            form.cleaned_data["username"].strip(),
            form.cleaned_data["password"],
            by=ANONYMOUS,
            address=address_of(request),
        )
        if user is not None:
            target = _home_of(user, target, wanted)
            if queries.second_kinds(ANONYMOUS, user):
                # A fresh session for the half-open door: nothing planted before survives.
                request.session.flush()
                request.session[HALF] = {"user": user.pk, "at": time.time(), "next": target}
                return redirect("identity:second")
            return open_session(request, user, "", target)
        form.add_error(None, rules.REFUSED)
        status = 401
    entity = request.GET.get("as") == "entity"
    if entity and not target.startswith(reverse("identity:acting")):
        # A firm has no password of its own: a person enters, then says for which firm (ADR 0031).
        onward = target if wanted else address("hall:mine", reverse("identity:mine"))
        target = f"{reverse('identity:acting')}?{urlencode({'next': onward})}"
    context = {
        "form": form,
        "entity": entity,
        "next": target,
        "policy": queries.access_policy(ANONYMOUS),
        "national_url": address("login:national") if settings.NATIONAL_ISSUER else "",
    }
    return render(request, "identity/login.html", context, status=status)


def open_session(
    request: HttpRequest,
    user: User,
    factor: str,
    target: str,
    way: str = "",
    entered: float = 0.0,
) -> HttpResponse:
    """Log somebody in: a new session key, a seat, the device's mark; leads on to `target`.

    `entered`: when a platform says that he gave his secret there, for `is_fresh`.
    """
    assert user.party is not None
    mark = request.COOKIES.get(DEVICE_COOKIE, "")
    if not 20 <= len(mark) <= 64:
        mark = secrets.token_urlsafe(32)
    # The session, its seat and the device are written at once, and once.
    with transaction.atomic():
        login(request, user)
        request.session["seen"] = request.session["began"] = time.time()
        request.session["agent"] = _agent_digest(_agent(request))
        request.session["factor"] = factor
        request.session["way"] = way
        request.session[ENTERED] = entered
        ended, waiting = actions.take_seat(
            user,
            request.session,
            address=caller_of(request) or None,
            agent=_agent(request),
            by=actor_of(user.party),
            device=mark,
        )
    if ended:
        messages.warning(
            request, f"同时登录不能超过 {rules.SEATS} 处，最早的 {ended} 处登录已经结束"
        )
    if waiting:
        messages.warning(request, f"有 {waiting} 台新设备登录过，请到“我的账号”确认")
    answer = redirect("identity:password") if user.must_change else redirect(target)
    answer.set_cookie(
        DEVICE_COOKIE,
        mark,
        max_age=DEVICE_AGE,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return answer


def _half(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    """Who gave the password in this session not long ago."""
    half = request.session.get(HALF)
    if not half or time.time() - half["at"] > rules.SECOND_MINUTES * 60:
        return None
    user = queries.half_entered(ANONYMOUS, half["user"])
    return (user, half) if user is not None else None


@never_cache
@public
def second(request: HttpRequest) -> HttpResponse:
    """The second factor, after the password."""
    found = _half(request)
    if found is None:
        request.session.pop(HALF, None)
        messages.info(request, "请先输入账号和密码")
        return redirect("identity:login")
    user, half = found
    kinds = queries.second_kinds(ANONYMOUS, user)
    problem, status = "", 200
    if request.method == "POST":
        kind = request.POST.get("kind", "")
        answer: Any = request.POST.get("answer", "")[:20_000]
        if kind == rules.KEY:
            answer = parsed(answer)
        # The challenge is good once, whatever comes of it.
        state = half.pop("state", None)
        request.session.modified = True
        if actions.pass_second(
            user, kind, answer, by=ANONYMOUS, state=state, host=host_in(request)
        ):
            target = str(half["next"])
            request.session.pop(HALF, None)
            user.refresh_from_db()
            way, at = str(half.get("way", "")), float(half.get("entered", 0))
            return open_session(request, user, kind, target, way=way, entered=at)
        problem, status = "没有通过：请核对后再试。连续 5 次不对将锁定 15 分钟。", 401
    options = None
    if rules.KEY in kinds:
        options, half["state"] = queries.key_challenge(ANONYMOUS, user, host_in(request))
        request.session[HALF] = half
    context = {"kinds": kinds, "problem": problem, "options": options}
    return render(request, "identity/second.html", context, status=status)


@never_cache
@public
def entered(request: HttpRequest) -> HttpResponse:
    """Come in from a platform that has proven who it is; not past a second factor."""
    found = _half(request)
    if found is None or not found[1].get("way"):
        request.session.pop(HALF, None)
        return redirect("identity:login")
    user, half = found
    if queries.second_kinds(ANONYMOUS, user):
        return redirect("identity:second")
    request.session.pop(HALF, None)
    way, at = str(half["way"]), float(half.get("entered", 0))
    return open_session(request, user, "", str(half["next"]), way=way, entered=at)


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@public
def logout_page(request: HttpRequest) -> HttpResponse:
    """Leave; by POST only."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if request.user.is_authenticated:
        user, key = request.user, request.session.session_key or ""
        actions.leave(user, key, by=actor_in(request))
        logout(request)
        messages.success(request, "已安全退出")
    return redirect("/")
