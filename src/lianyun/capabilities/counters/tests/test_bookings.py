"""Appointments: never more than a slot holds, once an item and day, cancelled in time, kept or counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from lianyun.capabilities.counters.actions import bookings, tickets
from lianyun.capabilities.counters.models import Booking, Hall, Slot
from lianyun.capabilities.counters.queries import bookings as queries
from lianyun.capabilities.counters.queries import halls
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError

from .conftest import ITEM, NUMBERS, person

pytestmark = pytest.mark.django_db
TEN = 600


def book(hall: Hall, day: dt.date, by: Actor, begin: int = TEN, item: str = ITEM) -> Booking:
    assert by.party is not None
    return bookings.book(hall, item, day, begin, person=by.party, by=by)


def test_a_hall_takes_what_its_level_may_and_knows_the_queue(hall: Hall) -> None:
    found = items.find(ITEM)
    assert found is not None
    assert halls.letter_for(hall, found) == "B"
    village = Hall.objects.get(code="huaguoshan_village")
    assert ("village" in found.reach) == bool(halls.letter_for(village, found))
    taken = [h.code for h, _ in halls.halls_for(ANONYMOUS, found)]
    assert "city" in taken


def test_one_books_cancels_and_books_again(hall: Hall, citizen: Actor, day: dt.date) -> None:
    made = book(hall, day, citizen)
    assert Slot.objects.get(pk=made.slot_id).taken == 1
    with pytest.raises(UserError, match="当天已有预约"):
        book(hall, day, citizen, begin=660)
    # The refused one took no place.
    assert not Slot.objects.filter(begin=660, taken__gt=0).exists()
    bookings.cancel(made, by=citizen)
    assert Slot.objects.get(pk=made.slot_id).taken == 0
    with pytest.raises(UserError, match="已经取消"):
        bookings.cancel(made, by=citizen)
    assert book(hall, day, citizen).code != made.code


def test_what_cannot_be_booked_says_why(
    hall: Hall, citizen: Actor, day: dt.date, officer: Callable[..., Actor]
) -> None:
    assert citizen.party is not None
    weak = person(NUMBERS[1], "李四", level=identity.SELF)
    stranger = person(NUMBERS[2], "赵大爷")
    with pytest.raises(Denied, match="两要素"):
        book(hall, day, weak)
    with pytest.raises(Denied, match="代其预约"):
        bookings.book(hall, ITEM, day, TEN, person=citizen.party, by=stranger)
    with pytest.raises(UserError, match="换一天"):
        book(hall, timezone.localdate() + dt.timedelta(days=30), citizen)
    with pytest.raises(UserError, match="时段"):
        book(hall, day, citizen, begin=601)
    with pytest.raises(UserError, match="没有这个事项"):
        book(hall, day, citizen, item="no_such_item")
    made = book(hall, day, citizen)
    assert queries.one(stranger, made.code) is None
    with pytest.raises(Denied):
        bookings.cancel(made, by=stranger)
    Slot.objects.filter(pk=made.slot_id).update(capacity=1)
    with pytest.raises(UserError, match="约满"):
        book(hall, day, stranger)


def test_it_is_too_late_to_cancel_before_the_slot(hall: Hall, citizen: Actor, day: dt.date) -> None:
    made = book(hall, day, citizen)
    soon = timezone.localdate() - dt.timedelta(days=1)
    Slot.objects.filter(pk=made.slot_id).update(day=soon)
    with pytest.raises(UserError, match="不能取消"):
        bookings.cancel(made, by=citizen)


def test_who_does_not_come_three_times_is_kept_away_but_not_from_the_door(
    hall: Hall, citizen: Actor, clerk: Actor, day: dt.date
) -> None:
    for n in range(3):
        made = book(hall, day, citizen)
        past = timezone.localdate() - dt.timedelta(days=n + 1)
        Booking.objects.filter(pk=made.pk).update(day=past)
    assert bookings.count_missed(by=clerk) == 3
    assert bookings.count_missed(by=clerk) == 0
    with pytest.raises(UserError, match="不能网上预约"):
        book(hall, day, citizen)
    assert tickets.take(hall, "B", by=clerk).label == "B001"


def test_a_village_clerk_books_for_who_stands_before_him(
    hall: Hall, day: dt.date, officer: Callable[..., Actor]
) -> None:
    helper = officer("zwb", "village_clerk")
    told = {"number": NUMBERS[2], "name": "赵大爷"}
    with pytest.raises(UserError, match="身份证原件"):
        bookings.book_for(hall, ITEM, day, TEN, seen=False, by=helper, **told)
    made = bookings.book_for(hall, ITEM, day, TEN, seen=True, group="elder", by=helper, **told)
    assert queries.one(helper, made.code) == made
    with pytest.raises(UserError, match="不一致"):
        bookings.book_for(
            hall, ITEM, day, 660, number=NUMBERS[2], name="钱某", seen=True, by=helper
        )
    with pytest.raises(Denied):
        bookings.book_for(hall, ITEM, day, 660, seen=True, by=officer("ga", "approver"), **told)
