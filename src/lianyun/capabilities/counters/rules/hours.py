"""Hours: when a hall is open, in minutes of its day, and the slots that fit into them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

WORKING, DAILY = "working", "daily"
DAYS = {WORKING: "法定工作日", DAILY: "每天"}
REACHES = {"city": "市级", "county": "县区", "town": "乡镇（街道）", "village": "村（社区）"}
Span = tuple[int, int]
"""From and until, in minutes after midnight; until is not within."""
_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


class BadHours(ValueError):
    """Opening hours that cannot be used; the message is for the hall's manager."""


def minute_of(text: str) -> int:
    """Minutes after midnight of `9:30`; 24:00 is the end of the day. Raises BadHours."""
    found = _TIME.fullmatch(text.strip())
    if found is None or (minute := int(found[1]) * 60 + int(found[2])) > 1440:
        raise BadHours(f"时间“{text.strip()}”应写成 09:00 的样子")
    return minute


def text_of(minute: int) -> str:
    """`09:30` of minutes after midnight."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def spans(hours: Iterable[Sequence[str]]) -> tuple[Span, ...]:
    """Opening hours in order; raises BadHours where one ends before it begins or two overlap."""
    found = sorted((minute_of(one[0]), minute_of(one[1])) for one in hours)
    for begin, end in found:
        if begin >= end:
            raise BadHours(f"{text_of(begin)} 至 {text_of(end)}：结束应晚于开始")
    for (_, end), (begin, _) in pairwise(found):
        if begin < end:
            raise BadHours(f"开放时间在 {text_of(begin)} 处重叠")
    return tuple(found)


def parsed(text: str) -> list[list[str]]:
    """What a manager types, `09:00-12:00 13:30-17:00`, as pairs; raises BadHours."""
    out = []
    for part in re.split(r"[\s,，、;；]+", text.strip()):
        if not part:
            continue
        ends = re.split(r"[-—–至~～]+", part)
        if len(ends) != 2:
            raise BadHours(f"“{part}”应写成 09:00-12:00 的样子")
        out.append([text_of(minute_of(ends[0])), text_of(minute_of(ends[1]))])
    if not out:
        raise BadHours("请填写至少一段开放时间")
    spans(out)
    return out


def spelled(hours: Iterable[Sequence[str]]) -> str:
    """Hours in words: 09:00—12:00、13:30—17:00."""
    return "、".join(f"{a}—{b}" for a, b in hours)


def is_open_at(hours: Sequence[Span], minute: int) -> bool:
    """Whether a minute of the day lies within the hours."""
    return any(begin <= minute < end for begin, end in hours)


def slots(hours: Sequence[Span], step: int) -> list[Span]:
    """The whole slots of `step` minutes that fit; a rest at the end of a span is left out."""
    return [(at, at + step) for begin, end in hours for at in range(begin, end - step + 1, step)]


def opens(day: dt.date, *, days: str, working: bool, closed: Iterable[str]) -> bool:
    """Whether a hall opens on a day: its kind of days, the working calendar, its own closed days."""
    return (days == DAILY or working) and day.isoformat() not in set(closed)


__all__ = [
    "DAILY",
    "DAYS",
    "REACHES",
    "WORKING",
    "BadHours",
    "Span",
    "is_open_at",
    "minute_of",
    "opens",
    "parsed",
    "slots",
    "spans",
    "spelled",
    "text_of",
]
