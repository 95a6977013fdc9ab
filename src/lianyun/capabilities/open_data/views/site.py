"""The site: pages for everybody: front page, search, a dataset, forms, what others made."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.maps import counties
from lianyun.ui.pages import public, refusal
from lianyun.ui.visitor import address_of

from .. import actions, rules
from ..queries import site
from ..rules import standards
from .visitor import base_of


def _page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return int(text) if text.isdecimal() and len(text) < 7 else 1


def _found(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What a view does not find is a 404 page that says why; its own refusals it tells itself."""

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except UserError as error:
            return refusal(request, 404, str(error))

    return call


@public
def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return render(request, "open_data/home.html", {"home": site.home(ANONYMOUS)})


@public
def datasets(request: HttpRequest) -> HttpResponse:
    """All opened datasets, searched and narrowed."""

    def get(name: str, default: str = "") -> str:
        return request.GET.get(name, default).replace("\x00", "")

    choice = site.Choice(
        get("q").strip()[:100],
        get("department")[:60],
        get("theme")[:40],
        get("kind")[:20],
        get("sort", "new"),
        _page_number(request),
    )
    found = site.search(ANONYMOUS, choice)
    return render(
        request,
        "open_data/datasets.html",
        {
            "found": found,
            "choice": choice,
            "sorts": list(site.SORTS.items()),
            "promises": site.promises(ANONYMOUS, found.rows),
        },
    )


def data_block(told: Any) -> SafeString:
    """JSON for a script element that is data, not a script: nothing in it can end the element."""
    text = json.dumps(told, ensure_ascii=False)
    for sign, code in (("<", "\\u003C"), (">", "\\u003E"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return mark_safe(text)


@public
@_found
def dataset(request: HttpRequest, name: str) -> HttpResponse:
    """One dataset: what is in it, how it looks, how to get it, whether its promise is kept."""
    shown = site.shown(ANONYMOUS, name)
    base = base_of(request)
    entry = site.entry(ANONYMOUS, shown.opening, base)
    shapes, height = counties()
    return render(
        request,
        "open_data/dataset.html",
        {
            "shown": shown,
            "opening": shown.opening,
            "version": shown.version,
            "structured": data_block(standards.schema_org(entry)),
            "base": base,
            "first": shown.version.columns[0]["name"] if shown.version.columns else "",
            "files": [
                (standards.FORMAT_TITLES[k], size, digest, f"{name}.{k}")
                for k, size, digest in shown.files
            ],
            "shapes": shapes,
            "height": height,
            "stars": range(5, 0, -1),
            "correctable": site.correctable(ANONYMOUS, shown.opening),
        },
    )


@public
@require_POST
@_found
def rate(request: HttpRequest, name: str) -> HttpResponse:
    """A visitor's stars."""
    found = site.opening(ANONYMOUS, name)
    text = request.POST.get("stars", "")
    try:
        actions.rate(
            opening=found,
            stars=int(text) if text.isdecimal() and len(text) == 1 else 0,
            address=address_of(request),
            by=request.actor,  # type: ignore[attr-defined]
        )
        messages.success(request, "感谢您的评分")
    except UserError as error:
        messages.error(request, str(error))
    return redirect("open_data:dataset", name)


# ---- what the public sends in --------------------------------------------------------------


class RequestForm(Styled):
    """Data that somebody misses."""

    title = forms.CharField(label="需要什么数据", max_length=100)
    told = forms.CharField(
        label="用途和具体要求",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="例如范围、字段、更新频率；请不要写入个人信息",
    )
    department = forms.ChoiceField(label="可能掌握数据的部门", required=False)
    who = forms.CharField(label="单位或称呼", max_length=100, required=False)
    contact = forms.CharField(
        label="联系方式",
        max_length=100,
        required=False,
        help_text="只供答复的工作人员查看，不公开；不填也可以凭查询码查看答复",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(p.pk), p.name) for p in site.departments(ANONYMOUS)]
        self.fields["department"].choices = [("", "不清楚"), *choices]  # type: ignore[attr-defined]


class ApplicationForm(Styled):
    """Something made with the data."""

    title = forms.CharField(label="成果名称", max_length=100)
    url = forms.URLField(label="网址", max_length=300, assume_scheme="https")
    told = forms.CharField(
        label="简介", max_length=1000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="做了什么、怎样使用数据",
    )  # fmt: skip
    who = forms.CharField(label="作者（单位或个人）", max_length=100)
    contact = forms.CharField(
        label="联系方式", max_length=100, help_text="只供审核人员查看，不公开"
    )


class AccessForm(Styled):
    """A use of conditional data."""

    title = forms.CharField(label="用途", max_length=100)
    told = forms.CharField(
        label="使用方案", max_length=2000, widget=forms.Textarea(attrs={"rows": 4}),
        help_text="使用范围、期限和安全措施",
    )  # fmt: skip
    who = forms.CharField(label="单位（个人）名称", max_length=100)
    contact = forms.CharField(label="联系人和联系方式", max_length=100)
    key = forms.CharField(
        label="接口密钥", max_length=100, help_text="获准后凭这个密钥下载和调用；还没有的请先申领"
    )


def _send(
    request: HttpRequest,
    form: Styled,
    kind: str,
    heading: str,
    lede: str,
    opening: Any = None,
) -> HttpResponse:
    """A form of the public: shown, checked, sent; the answer is the page of its code."""
    if request.method == "POST" and form.is_valid():
        data = dict(form.cleaned_data)
        chosen = data.pop("department", "")
        if not once(request):
            return redirect("open_data:requests")
        try:
            voice = actions.speak(
                kind=kind,
                opening=opening,
                department=next(
                    (p for p in site.departments(ANONYMOUS) if str(p.pk) == chosen), None
                ),
                address=address_of(request),
                by=request.actor,  # type: ignore[attr-defined]
                **data,
            )
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "已收到，请记下查询码")
            return redirect("open_data:voice", voice.code)
    return render(
        request,
        "open_data/send.html",
        {"form": form, "heading": heading, "lede": lede, "opening": opening},
        status=400 if form.errors else 200,
    )


@public
def ask_for(request: HttpRequest) -> HttpResponse:
    """Ask for data that is not open yet."""
    return _send(
        request,
        RequestForm(request.POST or None),
        rules.REQUEST,
        "提出开放需求",
        "没有找到需要的数据？告诉我们，由相应部门在 10 个工作日内答复。",
    )


@public
@_found
def submit(request: HttpRequest) -> HttpResponse:
    """Hand in something made with the data."""
    name = request.GET.get("dataset", "")
    opening = site.opening(ANONYMOUS, name) if name else None
    return _send(
        request,
        ApplicationForm(request.POST or None),
        rules.APPLICATION,
        "提交利用成果",
        "用开放数据做出的应用、图表、研究或报道，经审核后在本站展示。",
        opening,
    )


@public
@_found
def apply(request: HttpRequest, name: str) -> HttpResponse:
    """Ask to use conditional data."""
    opening = site.opening(ANONYMOUS, name)
    return _send(
        request,
        AccessForm(request.POST or None),
        rules.ACCESS,
        "申请使用有条件开放数据",
        f"“{opening.title}”由{opening.provider.name}在 10 个工作日内答复。",
        opening,
    )


@public
@_found
def correct(request: HttpRequest, name: str) -> HttpResponse:
    """Say that a published value is wrong."""
    opening = site.opening(ANONYMOUS, name)
    keys = site.correctable(ANONYMOUS, opening)
    if not keys:
        return _send(
            request,
            RequestForm(request.POST or None, initial={"title": f"{opening.title}有误"}),
            rules.CORRECTION,
            "数据纠错",
            "该数据集经过匿名化，不能逐行指认。请说明哪里看起来不对，由提供部门核实并答复。",
            opening,
        )
    columns = opening.current.columns if opening.current else []
    titles = {c["name"]: c["title"] for c in columns}
    fields: dict[str, forms.Field] = {
        f"key_{k}": forms.CharField(label=titles[k], max_length=200) for k in keys
    }
    fields["item"] = forms.ChoiceField(
        label="有误的数据项", choices=[("", "请选择"), *titles.items()]
    )
    fields["told"] = forms.CharField(
        label="哪里有误、依据是什么", max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )
    form = type("CorrectionForm", (Styled,), fields)(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        if not once(request):
            return redirect("open_data:dataset", name)
        try:
            case = actions.correct(
                opening=opening,
                key={k: data[f"key_{k}"] for k in keys},
                item=data["item"],
                told=data["told"],
                address=address_of(request),
                by=request.actor,  # type: ignore[attr-defined]
            )
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request,
                f"已转{opening.provider.short or opening.provider.name}核实，校核编号 {case.code}，10 个工作日内办结",
            )
            return redirect("open_data:dataset", name)
    return render(
        request,
        "open_data/send.html",
        {
            "form": form,
            "heading": "数据纠错",
            "lede": "填写这一行的标识和有误的数据项，由提供部门在 10 个工作日内核实；更正后重新发布。",
            "opening": opening,
        },
        status=400 if form.errors else 200,
    )


@public
@_found
def voice(request: HttpRequest, code: str) -> HttpResponse:
    """What became of something sent in; who has its code may read it."""
    found = site.voice(ANONYMOUS, code)
    return render(request, "open_data/voice.html", {"voice": found})


@public
def requests(request: HttpRequest) -> HttpResponse:
    """Requests of the public with their answers, and the way to look up one's own."""
    code = request.GET.get("code", "").strip().upper()[:20]
    problem = ""
    if code:
        try:
            return redirect("open_data:voice", site.voice(ANONYMOUS, code).code)
        except UserError as error:
            problem = str(error)
    return render(
        request,
        "open_data/requests.html",
        {"rows": site.answered(ANONYMOUS)[:50], "problem": problem, "code": code},
    )


@public
def applications(request: HttpRequest) -> HttpResponse:
    """What people made with the data."""
    return render(
        request, "open_data/applications.html", {"rows": site.applications(ANONYMOUS)[:60]}
    )


class KeyForm(Styled):
    """A key for the interface."""

    title = forms.CharField(
        label="用途", max_length=100, help_text="一句话说明，例如“公交到站小程序”"
    )


@public
def keys(request: HttpRequest) -> HttpResponse:
    """Ask for a key; it is shown once."""
    form = KeyForm(request.POST or None)
    given = ""
    if request.method == "POST" and form.is_valid():
        try:
            given = actions.give_key(
                title=form.cleaned_data["title"],
                address=address_of(request),
                by=request.actor,  # type: ignore[attr-defined]
            )
        except UserError as error:
            form.add_error(None, str(error))
    response = render(
        request,
        "open_data/keys.html",
        {"form": form, "given": given, "rates": site.settings()["rates"]},
        status=400 if form.errors else 200,
    )
    response["Cache-Control"] = "no-store"
    return response


@public
def developers(request: HttpRequest) -> HttpResponse:
    """How programmes use the site."""
    used = site.newest(ANONYMOUS, 1)
    example = used[0] if used else None
    return render(
        request,
        "open_data/developers.html",
        {
            "base": base_of(request),
            "rates": site.settings()["rates"],
            "limits": site.settings()["limits"],
            "example": example,
            "column": example.current.columns[0]["name"] if example and example.current else "",
        },
    )


@public
def guide(request: HttpRequest) -> HttpResponse:
    """Licences, how data are made anonymous, questions."""
    settings = site.settings()
    return render(
        request,
        "open_data/help.html",
        {
            "licences": settings["licences"],
            "k": sorted(settings["anonymity"]["k"].items()),
            "suppressed": settings["anonymity"]["suppressed"],
        },
    )
