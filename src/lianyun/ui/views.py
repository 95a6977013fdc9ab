"""Views: display choices, the quick search's way to the catalogue, and the page of all components."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from lianyun.kernel.element import ElementSpec

from . import charts, maps
from .context import DISPLAY_COOKIE, address, display_choices
from .forms import element_form
from .pages import page, public, safe_next, signed_in
from .tables import Column, Empty, Filter, Table

YEAR = 365 * 24 * 3600


@public
def display(request: HttpRequest) -> HttpResponse:
    """Turn a display choice (`elder`, `contrast`) on or off and go back; kept in a cookie."""
    chosen = set(display_choices(request))
    wanted = request.GET.get("set", "")
    if wanted in ("elder", "contrast"):
        chosen ^= {wanted}
    answer = HttpResponseRedirect(safe_next(request, "/"))
    answer.set_cookie(DISPLAY_COOKIE, ".".join(sorted(chosen)), max_age=YEAR, samesite="Lax")
    return answer


@signed_in
def find(request: HttpRequest) -> HttpResponse:
    """Send the quick search to the catalogue's own list, else to the portal's search."""
    target = address("catalogue:list") or address("portal:search", "/")
    return HttpResponseRedirect(f"{target}?{urlencode({'q': request.GET.get('q', '')})}")


@page(permission="dashboard.read")
def style(request: HttpRequest) -> HttpResponseBase:
    """Every component once, on invented examples: the living style guide."""
    today = timezone.localdate()
    now = timezone.now()
    rows = [
        SimpleNamespace(
            pk=i,
            code=f"301001/{i:06d}",
            title=f"示例目录 {i}",
            owner="示例部门",
            rows=12846 * i,
            state=("published", "draft", "publishing", "withdrawn")[i % 4],
            due=today + dt.timedelta(days=i * 3 - 9),
            at=now - dt.timedelta(hours=i * 7),
        )
        for i in range(1, 48)
    ]
    table = Table(
        request,
        rows,
        columns=[
            Column(
                "title", "名称", primary=True, link=lambda r: "#", sort=True, sub=lambda r: r.code
            ),
            Column("owner", "提供部门"),
            Column("rows", "行数", kind="number", sort=True),
            Column("state", "状态", kind="state"),
            Column("due", "时限", kind="lamp", sort=True),
            Column("at", "更新时间", kind="stamp", phone=False),
        ],
        filters=[
            Filter("q", "关键词", lookup="title", placeholder="名称"),
            Filter(
                "state",
                "状态",
                "select",
                choices=[("published", "已发布"), ("draft", "草稿")],
                lookup="state",
            ),
        ],
        page_size=8,
        caption="示例目录",
        export_name="示例目录",
        empty=Empty("还没有目录", "先导入目录模板。"),
    )
    specs: list[dict[str, Any]] = [
        {"name": "name", "title": "姓名", "format": "an..50", "required": True},
        {
            "name": "number",
            "title": "公民身份号码",
            "format": "an18",
            "check": "citizen_number",
            "required": True,
        },
        {"name": "born", "title": "出生日期", "type": "D", "format": "YYYYMMDD"},
        {"name": "sex", "title": "性别", "format": "n1", "domain": "sex"},
        {"name": "why", "title": "使用依据", "format": "an..500", "required": True},
    ]
    form_class = element_form(specs, choices=lambda name: [("1", "男性"), ("2", "女性")])
    filled = request.GET.get("errors") == "1"
    form = form_class({"name": "", "number": "320706199001010011"}) if filled else form_class()
    months = ["6月", "7月", "8月", "9月", "10月", "11月"]
    counties = [c.code for c in maps.counties()[0]]
    context = {
        "sample_form": form,
        "spec": ElementSpec("citizen_number", "公民身份号码", format="an18"),
        "bar": charts.one(
            "bar", "各部门目录数", [(f"部门{i}", 95 - i * 7) for i in range(1, 11)], "条"
        ),
        "bars": charts.one(
            "bars", "质量得分", [(f"部门{i}", 99 - i * 3) for i in range(1, 9)], "分"
        ),
        "area": charts.Chart(
            "area",
            "每月归集行数",
            months,
            [
                charts.Series("入库", [120, 180, 160, 240, 310, 380]),
                charts.Series("拒绝", [12, 9, 14, 6, 8, 5]),
            ],
            "万行",
        ),
        "donut": charts.one(
            "donut", "共享类型", [("无条件", 420), ("有条件", 560), ("不予", 91)], "条"
        ),
        "gauge": charts.one("gauge", "平均得分", [("数据质量", 96.4)], "分", target=90),
        "stack": charts.Chart(
            "stack",
            "每月办件",
            months,
            [
                charts.Series("按时", [30, 42, 38, 51, 60, 66]),
                charts.Series("逾期", [3, 2, 5, 1, 2, 0]),
            ],
            "件",
        ),
        "county": maps.Choropleth(
            "示例：区县数值", {c: (i + 1) * 130 for i, c in enumerate(counties)}, "条"
        ),
        "live": maps.Choropleth(
            "示例：可缩放地图", {c: (6 - i) * 210 for i, c in enumerate(counties)}, "件"
        ),
        "days": [today + dt.timedelta(days=d) for d in (12, 2, 0, -6)],
        "entries": [
            {
                "when": now,
                "what": "提供部门同意",
                "who": "示例人员",
                "more": "限 3 个数据项，每日 1000 次",
                "tone": "green",
            },
            {"when": now - dt.timedelta(days=1), "what": "部门负责人审批通过", "who": "示例人员"},
            {"when": now - dt.timedelta(days=2), "what": "提交申请", "who": "示例人员"},
        ],
        "pairs": [
            ("资源代码", "301001/000001"),
            ("提供方", "示例部门"),
            ("更新周期", "每日"),
            ("行数", 1284600),
            ("摘要", "本市户籍人口的基本登记信息。", "full"),
        ],
        "changes": [
            ("更新周期", "每月", "每日"),
            ("共享类型", "不予共享", "有条件共享"),
            ("数据项", "", "联系电话"),
        ],
        "path": [
            ("提出申请", "11-18"),
            ("本部门审批", "11-19"),
            ("提供方答复", "剩 3 天"),
            "授权",
            "交付",
        ],
        "tab_list": [
            ("全部", request.path, 47),
            ("待我办理", "?tab=mine", 3),
            ("已办结", "?tab=done", 44),
        ],
    }
    return table.respond(request, "ui/style.html", context)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The 404 page."""
    return render(request, "404.html", status=404)
