"""Rules: how a batch is scored and which grade a score has; no I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WARN_WEIGHT = 0.3
"""A warned row counts this much of a refused one: it is usable, but doubtful."""

GRADES: tuple[tuple[float, str, str], ...] = (
    (98, "优", "green"),
    (90, "良", "blue"),
    (80, "中", "amber"),
    (0, "差", "red"),
)


def score(landed: int, rejected: int, warned: int) -> float | None:
    """A batch's score, 0 to 100: the share of landed rows without fault; None without rows.

    `warned` are accepted rows with at least one warning.
    """
    if landed <= 0:
        return None
    lost = rejected + WARN_WEIGHT * min(max(warned, 0), max(landed - rejected, 0))
    return round(max(0.0, 100 * (1 - lost / landed)), 2)


def grade(value: float | None) -> tuple[str, str]:
    """The word and the tone of a score: 优 ≥ 98, 良 ≥ 90, 中 ≥ 80, 差 below; 未评 without one."""
    if value is None:
        return "未评", "grey"
    return next((word, tone) for low, word, tone in GRADES if value >= low)


def mean(pairs: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of scores weighted by rows; None where nothing is scored."""
    total = weight = 0.0
    for value, rows in pairs:
        if value is not None and rows > 0:
            total += value * rows
            weight += rows
    return round(total / weight, 2) if weight else None


def once_word(resource: str, rule: str, closed: int) -> str:
    """The word that keeps a second correction case of the same rule from being opened.

    `closed` counts the cases of this rule that are closed: the next trouble gets a new case.
    """
    digest = hashlib.sha256(rule.encode()).hexdigest()[:16]
    return f"correction:{resource[:63]}:{digest}:{closed}"


def keys_hash(keys: Sequence[Sequence[Any]]) -> str:
    """One hash over a set of row keys (order does not matter): evidence without personal data."""
    rows = sorted(json.dumps([str(v) for v in key], ensure_ascii=False) for key in keys)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def key_hash(key: Sequence[Any]) -> str:
    """The hash of one row's key: one report a row."""
    return keys_hash([key])


def opens_case(rule: str) -> bool:
    """Whether a finding of this rule goes to the provider; an old number is no fault."""
    return not rule.endswith(".legacy")


def group_of(rule: str) -> str:
    """What a correction case is about: the item whose checks failed, or the rule itself.

    One bad value may fail several checks of its item (length, format, domain): that is one trouble.
    """
    item, dot, _ = rule.partition(".")
    return item if dot and item != "row" else rule


def codes_of(data: Mapping[str, Any]) -> list[str]:
    """The rules of a correction case, from its data; a case of one rule may name it alone."""
    return [str(c) for c in data.get("rules") or [data.get("rule") or ""] if c]


def group_title(titles: Sequence[str]) -> str:
    """The title of several checks of one item: `性别：长度不符、不在值域内`."""
    heads = {title.partition("：")[0] for title in titles}
    if len(titles) < 2 or len(heads) != 1:
        return "；".join(titles)
    return f"{heads.pop()}：{'、'.join(t.partition('：')[2] or t for t in titles)}"
