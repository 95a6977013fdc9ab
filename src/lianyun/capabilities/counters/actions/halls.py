"""Halls: set up as declared, changed by their manager; clerks sign on and off."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from lianyun.capabilities.items import api as catalogue
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party
from lianyun.kernel.party import department

from ..adapters.declared import declared
from ..models import Counter, Hall, Slot, Ticket
from ..queries import halls as queries
from ..queries.bookings import booked
from ..rules import hours

SERVE, MANAGE = queries.SERVE, queries.MANAGE


def sync_declared(*, by: Actor) -> int:
    """Set up the declared halls that are new; those that nobody edited follow their declaration.

    Returns how many were new or changed. What a manager changed stays the manager's.
    """
    known = {h.code: h for h in Hall.objects.all()}
    changed = []
    for told in declared()["halls"]:
        row = known.get(told["code"])
        if row is not None and row.edited_at is not None:
            continue
        wanted = _wanted(told)
        if row is None or any(getattr(row, k) != v for k, v in wanted.items()):
            changed.append((row or Hall(code=told["code"]), wanted, told.get("counters", ())))
    if changed:
        _keep(changed, by=by)
    return len(changed)


def _wanted(told: dict[str, Any]) -> dict[str, Any]:
    hours.spans(told["hours"])
    return {
        "title": told["title"],
        "address": told.get("address", ""),
        "phone": told.get("phone", ""),
        "reach": told["reach"],
        "division": str(told.get("division", "")),
        "department": department(told["department"]),
        "days": told["days"],
        "hours": [list(pair) for pair in told["hours"]],
        "queues": [dict(q) for q in told["queues"]],
    }


@action(None)
def _keep(changed: list[tuple[Hall, dict[str, Any], Any]], *, by: Actor) -> None:
    for row, wanted, counters in changed:
        for name, value in wanted.items():
            setattr(row, name, value)
        row.save()
        for told in counters:
            Counter.objects.update_or_create(
                hall=row,
                number=told["number"],
                defaults={"title": told["title"], "letters": list(told.get("letters", ()))},
            )
        record("hall.declared", row, by=by, data={"title": row.title})


def _of_hall(hall: Hall, *args: object, **kwargs: object) -> Party:
    return hall.department


def _of_counter(counter: Counter, *args: object, **kwargs: object) -> Party:
    return counter.hall.department


@action(MANAGE, department=_of_hall)
def edit_hall(
    hall: Hall,
    *,
    title: str,
    address: str,
    phone: str,
    days: str,
    hours_text: str,
    closed: str,
    by: Actor,
) -> Hall:
    """Change where and when a hall is open; `closed` are dates, one a line. Raises UserError."""
    if not title.strip():
        raise UserError("请填写大厅名称")
    if days not in hours.DAYS:
        raise UserError("请选择开放日")
    try:
        pairs = hours.parsed(hours_text)
        shut = sorted({dt.date.fromisoformat(d).isoformat() for d in closed.split()})
    except hours.BadHours as wrong:
        raise UserError(str(wrong)) from wrong
    except ValueError as wrong:
        raise UserError("休息日应写成 2026-12-31 的样子，每行一天") from wrong
    row = Hall.objects.select_for_update(no_key=True).get(pk=hall.pk)
    fresh = [dt.date.fromisoformat(d) for d in shut if d not in row.closed]
    if kept := [d for d in fresh if booked(row, d).exists()]:
        told = "、".join(d.isoformat() for d in kept)
        raise UserError(f"{told} 已有预约，请在“停办安排”中处理，预约的人才会得到通知")
    row.title, row.address, row.phone = title.strip()[:100], address.strip()[:200], phone[:40]
    row.days, row.hours, row.closed, row.edited_at = days, pairs, shut, timezone.now()
    row.save()
    record("hall.changed", row, by=by, data={"title": row.title, "hours": row.hours_text})
    return row


@action(MANAGE, department=_of_hall)
def edit_queue(
    hall: Hall,
    letter: str,
    *,
    title: str,
    capacity: int,
    departments: list[str],
    items: list[str],
    by: Actor,
) -> Hall:
    """Add or change a queue: its name, how many may book a slot, what it takes (nothing: all).

    Slots that were opened already follow, but never below what is booked.
    """
    letter = letter.strip().upper()
    if len(letter) != 1 or not ("A" <= letter <= "Z"):
        raise UserError("队列用一个大写字母")
    if not title.strip():
        raise UserError("请填写队列名称")
    if not 0 <= capacity <= 200:
        raise UserError("每个时段可预约 0 至 200 人")
    if strange := [code for code in items if catalogue.find(code) is None]:
        raise UserError(f"没有这些事项：{'、'.join(strange)}")
    row = Hall.objects.select_for_update(no_key=True).get(pk=hall.pk)
    made: dict[str, Any] = {
        "letter": letter,
        "title": title.strip()[:40],
        "capacity": capacity,
        **({"departments": departments} if departments else {}),
        **({"items": items} if items else {}),
    }
    row.queues = sorted(
        [*(q for q in row.queues if q["letter"] != letter), made], key=lambda q: q["letter"]
    )
    row.edited_at = timezone.now()
    row.save()
    for slot in Slot.objects.select_for_update().filter(
        hall=row, letter=letter, day__gte=timezone.localdate()
    ):
        slot.capacity = max(slot.taken, capacity)
        slot.save(update_fields=["capacity"])
    record("hall.queue_changed", row, by=by, data={"title": f"{letter} {made['title']}"})
    return row


@action(MANAGE, department=_of_hall)
def drop_queue(hall: Hall, letter: str, *, by: Actor) -> Hall:
    """Take a queue away in which nobody waits and for which nothing is booked any more."""
    row = Hall.objects.select_for_update(no_key=True).get(pk=hall.pk)
    today = timezone.localdate()
    if Ticket.objects.filter(
        hall=row, letter=letter, day=today, stage__in=("waiting", "called", "serving")
    ).exists():
        raise UserError("这个队列还有人等候或正在办理，不能删除")
    if Slot.objects.filter(hall=row, letter=letter, day__gte=today, taken__gt=0).exists():
        raise UserError("这个队列还有预约，不能删除；可以先把可预约人数改为 0")
    left = [q for q in row.queues if q["letter"] != letter]
    if not left:
        raise UserError("大厅至少要有一个队列")
    row.queues, row.edited_at = left, timezone.now()
    row.save()
    record("hall.queue_dropped", row, by=by, data={"title": letter})
    return row


@action(MANAGE, department=_of_hall)
def edit_counter(
    hall: Hall, number: int, *, title: str, letters: list[str], active: bool, by: Actor
) -> Counter:
    """Add or change a counter; without letters it takes everything (综合窗口)."""
    if not 1 <= number <= 999:
        raise UserError("窗口号应在 1 至 999 之间")
    if not title.strip():
        raise UserError("请填写窗口名称")
    known = {q["letter"] for q in hall.queues}
    row = Counter.objects.select_for_update(of=("self",)).filter(hall=hall, number=number).first()
    row = row or Counter(hall=hall, number=number)
    if row.clerk_id is not None and not active:
        raise UserError("窗口有人在岗，不能停用")
    row.title, row.active = title.strip()[:40], active
    row.letters = sorted(known & set(letters))
    row.save()
    Hall.objects.filter(pk=hall.pk).update(edited_at=timezone.now())
    record("counter.changed", row, by=by, data={"title": str(row)})
    return row


# ---- clerks ---------------------------------------------------------------------------------


def own(counter: Counter, by: Actor) -> Counter:
    """The counter's row, held until the transaction ends; raises UserError unless `by` sits there."""
    by.require(SERVE, counter.hall.department)
    row = Counter.objects.select_for_update(of=("self",)).select_related("hall").get(pk=counter.pk)
    if by.party is None or row.clerk_id != by.party.pk:
        raise UserError("请先在这个窗口上岗")
    return row


@action(SERVE, department=_of_counter)
def sign_on(counter: Counter, *, by: Actor) -> Counter:
    """Take a seat at a counter; from another counter one signs off. Raises UserError if it is taken.

    A seat left over from a former day is free.
    """
    if by.party is None:
        raise UserError("请用本人账号上岗")
    # Both seats in one order: two clerks who change places never wait for each other.
    rows = {
        c.pk: c
        for c in Counter.objects.select_for_update(of=("self",))
        .select_related("hall")
        .filter(models.Q(pk=counter.pk) | models.Q(clerk=by.party))
        .order_by("pk")
    }
    row = rows.pop(counter.pk)
    now = timezone.now()
    fresh = row.since is not None and timezone.localtime(row.since).date() == timezone.localdate()
    if row.clerk_id not in (None, by.party.pk) and fresh:
        raise UserError("这个窗口已有人在岗")
    if not row.active:
        raise UserError("这个窗口已停用")
    for other in rows.values():
        _off(other, by)
    row.clerk, row.since, row.resting = by.party, now, False
    try:
        with transaction.atomic():
            row.save(update_fields=["clerk", "since", "resting"])
    except IntegrityError as twice:
        raise UserError("您刚刚已在另一个窗口上岗") from twice
    record("counter.signed_on", row, by=by, data={"title": str(row)})
    return row


@action(None)
def sign_off(counter: Counter, *, by: Actor) -> None:
    """Leave a counter; whoever stands before it must be finished first."""
    _off(own(counter, by), by)


def _off(row: Counter, by: Actor) -> None:
    held = row.tickets.filter(stage__in=("called", "serving")).first()
    if held is not None:
        raise UserError(f"请先办结或过号 {held.label}")
    row.clerk, row.since, row.resting = None, None, False
    row.save(update_fields=["clerk", "since", "resting"])
    record("counter.signed_off", row, by=by, data={"title": str(row)})


@action(None)
def rest(counter: Counter, resting: bool, *, by: Actor) -> None:
    """Pause a counter (暂停办理), or go on."""
    row = own(counter, by)
    row.resting = resting
    row.save(update_fields=["resting"])
    record("counter.rested" if resting else "counter.went_on", row, by=by, data={"title": str(row)})


__all__ = [
    "MANAGE",
    "SERVE",
    "drop_queue",
    "edit_counter",
    "edit_hall",
    "edit_queue",
    "own",
    "rest",
    "sign_off",
    "sign_on",
    "sync_declared",
]
