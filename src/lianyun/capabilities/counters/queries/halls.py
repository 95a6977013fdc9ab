"""Halls: which are open when, which items they take in which queue, their counters and terminals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.clock import CalendarMissing, calendar
from lianyun.kernel.models import Party

from ..models import Closing, Counter, Device, Hall
from ..rules import hours

READ, MANAGE, SERVE, HELP = (
    "counters.read", "counters.manage", "counters.serve", "counters.book_for",
)  # fmt: skip


def halls(viewer: Actor) -> list[Hall]:
    """All halls in use, the city's first."""
    del viewer  # where the halls are is public
    return list(Hall.objects.filter(active=True).select_related("department"))


def hall_of(viewer: Actor, code: str) -> Hall:
    """One hall in use; raises UserError."""
    found = next((h for h in halls(viewer) if h.code == code), None)
    if found is None:
        raise UserError("没有这个大厅，或者它已停止使用")
    return found


def managed(viewer: Actor, permission: str = READ) -> list[Hall]:
    """Halls for whose department the viewer holds a permission, unused ones included."""
    viewer.require(permission)
    rows = Hall.objects.select_related("department")
    scope = viewer.departments(permission)
    return list(rows if scope is None else rows.filter(department_id__in=scope))


def managed_hall(viewer: Actor, code: str, permission: str = READ) -> Hall:
    """One of them; raises Denied."""
    found = next((h for h in managed(viewer, permission) if h.code == code), None)
    if found is None:
        raise Denied("没有这个大厅，或者它不归您所在的部门管理")
    return found


def counters(viewer: Actor, hall: Hall, *, active: bool = True) -> list[Counter]:
    """A hall's counters by number."""
    del viewer
    rows = hall.counters.select_related("clerk", "hall")
    return list(rows.filter(active=True) if active else rows)


def counter_of(viewer: Actor, number: int) -> Counter:
    """One counter of a hall where the viewer may serve; raises Denied."""
    found = Counter.objects.select_related("hall__department", "clerk").filter(pk=number).first()
    if found is None:
        raise Denied("没有这个窗口")
    viewer.require(SERVE, found.hall.department)
    return found


def own_counter(viewer: Actor) -> Counter | None:
    """The counter at which the viewer has signed on."""
    if viewer.party is None:
        return None
    return Counter.objects.select_related("hall__department").filter(clerk=viewer.party).first()


def devices(viewer: Actor, hall: Hall) -> list[Device]:
    """A hall's terminals, closed ones last."""
    viewer.require(READ, hall.department)
    return list(hall.devices.order_by(models.F("closed_at").asc(nulls_first=True), "id"))


def device_by_key(viewer: Actor, key: str) -> Device | None:
    """The terminal that has this key, unless it was closed."""
    del viewer
    if not key:
        return None
    return (
        Device.objects.select_related("hall__department")
        .filter(key_hash=key_hash(key), closed_at=None)
        .first()
    )


def key_hash(key: str) -> str:
    """What is kept of a terminal's key or code."""
    return audit.keyed_hash(f"terminal:{key.strip()}")


# ---- when -----------------------------------------------------------------------------------


def works(day: dt.date) -> bool:
    """Whether a day is a working day; beyond the published calendar Monday to Friday."""
    try:
        return calendar().is_working_day(day)
    except CalendarMissing:
        return day.weekday() < 5


def arranged(viewer: Actor, hall: Hall) -> list[Closing]:
    """The days from today on which a hall or a queue of it will not open."""
    viewer.require(READ, hall.department)
    rows = hall.closings.filter(lifted_at=None, day__gte=timezone.localdate())
    return list(rows.select_related("hall"))


def closings(hall: Hall, letter: str = "") -> dict[dt.date, str]:
    """The days from today on which a hall, or this queue of it, does not open, each with the reason."""
    rows = Closing.objects.filter(
        hall=hall, letter__in={"", letter}, lifted_at=None, day__gte=timezone.localdate()
    )
    return {c.day: c.reason for c in rows.order_by("-letter")}


def opens(hall: Hall, day: dt.date, letter: str = "") -> bool:
    """Whether a hall, or this queue of it, opens on a day at all."""
    return _opens(hall, day) and day not in closings(hall, letter)


def _opens(hall: Hall, day: dt.date) -> bool:
    return hall.active and hours.opens(day, days=hall.days, working=works(day), closed=hall.closed)


def open_now(hall: Hall, now: dt.datetime) -> bool:
    """Whether a hall is open at a moment."""
    local = timezone.localtime(now)
    minute = local.hour * 60 + local.minute
    return opens(hall, local.date()) and hours.is_open_at(hours.spans(hall.hours), minute)


def open_days(hall: Hall, today: dt.date, count: int) -> list[dt.date]:
    """The next days on which a hall opens, today included, `count` of them (within 60 days)."""
    out: list[dt.date] = []
    shut = closings(hall)
    for n in range(60):
        day = today + dt.timedelta(days=n)
        if day not in shut and _opens(hall, day):
            out.append(day)
            if len(out) == count:
                break
    return out


# ---- what -----------------------------------------------------------------------------------


def letter_for(hall: Hall, item: items.Item) -> str:
    """The queue of a hall for an item: its own, its department's, the general one; "" for none.

    A hall takes an item only where the item may be asked for at the hall's level.
    """
    if hall.reach not in item.reach or not item.appointment:
        return ""
    general = ""
    by_department = ""
    for queue in hall.queues:
        if item.code in queue.get("items", ()):
            return str(queue["letter"])
        if item.department in queue.get("departments", ()):
            by_department = by_department or str(queue["letter"])
        if not queue.get("items") and not queue.get("departments"):
            general = general or str(queue["letter"])
    return by_department or general


def halls_for(viewer: Actor, item: items.Item) -> list[tuple[Hall, str]]:
    """Halls where an item may be asked for, each with its queue."""
    found = ((h, letter_for(h, item)) for h in halls(viewer))
    return [(h, letter) for h, letter in found if letter]


def department_names(viewer: Actor, slugs: Iterable[str]) -> dict[str, str]:
    """Departments' short names by slug."""
    del viewer
    rows = Party.objects.filter(kind=Party.DEPARTMENT, slug__in=list(slugs))
    return {str(p.slug): str(p) for p in rows}


def departments(viewer: Actor) -> list[tuple[str, str]]:
    """All departments as choices."""
    viewer.require(MANAGE)
    rows: list[tuple[Any, str]] = [
        (p.slug, str(p)) for p in Party.objects.filter(kind=Party.DEPARTMENT).order_by("id")
    ]
    return [(str(slug), name) for slug, name in rows if slug]


__all__ = [
    "HELP",
    "MANAGE",
    "READ",
    "SERVE",
    "arranged",
    "closings",
    "counter_of",
    "counters",
    "department_names",
    "departments",
    "device_by_key",
    "devices",
    "hall_of",
    "halls",
    "halls_for",
    "key_hash",
    "letter_for",
    "managed",
    "managed_hall",
    "open_days",
    "open_now",
    "opens",
    "own_counter",
    "works",
]
