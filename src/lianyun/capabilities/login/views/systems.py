"""Systems: the bureau registers departments' systems, their directories, and turns the signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

    from ..models import ClientSystem

KINDS = [("confidential", "有后台服务（凭密钥）"), ("public", "手机应用或网页（无密钥，仅 PKCE）")]
_LINES = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"})


def _actor(request: HttpRequest) -> Actor:
    return cast("Actor", request.actor)  # type: ignore[attr-defined]


class SystemForm(Styled):
    """What is registered of a system; one field for the reason of each kind of information."""

    name = forms.CharField(label="系统名称", max_length=100)
    department = forms.ChoiceField(label="所属部门")
    purpose = forms.CharField(
        label="用途", max_length=200, help_text="居民登录时会看到，请用一句话说清办什么事"
    )
    kind = forms.ChoiceField(label="类型", choices=KINDS, widget=forms.RadioSelect)
    grants = forms.MultipleChoiceField(
        label="接入方式", choices=list(rules.GRANTS.items()), widget=forms.CheckboxSelectMultiple
    )
    redirect_uris = forms.CharField(
        label="回调地址",
        widget=_LINES,
        required=False,
        help_text="每行一个，须与系统发来的逐字相同；https 开头（本机测试可用 http）",
    )
    logout_uris = forms.CharField(
        label="退出后返回地址", widget=_LINES, required=False, help_text="每行一个"
    )
    backchannel_uri = forms.CharField(
        label="退出通知地址",
        max_length=400,
        required=False,
        help_text="居民在本站退出、撤回授权或账号停用时，由本站通知该地址",
    )
    level = forms.TypedChoiceField(label="最低实名等级", coerce=int, initial=1)
    api_scopes = forms.CharField(
        label="接口范围",
        max_length=400,
        required=False,
        help_text="系统之间调用时可申请的范围，空格分隔，如 relief.read",
    )

    def __init__(self, *args: Any, viewer: Actor, system: ClientSystem | None = None, **kw: Any):
        if system is not None:
            kw["initial"] = {
                "name": system.party.name,
                "department": str(system.department_id),
                "purpose": system.purpose,
                "kind": system.kind,
                "grants": system.grants,
                "redirect_uris": "\n".join(system.redirect_uris),
                "logout_uris": "\n".join(system.logout_uris),
                "backchannel_uri": system.backchannel_uri,
                "level": system.level,
                "api_scopes": " ".join(system.api_scopes),
                **{f"why_{s}": w for s, w in system.scopes.items()},
            }
        else:
            kw["initial"] = {
                "kind": "confidential",
                "grants": ["authorization_code", "refresh_token"],
            }
        super().__init__(*args, **kw)
        self.departments = {str(d.pk): d for d in queries.departments(viewer)}
        chosen = cast(forms.ChoiceField, self.fields["department"])
        chosen.choices = [("", "请选择"), *((k, d.name) for k, d in self.departments.items())]
        if system is not None:
            chosen.disabled = True
            self.fields["kind"].disabled = True
        levels = cast(forms.TypedChoiceField, self.fields["level"])
        levels.choices = [(0, "不要求实名（工作人员使用的系统）"), *_levels()]
        for name, scope in rules.SCOPES.items():
            if name != "openid":
                self.fields[f"why_{name}"] = forms.CharField(
                    label=f"为什么需要“{scope.title}”",
                    max_length=100,
                    required=False,
                    help_text=f"提供：{'、'.join(scope.claims.values())}。不需要就留空；居民会看到这里写的原因",
                )

    def design(self) -> actions.Design:
        """What the form says."""
        data = self.cleaned_data
        return actions.Design(
            name=data["name"],
            purpose=data["purpose"],
            kind=data["kind"],
            grants=tuple(data["grants"]),
            redirect_uris=data["redirect_uris"],
            logout_uris=data["logout_uris"],
            backchannel_uri=data["backchannel_uri"],
            scopes={n: data[f"why_{n}"] for n in rules.SCOPES if data.get(f"why_{n}", "").strip()},
            api_scopes=tuple(data["api_scopes"].split()),
            level=data["level"],
        )


def _levels() -> list[tuple[int, str]]:
    return [(n, t) for n, t in identity.LEVELS.items() if n > 0]


_FIELD_OF = {"地址": "redirect_uris", "接口范围": "api_scopes", "系统类型": "kind"}


def _blame(form: SystemForm, mistake: UserError) -> None:
    text = str(mistake)
    field = next((f for word, f in _FIELD_OF.items() if word in text), None)
    form.add_error(field, text)


@page(permission="login.manage")
def listing(request: HttpRequest) -> HttpResponseBase:
    """Every registered system."""
    table = Table(
        request,
        queries.systems(_actor(request)),
        columns=[
            Column(
                "party.name",
                "系统",
                primary=True,
                link=lambda r: reverse("login:system", args=[r.client_id]),
            ),
            Column("department.name", "部门", sort="department__name"),
            Column("client_id", "标识", kind="code"),
            Column(
                "level",
                "最低等级",
                cell=lambda r: identity.LEVELS[r.level] if r.level else "不要求",
            ),
            Column(
                "closed_at",
                "状态",
                kind="badge",
                cell=lambda r: "已停用" if r.closed_at else "使用中",
                tone=lambda r: "grey" if r.closed_at else "green",
            ),
            Column("made_at", "登记时间", kind="stamp", phone=False),
        ],
        filters=[Filter("q", "关键词", lookup="party__name__icontains|client_id__icontains")],
        caption="接入系统",
        empty=Empty(
            "还没有接入系统",
            "登记部门的系统后，居民和工作人员就能用城市账号登录它。",
            reverse("login:new"),
            "登记系统",
        ),
    )
    return table.respond(request, "login/systems.html")


@page(permission="login.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Register a system; its secret is shown on the answer and never again."""
    actor = _actor(request)
    form = SystemForm(request.POST or None, viewer=actor)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("login:systems")
        try:
            made, secret = actions.register_system(
                department=form.departments[form.cleaned_data["department"]],
                design=form.design(),
                by=actor,
            )
        except UserError as mistake:
            _blame(form, mistake)
        else:
            return _secret_page(request, made, secret)
    return render(request, "login/system_form.html", {"form": form})


def _secret_page(request: HttpRequest, system: ClientSystem, secret: str) -> HttpResponse:
    context = {"system": system, "secret": secret, "issuer": actions.issuer_of(request)}
    response = render(request, "login/secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


@page(permission="login.manage")
def detail(request: HttpRequest, client_id: str) -> HttpResponse:
    """One system: what is registered, its use, its secret's life."""
    actor = _actor(request)
    system = queries.system(actor, client_id)
    form = SystemForm(request.POST or None, viewer=actor, system=system)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_system(system=system, design=form.design(), by=actor)
        except UserError as mistake:
            _blame(form, mistake)
        else:
            messages.success(request, "已保存")
            return redirect("login:system", client_id)
    context = {
        "system": system,
        "form": form,
        "figures": queries.system_figures(actor, system),
        "issuer": actions.issuer_of(request),
        "history": queries.history(actor, system.ref),
    }
    return render(request, "login/system.html", context)


@page(permission="login.manage")
def change(request: HttpRequest, client_id: str, verb: str) -> HttpResponse:
    """Rotate the secret of a system, or close it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    actor = _actor(request)
    system = queries.system(actor, client_id)
    if verb == "rotate":
        if not once(request):
            return redirect("login:system", client_id)
        hours = request.POST.get("hours", "")
        if not (hours.isascii() and hours.isdecimal()):
            raise UserError("新旧密钥并用时间应为 0 至 168 小时")
        secret = actions.rotate_secret(system=system, by=actor, overlap_hours=int(hours[:4]))
        return _secret_page(request, system, secret)
    if verb == "close":
        actions.close_system(system=system, reason=request.POST.get("reason", ""), by=actor)
        messages.success(request, f"“{system}”已停用，人员已全部退出该系统")
        return redirect("login:systems")
    raise UserError("没有这项操作")


@page(permission="login.secure")
def keys(request: HttpRequest) -> HttpResponse:
    """The signing keys: which signs, which is announced, which is still known."""
    actor = _actor(request)
    if request.method == "POST":
        if not once(request):
            return redirect("login:keys")
        leaked = request.POST.get("do") == "leaked"
        actions.rotate_key(by=actor, reason="密钥泄露" if leaked else "手工更换", at_once=leaked)
        messages.success(
            request, "已启用新密钥，旧密钥立即作废" if leaked else "新密钥已公布，24 小时后开始签名"
        )
        return redirect("login:keys")
    context = {
        "rows": queries.signing_keys(actor),
        "now_signs": queries.signing_key(),
        "life": rules.KEY_LIFE.days,
    }
    return render(request, "login/keys.html", context)
