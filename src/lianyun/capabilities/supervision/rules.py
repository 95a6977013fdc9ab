"""Rule: what a step's lateness calls for, how a closed loop reads, which share was in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

URGE, YELLOW, RED = "urge", "yellow", "red"
DOES = {URGE: "督办", YELLOW: "黄牌", RED: "红牌"}
TONES = {URGE: "blue", YELLOW: "amber", RED: "red"}
ENDS = {
    "settled": ("已销号", "green"),
    "to_card": ("转发牌", "red"),
    "dropped": ("不予发牌", "grey"),
    "withdrawn_card": ("已撤牌", "grey"),
}
LOOP = ("责任", "标准", "清单", "节点", "程序", "控制")


@dataclass(frozen=True)
class Area:
    """One of the fields that are supervised: the items and the ways of handling that belong to it."""

    code: str
    title: str
    what: str
    items: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    every_item: bool = False


def areas(entries: Iterable[Mapping[str, Any]]) -> tuple[Area, ...]:
    """The declared areas; raises ValueError for one that holds nothing."""
    out = []
    for entry in entries:
        items, paths = entry.get("items") or (), tuple(entry.get("paths") or ())
        every = items == "all"
        if not every and not items and not paths:
            raise ValueError(f"监察领域 {entry.get('code')}：没有写明 items 或 paths")
        named = () if every else tuple(items)
        out.append(
            Area(str(entry["code"]), str(entry["title"]), str(entry["what"]), named, paths, every)
        )
    return tuple(out)


@dataclass(frozen=True)
class Rule:
    """One rule of supervision: from how many overdue working days it calls for what."""

    code: str
    title: str
    does: str
    overdue: int | None
    content: str


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The declared rules; raises ValueError naming the one that cannot be used."""
    out = []
    for entry in entries:
        if entry.get("does") not in DOES:
            raise ValueError(f"监察规则 {entry.get('code')}：does 只能是 {'、'.join(DOES)}")
        overdue = entry.get("overdue")
        out.append(
            Rule(
                str(entry["code"]),
                str(entry["title"]),
                str(entry["does"]),
                int(overdue) if overdue is not None else None,
                str(entry.get("content") or ""),
            )
        )
    return tuple(out)


def called_for(rules: Sequence[Rule], overdue: int) -> list[Rule]:
    """The rules that a step overdue by so many working days calls for; each speaks once a step."""
    return [r for r in rules if r.overdue is not None and overdue >= r.overdue]


def by_hand(rules: Sequence[Rule], does: str) -> Rule:
    """The rule under which a supervisor acts by himself; raises KeyError."""
    for rule in rules:
        if rule.overdue is None and rule.does == does:
            return rule
    raise KeyError(does)


def share(part: int, whole: int) -> float | None:
    """A share (0–1), None of nothing."""
    return None if whole == 0 else part / whole


__all__ = [
    "DOES",
    "ENDS",
    "LOOP",
    "RED",
    "TONES",
    "URGE",
    "YELLOW",
    "Area",
    "Rule",
    "areas",
    "by_hand",
    "called_for",
    "read",
    "share",
]
