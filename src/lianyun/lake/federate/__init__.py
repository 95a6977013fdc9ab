"""Federate: answers from departments' own databases at call time, each asked for no more than is needed.

逻辑集中、物理分散: the rows stay where they are. A question names a table, the columns, the
conditions and a limit; all four are carried out by the department's own server. Several questions
are answered side by side and joined here in DuckDB. A source that is slow, busy or gone is
answered for by a `SourceDown` that names it, and disturbs no other source: every wait has an end,
connections are few, and a circuit breaker keeps callers away while a source is down (ADR 0017).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pyarrow as pa

from ..shelves import LakeError, open_duckdb, quote
from .breaker import Breaker
from .places import BadValue, Condition, Part, Place, Question, Rows, SourceDown
from .sources import Health, Source
from .statements import statement

MOST_KEYS = 2_000
"""Most keys of one table that are looked up in another one."""


class Federation:
    """The sources that this process asks: `answer` one table, `join` several in one request.

    `told` is called, in a thread of the call, when a source fails for good or is back.
    """

    def __init__(self, threads: int = 64, told: Callable[[Health], None] | None = None) -> None:
        self._tell = told
        self._sources: dict[str, Source] = {}
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="federate")
        self._duck: duckdb.DuckDBPyConnection | None = None

    def source(self, place: Place) -> Source:
        """The source of a place; a place whose address, secret or limits changed begins anew."""
        with self._guard:
            found = self._sources.get(place.name)
            if found is None or found.place != place:
                if found is not None:
                    found.close()
                found = self._sources[place.name] = Source(place, told=self._tell)
            return found

    def health(self) -> list[Health]:
        """How every source stands that was asked by this process."""
        with self._guard:
            listed = list(self._sources.values())
        return [s.health() for s in listed]

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._guard:
            listed, self._sources = list(self._sources.values()), {}
            duck, self._duck = self._duck, None
        for source in listed:
            source.close()
        if duck is not None:
            duck.close()

    def answer(self, question: Question) -> Rows:
        """The rows of one table. Raises SourceDown, BadValue."""
        return Rows(question.columns, self.source(question.place).answer(question))

    def join(
        self,
        parts: Sequence[Part],
        conditions: Sequence[Condition],
        outputs: Sequence[tuple[int, str, str]],
        *,
        limit: int = 100,
        order: Sequence[str] = (),
    ) -> Rows:
        """Rows of the first part where `conditions` hold, each with its partners in the others.

        `outputs` are (number of the part, column, name in the answer). Where a condition fixes the
        very column on which a part meets the first, that part is asked at the same time; otherwise
        with the keys that the first part gave. Raises SourceDown for the first source that fails,
        BadValue, and LakeError where there are more keys than `MOST_KEYS`.
        """
        first, others = parts[0], parts[1:]
        wanted = [
            tuple(
                dict.fromkeys(
                    [c for n, c, _ in outputs if n == number]
                    + ([p.key] if p.key else [])
                    + ([o.on for o in others] if number == 0 else [])
                )
            )
            for number, p in enumerate(parts)
        ]
        fixed = {c.column: c for c in conditions if c.operator in ("=", "in")}
        base = Question(
            first.place,
            first.table,
            wanted[0],
            (*first.conditions, *conditions),
            limit,
            tuple(order),
        )
        begun = {0: self._pool.submit(self.answer, base)}
        for number, part in enumerate(others, start=1):
            known = fixed.get(part.on)
            if known is not None:
                begun[number] = self._pool.submit(
                    self.answer, self._partner(part, wanted[number], known.operator, known.value)
                )
        answers = {0: begun[0].result()}
        at = {c: i for i, c in enumerate(wanted[0])}
        for number, part in enumerate(others, start=1):
            if number not in begun:
                keys = list(
                    dict.fromkeys(
                        str(row[at[part.on]]).rstrip()
                        for row in answers[0].rows
                        if row[at[part.on]] is not None
                    )
                )
                if len(keys) > MOST_KEYS:
                    raise LakeError(f"一次最多关联 {MOST_KEYS} 条记录，请缩小查询范围")
                begun[number] = self._pool.submit(
                    self.answer, self._partner(part, wanted[number], "in", keys)
                )
        for number in range(1, len(parts)):
            answers[number] = begun[number].result()
        return self._joined(parts, answers, wanted, outputs, limit)

    @staticmethod
    def _partner(part: Part, columns: tuple[str, ...], operator: str, value: Any) -> Question:
        known = Condition(part.key, operator, value)
        return Question(part.place, part.table, columns, (*part.conditions, known), MOST_KEYS)

    def _joined(
        self,
        parts: Sequence[Part],
        answers: dict[int, Rows],
        wanted: Sequence[tuple[str, ...]],
        outputs: Sequence[tuple[int, str, str]],
        limit: int,
    ) -> Rows:
        with self._guard:
            if self._duck is None:
                self._duck = open_duckdb("200MB", 1)
            con = self._duck.cursor()
        try:
            for number in range(len(parts)):
                con.register(f"part_{number}", arrow(answers[number], wanted[number]))
            listed = ", ".join(f"p{n}.{quote(c)} AS {quote(name)}" for n, c, name in outputs)
            sql = f"SELECT {listed} FROM part_0 AS p0"
            for number, part in enumerate(parts[1:], start=1):
                how = "LEFT JOIN" if part.optional else "JOIN"
                sql += (
                    f" {how} part_{number} AS p{number} ON rtrim(p{number}.{quote(part.key)}"
                    f"::VARCHAR) = rtrim(p0.{quote(part.on)}::VARCHAR)"
                )
            rows = con.execute(f"{sql} LIMIT {int(limit)}").fetchall()
        finally:
            con.close()
        return Rows(tuple(name for _, _, name in outputs), rows)


def arrow(answer: Rows, columns: Sequence[str]) -> pa.Table:
    """Rows as an Arrow table; a column of mixed or foreign values becomes text."""
    arrays = []
    for at in range(len(columns)):
        values = [row[at] for row in answer.rows]
        try:
            made = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            made = pa.array([None if v is None else str(v) for v in values])
        arrays.append(made.cast(pa.string()) if pa.types.is_null(made.type) else made)
    return pa.Table.from_arrays(arrays, names=list(columns))


__all__ = [
    "BadValue",
    "Breaker",
    "Condition",
    "Federation",
    "Health",
    "Part",
    "Place",
    "Question",
    "Rows",
    "Source",
    "SourceDown",
    "statement",
]
