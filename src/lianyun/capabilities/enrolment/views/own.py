"""Own: a guardian enters a child, sees the points line by line, asks for reviews, wishes, confirms."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.kernel.access import Denied, UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions
from ..actions import registering
from ..queries import own as queries
from ..queries import rounds
from ..rules import calendar
from .public import days_of, found

STEPS = ("选孩子", "授权查询", "填写表单", "核对材料", "核对积分并提交")


def _own(request: ActorRequest, code: str) -> Any:
    """A registration of the visitor's; 404 for everybody else's, as if it were not there."""
    row = queries.one(request.actor, code)
    if row is None:
        raise Http404("no such registration")
    return row


@signed_in
def mine(request: ActorRequest) -> HttpResponse:
    """My children's registrations, and the rounds that are open."""
    rows = list(queries.mine(request.actor)[:20])
    open_rounds = list(rounds.rounds(request.actor))
    steps = rounds.phases(
        request.actor, list({r.round_id: r.round for r in rows}.values()) + open_rounds
    )
    return render(
        request,
        "enrolment/mine.html",
        {
            "rows": [
                {
                    "row": r,
                    "phase": calendar.PHASES[steps[r.round_id]],
                    "outcome": queries.outcome(request.actor, r),
                }
                for r in rows
            ],
            "rounds": [
                {"round": r, "phase": calendar.PHASES[steps[r.pk]], "days": days_of(r)[:2]}
                for r in open_rounds
                if steps[r.pk] == calendar.REGISTER
            ],
            "children": queries.children(request.actor),
        },
    )


@signed_in
def begin(request: ActorRequest, code: str) -> HttpResponse:
    """Choose the child: those that cannot enter say why."""
    row = found(request, code)
    rows = queries.entrants(request.actor, row)
    moments = row.moments
    closed = (
        calendar.registering(rounds.phase(request.actor, row), moments, rounds.now())
        if moments
        else ""
    )
    if request.method == "POST":
        chosen = next((c for c in rows if str(c.party.pk) == request.POST.get("child")), None)
        try:
            if chosen is None:
                raise UserError("请选择孩子")
            made = actions.begin(row, chosen.party, by=request.actor)
            return redirect("enrolment:go_on", made.code)
        except UserError as wrong:
            messages.error(request, str(wrong))
    return render(
        request,
        "enrolment/begin.html",
        {"round": row, "rows": rows, "closed": closed, "steps": STEPS, "days": days_of(row)[:2]},
    )


@signed_in
def go_on(request: ActorRequest, code: str) -> HttpResponse:
    """Where an unfinished registration stands: the hall's pages, then the check page."""
    row = _own(request, code)
    if row.filed_at is not None:
        return redirect("enrolment:own", code)
    application = queries.application_of(request.actor, row)
    if application is None:
        raise Http404("no application")
    if application.consented_at is None or not application.draft:
        return redirect("enrolment:consent", code)
    return redirect("hall:go_on", application.code)


@signed_in
def consent(request: ActorRequest, code: str) -> HttpResponse:
    """Which sources may be looked into, and what of them counts; each may be refused."""
    row = _own(request, code)
    application = queries.application_of(request.actor, row)
    if row.filed_at is not None or application is None:
        return redirect("enrolment:own", code)
    offered = hall.offered(application, request.actor)
    if request.method == "POST":
        chosen = request.POST.getlist("source")
        known = [o.key for o in offered]
        keys = known if request.POST.get("all") else [k for k in known if k in chosen]
        for words in actions.consent(row, keys=keys, by=request.actor):
            messages.warning(request, f"{words}：这一来源暂时不计分，可稍后再试。")
        return redirect("hall:go_on", application.code)
    counted: dict[str, list[str]] = {}
    for fact in rounds.scheme_of(row.round).facts.values():
        counted.setdefault(fact.consent, []).append(fact.title)
    return render(
        request,
        "enrolment/consent.html",
        {
            "row": row,
            "offered": [(o, counted.get(o.key, [])) for o in offered],
            "told": hall.terms()["consent"],
            "steps": STEPS,
        },
    )


@signed_in
def check(request: ActorRequest, code: str) -> HttpResponse:
    """The points as they would count, line by line, and the button that enters the child, once."""
    row = _own(request, code)
    if row.filed_at is not None:
        return redirect("enrolment:own", code)
    application = queries.application_of(request.actor, row)
    if application is None or not application.draft:
        return redirect("enrolment:go_on", code)
    draft = forms.draft_of(application.draft, request.actor)
    wrong = ""
    if forms.missing(draft, request.actor):
        return redirect("forms:begin", application.draft)
    if request.method == "POST":
        if not request.POST.get("true"):
            wrong = "请确认所填内容和材料真实"
        else:
            try:
                actions.file(row, by=request.actor)
                messages.success(request, "已提交登记。")
                return redirect("enrolment:own", code)
            except UserError as error:
                wrong = str(error)
    sheet = registering.look(row, by=request.actor)
    return render(
        request,
        "enrolment/check.html",
        {
            "row": row,
            "sheet": sheet,
            "lines": sheet.lines,
            "scheme": rounds.scheme_of(row.round),
            "materials": hall.materials(application, request.actor),
            "application": application,
            "statement": hall.terms()["statement"],
            "wrong": wrong,
            "steps": STEPS,
        },
    )


@signed_in
def own(request: ActorRequest, code: str) -> HttpResponse:
    """One registration: result and reason first, then points line by line, wishes, what happened."""
    row = _own(request, code)
    if row.filed_at is None:
        return redirect("enrolment:go_on", code)
    viewer, step = request.actor, rounds.phase(request.actor, row.round)
    asked = {a.line: a for a in queries.reviews(viewer, row)}
    end = calendar.until(step, row.round.turn, row.round.moments)
    on_time = end is None or rounds.now() < end
    return render(
        request,
        "enrolment/own.html",
        {
            "row": row,
            "scheme": rounds.scheme_of(row.round),
            "step": step,
            "phase": calendar.PHASES[step],
            "days": days_of(row.round),
            "end": end,
            "lines": [
                {"line": line, "asked": asked.get(line.id)} for line in queries.lines_of(viewer, row)
            ],
            "may_review": row.out_at is None
            and step in (calendar.REGISTER, calendar.CHECK, calendar.OBJECT),
            "may_choose": step == calendar.CHOOSE and on_time and row.school_id is None
            and row.out_at is None and row.rank is not None,
            "may_confirm": step == calendar.CONFIRM and on_time and row.school_id is not None
            and row.declined_at is None and row.out_at is None,
            "wishes": queries.wishes(viewer, row),
            "outcome": queries.outcome(viewer, row),
            "events": queries.happened(viewer, row),
        },
    )  # fmt: skip


@signed_in
def review(request: ActorRequest, code: str, line: str) -> HttpResponse:
    """Ask that a line be looked at again by the department that holds the data."""
    row, wrong = _own(request, code), ""
    told = next((x for x in queries.lines_of(request.actor, row) if x.id == line), None)
    if told is None:
        raise Http404("no such line")
    if request.method == "POST":
        try:
            if once(request):
                actions.ask_review(
                    row, line, reason=request.POST.get("reason", ""), by=request.actor
                )
            messages.success(request, "复核已送到掌握数据的部门，答复会显示在这里。")
            return redirect("enrolment:own", code)
        except UserError as error:
            wrong = str(error)
    return render(request, "enrolment/review.html", {"row": row, "line": told, "wrong": wrong})


@signed_in
def wishes(request: ActorRequest, code: str) -> HttpResponse:
    """Put schools in order."""
    row, wrong = _own(request, code), ""
    scheme = rounds.scheme_of(row.round)
    offered = queries.choosable(request.actor, row)
    chosen = list(row.wishes)
    if request.method == "POST":
        picked = [request.POST.get(f"wish{n}", "") for n in range(1, scheme.wishes + 1)]
        chosen = [int(p) for p in picked if p.isdigit()]
        try:
            actions.choose(
                row, chosen, together=bool(request.POST.get("together")), by=request.actor
            )
            messages.success(request, "志愿已保存，截止前可以再改。")
            return redirect("enrolment:own", code)
        except (UserError, Denied) as error:
            wrong = str(error)
    slots = [
        {"place": n, "chosen": chosen[n - 1] if n <= len(chosen) else None}
        for n in range(1, scheme.wishes + 1)
    ]
    return render(
        request,
        "enrolment/wishes.html",
        {
            "row": row,
            "scheme": scheme,
            "slots": slots,
            "offered": offered,
            "siblings": queries.siblings(request.actor, row) if scheme.together else [],
            "wrong": wrong,
            "end": calendar.until(calendar.CHOOSE, row.round.turn, row.round.moments),
            "back": reverse("enrolment:own", args=[code]),
        },
    )


@signed_in
def place(request: ActorRequest, code: str) -> HttpResponse:
    """Take the place, or give it up."""
    row = _own(request, code)
    if request.method == "POST":
        try:
            if request.POST.get("do") == "confirm":
                actions.confirm(row, by=request.actor)
                messages.success(request, "已确认入学。")
            elif request.POST.get("do") == "decline":
                actions.decline(row, by=request.actor)
                messages.success(request, "已放弃，这个学位会递补给其他孩子。")
        except UserError as wrong:
            messages.error(request, str(wrong))
    return redirect("enrolment:own", code)
