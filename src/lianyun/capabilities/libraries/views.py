"""Views: libraries, the table 一数一源, one record, and contradictions to send back."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page

from . import actions, queries


@page(permission="libraries.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All libraries."""
    return render(request, "libraries/list.html", {"shelves": queries.shelves(request.actor)})


@page(permission="libraries.read")
def home(request: ActorRequest, name: str) -> HttpResponse:
    """One library: counts, the table of sources, buildings, and the way to a record."""
    viewer = request.actor
    shelf = queries.shelf(viewer, name)
    if shelf is None:
        raise Http404
    lines = queries.source_lines(viewer, name)
    total = shelf.last.entities if shelf.last else 0
    figure = (
        charts.one(
            "bars",
            "各数据项完整率",
            [(ln.field.title, round(100 * ln.filled / total, 1)) for ln in lines],
            "%",
        )
        if total
        else None
    )
    return render(
        request,
        "libraries/home.html",
        {
            "shelf": shelf,
            "lines": lines,
            "total": total,
            "mergings": queries.mergings(viewer, name),
            "figure": figure,
            "form": LookUpForm() if viewer.may("libraries.look_up") else None,
            "may_reveal": viewer.may("libraries.reveal"),
            "may_run": viewer.may("libraries.run"),
        },
    )


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


@never_cache
@sensitive_post_parameters("key")
@page(permission="libraries.look_up")
def record(request: ActorRequest, name: str) -> HttpResponse:
    """One golden record, masked; sent by POST so that no number stands in an address."""
    viewer = request.actor
    shelf = queries.shelf(viewer, name)
    if shelf is None:
        raise Http404
    form = LookUpForm(request.POST or None)
    context = {"shelf": shelf, "form": form, "may_reveal": viewer.may("libraries.reveal")}
    if request.method == "POST" and form.is_valid():
        reveal = request.POST.get("reveal") == "1"
        key = form.cleaned_data["key"]
        try:
            values = actions.look_up(
                name=name, key=key, purpose=form.cleaned_data["purpose"], by=viewer, reveal=reveal
            )
        except UserError as wrong:
            form.add_error("key", str(wrong))
        else:
            context |= {
                "values": values,
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
