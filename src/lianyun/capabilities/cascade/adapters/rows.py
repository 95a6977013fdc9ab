"""Rows: what may cross of a dataset as Parquet chunks with checksums: all of it, or what has changed.

Written at the sender in one reading of the lake, joined at the receiver.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import UserError
from lianyun.kernel.secret import key_file
from lianyun.lake.portion import OPAQUE, Portion, Taken, take
from lianyun.lake.shelves import LakeError, table_columns

from .. import rules

ALL = 2**62
"""However many rows have changed, they go in one transfer."""


@dataclass(frozen=True)
class Written:
    """What was written: from which position to which, as what, and its chunks.

    `since` is empty for a whole snapshot; `key` are the columns that tell rows apart, empty where
    nothing does (such a dataset only goes whole).
    """

    since: str
    upto: str
    shape: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    chunks: list[dict[str, Any]]

    @property
    def rows(self) -> int:
        """How many rows go."""
        return sum(c["rows"] for c in self.chunks if not c["gone"])

    @property
    def gone(self) -> int:
        """How many keys of rows that are no more go."""
        return sum(c["rows"] for c in self.chunks if c["gone"])


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


def secret_of(mark: str) -> str:
    """What makes the opaque keys of one receiver his own; the same as long as this node lives."""
    own = key_file(Path(settings.HOME) / "cascade.salt", lambda: secrets.token_bytes(32))
    return hmac.new(own, mark.encode(), hashlib.sha256).hexdigest()


def write_chunks(
    code: str,
    portion: Portion,
    since: str,
    shape: str,
    *,
    before: Callable[[Taken], None] = lambda taken: None,
    rows_each: int = rules.CHUNK_ROWS,
) -> Written | None:
    """Write what the other node, which stands at `since`, does not have; None where it has all.

    A position that the lake no longer knows, or another shape of the rows, means everything; so
    does a dataset whose rows nothing tells apart. `before` is called in the same reading of the
    lake before a file is written. Raises UserError where the dataset has no rows or lacks a column.
    Files of an earlier, broken attempt are replaced.
    """
    kinds = columns_of(portion.name)
    if not kinds:
        raise UserError("该数据尚未归集入库，没有可以传送的数据")
    need = {*portion.fields, *portion.scope, *portion.within}
    if missing := sorted(need - set(kinds)):
        raise UserError(f"数据中没有数据项“{'、'.join(missing)}”，不能传送")
    secret = secret_of(portion.secret)
    told = replace(portion, secret=secret)
    # Keys that were made with another secret are other keys: all rows go again.
    mark = rules.digest(secret.encode())[:8]
    ours, _, known = shape.partition(".")
    if ours != mark:
        since = known = ""
    where = folder(code, True)
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    try:
        with take(collection.lake(), told, since, most=ALL, shape=known) as taken:
            if taken is None:
                return None
            opaque = OPAQUE in taken.keys
            named = tuple(rules.ROW_KEY if c.name == OPAQUE else c.name for c in taken.columns)
            # Where no grant stands in between, the receiver knows the dataset's own columns only.
            bare = opaque and not portion.secret
            if bare and not taken.full:
                return write_chunks(code, portion, "", "", before=before, rows_each=rows_each)
            before(taken)
            chunks: list[dict[str, Any]] = []
            for sql, gone in ((taken.rows, False), (taken.gone, True)):
                for batch in taken.batches(sql, rows_each) if sql else ():
                    table = pa.Table.from_batches([batch])
                    if bare:
                        table = table.drop_columns([OPAQUE])
                    elif opaque:
                        table = table.rename_columns(
                            [rules.ROW_KEY if n == OPAQUE else n for n in table.column_names]
                        )
                    if table.num_rows:
                        _write(where, chunks, table, gone)
            return Written(
                since=taken.since,
                upto="" if bare else taken.upto,
                shape=f"{mark}.{taken.shape}",
                columns=tuple(n for n in named if not (bare and n == rules.ROW_KEY)),
                key=() if bare else (rules.ROW_KEY,) if opaque else taken.keys,
                chunks=chunks,
            )
    except LakeError as error:
        raise UserError(str(error)) from error


def _write(where: Path, chunks: list[dict[str, Any]], table: pa.Table, gone: bool) -> None:
    """One chunk; a table that makes too large a file is halved until it fits."""
    path = where / f"{len(chunks)}.parquet"
    pq.write_table(table, path, compression="zstd")
    size = path.stat().st_size
    if size > rules.CHUNK_BYTES and table.num_rows > 1:
        half = table.num_rows // 2
        _write(where, chunks, table.slice(0, half), gone)
        _write(where, chunks, table.slice(half), gone)
        return
    if size > rules.MOST_CHUNK_BYTES:
        raise UserError("有一行数据过大，不能跨节点传送")
    chunks.append(
        {
            "n": len(chunks),
            "rows": table.num_rows,
            "bytes": size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "gone": gone,
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


def joined(code: str, numbers: Iterable[int]) -> Path:
    """Chunks of rows as one Parquet file, ready to be loaded."""
    where = folder(code, False)
    path = where / "all.pq"
    writer: pq.ParquetWriter | None = None
    try:
        for number in numbers:
            table = pq.read_table(where / f"{number}.parquet")
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError("收到的数据块不是有效的 Parquet 文件，请对方重新传送") from error
    finally:
        if writer is not None:
            writer.close()
    return path


def gone_keys(code: str, numbers: Iterable[int], key: Iterable[str]) -> pa.Table:
    """Chunks of keys of rows that are no more, as one table."""
    where, wanted = folder(code, False), list(key)
    try:
        tables = [pq.read_table(where / f"{n}.parquet").select(wanted) for n in numbers]
        return pa.concat_tables(tables)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise UserError("收到的删除清单不是有效的 Parquet 文件，请对方重新传送") from error
