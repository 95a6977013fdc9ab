"""Adapters: the lake that is asked, the folder of answers, and the machine's limits for one question."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from django.conf import settings

from lianyun.lake.ask import Limits
from lianyun.lake.shelves import Lake, literal, quote

SHELVES = {"dataset": "trusted", "library": "library"}
KEPT = dt.timedelta(hours=24)
"""How long an answer is kept."""


def limits(rows: int | None = None) -> Limits:
    """What one question may use on this machine (see the manifest's settings)."""

    def number(name: str, default: int) -> int:
        text = os.environ.get(name, "")
        return int(text) if text.isdecimal() else default

    return Limits(
        rows=rows or number("LIANYUN_ASK_ROWS", 100_000),
        seconds=float(number("LIANYUN_ASK_SECONDS", 120)),
        memory=number("LIANYUN_ASK_MEMORY", 512) << 20,
        group=max(number("LIANYUN_ASK_GROUP", 5), 1),
    )


def filled(lake: Lake) -> set[tuple[str, str]]:
    """Every dataset and library that has rows in the lake, as (kind, name)."""
    kinds = {shelf: kind for kind, shelf in SHELVES.items()}
    with lake.connect(read_only=True) as con:
        rows = con.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'lake'"
        ).fetchall()
    return {(kinds[schema], name) for schema, name in rows if schema in kinds}


def narrow(scope: Mapping[str, Sequence[str]]) -> str:
    """A row scope as SQL over the table's columns."""
    return " AND ".join(
        f"CAST({quote(column)} AS VARCHAR) IN ({', '.join(literal(str(v)) for v in values)})"
        for column, values in scope.items()
    )


def _folder() -> Path:
    folder = Path(settings.HOME) / "answers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def answer_file(code: str) -> Path:
    """Where the rows of a run lie (Parquet); the file may be gone."""
    return _folder() / f"{code}.parquet"


def answer(code: str) -> pa.Table | None:
    """The rows of a run; None where they have been swept."""
    path = answer_file(code)
    return parquet.read_table(path) if path.is_file() else None


def answer_head(code: str, rows: int) -> pa.Table | None:
    """The first rows of a run's answer; None where it has been swept."""
    path = answer_file(code)
    if not path.is_file():
        return None
    file = parquet.ParquetFile(path)
    try:
        batches: list[pa.RecordBatch] = []
        for batch in file.iter_batches(batch_size=max(rows, 1)):
            batches.append(batch)
            if sum(b.num_rows for b in batches) >= rows:
                break
        return pa.Table.from_batches(batches, schema=file.schema_arrow).slice(0, rows)
    finally:
        file.close()


def text_values(table: pa.Table) -> Iterable[Any]:
    """Every value of an answer's text columns."""
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from column.to_pylist()


def sweep(now: dt.datetime) -> list[str]:
    """Remove answers older than `KEPT`; returns the codes of their runs."""
    gone = []
    for path in _folder().glob("*.parquet"):
        if now.timestamp() - path.stat().st_mtime > KEPT.total_seconds():
            path.unlink(missing_ok=True)
            gone.append(path.stem)
    return gone
