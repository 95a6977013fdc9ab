"""At once: real threads against PostgreSQL: the last place, the next ticket, the number on the slip."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from lianyun.capabilities.counters.actions import bookings, halls, tickets
from lianyun.capabilities.counters.models import Booking, Counter, Slot, Ticket
from lianyun.kernel.access import Actor, UserError

from .conftest import ITEM, open_hall, person

pytestmark = pytest.mark.django_db(transaction=True)
NUMBERS = (
    "320703199003070016",
    "320703198811110034",
    "320703194001010017",
)


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """What each of several threads got, or its UserError in words; none may fail otherwise."""
    said: list[Any] = []
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> None:
        try:
            gate.wait(20)
            said.append(job())
        except UserError as told:
            said.append(str(told))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == len(jobs)
    return said


def test_nobody_gets_what_another_has(officer: Callable[..., Actor]) -> None:
    hall = open_hall()
    day = timezone.localdate() + dt.timedelta(days=3)
    people = [person(number, f"办事人{n}") for n, number in enumerate(NUMBERS)]
    Slot.objects.create(hall=hall, letter="B", day=day, begin=600, end=630, capacity=2)

    def book(by: Actor) -> Callable[[], Any]:
        assert by.party is not None
        return lambda: bookings.book(hall, ITEM, day, 600, person=by.party, by=by)  # type: ignore[arg-type]

    # Three want the two places, and the first presses twice.
    told = at_once(*(book(p) for p in (*people, people[0])))
    made = [b for b in told if isinstance(b, Booking)]
    assert len(made) == 2
    assert len({b.person_id for b in made}) == 2
    assert Slot.objects.get(begin=600).taken == 2

    clerks = [officer("zwb", "window_clerk", name=f"窗口{n}") for n in (1, 2)]
    seats = [
        halls.sign_on(Counter.objects.get(hall=hall, number=n), by=by)
        for n, by in zip((1, 2), clerks, strict=True)
    ]
    # Six at the door at once: six numbers, none twice.
    given = at_once(*(lambda: tickets.take(hall, "A", by=clerks[0]) for _ in range(6)))
    assert sorted(t.number for t in given) == [1, 2, 3, 4, 5, 6]
    # Both clerks press, each twice: each has one ticket, the second press is told so.
    called = at_once(
        *(
            lambda c=c, by=by: tickets.call_next(c, by=by)
            for c, by in zip(seats * 2, clerks * 2, strict=True)
        )
    )
    got = [t for t in called if isinstance(t, Ticket)]
    assert sorted(t.number for t in got) == [1, 2]
    assert sum("请先办结" in str(t) for t in called) == 2
    # One finishes while he passes over by a second press: one of the two holds.
    mine = next(t for t in got if t.counter_id == seats[0].pk)
    ends = at_once(
        lambda: tickets.finish(mine, by=clerks[0]), lambda: tickets.finish(mine, by=clerks[0])
    )
    assert sum(isinstance(e, Ticket) for e in ends) == 1
