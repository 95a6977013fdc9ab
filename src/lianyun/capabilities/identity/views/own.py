"""Own: one's own login: password, posts, devices, open sessions, second factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import segno
from django import forms
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import UserError
from lianyun.ui.context import address
from lianyun.ui.forms import Styled
from lianyun.ui.middleware import POST_KEY
from lianyun.ui.pages import safe_next, signed_in
from lianyun.ui.visitor import caller_of

from .. import actions, queries, rules
from .entry import actor_in, host_in, is_fresh, parsed

if TYPE_CHECKING:
    from ..models import User

KEY_STATE = "key_state"
ISSUER = "连云工作台"


def user_in(request: HttpRequest) -> User:
    """Whose login this request comes with."""
    return cast("User", request.user)


def frame(request: HttpRequest) -> str:
    """The frame of pages that officers and citizens share."""
    return "ui/workbench.html" if actor_in(request).roles else "ui/base.html"


def tabs() -> list[tuple[str, str]]:
    """The pages of one's own identity."""
    return [
        ("我的身份", reverse("identity:mine")),
        ("我的代办", reverse("identity:agencies")),
        ("办理身份", reverse("identity:acting")),
        ("登录与安全", reverse("identity:account")),
    ]


class PasswordForm(Styled):
    """The old password once, the new one twice."""

    old = forms.CharField(
        label="原密码",
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="新密码",
        strip=False,
        max_length=128,
        help_text=f"至少 {rules.MINIMUM} 位，含大写字母、小写字母、数字、符号中的三种",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="再输入一次新密码",
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, first: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if first:
            del self.fields["old"]

    def clean(self) -> dict[str, Any]:
        """Both new ones must agree."""
        data = super().clean() or {}
        if data.get("new") and data.get("again") and data["new"] != data["again"]:
            self.add_error("again", "两次输入的新密码不一致")
        return data


@sensitive_post_parameters("old", "new", "again")
@signed_in
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password, or set the first one where a platform opened the account."""
    user, actor = user_in(request), actor_in(request)
    first, fresh = not user.has_usable_password(), is_fresh(request)
    form = PasswordForm(request.POST or None, first=first)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        key = request.session.session_key or ""
        try:
            if first:
                actions.set_first_password(user, data["new"], fresh=fresh, by=actor, keep=key)
            else:
                actions.change_password(user, data["old"], data["new"], by=actor, keep=key)
        except UserError as mistake:
            form.add_error("old" if "原密码" in str(mistake) else "new", str(mistake))
        else:
            update_session_auth_hash(request, user)
            _reseat(request, user)
            done = "密码已设置，以后也可以用公民身份号码或手机号码登录" if first else "密码已修改"
            messages.success(request, f"{done}，其他设备上的登录已经结束")
            return redirect("identity:account")
    context = {
        "form": form,
        "forced": user.must_change,
        "first": first,
        "stale": first and not fresh,
        "frame": frame(request),
    }
    return render(request, "identity/password.html", context, status=400 if form.errors else 200)


@signed_in
def enter_anew(request: HttpRequest) -> HttpResponse:
    """Leave and enter by the national platform again: who has no password shows that he is there."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    back = safe_next(request, reverse("identity:password"))
    place = address("login:national")
    if not place:
        raise UserError("本市没有接入国家政务服务平台登录，请到政务服务窗口办理")
    user, key = user_in(request), request.session.session_key or ""
    actions.leave(user, key, by=actor_in(request))
    logout(request)
    return redirect(f"{place}?{urlencode({'anew': '1', 'next': back})}")


def _reseat(request: HttpRequest, user: User) -> None:
    """The session key was cycled with the password: its seat follows."""
    actions.take_seat(
        user,
        request.session,
        address=caller_of(request) or None,
        agent=request.headers.get("User-Agent", ""),
        by=actor_in(request),
    )


@signed_in
def own_account(request: HttpRequest) -> HttpResponse:
    """My posts, devices, open logins and second factors."""
    user, actor = user_in(request), actor_in(request)
    assert user.party is not None
    context = {
        "frame": frame(request),
        "account": user,
        "posts": queries.posts(actor, user.party),
        "covers": queries.covers(actor, user.party),
        "seats": queries.seats(actor, user, request.session.session_key or ""),
        "new_devices": queries.new_devices(actor, user),
        "devices": queries.devices(actor, user),
        "tabs": [] if actor.roles else tabs(),
        "factors": queries.factors(actor, user),
        "must": queries.must_have_second(actor, user),
        "limit": rules.SEATS,
        "idle": int(rules.IDLE.total_seconds() // 60),
        "hours": int(rules.ABSOLUTE.total_seconds() // 3600),
    }
    return render(request, "identity/account.html", context)


@signed_in
def end_seats(request: HttpRequest) -> HttpResponse:
    """End my other logins, or one of them."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    seat = request.POST.get("seat", "")
    count = actions.end_own_seats(
        user_in(request),
        request.session.session_key or "",
        by=actor_in(request),
        seat=int(seat) if seat.isdecimal() and len(seat) < 19 else None,
    )
    messages.success(request, f"已结束 {count} 处登录")
    return redirect("identity:account")


@signed_in
def judge_device(request: HttpRequest) -> HttpResponse:
    """Say whether a new device is mine."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    device = request.POST.get("device", "")
    mine = request.POST.get("mine") == "1"
    actions.judge_device(
        user_in(request),
        int(device) if device.isdecimal() and len(device) < 19 else 0,
        mine,
        request.session.session_key or "",
        by=actor_in(request),
    )
    messages.success(request, "已确认是您的设备" if mine else "其他登录已全部结束，请立即修改密码")
    return redirect("identity:account" if mine else "identity:password")


@signed_in
def choose_post(request: HttpRequest) -> HttpResponse:
    """Choose the department for which I act now."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    wanted = request.POST.get("department", "")
    user, actor = user_in(request), actor_in(request)
    assert user.party is not None
    for post in queries.posts(actor, user.party):
        if str(post.department_id) == wanted:
            request.session[POST_KEY] = post.department_id
            messages.success(request, f"当前以{post.department.name}的身份办理")
            return redirect(safe_next(request))
    raise UserError("您在这个部门没有任职")


# ---- second factors --------------------------------------------------------------------------


@never_cache
@signed_in
def factors(request: HttpRequest) -> HttpResponse:
    """My second factors: what there is, add one, remove one, new recovery codes."""
    user, actor = user_in(request), actor_in(request)
    if request.method == "POST":
        done = request.POST.get("do")
        if done == "remove":
            number = request.POST.get("factor", "")
            actions.remove_factor(
                user,
                int(number) if number.isdecimal() and len(number) < 19 else 0,
                request.POST.get("password", ""),
                by=actor,
            )
            messages.success(request, "已移除")
        elif done == "codes":
            codes = actions.renew_codes(user, request.POST.get("password", ""), by=actor)
            return _codes(request, codes)
        else:
            raise UserError("没有这项操作")
        return redirect("identity:factors")
    context = {
        "frame": frame(request),
        "factors": queries.factors(actor, user),
        "left": queries.codes_left(actor, user),
        "must": queries.must_have_second(actor, user),
        "owing": getattr(request, "without_posts", False),
        "policy": queries.access_policy(actor),
    }
    return render(request, "identity/factors.html", context)


def _codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "identity/codes.html", {"codes": codes, "frame": frame(request)})


def _added(request: HttpRequest, kind: str, codes: list[str]) -> HttpResponse:
    # Who just proved to hold the factor need not show it again in this session.
    request.session["factor"] = kind
    request.session.cycle_key()
    _reseat(request, user_in(request))
    if codes:
        return _codes(request, codes)
    messages.success(request, "第二因素已启用，下次登录时使用")
    return redirect("identity:factors")


@never_cache
@sensitive_post_parameters()
@signed_in
def add_totp(request: HttpRequest) -> HttpResponse:
    """Register an authenticator: scan, then type its first code."""
    user, actor = user_in(request), actor_in(request)
    problem = ""
    if request.method == "POST":
        try:
            codes = actions.confirm_totp(
                user,
                request.POST.get("code", "")[:20],
                request.POST.get("title", "")[:60],
                by=actor,
            )
        except UserError as mistake:
            problem = str(mistake)
            secret = queries.waiting_totp(actor, user)
        else:
            return _added(request, rules.TOTP, codes)
    else:
        secret = actions.begin_totp(user, by=actor)
    address = rules.provisioning(secret, user.username, ISSUER)
    context = {
        "frame": frame(request),
        "picture": segno.make(address, error="m").svg_data_uri(scale=5, border=3),
        "secret": rules.readable(secret),
        "problem": problem,
    }
    return render(request, "identity/totp.html", context, status=400 if problem else 200)


@never_cache
@signed_in
def add_key(request: HttpRequest) -> HttpResponse:
    """Register a security key."""
    user, actor, host = user_in(request), actor_in(request), host_in(request)
    problem = ""
    if request.method == "POST":
        try:
            codes = actions.add_key(
                user,
                request.session.pop(KEY_STATE, None),
                parsed(request.POST.get("answer", "")[:20_000]) or {},
                request.POST.get("title", "")[:60],
                host,
                by=actor,
            )
        except UserError as mistake:
            problem = str(mistake)
        else:
            return _added(request, rules.KEY, codes)
    options, request.session[KEY_STATE] = queries.new_key_challenge(actor, user, host)
    context = {"frame": frame(request), "options": options, "problem": problem}
    return render(request, "identity/key.html", context, status=400 if problem else 200)
