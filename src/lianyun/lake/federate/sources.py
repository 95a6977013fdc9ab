"""Source: one place with its few connections, its breaker and its known columns."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..shelves import quote
from .breaker import Breaker
from .drivers import Changed, Gone, MySQL, Postgres, Refused, Slow, watch
from .places import Place, Question, SourceDown
from .statements import statement

log = logging.getLogger("lianyun.federate")

WAIT_SECONDS = 0.5
"""How long a call waits for a free connection of a source before it is told that it is busy."""
IDLE_SECONDS = 60.0


@dataclass
class Health:
    """How a source stands in this process; what a page shows."""

    place: str
    title: str
    state: str
    reason: str
    calls: int
    failures: int
    busy: int


class Source:
    """One place with its few connections, its breaker and its known columns."""

    def __init__(
        self,
        place: Place,
        breaker: Breaker | None = None,
        told: Callable[[Health], None] | None = None,
    ) -> None:
        self.place = place
        self.breaker = breaker or Breaker()
        self._tell, self._known = told, True
        self.calls = self.failures = self.busy = 0
        self._slots = threading.Semaphore(place.connections)
        self._idle: list[tuple[float, Any]] = []
        self._guard = threading.Lock()
        self._waiting = 0
        self._schemas: dict[str, dict[str, str]] = {}

    def health(self) -> Health:
        """How the source stands."""
        p, b = self.place, self.breaker
        return Health(p.name, p.title, b.state, b.reason, self.calls, self.failures, self.busy)

    def close(self) -> None:
        """Close what lies idle."""
        with self._guard:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _slot(self, until: float) -> Iterator[None]:
        """A place among the few that may ask at once; a queue as long as that, and no longer."""
        if not self._slots.acquire(blocking=False):
            with self._guard:
                full = self._waiting >= self.place.connections
                self._waiting += not full
            if full:
                raise self._busy()
            try:
                wait = min(WAIT_SECONDS, until - time.monotonic())
                if wait <= 0 or not self._slots.acquire(timeout=wait):
                    raise self._busy()
            finally:
                with self._guard:
                    self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def _busy(self) -> SourceDown:
        self.busy += 1
        return SourceDown(self.place, "busy", "正忙，请稍后再试")

    def _take(self) -> tuple[Any, bool]:
        """A connection, and whether it was used before."""
        now = time.monotonic()
        with self._guard:
            while self._idle:
                since, connection = self._idle.pop()
                if now - since < IDLE_SECONDS:
                    return connection, True
                connection.close()
        return (MySQL if self.place.kind == "mysql" else Postgres)(self.place), False

    def _give(self, connection: Any) -> None:
        with self._guard:
            self._idle.append((time.monotonic(), connection))

    def _ask(self, sql: str, values: Sequence[Any], until: float) -> list[tuple[Any, ...]]:
        """Run one statement; a connection that died while idle is replaced once."""
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Slow
            connection, used = self._take()
            limit = watch.over(connection.fileno(), left)
            try:
                rows: list[tuple[Any, ...]] = connection.run(sql, values)
            except Gone:
                cut = limit.end()
                connection.close()
                if cut:
                    raise Slow from None
                if used:
                    self.close()
                    continue
                raise
            except Slow:
                if limit.end():
                    connection.close()
                else:
                    self._give(connection)
                raise
            except BaseException:
                limit.end()
                connection.close()
                raise
            if limit.end():
                connection.close()
            else:
                self._give(connection)
            return rows

    def run(self, work: Callable[[float], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        """Do `work(until)` behind the breaker; raises SourceDown or BadValue."""
        place = self.place
        rest = self.breaker.enter()
        if rest:
            reason = self.breaker.reason or "连不上"
            raise SourceDown(
                place, "open", f"暂停访问（{reason}），约 {max(1, round(rest))} 秒后再试"
            )
        until = time.monotonic() + place.seconds
        verdict = False
        try:
            with self._slot(until):
                self.calls += 1
                rows = work(until)
            verdict = True
            self._told(self.breaker.good())
            return rows
        except Slow:
            verdict = True
            raise self._failed("timeout", f"超过 {place.seconds:g} 秒没有答复") from None
        except Gone as error:
            verdict = True
            log.warning("source %s cannot be reached: %s", place.name, error)
            raise self._failed("down", "连不上") from None
        except Refused as error:
            # The server is well: it answered. What it will not do is not for callers to wait for.
            verdict = True
            self._told(self.breaker.good())
            log.warning("source %s refuses: %s", place.name, error)
            raise SourceDown(place, "refused", "拒绝了这次查询（权限或数据类型不符）") from None
        finally:
            if not verdict:
                self.breaker.leave()

    def _failed(self, kind: str, reason: str) -> SourceDown:
        self.failures += 1
        self._told(self.breaker.bad(reason))
        return SourceDown(self.place, kind, reason)

    def _told(self, changed: bool) -> None:
        if not changed:
            return
        well = self.breaker.state == "closed"
        log.warning("source %s is %s", self.place.name, self.breaker.state)
        if self._tell is not None and well != self._known:
            self._known = well
            self._tell(self.health())

    # ---- columns --------------------------------------------------------------------------

    def schema(self, table: str, *, fresh: bool = False) -> dict[str, str]:
        """Column → type of a table; from memory, or asked anew. Raises SourceDown."""
        if fresh or table not in self._schemas:
            self.run(lambda until: self._learn(table, until))
        return self._schemas[table]

    def _learn(self, table: str, until: float) -> list[tuple[Any, ...]]:
        schema, _, name = table.rpartition(".")
        if self.place.kind == "mysql":
            sql = (
                "SELECT column_name, data_type FROM information_schema.columns"
                " WHERE table_name = %s AND table_schema = COALESCE(%s, DATABASE())"
                " ORDER BY ordinal_position"
            )
            rows = self._ask(sql, [name, schema or None], until)
        else:
            sql = (
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
                " ORDER BY attnum"
            )
            rows = self._ask(sql, [".".join(quote(p) for p in table.split("."))], until)
        self._schemas[table] = {str(name): str(kind).lower() for name, kind in rows}
        return rows

    # ---- questions ------------------------------------------------------------------------

    def answer(self, question: Question) -> list[tuple[Any, ...]]:
        """The rows of a question, read by the source's own indexes. Raises SourceDown, BadValue.

        Known columns are used until the source says that they are wrong; then they are asked anew
        and the question is put once more.
        """
        self._checked(question, self.schema(question.table))

        def work(until: float) -> list[tuple[Any, ...]]:
            sql, values = statement(question, self._schemas[question.table])
            try:
                return self._ask(sql, values, until)
            except Changed:
                self.close()
                self._learn(question.table, until)
                self._checked(question, self._schemas[question.table])
                sql, values = statement(question, self._schemas[question.table])
                try:
                    return self._ask(sql, values, until)
                except Changed:
                    raise Refused("changed") from None

        return self.run(work)

    def _checked(self, question: Question, schema: dict[str, str]) -> None:
        used = (*question.columns, *(c.column for c in question.conditions), *question.order)
        missing = list(dict.fromkeys(c for c in used if c not in schema))
        if not missing:
            return
        self._schemas.pop(question.table, None)
        what = f"没有列 {'、'.join(missing)}" if schema else f"没有表 {question.table}"
        raise SourceDown(self.place, "schema", f"的结构已经变化：{what}")
