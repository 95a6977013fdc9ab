"""List views: the catalogue with its facets, the export, the overview with charts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from lianyun.ui import charts
from lianyun.ui.pages import ActorRequest, page

from .. import api, queries

KEYS = ("q", "department", "category", "share", "opened", "cycle", "level", "state")
SORTS = (("", "相关度 / 代码"), ("changed", "最近变更"), ("title", "名称"), ("items", "信息项数"))
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def filters_of(request: ActorRequest) -> queries.Filters:
    """The filters in an address."""
    return queries.Filters(**{k: request.GET.get(k, "").strip() for k in KEYS})


def _address(request: ActorRequest, **changes: Any) -> str:
    params = {k: v for k, v in request.GET.items() if k in (*KEYS, "sort") and v}
    params.update(changes)
    kept = {k: v for k, v in params.items() if v not in ("", None)}
    return f"{request.path}?{urlencode(kept)}" if kept else request.path


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 7 else 1


@page(permission="catalogue.read")
def listing(request: ActorRequest) -> HttpResponse:
    """The catalogue: search, facets whose counts equal their lists, and a page of entries."""
    f = filters_of(request)
    sort = request.GET.get("sort", "")
    found = queries.search(request.actor, f, sort=sort, page=_number(request.GET.get("page", "1")))
    groups: list[dict[str, Any]] = [
        {
            "facet": facet,
            "choices": [
                {"choice": c, "url": _address(request, **{facet.key: "" if c.chosen else c.value})}
                for c in facet.choices
            ],
            "clear": _address(request, **{facet.key: ""}) if facet.chosen else "",
        }
        for facet in queries.facets(request.actor, f, loose=found.loose)
    ]
    context = {
        "found": found,
        "matched": queries.matched_items(request.actor, found.rows, f.q),
        "groups": groups,
        "chosen": [
            (g["facet"].title, g["facet"].chosen.label, g["clear"]) for g in groups if g["clear"]
        ],
        "filters": f,
        "sort": sort,
        "sorts": [(key, title, _address(request, sort=key)) for key, title in SORTS],
        "pages": _pages(request, found),
        "kept": {k: v for k, v in f.active.items() if k != "q"},
        "query": urlencode(f.active),
        "may_edit": request.actor.may("catalogue.edit"),
        "clear_url": reverse("catalogue:list"),
    }
    return render(request, "catalogue/list.html", context)


def _pages(request: ActorRequest, found: queries.Page) -> list[dict[str, Any]]:
    wanted = {1, 2, found.pages - 1, found.pages, found.page - 1, found.page, found.page + 1}
    out: list[dict[str, Any]] = []
    before = 0
    for number in sorted(wanted & set(range(1, found.pages + 1))):
        if number - before > 1:
            out.append({"gap": True})
        url = _address(request, page=number)
        out.append({"number": number, "url": url, "current": number == found.page})
        before = number
    return out


@page(permission="catalogue.read")
def export(request: ActorRequest) -> HttpResponse:
    """The filtered catalogue as Excel or YAML, in the shape that an import reads."""
    form = "yaml" if request.GET.get("format") == "yaml" else "xlsx"
    body = api.export_catalogue(viewer=request.actor, filters=filters_of(request), form=form)
    kind = XLSX if form == "xlsx" else "application/yaml; charset=utf-8"
    answer = HttpResponse(body, content_type=kind)
    name = f"catalogue-{timezone.localdate():%Y%m%d}.{form}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@page(permission="catalogue.read")
def overview(request: ActorRequest) -> HttpResponse:
    """The departments' catalogue in figures and charts, each leading to its list."""
    told = queries.overview(request.actor)
    base = reverse("catalogue:list")

    def lead(key: str, values: list[Any]) -> list[str]:
        return [f"{base}?{urlencode({key: v})}" for v in values]

    top = told["table"][:15]
    context = {
        "told": told,
        "share": charts.one(
            "donut",
            "按共享类型",
            [(title, n) for title, n, _ in told["share"]],
            "个",
            links=lead("share", [k for _, _, k in told["share"]]),
        ),
        "classes": charts.one(
            "bars",
            "按分类",
            [(name, n) for _, name, n in told["classes"][:12]],
            "个",
            links=lead("category", [c for c, _, _ in told["classes"][:12]]),
        ),
        "departments": charts.Chart(
            "stack",
            "按部门和共享类型",
            [row["owner__short"] for row in top],
            [
                charts.Series("无条件共享", [row["free"] for row in top]),
                charts.Series("有条件共享", [row["conditional"] for row in top]),
                charts.Series("不予共享", [row["refused"] for row in top]),
            ],
            "个",
            links=lead("department", [row["owner__slug"] for row in top]),
            first_column="部门",
        ),
        "cycles": charts.one(
            "bar",
            "按更新周期",
            told["cycle"],
            "个",
            links=lead("cycle", [c for c, _ in told["cycle"]]),
        ),
    }
    return render(request, "catalogue/overview.html", context)
