"""Statement: a question in its source's dialect, with its parameters."""

from __future__ import annotations

import re
from typing import Any

from ..shelves import quote
from .places import BadValue, Question

OPERATORS = ("=", ">=", "<=", ">", "<", "in")
_NUMBER = re.compile(r"[+-]?\d{1,38}(\.\d{1,38})?")
_PLAIN = frozenset(
    {"text", "character varying", "character", "smallint", "integer", "bigint", "numeric"}
    | {"boolean", "date", "real", "double precision", "timestamp without time zone"}
)
"""PostgreSQL types that travel as they are; all others come as the text that the source prints."""


def statement(question: Question, schema: dict[str, str]) -> tuple[str, list[Any]]:
    """The SQL of a question in its source's dialect, and its parameters. Raises BadValue.

    Columns, conditions, order and limit are all in it: nothing is left to be done after the rows
    have travelled.
    """
    mysql = question.place.kind == "mysql"

    def named(text: str) -> str:
        if mysql:
            return "`" + text.replace("`", "``").replace("%", "%%") + "`"
        return quote(text).replace("%", "%%")

    def shown(column: str) -> str:
        if mysql or schema[column] in _PLAIN:
            return named(column)
        return f"{named(column)}::text AS {named(column)}"

    values: list[Any] = []
    tests = []
    for condition in question.conditions:
        kind = schema[condition.column]
        if condition.operator not in OPERATORS:
            raise BadValue(f"不支持的条件“{condition.operator}”")
        if condition.operator == "in":
            listed = [_fitting(condition.column, kind, v) for v in condition.value]
            if not listed:
                tests.append("1 = 0")
            elif mysql:
                tests.append(f"{named(condition.column)} IN ({', '.join(['%s'] * len(listed))})")
                values += listed
            else:
                tests.append(f"{named(condition.column)} = ANY(%s::text[]::{_base(kind)}[])")
                values.append(listed)
        else:
            cast = "" if mysql or kind in ("text", "character varying") else f"::{_base(kind)}"
            tests.append(f"{named(condition.column)} {condition.operator} %s{cast}")
            values.append(_fitting(condition.column, kind, condition.value))
    table = ".".join(named(part) for part in question.table.split("."))
    sql = f"SELECT {', '.join(shown(c) for c in question.columns)} FROM {table}"
    if tests:
        sql += f" WHERE {' AND '.join(tests)}"
    if question.order:
        sql += f" ORDER BY {', '.join(named(c) for c in question.order)}"
    return f"{sql} LIMIT {int(question.limit)}", values


def _base(kind: str) -> str:
    return "bpchar" if kind == "character" else kind


_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")
_NUMERIC = re.compile(r"(big|small|tiny|medium)?int|numeric|decimal|real|double|float")


def _fitting(column: str, kind: str, value: Any) -> str:
    """A value as text that the column can hold: MySQL would read '12abc' as 12. Raises BadValue."""
    text = str(value)
    if "\x00" in text:
        raise BadValue(f"{column} 的值含有不允许的字符")
    if _NUMERIC.match(kind) and not _NUMBER.fullmatch(text):
        raise BadValue(f"{column} 应为数字")
    if kind.startswith(("date", "timestamp")) and not _MOMENT.fullmatch(text):
        raise BadValue(f"{column} 应为日期，如 2026-01-31")
    return text
