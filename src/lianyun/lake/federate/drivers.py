"""Driver: one read-only connection to a PostgreSQL or MariaDB, whose every wait has an end."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
import pymysql
from psycopg import conninfo

from .places import Place

CONNECT_SECONDS = 3


class Watch:
    """Cuts connections whose time is up, so that a server that hangs holds no caller.

    A shut socket ends every driver's wait; nothing else does, for a server that is alive at the
    network's level and answers no more.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Limit]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._pid = 0

    def over(self, fileno: int, seconds: float) -> Limit:
        limit = Limit(fileno)
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


class Limit:
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


watch = Watch()


# ---- drivers -------------------------------------------------------------------------------


class Gone(Exception):
    """The connection or the server failed (not the question)."""


class Changed(Exception):
    """The source's table is not what it was."""


class Refused(Exception):
    """The server understood the question and refused it."""


class Slow(Exception):
    """The server broke the statement off at its time limit."""


class Postgres:
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
            raise Gone(type(error).__name__) from None

    def fileno(self) -> int:
        return self.con.fileno()

    def run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self.con.execute(sql.encode(), values).fetchall()
        except psycopg.errors.QueryCanceled:
            raise Slow from None
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
            raise Changed from None
        except psycopg.errors.FeatureNotSupported:  # a prepared plan whose table has changed
            raise Changed from None
        except psycopg.errors.UndefinedFunction:  # a column of another type than was known
            raise Changed from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Gone(error.sqlstate or type(error).__name__) from None
        except psycopg.Error as error:
            raise Refused(error.sqlstate or type(error).__name__) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.con.close()


_CLOSING = frozenset(
    ("1040", "1045", "1053", "1129", "1130", "1158", "1159", "1160", "1161", "1927")
)
"""Numbers with which a MySQL server says that it will not go on with the connection."""


class MySQL:
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
            raise Gone(_number(error)) from None

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
                raise Slow from None
            if number in ("1054", "1146"):
                raise Changed from None
            if number.isdigit() and not 2000 <= int(number) < 3000 and number not in _CLOSING:
                raise Refused(number) from None
            raise Gone(number) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.con._force_close()


def _number(error: BaseException) -> str:
    """An error without its text, which may hold a user's name or a value."""
    first = error.args[0] if error.args else ""
    return str(first) if isinstance(first, int) else type(error).__name__
