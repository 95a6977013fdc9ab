"""Grounds: what an answer is made from: the service's table and design, and the grant's terms."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from ...rules import IDENTITY_CHECKS, BadCall

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_WRITTEN = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": re.compile(r"0|-?(?:[1-9][0-9]{0,37}|0(?=\.))(?:\.[0-9]{0,37}[1-9])?"),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "timestamp": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"),
    "boolean": re.compile(r"true|false"),
}
"""How a look-up's value is written, by the beginning of the column's type."""

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""
_KEY = """
WITH behind AS (
    SELECT to_regclass($1)::oid AS oid
    UNION SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
    WHERE r.ev_class = to_regclass($1) AND d.refclassid = 'pg_class'::regclass)
SELECT array_agg(a.attname::text ORDER BY k.at) AS names
FROM behind JOIN pg_index i ON i.indrelid = behind.oid AND i.indisunique AND i.indpred IS NULL,
     unnest(i.indkey) WITH ORDINALITY k(number, at)
JOIN pg_attribute a ON a.attnum = k.number
WHERE a.attrelid = i.indrelid GROUP BY i.indexrelid ORDER BY i.indexrelid LIMIT 1
"""
_GRANT = """
(SELECT FROM kernel_grant g WHERE g.id = $1 AND g.state = 'active'
   AND g.valid_from <= now() AND (g.valid_to IS NULL OR now() < g.valid_to))
"""
_TRIAL = "(SELECT FROM services_trial g WHERE g.id = $1 AND now() < g.valid_to)"


@dataclass(frozen=True)
class Grounds:
    """Service (table, look-ups, columns, design) and grant (terms, operations) of one answer.

    `types` are the PostgreSQL types of the table's columns, `key` those that tell its rows apart
    (empty where none do). Of a trial the table holds invented rows.
    """

    pool: Any
    service: int
    resource: str
    table: str
    lookups: list[list[str]]
    columns: dict[str, dict[str, Any]]
    design: dict[str, Any]
    terms: dict[str, Any]
    types: dict[str, str]
    key: tuple[str, ...]
    operations: frozenset[str]
    trial: bool

    @property
    def in_force(self) -> str:
        """SQL of one row without columns while the right ($1 its number) holds, else none."""
        return _TRIAL if self.trial else _GRANT

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the grant gives and the service has."""
        return tuple(
            f for f in self.terms.get("fields", ()) if f in self.columns and f in self.types
        )

    @property
    def unit(self) -> str | None:
        """The column that tells of whom a row speaks: a person's number, else a firm's; None."""
        return next(
            (
                c
                for check in IDENTITY_CHECKS
                for c, spec in self.columns.items()
                if spec.get("check") == check and c in self.types
            ),
            None,
        )

    def ranges(self, there: Container[str]) -> list[str]:
        """The ranges that the grant allows: of columns it gives in clear, and that are `there`.

        A range over what is masked or not given would tell it by halving.
        """
        masks = self.terms.get("masks") or {}
        given = set(self.terms.get("fields", ()))
        return [
            c
            for c in self.design.get("ranges", ())
            if c in there and c in given and masks.get(c, "none") == "none"
        ]

    def written(self, column: str, value: str) -> None:
        """Hold a value against the one way to write it; raises BadCall.

        PostgreSQL reads many spellings of a number or a day as the same. Whoever counts what is
        said of one key (tries of a verification, readings of a person) must see one spelling.
        """
        kind = self.types[column]
        for begins, form in _WRITTEN.items():
            if kind.startswith(begins) and not form.fullmatch(value):
                raise BadCall("查询参数的值不合要求")

    def known_lookups(self) -> list[list[str]]:
        """The look-ups whose columns the table has."""
        return [way for way in self.lookups if all(c in self.types for c in way)]

    def test(self, column: str, at: int, operator: str = "=") -> str:
        """SQL that compares a column with argument `at`, which is given as text."""
        kind = self.types[column]
        text = kind in ("text", "character varying")
        return f"{quoted(column)} {operator} ${at}" + ("" if text else f"::text::{kind}")

    def scope(self, first: int) -> tuple[list[str], list[list[str]]]:
        """SQL of the grant's row scope with arguments from number `first`, and their values."""
        tests: list[str] = []
        values: list[list[str]] = []
        for column, allowed in (self.terms.get("scope") or {}).items():
            # A row scope on a column that is not there must narrow to nothing, never to everything.
            if column not in self.types:
                tests.append("false")
                continue
            tests.append(f"{quoted(column)}::text = ANY(${first + len(values)}::text[])")
            values.append([str(v) for v in allowed])
        return tests, values


async def columns_of(pool: Any, table: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The types of a table's columns, and the columns of its unique index."""
    name = quoted_table(table)
    types = {r["attname"]: r["type"] for r in await pool.fetch(_COLUMNS, name)}
    key: Sequence[str] | None = await pool.fetchval(_KEY, name)
    return types, tuple(key or ())


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(name: str) -> str:
    """A table's name, with its schema, as SQL."""
    return ".".join(quoted(part) for part in name.split("."))


__all__ = ["Grounds", "columns_of", "quoted", "quoted_table"]
