"""Officers: the administration of their accounts, posts, cover and security."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries
from .entry import actor_in

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

    from ..models import User

STANDINGS = [("active", "启用"), ("disabled", "停用")]


def _role_names(user: User) -> str:
    assert user.party is not None
    return "、".join(dict.fromkeys(m.role_title for m in user.party.memberships.all()))


def _home_name(user: User) -> str:
    assert user.party is not None
    posts = list(user.party.memberships.all())
    return str(posts[0].department) if posts else "—"


@page(permission="identity.manage")
def accounts(request: HttpRequest) -> HttpResponseBase:
    """The accounts of the departments I manage."""
    actor = actor_in(request)
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
    actor = actor_in(request)
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
    actor = actor_in(request)
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
        "factors": queries.factors(actor, user),
        "covers": queries.covers(actor, user.party),
        "colleagues": queries.colleagues(actor, user),
        "mine": actor.party is not None and actor.party.pk == user.party_id,
    }
    return render(request, "identity/detail.html", context)


@page(permission="identity.manage")
def change_roles(request: HttpRequest, username: str) -> HttpResponse:
    """Give or take one role."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = actor_in(request)
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
    actor = actor_in(request)
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
    actor = actor_in(request)
    if request.method == "POST":
        user = queries.account(actor, request.POST.get("username", ""))
        if request.POST.get("do") == "unlock":
            actions.unlock_account(user, by=actor)
            messages.success(request, f"{user.username} 已解锁")
        elif request.POST.get("do") == "reset":
            actions.reset_factors(user, request.POST.get("reason", ""), by=actor)
            messages.success(request, f"{user.username} 的第二因素已重置，下次登录须重新登记")
        elif request.POST.get("do") != "end":
            raise UserError("没有这项操作")
        else:
            count = actions.end_seats(user, by=actor)
            messages.success(request, f"{user.username} 的 {count} 处登录已结束")
        return redirect("identity:secure")
    found = queries.failures_by_day(actor)
    chart = charts.one("bar", "被拒绝的登录", [(f"{d.month}-{d.day}", n) for d, n in found], "次")
    context = {
        "chart": chart,
        "locked": queries.locked_accounts(actor),
        "policy": queries.access_policy(actor),
        "policies": queries.policies(),
        "guarded": queries.guarded_accounts(actor),
    }
    return render(request, "identity/secure.html", context)


@page(permission="identity.secure")
def policy(request: HttpRequest) -> HttpResponse:
    """Choose the access policy."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actions.choose_policy(request.POST.get("name", ""), by=actor_in(request))
    messages.success(request, "登录策略已更新，对所有人立即生效")
    return redirect("identity:secure")


class CoverForm(Styled):
    """Who stands in, from when to when, and why."""

    deputy = forms.CharField(max_length=60)
    since = forms.DateField()
    until = forms.DateField()
    reason = forms.CharField(max_length=100, required=False)


@page(permission="identity.manage")
def cover(request: HttpRequest, username: str) -> HttpResponse:
    """Arrange or end a leave cover."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = actor_in(request)
    user = queries.account(actor, username)
    assert user.party is not None
    ending = request.POST.get("end", "")
    if ending:
        found = next((c for c in queries.covers(actor, user.party) if str(c.pk) == ending), None)
        if found is None:
            raise UserError("没有这项代理")
        actions.end_cover(found, by=actor)
        messages.success(request, "代理已结束，代理人的临时角色已收回")
        return redirect("identity:detail", username)
    form = CoverForm(request.POST)
    if not form.is_valid():
        raise UserError("请选择代理人，并填写开始和结束日期")
    data = form.cleaned_data
    deputy = next(
        (u for u in queries.colleagues(actor, user) if u.username == data["deputy"]), None
    )
    if deputy is None:
        raise UserError("代理人须是同一部门的在用账号")
    actions.cover_leave(user, deputy, data["since"], data["until"], data["reason"], by=actor)
    messages.success(request, f"已安排{deputy.party}代理，到期自动收回")
    return redirect("identity:detail", username)
