"""Rules of linkage: how evidence adds up, what differs between two values, when an officer's word counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

VERDICTS = {"same": "同一", "different": "不同", "unsure": "不确定"}
QUEUE_LIMIT = 20_000
"""Pairs: more than an office can review; the most probable ones are kept, the rest is counted."""
CHECKS = 100
"""Weakest automatic merges laid before officers for spot checks."""


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall, in bits: from `start` to `end`, placed in percent of the whole width."""

    title: str
    told: str
    bits: float
    start: float
    end: float
    left: float
    width: float

    @property
    def tone(self) -> str:
        """plus, minus or total."""
        if self.title == TOTAL:
            return "total"
        return "plus" if self.bits >= 0 else "minus"


PRIOR, RARITY, TOTAL = "起点", "常见程度", "合计"


def waterfall(
    model: Mapping[str, Any], levels: Sequence[int], weight: float, titles: Mapping[str, str]
) -> list[Step]:
    """The evidence of a pair: prior, each comparison, how common the value is, and the sum (bits).

    `levels` stand in the order of `titles` (name → title): a model kept as jsonb has lost its order.
    Level -1 is an empty value, which says nothing. What the sum has beyond its parts is Splink's
    term-frequency adjustment: agreeing on a rare name says more than on a common one.
    """
    told: list[tuple[str, str, float]] = [
        (PRIOR, "任取两条记录恰为同一的可能", float(model.get("prior", 0.0)))
    ]
    for (name, title), level in zip(titles.items(), levels, strict=False):
        known = model.get("fields", {}).get(name, ())
        found = next((k for k in known if k["level"] == level), None)
        label, bits = (found["label"], found["weight"]) if found else ("有一方为空", 0.0)
        told.append((title, label, float(bits)))
    rest = weight - sum(bits for *_, bits in told)
    if abs(rest) >= 0.05:
        told.append((RARITY, "取值越少见，证据越强" if rest > 0 else "取值很常见，证据打折", rest))
    low = high = at = 0.0
    for *_, bits in told:
        at += bits
        low, high = min(low, at), max(high, at)
    span = (high - low) or 1.0
    out, at = [], 0.0
    for title, text, bits in told:
        out.append(_step(title, text, bits, at, at + bits, low, span))
        at += bits
    out.append(
        _step(TOTAL, f"同一的可能 {percent(chance(weight))}", weight, 0.0, weight, low, span)
    )
    return out


def _step(title: str, told: str, bits: float, a: float, b: float, low: float, span: float) -> Step:
    left = 100 * (min(a, b) - low) / span
    return Step(
        title,
        told,
        round(bits, 1),
        a,
        b,
        round(left, 2),
        round(max(100 * abs(b - a) / span, 0.6), 2),
    )


def chance(bits: float) -> float:
    """Bits of evidence as a probability."""
    return 1 / (1 + math.exp(-max(min(bits, 500.0), -500.0) * math.log(2)))


def percent(probability: float) -> str:
    """A probability as people read it; never 100 % and never 0 %."""
    if probability > 0.9999:
        return "99.99% 以上"
    if probability < 0.0001:
        return "0.01% 以下"
    return f"{100 * probability:.2f}%" if probability > 0.99 else f"{100 * probability:.1f}%"


def differences(left: str, right: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts cut into (piece, differs), so that a page can mark what differs."""
    mine: list[tuple[str, bool]] = []
    theirs: list[tuple[str, bool]] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if left[a:b]:
            mine.append((left[a:b], kind != "equal"))
        if right[c:d]:
            theirs.append((right[c:d], kind != "equal"))
    return mine, theirs
