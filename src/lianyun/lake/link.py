"""Linking: golden records of a library from several departments' trusted tables.

One row per key; each field comes from the first of its sources that has a value (by declared
authority) or from the one whose batch is newest. Every field carries where it came from and when;
where sources contradict each other, the values stand in ``library.<name>__conflicts``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from .shelves import (
    LEDGER,
    Column,
    Lake,
    LakeError,
    ensure_table,
    is_conflict,
    literal,
    quote,
    table_columns,
    valid_name,
)


@dataclass(frozen=True)
class FieldSource:
    """One source of a field: a dataset, its column, and the column that holds the entity's key.

    `date` is the column that says how old the value is; without it, the loading time.
    """

    dataset: str
    column: str
    key: str = ""
    date: str | None = None


@dataclass(frozen=True)
class LibraryField:
    """A field of a golden record; `sources` in order of authority, `wins` authority or latest."""

    name: str
    title: str
    sources: tuple[FieldSource, ...]
    wins: str = "authority"


@dataclass(frozen=True)
class LibrarySpec:
    """A library: its key's name and its fields. A source's key column is `key` unless it says else."""

    name: str
    key: str
    fields: tuple[LibraryField, ...]

    def __post_init__(self) -> None:
        valid_name(self.name)
        valid_name(self.key)
        for one in self.fields:
            valid_name(one.name)
            if one.wins not in ("authority", "latest"):
                raise LakeError(f"字段“{one.name}”的取值规则只能是 authority 或 latest")
            if not one.sources:
                raise LakeError(f"字段“{one.name}”没有来源")


@dataclass(frozen=True)
class Golden:
    """What a merging did to a library; `conflicts` is the number that now stand."""

    library: str
    batch: str
    entities: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    conflicts: int
    seconds: float


def golden(
    lake: Lake, spec: LibrarySpec, batch: str, *, since: Sequence[str] | None = None
) -> Golden:
    """Builds or refreshes a library in one transaction; running a batch again returns its result.

    With `since` (codes of dataset batches) only entities touched by those batches are looked at.
    Sources whose table does not exist yet are silent. A value is NULL only if no source has one.
    """
    begun = time.monotonic()
    with lake.writer(f"library.{spec.name}"):
        for attempt in range(1, 7):
            with lake.connect() as con:
                row = con.execute(
                    f"SELECT outcome FROM {LEDGER} WHERE batch = ?", [batch]
                ).fetchone()
                if row:
                    return Golden(**json.loads(row[0]))
                con.execute("BEGIN")
                try:
                    counts = _build(con, spec, batch, since)
                    seconds = round(time.monotonic() - begun, 3)
                    made = Golden(spec.name, batch, **counts, seconds=seconds)
                    con.execute(
                        f"INSERT INTO {LEDGER} VALUES (?, ?, 'library', ?, CAST(now() AS TIMESTAMP))",
                        [batch, "library." + spec.name, json.dumps(made.__dict__)],
                    )
                    con.execute(
                        "CALL ducklake_set_commit_message('lake', ?, ?)", [spec.name, batch]
                    )
                    con.execute("COMMIT")
                    return made
                except duckdb.Error as error:
                    if not is_conflict(error) or attempt == 6:
                        raise
            time.sleep(0.2 * attempt)
    raise LakeError("多次冲突，基础库没有更新")


def _build(
    con: duckdb.DuckDBPyConnection, spec: LibrarySpec, batch: str, since: Sequence[str] | None
) -> dict[str, int]:
    tables: dict[str, dict[str, str]] = {}
    for one in spec.fields:
        for source in one.sources:
            valid_name(source.dataset)
            tables.setdefault(source.dataset, table_columns(con, "trusted", source.dataset))
    target, quarrel = (
        f"lake.library.{quote(spec.name)}",
        f"lake.library.{quote(spec.name + '__conflicts')}",
    )
    alive = {name: columns for name, columns in tables.items() if columns}
    if not alive:
        raise LakeError(f"库“{spec.name}”的来源数据集都还没有数据")

    def key_of(source: FieldSource) -> str:
        return source.key or spec.key

    pairs = sorted({(s.dataset, key_of(s)) for f in spec.fields for s in f.sources})
    pairs = [(d, k) for d, k in pairs if k in alive.get(d, {})]
    if not pairs:
        raise LakeError(f"库“{spec.name}”的来源里没有主键列“{spec.key}”")
    touched = ""
    if since is not None:
        listed = ", ".join(literal(b) for b in since) or "''"
        parts = []
        for dataset, key in pairs:
            parts.append(
                f"SELECT CAST({quote(key)} AS VARCHAR) AS k FROM lake.trusted.{quote(dataset)} "
                f"WHERE _batch IN ({listed})"
            )
            if key in table_columns(con, "changes", dataset):
                parts.append(
                    f"SELECT CAST({quote(key)} AS VARCHAR) FROM lake.changes.{quote(dataset)} "
                    f"WHERE _change_batch IN ({listed})"
                )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT k FROM "
            f"({' UNION ALL '.join(parts)}) WHERE k IS NOT NULL"
        )
        touched = " AND CAST({key} AS VARCHAR) IN (SELECT k FROM touched)"
    kinds = {
        f.name: next(
            (alive[s.dataset][s.column] for s in f.sources if s.column in alive.get(s.dataset, {})),
            "VARCHAR",
        )
        for f in spec.fields
    }
    # one row per entity and source table: the newest row of that entity there
    views: dict[tuple[str, str, str | None], str] = {}
    joins = []
    for index, (dataset, key, date) in enumerate(
        sorted(
            {(s.dataset, key_of(s), s.date) for f in spec.fields for s in f.sources},
            key=str,
        )
    ):
        columns = alive.get(dataset, {})
        if key not in columns:
            continue
        used = sorted(
            {
                s.column
                for f in spec.fields
                for s in f.sources
                if s.dataset == dataset and s.column in columns
            }
        )
        when = f"CAST({quote(date)} AS TIMESTAMP)" if date and date in columns else "_loaded_at"
        picked = "".join(
            f", arg_max({quote(c)}, (coalesce({when}, TIMESTAMP '1900-01-01'), _line)) FILTER ({quote(c)} IS NOT NULL) AS {quote(c)}"
            for c in used
            if c != key
        )
        if key in used:
            picked += f", any_value({quote(key)}) AS {quote(key)}"
        limit = touched.format(key=quote(key)) if touched else ""
        view = f"s{index}"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {view} AS SELECT CAST({quote(key)} AS VARCHAR) AS k, "
            f"max({when}) AS _when, coalesce(max({when}), TIMESTAMP '1900-01-01') AS _age, arg_max(_batch, (coalesce({when}, TIMESTAMP '1900-01-01'), _line)) AS _from{picked} "
            f"FROM lake.trusted.{quote(dataset)} WHERE {quote(key)} IS NOT NULL{limit} GROUP BY 1"
        )
        views[(dataset, key, date)] = view
        joins.append(view)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE entities AS SELECT DISTINCT k FROM ("
        + " UNION ALL ".join(f"SELECT k FROM {v}" for v in joins)
        + ")"
    )
    chosen, origins, quarrels = [], [], []
    for one in spec.fields:
        kind = kinds[one.name]
        options = [
            (s, views[(s.dataset, key_of(s), s.date)])
            for s in one.sources
            if (s.dataset, key_of(s), s.date) in views and s.column in alive[s.dataset]
        ]
        if not options:
            chosen.append(f"CAST(NULL AS {kind}) AS {quote(one.name)}")
            continue
        values = [f"TRY_CAST({v}.{quote(s.column)} AS {kind})" for s, v in options]
        if one.wins == "latest" and len(options) > 1:
            newest = (
                "greatest("
                + ", ".join(
                    f"CASE WHEN {value} IS NOT NULL THEN {v}._age END"
                    for value, (_, v) in zip(values, options, strict=True)
                )
                + ")"
            )
            tests = [
                f"{value} IS NOT NULL AND {v}._age = {newest}"
                for value, (_, v) in zip(values, options, strict=True)
            ]
        else:
            tests = [f"{value} IS NOT NULL" for value in values]
        value_sql = " ".join(f"WHEN {t} THEN {v}" for t, v in zip(tests, values, strict=True))
        chosen.append(f"CASE {value_sql} END AS {quote(one.name)}")
        origin_sql = " ".join(
            f"WHEN {t} THEN json_object('dataset', {literal(s.dataset)}, 'batch', {v}._from, "
            f"'date', strftime({v}._when, '%Y-%m-%d'))"
            for t, (s, v) in zip(tests, options, strict=True)
        )
        origins.append(f"{literal(one.name)}, CASE {origin_sql} END")
        if len(options) > 1:
            texts = [f"CAST({value} AS VARCHAR)" for value in values]
            told = ", ".join(
                f"{literal(s.dataset)}, {t}" for t, (s, _) in zip(texts, options, strict=True)
            )
            distinct = f"list_distinct([{', '.join(texts)}])"
            quarrels.append(
                f"SELECT e.k AS entity, {literal(one.name)} AS field, {literal(one.title)} AS title, "
                f"CAST(json_object({told}) AS VARCHAR) AS per_source, "
                f"CAST(CASE {value_sql} END AS VARCHAR) AS chosen, {literal(batch)} AS _batch "
                f"FROM entities e {_left(joins)} WHERE len({distinct}) > 1"
            )
    names = [f.name for f in spec.fields]
    listed = ", ".join(quote(n) for n in names)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT e.k AS {quote(spec.key)}, "
        + ", ".join(c for c, n in zip(chosen, names, strict=True) if n != spec.key)
        + f", CAST(json_object({', '.join(origins)}) AS VARCHAR) AS _provenance "
        f"FROM entities e {_left(joins)}"
    )
    body = [n for n in names if n != spec.key]
    listed_columns = [Column(spec.key), *(Column(n, kinds[n]) for n in body)]
    system = [Column("_provenance"), Column("_batch"), Column("_updated_at", "TIMESTAMP")]
    ensure_table(con, "library", spec.name, [*listed_columns, *system])
    ensure_table(
        con,
        "library",
        spec.name + "__conflicts",
        [Column(n) for n in ("entity", "field", "title", "per_source", "chosen", "_batch")],
    )
    listed = ", ".join(quote(c.name) for c in listed_columns)
    key = quote(spec.key)
    differ = " OR ".join(
        [f"t.{quote(n)} IS DISTINCT FROM f.{quote(n)}" for n in body]
        + [f"{_origins('t')} IS DISTINCT FROM {_origins('f')}"]
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE fate AS SELECT f.{key} AS k, t.rowid AS rid, "
        f"CASE WHEN t.{key} IS NULL THEN 'insert' WHEN {differ} THEN 'update' ELSE 'same' END AS op "
        f"FROM fresh f LEFT JOIN (SELECT rowid, * FROM {target}) t ON t.{key} = f.{key}"
    )
    scope = f"{key} IN (SELECT k FROM touched)" if since is not None else "TRUE"
    con.execute(
        f"INSERT INTO fate SELECT {key}, rowid, 'delete' FROM {target} "
        f"WHERE {scope} AND {key} NOT IN (SELECT k FROM entities)"
    )
    ops = dict(con.execute("SELECT op, count(*) FROM fate GROUP BY op").fetchall())
    if ops.get("update") or ops.get("delete"):
        con.execute(
            f"DELETE FROM {target} WHERE rowid IN (SELECT rid FROM fate WHERE op IN ('update', 'delete'))"
        )
    if ops.get("insert") or ops.get("update"):
        con.execute(
            f"INSERT INTO {target} ({listed}, _provenance, _batch, _updated_at) "
            f"SELECT {listed}, _provenance, {literal(batch)}, CAST(now() AS TIMESTAMP) FROM fresh "
            f"WHERE {key} IN (SELECT k FROM fate WHERE op IN ('insert', 'update'))"
        )
    quarrel_scope = "entity IN (SELECT k FROM touched)" if since is not None else "TRUE"
    con.execute(f"DELETE FROM {quarrel} WHERE {quarrel_scope}")
    for sql in quarrels:
        con.execute(f"INSERT INTO {quarrel} {sql}")
    entities, conflicts = (
        int((con.execute(f"SELECT count(*) FROM {t}").fetchone() or (0,))[0])
        for t in (target, quarrel)
    )
    return {
        "entities": entities,
        "inserted": int(ops.get("insert", 0)),
        "updated": int(ops.get("update", 0)),
        "deleted": int(ops.get("delete", 0)),
        "unchanged": int(ops.get("same", 0)),
        "conflicts": conflicts,
    }


def _origins(alias: str) -> str:
    """Provenance without batch codes: a batch that brought the same value changes nothing."""
    return f"regexp_replace({alias}._provenance, '\"(batch|date)\":\"[^\"]*\"', '', 'g')"


def _left(views: Sequence[str]) -> str:
    return " ".join(f"LEFT JOIN {v} ON {v}.k = e.k" for v in views)


def conflicts(
    lake: Lake, name: str, *, dataset: str | None = None, offset: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Contradictions of a library: entity, field, title, values per source, the value chosen."""
    valid_name(name)
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "library", name + "__conflicts"):
            return []
        where = "json_exists(per_source, '$.' || ?)" if dataset else "? IS NULL"
        rows = con.execute(
            "SELECT entity, field, title, per_source, chosen, _batch FROM "
            f"lake.library.{quote(name + '__conflicts')} WHERE {where} "
            f"ORDER BY entity, field LIMIT {int(limit)} OFFSET {int(offset)}",
            [dataset],
        ).fetchall()
    return [
        {
            "entity": r[0],
            "field": r[1],
            "title": r[2],
            "values": json.loads(r[3]),
            "chosen": r[4],
            "batch": r[5],
        }
        for r in rows
    ]
