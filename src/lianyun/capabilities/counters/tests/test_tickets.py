"""Tickets: given at the door, called by one clerk, passed over, sent on, finished; slips bear no name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.counters.actions import bookings, devices, halls, tickets
from lianyun.capabilities.counters.models import Counter, Hall, Ticket
from lianyun.capabilities.counters.queries import figures
from lianyun.capabilities.counters.queries import tickets as queries
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError

from .conftest import ITEM

pytestmark = pytest.mark.django_db


def seat(hall: Hall, number: int, by: Actor) -> Counter:
    return halls.sign_on(Counter.objects.get(hall=hall, number=number), by=by)


def test_a_ticket_is_given_at_the_door_only(hall: Hall, clerk: Actor, citizen: Actor) -> None:
    with pytest.raises(Denied, match="自助终端"):
        tickets.take(hall, "A", by=citizen)
    with pytest.raises(UserError, match="选择"):
        tickets.take(hall, "Z", by=clerk)
    first, second = (tickets.take(hall, "A", by=clerk) for _ in range(2))
    assert (first.label, second.label) == ("A001", "A002")
    assert queries.place(ANONYMOUS, second, timezone.now()).ahead == 1
    shut = Hall.objects.get(code="huaguoshan")
    Hall.objects.filter(pk=shut.pk).update(closed=[timezone.localdate().isoformat()])
    with pytest.raises(UserError, match="不开放"):
        tickets.take(Hall.objects.get(pk=shut.pk), "A", by=clerk)


def test_an_appointment_checks_in_once_and_goes_before_walk_ins(
    hall: Hall, clerk: Actor, citizen: Actor, day: dt.date
) -> None:
    assert citizen.party is not None
    made = bookings.book(hall, ITEM, day, 600, person=citizen.party, by=citizen)
    starts = made.slot.starts
    other = Hall.objects.get(code="huaguoshan")
    with pytest.raises(UserError, match="不是今天"):
        tickets.check_in(made.code, hall, by=clerk)
    with pytest.raises(UserError, match="最早提前"):
        tickets.check_in(made.code, hall, at=starts - dt.timedelta(hours=1), by=clerk)
    with pytest.raises(UserError, match="您预约的是"):
        tickets.check_in(made.code, other, at=starts, by=clerk)
    with pytest.raises(UserError, match="没有这个预约"):
        tickets.check_in("AAAA2222", hall, at=starts, by=clerk)
    walk = tickets.take(hall, "B", at=starts - dt.timedelta(minutes=20), by=clerk)
    ticket = tickets.check_in(made.code.lower(), hall, at=starts, by=clerk)
    assert tickets.check_in(made.code, hall, at=starts, by=clerk) == ticket
    assert [t.pk for t in queries.waiting(hall, ["B"], starts)] == [ticket.pk, walk.pk]
    assert ticket.person == citizen.party


def test_a_visit_from_the_call_to_the_rating(hall: Hall, clerk: Actor) -> None:
    counter = Counter.objects.get(hall=hall, number=4)
    with pytest.raises(UserError, match="上岗"):
        tickets.call_next(counter, by=clerk)
    counter = seat(hall, 4, clerk)
    with pytest.raises(UserError, match="没有人等候"):
        tickets.call_next(counter, by=clerk)
    tickets.take(hall, "A", by=clerk)  # not for this counter
    first, second = (tickets.take(hall, "B", by=clerk) for _ in range(2))
    called = tickets.call_next(counter, by=clerk)
    assert called == first
    with pytest.raises(UserError, match="请先办结"):
        tickets.call_next(counter, by=clerk)
    board = queries.board(ANONYMOUS, hall, timezone.now())
    assert board["calls"][0]["ticket"] == "B001"
    assert board["calls"][0]["speak"] == "请 B 零零一 号，到 4 号窗口"
    with pytest.raises(UserError, match="重呼"):
        tickets.pass_over(called, by=clerk)
    tickets.recall(called, by=clerk)
    tickets.pass_over(called, by=clerk)
    assert tickets.call_next(counter, by=clerk) == second
    tickets.serve(second, by=clerk)
    done = tickets.finish(second, by=clerk)
    code = queries.rating_code(ANONYMOUS, done)
    assert len(code) == 10
    assert code not in done.rating
    page = Client().get(f"/tickets/{done.code}/")
    assert f"/ratings/visit/{code}/" in page.content.decode()
    with pytest.raises(UserError, match="已办结"):
        tickets.finish(second, by=clerk)
    back = tickets.come_back(first, by=ANONYMOUS)
    assert back.stage == Ticket.WAITING
    with pytest.raises(UserError, match="没有过号"):
        tickets.come_back(first, by=ANONYMOUS)
    tickets.leave(back, by=ANONYMOUS)
    halls.sign_off(counter, by=clerk)
    told = figures.day(clerk, hall, done.day)
    assert (told.tickets, told.served) == (3, 1)
    assert told.loads[0].counter == "4 号 公安窗口"
    assert told.hours[0].count == 2


def test_who_is_sent_on_is_first_there_and_nobody_elses(
    hall: Hall, clerk: Actor, officer: Callable[..., Actor]
) -> None:
    other = officer("zwb", "window_clerk", name="另一位")
    here, there = seat(hall, 3, clerk), seat(hall, 6, other)
    first = tickets.take(hall, "A", by=clerk)
    tickets.take(hall, "D", by=clerk)
    second = tickets.take(hall, "A", by=clerk)
    tickets.send_on(tickets.call_next(here, by=clerk), there, by=clerk)
    assert tickets.call_next(here, by=clerk) == second
    assert tickets.call_next(there, by=other) == first
    with pytest.raises(UserError, match="上岗"):
        tickets.finish(second, by=other)


def test_a_seat_is_one_clerks_and_a_clerk_has_one_seat(
    hall: Hall, clerk: Actor, officer: Callable[..., Actor]
) -> None:
    other = officer("zwb", "window_clerk", name="另一位")
    seat(hall, 1, clerk)
    with pytest.raises(UserError, match="已有人"):
        seat(hall, 1, other)
    second = seat(hall, 2, clerk)
    assert Counter.objects.get(hall=hall, number=1).clerk is None
    halls.rest(second, True, by=clerk)
    with pytest.raises(UserError, match="暂停"):
        tickets.call_next(second, by=clerk)
    with pytest.raises(Denied):
        seat(hall, 1, officer("ga", "approver"))
    # A seat left over from yesterday is free again.
    Counter.objects.filter(pk=second.pk).update(since=timezone.now() - dt.timedelta(days=1))
    assert seat(hall, 2, other).clerk == other.party


def test_the_manager_changes_hours_queues_and_counters(
    hall: Hall, clerk: Actor, officer: Callable[..., Actor]
) -> None:
    chief = officer("zwb", "hall_manager")
    plain = {"title": hall.title, "address": hall.address, "phone": "", "days": "daily"}
    with pytest.raises(UserError, match="应写成"):
        halls.edit_hall(hall, hours_text="上午", closed="", by=chief, **plain)
    with pytest.raises(UserError, match="休息日"):
        halls.edit_hall(hall, hours_text="9:00-12:00", closed="下周", by=chief, **plain)
    row = halls.edit_hall(hall, hours_text="9:00-12:00", closed="2026-12-31", by=chief, **plain)
    assert row.closed == ["2026-12-31"]
    with pytest.raises(Denied):
        halls.edit_hall(hall, hours_text="9:00-12:00", closed="", by=clerk, **plain)
    # What was edited is not undone by the next installation.
    halls.sync_declared(by=chief)
    assert Hall.objects.get(pk=hall.pk).hours == [["09:00", "12:00"]]
    row = halls.edit_queue(
        row, "e", title="税务", capacity=2, departments=["sws"], items=[], by=chief
    )
    made = halls.edit_counter(row, 7, title="税务窗口", letters=["E", "Q"], active=True, by=chief)
    assert made.letters == ["E"]
    assert [q["letter"] for q in halls.drop_queue(row, "E", by=chief).queues] == [
        "A",
        "B",
        "C",
        "D",
    ]


def test_a_terminal_enrols_once_and_is_wiped(
    hall: Hall, officer: Callable[..., Actor], client: Client
) -> None:
    chief = officer("zwb", "hall_manager")
    _, code = devices.add_device(hall, name="东门 1 号机", street="花果山大道 17 号", by=chief)
    assert client.get("/kiosk/ticket/").status_code == 302
    assert "不正确" in client.post("/kiosk/register/", {"code": "00000000"}).content.decode()
    assert client.post("/kiosk/register/", {"code": code})["Location"] == "/kiosk/"
    assert "不正确" in Client().post("/kiosk/register/", {"code": code}).content.decode()
    slip = client.post("/kiosk/ticket/", {"letter": "A", "group": "elder"})
    assert "A001" in slip.content.decode()
    assert slip["Cache-Control"] == "no-store"
    assert Ticket.objects.get().lane == "first"
    # Whoever went away without a word: the next touch starts anew.
    session = client.session
    session["terminal_at"] = 1
    session["left"] = "over"
    session.save()
    assert client.get("/kiosk/items/")["Location"] == "/kiosk/"
    assert "left" not in client.session
    session = client.session
    session["left"] = "again"
    session.save()
    client.post("/kiosk/end/")
    assert "left" not in client.session
    told = [  # the minute may turn once meanwhile
        client.post("/kiosk/progress/", {"code": "X", "last": "0000"}).content.decode()
        for _ in range(2 * devices.TRIES + 1)
    ]
    assert all("没有查到" in page for page in told[: devices.TRIES])
    assert any("次数过多" in page for page in told)
    devices.close_device(hall.devices.get(), by=chief)
    assert client.get("/kiosk/")["Location"] == "/kiosk/register/"


def test_the_next_is_the_first_of_the_whole_line(
    hall: Hall, clerk: Actor, officer: Callable[..., Actor]
) -> None:
    counter, other = seat(hall, 2, clerk), seat(hall, 3, officer("zwb", "window_clerk", name="乙"))
    for n in range(14):
        tickets.take(hall, "ABBAC"[n % 5], group="elder" if n % 3 == 1 else "", by=clerk)
    for n in range(14):
        now = timezone.now()
        line = queries.waiting(hall, queries.serving_letters(counter), now, counter)
        found = queries.next_for(counter, now)
        assert found is not None
        assert found == line[0]
        assert tickets.call_next(counter, by=clerk) == found
        if n == 3:
            tickets.send_on(found, other, by=clerk)
            assert queries.next_for(other, timezone.now()) == found
        else:
            tickets.finish(found, by=clerk)
        if len(line) == 1:
            break
    assert queries.next_for(counter, timezone.now()) is None
