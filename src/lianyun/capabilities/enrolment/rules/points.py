"""Points: what each line of the table gives a child, from which source, and why it is not more."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from lianyun.decision import BadTable, Model, Table, decide

from .scheme import Fact, LineRule, Scheme

KNOWN, NONE, REFUSED, DOWN, PAPER = "known", "none", "refused", "down", "paper"
"""How a fact stands: read from its register; no row there; the person refused the source; the source
did not answer; an officer took it from a paper or a review."""

WORDS = {
    NONE: "没有查到记录",
    REFUSED: "您没有同意查询这一来源",
    DOWN: "来源暂时没有答复",
}
CENT = Decimal("0.01")
TIMES = ("个月", "天", "年")
_LEAST = re.compile(r"^(>=?)\s*(\d+(?:\.\d+)?)$|^([\[(\]])\s*(\d+(?:\.\d+)?)\s*\.\.")


@dataclass(frozen=True)
class Known:
    """One fact about one family: its value as JSON holds it, how it stands, its source and day."""

    name: str
    value: Any = None
    how: str = NONE
    source: str = ""
    as_of: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


@dataclass(frozen=True)
class Line:
    """One counted line: points, ceiling, what it rests on, and why it is not more."""

    id: str
    title: str
    points: Decimal
    most: int
    rests: tuple[tuple[str, str, str], ...] = ()
    """(what, value in words, source with its day)"""
    rule: str = ""
    more: str = ""
    basis: str = ""
    department: str = ""
    by_officer: bool = False

    @property
    def short(self) -> bool:
        """Whether more could be had."""
        return self.points < self.most

    @property
    def told(self) -> dict[str, Any]:
        """As it is kept."""
        return {**asdict(self), "points": str(self.points)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Line:
        """What was kept."""
        rests = tuple((str(a), str(b), str(c)) for a, b, c in told["rests"])
        return cls(**{**told, "points": Decimal(told["points"]), "rests": rests})


@dataclass(frozen=True)
class Sheet:
    """All lines of one child, their sum, and what decides among equals (smaller first)."""

    lines: tuple[Line, ...]
    ties: tuple[int, ...]
    town: str = ""
    faults: tuple[str, ...] = field(default=())

    @property
    def points(self) -> Decimal:
        """The sum of all lines."""
        return sum((line.points for line in self.lines), Decimal(0))


def shaped(fact: Fact, value: Any, day: dt.date) -> Any:
    """A register's value as the table asks it: a day becomes whole months or days until `day`."""
    if value is None or not fact.shape:
        return value
    if isinstance(value, str):
        value = dt.date.fromisoformat(value[:10])
    if fact.shape == "days":
        return max((day - value).days, 0)
    months = (day.year - value.year) * 12 + day.month - value.month - (day.day < value.day)
    return max(months, 0)


def _said(fact: Fact, known: Known, day: dt.date) -> str:
    if known.how in WORDS:
        return WORDS[known.how]
    value = shaped(fact, known.value, day)
    told = f"{value} {fact.unit}".strip()
    return f"{told}（自 {str(known.value)[:10]} 起）" if fact.shape else told


def count(scheme: Scheme, model: Model, facts: Mapping[str, Known], day: dt.date) -> Sheet:
    """Every line of the table, counted up to `day`; what a table cannot answer gives nothing and is told."""
    lines: list[Line] = []
    faults: list[str] = []
    values = {
        name: shaped(fact, facts[name].value if name in facts else None, day)
        for name, fact in scheme.facts.items()
    }
    for name, known in facts.items():
        if name not in values:
            values[name] = known.value
    for rule in scheme.lines:
        asked = {n: _number(values.get(n)) for n in (*rule.facts, rule.id)}
        try:
            verdict = decide(model, asked, rule.table)
            points, why = _points(verdict.plain), "；".join(verdict.annotations)
        except BadTable as error:
            points, why = Decimal(0), ""
            faults.append(f"{rule.title}：{error}")
        points = min(points, Decimal(rule.most))
        rests = [
            (
                scheme.facts[n].title,
                _said(scheme.facts[n], facts.get(n, Known(n)), day),
                _source(facts.get(n)),
            )
            for n in rule.facts
        ]
        own = facts.get(rule.id)
        if own is not None and own.how == PAPER:
            rests.append((rule.title, f"{own.value} {rule.unit}".strip(), _source(own)))
        elif rule.paper:
            rests.append((rule.title, "没有提交材料，或者尚未核对", ""))
        lines.append(
            Line(
                rule.id,
                rule.title,
                points.quantize(CENT, ROUND_HALF_UP),
                rule.most,
                tuple(rests),
                why,
                _more(rule, scheme, model, asked, points),
                rule.basis,
                rule.department,
                any(k is not None and k.how == PAPER for k in (own, *map(facts.get, rule.facts))),
            )
        )
    town = next((str(facts[n].value) for n in scheme.town if n in facts and facts[n].value), "")
    return Sheet(tuple(lines), _ties(scheme, lines, facts), town, tuple(faults))


def _number(value: Any) -> Any:
    """Counts are never unknown to a table: no row is zero."""
    return 0 if value is None else value


def _points(plain: Mapping[str, Any]) -> Decimal:
    value = next(iter(plain.values()), None)
    return Decimal(str(value)) if isinstance(value, int | float | str | Decimal) else Decimal(0)


def _source(known: Known | None) -> str:
    if known is None or not known.source:
        return ""
    return f"{known.source}，{known.as_of}" if known.as_of else known.source


def _ties(scheme: Scheme, lines: list[Line], facts: Mapping[str, Known]) -> tuple[int, ...]:
    by_id = {line.id: line for line in lines}
    out = []
    for tie in scheme.ties:
        if tie.line:
            out.append(-int(by_id[tie.line].points * 100))
            continue
        value = facts[tie.fact].value if tie.fact in facts else None
        out.append(_ordinal(value))
    return tuple(out)


def _ordinal(value: Any) -> int:
    """A day as a number, smaller is earlier; who has none comes last."""
    try:
        return dt.date.fromisoformat(str(value)[:10]).toordinal()
    except ValueError:
        return dt.date.max.toordinal()


def _more(
    rule: LineRule,
    scheme: Scheme,
    model: Model,
    asked: Mapping[str, Any],
    points: Decimal,
) -> str:
    """Why a line is not more: the ceiling, or the next step of the table and how far it is."""
    if points >= rule.most:
        return f"已达到本项上限 {rule.most} 分"
    node = model.nodes.get(rule.table)
    if node is None or not isinstance(node.logic, Table):
        return ""
    table = node.logic
    steps = []
    for row in table.rules:
        try:
            worth = Decimal(row.results[0].strip().strip('"'))
        except ArithmeticError:
            continue
        if worth > points:
            steps.append((worth, row))
    if not steps:
        return f"本项最高 {rule.most} 分"
    worth, row = min(steps, key=lambda pair: pair[0])
    gaps = []
    for column, cell in zip(table.inputs, row.tests, strict=True):
        found, have = _LEAST.match(cell.strip()), asked.get(column.expression)
        if found is None or not isinstance(have, int | float):
            continue
        least = Decimal(found[2] or found[4])
        strict = found[1] == ">" or (found[3] in ("(", "]") if found[3] else False)
        if Decimal(str(have)) < least or (strict and Decimal(str(have)) == least):
            fact = scheme.facts.get(column.expression)
            unit = fact.unit if fact else rule.unit
            if unit not in TIMES:
                continue  # one house more is no advice
            gaps.append(f"“{column.title}”还差 {least - Decimal(str(have)):f} {unit}".strip())
    note = next((n for n in row.notes if n.strip()), "")
    told = f"下一档 {worth.normalize():f} 分" + (f"（{note}）" if note else "")
    return "，".join([told, *gaps])


__all__ = [
    "DOWN",
    "KNOWN",
    "NONE",
    "PAPER",
    "REFUSED",
    "WORDS",
    "Known",
    "Line",
    "Sheet",
    "count",
    "shaped",
]
