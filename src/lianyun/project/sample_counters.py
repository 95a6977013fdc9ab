"""Sample halls: a morning of tickets at two counters' halls, appointments, a terminal, a parcel.

Everything goes through the doors that people use; a second call leaves it alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lianyun.project import sample_identity

Tell = Callable[[float, str], None]
MANAGER, CLERK = "zwb.dating", "zwb.zonghe"
CLERKS = ("zwb.chuang1", "zwb.chuang2", "zwb.chuang3")
MORNING = (
    ("city", ((2, CLERKS[0]), (4, CLERKS[1])), "ABAABCAB"),
    ("huaguoshan", ((1, CLERKS[2]),), "A"),
)
"""Hall, its counters with who sits there, letters of the tickets in turn."""
VISITORS = {"city": 36, "huaguoshan": 14}
SECONDS = (220, 340, 150, 480, 260, 610, 190)
"""How long services take, in turn."""


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """The accounts of the hall's manager and of three clerks; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    tell(0.95, "大厅")
    password = (home / "demo-password").read_text().strip()
    wanted = [(MANAGER, "大厅管理员", "hall_manager")]
    wanted += [(name, f"窗口人员{n}", "window_clerk") for n, name in enumerate(CLERKS, 1)]
    have = set(get_user_model().objects.values_list("username", flat=True))
    for username, name, role in wanted:
        if username not in have:
            identity.create_account(
                department("zwb"), name, username, [role], password=password,
                must_change=False, by=SYSTEM,
            )  # fmt: skip
    return {MANAGER: "市政务服务办 大厅管理员", CLERKS[0]: "市政务服务办 窗口人员（叫号）"}


def run_morning(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """Replay a morning at two halls, book for the sample citizen, register a terminal; counts."""
    from django.utils import timezone

    from lianyun.capabilities.counters import api as counters
    from lianyun.kernel.access import SYSTEM, Denied, UserError, actor_of

    told = {"tickets": 0, "served": 0, "bookings": 0, "terminals": 0, "parcels": 0}
    hall = counters.hall_of(SYSTEM, "city")
    day = _morning(hall)
    if counters.figures_of_day(SYSTEM, hall, day).tickets:
        return told
    for n, (code, seats, letters) in enumerate(MORNING):
        tell(0.2 + 0.3 * n, code)
        for key, count in _replay(code, seats, letters, day, officer).items():
            told[key] += count
    counters.add_device(
        hall, name="东门 1 号机", street="花果山大道 17 号大厅东门", by=officer(MANAGER)
    )
    told["terminals"] = 1
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.items import api as items

    citizen = identity.party_of_phone(sample_identity.PHONE)
    item = items.find("freight_permit")
    if citizen is None or item is None:
        return told
    by, now = actor_of(citizen), timezone.now()
    letter = next((q for h, q in counters.halls_for(by, item) if h.code == "city"), "")
    on = counters.bookable_days(by, hall, now)[-1]
    free = [f for f in counters.free(by, hall, letter, on, now) if f.left]
    with suppress(UserError, Denied):
        if free:
            counters.book(hall, item.code, on, free[0].begin, person=citizen, by=by)
            told["bookings"] = 1
    told["parcels"] = _parcel(by, hall)
    return told


def _morning(hall: Any) -> dt.date:
    """The last working day whose morning is over."""
    from django.utils import timezone

    from lianyun.kernel.clock import CalendarMissing, calendar

    now = timezone.localtime()
    day = now.date() if now.hour >= 12 else now.date() - dt.timedelta(days=1)
    for _ in range(15):
        try:
            if calendar().is_working_day(day):
                return day
        except CalendarMissing:
            if day.weekday() < 5:
                return day
        day -= dt.timedelta(days=1)
    return day


def _replay(
    code: str,
    seats: tuple[tuple[int, str], ...],
    letters: str,
    day: dt.date,
    officer: Callable[[str], Any],
) -> dict[str, int]:
    """Visitors come one after another; whichever counter is free first calls."""
    from django.utils import timezone

    from lianyun.capabilities.counters import api as counters
    from lianyun.kernel.access import SYSTEM, UserError

    hall = counters.hall_of(SYSTEM, code)
    opens = dt.datetime.combine(day, dt.time(9), timezone.get_default_timezone())
    by_number = {c.number: c for c in counters.counters(SYSTEM, hall)}
    desks = [
        [opens, counters.sign_on(by_number[number], by=officer(name)), officer(name)]
        for number, name in seats
    ]
    comes = opens
    pending = [
        (comes := comes + dt.timedelta(seconds=90 + 40 * (n % 5)), letters[n % len(letters)], n)
        for n in range(VISITORS[code])
    ]
    told = {"tickets": 0, "served": 0}
    while pending or desks:
        if not desks:
            break
        desk = min(desks, key=lambda d: d[0])
        while pending and pending[0][0] <= desk[0]:
            at, letter, n = pending.pop(0)
            counters.take(
                hall, letter, group="elder" if n % 9 == 4 else "", at=at, by=officer(CLERK)
            )
            told["tickets"] += 1
        try:
            ticket = counters.call_next(desk[1], at=desk[0], by=desk[2])
        except UserError:
            if not pending:
                counters.sign_off(desk[1], by=desk[2])
                desks.remove(desk)
            else:
                desk[0] = pending[0][0]
            continue
        took = SECONDS[ticket.number % len(SECONDS)]
        if ticket.number % 13 == 7:
            ticket = counters.recall(ticket, at=desk[0] + dt.timedelta(seconds=30), by=desk[2])
            desk[0] += dt.timedelta(seconds=60)
            counters.pass_over(ticket, at=desk[0], by=desk[2])
            continue
        desk[0] += dt.timedelta(seconds=took)
        counters.finish(ticket, at=desk[0], by=desk[2])
        told["served"] += 1
    return told


def _parcel(by: Any, hall: Any) -> int:
    """The citizen has the result of one application sent home."""
    from lianyun.capabilities.counters import api as counters
    from lianyun.capabilities.hall import api as hall_api
    from lianyun.kernel.access import UserError

    row = (
        hall_api.Application.objects.filter(applicant=by.party)
        .exclude(case=None)
        .select_related("case", "applicant", "department")
        .first()
    )
    if row is None:
        return 0
    address = {
        "name": by.party.name,
        "phone": sample_identity.PHONE,
        "place": "连云港市海州区苍梧路 6 号",
    }
    try:
        counters.choose(row, "result", hall=hall, address=address, by=by)
    except UserError:
        return 0
    return 1
