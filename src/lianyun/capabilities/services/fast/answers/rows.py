"""Rows: a query by look-up or range, grant and rows asked in one statement, masked, in pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from lianyun.capabilities.audit.api import hash_with_key
from lianyun.kernel.element import mask_value

from ... import rules
from ..calls import PROBLEM, Call, Refused, Reply, problem
from .cursors import seal, unseal
from .grounds import Grounds, quoted, quoted_table

if TYPE_CHECKING:
    from ..plane import Plane
    from ..rights import Right


async def make(grounds: Grounds) -> Rows | None:
    """The answer of a query service; None without a look-up and a range."""
    rows = Rows(grounds)
    return rows if rows.lookups or rows.ranges else None


class Rows:
    """Rows by a declared look-up or range, cut to the granted fields.

    Pages follow the first range's column and the table's key; where the table has no key there is
    one page only.
    """

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        masks = grounds.terms.get("masks") or {}
        self.names = grounds.fields
        self.masks = tuple((n, masks[n]) for n in self.names if masks.get(n, "none") != "none")
        self.lookups = grounds.known_lookups()
        self.ranges = grounds.ranges(grounds.types)
        self.may_query = "query" in grounds.operations
        self.may_range = "range" in grounds.operations
        tests, self.scope_values = grounds.scope(2)
        self.scoped = bool(tests)
        self.statements = [self._one(way) for way in self.lookups]
        self.others: dict[Any, str] = {}

    def _citizens(self, way: Sequence[str]) -> list[str]:
        """Columns with people's numbers: whoever a row speaks of is named in the record."""
        return [
            c
            for c, spec in self.grounds.columns.items()
            if spec.get("check") == "citizen_number" and c in self.grounds.types and [c] != way
        ]

    def _statement(
        self, way: Sequence[str], tests: list[str], first: int, order: Sequence[str], limit: str
    ) -> str:
        chosen = ", ".join(quoted(c) for c in (*self.names, *self._citizens(way)))
        last = ", ".join(f"{quoted(c)}::text AS _o{n}" for n, c in enumerate(order))
        scope, _ = self.grounds.scope(first)
        inner = (
            f"SELECT true AS _there{', ' + chosen if chosen else ''}{', ' + last if last else ''} "
            f"FROM {quoted_table(self.grounds.table)} WHERE {' AND '.join([*tests, *scope])}"
        )
        if order:
            inner += f" ORDER BY {', '.join(quoted(c) for c in order)}"
        return (
            f"SELECT t.* FROM {self.grounds.in_force} ok "
            f"LEFT JOIN LATERAL ({inner} LIMIT {limit}) t ON true"
        )

    def _one(self, way: Sequence[str]) -> str:
        """The statement of a look-up by the table's key: at most one row, so no order."""
        tests = [self.grounds.test(c, at) for at, c in enumerate(way, start=2)]
        order = () if self._single(way) else self.grounds.key
        return self._statement(way, tests, 2 + len(way), order, str(rules.MAXIMUM_ROWS + 1))

    def _single(self, way: Sequence[str]) -> bool:
        return bool(self.grounds.key) and set(self.grounds.key) <= set(way)

    def _order(self, asked: rules.Asked) -> tuple[str, ...]:
        """Along which columns the pages of a question go."""
        if not self.grounds.key:
            return ()
        first = next(iter(asked.bounds), None)
        return tuple(dict.fromkeys([first, *self.grounds.key] if first else self.grounds.key))

    def _paged(self, asked: rules.Asked, after: bool) -> tuple[str, list[str]]:
        """The statement of a question with ranges or pages, and its arguments before the scope."""
        way = self.lookups[asked.lookup] if asked.lookup is not None else []
        order = self._order(asked)
        shape = (
            asked.lookup,
            after,
            tuple((c, lo is None, hi is None) for c, (lo, hi) in asked.bounds.items()),
        )
        values = list(asked.values)
        for low, high in asked.bounds.values():
            values += [v for v in (low, high) if v is not None]
        statement = self.others.get(shape)
        if statement is None:
            tests = [self.grounds.test(c, at) for at, c in enumerate(way, start=2)]
            at = 2 + len(way)
            for column, (low, high) in asked.bounds.items():
                if low is not None:
                    tests.append(self.grounds.test(column, at, ">="))
                    at += 1
                if high is not None:
                    tests.append(self.grounds.test(column, at, "<="))
                    at += 1
            if after:
                ends = ", ".join(
                    f"${at + n}::text::{self.grounds.types[c]}" for n, c in enumerate(order)
                )
                tests.append(f"({', '.join(quoted(c) for c in order)}) > ({ends})")
                at += len(order)
            statement = self._statement(way, tests, at + 1, order, f"${at}::int")
            if len(self.others) > 200:
                self.others.clear()
            self.others[shape] = statement
        return statement, values

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """One question."""
        params = rules.split_query(call.query)
        asked = rules.asked_rows(self.lookups, self.ranges, call.key, params)
        values = asked.values
        plain = not asked.bounds and "limit" not in params and not asked.cursor
        if values:
            call.key_hash = hash_with_key(
                plane.key, values[0] if len(values) == 1 else "\x1f".join(values)
            )
        if asked.bounds:
            call.operation = "range"
        if not (self.may_range if asked.bounds else self.may_query):
            named = rules.OPERATIONS[call.operation]
            raise Refused(403, "forbidden", f"授权不包含{named}", "请在共享申请中增加此用途")
        question = (
            ""
            if plain and self._single(self.lookups[asked.lookup or 0])
            else _question(right, call, params)
        )
        after: list[str | None] = []
        if asked.cursor:
            after = unseal(plane.key, question, asked.cursor)
        if plain:
            assert asked.lookup is not None
            statement = self.statements[asked.lookup]
            arguments: tuple[Any, ...] = (right.grant_id, *values, *self.scope_values)
        else:
            statement, given = self._paged(asked, bool(after))
            arguments = (right.grant_id, *given, *after, asked.limit + 1, *self.scope_values)
        await plane.leases.take(call)
        try:
            found = await plane.ask(statement, arguments)
        except asyncpg.DataError as wrong:
            raise Refused(400, "bad_request", "查询参数的值不合要求") from wrong
        if not found:
            raise await plane.rights.refusal(right)
        order = (
            0
            if plain and self._single(self.lookups[asked.lookup or 0])
            else len(self._order(asked))
        )
        return self.shape(plane, right, call, found, asked.limit, order, question)

    def shape(
        self,
        plane: Plane,
        right: Right,
        call: Call,
        found: list[asyncpg.Record],
        limit: int,
        order: int,
        question: str,
    ) -> Reply:
        """Masked rows as JSON with the next page's cursor; the call's record is filled in."""
        if found[0][0] is None:
            call.outcome = "empty"
            if call.key is not None:
                return Reply(404, problem(404, "查无此记录", "", call.uid), PROBLEM)
            empty = {"resource": right.resource, "count": 0, "rows": []}
            return Reply(200, orjson.dumps(empty))
        more = len(found) > limit
        names, width = self.names, len(self.names) + 1
        end = len(found[0]) - order
        rows: list[dict[str, Any]] = []
        others: list[str] | None = None
        for record in found[:limit]:
            row = dict(zip(names, record[1:width], strict=True))
            for name, mask in self.masks:
                row[name] = mask_value(mask, row[name])
            rows.append(row)
            for number in record[width:end]:
                if number:
                    hashed = hash_with_key(plane.key, number)
                    others = others or []
                    if hashed != call.key_hash and hashed not in others:
                        others.append(hashed)
        body: dict[str, Any] = {"resource": right.resource, "count": len(rows), "rows": rows}
        if more:
            body["more"] = True
            if order:
                body["next"] = seal(plane.key, question, list(found[limit - 1][end:]))
        call.others, call.rows = others, len(rows)
        return Reply(200, orjson.dumps(body, default=str))


def _question(right: Right, call: Call, params: dict[str, str]) -> str:
    """What a cursor belongs to: grant, version and conditions, whatever the page's size."""
    same = sorted((k, v) for k, v in params.items() if k not in ("cursor", "limit"))
    text = repr((right.grant_id, call.resource, call.version, same))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


__all__ = ["Rows", "make"]
