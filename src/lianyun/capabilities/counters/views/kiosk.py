"""Kiosk: large pages for a registered terminal; what one visitor did is gone before the next comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, public

from ..actions import devices as terminals
from ..actions import progress as progressing
from ..actions import tickets as actions
from ..adapters import declared
from ..queries import halls as queries
from ..queries import tickets as waiting
from .public import follow_address, qr

COOKIE = "lianyun_terminal"
COOKIE_AGE = 400 * 24 * 3600
AT = "terminal_at"
GRACE = 20
"""Seconds beyond the declared rest after which the server wipes the session by itself."""
View = Callable[..., HttpResponse]


def _rest() -> int:
    return int(declared.rules()["rest_seconds"])


def kiosk(view: View) -> View:
    """A page of a registered terminal: nobody is signed in here, an old session is wiped, no cache."""

    @wraps(view)
    def call(request: ActorRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        device = queries.device_by_key(request.actor, request.COOKIES.get(COOKIE, ""))
        if device is None:
            return redirect("counters:kiosk_register")
        terminals.seen(device)
        last = request.session.get(AT, 0)
        late = bool(last) and time.time() - last > _rest() + GRACE
        if request.actor.known or late:
            request.session.flush()
            return redirect("counters:kiosk")
        request.session[AT] = int(time.time())
        response = view(request, device, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    return call


def _page(request: ActorRequest, template: str, device: Any, **context: Any) -> HttpResponse:
    told = {"device": device, "hall": device.hall, "rest": _rest(), **context}
    return render(request, f"counters/kiosk_{template}.html", told)


@public
def register(request: ActorRequest) -> HttpResponse:
    """A new terminal types its one-time code and is known from then on."""
    wrong = ""
    if request.method == "POST":
        try:
            _, key = terminals.enroll(request.POST.get("code", ""), by=request.actor)
        except UserError as error:
            wrong = str(error)
        else:
            request.session.flush()
            response = redirect("counters:kiosk")
            response.set_cookie(
                COOKIE, key, max_age=COOKIE_AGE, path="/kiosk/", httponly=True,
                samesite="Strict", secure=request.is_secure(),
            )  # fmt: skip
            return response
    return render(request, "counters/kiosk_register.html", {"wrong": wrong, "rest": 0})


@public
@kiosk
def home(request: ActorRequest, device: Any) -> HttpResponse:
    """What the terminal can do."""
    return _page(request, "home", device, open=queries.open_now(device.hall, timezone.now()))


@public
def end(request: ActorRequest) -> HttpResponse:
    """The visitor is finished, or has gone: nothing of the visit is left."""
    if request.method == "POST":
        request.session.flush()
    return redirect("counters:kiosk")


def _slip(request: ActorRequest, device: Any, made: Any) -> HttpResponse:
    place = waiting.place(request.actor, made, timezone.now())
    picture = qr(follow_address(request, made.code))
    return _page(request, "slip", device, ticket=made, place=place, picture=picture)


@public
@kiosk
def ticket(request: ActorRequest, device: Any) -> HttpResponse:
    """Take a number: what for, and whether one belongs to a group that goes first."""
    if request.method == "POST":
        try:
            if not once(request):
                return redirect("counters:kiosk")
            made = actions.take(
                device.hall,
                request.POST.get("letter", ""),
                item=request.POST.get("item", ""),
                group=request.POST.get("group", ""),
                device=device,
                by=request.actor,
            )
            return _slip(request, device, made)
        except UserError as wrong:
            messages.error(request, str(wrong))
            return redirect("counters:kiosk_ticket")
    now = timezone.now()
    item = items.find(request.GET.get("item", "")) if request.GET.get("item") else None
    return _page(
        request,
        "ticket",
        device,
        open=queries.open_now(device.hall, now),
        queues=waiting.queues(request.actor, device.hall, now),
        groups=declared.groups().items(),
        item=item,
        letter=queries.letter_for(device.hall, item) if item else "",
    )


@public
@kiosk
def check_in(request: ActorRequest, device: Any) -> HttpResponse:
    """Who has an appointment types or scans its code."""
    wrong = ""
    if request.method == "POST":
        try:
            terminals.spend(device)
            made = actions.check_in(
                request.POST.get("code", ""), device.hall, device=device, by=request.actor
            )
            return _slip(request, device, made)
        except UserError as error:
            wrong = str(error)
    return _page(request, "check_in", device, wrong=wrong)


@public
@kiosk
def back(request: ActorRequest, device: Any) -> HttpResponse:
    """Who missed the call scans the slip (or types its number) and waits again."""
    wrong = ""
    if request.method == "POST":
        try:
            terminals.spend(device)
            text = request.POST.get("code", "").strip().rstrip("/").rsplit("/", 1)[-1]
            found = waiting.by_code(request.actor, text)
            if found is None:
                raise UserError("请扫描号票上的二维码")
            return _slip(request, device, actions.come_back(found, by=request.actor))
        except UserError as error:
            wrong = str(error)
    return _page(request, "back", device, wrong=wrong)


@public
@kiosk
def items_page(request: ActorRequest, device: Any) -> HttpResponse:
    """Look up what one needs, in everyday words."""
    text = request.GET.get("q", "").strip()[:60]
    found = items.search(text, viewer=request.actor) if text else None
    return _page(request, "items", device, q=text, found=found, home=items.home(items.PERSON))


@public
@kiosk
def item(request: ActorRequest, device: Any, code: str) -> HttpResponse:
    """One item: its questions, then the one-time notice, to be read and printed."""
    found = items.find(code)
    if found is None:
        messages.error(request, "没有这个事项，或者它已停止办理")
        return redirect("counters:kiosk_items")
    answers = items.answers_of(found, request.GET)
    left = items.open_questions(found, answers)
    return _page(
        request,
        "item",
        device,
        item=found,
        question=left[0] if left else None,
        answers=answers.items(),
        notice=None if left else items.notice(found, answers),
        letter=queries.letter_for(device.hall, found),
    )


@public
@kiosk
def progress(request: ActorRequest, device: Any) -> HttpResponse:
    """How a case stands, by its number and the last four of the applicant's own."""
    told, wrong = None, ""
    if request.method == "POST":
        try:
            told = progressing.look_up(
                device, request.POST.get("code", ""), request.POST.get("last", ""), by=request.actor
            )
        except UserError as error:
            wrong = str(error)
    return _page(request, "progress", device, told=told, wrong=wrong)


@public
@kiosk
def verify(request: ActorRequest, device: Any) -> HttpResponse:
    """Whether a licence is true and in force, by the code of its QR."""
    verdict, wrong = None, ""
    if request.method == "POST":
        try:
            terminals.spend(device)
            text = request.POST.get("code", "").strip().lower().rstrip("/").rsplit("/", 1)[-1]
            if not text:
                raise UserError("请扫描或输入证照上的核验码")
            verdict = licences.verify(text[:64], request.actor)
        except UserError as error:
            wrong = str(error)
    return _page(request, "verify", device, verdict=verdict, wrong=wrong)
