"""My data: on the portal a person sees the own rows, says what is wrong, and follows the outcome."""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.quality import api as quality
from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import queries

SEAT, USE, MINUTES = "own_data", "own-data", 20
OUTCOMES = {
    "corrected": ("已更正", "green"),
    "upheld": ("核实无误", "grey"),
    "": ("核实中", "blue"),
}


class NumberForm(Styled):
    """The own citizen number: compared with the account's, never kept in clear."""

    number = forms.CharField(
        label="公民身份号码",
        min_length=18,
        max_length=18,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "text"}),
        help_text="只用于核对本人身份，20 分钟后须重新填写",
    )


class WrongForm(Styled):
    """What is wrong with a value, what it should be, and what shows it."""

    expected = forms.CharField(label="正确的内容应为", max_length=500)
    told = forms.CharField(
        label="哪里有误", max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )
    evidence = forms.CharField(
        label="证据",
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="如：户口簿第几页、证书编号；需要提交原件时提供部门会与您联系",
    )


def _number(request: ActorRequest) -> str:
    """The number that was compared in this session not long ago, or nothing."""
    kept = request.session.get(SEAT)
    if not kept or time.time() - kept["at"] > MINUTES * 60:
        request.session.pop(SEAT, None)
        return ""
    return audit.decrypt(kept["number"], USE).decode()


def _reports(request: ActorRequest) -> list[dict[str, Any]]:
    out = []
    for report in quality.reports_of(request.actor):
        word, tone = OUTCOMES.get(report.case.outcome, (report.case.outcome, "grey"))
        item = report.case.items.order_by("-id").first()
        out.append(
            {
                "report": report,
                "word": word,
                "tone": tone,
                "due": item.due_on if item and not item.done_at else None,
                "note": item.note if item and item.done_at else "",
                "done": item.done_at if item else None,
            }
        )
    return out


@never_cache
@signed_in
def own(request: ActorRequest) -> HttpResponse:
    """Which datasets hold the viewer's own rows, and what the viewer reported."""
    viewer = request.actor
    unknown = viewer.party is None or not viewer.party.data.get("citizen_hash")
    form = NumberForm(request.POST or None)
    if request.method == "POST" and not unknown and form.is_valid():
        number = form.cleaned_data["number"].strip().upper()
        if queries.is_own(viewer, number):
            request.session[SEAT] = {
                "number": audit.encrypt(number.encode(), USE),
                "at": time.time(),
            }
            return redirect("sharing:own")
        form.add_error("number", "与本账号实名关联的号码不符")
    number = "" if unknown else _number(request)
    return render(
        request,
        "sharing/own.html",
        {
            "unknown": unknown,
            "form": form,
            "known": bool(number),
            "found": queries.own_counts(viewer, number) if number else [],
            "reports": _reports(request),
        },
    )


@never_cache
@signed_in
def rows(request: ActorRequest) -> HttpResponse:
    """The viewer's own rows of one dataset."""
    number = _number(request)
    if not number:
        return redirect("sharing:own")
    resource = queries.own_dataset(request.actor, request.GET.get("dataset", ""))
    if resource is None:
        raise Http404
    found = queries.own_rows(request.actor, resource, number)
    audit.record_reading(
        by=request.actor,
        resource=resource.name,
        people=[number],
        purpose="本人查阅",
        rows=len(found),
    )
    return render(request, "sharing/own_rows.html", {"resource": resource, "rows": found})


@never_cache
@signed_in
def report(request: ActorRequest) -> HttpResponse:
    """Say what is wrong with one value of an own row."""
    number = _number(request)
    if not number:
        return redirect("sharing:own")
    get = request.GET.get
    resource = queries.own_dataset(request.actor, get("dataset", ""))
    place = get("row", "")
    if resource is None or not place.isdecimal() or len(place) > 4:
        raise Http404
    found = queries.own_rows(request.actor, resource, number)
    if int(place) >= len(found):
        raise Http404
    row = found[int(place)]
    cell = next((c for c in row.cells if c[0] == get("item", "")), None)
    if cell is None:
        raise Http404
    form = WrongForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("sharing:own")
        try:
            made = quality.report_own_error(
                dataset=resource.name,
                citizen_number=number,
                key=row.key,
                item=cell[0],
                by=request.actor,
                **form.cleaned_data,
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(
                request, f"已受理，编号 {made.code}，提供部门将在 10 个工作日内核实并反馈"
            )
            return redirect("sharing:own")
    return render(
        request, "sharing/own_report.html", {"form": form, "resource": resource, "cell": cell}
    )
