"""Rows: a dataset's rows as Parquet chunks with checksums, written at the sender, joined at the receiver."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import UserError
from lianyun.lake.mask import masked
from lianyun.lake.shelves import LakeError, literal, quote, table_columns

from .. import rules


@dataclass(frozen=True)
class Cut:
    """What leaves: columns with their masks, an area's prefix on a column, values per column."""

    columns: tuple[str, ...]
    masks: Mapping[str, str]
    area: tuple[str, str] | None
    scope: Mapping[str, Sequence[str]]


def folder(code: str, sending: bool) -> Path:
    """Where a transfer's files lie."""
    return Path(settings.HOME) / "cascade" / ("out" if sending else "in") / code


def drop(code: str, sending: bool) -> None:
    """Remove a transfer's files."""
    shutil.rmtree(folder(code, sending), ignore_errors=True)


def columns_of(name: str) -> dict[str, str]:
    """A dataset's columns in the lake with their types, in order; empty before its first load."""
    with collection.lake().connect(read_only=True) as con:
        found = table_columns(con, "trusted", name)
    return {c: kind for c, kind in found.items() if not c.startswith("_")}


def select(name: str, cut: Cut, kinds: Mapping[str, str]) -> str:
    """The SQL that gives exactly what may leave: fields, masks, area and scope in one statement."""
    listed = []
    for column in cut.columns:
        mask = cut.masks.get(column, "none")
        shown = masked(quote(column), mask, kinds[column])
        listed.append(f"{shown} AS {quote(column)}")
    where = []
    if cut.area is not None:
        column, prefix = cut.area
        where.append(f"starts_with(CAST({quote(column)} AS VARCHAR), {literal(prefix)})")
    for column, values in cut.scope.items():
        inside = ", ".join(literal(str(v)) for v in values)
        where.append(f"CAST({quote(column)} AS VARCHAR) IN ({inside or 'NULL'})")
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    return f"SELECT {', '.join(listed)} FROM lake.trusted.{quote(name)}{condition}"


def write_chunks(
    code: str, name: str, cut: Cut, *, rows_each: int = rules.CHUNK_ROWS
) -> list[dict[str, Any]]:
    """Write what may leave as numbered Parquet files; returns n, rows, bytes and sha256 of each.

    Raises UserError where the dataset has no rows or lacks a column. Files of an earlier, broken
    attempt are replaced.
    """
    kinds = columns_of(name)
    if not kinds:
        raise UserError("该数据尚未归集入库，没有可以传送的数据")
    need = {*cut.columns, *cut.scope, *([cut.area[0]] if cut.area else [])}
    if missing := sorted(need - set(kinds)):
        raise UserError(f"数据中没有数据项“{'、'.join(missing)}”，不能传送")
    where = folder(code, True)
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    chunks: list[dict[str, Any]] = []
    try:
        with collection.lake().connect(read_only=True) as con:
            reader = con.execute(select(name, cut, kinds)).to_arrow_reader(rows_each)
            for batch in reader:
                if batch.num_rows:
                    _write(where, chunks, pa.Table.from_batches([batch]))
    except LakeError as error:
        raise UserError(str(error)) from error
    return chunks


def _write(where: Path, chunks: list[dict[str, Any]], table: pa.Table) -> None:
    """One chunk; a table that makes too large a file is halved until it fits."""
    path = where / f"{len(chunks)}.parquet"
    pq.write_table(table, path, compression="zstd")
    size = path.stat().st_size
    if size > rules.CHUNK_BYTES and table.num_rows > 1:
        half = table.num_rows // 2
        _write(where, chunks, table.slice(0, half))
        _write(where, chunks, table.slice(half))
        return
    if size > rules.MOST_CHUNK_BYTES:
        raise UserError("有一行数据过大，不能跨节点传送")
    chunks.append(
        {
            "n": len(chunks),
            "rows": table.num_rows,
            "bytes": size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    )


def read_chunk(code: str, number: int) -> bytes:
    """One chunk at the sender; raises UserError where its file is gone."""
    try:
        return (folder(code, True) / f"{number}.parquet").read_bytes()
    except FileNotFoundError as error:
        raise UserError("待传送的数据文件已被清除，请重新发起传送") from error


def keep_chunk(code: str, number: int, body: bytes) -> None:
    """Keep a checked chunk at the receiver: on disk before it counts (a kill leaves none half)."""
    where = folder(code, False)
    where.mkdir(parents=True, exist_ok=True)
    draft = where / f"{number}.{os.getpid()}.part"
    with draft.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(where / f"{number}.parquet")


def have_chunks(code: str) -> set[int]:
    """The numbers of the chunks that have arrived whole."""
    return {int(p.stem) for p in folder(code, False).glob("*.parquet") if p.stem.isdigit()}


def joined(code: str, count: int) -> Path:
    """All chunks of a transfer as one Parquet file, ready to be loaded."""
    where = folder(code, False)
    path = where / "all.pq"
    writer: pq.ParquetWriter | None = None
    try:
        for number in range(count):
            table = pq.read_table(where / f"{number}.parquet")
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    except (OSError, pa.ArrowException) as error:
        raise UserError("收到的数据块不是有效的 Parquet 文件，请对方重新传送") from error
    finally:
        if writer is not None:
            writer.close()
    return path
