"""Appointments: item, hall, day and slot; the code; and a clerk who books for somebody else."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import UserError
from lianyun.ui.forms import Visitor, once
from lianyun.ui.pages import ActorRequest, page, signed_in

from ..actions import bookings as actions
from ..adapters import declared
from ..queries import bookings as queries
from ..queries import halls
from .public import qr, quiet


@signed_in
def own(request: ActorRequest) -> HttpResponse:
    """One's appointments and those that one made for others."""
    now = timezone.now()
    rows = [(b, *queries.standing(request.actor, b, now)) for b in queries.mine(request.actor)]
    context = {
        "rows": rows,
        "blocked": queries.blocked_until(request.actor, identity.acting(request)),
        "rule": declared.rules()["no_show"],
    }
    return render(request, "counters/appointments.html", context)


def _found(request: ActorRequest) -> dict[str, Any]:
    text = request.GET.get("q", "").strip()[:60]
    return {"q": text, "found": items.search(text, viewer=request.actor) if text else None}


@signed_in
def choose_item(request: ActorRequest) -> HttpResponse:
    """What one wants to come for."""
    return render(
        request, "counters/book.html", {**_found(request), "home": items.home(items.PERSON)}
    )


def _item(code: str) -> items.Item:
    found = items.find(code)
    if found is None:
        raise Http404("no such item")
    return found


def _choice(request: ActorRequest, item: items.Item) -> dict[str, Any]:
    """The halls that take an item; with one chosen its days and slots."""
    now = timezone.now()
    offered = halls.halls_for(request.actor, item)
    given = request.POST if request.method == "POST" else request.GET
    wanted = given.get("hall", "") or (offered[0][0].code if len(offered) == 1 else "")
    hall, letter = next(((h, q) for h, q in offered if h.code == wanted), (None, ""))
    context: dict[str, Any] = {
        "item": item,
        "offered": offered,
        "hall": hall,
        "groups": declared.groups().items(),
    }
    if hall is None:
        return context
    days = queries.bookable_days(request.actor, hall, now)
    day = _day(given.get("day", ""), days)
    slots = queries.free(request.actor, hall, letter, day, now) if day else []
    if request.method != "POST" and not given.get("day") and not any(s.left for s in slots):
        # The first day on which there is anything left.
        for other in days[1:]:
            slots = queries.free(request.actor, hall, letter, other, now)
            if any(s.left for s in slots):
                day = other
                break
    return {**context, "days": days, "day": day, "slots": slots}


def _day(text: str, days: list[dt.date]) -> dt.date | None:
    return next((d for d in days if d.isoformat() == text), days[0] if days else None)


def _begin(request: ActorRequest) -> int:
    text = request.POST.get("begin", "")
    if not text.isdecimal():
        raise UserError("请选择时段")
    return int(text)


@signed_in
def choose_slot(request: ActorRequest, item: str) -> HttpResponse:
    """Hall, day, slot; booked once however often it is pressed."""
    found = _item(item)
    person = identity.acting(request)
    identity.require_level(request, int(declared.rules()["proof"]))
    context = _choice(request, found)
    wrong = ""
    if request.method == "POST":
        try:
            if context["hall"] is None or context.get("day") is None:
                raise UserError("请选择大厅和日期")
            if not once(request):
                return redirect("counters:appointments")
            made = actions.book(
                context["hall"],
                item,
                context["day"],
                _begin(request),
                person=person,
                group=request.POST.get("group", ""),
                by=request.actor,
            )
            messages.success(request, "预约成功，请按时到大厅签到。")
            return redirect("counters:appointment", code=made.code)
        except UserError as error:
            wrong = str(error)
            context = _choice(request, found)
    return render(request, "counters/book_item.html", {**context, "person": person, "wrong": wrong})


@signed_in
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One appointment: its code and QR, cancel it in time."""
    booking = queries.one(request.actor, code)
    if booking is None:
        raise Http404("no such appointment")
    if request.method == "POST":
        try:
            if slot := request.POST.get("slot", ""):
                made = actions.rebook(booking, *_wanted(slot), by=request.actor)
                messages.success(request, "已改约，请按新的时段到大厅签到。")
                return redirect("counters:appointment", code=made.code)
            actions.cancel(booking, by=request.actor)
            messages.success(request, "预约已取消。")
        except UserError as error:
            messages.error(request, str(error))
        return redirect("counters:appointment", code=code)
    now = timezone.now()
    words, tone = queries.standing(request.actor, booking, now)
    return quiet(
        render(
            request,
            "counters/appointment.html",
            {
                "booking": booking,
                "hall": booking.slot.hall,
                "words": words,
                "tone": tone,
                "live": words == "已预约",
                "proposals": queries.proposals(request.actor, booking, now)
                if booking.called_off and booking.successor_id is None
                else [],
                "may_cancel": queries.may_cancel(request.actor, booking, now),
                "ticket": getattr(booking, "ticket", None),
                "picture": qr(booking.code),
                "rules": declared.rules(),
                "group": declared.groups().get(booking.group, ""),
            },
        )
    )


def _wanted(text: str) -> tuple[dt.date, int]:
    """Day and beginning of a proposed slot."""
    day, _, begin = text.partition("|")
    try:
        return dt.date.fromisoformat(day), int(begin)
    except ValueError as wrong:
        raise UserError("请选择时段") from wrong


@page(permission=halls.HELP)
def for_others(request: ActorRequest) -> HttpResponse:
    """A clerk looks for the item that somebody wants to come for."""
    rows = [b for b in queries.mine(request.actor) if b.person_id != b.by_id]
    return render(request, "counters/book_for.html", {**_found(request), "rows": rows})


@page(permission=halls.HELP)
def for_other(request: ActorRequest, item: str) -> HttpResponse:
    """A clerk books for whoever stands before him."""
    found = _item(item)
    form = Visitor(request.POST or None)
    context = _choice(request, found)
    if request.method == "POST" and form.is_valid():
        try:
            if context["hall"] is None or context.get("day") is None:
                raise UserError("请选择大厅和日期")
            if not once(request):
                return redirect("counters:book_for")
            made = actions.book_for(
                context["hall"],
                item,
                context["day"],
                _begin(request),
                group=request.POST.get("group", ""),
                by=request.actor,
                **form.cleaned_data,
            )
            messages.success(request, "预约成功，请把预约码告诉本人。")
            return redirect("counters:appointment", code=made.code)
        except UserError as error:
            form.add_error(None, str(error))
            context = _choice(request, found)
    return render(request, "counters/book_for_item.html", {**context, "form": form})
