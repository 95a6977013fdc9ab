"""Answer: what a service does for one call, prepared once for each right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import orjson

from lianyun.capabilities.audit.api import hash_with_key
from lianyun.kernel.element import mask_value

from .. import rules
from .calls import PROBLEM, Call, Refused, Reply, problem

if TYPE_CHECKING:
    from .plane import Plane
    from .rights import Right

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""
_IN_FORCE = """
(SELECT FROM kernel_grant g WHERE g.id = $1 AND g.state = 'active'
   AND g.valid_from <= now() AND (g.valid_to IS NULL OR now() < g.valid_to))
"""


class Answer(Protocol):
    """Answers calls under one right: must ask whether the grant is in force, sets the call's record.

    It sets `call.key_hash` before anything can fail, takes a call of the quota (`plane.leases`),
    and sets `others`, `rows` and `outcome`; raises Refused.
    """

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """The reply to one call."""


async def make(pool: Any, row: asyncpg.Record, terms: dict[str, Any]) -> Answer | None:
    """The answer of a right, from its row (table, look-ups, columns) and the grant's terms."""
    if not row["table"]:
        return None
    types = {r["attname"]: r["type"] for r in await pool.fetch(_COLUMNS, _table(row["table"]))}
    rows = Rows(row, terms, types)
    return rows if rows.lookups else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(name: str) -> str:
    return ".".join(_quoted(part) for part in name.split("."))


class Rows:
    """Rows by a declared look-up: grant and rows asked in one statement, masked, cut to the fields."""

    def __init__(self, row: asyncpg.Record, terms: dict[str, Any], types: dict[str, str]) -> None:
        columns = {c["name"]: c for c in orjson.loads(row["columns"] or "[]")}
        masks = terms.get("masks") or {}
        self.names = tuple(f for f in terms.get("fields", ()) if f in columns and f in types)
        self.masks = tuple((n, masks[n]) for n in self.names if masks.get(n, "none") != "none")
        self.lookups: list[list[str]] = [
            way for way in orjson.loads(row["lookups"] or "[]") if all(c in types for c in way)
        ]
        scope = {k: [str(v) for v in vs] for k, vs in (terms.get("scope") or {}).items()}
        self.scope_values = [v for c, v in scope.items() if c in types]
        self.statements = [
            self._statement(row["table"], way, columns, types, scope) for way in self.lookups
        ]

    def _statement(
        self,
        table: str,
        way: Sequence[str],
        columns: dict[str, Any],
        types: dict[str, str],
        scope: dict[str, list[str]],
    ) -> str:
        hidden = [
            c
            for c, spec in columns.items()
            if spec.get("check") == "citizen_number" and c in types and [c] != way
        ]
        chosen = ", ".join(_quoted(c) for c in (*self.names, *hidden))
        tests = []
        for at, c in enumerate(way, start=2):
            text = types[c] in ("text", "character varying")
            tests.append(f"{_quoted(c)} = ${at}" + ("" if text else f"::text::{types[c]}"))
        at = 2 + len(way)
        for c in scope:
            # A row scope on a column that is not there must narrow to nothing, never to everything.
            tests.append(f"{_quoted(c)}::text = ANY(${at}::text[])" if c in types else "false")
            at += c in types
        inner = f"SELECT true AS _there{', ' + chosen if chosen else ''} FROM {_table(table)}"
        return (
            f"SELECT t.* FROM {_IN_FORCE} ok LEFT JOIN LATERAL ({inner} "
            f"WHERE {' AND '.join(tests)} LIMIT {rules.MAXIMUM_ROWS + 1}) t ON true"
        )

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """One look-up."""
        params = rules.split_query(call.query)
        which, values = rules.chosen_lookup(self.lookups, call.key, params)
        call.key_hash = hash_with_key(
            plane.key, values[0] if len(values) == 1 else "\x1f".join(values)
        )
        await plane.leases.take(right)
        found = await self.fetch(plane, right, which, values)
        return self.shape(plane, right, call, found)

    async def fetch(
        self, plane: Plane, right: Right, which: int, values: Sequence[str]
    ) -> list[asyncpg.Record]:
        """The rows, or a refusal where the grant is no longer in force or the value is no value."""
        arguments = (right.grant_id, *values, *self.scope_values)
        try:
            found = await plane.ask(self.statements[which], arguments)
        except asyncpg.DataError as wrong:
            raise Refused(400, "bad_request", "查询参数的值不合要求") from wrong
        if not found:
            raise await plane.rights.refusal(right)
        return found

    def shape(self, plane: Plane, right: Right, call: Call, found: list[asyncpg.Record]) -> Reply:
        """Masked rows as JSON; the call's record is filled in."""
        if found[0][0] is None:
            call.outcome = "empty"
            if call.key is not None:
                return Reply(404, problem(404, "查无此记录", "", call.uid), PROBLEM)
            empty = {"resource": right.resource, "count": 0, "rows": []}
            return Reply(200, orjson.dumps(empty))
        more = len(found) > rules.MAXIMUM_ROWS
        names, width = self.names, len(self.names) + 1
        rows: list[dict[str, Any]] = []
        others: list[str] | None = None
        for record in found[: rules.MAXIMUM_ROWS]:
            row = dict(zip(names, record[1:width], strict=True))
            for name, mask in self.masks:
                row[name] = mask_value(mask, row[name])
            rows.append(row)
            for number in record[width:]:
                if number:
                    hashed = hash_with_key(plane.key, number)
                    others = others or []
                    if hashed != call.key_hash and hashed not in others:
                        others.append(hashed)
        body: dict[str, Any] = {"resource": right.resource, "count": len(rows), "rows": rows}
        if more:
            body["more"] = True
        call.others, call.rows = others, len(rows)
        return Reply(200, orjson.dumps(body, default=str))


__all__ = ["Answer", "Rows", "make"]
