"""Couriers: ordered once whatever happens, the address sealed, followed to the door; 模拟数据 stands in."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.counters.actions import parcels as actions
from lianyun.capabilities.counters.adapters import courier, standin
from lianyun.capabilities.counters.models import Hall, Parcel
from lianyun.capabilities.counters.queries import parcels as queries
from lianyun.capabilities.hall import api as hall_api
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Party
from lianyun.kernel.party import department

from .conftest import ITEM, NUMBERS, person

WHO = {"name": "张三丰", "phone": "13812345678", "place": "连云港市海州区苍梧路 6 号"}
PLACED = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)


def over(handler: Any) -> courier.Courier:
    return courier.Courier("http://courier.test/v1", "k", transport=httpx.MockTransport(handler))


def test_an_order_tried_again_is_the_same_order() -> None:
    tried: list[httpx.Request] = []
    real = standin.stand_in(10, lambda: PLACED + dt.timedelta(minutes=25))

    def shaky(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        if len(tried) == 1:
            raise httpx.ConnectTimeout("no")
        return httpx.Response(502) if len(tried) == 2 else real(request)

    one = over(shaky)
    waybill = one.place("parcel:1", WHO, WHO, PLACED)
    assert waybill == one.place("parcel:1", WHO, WHO, PLACED)
    assert waybill != one.place("parcel:2", WHO, WHO, PLACED)
    assert {r.headers["Idempotency-Key"] for r in tried[:3]} == {"parcel:1"}
    assert tried[0].headers["Authorization"] == "Bearer k"
    assert "张三丰" in json.loads(tried[0].content)["sender"]["name"]
    assert [s.step for s in one.track(waybill)] == ["ordered", "collected", "moving"]


def test_what_a_courier_says_wrongly_is_no_waybill() -> None:
    for answer in (
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
    ):
        with pytest.raises(courier.CourierDown):
            over(lambda _, answer=answer: answer).place("p", WHO, WHO, PLACED)
    with pytest.raises(courier.CourierDown):
        over(lambda _: httpx.Response(200, json={"scans": [{"at": "?"}]})).track("MN1")
    real = over(standin.stand_in(10, lambda: PLACED))
    for wrong in ("MN1", "MN2026112309001234569", "x"):
        with pytest.raises(courier.CourierRefused, match="运单"):
            real.track(wrong)
    with pytest.raises(courier.CourierRefused, match="不完整"):
        real.place("p", {}, WHO, PLACED)


def filed(by: Actor) -> hall_api.Application:
    """An application with its case, as the hall leaves it."""
    case = cases.open_case(
        "item_instant", title="货车禁区通行证核发", subject=f"item:{ITEM}", applicant=by.party,
        department=department("ga"), data={"item": ITEM}, by=SYSTEM,
    )  # fmt: skip
    assert by.party is not None
    return hall_api.Application.objects.create(
        code="ABCD2345ABCD2345", item=ITEM, item_name="货车禁区通行证核发", applicant=by.party,
        by=by.party, department=department("ga"), case=case, filed_at=timezone.now(),
    )  # fmt: skip


@pytest.mark.django_db
def test_originals_are_fetched_and_the_address_is_nobody_elses(hall: Hall, citizen: Actor) -> None:
    row = filed(citizen)
    stranger = person(NUMBERS[1], "李四")
    with pytest.raises(Denied):
        queries.application_of(stranger, row.code)
    with pytest.raises(UserError, match="电话"):
        actions.choose(row, "originals", hall=hall, address={**WHO, "phone": "1"}, by=citizen)
    made = actions.choose(row, "originals", hall=hall, address=WHO, by=citizen)
    with pytest.raises(UserError, match="已经选择过"):
        actions.choose(row, "originals", hall=hall, address=WHO, by=citizen)
    assert "苍梧路 6 号" not in made.sealed
    assert "苍梧路 6 号" not in made.shown
    sent = actions.order_originals(made, by=citizen)
    assert actions.order_originals(made, by=citizen).waybill == sent.waybill
    with pytest.raises(UserError, match="不能取消"):
        actions.cancel(sent, by=citizen)
    # An hour later it has arrived, and what was needed to bring it is forgotten.
    early = standin.waybill_of(made.ref, timezone.now() - dt.timedelta(hours=1))
    Parcel.objects.filter(pk=made.pk).update(waybill=early)
    assert actions.track_all(by=SYSTEM)["delivered"] == 1
    made.refresh_from_db()
    assert made.stage == "delivered"
    assert made.sealed == ""
    assert len(made.trail) == 5


@pytest.mark.django_db
def test_a_result_is_posted_by_its_department_when_the_case_is_closed(
    hall: Hall, citizen: Actor, officer: Any
) -> None:
    row = filed(citizen)
    made = actions.choose(row, "result", hall=hall, address=WHO, by=citizen)
    mine, other = officer("ga", "approver"), officer("mz", "approver")
    with pytest.raises(UserError, match="办结后"):
        actions.post(made, by=mine)
    assert actions.track_all(by=SYSTEM)["ordered"] == 0
    assert row.case is not None
    cases.step(row.case.items.get(done_at=None), "refuse", note="不符合", by=SYSTEM)
    with pytest.raises(Denied):
        queries.parcel_of(other, made.pk)
    sent = actions.post(queries.parcel_of(mine, made.pk), by=mine)
    assert sent.waybill.startswith("MN")
    assert actions.post(sent, by=mine).waybill == sent.waybill


@pytest.mark.django_db
def test_a_courier_that_is_down_loses_no_choice(
    hall: Hall, citizen: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = filed(citizen)
    made = actions.choose(row, "originals", hall=hall, address=WHO, by=citizen)
    monkeypatch.setattr(courier, "courier", lambda: over(lambda _: httpx.Response(503)))
    with pytest.raises(UserError, match="稍后自动下单"):
        actions.order_originals(made, by=citizen)
    assert actions.track_all(by=SYSTEM)["down"] == 1
    monkeypatch.undo()
    assert actions.track_all(by=SYSTEM)["ordered"] == 1


@pytest.mark.django_db
def test_progress_at_a_terminal_asks_for_two_things(hall: Hall, citizen: Actor) -> None:
    from lianyun.capabilities.counters.queries import progress

    row = filed(citizen)
    assert row.case is not None
    told = progress.progress(SYSTEM, row.case.code, NUMBERS[0][-4:])
    assert told is not None
    assert told.words == "办理中"
    assert progress.progress(SYSTEM, row.case.code, "0000") is None
    assert progress.progress(SYSTEM, row.case.code, "") is None
    assert Party.objects.get(pk=row.applicant_id).name not in str(told)
    assert Client().get("/kiosk/progress/")["Location"] == "/kiosk/register/"


@pytest.mark.django_db
def test_the_clerk_finds_the_case_that_the_visitor_filed_before(
    hall: Hall, citizen: Actor, officer: Any, day: dt.date
) -> None:
    from lianyun.capabilities.counters.actions import bookings, tickets
    from lianyun.capabilities.counters.queries import tickets as waiting

    assert citizen.party is not None
    clerk = officer("zwb", "window_clerk")
    made = bookings.book(hall, ITEM, day, 600, person=citizen.party, by=citizen)
    ticket = tickets.check_in(made.code, hall, at=made.slot.starts, by=clerk)
    assert waiting.case_code(clerk, ticket) == ""
    row = filed(citizen)
    assert row.case is not None
    assert waiting.case_code(clerk, ticket) == row.case.code
    walk = tickets.take(hall, "B", by=clerk)
    assert waiting.case_code(clerk, walk) == ""
