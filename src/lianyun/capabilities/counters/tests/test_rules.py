"""Rules: opening hours, who is next, how long it takes, who may book, what an address must say."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lianyun.capabilities.counters.rules import booking, hours, order, parcels, waits

NOW = dt.datetime(2026, 11, 23, 10, 0, tzinfo=dt.UTC)


def at(minute: int) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minute)


def wait(ident: int, lane: str, minute: int, wanted: bool = False) -> order.Waiting:
    return order.Waiting(ident, lane, at(minute), wanted)


def called(rows: list[order.Waiting], *, before: int = 0, run: int = 2) -> list[int]:
    return [w.id for w in order.line(rows, called=before, run=run, now=NOW)]


def test_hours_are_read_as_people_write_them() -> None:
    pairs = hours.parsed("9:00-12:00、13:30—17:00")
    assert pairs == [["09:00", "12:00"], ["13:30", "17:00"]]
    assert hours.spelled(pairs) == "09:00—12:00、13:30—17:00"
    spans = hours.spans(pairs)
    assert hours.is_open_at(spans, 540)
    assert not hours.is_open_at(spans, 720)
    assert hours.slots(hours.spans([["09:00", "10:10"]]), 30) == [(540, 570), (570, 600)]
    assert hours.spans([["00:00", "24:00"]]) == ((0, 1440),)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "至少一段"), ("9点到12点", "应写成"), ("12:00-9:00", "晚于"), ("9:00-12:00 11:00-13:00", "重叠"),
     ("24:30-25:00", "应写成")],
)  # fmt: skip
def test_hours_that_cannot_be_are_refused(text: str, says: str) -> None:
    with pytest.raises(hours.BadHours, match=says):
        hours.parsed(text)


def test_a_hall_opens_by_its_days_and_not_on_its_holidays() -> None:
    day = dt.date(2026, 10, 1)
    assert not hours.opens(day, days="working", working=False, closed=())
    assert hours.opens(day, days="daily", working=False, closed=())
    assert not hours.opens(day, days="daily", working=False, closed=["2026-10-01"])


def test_appointments_and_privileged_go_first_but_nobody_is_passed_for_ever() -> None:
    rows = [wait(n, order.ORDINARY, -60 + n) for n in (1, 2, 3)]
    rows += [wait(n, order.BOOKED, -30 + n) for n in (11, 12, 13)]
    rows += [wait(21, order.FIRST, -40)]
    # Two of the first lanes in the order in which they are due, then the longest waiting.
    assert called(rows) == [21, 11, 1, 12, 13, 2, 3]
    # What was called just before counts: the walk-in is next at once.
    assert called(rows, before=2)[:3] == [1, 21, 11]
    assert called(rows[:3]) == [1, 2, 3]


def test_however_many_privileged_come_a_walk_in_waits_for_two_at_most() -> None:
    rows = [wait(1, order.ORDINARY, -5)] + [wait(n, order.FIRST, -n) for n in range(10, 60)]
    for before in (0, 1, 2):
        assert called(rows, before=before).index(1) <= 2


def test_who_comes_before_the_time_waits_for_it_unless_nobody_else_does() -> None:
    early = wait(9, order.BOOKED, 25)
    assert called([early, wait(1, order.ORDINARY, -1)]) == [1, 9]
    assert called([early]) == [9]


def test_who_was_sent_on_goes_before_all() -> None:
    rows = [wait(1, order.BOOKED, -10), wait(2, order.ORDINARY, 0, wanted=True)]
    assert called(rows) == [2, 1]


def test_lanes_rows_and_the_way_back() -> None:
    assert order.lane_of("", True, False) == order.BOOKED
    assert order.lane_of("", True, True) == order.ORDINARY
    assert order.lane_of("elder", True, True) == order.FIRST
    assert order.in_a_row(["booked", "first", "ordinary", "first"]) == 2
    assert order.in_a_row([]) == 0
    queue = [wait(n, order.ORDINARY, n) for n in range(1, 6)]
    assert order.back_at(queue, 3, NOW) == at(3) + dt.timedelta(microseconds=1)
    assert order.back_at(queue[:2], 3, NOW) == NOW


def test_waiting_times_are_todays() -> None:
    assert waits.service_seconds([60, 600], 8) == 480
    assert waits.service_seconds([60, 120, 600], 8) == 120
    assert waits.minutes_left(5, 2, 240) == 10
    assert waits.minutes_left(0, 1, 240) == 0
    assert waits.minutes_left(5, 0, 240) is None
    assert waits.percentile([], 0.5) is None
    assert waits.percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert waits.percentile(range(1, 11), 0.9) == 9
    (nine, ten) = waits.by_hour([(9, 60), (9, 180), (10, 600)])
    assert (nine.count, nine.half, nine.most, ten.half, ten.label) == (2, 1.0, 3.0, 10.0, "10 时")


def test_one_cancels_in_time_and_comes_in_time() -> None:
    assert booking.may_cancel(at(120), NOW, 120)
    assert not booking.may_cancel(at(119), NOW, 120)
    for minute, word in (
        (31, booking.EARLY),
        (30, booking.DUE),
        (-15, booking.DUE),
        (-16, booking.LATE),
    ):
        assert booking.arrival(at(minute), NOW, early=30, late=15) == word
    assert booking.plain(" ab-c2 ") == "ABC2"


@pytest.mark.parametrize(
    ("missed", "until"),
    [
        ([], None),
        ([1, 2], None),
        ([1, 2, 3], 31),
        ([1, 2, 31], 31),
        ([1, 2, 200], None),
        ([40, 41, 42], None),  # over since
    ],
)
def test_three_missed_appointments_keep_one_away_for_a_while(
    missed: list[int], until: int | None
) -> None:
    today = NOW.date()
    rule = {"times": 3, "within_days": 90, "block_days": 32}
    found = booking.blocked_until([today - dt.timedelta(days=n) for n in missed], today, rule)
    wanted = (
        None if until is None else today - dt.timedelta(days=min(missed)) + dt.timedelta(days=32)
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"phone": "13812345678", "place": "海州区某路 1 号"}, "姓名"),
        ({"name": "张三", "phone": "12", "place": "海州区某路 1 号"}, "电话"),
        ({"name": "张三", "phone": "13812345678", "place": "海州"}, "地址"),
    ],
)
def test_an_address_that_nobody_finds_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(parcels.BadAddress, match=says):
        parcels.address(given)


def test_an_address_is_shown_masked() -> None:
    told = parcels.address(
        {"name": "张三丰", "phone": "13812345678", "place": "连云港市海州区苍梧路 6 号"}
    )
    assert told.shown == "张** 138****5678 连云港市海州区苍梧…"
    assert "三丰" not in told.shown
