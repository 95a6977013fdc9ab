"""Tending: small files merged, deleted rows cleared away, old snapshots forgotten, by policy.

Every load leaves files; without tending a dataset loaded each hour has nine thousand a year. A
table is tended when its files call for it, under the lock that its loads take, and lets go at once
when a load comes. What history needs stands in ``changes``, so snapshots may be forgotten.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import duckdb
from psycopg import sql

from .shelves import Busy, Lake, is_conflict, literal

SMALL_BYTES = 32 << 20
"""A file below this size would better be part of a larger one."""
MANY_SMALL = 12
"""So many small files of one table call for merging."""
MANY_DELETED = 0.1
"""This share of a table's rows deleted calls for rewriting (the reader skips them one by one)."""
KEEP = "7 days"
"""How long snapshots are kept for readers of other engines; an SQL interval."""

_FILES = """
SELECT s.schema_name, t.table_name, count(*), sum(f.record_count), sum(f.file_size_bytes),
  count(*) FILTER (WHERE f.file_size_bytes < {small}), coalesce(sum(d.deleted), 0)
FROM {lake}.ducklake_data_file f
JOIN {lake}.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN {lake}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN (SELECT data_file_id, sum(delete_count) AS deleted FROM {lake}.ducklake_delete_file
  WHERE end_snapshot IS NULL GROUP BY data_file_id) d ON d.data_file_id = f.data_file_id
WHERE f.end_snapshot IS NULL GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Table:
    """What a lake table consists of: files, rows (deleted ones included), bytes on the shelf."""

    schema: str
    name: str
    files: int
    rows: int
    bytes: int
    small: int
    deleted: int

    @property
    def due(self) -> bool:
        """Whether its files call for tending."""
        return self.small >= MANY_SMALL or self.deleted > max(self.rows * MANY_DELETED, 1000)


def tables(lake: Lake) -> list[Table]:
    """Every table of the lake that has rows, from the catalogue alone: no file is opened."""
    query = sql.SQL(_FILES).format(
        lake=sql.Identifier(lake.metadata_schema), small=sql.Literal(SMALL_BYTES)
    )
    with lake.connect(), lake.postgres() as pg:
        rows = pg.execute(query).fetchall()
    return [Table(r[0], r[1], *(int(n) for n in r[2:])) for r in rows]


def tend_table(lake: Lake, schema: str, name: str) -> bool:
    """Rewrites and merges one table's files; False, and nothing done, when a load has need of it."""
    try:
        with (
            lake.writer(f"dataset.{name}", timeout=0, yielding=True) as wanted,
            lake.connect() as con,
        ):
            done = threading.Event()

            def watch() -> None:
                while not done.wait(0.2):
                    if wanted():
                        con.interrupt()
                        return

            watcher = threading.Thread(target=watch, name="lake-tending", daemon=True)
            watcher.start()
            place = f"'lake', {literal(name)}, schema => {literal(schema)}"
            try:
                con.execute(
                    f"CALL ducklake_rewrite_data_files({place}, delete_threshold => {MANY_DELETED / 2})"
                )
                con.execute(f"CALL ducklake_merge_adjacent_files({place})")
            finally:
                done.set()
                watcher.join()
    except (Busy, duckdb.InterruptException):
        return False
    except duckdb.Error as error:
        if is_conflict(error) or "interrupt" in str(error).lower():
            return False
        raise
    return True


def forget(lake: Lake, keep: str = KEEP) -> None:
    """Forgets snapshots older than `keep` (an SQL interval) and removes the files only they used."""
    old = f"older_than => now() - CAST({literal(keep)} AS INTERVAL)"
    with lake.connect() as con:
        con.execute(f"CALL ducklake_expire_snapshots('lake', {old})")
        con.execute(f"CALL ducklake_cleanup_old_files('lake', {old})")


def tend(lake: Lake, keep: str = KEEP) -> tuple[list[str], list[str]]:
    """Tends every table that is due; the names of those done and of those left for the next time."""
    done: list[str] = []
    left: list[str] = []
    for table in tables(lake):
        if table.due:
            name = f"{table.schema}.{table.name}"
            (done if tend_table(lake, table.schema, table.name) else left).append(name)
    with contextlib.suppress(Busy):
        forget(lake, keep)
    return done, left
