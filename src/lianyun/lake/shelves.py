"""Shelves: the lake's tables, Parquet files under a catalogue that lives in PostgreSQL.

DuckLake keeps facts in bulk in six schemas: ``raw`` (rows as they arrived), ``trusted`` (typed,
checked rows), ``rejects`` (refused rows with reasons), ``library`` (golden records), ``findings``
(what comparisons found), ``links`` (who is who across datasets); ``changes`` holds before-images
and ``ledger`` the outcome of every batch. The table format is named only here and in the SQL of
this package, so that another one can take its place.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import psycopg
from psycopg import conninfo

from . import digits, objects

SCHEMAS = ("raw", "trusted", "rejects", "library", "findings", "links", "changes", "ledger")
LEDGER = "lake.ledger.batches"
ENGINE = ("json", "icu", "postgres_scanner", "ducklake")
"""DuckDB extensions without which no lake opens."""
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,59}$")
_FORMAT = re.compile(
    r"^(?P<kind>an|a|n)?(?P<low>\d+)?(?P<range>\.\.)?(?P<high>\d+|ul)?"
    r"(?:,(?P<decimals>\d+))?(?:\((?P<pattern>[^)]*)\))?$"
)
_HELD = "hashtextextended(%s, 1819243617)"
_WANTED = "hashtextextended(%s, 1819243618)"
T = TypeVar("T")


class LakeError(Exception):
    """Anything the lake refuses; its text is Chinese and meant for an officer."""


class Busy(LakeError):
    """Another writer holds the table for longer than the caller is ready to wait."""


@dataclass(frozen=True)
class Column:
    """One column of a lake table: an ASCII name and a DuckDB type."""

    name: str
    sql_type: str = "VARCHAR"


@dataclass(frozen=True)
class FormatParts:
    """A representation format such as ``an..18`` taken apart (GB/T 39046-2020 table 3).

    Lengths count characters, not GB 2312 bytes; ``None`` means no bound.
    """

    kind: str = ""
    low: int | None = None
    high: int | None = None
    decimals: int = 0
    pattern: str | None = None


def format_parts(text: str | None) -> FormatParts:
    """Takes a representation format apart; date formats and empty ones have no bounds."""
    if not text:
        return FormatParts()
    found = _FORMAT.match(text.strip())
    if not found:
        return FormatParts()
    low, high = found["low"], found["high"]
    decimals = int(found["decimals"] or 0)
    if not found["range"]:
        digits = int((low or "") + (high or "")) if (low or high) and high != "ul" else None
        fixed = digits if found["kind"] else None
        if found["kind"] == "n" and decimals:
            return FormatParts("n", None, digits, decimals, None)
        return FormatParts(found["kind"] or "", fixed, digits, decimals, found["pattern"])
    return FormatParts(
        found["kind"] or "",
        int(low) if low else None,
        None if high in (None, "ul") else int(high),
        decimals,
        found["pattern"],
    )


def storage_type(type: str, format: str | None = None) -> str:
    """The DuckDB type in which an item of this data type and format is stored.

    C, M, G are VARCHAR (so that region codes keep their zeros); N and Y with decimals are
    DECIMAL(p,s), N and I without are BIGINT (up to 18 digits, DECIMAL beyond); B and F are DOUBLE;
    D is DATE, T is TIMESTAMP, L is BOOLEAN.
    """
    letter = (type or "C").strip().upper()[:1]
    parts = format_parts(format)
    if letter in ("N", "Y"):
        if parts.decimals:
            precision = min(max(parts.high or 38, parts.decimals + 1), 38)
            return f"DECIMAL({precision},{parts.decimals})"
        if letter == "Y" and not format:
            return "DECIMAL(18,2)"
        if parts.high and parts.high > 18:
            return f"DECIMAL({min(parts.high, 38)},0)"
        return "BIGINT"
    return {
        "I": "BIGINT",
        "B": "DOUBLE",
        "F": "DOUBLE",
        "D": "DATE",
        "T": "TIMESTAMP",
        "L": "BOOLEAN",
    }.get(letter, "VARCHAR")


def valid_name(name: str) -> str:
    """Returns `name` if it may name a table or an item; raises LakeError otherwise."""
    if not _NAME.match(name):
        raise LakeError(f"名称“{name}”不合规：只能用小写字母、数字和下划线，以字母开头，最长 60 位")
    return name


def quote(identifier: str) -> str:
    """An SQL identifier in quotes, whatever it holds."""
    return '"' + identifier.replace('"', '""').replace("\x00", "") + '"'


def literal(text: str) -> str:
    """An SQL string literal, whatever it holds."""
    return "'" + text.replace("'", "''").replace("\x00", "") + "'"


_verified: set[tuple[str, int, int, int]] = set()
"""Extension files (path, inode, bytes, changed) whose signature this process has seen checked."""


def extension_path(name: str) -> Path | None:
    """Where the wheel `duckdb_extension_<name>` keeps its file; None if it is not installed."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).rglob(f"{name}.duckdb_extension")):
            if f"v{duckdb.__version__}" in path.parts:
                return path
    return None


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Loads an extension from its wheel by path; never from the internet by itself."""
    path = extension_path(name)
    if path is None:
        raise LakeError(f"缺少 DuckDB {duckdb.__version__} 扩展“{name}”，请安装对应的扩展包")
    try:
        con.execute(f"LOAD {literal(str(path))}")
    except duckdb.Error as error:
        raise LakeError(f"DuckDB 扩展“{name}”装不上：{error}") from error


def _identity(path: Path) -> tuple[str, int, int, int]:
    known = path.stat()
    return (str(path), known.st_ino, known.st_size, known.st_mtime_ns)


def open_duckdb(
    memory_limit: str = "700MB", threads: int = 2, extensions: Sequence[str] = ()
) -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB that installs nothing by itself and knows check digits.

    DuckDB hashes an extension's whole file at every LOAD to check its signature: a third of a
    second for the two large ones. A process checks a file once; while the file stays the same,
    its later databases take it at its word and then shut that door for good (the setting can be
    taken back in a running database, not given).
    """
    files = {name: path for name in extensions if (path := extension_path(name))}
    marks = {_identity(path) for path in files.values()}
    known = bool(marks) and len(files) == len(extensions) and marks <= _verified
    con = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory_limit,
            "threads": threads,
            "preserve_insertion_order": False,
            "allow_unsigned_extensions": known,
        },
    )
    try:
        for name in extensions:
            load_extension(con, name)
        if known:
            con.execute("SET allow_unsigned_extensions=false")
    except BaseException:
        con.close()
        raise
    _verified.update(marks)
    digits.teach(con)
    return con


@dataclass
class Lake:
    """The data plane: a DuckLake catalogue at `dsn` and Parquet under `folder`.

    `dsn` is a PostgreSQL URL or key=value string; `folder` a directory or ``s3://…``.
    `memory_limit` and `threads` bound each DuckDB that is opened.
    """

    dsn: str
    folder: str
    memory_limit: str = "700MB"
    threads: int = 2
    metadata_schema: str = "lake"
    _ready: bool = field(default=False, init=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def postgres(self) -> psycopg.Connection[Any]:
        """A plain autocommit connection to the catalogue's PostgreSQL; LakeError where it is gone."""
        try:
            return psycopg.connect(self.dsn, autocommit=True)
        except psycopg.OperationalError as error:
            raise explained(error) from error

    @contextlib.contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to this process's DuckDB, the lake attached as `lake`, its schemas made.

        Temporary tables and transactions are the connection's own and end with it; settings and
        attachments are shared with every other connection of the process, so leave them alone
        (`private` is for those who must change them). `memory_limit` is for all of them together.
        """
        self._prepare()
        with self._shared(read_only) as con:
            yield con

    @contextlib.contextmanager
    def private(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB of the caller's own with the lake attached; takes a third of a second."""
        self._prepare()
        con = self._attached(read_only=read_only)
        try:
            yield con
        finally:
            con.close()

    @contextlib.contextmanager
    def _shared(self, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        instance = _instance(self, read_only)
        con = instance.root.cursor()
        try:
            con.execute("SELECT id FROM ducklake_current_snapshot('lake')")
        except duckdb.Error:
            # The database was started anew since: its connections are dead, and so is ours.
            con.close()
            _leave(instance, broken=True)
            instance = _instance(self, read_only)
            con = instance.root.cursor()
        broken = False
        try:
            yield con
        except duckdb.Error as error:
            broken = isinstance(error, duckdb.FatalException | duckdb.InternalException)
            raise
        finally:
            con.close()
            _leave(instance, broken=broken)

    def _attached(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        con = open_duckdb(self.memory_limit, self.threads, ENGINE)
        try:
            if "://" not in self.folder:
                scratch = Path(self.folder) / "_scratch"
                scratch.mkdir(parents=True, exist_ok=True)
                con.execute(f"SET temp_directory={literal(str(scratch))}")
            if "://" in self.folder:
                objects.reach(con, self.folder, load_extension)
            con.execute("SET GLOBAL TimeZone='Asia/Shanghai'")
            info = conninfo.make_conninfo(self.dsn)
            mode = ", READ_ONLY" if read_only else ""
            path = self.folder if "://" in self.folder else str(Path(self.folder).resolve()) + "/"
            con.execute(
                f"ATTACH {literal('ducklake:postgres:' + info)} AS lake (DATA_PATH {literal(path)}, "
                f"METADATA_SCHEMA {literal(self.metadata_schema)}, DATA_INLINING_ROW_LIMIT 0{mode})"
            )
        except objects.StoreError as error:
            con.close()
            raise LakeError(str(error)) from error
        except duckdb.Error as error:
            con.close()
            told = explained(error)
            if told is error:
                told = LakeError(f"数据湖打不开：{error}")
            raise told from error
        return con

    def _prepare(self) -> None:
        """Makes schemas and ledger if they are missing."""
        if self._ready:
            return
        with self._guard:
            if self._ready:
                return
            with self.writer("_prepare"), self._shared(False) as con:
                con.execute("BEGIN")  # one snapshot, not one for each
                for schema in SCHEMAS:
                    con.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{schema}")
                con.execute(
                    f"CREATE TABLE IF NOT EXISTS {LEDGER} (batch VARCHAR, dataset VARCHAR, "
                    "mode VARCHAR, outcome VARCHAR, finished_at TIMESTAMP)"
                )
                con.execute("COMMIT")
                # a third larger than snappy's files, a sixth less work to write
                con.execute("CALL lake.set_option('parquet_compression', 'lz4_raw')")
                # Every thread that writes holds one row group in memory: a table of 600 columns
                # must not hold 122,880 rows of them.
                con.execute("CALL lake.set_option('parquet_row_group_size_bytes', '24MB')")
            self._ready = True

    @contextlib.contextmanager
    def writer(
        self, *tables: str, timeout: float = 3600.0, yielding: bool = False
    ) -> Iterator[Callable[[], bool]]:
        """Holds the one-writer lock of each table (`timeout` seconds), in a fixed order.

        The lock is a PostgreSQL advisory lock: it dies with the process that held it. Who waits
        says so, and the function that is given tells whether anyone does: who holds the lock for
        work that can be done later (compaction) then lets go. With `yielding` the wait is not
        announced, so that such work never asks another to let go.
        """
        keys = sorted({f"{self.metadata_schema}.{table}" for table in tables})
        with self.postgres() as pg:

            def one(sql: str, key: str) -> bool:
                row = pg.execute(sql.encode(), (key,)).fetchone()
                return bool(row and row[0])

            def wanted() -> bool:
                for key in keys:
                    if not one(f"SELECT pg_try_advisory_lock({_WANTED})", key):
                        return True
                    one(f"SELECT pg_advisory_unlock({_WANTED})", key)
                return False

            for key in keys:
                deadline = time.monotonic() + timeout
                told = yielding
                while not one(f"SELECT pg_try_advisory_lock({_HELD})", key):
                    if time.monotonic() >= deadline:
                        raise Busy(f"表“{key}”正由另一个批次写入，请稍后再试")
                    if not told:
                        pg.execute(f"SELECT pg_advisory_lock_shared({_WANTED})".encode(), (key,))
                        told = True
                    time.sleep(0.1)
                if told and not yielding:
                    one(f"SELECT pg_advisory_unlock_shared({_WANTED})", key)
            yield wanted

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], T], attempts: int = 6) -> T:
        """Runs `work` in one lake transaction; a conflict of snapshots starts it anew.

        `work` must be repeatable. Any exception rolls everything back.
        """
        for attempt in range(1, attempts + 1):
            with self.connect() as con:
                con.execute("BEGIN")
                try:
                    result = work(con)
                    con.execute("COMMIT")
                    return result
                except duckdb.Error as error:
                    with contextlib.suppress(duckdb.Error):
                        con.execute("ROLLBACK")
                    if attempt == attempts or not is_conflict(error):
                        raise
                except BaseException:
                    with contextlib.suppress(duckdb.Error):
                        con.execute("ROLLBACK")
                    raise
            time.sleep(random.uniform(0.05, 0.3) * attempt)
        raise AssertionError("unreachable")

    def settle(
        self,
        batch: str,
        dataset: str,
        mode: str,
        message: str,
        work: Callable[[duckdb.DuckDBPyConnection], str],
    ) -> tuple[str, bool]:
        """Runs `work` in one transaction with its outcome (JSON text) in the ledger, once a `batch`.

        Returns the outcome, and True where the batch had committed before and was not run again.
        `message` marks the snapshot. Raises LakeError for a batch of another dataset, and for a
        full disk, a lost database or too little memory (see `explained`).
        """

        def once(con: duckdb.DuckDBPyConnection) -> tuple[str, bool]:
            row = con.execute(
                f"SELECT dataset, outcome FROM {LEDGER} WHERE batch = ?", [batch]
            ).fetchone()
            if row is not None:
                if row[0] != dataset:
                    raise LakeError(f"批次号“{batch}”已用于数据集“{row[0]}”")
                return row[1], True
            outcome = work(con)
            con.execute(
                f"INSERT INTO {LEDGER} VALUES (?, ?, ?, ?, CAST(now() AS TIMESTAMP))",
                [batch, dataset, mode, outcome],
            )
            con.execute("CALL ducklake_set_commit_message('lake', ?, ?)", [message, batch])
            return outcome, False

        try:
            return self.transact(once)
        except BaseException as error:
            told = explained(error)
            if told is error:
                raise
            raise told from error

    def orphans(self, *, older_than: str = "1 hour", remove: bool = True) -> list[str]:
        """Files that no snapshot knows (left by a process that died); removed unless told not to.

        `older_than` is an SQL interval: younger files may belong to a load that still runs.
        """
        flag = "false" if remove else "true"
        with self.connect() as con:
            found = con.execute(
                f"CALL ducklake_delete_orphaned_files('lake', older_than => now() - "
                f"CAST({literal(older_than)} AS INTERVAL), dry_run => {flag})"
            ).fetchall()
        return [str(row[0]) for row in found]


@dataclass
class _Instance:
    """One DuckDB of this process with a lake attached, and how many are using it."""

    root: duckdb.DuckDBPyConnection
    users: int = 0
    gone: bool = False


_instances: dict[tuple[Any, ...], _Instance] = {}
_opening = threading.Lock()
KEPT_OPEN = 4


def _instance(lake: Lake, read_only: bool) -> _Instance:
    """The process's DuckDB for this lake, opened if need be, with one more user.

    Opening costs a third of a second, most of it two extensions; a cursor costs nothing. A child
    that was forked has none of its parent's: threads and sockets do not survive a fork.
    """
    key = (
        os.getpid(),
        lake.dsn,
        lake.folder,
        lake.metadata_schema,
        lake.memory_limit,
        lake.threads,
        read_only,
    )
    with _opening:
        found = _instances.pop(key, None)
        if found is None or found.gone:
            found = _Instance(lake._attached(read_only=read_only))
        _instances[key] = found  # the most recently used stands last
        found.users += 1
        mine = [k for k in _instances if k[0] == os.getpid() and not _instances[k].users]
        for old in mine[: max(0, len(_instances) - KEPT_OPEN)]:
            _instances.pop(old).root.close()
        return found


def _leave(instance: _Instance, *, broken: bool = False) -> None:
    """One user less; a broken instance is opened to no one else and closed by its last user."""
    with _opening:
        instance.users -= 1
        instance.gone = instance.gone or broken
        if instance.gone:
            for key in [k for k, v in _instances.items() if v is instance]:
                del _instances[key]
            if not instance.users:
                with contextlib.suppress(duckdb.Error):
                    instance.root.close()


def close_all() -> None:
    """Closes this process's DuckDBs; those in use close when their last user leaves."""
    with _opening:
        for key in [k for k in _instances if k[0] == os.getpid()]:
            instance = _instances.pop(key)
            instance.gone = True
            if not instance.users:
                instance.root.close()


_FULL = ("no space left", "file too large", "disk quota", "enospc", "disk full")
_LOST = (
    "server closed the connection",
    "terminating connection",
    "connection to server",
    "could not connect",
    "connection not open",
    "the connection is closed",
    "connection is lost",
    "database system is",
    "ssl syscall",
)


def explained(error: BaseException) -> BaseException:
    """The error an officer can act on for a full disk, a lost database or memory; else the same."""
    if isinstance(error, LakeError):
        return error
    text = str(error).lower()
    if any(sign in text for sign in _FULL):
        return LakeError(
            "磁盘空间不足，本批次没有写入任何数据；请清理磁盘或更换数据湖位置后重新运行"
        )
    if isinstance(error, psycopg.OperationalError) or any(sign in text for sign in _LOST):
        return LakeError("与数据库的连接中断；恢复后请重新运行，已经提交的不会重复写入")
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        return LakeError("内存不足，本批次没有写入任何数据；请调高内存上限或拆分来源后重新运行")
    return error


def is_conflict(error: BaseException) -> bool:
    """Whether another writer came first, so that trying again makes sense."""
    text = str(error).lower()
    return "conflict" in text or "could not serialize" in text or "deadlock" in text


def as_of(schema: str, name: str, *, snapshot: int | None = None, at: str | None = None) -> str:
    """The SQL name of a table as it stood at a snapshot number or at a time (ISO text)."""
    base = f"lake.{quote(schema)}.{quote(valid_name(name))}"
    if snapshot is not None:
        return f"{base} AT (VERSION => {int(snapshot)})"
    if at is not None:
        return f"{base} AT (TIMESTAMP => CAST({literal(at)} AS TIMESTAMPTZ))"
    return base


def table_columns(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> dict[str, str]:
    """A lake table's columns and types in order; empty if the table does not exist."""
    return dict(
        con.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' "
            "AND schema_name = ? AND table_name = ? ORDER BY column_index",
            [schema, name],
        ).fetchall()
    )


def ensure_table(
    con: duckdb.DuckDBPyConnection, schema: str, name: str, columns: list[Column]
) -> list[str]:
    """Makes a table or adds the columns it lacks; returns the names of those added to an old one.

    A column whose declared type has grown (BIGINT → DECIMAL, anything → VARCHAR) is widened.
    """
    have = table_columns(con, schema, name)
    target = f"lake.{quote(schema)}.{quote(name)}"
    if not have:
        body = ", ".join(f"{quote(c.name)} {c.sql_type}" for c in columns)
        con.execute(f"CREATE TABLE {target} ({body})")
        return []
    added = []
    for column in columns:
        if column.name not in have:
            con.execute(f"ALTER TABLE {target} ADD COLUMN {quote(column.name)} {column.sql_type}")
            added.append(column.name)
        elif have[column.name] != column.sql_type and column.sql_type != "":
            try:
                con.execute(
                    f"ALTER TABLE {target} ALTER COLUMN {quote(column.name)} "
                    f"SET DATA TYPE {column.sql_type}"
                )
            except duckdb.Error as error:
                raise LakeError(
                    f"列“{column.name}”已按 {have[column.name]} 存储，不能改为 {column.sql_type}"
                ) from error
    return added
