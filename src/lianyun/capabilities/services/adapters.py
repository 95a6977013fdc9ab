"""Adapter: the lake as services use it: publish a table, follow its changes, invent one for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from lianyun.kernel.access import UserError
from lianyun.lake.publish import catch_up, newest_batch
from lianyun.lake.publish import publish as publish_table
from lianyun.lake.shelves import Lake, LakeError, quote, table_columns

SERVED, SIMULATED = "served", "simulated"
SHELVES = {"dataset": "trusted", "library": "library"}
MOST_CHANGES, LEAST_CHANGES = 0.2, 1_000
"""Above this share of the rows (and this number) copying anew is quicker than following changes."""


@dataclass(frozen=True)
class Published:
    """A published table: its name, its columns, how many rows it has and up to which batch."""

    table: str
    columns: tuple[str, ...]
    rows: int
    batch: str


@cache
def _lake(catalogue: str, folder: str) -> Lake:
    return Lake(catalogue, folder)


def lake() -> Lake:
    """The lake that the settings name."""
    return _lake(settings.LAKE_CATALOGUE_URL, settings.LAKE)


def lock(name: str) -> None:
    """Until the end of the transaction nobody else publishes this source."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 11))", [f"service:{name}"]
        )


def columns_of(kind: str, name: str) -> list[str]:
    """The columns that a dataset's or library's table has in the lake; empty before its first load."""
    with lake().connect(read_only=True) as con:
        return list(table_columns(con, SHELVES[kind], name))


def placed(name: str) -> tuple[str, ...]:
    """The columns of a served table; empty where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum",
            [f"{SERVED}.{quote(name)}"],
        )
        return tuple(row[0] for row in cursor.fetchall())


def publish(
    kind: str,
    name: str,
    columns: Sequence[str],
    key: Sequence[str],
    indexes: Sequence[Sequence[str]] = (),
) -> Published:
    """Copy a dataset or library into PostgreSQL with an index for its key and each of `indexes`.

    Columns that the lake does not have are left out. Raises UserError where there are no rows yet.
    """
    have = set(columns_of(kind, name))
    if not have:
        raise UserError("该数据尚未归集入库，暂时无法开通服务")
    chosen = [c for c in columns if c in have]
    if not set(key) <= set(chosen):
        raise UserError("该数据缺少可供查询的主键列，暂时无法开通服务")
    # Read before the copy: a batch that comes meanwhile is applied once more later, to no effect.
    batch = newest_batch(lake(), name) if kind == "dataset" else ""
    try:
        rows = publish_table(
            lake(),
            f"{SHELVES[kind]}.{name}",
            settings.DATABASE_URL,
            pg_schema=SERVED,
            columns=chosen,
            key=key,
            indexes=[way for way in indexes if set(way) <= set(chosen)],
        )
    except LakeError as error:
        raise UserError(str(error)) from error
    return Published(f"{SERVED}.{name}", tuple(chosen), rows, batch)


def follow(
    kind: str, name: str, columns: Sequence[str], key: Sequence[str], since: str, rows: int
) -> Published | None:
    """Apply to a served table what changed since a batch; None where it must be copied anew."""
    if kind != "dataset" or not since:
        return None
    have = set(columns_of(kind, name))
    there = placed(name)
    if [c for c in columns if c in have] != list(there):
        return None
    most = max(LEAST_CHANGES, int(rows * MOST_CHANGES))
    done = catch_up(
        lake(), name, since, settings.DATABASE_URL, pg_schema=SERVED, key=key, most=most
    )
    if done is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {SERVED}.{quote(name)}")
        counted = int(cursor.fetchone()[0])
    return Published(f"{SERVED}.{name}", there, counted, done[0])


def _behind(pg: psycopg.Connection[Any], name: str) -> str:
    """The table behind the view of that name; empty where there is none."""
    row = pg.execute(
        "SELECT obj_description(to_regclass(%s), 'pg_class')", (f"{SERVED}.{quote(name)}",)
    ).fetchone()
    return str(row[0]) if row and row[0] else ""


def add_indexes(name: str, indexes: Sequence[Sequence[str]]) -> None:
    """Make the indexes that a served table does not have yet; readers go on meanwhile."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as pg:
        table = _behind(pg, name)
        if not table:
            return
        have = [
            list(r[0])
            for r in pg.execute(
                "SELECT array_agg(a.attname::text ORDER BY k.at) FROM pg_index i, "
                "unnest(i.indkey) WITH ORDINALITY k(number, at), pg_attribute a "
                "WHERE i.indrelid = to_regclass(%s) AND a.attrelid = i.indrelid "
                "AND a.attnum = k.number GROUP BY i.indexrelid",
                (f"{SERVED}.{quote(table)}",),
            ).fetchall()
        ]
        for way in indexes:
            if list(way) in have:
                continue
            listed = ", ".join(quote(c) for c in way)
            index = quote(f"{table}_{len(have)}")
            pg.execute(
                f"CREATE INDEX IF NOT EXISTS {index} ON {SERVED}.{quote(table)} ({listed})".encode()
            )
            have.append(list(way))


def simulate(name: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> None:
    """A table of the test environment with the served one's columns and these invented rows.

    Stands as it is where its columns are right already. Values are given as text.
    """
    served = f"{SERVED}.{quote(name)}"
    place = f"{SIMULATED}.{quote(name)}"
    types = (
        "SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum) "
        "FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
    )
    with psycopg.connect(settings.DATABASE_URL) as pg:
        pg.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 12))", (name,))
        here = pg.execute(types.encode(), (served,)).fetchone()
        there = pg.execute(types.encode(), (place,)).fetchone()
        if here is None or here[0] is None or here == there:
            return
        columns = placed_columns(pg, served)
        pg.execute(f"CREATE SCHEMA IF NOT EXISTS {SIMULATED}".encode())
        pg.execute(f"DROP TABLE IF EXISTS {place}".encode())
        pg.execute(f"CREATE TABLE {place} (LIKE {served})".encode())
        listed = ", ".join(quote(c) for c in columns)
        # A value that its column does not take is left empty: it was invented.
        values = ", ".join(
            f"CASE WHEN pg_input_is_valid(c{n}, '{kind}') THEN c{n}::{kind} END"
            for n, kind in enumerate(columns.values())
        )
        lists = ", ".join(["%s::text[]"] * len(columns))
        names = ", ".join(f"c{n}" for n in range(len(columns)))
        pg.execute(
            f"INSERT INTO {place} ({listed}) SELECT {values} FROM unnest({lists}) t({names})".encode(),
            [[row.get(c) for row in rows] for c in columns],
        )
        if key and set(key) <= set(columns):
            keys = ", ".join(quote(k) for k in key)
            doubles = " AND ".join(f"a.{quote(k)} IS NOT DISTINCT FROM b.{quote(k)}" for k in key)
            pg.execute(
                f"DELETE FROM {place} a USING {place} b WHERE a.ctid > b.ctid AND {doubles}".encode()
            )
            pg.execute(f"CREATE UNIQUE INDEX ON {place} ({keys})".encode())


def placed_columns(pg: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """The columns of a table with their types, in order."""
    return dict(
        pg.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        ).fetchall()
    )


def simulated_rows(name: str, most: int) -> list[dict[str, Any]]:
    """Rows of the test environment's table, for examples; none where there is none."""
    with psycopg.connect(settings.DATABASE_URL) as pg:
        place = f"{SIMULATED}.{quote(name)}"
        found = pg.execute("SELECT to_regclass(%s)", (place,)).fetchone()
        if found is None or found[0] is None:
            return []
        cursor = pg.execute(f"SELECT * FROM {place} LIMIT {int(most)}".encode())
        names = [c.name for c in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


__all__ = [
    "Published",
    "add_indexes",
    "columns_of",
    "follow",
    "lake",
    "lock",
    "placed",
    "publish",
    "simulate",
    "simulated_rows",
]
