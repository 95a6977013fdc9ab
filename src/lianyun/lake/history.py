"""History: a dataset as it stood after a batch, what changed between two, and a batch taken back.

A row's version is born in one batch (its ``_batch``) and dies in another (the ``_change_batch`` of
its before-image in ``changes``). From these two alone every former state and every difference
follows, so history outlives compaction and the expiry of snapshots, and what it costs grows with
the change: files and row groups of other batches are passed over by their statistics.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from .merge import Outcome, _outcome, _read_outcome, changes, settled
from .shelves import (
    LEDGER,
    Lake,
    LakeError,
    literal,
    quote,
    table_columns,
    valid_name,
)

CHINA = datetime.timezone(datetime.timedelta(hours=8))


@dataclass(frozen=True)
class Undone:
    """What taking a batch back would do: rows removed, restored, and left because they changed since."""

    removed: int
    replaced: int
    restored: int
    kept: int


def _order(con: duckdb.DuckDBPyConnection, name: str) -> list[tuple[str, datetime.datetime]]:
    """The dataset's batches with the time of their commit (Chinese time), oldest first."""
    return con.execute(
        f"SELECT batch, finished_at FROM {LEDGER} WHERE dataset = {literal(name)} "
        "ORDER BY finished_at, batch"
    ).fetchall()


def _listed(codes: list[str]) -> str:
    return ", ".join(literal(code) for code in codes) or "NULL"


def _columns(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The columns that trusted and changes share; raises LakeError where there is no data."""
    held = table_columns(con, "changes", name)
    both = [c for c in table_columns(con, "trusted", name) if c in held]
    if not both:
        raise LakeError(f"数据集“{name}”还没有数据")
    return both


def as_of(
    con: duckdb.DuckDBPyConnection,
    name: str,
    *,
    batch: str | None = None,
    at: datetime.datetime | None = None,
) -> str:
    """SQL of a dataset's rows as they stood after a batch, or at a time (aware, or Chinese time).

    Before the first batch there are none. Raises LakeError for a batch the dataset never had.
    """
    order = _order(con, valid_name(name))
    if batch is not None:
        codes = [code for code, _ in order]
        if batch not in codes:
            raise LakeError(f"数据集“{name}”没有批次“{batch}”")
        seen = codes[: codes.index(batch) + 1]
    elif at is not None:
        moment = at.astimezone(CHINA).replace(tzinfo=None) if at.tzinfo else at
        seen = [code for code, finished in order if finished <= moment]
    else:
        raise LakeError("请说明要看哪个批次之后或哪个时间的数据")
    columns = ", ".join(quote(c) for c in _columns(con, name))
    if len(seen) == len(order):
        return f"SELECT {columns} FROM lake.trusted.{quote(name)}"
    mine = f"_batch IN ({_listed(seen)})"
    return (
        f"SELECT {columns} FROM lake.trusted.{quote(name)} WHERE {mine} UNION ALL "
        f"SELECT {columns} FROM lake.changes.{quote(name)} "
        f"WHERE {mine} AND _change_batch NOT IN ({_listed(seen)})"
    )


def difference(lake: Lake, name: str, first: str, last: str, limit: int | None = None) -> pa.Table:
    """What changed after batch `first` up to batch `last`, net: op, before, after.

    A row that changed and changed back is no difference. `before` and `after` are structs of the
    dataset's columns; without a key a change is a deletion and an insertion. With `limit` any so
    many of them.
    """
    with lake.connect(read_only=True) as con:
        most = f" LIMIT {int(limit)}" if limit is not None else ""
        return con.execute(_between(con, name, first, last) + most).to_arrow_table()


def difference_counts(lake: Lake, name: str, first: str, last: str) -> dict[str, int]:
    """How many rows differ between the states after two batches, by op."""
    with lake.connect(read_only=True) as con:
        found = con.execute(
            f"SELECT op, count(*) FROM ({_between(con, name, first, last)}) GROUP BY op"
        ).fetchall()
    return {op: int(n) for op, n in found}


def _between(con: duckdb.DuckDBPyConnection, name: str, first: str, last: str) -> str:
    """SQL of the net difference between the states after two batches; LakeError for wrong ones."""
    codes = [code for code, _ in _order(con, valid_name(name))]
    for batch in (first, last):
        if batch not in codes:
            raise LakeError(f"数据集“{name}”没有批次“{batch}”")
    if codes.index(first) > codes.index(last):
        raise LakeError(f"批次“{first}”在“{last}”之后，请调换先后")
    between = codes[codes.index(first) + 1 : codes.index(last) + 1]
    done = _read_outcome(con, last)
    assert done is not None
    return _difference_sql(con, name, between, done.key)


def _difference_sql(
    con: duckdb.DuckDBPyConnection, name: str, between: list[str], key: tuple[str, ...]
) -> str:
    columns = _columns(con, name)
    packed = "struct_pack(" + ", ".join(f"{quote(c)} := {quote(c)}" for c in columns) + ")"
    on = " AND ".join(f"b.row.{quote(k)} IS NOT DISTINCT FROM a.row.{quote(k)}" for k in key)
    those = f"({_listed(between)})"
    trusted, changed = f"lake.trusted.{quote(name)}", f"lake.changes.{quote(name)}"
    listed = ", ".join(quote(c) for c in columns)
    return (
        "SELECT CASE WHEN b.row IS NULL THEN 'insert' WHEN a.row IS NULL THEN 'delete' "
        "ELSE 'update' END AS op, b.row AS before, a.row AS after FROM "
        f"(SELECT {packed} AS row FROM {changed} WHERE _change_batch IN {those} "
        f"AND _batch NOT IN {those}) b FULL OUTER JOIN "
        f"(SELECT {packed} AS row FROM (SELECT {listed} FROM {trusted} WHERE _batch IN {those} "
        f"UNION ALL SELECT {listed} FROM {changed} WHERE _batch IN {those} "
        f"AND _change_batch NOT IN {those})) a ON {on or 'FALSE'} "
        "WHERE b.row IS NULL OR a.row IS NULL OR b.row._hash <> a.row._hash"
    )


def feed(lake: Lake, name: str, since: str | None = None) -> Iterator[tuple[Outcome, pa.Table]]:
    """The batches after `since` (all without it), oldest first, each with its changes.

    The code of the last batch taken is the cursor to come back with. Each table has op, before,
    after. Raises LakeError for a cursor that is not a batch of this dataset.
    """
    with lake.connect(read_only=True) as con:
        codes = [code for code, _ in _order(con, valid_name(name))]
    if since is not None and since not in codes:
        raise LakeError(f"数据集“{name}”没有批次“{since}”，变更游标无效")
    for batch in codes[codes.index(since) + 1 if since is not None else 0 :]:
        with lake.connect(read_only=True) as con:
            done = _read_outcome(con, batch)
        assert done is not None
        yield done, changes(lake, name, batch)


# ---------------------------------------------------------------- taking back


def _same_key(key: tuple[str, ...], one: str, other: str) -> str:
    if not key:
        return f"{one}._hash = {other}._hash"
    return " AND ".join(f"{one}.{quote(k)} = {other}.{quote(k)}" for k in key)


def _plan(con: duckdb.DuckDBPyConnection, name: str, batch: str, key: tuple[str, ...]) -> Undone:
    """Works out, in temporary tables `undone` and `restored`, what taking the batch back means."""
    trusted, changed = f"lake.trusted.{quote(name)}", f"lake.changes.{quote(name)}"
    columns = ", ".join(quote(c) for c in _columns(con, name))
    mine = literal(batch)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE undone AS SELECT rowid AS _rid, {columns} "
        f"FROM {trusted} WHERE _batch = {mine}"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE former AS SELECT _op, {columns} FROM {changed} "
        f"WHERE _change_batch = {mine}"
    )
    here = _same_key(key, "u", "f")
    there = _same_key(key, "t", "f")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE restored AS SELECT f.* FROM former f WHERE CASE f._op "
        f"WHEN 'update' THEN EXISTS (SELECT 1 FROM undone u WHERE {here}) "
        f"ELSE NOT EXISTS (SELECT 1 FROM {trusted} t WHERE {there}) END"
    )

    def count(sql: str) -> int:
        row = con.execute(sql).fetchone()
        return int(row[0]) if row else 0

    replaced = count("SELECT count(*) FROM restored WHERE _op = 'update'")
    restored = count("SELECT count(*) FROM restored WHERE _op <> 'update'")
    removed = count("SELECT count(*) FROM undone") - replaced
    changed_since = count(f"SELECT count(*) FROM {changed} WHERE _batch = {mine}")
    returned = count("SELECT count(*) FROM former WHERE _op <> 'update'") - restored
    return Undone(removed, replaced, restored, changed_since + returned)


def _taken_back(con: duckdb.DuckDBPyConnection, name: str, batch: str) -> Outcome:
    """The batch's outcome; raises LakeError where it is unknown, taken back, or a taking back."""
    done = _read_outcome(con, batch)
    if done is None or done.dataset != name:
        raise LakeError(f"数据集“{name}”没有批次“{batch}”")
    if done.mode == "undo":
        raise LakeError(f"批次“{batch}”本身就是一次撤回，不能再撤回；请重新归集")
    row = con.execute(
        f"SELECT batch FROM {LEDGER} WHERE dataset = {literal(name)} AND mode = 'undo' "
        f"AND json_extract_string(outcome, '$.undoes') = {literal(batch)}"
    ).fetchone()
    if row:
        raise LakeError(f"批次“{batch}”已经由“{row[0]}”撤回")
    return done


def preview_undo(lake: Lake, name: str, batch: str) -> Undone:
    """What `take_back` would do, without doing it."""
    with lake.connect() as con:
        done = _taken_back(con, valid_name(name), batch)
        return _plan(con, name, batch, done.key)


def take_back(lake: Lake, name: str, batch: str, undo: str, *, wait: float = 3600.0) -> Outcome:
    """Takes batch `batch` back as a batch of its own with the code `undo`; returns its outcome.

    What the batch inserted is removed, what it changed or deleted is as it was before; rows that a
    later batch has changed stay as they are and are counted as kept. What arrived stays in
    raw. Its refused rows ask for no correction any more; if it was a correction, the rows that it
    mended ask again. Safe to repeat: an `undo` that committed is returned as it was.
    """
    valid_name(name)
    begun = time.monotonic()

    def work(con: duckdb.DuckDBPyConnection) -> str:
        outcome = _undo(con, name, _taken_back(con, name, batch), undo)
        outcome = replace(outcome, seconds=round(time.monotonic() - begun, 3))
        return json.dumps(outcome.as_dict(), ensure_ascii=False)

    with lake.writer(f"dataset.{name}", timeout=wait):
        return settled(lake, name, undo, "undo", work)


def _undo(con: duckdb.DuckDBPyConnection, name: str, done: Outcome, undo: str) -> Outcome:
    plan = _plan(con, name, done.batch, done.key)
    trusted, changed = f"lake.trusted.{quote(name)}", f"lake.changes.{quote(name)}"
    columns = _columns(con, name)
    listed = ", ".join(quote(c) for c in columns)
    replaced = f"EXISTS (SELECT 1 FROM restored r WHERE {_same_key(done.key, 'r', 'u')})"
    con.execute(
        f"INSERT INTO {changed} (_change_batch, _op, {listed}) SELECT {literal(undo)}, "
        f"CASE WHEN {replaced} THEN 'update' ELSE 'delete' END, {listed} FROM undone u"
    )
    con.execute(f"DELETE FROM {trusted} WHERE rowid IN (SELECT _rid FROM undone)")
    born = {"_batch": literal(undo), "_loaded_at": "CAST(now() AS TIMESTAMP)"}
    values = ", ".join(born.get(c, quote(c)) for c in columns)
    con.execute(f"INSERT INTO {trusted} ({listed}) SELECT {values} FROM restored")
    refused = f"lake.rejects.{quote(name)}"
    con.execute(
        f"UPDATE {refused} SET _corrected_by = {literal(undo)} "
        f"WHERE _batch = {literal(done.batch)} AND _corrected_by IS NULL"
    )
    con.execute(
        f"UPDATE {refused} SET _corrected_by = NULL WHERE _corrected_by = {literal(done.batch)}"
    )
    stated = _outcome(json.dumps(done.as_dict()))
    return replace(
        stated,
        batch=undo,
        mode="undo",
        landed=0,
        accepted=0,
        rejected=0,
        inserted=plan.restored,
        updated=plan.replaced,
        unchanged=0,
        deleted=plan.removed,
        rules={},
        snapshot=0,
        columns_added=(),
        columns_ignored=(),
        columns_missing=(),
        watermark=None,
        repeated=False,
        undoes=done.batch,
        kept=plan.kept,
    )
