"""Public: rounds, plan with points table and schools, published lists, lots to recompute, objections."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, public, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions
from ..queries import rounds
from ..rules import calendar


def found(request: ActorRequest, code: str) -> Any:
    """A round that the visitor may know; 404 for others."""
    row = rounds.find(request.actor, code)
    if row is None:
        raise Http404("no such round")
    return row


def days_of(row: Any) -> list[tuple[str, Any]]:
    """A round's calendar as (title, moment)."""
    moments = row.moments
    return [(d.title, moments[d.key]) for d in calendar.DAYS if d.key in moments]


@public
def rounds_page(request: ActorRequest) -> HttpResponse:
    """All rounds with how far each is."""
    rows = rounds.rounds(request.actor)
    steps = rounds.phases(request.actor, rows)
    told = [
        {"round": r, "phase": calendar.PHASES[steps[r.pk]], "days": days_of(r)[:2]} for r in rows
    ]
    return render(request, "enrolment/rounds.html", {"rows": told})


@public
def plan(request: ActorRequest, code: str) -> HttpResponse:
    """One round: calendar, points table with its sources, schools and catchments, what may be done now."""
    row = found(request, code)
    step = rounds.phase(request.actor, row)
    return render(
        request,
        "enrolment/plan.html",
        {
            "round": row,
            "scheme": rounds.scheme_of(row),
            "phase": calendar.PHASES[step],
            "step": step,
            "days": days_of(row),
            "lines": rounds.table_of(request.actor, row),
            "schools": rounds.schools(request.actor, row),
            "born": rounds.age_days(row),
            "changes": [
                e for e in rounds.happened(request.actor, row) if e.kind == "enrolment.rescheduled"
            ],
        },
    )


@public
def listed(request: ActorRequest, code: str) -> HttpResponse:
    """The published list by number with masked names: points, rank, school."""
    row = found(request, code)
    ranked = row.ranked_at is not None
    placed = rounds.newest(request.actor, row)
    shown = placed is not None and placed.published_at is not None
    columns = [
        Column("number", "公示编号", kind="code", primary=True),
        Column("name", "姓名"),
        Column("points", "积分", kind="number"),
    ]
    if ranked:
        columns.insert(0, Column("rank", "位次", kind="number", sort=True))
    if shown:
        columns.append(Column("school", "录取学校", cell=lambda r: r.school or "—"))
    table = Table(
        request,
        rounds.published(request.actor, row),
        columns=columns,
        filters=[
            Filter(
                "q", "编号", placeholder="公示编号",
                apply=lambda rows, v: [r for r in rows if v.strip().upper() in r.number],
            )
        ],
        caption=f"{row.title}公示名单",
        export_name=f"{row.code}公示名单",
        empty=Empty("还没有公示", "积分公示后，这里按编号列出，姓名隐去一部分。", icon="list"),
    )  # fmt: skip
    return table.respond(
        request,
        "enrolment/listed.html",
        {
            "round": row,
            "ranked": ranked,
            "may_object": rounds.phase(request.actor, row) == calendar.OBJECT,
        },
    )


@public
def lots(request: ActorRequest, code: str) -> HttpResponse:
    """How the lots were drawn, so that anybody can do it again."""
    row = found(request, code)
    told = {"round": row, "secret": rounds.secret_of(request.actor, row)}
    return render(request, "enrolment/lots.html", told)


class ObjectionForm(Styled):
    """Against which number, and why."""

    number = forms.CharField(label="公示编号", max_length=20)
    reason = forms.CharField(
        label="事实和线索",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="写明哪一项与事实不符、有什么线索；不要填写他人的身份号码",
    )


@signed_in
def object_to(request: ActorRequest, code: str) -> HttpResponse:
    """Object to a published number, by name."""
    row = found(request, code)
    form = ObjectionForm(request.POST or None, initial={"number": request.GET.get("number", "")})
    if request.method == "POST" and form.is_valid():
        try:
            if once(request):
                actions.object_to(row, by=request.actor, **form.cleaned_data)
            messages.success(request, "异议已受理，答复会发到您的消息中。")
            return redirect("enrolment:listed", code)
        except (UserError, Denied) as wrong:
            form.add_error(None, str(wrong))
    back = reverse("enrolment:listed", args=[code])
    return render(request, "enrolment/object.html", {"round": row, "form": form, "back": back})
