"""Tickets: taken at the door, called by one clerk only, passed over, sent on, finished.

Every change of who comes next holds the hall's row: two clerks who press at once stand in line for
it, and the second gets the next ticket. `at` is the moment; only a replayed day gives another than now.
"""

from __future__ import annotations

import datetime as dt
import secrets

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall_api
from lianyun.capabilities.items import api as items
from lianyun.capabilities.ratings import api as ratings
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import department

from ..adapters.declared import groups
from ..adapters.declared import rules as declared
from ..models import Booking, Counter, Device, Hall, Ticket
from ..queries import halls
from ..queries import tickets as queries
from ..rules import booking, order
from .halls import own

Moment = dt.datetime | None


def _locked(hall: Hall) -> Hall:
    return Hall.objects.select_for_update(no_key=True).get(pk=hall.pk)


def _at_the_door(hall: Hall, device: Device | None, by: Actor) -> None:
    """Tickets are given where the visitor stands: a terminal of the hall, or a clerk of it."""
    if device is not None and device.hall_id == hall.pk and device.closed_at is None:
        return
    if not by.may(halls.SERVE, hall.department):
        raise Denied("请在大厅的自助终端或向工作人员取号")


def _give(
    row: Hall, letter: str, lane: str, place_at: dt.datetime, now: dt.datetime, **more: object
) -> Ticket:
    """The next number of a queue; `row` is held, so that numbers and moments have one order."""
    day = queries.today(now)
    last = (
        Ticket.objects.filter(hall=row, day=day, letter=letter)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
    )
    return Ticket.objects.create(
        code=secrets.token_urlsafe(12),
        hall=row,
        day=day,
        letter=letter,
        number=(last or 0) + 1,
        lane=lane,
        place_at=place_at,
        taken_at=now,
        **more,
    )


@action(None)
def take(
    hall: Hall,
    letter: str,
    *,
    item: str = "",
    group: str = "",
    device: Device | None = None,
    at: Moment = None,
    by: Actor,
) -> Ticket:
    """A ticket for whoever walks in, with or without an account; nothing of the person is kept.

    Raises UserError while the hall is closed, or for a queue that it does not keep.
    """
    _at_the_door(hall, device, by)
    row = _locked(hall)
    now = at or timezone.now()
    if not halls.open_now(row, now):
        raise UserError(f"大厅现在不开放（{row.hours_text}）")
    if letter not in {q["letter"] for q in row.queues}:
        raise UserError("请选择要办的业务")
    if why := halls.closings(row, letter).get(queries.today(now)):
        raise UserError(f"这项业务今天停办：{why}")
    found = items.find(item) if item else None
    kept = group if group in groups() else ""
    made = _give(
        row,
        letter,
        order.lane_of(kept, False, False),
        now,
        now,
        device=device,
        group=kept,
        item=found.code if found else "",
        item_name=found.name if found else "",
    )
    record("ticket.taken", made, by=by, data={"title": f"取号 {made.label}", "hall": hall.code})
    return made


@action(None)
def check_in(
    code: str, hall: Hall, *, device: Device | None = None, at: Moment = None, by: Actor
) -> Ticket:
    """A ticket for who has an appointment; the second try gets the same ticket.

    In time it is due at its slot, too late it waits as anybody. Raises UserError with what to do.
    """
    _at_the_door(hall, device, by)
    held = _locked(hall)
    now = at or timezone.now()
    row = (
        Booking.objects.select_for_update(of=("self",))
        .select_related("slot__hall", "person", "ticket")
        .filter(code=booking.plain(code))
        .first()
    )
    if row is None or row.cancelled_at is not None:
        raise UserError("没有这个预约，或者它已取消；可以直接取号")
    if row.slot.hall_id != hall.pk:
        raise UserError(f"您预约的是{row.slot.hall.title}（{row.slot}）")
    if row.day != queries.today(now):
        raise UserError(f"您预约的是 {row.day:%Y-%m-%d}，不是今天")
    done = getattr(row, "ticket", None)
    if done is not None:
        record("ticket.asked_again", done, by=by)
        return done
    rule = declared()
    came = booking.arrival(
        row.slot.starts, now, early=int(rule["early_minutes"]), late=int(rule["late_minutes"])
    )
    if came == booking.EARLY:
        raise UserError(
            f"还没有到时间：{row.slot.text} 的预约，最早提前 {rule['early_minutes']} 分钟签到"
        )
    lane = order.lane_of(row.group, True, came == booking.LATE)
    made = _give(
        held,
        row.slot.letter,
        lane,
        row.slot.starts if lane == order.BOOKED else now,
        now,
        device=device,
        booking=row,
        person=row.person,
        group=row.group,
        item=row.item,
        item_name=row.item_name,
    )
    record("ticket.taken", made, by=by, data={"title": f"预约签到 {made.label}", "hall": hall.code})
    return made


@action(None)
def call_next(counter: Counter, *, at: Moment = None, by: Actor) -> Ticket:
    """Call whoever is next for this counter. Raises UserError while somebody stands before it,
    while it rests, or when nobody waits."""
    _locked(counter.hall)
    now = at or timezone.now()
    row = own(counter, by)
    if row.resting:
        raise UserError("窗口已暂停，请先恢复办理")
    held = queries.held(by, row)
    if held is not None:
        raise UserError(f"请先办结或过号 {held.label}")
    ticket = queries.next_for(row, now)
    if ticket is None:
        raise UserError("现在没有人等候")
    ticket.stage, ticket.counter, ticket.clerk = Ticket.CALLED, row, by.party
    ticket.called_at, ticket.calls, ticket.wanted = now, 1, None
    ticket.first_called_at = ticket.first_called_at or now
    ticket.save()
    record(
        "ticket.called",
        ticket,
        by=by,
        data={"title": f"叫号 {ticket.label}", "counter": row.number},
    )
    return ticket


def _mine(ticket: Ticket, by: Actor, *stages: str) -> Ticket:
    """The ticket's row, held, if it stands before the counter of `by` in one of these stages."""
    _locked(ticket.hall)
    row = (
        Ticket.objects.select_for_update(of=("self",))
        .select_related("hall__department", "counter__hall__department")
        .get(pk=ticket.pk)
    )
    if row.stage not in stages or row.counter is None:
        raise UserError(f"{row.label} 现在是“{row.get_stage_display()}”，请看最新情况")
    own(row.counter, by)
    return row


@action(None)
def recall(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """Call the same ticket again."""
    row = _mine(ticket, by, Ticket.CALLED)
    row.calls += 1
    row.called_at = at or timezone.now()
    row.save(update_fields=["calls", "called_at"])
    record("ticket.recalled", row, by=by, data={"title": f"重呼 {row.label}"})
    return row


@action(None)
def pass_over(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """Nobody came: the ticket is passed over, not before it was called as often as is declared."""
    row = _mine(ticket, by, Ticket.CALLED)
    least = int(declared()["order"]["calls"])
    if row.calls < least:
        raise UserError(f"请先重呼：叫满 {least} 遍无人应答才能过号")
    row.stage, row.ended_at = Ticket.MISSED, at or timezone.now()
    row.save(update_fields=["stage", "ended_at"])
    record("ticket.missed", row, by=by, data={"title": f"过号 {row.label}"})
    return row


@action(None)
def come_back(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """Who missed the call waits again, behind the next few; whoever holds the slip may ask for it."""
    _locked(ticket.hall)
    now = at or timezone.now()
    row = Ticket.objects.select_for_update(of=("self",)).select_related("hall").get(pk=ticket.pk)
    if row.stage != Ticket.MISSED or row.day != queries.today(now):
        raise UserError("这个号没有过号，或者不是今天的")
    queue = [
        order.Waiting(t.pk, t.lane, t.place_at)
        for t in queries.waiting(row.hall, [row.letter], now)
    ]
    row.stage, row.lane, row.ended_at, row.counter = Ticket.WAITING, order.ORDINARY, None, None
    row.place_at = order.back_at(queue, int(declared()["order"]["back"]), now)
    row.save()
    record("ticket.came_back", row, by=by, data={"title": f"过号重排 {row.label}"})
    return row


@action(None)
def leave(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """Whoever holds the slip does not want to wait any longer."""
    _locked(ticket.hall)
    row = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
    if row.stage not in (Ticket.WAITING, Ticket.MISSED):
        raise UserError("这个号已经叫到或办结，不能放弃")
    row.stage, row.ended_at = Ticket.LEFT, at or timezone.now()
    row.save(update_fields=["stage", "ended_at"])
    record("ticket.left", row, by=by, data={"title": f"放弃 {row.label}"})
    return row


@action(None)
def serve(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """The visitor has come: from now on the ticket is being served."""
    row = _mine(ticket, by, Ticket.CALLED)
    row.stage, row.served_at = Ticket.SERVING, at or timezone.now()
    row.save(update_fields=["stage", "served_at"])
    record("ticket.served", row, by=by, data={"title": f"开始办理 {row.label}"})
    return row


@action(None)
def send_on(ticket: Ticket, to: Counter, *, by: Actor) -> Ticket:
    """Send the visitor on to another counter of the hall, where the ticket is called first."""
    row = _mine(ticket, by, Ticket.CALLED, Ticket.SERVING)
    if to.hall_id != row.hall_id or not to.active or to.pk == row.counter_id:
        raise UserError("请选择本大厅的另一个窗口")
    row.stage, row.wanted, row.counter, row.clerk = Ticket.WAITING, to, None, None
    row.called_at, row.served_at, row.calls = None, None, 0
    row.save()
    record("ticket.sent_on", row, by=by, data={"title": f"{row.label} 转 {to}"})
    return row


@action(None)
def finish(ticket: Ticket, *, at: Moment = None, by: Actor) -> Ticket:
    """Done: whoever holds the slip gets a code to rate the visit with (once, `ratings`)."""
    row = _mine(ticket, by, Ticket.CALLED, Ticket.SERVING)
    now = at or timezone.now()
    row.stage, row.ended_at = Ticket.DONE, now
    row.served_at = row.served_at or row.called_at
    if at is None and by.may("ratings.invite"):
        found = items.find(row.item) if row.item else None
        at_desk = department(found.department) if found else row.hall.department
        window = f"{row.hall.title} {row.counter.number if row.counter else ''} 号窗口"
        _, code = ratings.open_visit(at_desk, window=window[-40:], item=row.item, by=by)
        row.rating = audit.encrypt(code.encode(), queries.RATING_USE)
    row.save()
    record("ticket.finished", row, by=by, data={"title": f"办结 {row.label}"})
    return row


@action(None)
def accept(
    ticket: Ticket,
    item: str,
    *,
    number: str,
    name: str,
    answers: dict[str, str],
    seen: bool,
    by: Actor,
) -> hall_api.Application:
    """Begin an application for the visitor at the counter: hall's own way for clerks (帮办).

    The visitor confirms before anything is looked up. Raises what `hall.help_begin` raises.
    """
    row = _mine(ticket, by, Ticket.CALLED, Ticket.SERVING)
    made = hall_api.help_begin(item, number=number, name=name, answers=answers, seen=seen, by=by)
    row.application, row.item, row.item_name = made.code, made.item, made.item_name
    if row.stage == Ticket.CALLED:
        row.stage, row.served_at = Ticket.SERVING, timezone.now()
    row.save()
    record("ticket.accepted", row, by=by, data={"title": f"{row.label} 窗口申请", "item": item})
    return made


__all__ = [
    "accept",
    "call_next",
    "check_in",
    "come_back",
    "finish",
    "leave",
    "pass_over",
    "recall",
    "send_on",
    "serve",
    "take",
]
