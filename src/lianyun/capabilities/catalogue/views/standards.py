"""Standards views: data elements and code lists with their dated versions."""

from __future__ import annotations

import datetime as dt

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.kernel.element import TYPES
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import queries

MASKS = {
    "none": "不脱敏",
    "citizen_number": "留首三末四",
    "name": "只留姓氏",
    "phone": "留首三末四",
    "address": "留前六字",
    "account": "只留末四位",
    "all": "全部遮盖",
}
CHECKS = {
    "citizen_number": "公民身份号码校验",
    "credit_code": "信用代码校验",
    "region": "区划代码校验",
}


@page(permission="catalogue.read")
def elements(request: ActorRequest) -> HttpResponse:
    """The city's data elements."""
    table = Table(
        request,
        queries.elements(request.actor),
        columns=[
            Column(
                "title",
                "中文名称",
                primary=True,
                sort="title",
                link=lambda e: reverse("catalogue:element", args=[e.code]),
                sub=lambda e: e.definition,
            ),
            Column("code", "字段名称", kind="code", sort="code"),
            Column("identifier", "标识符", kind="code", sort="identifier", phone=False),
            Column("type", "类型", cell=lambda e: TYPES.get(e.type, e.type)),
            Column("format", "表示格式", kind="code"),
            Column("domain", "值域", kind="code", phone=False),
            Column(
                "personal",
                "个人信息",
                kind="badge",
                cell=lambda e: "敏感个人信息" if e.sensitive else "个人信息" if e.personal else "",
                tone=lambda e: "red" if e.sensitive else "amber",
            ),
            Column("used", "引用目录", kind="number", sort="used"),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                lookup="title__icontains|code__icontains|identifier__icontains|definition__icontains",
                placeholder="名称、字段名、标识符、定义",
            ),
            Filter("type", "数据类型", "select", choices=list(TYPES.items()), lookup="type"),
            Filter(
                "personal",
                "个人信息",
                "select",
                choices=[("True", "个人信息"), ("False", "非个人信息")],
                lookup="personal",
            ),
        ],
        caption="数据元",
        export_name="数据元",
        order="identifier",
        empty=Empty("还没有数据元", "数据元由标准包声明，安装后自动出现。", icon="tag"),
    )
    return table.respond(request, "catalogue/elements.html")


@page(permission="catalogue.read")
def element(request: ActorRequest, code: str) -> HttpResponse:
    """One data element, its checks, and the resources that use it."""
    told = queries.element(request.actor, code)
    e = told["element"]
    told.update(
        type_title=TYPES.get(e.type, e.type),
        mask_title=MASKS.get(e.mask, e.mask),
        check_title=CHECKS.get(e.check_kind, ""),
    )
    return render(request, "catalogue/element.html", told)


@page(permission="catalogue.read")
def codelists(request: ActorRequest) -> HttpResponse:
    """All code lists."""
    text = request.GET.get("q", "").strip()
    context = {"lists": queries.code_lists(request.actor, text), "q": text}
    return render(request, "catalogue/codelists.html", context)


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UserError(f"“{text}”不是日期，请写成 2026-01-31") from error


@page(permission="catalogue.read")
def codelist(request: ActorRequest, name: str) -> HttpResponse:
    """One code list as it stood on a day, and what changed since another."""
    page_text = request.GET.get("page", "1")
    told = queries.code_list(
        request.actor,
        name,
        day=_day(request.GET.get("day", "")),
        since=_day(request.GET.get("since", "")),
        text=request.GET.get("q", "").strip(),
        page=int(page_text) if page_text.isdigit() and len(page_text) < 7 else 1,
    )
    told["q"] = request.GET.get("q", "")
    return render(request, "catalogue/codelist.html", told)
