"""Engines: where a pipeline's heavy statements run, in this process's DuckDB or on a Spark cluster.

``LIANYUN_ENGINE`` is empty (DuckDB), ``spark://host:port`` (a standalone master, Spark's own
driver in this process) or ``sc://host:port`` (Spark Connect; Sail speaks it too). A pipeline is
written once: plain SQL in DuckDB's dialect, handed to a Run one table after another, inside the
lake transaction that settles its result. Promises, MERGE and the catalogue stay with DuckDB.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import duckdb
import sqlglot
from sqlglot import exp

from ..shelves import Lake, LakeError, quote

KINDS = ("spark", "sc")
FROM_ROWS = 5_000_000
"""Rows read from which a cluster is worth its start."""


class Run(Protocol):
    """One pipeline's run on an engine, over one snapshot of the lake."""

    def make(self, name: str, sql: str) -> None:
        """Makes the temporary table `name` from a query; the connection sees it, later SQL too."""

    def lay(self, name: str, sql: str) -> None:
        """As `make` for a result that may be large: it stays where the engine wrote it."""

    def append(self, schema: str, table: str, columns: Sequence[str], sql: str) -> int:
        """Adds the rows of a query to a lake table (its columns in this order); returns how many."""


def chosen() -> str:
    """The engine that the environment names; empty for DuckDB."""
    url = os.environ.get("LIANYUN_ENGINE", "").strip()
    return "" if url in ("", "duckdb") else url


def check(url: str) -> None:
    """Raises LakeError, with what to do, where this engine cannot be used here."""
    kind = url.partition("://")[0]
    if not url:
        return
    if kind not in KINDS:
        raise LakeError(
            f"LIANYUN_ENGINE“{url}”不认识：留空用 DuckDB，或写 spark://主机:7077、sc://主机:15002"
        )
    from . import spark

    spark.check(url)


def least() -> int:
    """The rows from which a cluster is worth its start: ``LIANYUN_SPARK_FROM`` or `FROM_ROWS`."""
    return int(os.environ.get("LIANYUN_SPARK_FROM") or FROM_ROWS)


def worth(con: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether the lake tables that a query names hold `least` rows."""
    if least() <= 0:
        return True
    names = {
        f"lake.{quote(t.db)}.{quote(t.name)}"
        for t in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Table)
        if t.db
    }
    rows = 0
    for name in names:
        row = con.execute(f"SELECT count(*) FROM {name}").fetchone()
        rows += int(row[0]) if row else 0
    return rows >= least()


def distributed(con: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether a query should run on the environment's cluster."""
    return bool(chosen()) and worth(con, sql)


@contextlib.contextmanager
def running(
    lake: Lake, con: duckdb.DuckDBPyConnection, url: str | None = None, *, reads: str = ""
) -> Iterator[Run]:
    """A run on the engine `url` (by default the environment's) within `con`'s transaction.

    With `reads` (a query) the environment's engine is only taken if that is worth it. What the
    engine wrote and the lake did not take is removed at the end.
    """
    place = chosen() if url is None else url
    if place and url is None and reads and not worth(con, reads):
        place = ""
    if not place:
        from .duckdb import DuckRun

        yield DuckRun(con)
        return
    check(place)
    from .spark import SparkRun

    run = SparkRun(lake, con, place)
    try:
        yield run
    except BaseException:
        run.close(failed=True)
        raise
    run.close()
