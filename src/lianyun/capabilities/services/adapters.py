"""Adapter: the lake as services use it: publish a table by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import psycopg
from django.conf import settings

from lianyun.kernel.access import UserError
from lianyun.lake.publish import publish as publish_table
from lianyun.lake.shelves import Lake, LakeError, quote, table_columns

SERVED = "served"
SHELVES = {"dataset": "trusted", "library": "library"}


@dataclass(frozen=True)
class Published:
    """A published table: its name, its columns and how many rows it has."""

    table: str
    columns: tuple[str, ...]
    rows: int


@cache
def _lake(catalogue: str, folder: str) -> Lake:
    return Lake(catalogue, folder)


def lake() -> Lake:
    """The lake that the settings name."""
    return _lake(settings.LAKE_CATALOGUE_URL, settings.LAKE)


def columns_of(kind: str, name: str) -> list[str]:
    """The columns that a dataset's or library's table has in the lake; empty before its first load."""
    with lake().connect(read_only=True) as con:
        return list(table_columns(con, SHELVES[kind], name))


def publish(
    kind: str, name: str, columns: Sequence[str], lookups: Sequence[Sequence[str]]
) -> Published:
    """Copy a dataset or library into PostgreSQL with an index for each look-up.

    Columns that the lake does not have are left out. Raises UserError where there are no rows yet.
    """
    have = set(columns_of(kind, name))
    if not have:
        raise UserError("该数据尚未归集入库，暂时无法开通服务")
    chosen = [c for c in columns if c in have]
    ways = [list(way) for way in lookups if set(way) <= set(chosen)]
    if not ways:
        raise UserError("该数据缺少可供查询的主键列，暂时无法开通服务")
    try:
        rows = publish_table(
            lake(),
            f"{SHELVES[kind]}.{name}",
            settings.DATABASE_URL,
            pg_schema=SERVED,
            columns=chosen,
            key=ways[0],
        )
    except LakeError as error:
        raise UserError(str(error)) from error
    _index(name, ways[1:])
    return Published(f"{SERVED}.{name}", tuple(chosen), rows)


def _index(name: str, ways: Sequence[Sequence[str]]) -> None:
    """Indexes for the further look-ups, on the table behind the view of that name."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as pg:
        row = pg.execute(
            "SELECT obj_description(to_regclass(%s), 'pg_class')", (f"{SERVED}.{quote(name)}",)
        ).fetchone()
        if row is None or not row[0]:
            return
        for number, way in enumerate(ways):
            listed = ", ".join(quote(c) for c in way)
            index = quote(f"{row[0]}_{number}")
            table = f"{SERVED}.{quote(row[0])}"
            pg.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {table} ({listed})".encode())


__all__ = ["Published", "columns_of", "lake", "publish"]
