"""The clerk's desk: a seat at a counter, the next number, the visitor's matter; and the guide's desk."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.kernel.access import UserError
from lianyun.kernel.element import mask_value
from lianyun.ui.context import address_of
from lianyun.ui.forms import Visitor, once
from lianyun.ui.pages import ActorRequest, page

from ..actions import halls as seats
from ..actions import tickets as actions
from ..adapters import declared
from ..queries import halls as queries
from ..queries import tickets as waiting
from .public import follow_address, qr, quiet

SERVE = queries.SERVE


@page(permission=SERVE)
def home(request: ActorRequest) -> HttpResponse:
    """Choose a hall and a counter; whoever sits somewhere goes straight there."""
    viewer = request.actor
    mine = queries.own_counter(viewer)
    if mine is not None and not request.GET.get("all"):
        return redirect("counters:seat", number=mine.pk)
    now = timezone.now()
    rows = [
        {
            "hall": h,
            "open": queries.open_now(h, now),
            "queues": waiting.queues(viewer, h, now),
            "counters": queries.counters(viewer, h),
        }
        for h in queries.managed(viewer, SERVE)
        if h.active
    ]
    return render(request, "counters/desk.html", {"rows": rows, "mine": mine})


def _seat(request: ActorRequest, number: int) -> dict[str, Any]:
    viewer, now = request.actor, timezone.now()
    counter = queries.counter_of(viewer, number)
    line = waiting.for_counter(viewer, counter, now)
    return {
        "counter": counter,
        "hall": counter.hall,
        "mine": counter.clerk_id is not None and counter.clerk_id == getattr(viewer.party, "pk", 0),
        "line": line[:12],
        "count": len(line),
        "missed": waiting.missed(viewer, counter.hall, now),
        "groups": declared.groups(),
    }


@page(permission=SERVE)
def seat(request: ActorRequest, number: int) -> HttpResponse:
    """One counter: call, call again, pass over, begin, send on, finish."""
    context = _seat(request, number)
    counter = context["counter"]
    if request.method == "POST":
        try:
            if once(request):
                _do(request, counter)
        except UserError as wrong:
            messages.error(request, str(wrong))
        return redirect("counters:seat", number=number)
    viewer, now = request.actor, timezone.now()
    held = waiting.held(viewer, counter)
    case = waiting.case_code(viewer, held) if held else ""
    done = waiting.done_today(viewer, counter, now)
    rating = waiting.rating_code(viewer, done[0]) if done and held is None else ""
    address = address_of("ratings:visit", rating) if rating else ""
    context.update(
        held=held,
        group=declared.groups().get(held.group, "") if held else "",
        who=mask_value("name", held.person.name) if held and held.person else "",
        others=[c for c in queries.counters(viewer, counter.hall) if c.pk != counter.pk],
        done=done,
        rating=rating,
        rate=request.build_absolute_uri(address) if address else "",
        picture=qr(request.build_absolute_uri(address)) if address else "",
        confirm=address_of("hall:go_on", held.application) if held and held.application else "",
        case=case,
        accept=address_of("desk:case", case) if case else "",
        least=declared.rules()["order"]["calls"],
    )
    return quiet(render(request, "counters/seat.html", context))


def _do(request: ActorRequest, counter: Any) -> None:
    by, do = request.actor, request.POST.get("do", "")
    if do == "sign_on":
        seats.sign_on(counter, by=by)
    elif do == "sign_off":
        seats.sign_off(counter, by=by)
    elif do in ("rest", "go_on"):
        seats.rest(counter, do == "rest", by=by)
    elif do == "next":
        actions.call_next(counter, by=by)
    else:
        number = request.POST.get("ticket", "")
        ticket = waiting.ticket_of(by, int(number) if number.isdecimal() else 0)
        _do_ticket(request, ticket, do)


def _do_ticket(request: ActorRequest, ticket: Any, do: str) -> None:
    by = request.actor
    if do == "send_on":
        to = request.POST.get("to", "")
        actions.send_on(ticket, queries.counter_of(by, int(to) if to.isdecimal() else 0), by=by)
        return
    doing = {
        "recall": actions.recall,
        "pass_over": actions.pass_over,
        "serve": actions.serve,
        "finish": actions.finish,
        "come_back": actions.come_back,
    }.get(do)
    if doing is None:
        raise UserError("没有这个操作")
    doing(ticket, by=by)


@page(permission=SERVE)
def seat_now(request: ActorRequest, number: int) -> HttpResponse:
    """The live part of a counter's page: who waits."""
    return quiet(render(request, "counters/_line.html", _seat(request, number)))


@page(permission=SERVE)
def accept(request: ActorRequest, number: int) -> HttpResponse:
    """Begin an application for the visitor: the item, its questions, who he is by his card."""
    viewer = request.actor
    ticket = waiting.ticket_of(viewer, number)
    given = request.POST if request.method == "POST" else request.GET
    text = request.GET.get("q", "").strip()[:60]
    code = given.get("item", "") or ("" if text else ticket.item)
    item = items.find(code) if code else None
    answers = items.answers_of(item, given) if item else {}
    form = Visitor(request.POST or None)
    if request.method == "POST" and item is not None and form.is_valid():
        try:
            if not once(request):
                return redirect("counters:desk")
            made = actions.accept(
                ticket, item.code, answers=answers, by=viewer, **form.cleaned_data
            )
            return redirect(address_of("hall:confirm", made.code) or reverse("counters:desk"))
        except UserError as error:
            form.add_error(None, str(error))
    return quiet(
        render(
            request,
            "counters/accept.html",
            {
                "ticket": ticket,
                "item": item,
                "q": text,
                "found": items.search(text, viewer=viewer) if text else None,
                "questions": [
                    {"situation": s, "answer": answers.get(s.id, "")}
                    for s in (items.questions(item, answers) if item else ())
                ],
                "form": form,
            },
        )
    )


@page(permission=SERVE)
def door(request: ActorRequest, code: str) -> HttpResponse:
    """The guide at the door: a ticket for who walks in, check-in by code, back after a missed call."""
    viewer = request.actor
    hall = queries.managed_hall(viewer, code, SERVE)
    made = None
    if request.method == "POST":
        try:
            if once(request):
                if request.POST.get("do") == "check_in":
                    made = actions.check_in(request.POST.get("code", ""), hall, by=viewer)
                else:
                    made = actions.take(
                        hall,
                        request.POST.get("letter", ""),
                        group=request.POST.get("group", ""),
                        by=viewer,
                    )
        except UserError as wrong:
            messages.error(request, str(wrong))
    now = timezone.now()
    return quiet(
        render(
            request,
            "counters/door.html",
            {
                "hall": hall,
                "open": queries.open_now(hall, now),
                "queues": waiting.queues(viewer, hall, now),
                "groups": declared.groups().items(),
                "ticket": made,
                "place": waiting.place(viewer, made, now) if made else None,
                "picture": qr(follow_address(request, made.code)) if made else "",
            },
        )
    )
