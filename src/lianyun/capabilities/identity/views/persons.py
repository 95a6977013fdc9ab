"""Persons: registration, one's own identity and how to have it proven, acting for others."""

from __future__ import annotations

import time
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import public, safe_next, signed_in
from lianyun.ui.visitor import address_of

from .. import actions, queries, rules
from .entry import actor_in, is_fresh, open_session
from .own import tabs, user_in

PHONE = "register_phone"
NEW_PHONE = "new_phone"
LOST = "lost_password"
REGISTER_USE, CHANGE_USE, RECOVER_USE = "register", "phone", "recover"
SIMULATED = "模拟短信（模拟数据）：演示环境没有短信网关，内容显示在这里"
SIMULATED_MAIL = "模拟邮件（模拟数据）：演示环境没有邮件服务器，内容显示在这里"


def steady(began: float) -> None:
    """Let an answer about a number take no less than the floor, whatever it says."""
    time.sleep(max(0.0, rules.FLOOR_SECONDS - (time.monotonic() - began)))


class PhoneForm(Styled):
    """A telephone."""

    phone = forms.CharField(
        label="手机号码",
        max_length=11,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "tel-national"}),
    )


class RegisterForm(Styled):
    """Who somebody says he is, with the code from the telephone."""

    code = forms.CharField(
        label="短信验证码",
        max_length=6,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )
    name = forms.CharField(
        label="姓名", max_length=50, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    number = forms.CharField(
        label="公民身份号码",
        max_length=18,
        help_text="加密保存，页面上只显示前三位和后四位",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    password = forms.CharField(
        label="设置密码",
        strip=False,
        max_length=128,
        help_text=f"至少 {rules.MINIMUM} 位，含大写字母、小写字母、数字、符号中的三种",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    agreed = forms.BooleanField(label="我同意为办理政务服务处理以上个人信息")


@never_cache
@sensitive_post_parameters("password", "number", "code")
@public
def register(request: HttpRequest) -> HttpResponse:
    """Open one's own account on a phone: telephone, code, name and number."""
    if request.user.is_authenticated:
        return redirect("identity:mine")
    kept: dict[str, Any] = request.session.get(PHONE) or {}
    step = request.POST.get("step", "")
    if request.method == "POST" and step == "phone":
        form: Styled = PhoneForm(request.POST)
        if form.is_valid():
            phone = form.cleaned_data["phone"].strip()
            try:
                shown = actions.send_code(
                    phone, REGISTER_USE, address=address_of(request), by=ANONYMOUS
                )
            except UserError as mistake:
                form.add_error("phone", str(mistake))
            else:
                request.session[PHONE] = {"phone": phone, "shown": shown}
                return redirect("identity:register")
        return render(request, "identity/register.html", {"form": form, "step": 0}, status=400)
    if not kept or "again" in request.GET:
        request.session.pop(PHONE, None)
        return render(request, "identity/register.html", {"form": PhoneForm(), "step": 0})
    details = RegisterForm(request.POST or None)
    if request.method == "POST" and details.is_valid():
        began, data = time.monotonic(), details.cleaned_data
        try:
            if not actions.check_code(kept["phone"], REGISTER_USE, data["code"], by=ANONYMOUS):
                details.add_error("code", "验证码不正确或已过期，可以重新获取")
            else:
                user = actions.register(
                    kept["phone"],
                    data["name"],
                    data["number"],
                    data["password"],
                    address=address_of(request),
                    by=ANONYMOUS,
                )
                request.session.flush()
                steady(began)
                messages.success(request, "账号已开通。核验身份后可以办理更多事项")
                return open_session(request, user, "", reverse("identity:mine"))
        except UserError as mistake:
            words = (("密码", "password"), ("号码有误", "number"), ("姓名", "name"))
            field = next((f for w, f in words if w in str(mistake)), None)
            details.add_error(field, f"{mistake}。验证码已用过，请重新获取")
        steady(began)
    context = {
        "form": details,
        "step": 1,
        "phone": f"{kept['phone'][:3]}****{kept['phone'][-4:]}",
        "shown": kept.get("shown", ""),
        "simulated": SIMULATED,
    }
    status = 400 if details.is_bound else 200
    return render(request, "identity/register.html", context, status=status)


class RecoverForm(Styled):
    """The code from the telephone, the number that goes with it, the new password."""

    code = forms.CharField(
        label="短信验证码",
        max_length=6,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )
    number = forms.CharField(
        label="公民身份号码", max_length=18, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    password = forms.CharField(
        label="新密码",
        strip=False,
        max_length=128,
        help_text=f"至少 {rules.MINIMUM} 位，含大写字母、小写字母、数字、符号中的三种",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_password(self) -> str:
        """Judged before the code is spent."""
        given = str(self.cleaned_data["password"])
        if problems := rules.password_problems(given):
            raise forms.ValidationError("；".join(problems))
        return given


@never_cache
@sensitive_post_parameters("password", "number", "code")
@public
def forgotten(request: HttpRequest) -> HttpResponse:
    """A forgotten password made anew by telephone and citizen number; logs nobody in."""
    kept: dict[str, Any] = request.session.get(LOST) or {}
    form: Styled
    if request.method == "POST" and request.POST.get("step") == "phone":
        form, step = PhoneForm(request.POST), 0
        if form.is_valid():
            phone = form.cleaned_data["phone"].strip()
            try:
                shown = actions.send_code(
                    phone, RECOVER_USE, address=address_of(request), by=ANONYMOUS
                )
            except UserError as mistake:
                form.add_error("phone", str(mistake))
            else:
                request.session[LOST] = {"phone": phone, "shown": shown}
                return redirect("identity:forgotten")
    elif kept and "again" not in request.GET:
        form, step = RecoverForm(request.POST or None), 1
        if request.method == "POST" and form.is_valid():
            began, data = time.monotonic(), form.cleaned_data
            try:
                right = actions.check_code(
                    kept["phone"], RECOVER_USE, data["code"], by=ANONYMOUS
                ) and actions.recover_password(
                    kept["phone"], data["number"], data["password"],
                    address=address_of(request), by=ANONYMOUS,
                )  # fmt: skip
            except UserError as mistake:
                field = "password" if "密码" in str(mistake) else None
                form.add_error(field, f"{mistake}。验证码已用过，请重新获取")
            else:
                steady(began)
                if right:
                    request.session.flush()
                    messages.success(request, "密码已重新设置，其他登录已结束，请用新密码登录")
                    return redirect("identity:login")
                form.add_error(None, f"{actions.UNFIT}。验证码已用过的，请重新获取")
            steady(began)
    else:
        request.session.pop(LOST, None)
        form, step = PhoneForm(), 0
    context = {
        "form": form,
        "step": step,
        "shown": kept.get("shown", "") if step else "",
        "simulated": SIMULATED,
    }
    status = 400 if form.errors else 200
    return render(request, "identity/forgotten.html", context, status=status)


@never_cache
@signed_in
def mine(request: HttpRequest) -> HttpResponse:
    """How surely the city knows me, how to be known better, and what else I can do about it."""
    actor = actor_in(request)
    need = request.GET.get("need", "")
    wanted = int(need) if need.isdecimal() and int(need[:3]) in rules.LEVELS else 0
    context = {
        "me": queries.own_identity(actor),
        "tabs": tabs(),
        "wanted": wanted,
        "wanted_title": rules.LEVELS.get(wanted, ""),
        "back": safe_next(request, ""),
        "levels": [(n, title, rules.LEVEL_MEANS[n]) for n, title in rules.LEVELS.items() if n > 0],
        "minutes": rules.VISIT_MINUTES,
        "notices": queries.own_notices(actor),
        "password": user_in(request).has_usable_password(),
        "fresh": is_fresh(request),
        "erasure": queries.erasure_rule(),
    }
    return render(request, "identity/mine.html", context)


@signed_in
def prove(request: HttpRequest) -> HttpResponse:
    """Be proven: against the population library now, or by a code for the counter."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = actor_in(request)
    if request.POST.get("way") == rules.COUNTER:
        actions.go_to_counter(by=actor)
        return redirect(safe_next(request, f"{reverse('identity:mine')}#counter"))
    began = time.monotonic()
    actions.try_proof(address=address_of(request), by=actor)
    right = actions.prove_elements(by=actor)
    steady(began)
    if right:
        messages.success(request, "两要素核验通过")
        return redirect(safe_next(request, reverse("identity:mine")))
    messages.error(request, actions.NOT_PROVEN)
    return redirect("identity:mine")


class NewPhoneForm(Styled):
    """The code from the new telephone and the password, if there is one."""

    code = forms.CharField(
        label="短信验证码",
        max_length=6,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )
    password = forms.CharField(
        label="登录密码",
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, secret: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not secret:
            del self.fields["password"]


@never_cache
@sensitive_post_parameters("password", "code")
@signed_in
def phone(request: HttpRequest) -> HttpResponse:
    """Change the telephone: a code to the new one, then the password."""
    kept: dict[str, Any] = request.session.get(NEW_PHONE) or {}
    actor, user = actor_in(request), user_in(request)
    secret, fresh = user.has_usable_password(), is_fresh(request)
    form: Styled
    if request.method == "POST" and request.POST.get("step") == "phone":
        form = PhoneForm(request.POST)
        if form.is_valid():
            number = form.cleaned_data["phone"].strip()
            try:
                shown = actions.send_code(number, CHANGE_USE, address=address_of(request), by=actor)
            except UserError as mistake:
                form.add_error("phone", str(mistake))
            else:
                request.session[NEW_PHONE] = {"phone": number, "shown": shown}
                return redirect("identity:phone")
        step = 0
    elif kept and "again" not in request.GET:
        form, step = NewPhoneForm(request.POST or None, secret=secret), 1
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                if not actions.check_code(kept["phone"], CHANGE_USE, data["code"], by=actor):
                    form.add_error("code", "验证码不正确或已过期，可以重新获取")
                else:
                    given = data.get("password", "")
                    actions.change_phone(user, kept["phone"], given, by=actor, fresh=fresh)
                    request.session.pop(NEW_PHONE, None)
                    messages.success(request, "手机号码已更换，下次用新号码登录")
                    return redirect("identity:mine")
            except UserError as mistake:
                wrong = "password" if secret and "密码" in str(mistake) else "code"
                form.add_error(wrong, str(mistake))
    else:
        form, step = PhoneForm(), 0
    context = {
        "form": form,
        "step": step,
        "shown": kept.get("shown", "") if step else "",
        "simulated": SIMULATED,
        "stale": not secret and not fresh,
    }
    return render(request, "identity/phone.html", context, status=400 if form.errors else 200)


@sensitive_post_parameters("password")
@signed_in
def erase(request: HttpRequest) -> HttpResponse:
    """Ask for one's account to be erased, or take that back."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = actor_in(request)
    if request.POST.get("do") == "keep":
        actions.keep_account(by=actor)
        messages.success(request, "注销申请已撤回")
        return redirect("identity:mine")
    day = actions.ask_erasure(
        user_in(request), request.POST.get("password", ""), by=actor, fresh=is_fresh(request)
    )
    messages.success(request, f"已受理注销，{day:%Y-%m-%d} 前可以登录撤回，到期自动注销")
    logout(request)
    return redirect("/")


class AgentForm(Styled):
    """A mandate: who, what, from when to when."""

    entity = forms.ChoiceField(label="委托单位")
    name = forms.CharField(label="经办人姓名", max_length=50)
    number = forms.CharField(label="经办人公民身份号码", max_length=18)
    scope = forms.MultipleChoiceField(
        label="代理事项", choices=list(rules.SCOPES.items()), widget=forms.CheckboxSelectMultiple
    )
    since = forms.DateField(
        label="开始日期", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label="结束日期", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, firms: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["entity"]).choices = firms


class FirmForm(Styled):
    """A firm that one represents, by its credit code."""

    credit_code = forms.CharField(
        label="统一社会信用代码",
        max_length=18,
        help_text="营业执照上的 18 位代码",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )


class ChildForm(Styled):
    """A child of one's own household."""

    name = forms.CharField(label="孩子姓名", max_length=50)
    number = forms.CharField(label="孩子公民身份号码", max_length=18)


@never_cache
@sensitive_post_parameters("number")
@signed_in
def agencies(request: HttpRequest) -> HttpResponse:
    """Whom I act for, who acts for my firm, my children; accept, give, end."""
    actor = actor_in(request)
    found = queries.own_agencies(actor)
    firms = [
        (str(a.principal_id), a.principal.name)
        for a in found["mine"]
        if a.kind == rules.REPRESENTATIVE
    ]
    step = request.POST.get("do", "") if request.method == "POST" else ""
    agent = AgentForm(
        request.POST if step == "agent" else None,
        firms=firms,
        initial={"since": timezone.localdate()},
        prefix="agent",
    )
    child = ChildForm(request.POST if step == "child" else None, prefix="child")
    firm = FirmForm(request.POST if step == "firm" else None, prefix="firm")
    number = request.POST.get("agency", "")
    chosen = int(number) if number.isdecimal() and len(number) < 19 else 0
    if step in ("accept", "end"):
        if step == "accept":
            actions.accept_agency(chosen, by=actor)
        else:
            actions.end_agency(chosen, by=actor)
        messages.success(request, "已接受委托" if step == "accept" else "代理关系已终止")
        return redirect("identity:agencies")
    if step == "agent" and agent.is_valid():
        if not once(request):
            return redirect("identity:agencies")
        data = agent.cleaned_data
        try:
            actions.appoint_agent(
                int(data["entity"]),
                data["name"],
                data["number"],
                data["scope"],
                data["since"],
                data["until"],
                by=actor,
            )
        except UserError as mistake:
            agent.add_error(None, str(mistake))
        else:
            messages.success(request, "委托已发出，经办人实人核验后在“我的代办”中接受即生效")
            return redirect("identity:agencies")
    if step == "child" and child.is_valid():
        began, data = time.monotonic(), child.cleaned_data
        try:
            actions.try_proof(address=address_of(request), by=actor)
            made = actions.add_child(data["name"], data["number"], by=actor)
        except UserError as mistake:
            child.add_error(None, str(mistake))
        else:
            if made is not None:
                messages.success(request, f"已登记为监护人，至 {made.until:%Y-%m-%d}")
            else:
                child.add_error(None, actions.NOT_PROVEN)
        steady(began)
        if not child.errors:
            return redirect("identity:agencies")
    if step == "firm" and firm.is_valid():
        began = time.monotonic()
        try:
            bound = actions.claim_firm(firm.cleaned_data["credit_code"], by=actor)
        except UserError as mistake:
            firm.add_error("credit_code", str(mistake))
        else:
            if bound is not None:
                messages.success(request, f"已登记为{bound.principal.name}的法定代表人")
            else:
                firm.add_error("credit_code", actions.NOT_HEAD)
        steady(began)
        if not firm.errors:
            return redirect("identity:agencies")
    context = {
        "tabs": tabs(),
        "found": found,
        "agent": agent if firms else None,
        "child": child,
        "firm": firm,
        "me": queries.own_identity(actor),
        "person": rules.PERSON,
    }
    chosen_form = {"agent": agent, "child": child, "firm": firm}.get(step)
    wrong = chosen_form is not None and chosen_form.errors
    return render(request, "identity/agencies.html", context, status=400 if wrong else 200)
