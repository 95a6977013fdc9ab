"""Rule: five levels, which of them are bad, how they become a score, what may be said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import segno

LEVELS = {1: "非常满意", 2: "满意", 3: "基本满意", 4: "不满意", 5: "非常不满意"}
"""GB/T 39046-2020, annex A.8; levels 4 and 5 are 差评."""
BAD = (4, 5)
TONES = {1: "green", 2: "green", 3: "blue", 4: "amber", 5: "red"}
CHANNELS = {
    "pc": "PC端",
    "mobile": "移动端",
    "qr": "二维码",
    "tablet": "大厅平板",
    "terminal": "大厅其他终端",
    "phone": "电话",
    "sms": "短信",
}
"""Channels of GB/T 39046-2020, table 9."""
ENDS = {
    "reworked": ("已整改，评价人满意", "green"),
    "unreached": ("已整改，多次联系不上评价人", "amber"),
    "explained": ("已整改并书面说明", "amber"),
    "void": ("申诉成立，不计入", "grey"),
}
LONGEST = 500


class BadRating(ValueError):
    """A rating that cannot be taken; the message is for the person who rates."""


@dataclass(frozen=True)
class Told:
    """What a person said: level, chosen words, own words."""

    level: int
    tags: tuple[str, ...]
    text: str

    @property
    def bad(self) -> bool:
        """Whether it has to be worked on."""
        return self.level in BAD


def told(level: str, tags: Iterable[str], text: str, known: Mapping[str, Sequence[str]]) -> Told:
    """A rating as it was sent; raises BadRating for an unknown level or too many words."""
    if not level.isdecimal() or int(level) not in LEVELS:
        raise BadRating("请选择一个满意等级")
    number = int(level)
    words = known["bad" if number in BAD else "good"]
    plain = text.strip()
    if len(plain) > LONGEST:
        raise BadRating(f"意见不能超过 {LONGEST} 个字")
    return Told(number, tuple(w for w in words if w in set(tags)), plain)


def satisfaction(counts: Mapping[int, int]) -> float | None:
    """The share (0–1) of ratings that are at least 基本满意; None where nobody has rated."""
    total = sum(counts.values())
    return None if total == 0 else sum(n for k, n in counts.items() if k not in BAD) / total


def score(counts: Mapping[int, int]) -> float | None:
    """The mean out of 100: 非常满意 100, 满意 80, 基本满意 60, 不满意 30, 非常不满意 0."""
    points = {1: 100, 2: 80, 3: 60, 4: 30, 5: 0}
    total = sum(counts.values())
    return None if total == 0 else sum(points[k] * n for k, n in counts.items()) / total


def picture(address: str) -> str:
    """A QR code of a rating's address as an SVG data URI, to be shown on a window's or hall's screen."""
    return segno.make(address, error="m").svg_data_uri(scale=5, border=3)


def called_back(reached: bool, satisfied: bool | None, before: int, tries: int) -> str:
    """What a call means for the rework: satisfied | unsatisfied | unreached | "" (try again).

    `before` counts the earlier tries that reached nobody.
    """
    if reached:
        return "satisfied" if satisfied else "unsatisfied"
    return "unreached" if before + 1 >= tries else ""


__all__ = [
    "BAD",
    "CHANNELS",
    "ENDS",
    "LEVELS",
    "TONES",
    "BadRating",
    "Told",
    "called_back",
    "picture",
    "satisfaction",
    "score",
    "told",
]
