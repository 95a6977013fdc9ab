"""Register: a department's dataset in the lake, read as rows of elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lianyun.capabilities.collection import api as collection
from lianyun.lake.shelves import literal, quote, table_columns

from ..rules.types import LicenceType, Register


def _where(register: Register, columns: set[str]) -> str:
    parts = [
        f"{quote(name)} IN ({', '.join(literal(v) for v in values)})"
        for name, values in register.where.items()
        if name in columns
    ]
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def count(kind: LicenceType) -> int:
    """How many registrations in force the register holds; 0 where it was never collected."""
    register = kind.register
    if register is None:
        return 0
    with collection.lake().connect(read_only=True) as con:
        columns = set(table_columns(con, "trusted", register.dataset))
        if not columns:
            return 0
        found = con.execute(
            f"SELECT count(*) FROM lake.trusted.{quote(register.dataset)}"
            + _where(register, columns)
        ).fetchone()
    return int(found[0]) if found else 0


def inhabitants() -> int:
    """How many living people the population library holds; 0 where it was never built."""
    with collection.lake().connect(read_only=True) as con:
        columns = set(table_columns(con, "library", "population"))
        if not columns:
            return 0
        living = " WHERE death_date IS NULL" if "death_date" in columns else ""
        found = con.execute(f"SELECT count(*) FROM lake.library.population{living}").fetchone()
    return int(found[0]) if found else 0


def rows(kind: LicenceType, size: int = 1000) -> Iterator[list[dict[str, Any]]]:
    """The register's rows in force as elements, some at a time, in the order of their number."""
    register = kind.register
    if register is None:
        return
    with collection.lake().connect(read_only=True) as con:
        have = set(table_columns(con, "trusted", register.dataset))
        chosen = {n: c for n, c in register.columns.items() if c in have}
        if kind.number not in chosen:
            return
        listed = ", ".join(f"{quote(c)} AS {quote(n)}" for n, c in chosen.items())
        result = con.execute(
            f"SELECT {listed} FROM lake.trusted.{quote(register.dataset)}"
            f"{_where(register, have)} ORDER BY {quote(chosen[kind.number])}"
        )
        names = list(chosen)
        while part := result.fetchmany(size):
            yield [dict(zip(names, row, strict=True)) for row in part]


__all__ = ["count", "inhabitants", "rows"]
