"""Public pages: the halls, what is going on in one, its screen, one's ticket on the phone."""

from __future__ import annotations

import segno
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.ui.context import address_of
from lianyun.ui.pages import ActorRequest, public

from ..actions import tickets as actions
from ..queries import halls as queries
from ..queries import tickets as waiting


def qr(text: str) -> str:
    """A QR of a text as a picture that stands in the page itself."""
    return str(segno.make(text, error="m", micro=False).svg_data_uri(scale=6, border=2))


def quiet(response: HttpResponse) -> HttpResponse:
    """A page that no cache keeps."""
    response["Cache-Control"] = "no-store"
    return response


@public
def halls(request: ActorRequest) -> HttpResponse:
    """All halls: where, when, how many wait."""
    now = timezone.now()
    rows = [
        {
            "hall": h,
            "open": queries.open_now(h, now),
            "waiting": sum(q.waiting for q in waiting.queues(request.actor, h, now)),
        }
        for h in queries.halls(request.actor)
    ]
    return render(request, "counters/halls.html", {"rows": rows})


@public
def hall(request: ActorRequest, code: str) -> HttpResponse:
    """One hall: hours, queues as they stand now, its counters."""
    now = timezone.now()
    found = queries.hall_of(request.actor, code)
    return render(
        request,
        "counters/hall.html",
        {
            "hall": found,
            "open": queries.open_now(found, now),
            "counters": queries.counters(request.actor, found),
            "queues": waiting.queues(request.actor, found, now),
        },
    )


@public
def queues(request: ActorRequest, code: str) -> HttpResponse:
    """The live part of a hall's page."""
    found = queries.hall_of(request.actor, code)
    rows = waiting.queues(request.actor, found, timezone.now())
    return quiet(render(request, "counters/_queues.html", {"hall": found, "queues": rows}))


@public
def screen(request: ActorRequest, code: str) -> HttpResponse:
    """The hall's screen: full window, numbers only; it draws itself from screen_now."""
    found = queries.hall_of(request.actor, code)
    board = waiting.board(request.actor, found, timezone.now())
    return render(request, "counters/screen.html", {"hall": found, "board": board})


@public
def screen_now(request: ActorRequest, code: str) -> HttpResponse:
    """What the screen shows, as JSON: no names, no items."""
    found = queries.hall_of(request.actor, code)
    return quiet(JsonResponse(waiting.board(request.actor, found, timezone.now())))


def _shown(request: ActorRequest, code: str) -> dict[str, object]:
    found = waiting.by_code(request.actor, code)
    if found is None:
        raise Http404("no such ticket")
    rating = waiting.rating_code(request.actor, found)
    return {
        "ticket": found,
        "place": waiting.place(request.actor, found, timezone.now()),
        "rate": address_of("ratings:visit", rating) if rating else "",
    }


@public
def ticket(request: ActorRequest, code: str) -> HttpResponse:
    """One's ticket on the phone: how many are before, where to go; leave, or come back."""
    context = _shown(request, code)
    if request.method == "POST":
        row = waiting.by_code(request.actor, code)
        assert row is not None
        try:
            if request.POST.get("do") == "leave":
                actions.leave(row, by=request.actor)
                messages.success(request, "已放弃这个号。")
            else:
                actions.come_back(row, by=request.actor)
                messages.success(request, "已重新排队。")
        except UserError as wrong:
            messages.error(request, str(wrong))
        return redirect("counters:ticket", code=code)
    return quiet(render(request, "counters/ticket.html", context))


@public
def ticket_now(request: ActorRequest, code: str) -> HttpResponse:
    """The live part of a ticket's page."""
    return quiet(render(request, "counters/_ticket.html", _shown(request, code)))


def follow_address(request: ActorRequest, code: str) -> str:
    """The whole address of a ticket's page, for its QR."""
    return request.build_absolute_uri(reverse("counters:ticket", args=[code]))
