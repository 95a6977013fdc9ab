"""Clock: working days of the State Council's calendar, deadlines counted in them, and pauses.

The day after the start is day 1 (民事诉讼 practice; checked against 2024-09-29 + 10 = 2024-10-17).
Source of the days: packs/core/holidays.csv (published yearly by 国务院办公厅).
"""

from __future__ import annotations

import datetime as dt
from functools import cache

from lianyun.decision.calendar import ONE_DAY, Calendar, CalendarMissing

from . import packs

__all__ = ["Calendar", "CalendarMissing", "calendar", "remaining"]


@cache
def calendar() -> Calendar:
    """The calendar that is shipped in the core pack; columns date, kind (holiday | workday)."""
    off: list[dt.date] = []
    on: list[dt.date] = []
    for row in packs.table("core", "holidays.csv"):
        (off if row["kind"] == "holiday" else on).append(dt.date.fromisoformat(row["date"]))
    return Calendar(off, on)


def remaining(due: dt.date, today: dt.date) -> int:
    """Working days left until `due` (0 on the day itself, negative when overdue).

    Days of a year whose list is missing count as working days from Monday to Friday.
    """
    try:
        return calendar().working_days_between(today, due)
    except CalendarMissing:
        sign, low, high = (1, today, due) if due >= today else (-1, due, today)
        days = (low + ONE_DAY * n for n in range(1, (high - low).days + 1))
        return sign * sum(day.weekday() < 5 for day in days)
