"""Scheme: the points table of a kind of round as a pack declares it: facts, lines, ties, places.

What counts how much is the city's own and changes with the years: it stands in `packs/*/enrolment`
and in a decision table, each line with its source, ceiling and basis; nothing of it stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TAKES = {
    "count": "count(DISTINCT {c})",
    "oldest": "min({c})",
    "newest": "max({c})",
    "least": "min({c})",
    "most": "max({c})",
    "sum": "sum({c})",
}
SHAPES = ("", "months", "days")
WHOSE = {"guardian": "监护人", "child": "孩子"}
AREAS = {"none": "不分施教区", "first": "施教区内优先", "only": "只能填报施教区内的学校"}
_KEYS = {
    "code", "title", "stage", "item", "department", "table", "source", "born", "facts", "lines",
    "ties", "wishes", "together", "areas", "town", "objection_days", "review_days", "next", "note",
}  # fmt: skip


class BadScheme(Exception):
    """A declaration that cannot be used; the message is Chinese and says where."""


@dataclass(frozen=True)
class Fact:
    """One thing that a register says: whose rows, which column, how it is taken and counted."""

    name: str
    title: str
    source: str
    column: str
    whose: str = "guardian"
    key: str = "citizen_number"
    take: str = "count"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    valid: str = ""
    shape: str = ""
    unit: str = ""

    @property
    def consent(self) -> str:
        """The source's name in the hall's list of consents."""
        return f"dataset:{self.source}"


@dataclass(frozen=True)
class LineRule:
    """One line of the points table: the decision that answers it, its facts, ceiling, owner, basis.

    A `paper` line has no register: what is handed in is looked at by an officer.
    """

    id: str
    title: str
    table: str
    facts: tuple[str, ...]
    most: int
    department: str
    basis: str
    paper: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Tie:
    """Who comes first among equals: by a line's points (more first) or a day (earlier first)."""

    title: str
    line: str = ""
    fact: str = ""


@dataclass(frozen=True)
class Scheme:
    """A kind of round: what counts, who comes first, how many wishes, how places are kept."""

    code: str
    title: str
    stage: str
    item: str
    department: str
    table: str
    source: str
    born: tuple[int, int]
    facts: Mapping[str, Fact]
    lines: tuple[LineRule, ...]
    ties: tuple[Tie, ...]
    wishes: int
    together: bool
    areas: str
    town: tuple[str, ...]
    objection_days: int
    review_days: int
    next: str
    note: str = ""

    @property
    def most(self) -> int:
        """The most points that anybody can have."""
        return sum(line.most for line in self.lines)

    def line(self, ident: str) -> LineRule | None:
        """One line by its id."""
        return next((one for one in self.lines if one.id == ident), None)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _fact(entry: Mapping[str, Any]) -> Fact:
    name = str(entry.get("name") or "?")
    for key in ("title", "source", "column"):
        if not entry.get(key):
            raise BadScheme(f"事实 {name} 缺少 {key}")
    if entry.get("take", "count") not in TAKES:
        raise BadScheme(f"事实 {name} 的 take 只能是 {'、'.join(TAKES)}")
    if entry.get("as", "") not in SHAPES or entry.get("of", "guardian") not in WHOSE:
        raise BadScheme(f"事实 {name} 的 as 或 of 不认识")
    return Fact(
        name=name,
        title=str(entry["title"]),
        source=str(entry["source"]),
        column=str(entry["column"]),
        whose=str(entry.get("of", "guardian")),
        key=str(entry.get("key", "citizen_number")),
        take=str(entry.get("take", "count")),
        where={str(k): _texts(v) for k, v in (entry.get("where") or {}).items()},
        valid=str(entry.get("valid", "")),
        shape=str(entry.get("as", "")),
        unit=str(entry.get("unit", "")),
    )


def _line(entry: Mapping[str, Any], facts: Mapping[str, Fact]) -> LineRule:
    ident = str(entry.get("id") or "?")
    for key in ("title", "table", "most", "department", "basis"):
        if entry.get(key) in (None, ""):
            raise BadScheme(f"积分项 {ident} 缺少 {key}")
    used = _texts(entry.get("facts"))
    if unknown := [n for n in used if n not in facts]:
        raise BadScheme(f"积分项 {ident} 用到没有声明的事实 {'、'.join(unknown)}")
    if not used and not entry.get("paper"):
        raise BadScheme(f"积分项 {ident} 应写明 facts 或 paper")
    return LineRule(
        id=ident,
        title=str(entry["title"]),
        table=str(entry["table"]),
        facts=used,
        most=int(entry["most"]),
        department=str(entry["department"]),
        basis=str(entry["basis"]),
        paper=str(entry.get("paper") or ""),
        unit=str(entry.get("unit") or ""),
    )


def read(data: Mapping[str, Any]) -> Scheme:
    """A declaration as it can be used; raises BadScheme."""
    code = str(data.get("code") or "?")
    if unknown := set(data) - _KEYS:
        raise BadScheme(f"{code}：不认识的键 {'、'.join(sorted(unknown))}")
    for key in ("title", "stage", "item", "department", "table", "source", "born", "lines", "next"):
        if not data.get(key):
            raise BadScheme(f"{code}：缺少 {key}")
    facts = {f.name: f for f in (_fact(e) for e in data.get("facts") or ())}
    lines = tuple(_line(e, facts) for e in data["lines"])
    if len({one.id for one in lines}) < len(lines):
        raise BadScheme(f"{code}：积分项的 id 重复")
    areas = str(data.get("areas", "none"))
    if areas not in AREAS:
        raise BadScheme(f"{code}：areas 只能是 {'、'.join(AREAS)}")
    ties = tuple(
        Tie(str(t.get("title") or ""), str(t.get("line") or ""), str(t.get("fact") or ""))
        for t in data.get("ties") or ()
    )
    for tie in ties:
        if not tie.title or (tie.line not in {one.id for one in lines} and tie.fact not in facts):
            raise BadScheme(f"{code}：同分比较“{tie.title}”应按一个积分项或一个事实")
    town = _texts(data.get("town"))
    if strange := [n for n in town if n not in facts]:
        raise BadScheme(f"{code}：town 用到没有声明的事实 {'、'.join(strange)}")
    born: Sequence[Any] = data["born"]
    return Scheme(
        code=code,
        title=str(data["title"]),
        stage=str(data["stage"]),
        item=str(data["item"]),
        department=str(data["department"]),
        table=str(data["table"]),
        source=str(data["source"]),
        born=(int(born[0]), int(born[1])),
        facts=facts,
        lines=lines,
        ties=ties,
        wishes=int(data.get("wishes", 3)),
        together=bool(data.get("together", False)),
        areas=areas,
        town=town,
        objection_days=int(data.get("objection_days", 5)),
        review_days=int(data.get("review_days", 5)),
        next=str(data["next"]),
        note=str(data.get("note") or ""),
    )


__all__ = ["AREAS", "TAKES", "WHOSE", "BadScheme", "Fact", "LineRule", "Scheme", "Tie", "read"]
