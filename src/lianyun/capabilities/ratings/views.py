"""Views: rate one's own matters, rate a visit, work on bad ratings, scores for officers and for all."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page, public, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules


def _channel(request: ActorRequest) -> str:
    agent = request.headers.get("User-Agent", "")
    return "mobile" if "Mobile" in agent else "pc"


@signed_in
def own(request: ActorRequest) -> HttpResponse:
    """What one may still rate, and what became of what one said."""
    given = [
        (r, rules.TONES[r.level], rules.ENDS.get(r.rework.outcome) if r.rework else None)
        for r in queries.given(request.actor)
    ]
    return render(
        request, "ratings/own.html", {"waiting": queries.to_rate(request.actor), "given": given}
    )


@signed_in
def rate(request: ActorRequest, code: str) -> HttpResponse:
    """Rate one closed matter."""
    case = queries.own_case(request.actor, code)
    done = getattr(case, "rating", None)
    if request.method == "POST" and done is None and once(request):
        try:
            actions.rate_case(
                case,
                request.POST.get("level", ""),
                tags=request.POST.getlist("tags"),
                text=request.POST.get("text", ""),
                channel=_channel(request),
                by=request.actor,
            )
        except UserError as wrong:
            messages.error(request, str(wrong))
        else:
            messages.success(request, "谢谢您的评价。")
            return redirect("ratings:own")
    if done is not None:
        return redirect("ratings:own")
    return render(
        request,
        "ratings/rate.html",
        {"case": case, "levels": rules.LEVELS.items(), "tags": queries.settings()["tags"]},
    )


@public
def visit(request: ActorRequest, code: str) -> HttpResponse:
    """Rate a visit to a counter by its code."""
    found = queries.visit_of(request.actor, code)
    if request.method == "POST" and once(request):
        try:
            actions.rate_visit(
                code,
                request.POST.get("level", ""),
                tags=request.POST.getlist("tags"),
                text=request.POST.get("text", ""),
                channel="qr",
                by=request.actor,
            )
        except UserError as wrong:
            messages.error(request, str(wrong))
        else:
            return render(request, "ratings/visit.html", {"done": True})
    return render(
        request,
        "ratings/visit.html",
        {"visit": found, "levels": rules.LEVELS.items(), "tags": queries.settings()["tags"]},
    )


@public
def scores(request: ActorRequest) -> HttpResponse:
    """How departments are rated, for everybody."""
    found = queries.published(request.actor)
    chart = charts.one(
        "bars",
        "各部门满意率",
        [(s.name, round(100 * (s.satisfaction or 0), 1)) for s in found],
        "%",
    )
    return render(
        request, "ratings/scores.html", {"scores": found, "chart": chart, "few": queries.FEW}
    )


class VisitForm(Styled):
    """A visitor at a window."""

    window = forms.CharField(label="窗口", max_length=40, help_text="如：A12 公安综合窗口")
    item = forms.CharField(label="事项（可不填）", max_length=80, required=False)


@page(permission="ratings.read")
def home(request: ActorRequest) -> HttpResponse:
    """Ratings of the viewer's departments: scores with pictures, bad ones to work on."""
    viewer = request.actor
    whole = queries.whole(viewer)
    departments = queries.by_department(viewer)
    table = Table(
        request,
        queries.ratings(viewer),
        columns=[
            Column("at", "时间", kind="stamp"),
            Column(
                "level", "评价", kind="badge", cell=lambda r: r.get_level_display(),
                tone=lambda r: rules.TONES[r.level],
            ),
            Column(
                "text", "意见", primary=True,
                cell=lambda r: r.text or "、".join(r.tags) or "（没有写意见）",
                link=lambda r: reverse("ratings:detail", args=[r.pk]),
            ),
            Column("department.short", "部门"),
            Column("channel", "渠道", cell=lambda r: r.get_channel_display(), phone=False),
            Column(
                "rework.outcome", "整改", kind="badge",
                cell=lambda r: "" if r.rework is None else rules.ENDS.get(r.rework.outcome, ("整改中", ""))[0],
                tone=lambda r: "grey" if r.rework is None else rules.ENDS.get(r.rework.outcome, ("", "amber"))[1],
            ),
        ],
        filters=[
            Filter("level", "等级", "select", choices=[(str(k), v) for k, v in rules.LEVELS.items()], lookup="level"),
            Filter(
                "rework", "整改", "select", choices=[("open", "整改中"), ("closed", "已结束")],
                lookup="rework__state",
            ),
        ],
        caption="评价",
        export_name="好差评",
        keyset="-id",
        empty=Empty("还没有评价", "办件办结后，申请人可以在“我的办件”中评价；窗口办理用评价码。", icon="heart"),
    )  # fmt: skip
    return table.respond(
        request,
        "ratings/home.html",
        {
            "whole": whole,
            "departments": departments,
            "items": queries.by_item(viewer)[:10],
            "windows": queries.by_window(viewer)[:10],
            "chart": charts.one(
                "bars",
                "各部门满意率",
                [(s.name, round(100 * (s.satisfaction or 0), 1)) for s in departments[:15]],
                "%",
            ),
            "levels": charts.one(
                "donut", "评价等级", [(v, whole.counts[k]) for k, v in rules.LEVELS.items()], "件"
            ),
            "may_invite": viewer.may("ratings.invite"),
            "settings": queries.settings(),
        },
    )


@page(permission="ratings.read")
def detail(request: ActorRequest, number: int) -> HttpResponse:
    """One rating: what was said, what is to be done, whom one has called."""
    viewer = request.actor
    rating = queries.rating_of(viewer, number)
    if request.method == "POST" and once(request):
        try:
            if request.POST.get("do") == "call":
                said = request.POST.get("answer", "")
                actions.call_back(
                    rating,
                    reached=said in ("satisfied", "unsatisfied"),
                    satisfied={"satisfied": True, "unsatisfied": False}.get(said),
                    note=request.POST.get("note", ""),
                    by=viewer,
                )
                messages.success(request, "已登记回访。")
            else:
                actions.work(
                    rating,
                    request.POST.get("step", ""),
                    request.POST.get("outcome", ""),
                    note=request.POST.get("note", ""),
                    by=viewer,
                )
                messages.success(request, "已办理。")
        except UserError as wrong:
            messages.error(request, str(wrong))
        return redirect("ratings:detail", number=number)
    step = queries.step_of(viewer, rating)
    return render(
        request,
        "ratings/detail.html",
        {
            "rating": rating,
            "tone": rules.TONES[rating.level],
            "step": step,
            "calling": step is not None and step.step in actions.CALLS,
            "calls": queries.calls(viewer, rating),
            "events": queries.events(viewer, rating),
            "end": rules.ENDS.get(rating.rework.outcome) if rating.rework else None,
            "settings": queries.settings(),
        },
    )


@page(permission="ratings.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """The way from a work item to its rating."""
    return redirect("ratings:detail", number=queries.rating_behind(request.actor, code).pk)


@page(permission="ratings.invite")
def invite(request: ActorRequest) -> HttpResponse:
    """A window: a fresh code for the visitor who has just been served."""
    viewer = request.actor
    form = VisitForm(request.POST or None)
    code = ""
    if request.method == "POST" and form.is_valid() and viewer.department is not None:
        if not once(request):
            return redirect("ratings:invite")
        _, code = actions.open_visit(
            viewer.department,
            window=form.cleaned_data["window"],
            item=form.cleaned_data["item"],
            by=viewer,
        )
    address = request.build_absolute_uri(reverse("ratings:visit", args=[code])) if code else ""
    return render(
        request,
        "ratings/invite.html",
        {
            "form": form,
            "code": code,
            "address": address,
            "picture": rules.picture(address) if address else "",
            "settings": queries.settings(),
        },
    )
