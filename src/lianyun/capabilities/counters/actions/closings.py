"""Closing: a day on which a hall or a queue does not open; its appointments are moved or called off."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from ..models import Booking, Closing, Hall, Slot
from ..queries import bookings as queries
from ..queries import halls


def _of_hall(hall: Hall, *args: object, **kwargs: object) -> Party:
    return hall.department


def _of_closing(closing: Closing, *args: object, **kwargs: object) -> Party:
    return closing.hall.department


@action(halls.MANAGE, department=_of_hall)
def close_day(
    hall: Hall, day: dt.date, *, reason: str, letter: str = "", move: bool = False, by: Actor
) -> Closing:
    """Close a hall, or one queue of it, on a day: nothing more is booked, what is booked is told.

    With `move` each appointment gets the free slot nearest to its hour on the next open day that has
    one; else, and where there is none, it is called off, and its page offers the next free slots.
    Each is its own event. Tickets that were drawn already are served. Raises UserError.
    """
    if not reason.strip():
        raise UserError("请写明停办的原因，它会告知预约的人")
    if day < timezone.localdate():
        raise UserError("不能安排已经过去的日子")
    row = Hall.objects.select_for_update(no_key=True).get(pk=hall.pk)
    if letter and letter not in {q["letter"] for q in row.queues}:
        raise UserError("没有这个队列")
    if not halls.opens(row, day, letter):
        raise UserError("这一天本来就不开放，不需要安排")
    party = by.party
    made = Closing.objects.create(
        hall=row, letter=letter, day=day, reason=reason.strip()[:200], by=party
    )
    now = timezone.now()
    for booking in (
        queries.booked(row, day, letter)
        .select_for_update(of=("self",))
        .select_related("slot__hall", "person", "by")
    ):
        if move and _moved(booking, made.reason, now, by):
            made.moved += 1
        else:
            _called_off(booking, made.reason, now, by)
            made.called_off += 1
    made.save(update_fields=["moved", "called_off"])
    told = {"title": str(made), "moved": made.moved, "called_off": made.called_off}
    record("closing.made", made, by=by, data={**told, "hall": row.code, "reason": made.reason})
    return made


def _told(booking: Booking, reason: str) -> dict[str, Any]:
    """What may be told of an appointment: no name, no number."""
    to = dict.fromkeys((booking.person.ref, booking.by.ref))
    return {
        "to": list(to),
        "code": booking.code,
        "item_name": booking.item_name,
        "hall_name": booking.slot.hall.title,
        "day": booking.day,
        "slot": booking.slot.text,
        "reason": reason,
    }


def _called_off(booking: Booking, reason: str, now: dt.datetime, by: Actor) -> None:
    booking.cancelled_at, booking.why, booking.before = now, reason, ""
    booking.save(update_fields=["cancelled_at", "why", "before"])
    Slot.objects.filter(pk=booking.slot_id).update(taken=models.F("taken") - 1)
    record("booking.called_off", booking, by=by, data=_told(booking, reason))


def _moved(booking: Booking, reason: str, now: dt.datetime, by: Actor) -> bool:
    """Give an appointment the next free slot near its hour; False where there is none for it."""
    old, hall = booking.slot, booking.slot.hall
    for wanted in queries.proposals(by, booking, now):
        slot, _ = Slot.objects.get_or_create(
            hall=hall,
            letter=old.letter,
            day=wanted.day,
            begin=wanted.slot.begin,
            defaults={
                "end": wanted.slot.end,
                "capacity": int(hall.queue(old.letter).get("capacity", 0)),
            },
        )
        free = Slot.objects.filter(pk=slot.pk, taken__lt=models.F("capacity"))
        if not free.update(taken=models.F("taken") + 1):
            continue
        before = (booking.day, old.text)
        booking.slot, booking.day, booking.why = slot, wanted.day, reason
        booking.before = f"{before[0].isoformat()} {before[1]}"
        try:
            with transaction.atomic():
                booking.save(update_fields=["slot", "day", "why", "before"])
        except IntegrityError:  # the person has that very item on that day already
            Slot.objects.filter(pk=slot.pk).update(taken=models.F("taken") - 1)
            booking.slot, booking.day, booking.before = old, before[0], ""
            continue
        Slot.objects.filter(pk=old.pk).update(taken=models.F("taken") - 1)
        told = _told(booking, reason)
        record(
            "booking.moved", booking, by=by,
            data={**told, "old_day": before[0], "old_slot": before[1]},
        )  # fmt: skip
        return True
    return False


@action(halls.MANAGE, department=_of_closing)
def lift_closing(closing: Closing, *, by: Actor) -> None:
    """Open a closed day again; what was moved or called off stays so, and is told that by nobody."""
    row = Closing.objects.select_for_update(of=("self",)).select_related("hall").get(pk=closing.pk)
    if row.lifted_at is not None:
        raise UserError("这项安排已经取消")
    row.lifted_at = timezone.now()
    row.save(update_fields=["lifted_at"])
    record("closing.lifted", row, by=by, data={"title": str(row), "hall": row.hall.code})


__all__ = ["close_day", "lift_closing"]
