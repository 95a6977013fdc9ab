"""Officers: rounds planned and walked, papers checked, reviews answered, places allotted under two names."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, adapters
from ..actions.registering import Entry
from ..queries import officers, rounds
from ..rules import calendar
from .public import days_of

SHAPE = "%Y-%m-%dT%H:%M"


def _round(request: ActorRequest, code: str) -> Any:
    row = rounds.find(request.actor, code)
    if row is None or not request.actor.may(rounds.READ, row.department):
        raise Http404("no such round")
    return row


# ---- planning ------------------------------------------------------------------------------


class PlanForm(Styled):
    """Title, year, days and schools of a round."""

    title = forms.CharField(label="名称", max_length=120)
    year = forms.IntegerField(label="招生年份", min_value=2000, max_value=2100)
    schools = forms.CharField(
        label="学校、学位和施教区",
        widget=forms.Textarea(attrs={"rows": 10, "class": "mono"}),
        help_text="一行一所：学校标识码,学校名称,学位数,施教区的乡镇街道代码（几个之间用空格，可以不填）",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        put_days(self)

    def clean_schools(self) -> list[tuple[str, str, int, list[str]]]:
        """The lines as (code, name, places, towns)."""
        out = []
        rows = csv.reader(io.StringIO(self.cleaned_data["schools"].replace("，", ",")))
        for number, line in enumerate(rows, 1):
            cells = [c.strip() for c in line]
            if not any(cells):
                continue
            if len(cells) < 3 or not cells[2].isdigit():
                raise forms.ValidationError(f"第 {number} 行应为：标识码,名称,学位数,施教区")
            towns = cells[3].split() if len(cells) > 3 else []
            if wrong := [t for t in towns if not (t.isdigit() and len(t) in (6, 9, 12))]:
                raise forms.ValidationError(f"第 {number} 行的施教区代码有误：{'、'.join(wrong)}")
            out.append((cells[0], cells[1], int(cells[2]), towns))
        return out

    @property
    def told_days(self) -> dict[str, dt.datetime | None]:
        """The days by key."""
        return {d.key: self.cleaned_data.get(d.key) for d in calendar.DAYS}


class DaysForm(Styled):
    """New days and why."""

    reason = forms.CharField(label="调整原因", max_length=300, help_text="会随新的日程一起公布")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        put_days(self)

    @property
    def told_days(self) -> dict[str, dt.datetime | None]:
        """The days by key."""
        return {d.key: self.cleaned_data.get(d.key) for d in calendar.DAYS}


def put_days(form: Styled) -> None:
    """Add a field for every day of the calendar."""
    for day in calendar.DAYS:
        form.fields[day.key] = forms.DateTimeField(
            label=day.title,
            required=day.needed,
            input_formats=[SHAPE],
            widget=forms.DateTimeInput(
                attrs={"type": "datetime-local", "class": "input"}, format=SHAPE
            ),
        )


def _days_now(row: Any) -> dict[str, Any]:
    return {k: v.strftime(SHAPE) for k, v in row.moments.items()}


@page(permission="enrolment.read")
def rounds_page(request: ActorRequest) -> HttpResponse:
    """Rounds of one's department."""
    rows = list(rounds.of_desk(request.actor))
    steps = rounds.phases(request.actor, rows)
    table = Table(
        request,
        rows,
        columns=[
            Column("title", "轮次", primary=True, link=lambda r: reverse("enrolment:round", args=[r.code]),
                   sub=lambda r: r.code),
            Column("stage", "学段", cell=lambda r: calendar.STAGES.get(r.stage, r.stage)),
            Column("phase", "步骤", kind="badge", cell=lambda r: calendar.PHASES[steps[r.pk]][0],
                   tone=lambda r: calendar.PHASES[steps[r.pk]][1]),
            Column("made_at", "建立", kind="stamp", phone=False),
        ],
        caption="积分入学轮次",
        empty=Empty("还没有轮次", "先制定一轮的日程、学校和学位，由另一人审定后开放登记。",
                    reverse("enrolment:new"), "制定招生方案", "cap"),
    )  # fmt: skip
    may = request.actor.may("enrolment.manage")
    return table.respond(request, "enrolment/desk_rounds.html", {"may_plan": may})


@page(permission="enrolment.manage")
def new(request: ActorRequest) -> HttpResponse:
    """Plan a round: the points table is the pack's, days and schools are filled in."""
    schemes = adapters.schemes()
    key = request.GET.get("scheme") or next(iter(schemes), "")
    scheme = schemes.get(key)
    if scheme is None:
        raise Http404("no such scheme")
    year = timezone.localdate().year + (timezone.localdate().month > 8)
    region = request.GET.get("region", "")
    listed = "\n".join(
        f"{s.code},{s.name},0,{s.town}" for s in adapters.registered(scheme.stage, region)[:400]
    )
    initial = {
        "title": f"{year} 年{calendar.STAGES[scheme.stage]}积分入学",
        "year": year,
        "schools": listed,
    }
    form = PlanForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made = actions.make_round(
                key, year=data["year"], title=data["title"], days=form.told_days,
                schools=data["schools"], by=request.actor,
            )  # fmt: skip
            return redirect("enrolment:round", made.code)
        except (UserError, Denied) as wrong:
            form.add_error(None, str(wrong))
    told = {"form": form, "scheme": scheme, "schemes": schemes.values()}
    return render(request, "enrolment/new.html", {**told, "back": reverse("enrolment:rounds")})


@page(permission="enrolment.manage")
def edit(request: ActorRequest, code: str) -> HttpResponse:
    """Change a plan before it is handed in."""
    row = _round(request, code)
    schools = "\n".join(
        f"{s.code},{s.name},{s.places},{' '.join(s.towns)}" for s in row.schools.all()
    )
    initial = {"title": row.title, "year": row.year, "schools": schools, **_days_now(row)}
    form = PlanForm(request.POST or None, initial=initial)
    form.fields["year"].disabled = True
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            actions.edit_round(
                row, title=data["title"], days=form.told_days, schools=data["schools"],
                by=request.actor,
            )  # fmt: skip
            return redirect("enrolment:round", code)
        except UserError as wrong:
            form.add_error(None, str(wrong))
    told = {"form": form, "round": row, "back": reverse("enrolment:round", args=[code])}
    return render(request, "enrolment/new.html", told)


@page(permission="enrolment.manage")
def reschedule(request: ActorRequest, code: str) -> HttpResponse:
    """Change the days of an open round, with a reason that everybody reads."""
    row = _round(request, code)
    form = DaysForm(request.POST or None, initial=_days_now(row))
    if request.method == "POST" and form.is_valid():
        try:
            actions.reschedule(
                row, days=form.told_days, reason=form.cleaned_data["reason"], by=request.actor
            )
            messages.success(request, "日程已调整并公布。")
            return redirect("enrolment:round", code)
        except UserError as wrong:
            form.add_error(None, str(wrong))
    back = reverse("enrolment:round", args=[code])
    return render(request, "enrolment/days.html", {"form": form, "round": row, "back": back})


# ---- a round -------------------------------------------------------------------------------


@page(permission="enrolment.read")
def round_page(request: ActorRequest, code: str) -> HttpResponse:
    """One round: its step and what may be done, numbers, schools with their lines, what happened."""
    row = _round(request, code)
    viewer, step = request.actor, rounds.phase(request.actor, row)
    item = rounds.step_of(viewer, row.case)
    made = rounds.newest(viewer, row)
    current = made is not None and made.turn == row.turn
    return render(
        request,
        "enrolment/round.html",
        {
            "round": row,
            "scheme": rounds.scheme_of(row),
            "step": step,
            "phase": calendar.PHASES[step],
            "item": item,
            "days": days_of(row),
            "end": calendar.until(step, row.turn, row.moments),
            "counts": rounds.counts(viewer, row),
            "open": rounds.open_cases(viewer, row),
            "schools": rounds.schools(viewer, row),
            "made": made if current else None,
            "may_allot": step == calendar.ALLOT and viewer.may("enrolment.allot", row.department),
            "may_edit": step == calendar.PREPARE and viewer.may("enrolment.manage", row.department),
            "may_shift": step not in (calendar.PREPARE, calendar.OVER)
            and viewer.may("enrolment.manage", row.department),
            "may_enter": step in COUNTERS and viewer.may("enrolment.manage", row.department),
            "events": rounds.happened(viewer, row),
            "objections": list(officers.objections(viewer, row)[:50]),
        },
    )


@page(permission="enrolment.read")
@require_POST
def move(request: ActorRequest, code: str) -> HttpResponse:
    """Take a round to its next step."""
    row = _round(request, code)
    try:
        actions.move(
            row, request.POST.get("step", ""), request.POST.get("outcome", ""),
            note=request.POST.get("note", "")[:1000], by=request.actor,
        )  # fmt: skip
        messages.success(request, "已办理。")
    except (UserError, Denied) as wrong:
        messages.error(request, str(wrong))
    return redirect("enrolment:round", code)


@page(permission="enrolment.allot")
@require_POST
def allot(request: ActorRequest, code: str) -> HttpResponse:
    """Compute the allotment and look at it; nothing is published."""
    row = _round(request, code)
    try:
        made = actions.allot(row, by=request.actor)
        messages.success(request, f"已派位：{made.units} 个孩子参加，{made.placed} 个录取。")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("enrolment:round", code)


@page(permission="enrolment.read")
def entries(request: ActorRequest, code: str) -> HttpResponse:
    """Who stands in a round: number, masked name, points, rank, school."""
    row = _round(request, code)
    table = Table(
        request,
        officers.registrations(request.actor, row),
        columns=[
            Column("number", "公示编号", kind="code", primary=True, sort="number",
                   link=lambda r: reverse("enrolment:case", args=[r.case.code]) if r.case else ""),
            Column("child", "孩子", cell=lambda r: officers.masked(r.child)),
            Column("points", "积分", kind="number", sort="points", cell=lambda r: r.shown_points),
            Column("rank", "位次", kind="number", sort="rank"),
            Column("school", "录取学校", cell=lambda r: str(r.school or "")),
            Column("way", "登记", cell=lambda r: "网上" if r.case_id else "现场", phone=False),
            Column("standing", "情况", kind="badge", cell=lambda r: _standing(r)[0], tone=lambda r: _standing(r)[1]),
        ],
        filters=[
            Filter("q", "公示编号", lookup="number__icontains"),
            Filter("in", "情况", "select", choices=[("yes", "在册"), ("no", "已退出")],
                   apply=lambda rows, v: rows.filter(out_at__isnull=v == "yes")),
            Filter("todo", "待办", "select", choices=[("check", "材料待核对")],
                   apply=lambda rows, v: rows.filter(case__items__step=v, case__items__done_at=None)),
        ],
        caption="登记名单",
        export_name=f"{row.code}登记名单",
        empty=Empty("还没有人登记", "登记开放后，家长从“积分入学”登记，也可以在现场登记。", icon="users"),
    )  # fmt: skip
    return table.respond(request, "enrolment/entries.html", {"round": row})


def _standing(row: Any) -> tuple[str, str]:
    if row.out_at is not None:
        return row.out_why or "已退出", "grey"
    if row.declined_at is not None:
        return "放弃学位", "amber"
    if row.confirmed_at is not None:
        return "已确认入学", "green"
    return ("待确认", "blue") if row.school_id else ("在册", "grey")


@page(permission="enrolment.read")
def seats(request: ActorRequest, code: str) -> HttpResponse:
    """The allotment before it is published: everybody by rank with school and wish."""
    row = _round(request, code)
    made = rounds.newest(request.actor, row)
    if made is None:
        raise Http404("no allotment")
    table = Table(
        request,
        rounds.seats_of(request.actor, made),
        columns=[
            Column("registration.rank", "位次", kind="number"),
            Column("registration.number", "公示编号", kind="code", primary=True),
            Column("child", "孩子", cell=lambda s: officers.masked(s.registration.child)),
            Column("registration.points", "积分", kind="number", cell=lambda s: s.registration.shown_points),
            Column("school", "学校", cell=lambda s: str(s.school or "—")),
            Column("wish", "第几志愿", kind="number"),
            Column("wishes", "志愿数", kind="number", cell=lambda s: len(s.wishes), phone=False),
        ],
        filters=[
            Filter("q", "公示编号", lookup="registration__number__icontains"),
            Filter("got", "录取", "select", choices=[("yes", "已录取"), ("no", "没有录取")],
                   apply=lambda rows, v: rows.filter(school__isnull=v == "no")),
        ],
        caption="派位结果",
        export_name=f"{row.code}派位结果",
        empty=Empty("没有人参加派位"),
    )  # fmt: skip
    return table.respond(request, "enrolment/seats.html", {"round": row, "made": made})


class CounterForm(Styled):
    """Lines of families that came in person."""

    families = forms.CharField(
        label="名单", widget=forms.Textarea(attrs={"rows": 8, "class": "mono"})
    )
    seen = forms.BooleanField(required=True)


COUNTERS = {
    calendar.REGISTER: (
        4, "一行一个孩子：监护人身份号码,监护人姓名,孩子身份号码,孩子姓名",
        "已当面核对身份证、监护关系证明，并收存签字的查询授权书",
    ),
    calendar.CHOOSE: (
        2, "一行一个孩子：公示编号,学校标识码（几个之间用空格，按志愿先后）",
        "已收存家长签字的志愿表",
    ),
    calendar.CONFIRM: (1, "一行一个公示编号", "已当面核对身份证和录取通知"),
}  # fmt: skip
"""What is entered at a counter in which step: cells a line, how a line is written, what was seen."""


def _at_counter(row: Any, step: str, cells: list[list[str]], by: Any) -> tuple[int, list[str]]:
    """Enter lines as the step wants them."""
    if step == calendar.REGISTER:
        return actions.register_many(row, [Entry(*c) for c in cells], seen=True, by=by)
    if step == calendar.CHOOSE:
        return actions.choose_many(row, [(c[0], c[1].split()) for c in cells], seen=True, by=by)
    return actions.confirm_many(row, [c[0] for c in cells], seen=True, by=by)


@page(permission="enrolment.manage")
def counter(request: ActorRequest, code: str) -> HttpResponse:
    """Enter what families bring in person: themselves, their wishes, their confirmations."""
    row = _round(request, code)
    step = rounds.phase(request.actor, row)
    if step not in COUNTERS:
        raise UserError("这一步没有需要在现场登记的内容")
    many, help_text, seen = COUNTERS[step]
    refused: list[str] = []
    form = CounterForm(request.POST or None)
    form.fields["families"].help_text, form.fields["seen"].label = help_text, seen
    if request.method == "POST" and form.is_valid():
        lines = csv.reader(io.StringIO(form.cleaned_data["families"].replace("，", ",")))
        cells = [[c.strip() for c in line] for line in lines if any(c.strip() for c in line)]
        if bad := [n for n, c in enumerate(cells, 1) if len(c) != many]:
            form.add_error("families", f"第 {bad[0]} 行应有 {many} 项")
        else:
            try:
                made, refused = _at_counter(row, step, cells, request.actor)
                messages.success(request, f"录入了 {made} 个孩子。")
            except UserError as wrong:
                form.add_error(None, str(wrong))
    back = reverse("enrolment:round", args=[code])
    told = {"round": row, "form": form, "refused": refused, "back": back}
    return render(request, "enrolment/counter.html", told)


# ---- cases ---------------------------------------------------------------------------------


@page(permission="enrolment.review")
def reviews(request: ActorRequest) -> HttpResponse:
    """Reviews that one's department is asked for."""
    table = Table(
        request,
        officers.review_cases(request.actor),
        columns=[
            Column("title", "复核", primary=True, link=lambda c: reverse("enrolment:case", args=[c.code]),
                   sub=lambda c: c.code),
            Column("department", "部门", cell=lambda c: str(c.department)),
            Column("state", "状态", kind="state"),
            Column("opened_at", "提出", kind="stamp"),
        ],
        caption="积分复核",
        empty=Empty("没有复核", "家长对由本部门数据得出的积分有疑问时，会送到这里。", icon="check"),
    )  # fmt: skip
    return table.respond(request, "enrolment/reviews.html", {})


def _fields(row: Any, line: str) -> list[dict[str, str]]:
    """What an officer may correct of a line: a day, a number, or what a paper shows."""
    scheme = rounds.scheme_of(row.round)
    rule = scheme.line(line)
    if rule is None:
        return []
    out = []
    for name in rule.facts:
        fact = scheme.facts[name]
        hint = "日期，如 2020-09-01" if fact.shape else f"整数（{fact.unit}）"
        out.append({"name": name, "title": fact.title, "hint": hint})
    if rule.paper:
        out.append({"name": rule.id, "title": rule.title, "hint": rule.basis})
    return out


@page(permission="dashboard.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """A case of this capability: a round, a registration to check, a review, an objection."""
    viewer = request.actor
    found = officers.case_of(viewer, code)
    if found is None:
        raise Http404("no such case")
    if found.key == "enrolment_round":
        return redirect("enrolment:round", found.data["round"])
    row = officers.of_case(viewer, found)
    if row is None:
        raise Http404("no registration")
    item = rounds.step_of(viewer, found)
    if request.method == "POST" and item is not None:
        return _work(request, found, item)
    line = str(found.data.get("line", ""))
    scheme = rounds.scheme_of(row.round)
    papers = [p.id for p in scheme.lines if p.paper] if found.key == "enrolment_application" else []
    return render(
        request,
        "enrolment/case.html",
        {
            "case": found,
            "round": row.round,
            "item": item,
            "seen": officers.seen(viewer, row, line),
            "review": found.key == rounds.REVIEW,
            "objection": found.key == rounds.OBJECTION,
            "fields": _fields(row, line) if line else [f for p in papers for f in _fields(row, p)],
            "done": list(found.items.exclude(done_at=None).select_related("by")),
            "desk": address_of("desk:case", found.code)
            if found.key == "enrolment_application" and viewer.may("desk.read", found.department)
            else "",
        },
    )


def _work(request: ActorRequest, found: Any, item: Any) -> HttpResponse:
    """Do the step of a case by what was posted."""
    outcome, note = request.POST.get("outcome", ""), request.POST.get("note", "")[:1000]
    values = {k.removeprefix("v_"): str(v) for k, v in request.POST.items() if k.startswith("v_")}
    try:
        if not once(request):
            return redirect("enrolment:case", found.code)
        if found.key == rounds.REVIEW:
            actions.answer_review(item, outcome, note=note, values=values, by=request.actor)
        elif found.key == rounds.OBJECTION:
            actions.settle_objection(item, outcome, note=note, by=request.actor)
        else:
            actions.check_papers(item, outcome, note=note, values=values, by=request.actor)
        messages.success(request, "已办理。")
    except (UserError, Denied) as wrong:
        messages.error(request, str(wrong))
    return redirect("enrolment:case", found.code)
