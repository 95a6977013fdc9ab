"""Views: libraries, the table 一数一源, one record, and contradictions to send back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.lake import places
from lianyun.ui import charts, maps
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page

from . import actions, queries, rules


@page(permission="libraries.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All libraries: the six base ones, then those of themes."""
    found = queries.shelves(request.actor)
    return render(
        request,
        "libraries/list.html",
        {
            "groups": [
                ("基础库", [s for s in found if s.rule.base]),
                ("主题库", [s for s in found if not s.rule.base]),
            ],
            "built": sum(s.last is not None for s in found),
            "shelves": found,
            "entities": sum(s.last.entities for s in found if s.last),
            "datasets": len({d for s in found for d in s.rule.datasets}),
            "providers": len({p for s in found for p in s.providers}),
        },
    )


@page(permission="libraries.read")
def home(request: ActorRequest, name: str) -> HttpResponse:
    """One library: counts, the table of sources, buildings, and the way to a record.

    Everything was counted when the library was built: the page does not ask the lake.
    """
    viewer = request.actor
    shelf = queries.shelf(viewer, name)
    if shelf is None:
        raise Http404
    one, lines = shelf.rule, queries.source_lines(viewer, name)
    total = shelf.last.entities if shelf.last else 0
    extra = shelf.counts.get("extra") or {}
    figure = (
        charts.one(
            "bars",
            "各数据项有值的比例",
            [(ln.field.title, round(100 * ln.filled / total, 1)) for ln in lines],
            "%",
        )
        if total
        else None
    )
    growth = queries.growth(viewer, name)
    kinds = list((extra.get("kinds") or {}).items())[:20]
    may_look = viewer.may("libraries.look_up") and (one.form == "golden" or one.holder)
    known = queries.titles(viewer)
    return render(
        request,
        "libraries/home.html",
        {
            "shelf": shelf,
            "form_title": rules.FORMS[one.form],
            "lines": lines,
            "total": total,
            "extra": extra,
            "mergings": queries.mergings(viewer, name),
            "figure": figure,
            "growth": charts.one("line", "记录数", growth, one.unit) if len(growth) > 1 else None,
            "kinds": charts.one("bars", "按类别", kinds, one.unit) if kinds else None,
            "map": maps.Choropleth("各区县记录数", extra["regions"], one.unit)
            if extra.get("regions")
            else None,
            "systems": [
                (known.get(d, (d, ""))[0], *_system(told))
                for d, told in (extra.get("systems") or {}).items()
            ],
            "freshness": [
                (known.get(d, (d, "")), day)
                for d, day in sorted(
                    (shelf.counts.get("freshness") or {}).items(), key=lambda e: e[1], reverse=True
                )
            ],
            "series": _figures(queries.series(shelf)),
            "form": LookUpForm(label="持有人号码" if one.holder else "号码") if may_look else None,
            "may_reveal": viewer.may("libraries.reveal"),
            "may_run": viewer.may("libraries.run"),
        },
    )


def _system(told: dict[str, Any]) -> tuple[str, str, str, bool, int]:
    """A dataset's coordinate system as declared, as its points look, as used; whether they clash."""
    declared = places.NAMES.get(told["declared"], "未声明")
    likely = places.NAMES.get(told["likely"], "不能判定")
    used = places.NAMES.get(told["used"], told["used"])
    clash = bool(told["declared"] and told["likely"] and told["declared"] != told["likely"])
    return declared, likely, used, clash, told["points"]


def _figures(found: list[queries.Series]) -> list[tuple[queries.Series, charts.Chart, str, str]]:
    """Each city-wide series with its line, its newest period and value."""
    out = []
    for one in found:
        chart = charts.one("line", one.title, one.points[-24:], one.unit)
        period, value = one.points[-1]
        out.append((one, chart, period, f"{value:,.2f}".rstrip("0").rstrip(".")))
    return out


@page(permission="libraries.run")
@require_POST
def build(request: ActorRequest, name: str) -> HttpResponse:
    """Ask for a building."""
    if queries.shelf(request.actor, name) is None:
        raise Http404
    queued = actions.queue_build(name=name, by=request.actor)
    messages.success(
        request, "已开始建库，完成后自动更新本页数据" if queued else "建库已在排队，无需重复提交"
    )
    return redirect("libraries:home", name)


class LookUpForm(Styled):
    """The number to look up, and why."""

    key = forms.CharField(
        label="号码", max_length=40, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    purpose = forms.CharField(
        label="用途", max_length=200, help_text="将记入调用记录，并向本人公开"
    )

    def __init__(self, *args: Any, label: str = "号码", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].label = label


@never_cache
@sensitive_post_parameters("key")
@page(permission="libraries.look_up")
def record(request: ActorRequest, name: str) -> HttpResponse:
    """One golden record, masked; sent by POST so that no number stands in an address."""
    viewer = request.actor
    shelf = queries.shelf(viewer, name)
    if shelf is None:
        raise Http404
    one = shelf.rule
    if one.form != "golden" and not one.holder:
        raise Http404
    form = LookUpForm(request.POST or None, label="持有人号码" if one.holder else "号码")
    context = {"shelf": shelf, "form": form, "may_reveal": viewer.may("libraries.reveal")}
    if request.method == "POST" and form.is_valid():
        reveal = request.POST.get("reveal") == "1"
        key = form.cleaned_data["key"]
        asked = {
            "name": name,
            "key": key,
            "purpose": form.cleaned_data["purpose"],
            "by": viewer,
            "reveal": reveal,
        }
        values, facts = None, []
        try:
            if one.form == "golden":
                values = actions.look_up(**asked)
            else:
                facts = actions.look_up_rows(**asked)
        except UserError as wrong:
            form.add_error("key", str(wrong))
        else:
            context |= {
                "values": values,
                "facts": facts,
                "asked": True,
                "reveal": reveal,
                "shown_key": queries.shown_key(viewer, name, key.strip().upper(), reveal=reveal),
            }
    return render(request, "libraries/record.html", context)


@page(permission="libraries.read")
def conflicts(request: ActorRequest, name: str) -> HttpResponse:
    """Contradictions between departments, and sending them back."""
    viewer = request.actor
    shelf = queries.shelf(viewer, name)
    if shelf is None:
        raise Http404
    source = request.POST if request.method == "POST" else request.GET
    dataset = source.get("dataset", "")
    dataset = dataset if dataset in shelf.rule.datasets else ""
    if request.method == "POST":
        if once(request):
            made = actions.send_back(
                name=name, tokens=request.POST.getlist("pick"), dataset=dataset, by=viewer
            )
            messages.success(request, f"已退回，生成或并入 {len(made)} 件校核工单")
        return redirect(f"{reverse('libraries:conflicts', args=[name])}?dataset={dataset}")
    asked = request.GET.get("page", "1")
    number = int(asked) if asked.isdecimal() and 0 < len(asked) < 6 else 1
    rows, more = queries.quarrels(viewer, name, dataset=dataset, page=max(number, 1))
    known = queries.titles(viewer)
    return render(
        request,
        "libraries/conflicts.html",
        {
            "shelf": shelf,
            "rows": rows,
            "more": more,
            "number": number,
            "dataset": dataset,
            "datasets": [(d, known.get(d, (d, ""))[0]) for d in shelf.rule.datasets],
            "may_resolve": viewer.may("libraries.resolve"),
        },
    )
