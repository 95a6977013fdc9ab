"""Bookings: an appointment is made within a slot's bound, cancelled in time, counted if not kept."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from ..adapters.declared import groups
from ..adapters.declared import rules as declared
from ..models import Booking, Hall, Slot
from ..queries import bookings as queries
from ..queries import halls
from ..rules import booking as rules

HELP = halls.HELP


@action(None)
def book(
    hall: Hall,
    item: str,
    day: dt.date,
    begin: int,
    *,
    person: Party,
    group: str = "",
    by: Actor,
) -> Booking:
    """Book a slot (`begin` in minutes of the day) for oneself or for whom one acts.

    Raises UserError (full, closed, twice for one item and day, kept away) and Denied (no mandate,
    not surely enough known, with the way to become so).
    """
    if not queries.may_book_for(by, person):
        raise Denied("您没有代其预约的权限")
    identity.require_level(by, int(declared()["proof"]))
    until = queries.blocked_until(by, person)
    if until is not None:
        rule = declared()["no_show"]
        raise UserError(
            f"{rule['within_days']} 天内有 {rule['times']} 次预约没有到场，"
            f"{until:%Y-%m-%d} 前不能网上预约，可以直接到大厅取号"
        )
    return _book(hall, item, day, begin, person, group, by)


def _of_hall(hall: Hall, *args: object, **kwargs: object) -> Party:
    return hall.department


@action(HELP, department=_of_hall)
def book_for(
    hall: Hall,
    item: str,
    day: dt.date,
    begin: int,
    *,
    number: str,
    name: str,
    seen: bool,
    group: str = "",
    by: Actor,
) -> Booking:
    """A clerk books for somebody who stands before him with the identity card (帮办)."""
    if not seen:
        raise UserError("请当面核对本人的居民身份证原件")
    person = identity.party_of_number(number, name=name, by=by)
    if person.name.strip() != name.strip():
        raise UserError("姓名与身份号码不一致，请核对身份证")
    return _book(hall, item, day, begin, person, group, by)


def _book(
    hall: Hall, item: str, day: dt.date, begin: int, person: Party, group: str, by: Actor
) -> Booking:
    assert by.party is not None
    found = items.find(item)
    if found is None:
        raise UserError("没有这个事项，或者它已停止办理")
    letter = halls.letter_for(hall, found)
    if not letter:
        raise UserError("这个大厅不受理这个事项，请换一个大厅")
    now = timezone.now()
    if day not in queries.bookable_days(by, hall, now):
        raise UserError("这一天不能预约，请换一天")
    slot = next((f for f in queries.free(by, hall, letter, day, now) if f.begin == begin), None)
    if slot is None:
        raise UserError("这个时段不能预约，请换一个")
    row, _ = Slot.objects.get_or_create(
        hall=hall,
        letter=letter,
        day=day,
        begin=begin,
        defaults={"end": slot.end, "capacity": int(hall.queue(letter).get("capacity", 0))},
    )
    # One statement takes the place or does not: two at once cannot take the last one.
    taken = Slot.objects.filter(pk=row.pk, taken__lt=models.F("capacity"))
    if not taken.update(taken=models.F("taken") + 1):
        raise UserError("这个时段已约满，请换一个时段")
    try:
        with transaction.atomic():
            made = Booking.objects.create(
                code="".join(secrets.choice(rules.LETTERS) for _ in range(rules.CODE)),
                slot=row,
                day=day,
                item=found.code,
                item_name=found.name,
                group=group if group in groups() else "",
                person=person,
                by=by.party,
            )
    except IntegrityError as twice:
        raise UserError("这个事项当天已有预约，请先取消再改约") from twice
    record(
        "booking.made",
        made,
        by=by,
        data={"item": found.code, "hall": hall.code, "day": day, "slot": row.text},
    )
    return made


@action(None)
def cancel(booking: Booking, *, by: Actor) -> None:
    """Cancel an appointment; its place is free again. Raises UserError when it is too late."""
    if not queries.reaches(by, booking):
        raise Denied("没有这个预约")
    row = (
        Booking.objects.select_for_update(of=("self",))
        .select_related("slot", "ticket")
        .get(pk=booking.pk)
    )
    if row.cancelled_at is not None:
        raise UserError("这个预约已经取消")
    now = timezone.now()
    if not queries.may_cancel(by, row, now):
        minutes = declared()["cancel_minutes"]
        raise UserError(f"已签到或距预约时段不足 {minutes} 分钟，不能取消")
    # The hall's reasons for an earlier move are no reason for what the person does (`called_off`).
    row.cancelled_at, row.why, row.before = now, "", ""
    row.save(update_fields=["cancelled_at", "why", "before"])
    Slot.objects.filter(pk=row.slot_id).update(taken=models.F("taken") - 1)
    record("booking.cancelled", row, by=by, data={"item": row.item, "day": row.day})


@action(None)
def rebook(booking: Booking, day: dt.date, begin: int, *, by: Actor) -> Booking:
    """Take another slot in place of one that the hall called off, once; pressed again the same one.

    Whoever could cancel the first may do so. Raises UserError and Denied.
    """
    if not queries.reaches(by, booking):
        raise Denied("没有这个预约")
    row = (
        Booking.objects.select_for_update(of=("self",))
        .select_related("slot__hall", "person", "successor")
        .get(pk=booking.pk)
    )
    if row.successor is not None:
        record("booking.rebooked_already", row.successor, by=by)
        return row.successor
    if not row.called_off:
        raise UserError("这个预约没有被大厅取消，请直接取消后再预约")
    made = _book(row.slot.hall, row.item, day, begin, row.person, row.group, by)
    row.successor = made
    row.save(update_fields=["successor"])
    return made


@action(None)
def count_missed(*, by: Actor) -> int:
    """Count appointments of former days to which nobody came; returns how many."""
    now, count = timezone.now(), 0
    for row in queries.unkept(by, timezone.localdate())[:5000]:
        row.missed_at = now
        row.save(update_fields=["missed_at"])
        record("booking.missed", row, by=by, data={"item": row.item, "day": row.day})
        count += 1
    record("bookings.counted", "system:counters", by=by, data={"count": count})
    return count


__all__ = ["book", "book_for", "cancel", "count_missed", "rebook"]
