"""Review views: the desk with its clocks, one step with its decision."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from ..rules import entries as rules


@page(permission="catalogue.read")
def desk(request: ActorRequest) -> HttpResponse:
    """Entries waiting for this officer's decision, and those of the own department under way."""
    context = {
        "waiting": queries.review_desk(request.actor),
        "under_way": queries.under_way(request.actor),
    }
    return render(request, "catalogue/desk.html", context)


@page(permission="catalogue.read")
def review(request: ActorRequest, number: int) -> HttpResponse:
    """One review step: the entry as submitted, findings, changes, the decision."""
    found = queries.review(request.actor, number)
    problem = ""
    if request.method == "POST":
        try:
            outcome = request.POST.get("outcome", "")
            note = request.POST.get("note", "")
            actions.do_review(item=number, outcome=outcome, note=note, by=request.actor)
            messages.success(request, f"“{found.content['title']}”：{found.item.title}已办理")
            return redirect("catalogue:desk")
        except UserError as mistake:
            problem = str(mistake)
    context = {
        "v": found,
        "r": found.resource,
        "c": found.content,
        "problem": problem,
        "note": request.POST.get("note", ""),
        "share_title": rules.SHARE.get(found.content["share"]["type"], ""),
        "open_title": rules.OPEN.get(found.content["open"]["type"], ""),
        "level_title": rules.LEVELS.get(found.content["level"], ""),
    }
    return render(request, "catalogue/review.html", context, status=400 if problem else 200)


@page(permission="catalogue.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """From a case's code to its open step if it is the viewer's to do, else to the resource."""
    number, name = queries.place_of_case(request.actor, code)
    if number is not None:
        return redirect("catalogue:review", number=number)
    return redirect("catalogue:detail", name=name)
