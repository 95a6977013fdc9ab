"""Federate: answers from departments' own databases at call time, each asked for no more than is needed.

逻辑集中、物理分散: the rows stay where they are. A question names a table, the columns, the
conditions and a limit; all four are carried out by the department's own server. Several questions
are answered side by side and joined here in DuckDB. A source that is slow, busy or gone is
answered for by a `SourceDown` that names it, and disturbs no other source: every wait has an end,
connections are few, and a circuit breaker keeps callers away while a source is down (ADR 0017).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import duckdb
import psycopg
import pyarrow as pa
import pymysql
from psycopg import conninfo

from .shelves import LakeError, open_duckdb, quote

log = logging.getLogger("lianyun.federate")

OPERATORS = ("=", ">=", "<=", ">", "<", "in")
CONNECT_SECONDS = 3
WAIT_SECONDS = 0.5
"""How long a call waits for a free connection of a source before it is told that it is busy."""
IDLE_SECONDS = 60.0
FAILURES = 3
REST_SECONDS = 10.0
LONGEST_REST_SECONDS = 120.0
MOST_KEYS = 2_000
"""Most keys of one table that are looked up in another one."""
_NUMBER = re.compile(r"[+-]?\d{1,38}(\.\d{1,38})?")
_PLAIN = frozenset(
    {"text", "character varying", "character", "smallint", "integer", "bigint", "numeric"}
    | {"boolean", "date", "real", "double precision", "timestamp without time zone"}
)
"""PostgreSQL types that travel as they are; all others come as the text that the source prints."""


class SourceDown(LakeError):
    """A source that does not answer; `kind` is down | timeout | busy | open | schema | refused."""

    def __init__(self, place: Place, kind: str, reason: str) -> None:
        super().__init__(f"“{place.title}”{reason}")
        self.place, self.kind, self.reason = place.name, kind, reason


class BadValue(LakeError):
    """A value that the column cannot hold; the caller's mistake, not the source's."""


@dataclass(frozen=True)
class Place:
    """A department's database: `url` (with its secret) is ``postgresql://…`` or ``mysql://…``.

    `seconds` bounds a statement at the server and here; `connections` bounds how many run at once.
    """

    name: str
    title: str
    url: str = field(repr=False)
    seconds: float = 5.0
    connections: int = 4

    @property
    def kind(self) -> str:
        """postgresql or mysql."""
        scheme = urlsplit(self.url).scheme
        return "mysql" if scheme in ("mysql", "mariadb") else "postgresql"


@dataclass(frozen=True)
class Condition:
    """One condition that the source carries out; `value` is a list of values for ``in``."""

    column: str
    operator: str
    value: Any


@dataclass(frozen=True)
class Question:
    """What is asked of one table: `columns` where `conditions` hold, at most `limit` rows."""

    place: Place
    table: str
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    limit: int = 100
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One table of a join: its rows meet the first part's where `key` equals the first's `on`.

    `optional` keeps rows of the first part that have no partner here; `conditions` are its own.
    """

    place: Place
    table: str
    columns: tuple[str, ...]
    key: str = ""
    on: str = ""
    optional: bool = True
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Columns and rows of an answer."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


# ---- the breaker ---------------------------------------------------------------------------


class Breaker:
    """Keeps callers away from a source that fails: closed → open after `failures` → half-open.

    While half-open one caller tries; if it fails the rest doubles (up to two minutes).
    """

    def __init__(
        self,
        failures: int = FAILURES,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._first_rest, self._clock = failures, rest, clock
        self._guard = threading.Lock()
        self._failed, self._rest, self._until, self._probing = 0, rest, 0.0, False
        self.state = "closed"
        self.reason = ""

    def enter(self) -> float:
        """Let a caller through (0), or say how many seconds the source still rests."""
        with self._guard:
            if self.state == "closed":
                return 0.0
            left = self._until - self._clock()
            if left > 0:
                return left
            if self._probing:
                return 1.0
            self.state, self._probing = "half-open", True
            return 0.0

    def good(self) -> bool:
        """The source answered; returns whether the state changed."""
        with self._guard:
            changed = self.state != "closed"
            self.state, self.reason, self._failed = "closed", "", 0
            self._probing, self._rest = False, self._first_rest
            return changed

    def bad(self, reason: str) -> bool:
        """The source failed; returns whether the state changed."""
        with self._guard:
            self._failed += 1
            self.reason = reason
            if self.state == "half-open":
                self._rest = min(self._rest * 2, LONGEST_REST_SECONDS)
            elif self._failed < self._limit or self.state == "open":
                return False
            self.state, self._probing = "open", False
            self._until = self._clock() + self._rest
            return True

    def leave(self) -> None:
        """A probe that came to no verdict (nothing was asked of the source after all)."""
        with self._guard:
            if self.state == "half-open":
                self.state, self._probing = "open", False


# ---- ends of waits -------------------------------------------------------------------------


class _Watch:
    """Cuts connections whose time is up, so that a server that hangs holds no caller.

    A shut socket ends every driver's wait; nothing else does, for a server that is alive at the
    network's level and answers no more.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Limit]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._pid = 0

    def over(self, fileno: int, seconds: float) -> _Limit:
        limit = _Limit(fileno)
        with self._changed:
            if self._pid != os.getpid():
                self._pid, self._heap = os.getpid(), []
                threading.Thread(target=self._run, name="federate watch", daemon=True).start()
            first = self._heap[0][0] if self._heap else float("inf")
            entry = (time.monotonic() + seconds, next(self._numbers), limit)
            heapq.heappush(self._heap, entry)
            if entry[0] < first:
                self._changed.notify()
        return limit

    def _run(self) -> None:
        with self._changed:
            while True:
                while self._heap and self._heap[0][2].done:
                    heapq.heappop(self._heap)
                if not self._heap:
                    self._changed.wait()
                    continue
                left = self._heap[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._heap)[2].cut()


class _Limit:
    """The end of one wait."""

    def __init__(self, fileno: int) -> None:
        self._fileno, self._guard = fileno, threading.Lock()
        self.done = self.fired = False

    def cut(self) -> None:
        with self._guard:
            if self.done:
                return
            self.done = self.fired = True
            with contextlib.suppress(OSError):
                held = socket.socket(fileno=os.dup(self._fileno))
                try:
                    held.shutdown(socket.SHUT_RDWR)
                finally:
                    held.close()

    def end(self) -> bool:
        """The wait is over; returns whether it had been cut."""
        with self._guard:
            self.done = True
            return self.fired


_watch = _Watch()


# ---- drivers -------------------------------------------------------------------------------


class _Gone(Exception):
    """The connection or the server failed (not the question)."""


class _Changed(Exception):
    """The source's table is not what it was."""


class _Refused(Exception):
    """The server understood the question and refused it."""


class _Slow(Exception):
    """The server broke the statement off at its time limit."""


class _Postgres:
    """One read-only connection to a PostgreSQL."""

    def __init__(self, place: Place) -> None:
        limits = (
            f"-c statement_timeout={int(place.seconds * 1000)} -c default_transaction_read_only=on"
            " -c timezone=Asia/Shanghai"
        )
        try:
            self.con = psycopg.connect(
                conninfo.make_conninfo(place.url, connect_timeout=CONNECT_SECONDS),
                options=limits,
                application_name="lianyun federated",
                autocommit=True,
            )
        except psycopg.Error as error:
            raise _Gone(type(error).__name__) from None

    def fileno(self) -> int:
        return self.con.fileno()

    def run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self.con.execute(sql.encode(), values).fetchall()
        except psycopg.errors.QueryCanceled:
            raise _Slow from None
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
            raise _Changed from None
        except psycopg.errors.FeatureNotSupported:  # a prepared plan whose table has changed
            raise _Changed from None
        except psycopg.errors.UndefinedFunction:  # a column of another type than was known
            raise _Changed from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise _Gone(error.sqlstate or type(error).__name__) from None
        except psycopg.Error as error:
            raise _Refused(error.sqlstate or type(error).__name__) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.con.close()


_CLOSING = frozenset(
    ("1040", "1045", "1053", "1129", "1130", "1158", "1159", "1160", "1161", "1927")
)
"""Numbers with which a MySQL server says that it will not go on with the connection."""


class _MySQL:
    """One read-only connection to a MariaDB or MySQL."""

    def __init__(self, place: Place) -> None:
        parts = urlsplit(place.url)
        options = dict(parse_qsl(parts.query))
        try:
            self.con: Any = pymysql.connect(
                host=unquote(options.get("host") or parts.hostname or "127.0.0.1"),
                port=parts.port or 3306,
                unix_socket=options.get("unix_socket") or options.get("socket"),
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=unquote(parts.path.lstrip("/")) or None,
                charset="utf8mb4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=max(1, round(place.seconds) + 1),
                write_timeout=CONNECT_SECONDS,
                autocommit=True,
                local_infile=False,
            )
            with self.con.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute("SET SESSION time_zone = '+08:00'")
                maria = "mariadb" in str(self.con.get_server_info()).lower()
                limit = (
                    f"max_statement_time = {place.seconds:.3f}"
                    if maria
                    else f"max_execution_time = {int(place.seconds * 1000)}"
                )
                cursor.execute(f"SET SESSION {limit}")
        except (pymysql.Error, OSError) as error:
            raise _Gone(_number(error)) from None

    def fileno(self) -> int:
        return int(self.con._sock.fileno())

    def run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with self.con.cursor() as cursor:
                cursor.execute(sql, tuple(values))
                return list(cursor.fetchall())
        except (pymysql.Error, OSError, AttributeError) as error:
            number = _number(error)
            if number in ("1969", "3024", "1317"):
                raise _Slow from None
            if number in ("1054", "1146"):
                raise _Changed from None
            if number.isdigit() and not 2000 <= int(number) < 3000 and number not in _CLOSING:
                raise _Refused(number) from None
            raise _Gone(number) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.con._force_close()


def _number(error: BaseException) -> str:
    """An error without its text, which may hold a user's name or a value."""
    first = error.args[0] if error.args else ""
    return str(first) if isinstance(first, int) else type(error).__name__


# ---- one source ----------------------------------------------------------------------------


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
        return (_MySQL if self.place.kind == "mysql" else _Postgres)(self.place), False

    def _give(self, connection: Any) -> None:
        with self._guard:
            self._idle.append((time.monotonic(), connection))

    def _ask(self, sql: str, values: Sequence[Any], until: float) -> list[tuple[Any, ...]]:
        """Run one statement; a connection that died while idle is replaced once."""
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise _Slow
            connection, used = self._take()
            limit = _watch.over(connection.fileno(), left)
            try:
                rows: list[tuple[Any, ...]] = connection.run(sql, values)
            except _Gone:
                cut = limit.end()
                connection.close()
                if cut:
                    raise _Slow from None
                if used:
                    self.close()
                    continue
                raise
            except _Slow:
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
        except _Slow:
            verdict = True
            raise self._failed("timeout", f"超过 {place.seconds:g} 秒没有答复") from None
        except _Gone as error:
            verdict = True
            log.warning("source %s cannot be reached: %s", place.name, error)
            raise self._failed("down", "连不上") from None
        except _Refused as error:
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
            except _Changed:
                self.close()
                self._learn(question.table, until)
                self._checked(question, self._schemas[question.table])
                sql, values = statement(question, self._schemas[question.table])
                try:
                    return self._ask(sql, values, until)
                except _Changed:
                    raise _Refused("changed") from None

        return self.run(work)

    def _checked(self, question: Question, schema: dict[str, str]) -> None:
        used = (*question.columns, *(c.column for c in question.conditions), *question.order)
        missing = list(dict.fromkeys(c for c in used if c not in schema))
        if not missing:
            return
        self._schemas.pop(question.table, None)
        what = f"没有列 {'、'.join(missing)}" if schema else f"没有表 {question.table}"
        raise SourceDown(self.place, "schema", f"的结构已经变化：{what}")


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


# ---- several sources -----------------------------------------------------------------------


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
