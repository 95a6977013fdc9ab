"""Rules: greetings by the hour, and how days of figures are laid out without gaps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping


def greeting(hour: int) -> str:
    """The greeting of the hour (0–23)."""
    if hour < 6:
        return "夜深了"
    if hour < 9:
        return "早上好"
    if hour < 12:
        return "上午好"
    if hour < 14:
        return "中午好"
    return "下午好" if hour < 18 else "晚上好"


def days_back(today: dt.date, count: int) -> list[dt.date]:
    """The last `count` days up to and with today, oldest first."""
    return [today - dt.timedelta(days=n) for n in range(count - 1, -1, -1)]


def by_day(days: Iterable[dt.date], counted: Mapping[dt.date, int]) -> list[int]:
    """One value for each day, 0 where nothing was counted."""
    return [counted.get(day, 0) for day in days]


def health_words(good: int, judged: int) -> tuple[str, str]:
    """The share of datasets on time as words and a tone: green from 95 %, amber from 80 %."""
    if not judged:
        return "—", ""
    share = good / judged
    tone = "green" if share >= 0.95 else "amber" if share >= 0.8 else "red"
    return f"{share * 100:.0f}", tone
