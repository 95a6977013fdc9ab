"""Calendar: working days as one sorted list: deadlines counted in them, and what lies between.

The day after the start is day 1 (民事诉讼 practice; checked against 2024-09-29 + 10 = 2024-10-17).
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

ONE_DAY = dt.timedelta(days=1)


class CalendarMissing(Exception):
    """The calendar of a year is not known yet: a deadline in it cannot be promised."""

    def __init__(self, year: int) -> None:
        super().__init__(
            f"{year} 年的节假日安排尚未录入，无法计算工作日期限；请在 packs/core/holidays.csv 中补录"
        )
        self.year = year


class Calendar:
    """Working days as one sorted list, so that every question is a binary search."""

    def __init__(self, holidays: Iterable[dt.date], workdays: Iterable[dt.date]) -> None:
        off, on = set(holidays), set(workdays)
        self.years = sorted({d.year for d in off})
        self.days: list[dt.date] = []
        if not self.years:
            return
        day = dt.date(self.years[0], 1, 1)
        end = dt.date(self.years[-1], 12, 31)
        while day <= end:
            if (day.weekday() < 5 and day not in off) or day in on:
                self.days.append(day)
            day += ONE_DAY

    def _known(self, day: dt.date) -> None:
        if not self.years or not self.years[0] <= day.year <= self.years[-1]:
            raise CalendarMissing(day.year)

    def is_working_day(self, day: dt.date) -> bool:
        """True on a working day; raises CalendarMissing outside the known years."""
        self._known(day)
        at = bisect_left(self.days, day)
        return at < len(self.days) and self.days[at] == day

    def add_working_days(self, start: dt.date, days: int) -> dt.date:
        """The date that is `days` working days after `start` (the day after start is day 1).

        With days = 0 it is `start` itself. Raises CalendarMissing beyond the known years.
        """
        self._known(start)
        if days == 0:
            return start
        at = bisect_right(self.days, start) + days - 1
        if days < 0:
            at = bisect_left(self.days, start) + days
        if not 0 <= at < len(self.days):
            raise CalendarMissing(self.years[-1] + 1 if days > 0 else self.years[0] - 1)
        return self.days[at]

    def working_days_between(self, start: dt.date, end: dt.date) -> int:
        """Working days after `start` up to and with `end`; negative when `end` lies before."""
        self._known(start)
        self._known(end)
        return bisect_right(self.days, end) - bisect_right(self.days, start)

    def deadline(self, start: dt.date, days: int) -> tuple[dt.date, bool]:
        """Like add_working_days, but beyond the known years plain weekdays count.

        Returns the date and whether it is provisional. Such a date is never later than the lawful
        one, and is set right when the year's list is entered.
        """
        try:
            return self.add_working_days(start, days), False
        except CalendarMissing:
            at, left = start, days
            while left > 0:
                at += ONE_DAY
                known = self.years and self.years[0] <= at.year <= self.years[-1]
                left -= self.is_working_day(at) if known else at.weekday() < 5
            return at, True
