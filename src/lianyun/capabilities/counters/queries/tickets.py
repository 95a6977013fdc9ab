"""Tickets: who waits in which order, how long still, what the screen shows, what a clerk has before him."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall_api
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Party

from ..adapters.declared import rules as declared
from ..models import Counter, Hall, Ticket
from ..rules import order, waits
from . import halls

RATING_USE = "counters.rating"
SHOWN = 8
"""So many calls fit on a hall's screen."""
HELD = (Ticket.CALLED, Ticket.SERVING)


def today(now: dt.datetime) -> dt.date:
    """The city's day of a moment."""
    return timezone.localtime(now).date()


def waiting(
    hall: Hall, letters: Iterable[str] | None, now: dt.datetime, counter: Counter | None = None
) -> list[Ticket]:
    """Tickets that wait in some queues (None: in all), in the order in which they will be called.

    With `counter`, those that were sent on to it come first and those sent elsewhere are left out.
    """
    rows, called = _rows(hall, letters, now, counter)
    return _in_line(list(rows), called, now, counter)


def next_for(counter: Counter, now: dt.datetime) -> Ticket | None:
    """Who is called next at a counter: only the head of each lane is read, however many wait."""
    rows, called = _rows(counter.hall, serving_letters(counter), now, counter)
    order_by = ("lane", "place_at", "id")
    heads = list(rows.filter(wanted=None).order_by(*order_by).distinct("lane"))
    heads += list(rows.filter(wanted=counter).order_by("place_at", "id")[:1])
    line = _in_line(heads, called, now, counter)
    return line[0] if line else None


@dataclass(frozen=True)
class Near:
    """Somebody known whose ticket will be called soon: so many are still before it."""

    person: Party
    code: str
    label: str
    hall: str
    ahead: int


def near(number: int, ahead: int, *, viewer: Actor) -> list[Near]:
    """Who waits in a called ticket's queue with at most so many before, of those who are known.

    Nobody where the ticket is gone or of another day.
    """
    viewer.require(halls.SERVE)
    now = timezone.now()
    called = Ticket.objects.select_related("hall").filter(pk=number, day=today(now)).first()
    if called is None:
        return []
    line = waiting(called.hall, [called.letter], now)[: ahead + 1]
    return [
        Near(t.person, t.code, t.label, called.hall.title, place)
        for place, t in enumerate(line)
        if t.person is not None
    ]


def _rows(
    hall: Hall, letters: Iterable[str] | None, now: dt.datetime, counter: Counter | None
) -> tuple[models.QuerySet[Ticket], models.QuerySet[Ticket]]:
    """Today's tickets of some queues that wait, and those that were called."""
    rows = Ticket.objects.filter(hall=hall, day=today(now), stage=Ticket.WAITING)
    called = Ticket.objects.filter(hall=hall, day=today(now)).exclude(first_called_at=None)
    sent = models.Q(wanted=counter) if counter is not None else models.Q(pk=None)
    if letters is not None:
        chosen = list(letters)
        rows = rows.filter(models.Q(letter__in=chosen) | sent)
        called = called.filter(letter__in=chosen)
    if counter is not None:
        rows = rows.filter(models.Q(wanted=None) | sent)
    return rows, called


def _in_line(
    found: list[Ticket],
    called: models.QuerySet[Ticket],
    now: dt.datetime,
    counter: Counter | None,
) -> list[Ticket]:
    rule = declared()["order"]
    lanes = list(
        called.order_by("-first_called_at").values_list("lane", flat=True)[: int(rule["run"])]
    )
    by_id = {t.pk: t for t in found}
    line = order.line(
        [
            order.Waiting(
                t.pk, t.lane, t.place_at, counter is not None and t.wanted_id == counter.pk
            )
            for t in found
        ],
        called=order.in_a_row(lanes),
        run=int(rule["run"]),
        now=now,
    )
    return [by_id[w.id] for w in line]


def serving_letters(counter: Counter) -> list[str] | None:
    """The queues that a counter calls; None means every queue of its hall."""
    return list(counter.letters) or None


def for_counter(viewer: Actor, counter: Counter, now: dt.datetime) -> list[Ticket]:
    """Who would be called at this counter, in order."""
    viewer.require(halls.SERVE, counter.hall.department)
    return waiting(counter.hall, serving_letters(counter), now, counter)


def held(viewer: Actor, counter: Counter) -> Ticket | None:
    """The ticket that stands before a counter: called, or being served."""
    del viewer
    return counter.tickets.filter(stage__in=HELD).select_related("booking", "person").first()


def missed(viewer: Actor, hall: Hall, now: dt.datetime) -> list[Ticket]:
    """Today's tickets whose persons did not come when they were called."""
    viewer.require(halls.SERVE, hall.department)
    rows = Ticket.objects.filter(hall=hall, day=today(now), stage=Ticket.MISSED)
    return list(rows.select_related("counter").order_by("-ended_at")[:20])


def ticket_of(viewer: Actor, number: int) -> Ticket:
    """One ticket of a hall where the viewer may serve; raises Denied."""
    found = (
        Ticket.objects.select_related("hall__department", "counter", "booking", "person")
        .filter(pk=number)
        .first()
    )
    if found is None:
        raise Denied("没有这个号")
    viewer.require(halls.SERVE, found.hall.department)
    return found


def by_code(viewer: Actor, code: str) -> Ticket | None:
    """The ticket that bears this code (its QR): whoever holds the slip may follow it."""
    del viewer
    return Ticket.objects.select_related("hall", "counter").filter(code=code).first()


# ---- how long -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a ticket stands in its queue."""

    ahead: int
    minutes: int | None
    early: bool
    """The appointment's time has not come yet."""


def _at_work(hall: Hall, letter: str) -> int:
    rows = hall.counters.filter(active=True, resting=False).exclude(clerk=None)
    return sum(c.serves(letter) for c in rows)


def _service(hall: Hall, letter: str, day: dt.date) -> float:
    rows = (
        Ticket.objects.filter(hall=hall, day=day, letter=letter, stage=Ticket.DONE)
        .exclude(called_at=None)
        .values_list("called_at", "ended_at")
        .order_by("-ended_at")[:40]
    )
    done = [(end - begin).total_seconds() for begin, end in rows if begin and end]
    return waits.service_seconds(done, float(declared()["service_minutes"]))


def place(viewer: Actor, ticket: Ticket, now: dt.datetime) -> Place:
    """How many wait before a ticket and about how long it takes, by today's figures."""
    del viewer
    line = waiting(ticket.hall, [ticket.letter], now)
    ahead = next((n for n, t in enumerate(line) if t.pk == ticket.pk), 0)
    counters = _at_work(ticket.hall, ticket.letter)
    minutes = waits.minutes_left(ahead, counters, _service(ticket.hall, ticket.letter, ticket.day))
    early = ticket.lane == order.BOOKED and ticket.place_at > now
    return Place(ahead, minutes, early)


@dataclass(frozen=True)
class Queue:
    """One queue of a hall right now."""

    letter: str
    title: str
    waiting: int
    counters: int
    minutes: int | None


def queues(viewer: Actor, hall: Hall, now: dt.datetime) -> list[Queue]:
    """A hall's queues: how many wait, how many counters are at work, how long a newcomer waits."""
    del viewer  # public
    day = today(now)
    counts = dict(
        Ticket.objects.filter(hall=hall, day=day, stage=Ticket.WAITING)
        .values_list("letter")
        .annotate(n=models.Count("pk"))
        .order_by()
    )
    at_work = list(hall.counters.filter(active=True, resting=False).exclude(clerk=None))
    out = []
    for queue in hall.queues:
        letter = str(queue["letter"])
        count = counts.get(letter, 0)
        working = sum(c.serves(letter) for c in at_work)
        minutes = waits.minutes_left(count, working, _service(hall, letter, day))
        out.append(Queue(letter, str(queue["title"]), count, working, minutes))
    return out


# ---- the screen -----------------------------------------------------------------------------


def calls(viewer: Actor, hall: Hall, now: dt.datetime) -> list[Ticket]:
    """The tickets that were called last and are still wanted or served, newest first."""
    del viewer  # numbers only, for everybody in the hall
    rows = Ticket.objects.filter(hall=hall, day=today(now), stage__in=HELD)
    return list(rows.select_related("counter").order_by("-called_at")[:SHOWN])


def board(viewer: Actor, hall: Hall, now: dt.datetime) -> dict[str, Any]:
    """What the screen draws: calls (key changes with every call), queues, the hall's clock."""
    found = calls(viewer, hall, now)
    return {
        "at": timezone.localtime(now).strftime("%H:%M"),
        "open": halls.open_now(hall, now),
        "calls": [
            {
                "key": f"{t.pk}-{t.calls}",
                "ticket": t.label,
                "counter": t.counter.number if t.counter else 0,
                "title": t.counter.title if t.counter else "",
                "now": t.stage == Ticket.CALLED,
                "speak": spoken(t),
            }
            for t in found
        ],
        "queues": [
            {"letter": q.letter, "title": q.title, "waiting": q.waiting, "minutes": q.minutes}
            for q in queues(viewer, hall, now)
        ],
    }


_DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))


def spoken(ticket: Ticket) -> str:
    """What the loudspeaker says: the number digit by digit, the counter; never a name."""
    digits = "".join(_DIGITS[c] for c in f"{ticket.number:03d}")
    counter = ticket.counter.number if ticket.counter else 0
    return f"请 {ticket.letter} {digits} 号，到 {counter} 号窗口"


def rating_code(viewer: Actor, ticket: Ticket) -> str:
    """The code with which a finished visit may be rated, for whoever holds the ticket."""
    del viewer
    if not ticket.rating:
        return ""
    return audit.decrypt(ticket.rating, RATING_USE).decode()


def case_code(viewer: Actor, ticket: Ticket) -> str:
    """The case behind a visit: filed at this counter, or filed online before by who booked; "" for none.

    Its code only: the desk judges for itself what the viewer may read of it.
    """
    viewer.require(halls.SERVE, ticket.hall.department)
    rows = hall_api.Application.objects.exclude(case=None)
    if ticket.application:
        rows = rows.filter(code=ticket.application)
    elif ticket.person_id and ticket.item:
        rows = rows.filter(applicant=ticket.person, item=ticket.item, case__closed_at=None)
    else:
        return ""
    found = rows.order_by("-id").values_list("case__code", flat=True).first()
    return str(found or "")


def done_today(viewer: Actor, counter: Counter, now: dt.datetime) -> Sequence[Ticket]:
    """What a counter finished today, newest first."""
    viewer.require(halls.SERVE, counter.hall.department)
    rows = counter.tickets.filter(day=today(now), stage=Ticket.DONE)
    return list(rows.order_by("-ended_at")[:10])


__all__ = [
    "HELD",
    "RATING_USE",
    "Place",
    "Queue",
    "board",
    "by_code",
    "calls",
    "case_code",
    "done_today",
    "for_counter",
    "held",
    "missed",
    "next_for",
    "place",
    "queues",
    "rating_code",
    "serving_letters",
    "spoken",
    "ticket_of",
    "today",
    "waiting",
]
