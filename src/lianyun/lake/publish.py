"""Publishing: a lake table copied into an indexed PostgreSQL table, where look-ups by key are fast.

A full publication fills a new table beside the old one and swaps names in one transaction, so a
reader sees the old rows or the new ones and never fails. An incremental one applies a batch's
changes by key in one transaction; `catch_up` does so for all batches since the last.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from .history import _order
from .merge import _read_outcome, changes_sql
from .shelves import Lake, LakeError, quote, table_columns, valid_name

POSTGRES_TYPES = {
    "VARCHAR": "text",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "BOOLEAN": "boolean",
    "UBIGINT": "numeric(20)",
}

ROWS = 20_000
"""Rows that are in memory at once while they are copied."""


def postgres_type(kind: str) -> str:
    """The PostgreSQL type for a lake column's type."""
    return kind.lower() if kind.startswith("DECIMAL") else POSTGRES_TYPES.get(kind, "text")


def _split(table: str) -> tuple[str, str]:
    schema, _, name = table.rpartition(".")
    schema = schema or "trusted"
    if schema not in ("trusted", "library"):
        raise LakeError(f"只能发布 trusted 或 library 中的表，不能发布“{table}”")
    return schema, valid_name(name)


def _text(column: str, kind: str) -> str:
    """SQL of a value as COPY wants it; NUL cannot stand in PostgreSQL text."""
    if kind == "VARCHAR":
        return f"replace({quote(column)}, chr(0), '')"
    return quote(column)


def publish(
    lake: Lake,
    table: str,
    pg_dsn: str,
    pg_schema: str = "served",
    name: str | None = None,
    columns: Sequence[str] | None = None,
    key: Sequence[str] = (),
    where: str | None = None,
    indexes: Sequence[Sequence[str]] = (),
) -> int:
    """Copies a lake table (``trusted.x``, ``library.x``) to PostgreSQL; returns the rows copied.

    Further `indexes` stand before the first reader comes, so that none has to wait for a scan.

    `columns` default to all but the lake's own; `key` columns get a unique index (a plain one if
    the rows are not unique by it). `where` is SQL over the table's columns, not user input.
    Readers of the old table finish on it; new ones see the new table.
    """
    schema, source = _split(table)
    target = valid_name(name or source)
    valid_name(pg_schema)
    with lake.connect(read_only=True) as con:
        have = table_columns(con, schema, source)
        if not have:
            raise LakeError(f"数据湖里没有表“{table}”")
        chosen = list(columns) if columns else [c for c in have if not c.startswith("_")]
        unknown = [c for c in [*chosen, *key] if c not in have]
        if unknown:
            raise LakeError(f"表“{table}”没有列：{'、'.join(unknown)}")
        chosen += [k for k in key if k not in chosen]
        fresh = f"{target[:40]}__{time.time_ns() % 10**12:x}"
        body = ", ".join(f"{quote(c)} {postgres_type(have[c])}" for c in chosen)
        listed = ", ".join(_text(c, have[c]) for c in chosen)
        condition = f" WHERE {where}" if where else ""
        with psycopg.connect(pg_dsn, autocommit=True) as pg:
            pg.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(pg_schema)}".encode())
            place = f"{quote(pg_schema)}.{quote(fresh)}"
            pg.execute(f"CREATE TABLE {place} ({body})".encode())
            try:
                rows = _copy(
                    con,
                    pg,
                    f"SELECT {listed} FROM lake.{quote(schema)}.{quote(source)}{condition}",
                    place,
                    chosen,
                )
                _index(pg, place, fresh, key)
                for number, way in enumerate(indexes):
                    listed = ", ".join(quote(c) for c in way)
                    index = quote(f"{fresh}_{number}")
                    pg.execute(f"CREATE INDEX {index} ON {place} ({listed})".encode())
                pg.execute(f"ANALYZE {place}".encode())
                _swap(pg, pg_schema, fresh, target)
            except BaseException:
                pg.execute(f"DROP TABLE IF EXISTS {place}".encode())
                raise
    return rows


def _copy(
    con: duckdb.DuckDBPyConnection,
    pg: psycopg.Connection[Any],
    query: str,
    place: str,
    columns: Sequence[str],
) -> int:
    """Copies a query's rows as CSV that DuckDB and Arrow write: no row becomes a Python object.

    Who publishes shares a process with those who answer calls, and would wait for them at each row.
    """
    rows = 0
    listed = ", ".join(quote(c) for c in columns)
    reader = con.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({query})").to_arrow_reader(ROWS)
    # A value always has quotes and NULL never: '' and NULL stay apart.
    form = csv.WriteOptions(include_header=False, quoting_style="all_valid")
    statement = f"COPY {place} ({listed}) FROM STDIN (FORMAT csv)".encode()
    with pg.cursor() as writer, writer.copy(statement) as copy:
        for batch in reader:
            sink = pa.BufferOutputStream()
            csv.write_csv(batch, sink, form)
            copy.write(memoryview(sink.getvalue()))
            rows += batch.num_rows
    return rows


def _index(pg: psycopg.Connection[Any], place: str, fresh: str, key: Sequence[str]) -> None:
    if not key:
        return
    listed = ", ".join(quote(k) for k in key)
    index = quote(f"{fresh}_key")
    try:
        pg.execute(f"CREATE UNIQUE INDEX {index} ON {place} ({listed})".encode())
    except psycopg.errors.UniqueViolation:
        pg.execute(f"CREATE INDEX {index} ON {place} ({listed})".encode())


def _swap(pg: psycopg.Connection[Any], schema: str, fresh: str, target: str) -> None:
    """Puts a view of the stable name over the new table, then drops tables nobody reads any more.

    Readers hold only a share lock on the view's old definition while their statement runs.
    """
    place, view = f"{quote(schema)}.{quote(fresh)}", f"{quote(schema)}.{quote(target)}"
    old = [
        row[0]
        for row in pg.execute(
            "SELECT DISTINCT d.relname FROM pg_depend p JOIN pg_rewrite r ON r.oid = p.objid "
            "JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace "
            "JOIN pg_class d ON d.oid = p.refobjid "
            "WHERE n.nspname = %s AND v.relname = %s AND d.relkind = 'r'",
            (schema, target),
        ).fetchall()
    ]
    with pg.transaction():
        pg.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", (f"{schema}.{target}",))
        same = pg.execute(
            "SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) "
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = ANY(%s) AND a.attnum > 0 GROUP BY c.oid",
            (schema, [fresh, target]),
        ).fetchall()
        if len(same) == 2 and same[0] != same[1]:
            pg.execute(f"DROP VIEW {view}".encode())
        pg.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {place}".encode())
        pg.execute(
            sql.SQL("COMMENT ON VIEW {}.{} IS {}").format(
                sql.Identifier(schema), sql.Identifier(target), sql.Literal(fresh)
            )
        )
    for name in old:
        if name != fresh:
            pg.execute(f"DROP TABLE IF EXISTS {quote(schema)}.{quote(name)}".encode())


def publish_changes(
    lake: Lake,
    dataset: str,
    batch: str,
    pg_dsn: str,
    pg_schema: str = "served",
    name: str | None = None,
    key: Sequence[str] = (),
) -> int:
    """Applies one batch's changes to a published table by key; returns the rows touched.

    Applying a batch twice changes nothing. Batches must be applied in their order.
    """
    target = valid_name(name or dataset)
    if not key:
        raise LakeError("增量发布需要主键")
    with lake.connect(read_only=True) as con, psycopg.connect(pg_dsn) as pg:
        done = _read_outcome(con, batch)
        if done is None or done.dataset != dataset:
            raise LakeError(f"数据集“{dataset}”没有批次“{batch}”")
        found = pg.execute(
            "SELECT obj_description(c.oid) FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'v'",
            (pg_schema, target),
        ).fetchone()
        if found is None or not found[0]:
            raise LakeError(f"“{pg_schema}.{target}”还没有发布过")
        place = f"{quote(pg_schema)}.{quote(found[0])}"
        columns = [
            r[0]
            for r in pg.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s "
                "AND table_name = %s ORDER BY ordinal_position",
                (pg_schema, found[0]),
            ).fetchall()
        ]
        have = table_columns(con, "trusted", dataset)
        source = f"({changes_sql(con, dataset, batch, done.key)})"
        listed = ", ".join(
            (
                f"replace(after.{quote(c)}, chr(0), '')"
                if have.get(c) == "VARCHAR"
                else f"after.{quote(c)}"
            )
            for c in columns
        )
        keys = ", ".join(f"coalesce(after.{quote(k)}, before.{quote(k)})" for k in key)
        pg.execute(f"CREATE TEMP TABLE incoming (LIKE {place}) ON COMMIT DROP".encode())
        pg.execute(
            f"CREATE TEMP TABLE touched ON COMMIT DROP AS SELECT {', '.join(quote(k) for k in key)} FROM {place} LIMIT 0".encode()
        )
        touched = _copy(con, pg, f"SELECT {keys} FROM {source}", "touched", key)
        _copy(
            con, pg, f"SELECT {listed} FROM {source} WHERE after IS NOT NULL", "incoming", columns
        )
        on = " AND ".join(f"t.{quote(k)} = x.{quote(k)}" for k in key)
        pg.execute(f"DELETE FROM {place} t USING touched x WHERE {on}".encode())
        pg.execute(f"INSERT INTO {place} SELECT * FROM incoming".encode())
        return touched


def newest_batch(lake: Lake, dataset: str) -> str:
    """The code of a dataset's last batch; empty before the first."""
    with lake.connect(read_only=True) as con:
        order = _order(con, valid_name(dataset))
    return order[-1][0] if order else ""


def catch_up(
    lake: Lake,
    dataset: str,
    since: str,
    pg_dsn: str,
    pg_schema: str = "served",
    name: str | None = None,
    key: Sequence[str] = (),
    most: int = 200_000,
) -> tuple[str, int] | None:
    """Applies the batches after `since` in their order; returns the last one's code and rows touched.

    None, and nothing is done, where a whole publication is due: `since` is no batch of the dataset,
    a batch changed the columns, had another key or was appended (where keys may come twice), or
    more than `most` rows changed.
    """
    if not since or not key:
        return None
    with lake.connect(read_only=True) as con:
        codes = [code for code, _ in _order(con, valid_name(dataset))]
        if since not in codes:
            return None
        todo = codes[codes.index(since) + 1 :]
        found = [_read_outcome(con, code) for code in todo]
    touched = 0
    for one in found:
        if one is None or one.columns_added or tuple(one.key) != tuple(key):
            return None
        if one.mode == "append" and one.inserted:
            return None
        touched += one.inserted + one.updated + one.deleted
    if touched > most:
        return None
    done = 0
    for code, one in zip(todo, found, strict=True):
        if one is not None and one.inserted + one.updated + one.deleted:
            done += publish_changes(lake, dataset, code, pg_dsn, pg_schema, name, key)
    return (todo[-1] if todo else since), done


def unpublish(pg_dsn: str, name: str, pg_schema: str = "served") -> None:
    """Takes a published table away."""
    view = f"{quote(valid_name(pg_schema))}.{quote(valid_name(name))}"
    with psycopg.connect(pg_dsn) as pg:
        row = pg.execute("SELECT obj_description(to_regclass(%s))", (view,)).fetchone()
        pg.execute(f"DROP VIEW IF EXISTS {view}".encode())
        if row and row[0]:
            pg.execute(f"DROP TABLE IF EXISTS {quote(pg_schema)}.{quote(row[0])}".encode())
