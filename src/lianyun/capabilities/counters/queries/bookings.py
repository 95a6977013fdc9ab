"""Bookings: slots that are free, one's appointments, a code at the door, who is kept away."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import models
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Party

from ..adapters.declared import rules as declared
from ..models import Booking, Hall, Slot
from ..rules import booking as rules
from ..rules import hours
from . import halls

APPLY = "apply"


@dataclass(frozen=True)
class Free:
    """One slot as people choose it."""

    begin: int
    end: int
    left: int

    @property
    def text(self) -> str:
        """09:00—09:30."""
        return f"{hours.text_of(self.begin)}—{hours.text_of(self.end)}"


def free(viewer: Actor, hall: Hall, letter: str, day: dt.date, now: dt.datetime) -> list[Free]:
    """The slots of a day that have not begun, full ones with 0 left."""
    del viewer  # how full a hall is, is public
    step = int(declared()["slot_minutes"])
    local = timezone.localtime(now)
    passed = local.hour * 60 + local.minute if day == local.date() else -1
    if not halls.opens(hall, day, letter):
        return []
    capacity = int(hall.queue(letter).get("capacity", 0))
    rows = Slot.objects.filter(hall=hall, letter=letter, day=day)
    kept = {s.begin: s.capacity - s.taken for s in rows}
    return [
        Free(begin, end, kept.get(begin, capacity))
        for begin, end in hours.slots(hours.spans(hall.hours), step)
        if begin > passed
    ]


def bookable_days(viewer: Actor, hall: Hall, now: dt.datetime) -> list[dt.date]:
    """The days for which one may book now."""
    del viewer
    today = timezone.localtime(now).date()
    return halls.open_days(hall, today, int(declared()["ahead_days"]))


def blocked_until(viewer: Actor, person: Party) -> dt.date | None:
    """Until when a person may not book online, because appointments were not kept."""
    del viewer
    today = timezone.localdate()
    missed = (
        Booking.objects.filter(person=person, cancelled_at=None, ticket=None, day__lt=today)
        .order_by("-day")
        .values_list("day", flat=True)[:50]
    )
    return rules.blocked_until(missed, today, declared()["no_show"])


def may_book_for(viewer: Actor, person: Party) -> bool:
    """Whether the viewer may make and cancel appointments of a person or firm."""
    return viewer.party is not None and identity.may_act(viewer, person, APPLY)


def mine(viewer: Actor) -> list[Booking]:
    """The viewer's appointments, those made for others and those of whom the viewer acts for."""
    if viewer.party is None:
        return []
    whose = (
        models.Q(person=viewer.behalf)
        if viewer.behalf is not None
        else models.Q(person=viewer.party) | models.Q(by=viewer.party)
    )
    rows = Booking.objects.filter(whose).select_related("slot__hall", "person", "by", "ticket")
    return list(rows.order_by("-day", "-slot__begin")[:60])


def reaches(viewer: Actor, booking: Booking) -> bool:
    """Whether an appointment is the viewer's: his own, made by him, or of whom he acts for."""
    if viewer.party is None:
        return False
    if viewer.party.pk in (booking.person_id, booking.by_id):
        return True
    return identity.may_act(viewer, booking.person, APPLY)


def one(viewer: Actor, code: str) -> Booking | None:
    """One appointment that is the viewer's; None alike for others' and for unknown ones."""
    found = (
        Booking.objects.filter(code=rules.plain(code))
        .select_related("slot__hall__department", "person", "by", "ticket")
        .first()
    )
    return found if found is not None and reaches(viewer, found) else None


def may_cancel(viewer: Actor, booking: Booking, now: dt.datetime) -> bool:
    """Whether an appointment can still be cancelled."""
    del viewer
    return (
        booking.cancelled_at is None
        and getattr(booking, "ticket", None) is None
        and rules.may_cancel(booking.slot.starts, now, int(declared()["cancel_minutes"]))
    )


def standing(viewer: Actor, booking: Booking, now: dt.datetime) -> tuple[str, str]:
    """How an appointment stands, in words and colour."""
    del viewer
    if booking.successor_id is not None:
        return "已改约", "grey"
    if booking.called_off:
        return "大厅停办，已取消", "amber"
    if booking.cancelled_at is not None:
        return "已取消", "grey"
    if getattr(booking, "ticket", None) is not None:
        return "已签到", "green"
    if booking.day < timezone.localtime(now).date():
        return "未到场", "red"
    return "已预约", "blue"


@dataclass(frozen=True)
class Proposal:
    """A free slot that is offered in place of one that the hall has called off."""

    day: dt.date
    slot: Free

    @property
    def value(self) -> str:
        """How a form names it."""
        return f"{self.day.isoformat()}|{self.slot.begin}"


def proposals(viewer: Actor, booking: Booking, now: dt.datetime, most: int = 3) -> list[Proposal]:
    """The next free slots for an appointment that was called off: one a day, nearest to its hour."""
    hall, out = booking.slot.hall, []
    for day in bookable_days(viewer, hall, now):
        found = [f for f in free(viewer, hall, booking.slot.letter, day, now) if f.left > 0]
        if found:
            out.append(Proposal(day, rules.nearest(found, booking.slot.begin)))
        if len(out) == most:
            break
    return out


def affected(viewer: Actor, hall: Hall, day: dt.date, letter: str = "") -> int:
    """How many appointments a closing would touch."""
    viewer.require(halls.MANAGE, hall.department)
    return booked(hall, day, letter).count()


def booked(hall: Hall, day: dt.date, letter: str = "") -> models.QuerySet[Booking]:
    """Appointments of a day that stand and for which nobody has checked in, the earliest first."""
    rows = Booking.objects.filter(slot__hall=hall, day=day, cancelled_at=None, ticket=None)
    rows = rows.filter(slot__letter=letter) if letter else rows
    return rows.order_by("slot__begin", "id")


def unkept(viewer: Actor, today: dt.date) -> models.QuerySet[Booking]:
    """Appointments of former days to which nobody came and which are not yet counted."""
    del viewer
    return Booking.objects.filter(
        day__lt=today, cancelled_at=None, missed_at=None, ticket=None
    ).order_by("id")


__all__ = [
    "APPLY",
    "Free",
    "Proposal",
    "affected",
    "blocked_until",
    "bookable_days",
    "booked",
    "free",
    "may_book_for",
    "may_cancel",
    "mine",
    "one",
    "proposals",
    "reaches",
    "standing",
    "unkept",
]
