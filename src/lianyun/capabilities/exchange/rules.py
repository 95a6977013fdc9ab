"""Suspicion: what a day of calls under a grant must look like before an officer is asked to look at it.

Pure decisions over counts. The records hold keyed hashes, so whether keys were tried in sequence
cannot be seen (nor should it be): a sweep shows in many different keys, each asked once, many of
which nobody has.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HOURS = 24
HISTORY_DAYS = 28
DAILY_TARGET = 500_000
"""Exchanges a day that the province's platform carries ("日均共享 50 万次", see the guide)."""

RULES: dict[str, str] = {
    "sweep": "批量试探",
    "hours": "非常用时段",
    "surge": "调用量突增",
    "empties": "空查过多",
    "ended": "授权结束后仍在调用",
    "refused": "反复被拒",
}
PERIODS: dict[int, str] = {1: "今日", 7: "近 7 天", 30: "近 30 天"}
MEASURES: dict[str, tuple[str, str]] = {"calls": ("按次数", "次"), "rows": ("按行数", "行")}


@dataclass(frozen=True)
class Limits:
    """From when on a rule speaks; a city may set its own."""

    sweep_keys: int = 50
    sweep_misses: float = 0.3
    sweep_once: float = 0.9
    rare_share: float = 0.01
    rare_calls: int = 20
    rare_part: float = 0.1
    history_calls: int = 100
    history_days: int = 5
    surge_factor: float = 5.0
    surge_calls: int = 200
    surge_days: int = 3
    empty_calls: int = 30
    empty_part: float = 0.5
    ended_calls: int = 3
    refused_calls: int = 20
    refused_part: float = 0.5


@dataclass(frozen=True)
class Day:
    """One day of calls under one grant, and what is usual for it.

    `hours` has 24 counts; `past` the counts of the same hours over the days before, summed up;
    `days` the totals of each active day before, oldest first. `ended` counts calls after the
    grant had ended.
    """

    hours: Sequence[int]
    past: Sequence[int] = (0,) * HOURS
    days: Sequence[int] = ()
    keys: int = 0
    empty: int = 0
    refused: int = 0
    rows: int = 0
    ended: int = 0

    @property
    def calls(self) -> int:
        """Calls of the day, refused ones too."""
        return sum(self.hours)

    @property
    def usual(self) -> float:
        """Calls of a usual active day (the median), 0 without history."""
        return float(statistics.median(self.days)) if self.days else 0.0

    def usual_hours(self) -> list[float]:
        """The average of each hour over the active days before."""
        count = max(len(self.days), 1)
        return [round(n / count, 1) for n in self.past]


@dataclass(frozen=True)
class Finding:
    """One rule that speaks: a sentence and the figures behind it."""

    rule: str
    summary: str
    figures: tuple[tuple[str, str], ...]
    hours: tuple[int, ...] = ()
    usual: tuple[float, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Plain values for the record; counts only, nobody's data."""
        return {
            "summary": self.summary,
            "figures": [list(pair) for pair in self.figures],
            "hours": list(self.hours),
            "usual": list(self.usual),
        }


def percent(share: float) -> str:
    """0.317 → 31.7%."""
    return f"{share * 100:.1f}%"


def findings(day: Day, limits: Limits | None = None) -> list[Finding]:
    """Everything that looks like misuse in a day of calls under one grant."""
    rules_ = limits or Limits()
    found = [
        one
        for one in (
            _ended(day, rules_),
            _sweep(day, rules_),
            _rare_hours(day, rules_),
            _surge(day, rules_),
            _refused(day, rules_),
        )
        if one is not None
    ]
    if not any(one.rule == "sweep" for one in found):
        empties = _empties(day, rules_)
        found += [empties] if empties else []
    return found


def _made(rule: str, day: Day, summary: str, *figures: tuple[str, str]) -> Finding:
    return Finding(
        rule,
        summary,
        (("当日调用", f"{day.calls:,} 次"), *figures),
        tuple(day.hours),
        tuple(day.usual_hours()),
    )


def _sweep(day: Day, limits: Limits) -> Finding | None:
    asked = day.calls - day.refused
    if day.keys < limits.sweep_keys or not asked:
        return None
    once, misses = day.keys / asked, day.empty / asked
    if once < limits.sweep_once or misses < limits.sweep_misses:
        return None
    return _made(
        "sweep",
        day,
        f"一天内查询 {day.keys:,} 个不同对象，其中 {percent(misses)} 查无此记录，像是在逐个试探",
        ("不同对象", f"{day.keys:,} 个"),
        ("查无记录", f"{day.empty:,} 次（{percent(misses)}）"),
        ("只查一次的比例", percent(once)),
    )


def _rare_hours(day: Day, limits: Limits) -> Finding | None:
    total = sum(day.past)
    if len(day.days) < limits.history_days or total < limits.history_calls:
        return None
    rare = [h for h in range(HOURS) if day.past[h] < total * limits.rare_share]
    calls = sum(day.hours[h] for h in rare)
    if calls < limits.rare_calls or calls < day.calls * limits.rare_part:
        return None
    used = [h for h in rare if day.hours[h]]
    return _made(
        "hours",
        day,
        f"在平时几乎不用的时段（{_spans(used)}）调用 {calls:,} 次",
        ("非常用时段调用", f"{calls:,} 次"),
        ("这些时段以往的占比", percent(sum(day.past[h] for h in rare) / total)),
    )


def _surge(day: Day, limits: Limits) -> Finding | None:
    usual = day.usual
    if len(day.days) < limits.surge_days or day.calls < limits.surge_calls:
        return None
    if day.calls < usual * limits.surge_factor:
        return None
    return _made(
        "surge",
        day,
        f"当日调用 {day.calls:,} 次，是平时（{usual:,.0f} 次）的 {day.calls / max(usual, 1):.1f} 倍",
        ("平时一天", f"{usual:,.0f} 次"),
    )


def _empties(day: Day, limits: Limits) -> Finding | None:
    asked = day.calls - day.refused
    if asked < limits.empty_calls or day.empty < asked * limits.empty_part:
        return None
    return _made(
        "empties",
        day,
        f"{percent(day.empty / asked)} 的查询查无此记录，查询对象可能与授权用途无关",
        ("查无记录", f"{day.empty:,} 次"),
    )


def _ended(day: Day, limits: Limits) -> Finding | None:
    if day.ended < limits.ended_calls:
        return None
    return _made(
        "ended",
        day,
        f"授权结束后仍调用 {day.ended:,} 次",
        ("结束后调用", f"{day.ended:,} 次"),
    )


def _refused(day: Day, limits: Limits) -> Finding | None:
    if day.refused < limits.refused_calls or day.refused < day.calls * limits.refused_part:
        return None
    if day.ended >= limits.ended_calls:
        return None
    return _made(
        "refused",
        day,
        f"{day.refused:,} 次调用被拒绝，可能在试探授权以外的数据或已泄露的凭证",
        ("被拒绝", f"{day.refused:,} 次"),
    )


def _spans(hours: Sequence[int]) -> str:
    """Hours as spans: [1, 2, 3, 22] → 1–4 时、22–23 时."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and spans[-1][1] == hour:
            spans[-1][1] = hour + 1
        else:
            spans.append([hour, hour + 1])
    return "、".join(f"{a}–{b} 时" for a, b in spans)


@dataclass(frozen=True)
class Volume:
    """Today's exchanges against the usual day."""

    calls: int
    rows: int
    usual: float
    usual_by_now: float
    target: int = DAILY_TARGET
    days: Sequence[tuple[dt.date, int]] = field(default_factory=tuple)

    @property
    def share(self) -> float:
        """Part of the target that today has reached."""
        return self.calls / self.target

    @property
    def words(self) -> tuple[str, str]:
        """How today stands against the usual day at this hour, and a tone."""
        if not self.usual_by_now:
            return "平时此刻的数量尚不足以比较", "grey"
        ratio = self.calls / self.usual_by_now
        words = f"平时此刻 {self.usual_by_now:,.0f} 次"
        return words, "amber" if ratio > 2 or ratio < 0.5 else "green"


def usual(values: Sequence[int]) -> float:
    """The median of the days on which anything was exchanged; 0 without any."""
    active = [v for v in values if v]
    return float(statistics.median(active)) if active else 0.0
