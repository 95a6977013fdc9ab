"""Adapter: the columns that a department's table has right now."""

from __future__ import annotations

from functools import cache

from lianyun.kernel.access import UserError
from lianyun.lake.federate import Federation, Place, SourceDown


@cache
def _federation() -> Federation:
    return Federation(threads=4)


def columns(name: str, title: str, url: str, table: str) -> list[str]:
    """A table's columns, asked of its server; raises UserError with what is wrong, in Chinese."""
    source = _federation().source(Place(name, title, url, seconds=5, connections=2))
    try:
        found = list(source.schema(table, fresh=True))
    except SourceDown as down:
        raise UserError(str(down)) from down
    if not found:
        raise UserError(f"“{title}”中没有表 {table}")
    return found
