"""A day is closed: appointments are moved or called off with the reason, another slot is one press away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from lianyun.capabilities.counters.actions import bookings, closings, halls
from lianyun.capabilities.counters.models import Booking, Hall, Slot
from lianyun.capabilities.counters.queries import bookings as queries
from lianyun.capabilities.counters.rules import booking as rules
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.models import Event

from .conftest import ITEM, NUMBERS, person

pytestmark = pytest.mark.django_db
TEN = 600


def test_the_nearest_slot() -> None:
    slots = [queries.Free(b, b + 30, 1) for b in (540, 630, 900)]
    assert rules.nearest(slots, 600).begin == 630
    assert rules.nearest(slots, 585).begin == 540
    assert rules.nearest(slots, 2000).begin == 900


def test_a_closed_day_moves_or_calls_off(
    hall: Hall, citizen: Actor, day: dt.date, officer: Callable[..., Actor]
) -> None:
    manager = officer("zwb", "hall_manager")
    lisi = person(NUMBERS[1], "李四")
    assert citizen.party is not None
    assert lisi.party is not None
    mine = bookings.book(hall, ITEM, day, TEN, person=citizen.party, by=citizen)
    theirs = bookings.book(hall, ITEM, day, TEN, person=lisi.party, by=lisi)
    # Lisi has the item on the next open day already: hers cannot be moved there.
    closings.close_day(hall, day - dt.timedelta(days=3), reason="停电", by=manager)
    tomorrow = day - dt.timedelta(days=2)
    other = bookings.book(hall, ITEM, tomorrow, TEN, person=lisi.party, by=lisi)
    with pytest.raises(Denied):
        closings.close_day(hall, day, reason="检修", by=officer("zwb", "window_clerk"))
    with pytest.raises(UserError, match="原因"):
        closings.close_day(hall, day, reason=" ", by=manager)
    with pytest.raises(UserError, match="已有预约"):
        halls.edit_hall(
            hall, title=hall.title, address="", phone="", days="daily", hours_text="00:00-24:00",
            closed=day.isoformat(), by=manager,
        )  # fmt: skip
    assert queries.affected(manager, hall, day, "B") == 2
    assert queries.affected(manager, hall, day, "A") == 0
    made = closings.close_day(hall, day, letter="B", reason="系统升级", move=True, by=manager)
    assert (made.moved, made.called_off) == (2, 0)
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.day, mine.slot.begin, mine.slot.letter) == (tomorrow, TEN, "B")
    assert mine.before.startswith(day.isoformat())
    assert theirs.day == tomorrow + dt.timedelta(days=1)
    assert Slot.objects.filter(day=day, taken__gt=0).count() == 0
    told = Event.objects.filter(kind="booking.moved").order_by("id")
    assert [e.data["to"] for e in told] == [[citizen.party.ref], [lisi.party.ref]]
    assert told[0].data["reason"] == "系统升级"
    assert "张三丰" not in str(told[0].data)
    with pytest.raises(UserError, match="本来就不开放"):
        closings.close_day(hall, day, letter="B", reason="再来", by=manager)
    with pytest.raises(UserError, match="不能预约"):
        bookings.book(hall, ITEM, day, TEN, person=citizen.party, by=citizen)

    # Called off: the page offers slots; one press takes one, a second press gets the same.
    whole = closings.close_day(hall, tomorrow, reason="大厅检修", by=manager)
    assert (whole.moved, whole.called_off) == (0, 2)
    other.refresh_from_db()
    assert other.called_off
    now = timezone.now()
    assert queries.standing(lisi, other, now) == ("大厅停办，已取消", "amber")
    offered = queries.proposals(lisi, other, now)
    assert len(offered) == 3
    assert not {p.day for p in offered} & {day, tomorrow}
    with pytest.raises(Denied):
        bookings.rebook(other, offered[0].day, offered[0].slot.begin, by=citizen)
    free = next(p for p in offered if p.day != theirs.day)
    fresh = bookings.rebook(other, free.day, free.slot.begin, by=lisi)
    assert bookings.rebook(other, free.day, free.slot.begin, by=lisi) == fresh
    other.refresh_from_db()
    assert queries.standing(lisi, other, now)[0] == "已改约"
    assert not Booking.objects.filter(missed_at__isnull=False).exists()
    off = Event.objects.filter(kind="booking.called_off").order_by("id")
    assert {(e.data["code"], e.data["to"][0]) for e in off} == {
        (other.code, lisi.party.ref), (mine.code, citizen.party.ref)
    }  # fmt: skip

    closings.lift_closing(made, by=manager)
    again = bookings.book(hall, ITEM, day, TEN, person=citizen.party, by=citizen)
    assert again.day == day

    # Moved by the hall and then cancelled by the person: that is not the hall's calling it off.
    at = again.slot.begin
    closed = closings.close_day(hall, day, letter="B", reason="消防演练", move=True, by=manager)
    assert closed.moved == 1
    bookings.cancel(again, by=citizen)
    again.refresh_from_db()
    assert again.cancelled_at is not None
    assert not again.called_off
    with pytest.raises(UserError, match="没有被大厅取消"):
        bookings.rebook(again, again.day, at, by=citizen)
    closings.lift_closing(closed, by=manager)
    with pytest.raises(UserError, match="已经取消"):
        closings.lift_closing(made, by=manager)
