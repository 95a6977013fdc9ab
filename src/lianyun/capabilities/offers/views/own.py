"""Own: what suits me, why, from which record; open it, refuse it, or switch all of it off."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from lianyun.kernel.access import SYSTEM, UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions, queries
from ..rules.facts import PERSON


@never_cache
@signed_in
def home(request: ActorRequest) -> HttpResponse:
    """The switch, and what the rules propose with the reason for each."""
    party = queries.own_party(request.actor)
    on, down = queries.wants(request.actor, party), ""
    lines: list[queries.Line] = []
    if on:
        try:
            lines = actions.look(by=request.actor)
        except UserError as wrong:
            down = str(wrong)
    subject = queries.subject_of(party)
    return render(
        request,
        "offers/mine.html",
        {
            "who": party,
            "person": subject == PERSON,
            "on": on,
            "choice": queries.choice_of(request.actor, party),
            "lines": lines,
            "down": down,
            "asked": queries.asked(request.actor, subject),
            "settings": queries.settings(),
        },
    )


@signed_in
@require_POST
def switch(request: ActorRequest) -> HttpResponse:
    """On after consent, off at once."""
    if not once(request):
        return redirect("offers:mine")
    party = queries.own_party(request.actor)
    if request.POST.get("to") == "on":
        try:
            actions.switch_on(by=request.actor)
            actions.evaluate(subject=queries.subject_of(party), parties=[party.pk], by=SYSTEM)
        except UserError as wrong:
            messages.error(request, str(wrong))
        else:
            messages.success(request, "主动服务已开启。")
    else:
        gone = actions.switch_off(by=request.actor)
        messages.success(request, f"主动服务已关闭，{gone} 条提示已删除，之后不再计算。")
    return redirect("offers:mine")


@signed_in
@require_POST
def go(request: ActorRequest, number: int) -> HttpResponse:
    """To the item's application, filled in as far as the hall may."""
    try:
        return redirect(actions.open_offer(number, by=request.actor))
    except UserError as wrong:
        messages.error(request, str(wrong))
        return redirect("offers:mine")


@signed_in
@require_POST
def dismiss(request: ActorRequest, number: int) -> HttpResponse:
    """Not this one."""
    try:
        actions.dismiss(number, by=request.actor)
        messages.success(request, "不再提示这一项。")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("offers:mine")
