"""Views: login and logout, one's own account, and the administration of accounts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import ANONYMOUS, UserError, actor_of
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.middleware import POST_KEY
from lianyun.ui.pages import page, public, safe_next, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

    from .models import User

BACKEND = "django.contrib.auth.backends.ModelBackend"
SEEN_EVERY = 60


class Guard:
    """Ends sessions that slept too long and leads to the password page those who must change it.

    Stands after AuthenticationMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        if not request.path.startswith("/static/") and request.user.is_authenticated:
            now = time.time()
            seen: float | None = request.session.get("seen")
            if rules.is_idle(seen or now, now):
                logout(request)
                messages.info(request, "离开时间较长，请重新登录")
            else:
                if seen is None or now - seen > SEEN_EVERY:
                    request.session["seen"] = now
                free = (reverse("identity:password"), reverse("identity:logout"))
                inside = request.path.startswith("/workbench/") and request.path not in free
                if inside and request.user.must_change:
                    return redirect("identity:password")
        return self.get_response(request)


class LoginForm(Styled):
    """User name and password."""

    username = forms.CharField(
        label="账号", max_length=60, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label="密码",
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


@never_cache
@sensitive_post_parameters("password")
@public
def login_page(request: HttpRequest) -> HttpResponse:
    """The officers' door; answers every failure alike."""
    target = safe_next(request)
    if request.user.is_authenticated and request.actor.known:  # type: ignore[attr-defined]
        return redirect(target)
    form = LoginForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        user = actions.enter(
            form.cleaned_data["username"].strip(), form.cleaned_data["password"], by=ANONYMOUS
        )
        if user is not None:
            _open_session(request, user)
            return redirect("identity:password") if user.must_change else redirect(target)
        form.add_error(None, rules.REFUSED)
        status = 401
    return render(request, "identity/login.html", {"form": form, "next": target}, status=status)


def _open_session(request: HttpRequest, user: User) -> None:
    login(request, user, backend=BACKEND)
    request.session["seen"] = time.time()
    request.session.save()
    assert user.party is not None
    ended, _ = actions.take_seat(
        user,
        request.session.session_key or "",
        address=request.META.get("REMOTE_ADDR") or None,
        agent=request.headers.get("User-Agent", ""),
        by=actor_of(user.party),
    )
    if ended:
        messages.warning(
            request, f"同时登录不能超过 {rules.SEATS} 处，最早的 {ended} 处登录已经结束"
        )


@public
def logout_page(request: HttpRequest) -> HttpResponse:
    """Leave; by POST only."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if request.user.is_authenticated:
        user, key = request.user, request.session.session_key or ""
        actions.leave(user, key, by=_actor(request))
        logout(request)
        messages.success(request, "已安全退出")
    return redirect("/")


def _actor(request: HttpRequest) -> Actor:
    return cast("Actor", request.actor)  # type: ignore[attr-defined]


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

    def clean(self) -> dict[str, Any]:
        """Both new ones must agree."""
        data = super().clean() or {}
        if data.get("new") and data.get("again") and data["new"] != data["again"]:
            self.add_error("again", "两次输入的新密码不一致")
        return data


@sensitive_post_parameters("old", "new", "again")
@signed_in
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = cast("User", request.user)
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key = request.session.session_key or ""
            actions.change_password(user, data["old"], data["new"], by=_actor(request), keep=key)
        except UserError as mistake:
            form.add_error("old" if "原密码" in str(mistake) else "new", str(mistake))
        else:
            update_session_auth_hash(request, user)
            _reseat(request, user)
            messages.success(request, "密码已修改，其他设备上的登录已经结束")
            return redirect("identity:account")
    return render(request, "identity/password.html", {"form": form, "forced": user.must_change})


def _reseat(request: HttpRequest, user: User) -> None:
    """The session key was cycled with the password: its seat follows."""
    request.session.save()
    actions.take_seat(
        user,
        request.session.session_key or "",
        address=request.META.get("REMOTE_ADDR") or None,
        agent=request.headers.get("User-Agent", ""),
        by=_actor(request),
    )


@signed_in
def own_account(request: HttpRequest) -> HttpResponse:
    """My posts and my open logins."""
    user, actor = cast("User", request.user), _actor(request)
    assert user.party is not None
    context = {
        "account": user,
        "posts": queries.posts(actor, user.party),
        "seats": queries.seats(actor, user, request.session.session_key or ""),
        "limit": rules.SEATS,
        "idle": int(rules.IDLE.total_seconds() // 60),
    }
    return render(request, "identity/account.html", context)


@signed_in
def end_seats(request: HttpRequest) -> HttpResponse:
    """End my other logins, or one of them."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    seat = request.POST.get("seat", "")
    count = actions.end_own_seats(
        cast("User", request.user),
        request.session.session_key or "",
        by=_actor(request),
        seat=int(seat) if seat.isdecimal() else None,
    )
    messages.success(request, f"已结束 {count} 处登录")
    return redirect("identity:account")


@signed_in
def choose_post(request: HttpRequest) -> HttpResponse:
    """Choose the department for which I act now."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    wanted = request.POST.get("department", "")
    user, actor = cast("User", request.user), _actor(request)
    assert user.party is not None
    for post in queries.posts(actor, user.party):
        if str(post.department_id) == wanted:
            request.session[POST_KEY] = post.department_id
            messages.success(request, f"当前以{post.department.name}的身份办理")
            return redirect(safe_next(request))
    raise UserError("您在这个部门没有任职")


def _role_names(user: User) -> str:
    assert user.party is not None
    return "、".join(dict.fromkeys(m.role_title for m in user.party.memberships.all()))


def _home_name(user: User) -> str:
    assert user.party is not None
    posts = list(user.party.memberships.all())
    return str(posts[0].department) if posts else "—"


STANDINGS = [("active", "启用"), ("disabled", "停用")]


@page(permission="identity.manage")
def accounts(request: HttpRequest) -> HttpResponseBase:
    """The accounts of the departments I manage."""
    actor = _actor(request)
    departments = queries.manageable_departments(actor)
    table = Table(
        request,
        queries.accounts(actor),
        columns=[
            Column(
                "party.name",
                "姓名",
                primary=True,
                link=lambda u: reverse("identity:detail", args=[u.username]),
            ),
            Column("username", "账号", kind="code", sort=True),
            Column("department", "部门", cell=_home_name),
            Column("roles", "角色", cell=_role_names),
            Column("standing", "状态", kind="state"),
            Column("last_login", "最近登录", kind="stamp", sort=True),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                lookup="username__icontains|party__name__icontains",
                placeholder="姓名或账号",
            ),
            Filter(
                "department",
                "部门",
                "select",
                choices=lambda: [(str(d.pk), str(d)) for d in departments],
                lookup="party__memberships__department_id",
            ),
            Filter(
                "standing",
                "状态",
                "select",
                choices=STANDINGS,
                apply=lambda rows, value: rows.filter(is_active=value == "active"),
            ),
        ],
        caption="账号",
        export_name="账号清单",
        empty=Empty(
            "本部门还没有账号",
            "先为数据专员和共享工作机构负责人建立账号，他们才能编目、归集和审批。",
            reverse("identity:create"),
            "新建账号",
            "users",
        ),
    )
    return table.respond(request, "identity/accounts.html")


class AccountForm(Styled):
    """A new officer."""

    name = forms.CharField(label="姓名", max_length=50)
    username = forms.CharField(
        label="账号", max_length=40, help_text="小写字母开头，如 zhang.san；建成后不能修改"
    )
    department = forms.ChoiceField(label="部门")
    role_names = forms.MultipleChoiceField(
        label="角色", widget=forms.CheckboxSelectMultiple, help_text="可多选；以后可以增减"
    )

    def __init__(self, *args: Any, viewer: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        departments = queries.manageable_departments(viewer)
        pairs = [(str(d.pk), d.name) for d in departments]
        chosen = cast(forms.ChoiceField, self.fields["department"])
        chosen.choices = pairs if len(pairs) == 1 else [("", "请选择"), *pairs]
        cast(forms.ChoiceField, self.fields["role_names"]).choices = queries.assignable_roles(
            viewer
        )
        self.departments = {str(d.pk): d for d in departments}


@page(permission="identity.manage")
def create(request: HttpRequest) -> HttpResponse:
    """Open an account for an officer."""
    actor = _actor(request)
    form = AccountForm(request.POST or None, viewer=actor)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("identity:accounts")
        data = form.cleaned_data
        try:
            user, first = actions.create_account(
                form.departments[data["department"]],
                data["name"],
                data["username"],
                data["role_names"],
                by=actor,
            )
        except UserError as mistake:
            form.add_error("username" if "账号" in str(mistake) else None, str(mistake))
        else:
            return render(request, "identity/created.html", {"account": user, "first": first})
    return render(request, "identity/create.html", {"form": form})


@page(permission="identity.manage")
def detail(request: HttpRequest, username: str) -> HttpResponse:
    """One account: posts, roles, logins, history."""
    actor = _actor(request)
    user = queries.account(actor, username)
    assert user.party is not None
    context = {
        "account": user,
        "posts": queries.posts(actor, user.party),
        "seats": queries.seats(actor, user),
        "history": queries.history(actor, user),
        "departments": queries.manageable_departments(actor),
        "assignable": queries.assignable_roles(actor),
        "may_secure": actor.may("identity.secure"),
        "mine": actor.party is not None and actor.party.pk == user.party_id,
    }
    return render(request, "identity/detail.html", context)


@page(permission="identity.manage")
def change_roles(request: HttpRequest, username: str) -> HttpResponse:
    """Give or take one role."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = _actor(request)
    user = queries.account(actor, username)
    chosen = request.POST.get("department", "")
    department = next(
        (d for d in queries.manageable_departments(actor) if str(d.pk) == chosen), None
    )
    if department is None:
        raise UserError("请选择部门")
    change = actions.remove_role if request.POST.get("remove") else actions.assign_role
    change(user, department, request.POST.get("role", ""), by=actor)
    messages.success(request, "角色已更新，下一次打开页面即生效")
    return redirect("identity:detail", username)


@page(permission="identity.manage")
def change_standing(request: HttpRequest, username: str) -> HttpResponse:
    """Disable, enable, or reset the password of an account."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = _actor(request)
    user = queries.account(actor, username)
    wanted = request.POST.get("do")
    if wanted == "disable":
        actions.disable_account(user, request.POST.get("reason", ""), by=actor)
        messages.success(request, "账号已停用，已有的登录全部结束")
    elif wanted == "enable":
        actions.enable_account(user, by=actor)
        messages.success(request, "账号已启用")
    elif wanted == "reset":
        if not once(request):
            return redirect("identity:detail", username)
        first = actions.reset_password(user, by=actor)
        return render(
            request, "identity/created.html", {"account": user, "first": first, "reset": True}
        )
    else:
        raise UserError("没有这项操作")
    return redirect("identity:detail", username)


@page(permission="identity.secure")
def secure(request: HttpRequest) -> HttpResponse:
    """Locked accounts and refused logins; unlock and end sessions."""
    actor = _actor(request)
    if request.method == "POST":
        user = queries.account(actor, request.POST.get("username", ""))
        if request.POST.get("do") == "unlock":
            actions.unlock_account(user, by=actor)
            messages.success(request, f"{user.username} 已解锁")
        else:
            count = actions.end_seats(user, by=actor)
            messages.success(request, f"{user.username} 的 {count} 处登录已结束")
        return redirect("identity:secure")
    found = queries.failures_by_day(actor)
    chart = charts.one("bar", "被拒绝的登录", [(f"{d.month}-{d.day}", n) for d, n in found], "次")
    context = {"chart": chart, "locked": queries.locked_accounts(actor)}
    return render(request, "identity/secure.html", context)
