"""Table: a decision table of DMN 1.3 (§8), with all its hit policies, asked with facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from . import feel, values

POLICIES = {
    "U": "UNIQUE", "A": "ANY", "P": "PRIORITY", "F": "FIRST",
    "R": "RULE ORDER", "O": "OUTPUT ORDER", "C": "COLLECT",
}  # fmt: skip
AGGREGATIONS = {"+": "SUM", "<": "MIN", ">": "MAX", "#": "COUNT"}
MOST_RULES = 5000


class BadTable(Exception):
    """A decision that cannot be run or cannot answer; the message says where and why, in Chinese."""


@dataclass(frozen=True)
class Input:
    """One column of conditions: an expression over the facts, its type and allowed values."""

    expression: str
    title: str = ""
    type: str = ""
    values: str = ""


@dataclass(frozen=True)
class Output:
    """One column of results; `values` in their order of priority, the highest first."""

    name: str
    title: str = ""
    type: str = ""
    values: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True)
class Rule:
    """One row: a cell for every input, one for every output, and what is noted beside it."""

    id: str
    tests: tuple[str, ...]
    results: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a decision answered: by column and as FEEL has it, by which rules, with what notes."""

    value: Any
    outputs: Mapping[str, Any]
    rules: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()

    @property
    def plain(self) -> dict[str, Any]:
        """The outputs as JSON holds them."""
        return {name: values.plain(value) for name, value in self.outputs.items()}


@dataclass(frozen=True)
class Table:
    """A decision table; `policy` is one letter, for C with its aggregation (`C+`)."""

    name: str
    title: str
    policy: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def check(self) -> None:
        """Raise BadTable where a cell is no S-FEEL or a row does not fit the columns."""
        if self.policy[:1] not in POLICIES or (
            self.policy[1:] and (self.policy[0] != "C" or self.policy[1:] not in AGGREGATIONS)
        ):
            raise BadTable(
                f"{self.title}：命中策略 {self.policy} 不在 U A P F R O C C+ C< C> C# 之内"
            )
        if not self.outputs or len(self.rules) > MOST_RULES:
            raise BadTable(f"{self.title}：决策表应有输出列，且规则不超过 {MOST_RULES} 条")
        if self.policy[1:] and len(self.outputs) > 1:
            raise BadTable(f"{self.title}：汇总（{self.policy}）只能有一个输出列")
        if self.policy[0] in "PO" and not all(o.values for o in self.outputs):
            raise BadTable(f"{self.title}：按优先级（{self.policy}）须给出各输出的取值次序")
        for column in self.inputs:
            self._cell(f"输入“{column.title or column.expression}”", column.expression)
            if column.values:
                self._cell(f"输入“{column.title}”的允许值", column.values, tests=True)
        for number, rule in enumerate(self.rules, start=1):
            if len(rule.tests) != len(self.inputs) or len(rule.results) != len(self.outputs):
                raise BadTable(f"{self.title}：第 {number} 条规则的格数与列数不符")
            for column, cell in zip(self.inputs, rule.tests, strict=True):
                where = f"第 {number} 条规则“{column.title or column.expression}”"
                self._cell(where, cell, tests=True)
            for output, cell in zip(self.outputs, rule.results, strict=True):
                if cell.strip():
                    self._cell(f"第 {number} 条规则“{output.title or output.name}”", cell)
        for output in self.outputs:
            for cell in (*output.values, *((output.default,) if output.default else ())):
                self._cell(f"输出“{output.title or output.name}”", cell)

    def _cell(self, where: str, text: str, *, tests: bool = False) -> None:
        try:
            (feel.unary_tests if tests else feel.expression)(text, self.names)
        except feel.BadFeel as error:
            raise BadTable(f"{self.title}：{where}：{error}") from error

    def needs(self) -> set[str]:
        """The names that the input columns and cells ask for."""
        found: set[str] = set()
        for column in self.inputs:
            found |= feel.names_in(feel.expression(column.expression, self.names))
        for rule in self.rules:
            for cell in rule.tests:
                found |= feel.names_in(feel.unary_tests(cell, self.names))
            for cell in rule.results:
                if cell.strip():
                    found |= feel.names_in(feel.expression(cell, self.names))
        return found

    def decide(self, scope: feel.Scope) -> Verdict:
        """Ask the table; raises BadTable where its hit policy does not allow the answer."""
        try:
            return self._decide(scope)
        except feel.BadFeel as error:
            raise BadTable(f"{self.title}：{error}") from error

    def _decide(self, scope: feel.Scope) -> Verdict:
        given = []
        for column in self.inputs:
            value = feel.evaluate(feel.expression(column.expression, self.names), scope)
            value = values.feel(value, column.type)
            if column.values and not feel.matches(
                feel.unary_tests(column.values, self.names), value, scope
            ):
                raise BadTable(
                    f"{self.title}：“{column.title or column.expression}”的值"
                    f"“{'空' if value is None else values.plain(value)}”不在允许范围内"
                )
            given.append(value)
        hit: list[Rule] = []
        for rule in self.rules:
            if all(
                feel.matches(feel.unary_tests(cell, self.names), value, scope)
                for cell, value in zip(rule.tests, given, strict=True)
            ):
                hit.append(rule)
                if self.policy == "F":
                    break
        return self._answer(hit, scope)

    def _row(self, rule: Rule, scope: feel.Scope) -> tuple[Any, ...]:
        return tuple(
            values.feel(feel.evaluate(feel.expression(cell, self.names), scope), output.type)
            if cell.strip()
            else None
            for output, cell in zip(self.outputs, rule.results, strict=True)
        )

    def _rank(self, row: tuple[Any, ...]) -> tuple[int, ...]:
        ranks = []
        for output, value in zip(self.outputs, row, strict=True):
            order = [feel.evaluate(feel.expression(v, self.names), {}) for v in output.values]
            ranks.append(order.index(value) if value in order else len(order))
        return tuple(ranks)

    def _answer(self, hit: list[Rule], scope: feel.Scope) -> Verdict:
        rows = [(rule, self._row(rule, scope)) for rule in hit]
        letter = self.policy[0]
        if letter == "U" and len(rows) > 1:
            raise BadTable(f"{self.title}：规则 {self._said(hit)} 同时命中，而本表要求只命中一条")
        if letter == "A" and any(row != rows[0][1] for _, row in rows):
            raise BadTable(f"{self.title}：规则 {self._said(hit)} 同时命中而结果不同")
        if letter in "PO":
            rows.sort(key=lambda pair: self._rank(pair[1]))
        if letter == "P":
            rows = rows[:1]
        used = [rule for rule, _ in rows]
        rules = tuple(r.id for r in used)
        notes = tuple(dict.fromkeys(n for r in used for n in r.notes if n.strip()))
        if letter in "UAPF":
            row = rows[0][1] if rows else self._defaults(scope)
            return Verdict(self._shape(row), self._by_name(row), rules, notes)
        if self.policy[1:]:
            name = self.outputs[0].name
            total = _aggregate(self.policy[1], [row[0] for _, row in rows])
            return Verdict(total, {name: total}, rules, notes)
        outputs = {o.name: [row[at] for _, row in rows] for at, o in enumerate(self.outputs)}
        return Verdict([self._shape(row) for _, row in rows], outputs, rules, notes)

    def _said(self, hit: list[Rule]) -> str:
        return "、".join(str(self.rules.index(rule) + 1) for rule in hit)

    def _defaults(self, scope: feel.Scope) -> tuple[Any, ...]:
        return tuple(
            feel.evaluate(feel.expression(o.default, self.names), scope) if o.default else None
            for o in self.outputs
        )

    def _by_name(self, row: tuple[Any, ...]) -> dict[str, Any]:
        return {o.name: value for o, value in zip(self.outputs, row, strict=True)}

    def _shape(self, row: tuple[Any, ...]) -> Any:
        if len(self.outputs) == 1:
            return row[0]
        return None if all(v is None for v in row) else self._by_name(row)


def _aggregate(kind: str, found: list[Any]) -> Any:
    if kind == "#":
        return Decimal(len(found))
    if not found or any(not isinstance(v, Decimal) for v in found):
        return None
    pick: dict[str, Callable[[Iterable[Decimal]], Any]] = {"+": sum, "<": min, ">": max}
    return pick[kind](found)
