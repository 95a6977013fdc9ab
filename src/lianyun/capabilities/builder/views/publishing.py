"""Publishing: a service is submitted, looked at by two others, goes live, is taken down again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from ..rules import content as parts


def _press(request: ActorRequest, code: str, do: Callable[[Any], Any], said: str) -> HttpResponse:
    if request.method == "POST":
        row = queries.find(request.actor, code)
        try:
            do(row)
            messages.success(request, said)
        except UserError as mistake:
            messages.error(request, str(mistake))
    return redirect("builder:overview", code=code)


@page(permission="builder.edit")
def submit(request: ActorRequest, code: str) -> HttpResponse:
    """Send the newest revision to be reviewed."""
    note = request.POST.get("note", "")
    return _press(
        request, code, lambda r: actions.submit(r, note=note, by=request.actor), "已提交审核"
    )


@page(permission="builder.edit")
def take_back(request: ActorRequest, code: str) -> HttpResponse:
    """Take it back out of the review."""
    return _press(
        request, code, lambda r: actions.take_back(r, by=request.actor), "已收回，可以继续修改"
    )


@page(permission="builder.review")
def withdraw(request: ActorRequest, code: str) -> HttpResponse:
    """Take a live service down."""
    why = request.POST.get("reason", "").strip()
    if request.method == "POST" and not why:
        messages.error(request, "请写明下线理由")
        return redirect(f"{reverse('builder:overview', args=[code])}#withdraw")
    return _press(
        request,
        code,
        lambda r: actions.withdraw(r, why, by=request.actor),
        "已下线，在办件不受影响",
    )


@page(permission="builder.review")
def resume(request: ActorRequest, code: str) -> HttpResponse:
    """Offer it again."""
    return _press(request, code, lambda r: actions.resume(r, by=request.actor), "已恢复上线")


@page(permission="builder.read")
def reviews(request: ActorRequest) -> HttpResponse:
    """Services that wait for my decision."""
    return render(request, "builder/reviews.html", {"waiting": queries.reviews(request.actor)})


@page(permission="builder.read")
def review(request: ActorRequest, number: int) -> HttpResponse:
    """One review step: what it is, what changed, the checks, the decision."""
    found = queries.review(request.actor, number)
    row = found.row
    problem = ""
    if request.method == "POST":
        try:
            case = actions.review_service(
                number,
                request.POST.get("outcome", ""),
                note=request.POST.get("note", ""),
                by=request.actor,
            )
            live = case.outcome == actions.PUBLISHED
            messages.success(request, "已发布，服务大厅现在就能办" if live else f"{found.work.title}已办理")  # fmt: skip
            return redirect("builder:overview", code=row.code) if live else redirect("builder:desk")
        except UserError as mistake:
            problem = str(mistake)
    slug = str(row.department.slug)
    drawings = {"now_bpmn": reverse("builder:drawing", args=[row.code, found.revision])}
    if found.before:
        drawings["before_bpmn"] = reverse("builder:drawing", args=[row.code, row.live])
    context = {
        **drawings,
        "before_word": "已发布的",
        "now_word": "提交的",
        "v": found,
        "row": row,
        "problem": problem,
        "note": request.POST.get("note", ""),
        "item": queries.item_of(found.content, row.code, slug),
        "checked": queries.check(found.content, row.code, slug, request.actor),
        "differences": queries.differences(
            found.before or {}, found.content, row.code, slug, request.actor
        ),
        "own_licence": parts.own(found.content, parts.LICENCE),
    }
    return render(request, "builder/review.html", context, status=400 if problem else 200)


@page(permission="builder.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """From a case's code to its open step if it is the viewer's to do, else to the service."""
    number, service = queries.place_of_case(request.actor, code)
    if number is not None:
        return redirect("builder:review", number=number)
    return redirect("builder:overview", code=service)
