"""Needs and return flows: posting what the catalogue lacks, asking an upper level for one's own area."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Empty, Filter, Table

from .. import actions, queries, rules
from .matters import columns

_TEXT = forms.Textarea(attrs={"rows": 3, "maxlength": 1000})
CYCLES = ("实时", "每日", "每周", "每月", "每季度", "每年", "不定期")


def _items(text: str) -> tuple[str, ...]:
    for mark in "，、；;\n":
        text = text.replace(mark, ",")
    return tuple(dict.fromkeys(w.strip() for w in text.split(",") if w.strip()))


class NeedForm(Styled):
    """What is needed, for which duty; what resembles it in the catalogue shows while one types."""

    title = forms.CharField(label="需要的数据", max_length=200, help_text="如：婚姻登记信息")
    items = forms.CharField(
        label="数据项", max_length=4000, widget=_TEXT, help_text="用逗号或换行分隔"
    )
    duty = forms.CharField(label="用于的事项或业务", max_length=200)
    purpose = forms.CharField(label="用途", max_length=500)
    basis = forms.CharField(label="职责依据", max_length=1000, widget=_TEXT)
    cycle = forms.ChoiceField(
        label="希望的更新周期", choices=[("", "不限"), *((c, c) for c in CYCLES)], required=False
    )
    repeated = forms.CharField(
        label="目前如何取得",
        max_length=300,
        required=False,
        help_text="如目前由群众重复提交，请写明，便于免提交",
    )

    @property
    def need(self) -> rules.Need:
        """As the action takes it."""
        data = self.cleaned_data
        return rules.Need(**{**data, "items": _items(data["items"])})


class ReturnForm(Styled):
    """Which data of one's own area an upper department is asked to send back."""

    upper = forms.CharField(label="上级部门", max_length=200, help_text="如：省民政厅")
    title = forms.CharField(label="数据名称", max_length=200)
    items = forms.CharField(label="数据项", max_length=4000, widget=_TEXT)
    areas = forms.CharField(
        label="行政区划代码", max_length=500, help_text="只限本行政区域，如 320700；多个用逗号分隔"
    )
    basis = forms.CharField(label="履职依据", max_length=1000, widget=_TEXT)
    purpose = forms.CharField(label="用途", max_length=500)

    @property
    def wanted(self) -> rules.Returned:
        """As the action takes it."""
        data = self.cleaned_data
        split = {"items": _items(data["items"]), "areas": _items(data["areas"])}
        return rules.Returned(**{**data, **split})


def _list(request: ActorRequest, kind: str, title: str, empty: Empty, template: str) -> Any:
    table = Table(
        request,
        queries.matters(request.actor, (kind,)),
        columns=[c for c in columns() if c.name != "kind"],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains"),
            Filter(
                "state",
                "状态",
                "select",
                choices=[("open", "办理中"), ("closed", "已办结")],
                lookup="state",
            ),
        ],
        caption=title,
        export_name=title,
        empty=empty,
    )
    return table.respond(request, template)


@page(permission="sharing.read")
def needs(request: ActorRequest) -> HttpResponse:
    """Needs that are posted, and how far each has come."""
    empty = Empty("还没有数据需求", "目录中没有需要的数据时，可以提出需求。", icon="target")
    return _list(request, "need", "数据需求", empty, "sharing/needs.html")


@page(permission="sharing.read")
def returns(request: ActorRequest) -> HttpResponse:
    """Return flows that were asked for."""
    empty = Empty("还没有回流申请", "需要上级系统中本区域的数据时，可以申请回流。", icon="download")
    return _list(request, "return_flow", "数据回流", empty, "sharing/returns.html")


@page(permission="sharing.request")
def new_need(request: ActorRequest) -> HttpResponse:
    """Post a need."""
    form = NeedForm(request.POST or None, initial={"title": request.GET.get("q", "")[:200]})
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("sharing:needs")
        try:
            made = actions.post_need(need=form.need, by=request.actor)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, f"需求已提交，编号 {made.code}")
            return redirect("sharing:matter", made.code)
    similar = queries.similar(request.actor, str(form["title"].value() or ""))
    return render(request, "sharing/need_new.html", {"form": form, "similar": similar})


@page(permission="sharing.request")
def similar(request: ActorRequest) -> HttpResponse:
    """What the catalogue holds that resembles what is being typed."""
    text = f"{request.GET.get('title', '')} {request.GET.get('items', '')}"[:200]
    found = queries.similar(request.actor, text)
    return render(request, "sharing/_similar.html", {"similar": found, "typed": text.strip()})


@page(permission="sharing.request")
def new_return(request: ActorRequest) -> HttpResponse:
    """Ask for a return flow."""
    form = ReturnForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("sharing:returns")
        try:
            made = actions.request_return(wanted=form.wanted, by=request.actor)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, f"回流申请已提交，编号 {made.code}")
            return redirect("sharing:matter", made.code)
    return render(request, "sharing/return_new.html", {"form": form})


class ClaimForm(Styled):
    """What happened, why it is wrong, what is asked."""

    claim = forms.CharField(
        label="争议事实、理由和请求", max_length=2000, widget=forms.Textarea(attrs={"rows": 5})
    )


@page(permission="sharing.read")
def dispute(request: ActorRequest, kind: str, code: str) -> HttpResponse:
    """Raise a dispute about a request or a grant."""
    viewer = request.actor
    subject = queries.grant(viewer, code) if kind == "grant" else queries.request(viewer, code)
    if subject is None:
        raise UserError("没有这个申请或授权")
    form = ClaimForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("sharing:matters")
        try:
            made = actions.open_dispute(
                subject=subject, claim=form.cleaned_data["claim"], by=viewer
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "争议已提出，先由对方部门协商答复")
            return redirect("sharing:matter", made.code)
    return render(request, "sharing/dispute_new.html", {"form": form, "subject": subject})
