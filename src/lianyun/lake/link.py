"""Linking: golden records of a library from several departments' trusted tables.

One row per key; each field comes from the first of its sources that has a value (by declared
authority) or from the one whose value is newest. Every field carries where it came from and when;
where sources contradict each other, all their values stay with the row. A building looks either at
everything or only at the entities that a list of batches touched: the result is the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import duckdb

from . import engines
from .shelves import (
    LEDGER,
    Column,
    Lake,
    LakeError,
    ensure_table,
    literal,
    quote,
    table_columns,
    valid_name,
)

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NONE = "-"
"""The letter of a field that no source has a value for."""

LONG_AGO = "TIMESTAMP '1900-01-01'"
ROW_BYTES, VALUE_BYTES, SHARE_BYTES = 100, 24, 550_000_000
"""What a row and each of its values take in a join, and how much a share's joins may (700 MB limit)."""

LAYOUT = 2
"""Version of the golden table's layout: another number makes every library anew."""


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
    """A library: its key's name and its fields. A source's key column is `key` unless it says else.

    `region` names a field whose first six digits are a county, by which entities are counted.
    """

    name: str
    key: str
    fields: tuple[LibraryField, ...]
    region: str = ""

    def __post_init__(self) -> None:
        valid_name(self.name)
        valid_name(self.key)
        for one in self.fields:
            valid_name(one.name)
            if one.wins not in ("authority", "latest"):
                raise LakeError(f"字段“{one.name}”的取值规则只能是 authority 或 latest")
            if not one.sources:
                raise LakeError(f"字段“{one.name}”没有来源")
            for source in one.sources:
                valid_name(source.dataset)


@dataclass(frozen=True)
class Origin:
    """Rows from which fields are taken, one per entity: a dataset's, or one column's newest values.

    A dataset with one row per entity is one origin for all its fields. One with several rows (a
    payment, a visit) is an origin for each column: the newest row that has a value there. `letter`
    stands for it in a golden row's ``_from``; `batch` and `date` are the golden table's columns
    with the batch that brought the row and the day of its value.
    """

    letter: str
    dataset: str
    key: str
    date: str | None
    column: str | None
    batch_column: str
    date_column: str


@dataclass(frozen=True)
class Golden:
    """What a building did to a library, and what the library now holds.

    inserted + updated + unchanged = entities. `unchanged` and `updated` are about values and where
    they come from: a row whose source only said the same again is unchanged though its date moved.
    `touched` entities were looked at; `conflicts` counts fields of entities.
    `fields` gives per field how many values it has (`filled`), from which datasets (`sources`) and
    in how many entities its sources differ (`conflicts`); `freshness` each dataset's newest day.
    """

    library: str
    batch: str
    entities: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    conflicts: int
    seconds: float
    whole: bool = True
    touched: int = 0
    stamp: str = ""
    names: tuple[str, ...] = ()
    origins: tuple[dict[str, Any], ...] = ()
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    freshness: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def read_golden(text: str) -> Golden:
    """A building's outcome from its JSON in the ledger."""
    data = json.loads(text)
    known = {k: v for k, v in data.items() if k in Golden.__dataclass_fields__}
    for name in ("names", "origins"):
        known[name] = tuple(known.get(name) or ())
    return Golden(**known)


def golden(
    lake: Lake, spec: LibrarySpec, batch: str, *, since: Sequence[str] | None = None
) -> Golden:
    """Builds or refreshes a library in one transaction; running a batch again returns its result.

    With `since` (codes of all dataset batches since the last building) only the entities that those
    batches touched are looked at. Where the declaration or the sources' shape has changed since,
    the library is made anew. Sources whose table does not exist yet are silent. A value is NULL
    only if no source has one.
    """
    return build(lake, spec.name, lambda con: make_plan(con, spec), batch, since)


def build(
    lake: Lake,
    name: str,
    plan: Callable[[duckdb.DuckDBPyConnection], Shape],
    batch: str,
    since: Sequence[str] | None,
) -> Golden:
    """One building of a library of any form, as `golden` describes it."""
    begun = time.monotonic()

    def work(con: duckdb.DuckDBPyConnection) -> str:
        counts = _Building(lake, con, name, plan(con), batch).run(since)
        made = Golden(name, batch, **counts, seconds=round(time.monotonic() - begun, 3))
        return json.dumps(asdict(made), ensure_ascii=False)

    with lake.writer(f"library.{name}"):
        told, _ = lake.settle(batch, "library." + name, "library", name, work)
    return read_golden(told)


def last_building(con: duckdb.DuckDBPyConnection, name: str) -> Golden | None:
    """The newest building of a library that this connection sees."""
    row = con.execute(
        f"SELECT outcome FROM {LEDGER} WHERE dataset = ? AND mode = 'library' "
        "ORDER BY finished_at DESC, batch DESC LIMIT 1",
        ["library." + name],
    ).fetchone()
    return read_golden(row[0]) if row else None


class Shape(Protocol):
    """What a building needs to know of a library, whatever its form."""

    @property
    def key(self) -> str:
        """The column that tells the library's rows apart."""

    @property
    def scope(self) -> str:
        """The column to which touched entities are matched: the key, or what rows have in common."""

    def layout(self) -> list[Column]:
        """The table's columns, ending with ``_batch`` and ``_updated_at``."""

    def stamp(self) -> str:
        """A mark of the declaration and the sources' shape: another one makes the library anew."""

    def statement(self, touched: str, part: tuple[int, int] = (0, 1)) -> str:
        """SQL of the rows; `touched` names a relation of entities ``k``, or is empty for all.

        `part` (i, n) limits it to the i-th of n shares of the entities.
        """

    def parts(self, con: duckdb.DuckDBPyConnection) -> int:
        """In how many shares a first building fits into memory."""

    def touching(self, con: duckdb.DuckDBPyConnection, batches: str) -> list[str]:
        """SQL of the entities ``k`` that the batches (a list of SQL literals) touched."""

    def survey(self, con: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
        """Counts of what the table holds: parts of `Golden`."""


# ---------------------------------------------------------------- the statement


@dataclass(frozen=True)
class Plan:
    """A library over the sources that exist: what `compose` needs to write its SQL.

    `columns` gives the types of the trusted columns of each living dataset, `single` the (dataset,
    key column) pairs with at most one row per entity.
    """

    spec: LibrarySpec
    columns: dict[str, dict[str, str]]
    single: frozenset[tuple[str, str]]

    @property
    def key(self) -> str:
        """The column that tells golden rows apart."""
        return self.spec.key

    @property
    def scope(self) -> str:
        """Touched entities are touched keys."""
        return self.spec.key

    def statement(self, touched: str, part: tuple[int, int] = (0, 1)) -> str:
        """SQL of the golden rows."""
        return compose(self, touched, part)

    def parts(self, con: duckdb.DuckDBPyConnection) -> int:
        """Shares whose joins stay in memory: reading the sources again costs less than spilling."""
        terms = []
        for origin in self.origins().values():
            place = (origin.dataset, origin.key, origin.date, origin.column)
            used = {
                s.column
                for f in self.body()
                for s in f.sources
                if self.lives(s) and self.place(s) == place
            }
            terms.append(
                f"(SELECT count(*) FROM lake.trusted.{quote(origin.dataset)}) "
                f"* {ROW_BYTES + VALUE_BYTES * len(used)}"
            )
        row = con.execute(f"SELECT {' + '.join(terms)}").fetchone()
        need = int(row[0]) if row else 0
        return max(1, math.ceil(need / SHARE_BYTES))

    def key_of(self, source: FieldSource) -> str:
        """The column of a source's dataset that holds the entity's key."""
        return source.key or self.spec.key

    def lives(self, source: FieldSource) -> bool:
        """Whether the source's table has its column and its key."""
        have = self.columns.get(source.dataset, {})
        return source.column in have and self.key_of(source) in have

    def origins(self) -> dict[tuple[str, str, str | None, str | None], Origin]:
        """The origins in order of first mention, by dataset, key, date and column (or None)."""
        out: dict[tuple[str, str, str | None, str | None], Origin] = {}
        taken: set[str] = set()
        for one in self.spec.fields:
            for source in one.sources:
                if not self.lives(source):
                    continue
                place = self.place(source)
                if place in out:
                    continue
                if len(out) == len(LETTERS):
                    raise LakeError(f"库“{self.spec.name}”的来源超过 {len(LETTERS)} 个")
                dataset, key, date, column = place
                name = dataset + (f"__{column}" if column else "")
                while name in taken:
                    name += "_"
                taken.add(name)
                out[place] = Origin(
                    LETTERS[len(out)], dataset, key, date, column, f"_batch_{name}", f"_date_{name}"
                )
        return out

    def place(self, source: FieldSource) -> tuple[str, str, str | None, str | None]:
        """The origin to which a source belongs."""
        key = self.key_of(source)
        date = source.date if source.date in self.columns[source.dataset] else None
        alone = (source.dataset, key) in self.single
        return (source.dataset, key, date, None if alone else source.column)

    def kind(self, one: LibraryField) -> str:
        """A field's type: that of its first living source."""
        return next(
            (self.columns[s.dataset][s.column] for s in one.sources if self.lives(s)), "VARCHAR"
        )

    def body(self) -> list[LibraryField]:
        """The fields without the key, which stands for itself."""
        return [f for f in self.spec.fields if f.name != self.spec.key]

    def layout(self) -> list[Column]:
        """The golden table's columns."""
        found = self.origins().values()
        return [
            Column(self.spec.key),
            *(Column(f.name, self.kind(f)) for f in self.body()),
            Column("_from"),
            Column("_conflicts"),
            *(Column(o.batch_column) for o in found),
            *(Column(o.date_column, "DATE") for o in found),
            Column("_batch"),
            Column("_updated_at", "TIMESTAMP"),
        ]

    def stamp(self) -> str:
        """A mark of the declaration and the sources' shape: another one makes the library anew."""
        told = [LAYOUT, asdict(self.spec), [(c.name, c.sql_type) for c in self.layout()]]
        told.append(sorted(self.single))
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]

    def touching(self, con: duckdb.DuckDBPyConnection, batches: str) -> list[str]:
        """SQL of the keys of rows that the batches brought, and of those that they replaced."""
        parts = []
        for dataset, key in sorted({(o.dataset, o.key) for o in self.origins().values()}):
            column = f"CAST({quote(key)} AS VARCHAR) AS k"
            parts.append(
                f"SELECT {column} FROM lake.trusted.{quote(dataset)} WHERE _batch IN ({batches})"
            )
            if key in table_columns(con, "changes", dataset):
                parts.append(
                    f"SELECT {column} FROM lake.changes.{quote(dataset)} "
                    f"WHERE _change_batch IN ({batches})"
                )
        return parts

    def survey(self, con: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
        """Counts what the library holds, so that no page has to."""
        origins = list(self.origins().values())
        by_letter = {o.letter: o.dataset for o in origins}
        names = [f.name for f in self.body()]
        fields: dict[str, dict[str, Any]] = {
            n: {"filled": 0, "sources": {}, "conflicts": 0} for n in names
        }
        entities = 0
        for letters, n in con.execute(
            f"SELECT _from, count(*) FROM {table} GROUP BY _from"
        ).fetchall():
            entities += n
            for name, letter in zip(names, letters, strict=True):
                if letter != NONE:
                    told = fields[name]["sources"]
                    told[by_letter[letter]] = told.get(by_letter[letter], 0) + n
                    fields[name]["filled"] += n
        conflicts = 0
        for name, n in con.execute(
            "SELECT name, count(*) FROM (SELECT unnest(json_keys(_conflicts)) AS name "
            f"FROM {table} WHERE _conflicts IS NOT NULL) q GROUP BY name"
        ).fetchall():
            fields[name]["conflicts"] = n
            conflicts += n
        newest = ", ".join(f"CAST(max({quote(o.date_column)}) AS VARCHAR)" for o in origins)
        row = con.execute(f"SELECT {newest} FROM {table}").fetchone() or ()
        freshness: dict[str, str] = {}
        for origin, day in zip(origins, row, strict=True):
            if day and day > freshness.get(origin.dataset, ""):
                freshness[origin.dataset] = day
        return {
            "entities": entities,
            "conflicts": conflicts,
            "fields": fields,
            "freshness": freshness,
            "names": tuple(names),
            "origins": tuple(asdict(o) for o in origins),
            "extra": (
                {"regions": region_counts(con, table, self.spec.region)} if self.spec.region else {}
            ),
        }


def json_text(value: str) -> str:
    """SQL of a JSON string of a text expression, in functions that every engine has."""
    escaped = f"replace(replace({value}, '\\', '\\\\'), '\"', '\\\"')"
    return f"'\"' || regexp_replace({escaped}, '[\\x00-\\x1f]', ' ', 'g') || '\"'"


def compose(
    plan: Plan,
    touched: str = "",
    part: tuple[int, int] = (0, 1),
    trusted: str = "lake.trusted",
) -> str:
    """SQL of a library's golden rows: key, fields, ``_from``, ``_conflicts``, batches and dates.

    One pass: each source's rows, full joins, then values, letters and contradictions side by side.
    `touched` names a relation with a column ``k`` to which the entities are limited. Only CASE,
    joins, and aggregates that Spark has as well.
    """
    origins = plan.origins()
    aliases = {place: f"s{index}" for index, place in enumerate(origins)}
    relations: list[tuple[str, str, list[str]]] = []
    for place, origin in origins.items():
        alias = aliases[place]
        used = sorted(
            {
                s.column
                for f in plan.body()
                for s in f.sources
                if plan.lives(s) and plan.place(s) == place
            }
        )
        relations.append(_reduced(plan, origin, alias, used, touched, part, trusted))
    joined = _joined(relations)
    values, letters, differ, dates, told = [], [], [], [], []
    for one in plan.body():
        options = [
            (plan.place(s), f"{aliases[plan.place(s)]}_{s.column}", s)
            for s in one.sources
            if plan.lives(s)
        ]
        kind = plan.kind(one)
        if not options:
            values.append(f"CAST(NULL AS {kind}) AS {quote(one.name)}")
            letters.append(literal(NONE))
            continue
        read = []
        for _, column, source in options:
            same = plan.columns[source.dataset][source.column] == kind
            read.append(quote(column) if same else f"TRY_CAST({quote(column)} AS {kind})")
        tests = [f"{value} IS NOT NULL" for value in read]
        if one.wins == "latest" and len(options) > 1:
            ages = [
                f"CASE WHEN {value} IS NOT NULL THEN coalesce({aliases[place]}__when, {LONG_AGO}) END"
                for value, (place, _, _) in zip(read, options, strict=True)
            ]
            newest = f"greatest({', '.join(ages)})"
            tests = [
                f"{value} IS NOT NULL AND coalesce({aliases[place]}__when, {LONG_AGO}) = {newest}"
                for value, (place, _, _) in zip(read, options, strict=True)
            ]
        if len(options) == 1:
            values.append(f"{read[0]} AS {quote(one.name)}")
        else:
            whens = " ".join(f"WHEN {t} THEN {v}" for t, v in zip(tests, read, strict=True))
            if one.wins == "authority":
                values.append(f"coalesce({', '.join(read)}) AS {quote(one.name)}")
            else:
                values.append(f"CASE {whens} END AS {quote(one.name)}")
        whens = " ".join(
            f"WHEN {t} THEN {literal(origins[place].letter)}"
            for t, (place, _, _) in zip(tests, options, strict=True)
        )
        letters.append(f"CASE {whens} ELSE {literal(NONE)} END")
        if len(options) > 1:
            chosen = quote(one.name)
            others = read[1:] if one.wins == "authority" else read
            clash = " OR ".join(f"({value} <> {chosen})" for value in others)
            differ.append(clash)
            entries = " || ".join(
                f"CASE WHEN {value} IS NULL THEN '' ELSE ',' || "
                f"{literal(json.dumps(source.dataset))} || ':' || "
                f"{json_text(f'CAST({value} AS VARCHAR)')} END"
                for value, (_, _, source) in zip(read, options, strict=True)
            )
            told.append(
                f"CASE WHEN {clash} THEN ',' || {literal(json.dumps(one.name))} || ':{{' || "
                f"substr({entries}, 2) || '}}' ELSE '' END"
            )
    for place, origin in origins.items():
        alias = aliases[place]
        dates.append(f"{alias}__batch AS {quote(origin.batch_column)}")
        dates.append(f"CAST({alias}__when AS DATE) AS {quote(origin.date_column)}")
    quarrel = "CAST(NULL AS VARCHAR)"
    if differ:
        quarrel = (
            f"CASE WHEN {' OR '.join(f'({d})' for d in differ)} "
            f"THEN '{{' || substr({' || '.join(told)}, 2) || '}}' END"
        )
    # the values get names first: what contradicts is what differs from the value chosen
    inner = f"SELECT *{''.join(', ' + v for v in values)} FROM ({joined}) j"
    listed = "".join(f", {quote(f.name)}" for f in plan.body())
    return (
        f"SELECT k AS {quote(plan.spec.key)}{listed}, concat({', '.join(letters)}) AS _from, "
        f"{quarrel} AS _conflicts, {', '.join(dates)} FROM ({inner}) c"
    )


def _reduced(
    plan: Plan,
    origin: Origin,
    alias: str,
    used: Sequence[str],
    touched: str,
    part: tuple[int, int],
    trusted: str,
) -> tuple[str, str, list[str]]:
    """A source's rows, one per entity: its alias, its SQL and its columns under the alias."""
    table, key = f"{trusted}.{quote(origin.dataset)}", quote(origin.key)
    have = plan.columns[origin.dataset]
    when = f"CAST({quote(origin.date)} AS TIMESTAMP)" if origin.date else "_loaded_at"
    text = key if have[origin.key] == "VARCHAR" else f"CAST({key} AS VARCHAR)"
    limit = f" AND {text} IN (SELECT k FROM {touched})" if touched else ""
    if part[1] > 1:
        limit += f" AND hash({text}) % {part[1]} = {part[0]}"
    names = [f"{alias}_{c}" for c in used] + [f"{alias}__when", f"{alias}__batch"]
    picked = "".join(f", {quote(c)} AS {quote(f'{alias}_{c}')}" for c in used)
    if origin.column is None:
        sql = (
            f"SELECT {text} AS k{picked}, {when} AS {alias}__when, _batch AS {alias}__batch "
            f"FROM {table} WHERE {key} IS NOT NULL{limit}"
        )
        return alias, sql, names
    column = quote(origin.column)
    wanted = "".join(f", {name}" for name in (*(quote(n) for n in names),))
    sql = (
        f"SELECT k{wanted} FROM (SELECT {text} AS k{picked}, {when} AS {alias}__when, "
        f"_batch AS {alias}__batch, row_number() OVER (PARTITION BY {text} ORDER BY "
        f"coalesce({when}, {LONG_AGO}) DESC, _batch DESC, _line DESC) AS place "
        f"FROM {table} WHERE {key} IS NOT NULL AND {column} IS NOT NULL{limit}) r WHERE place = 1"
    )
    return alias, sql, names


def _joined(relations: Sequence[tuple[str, str, list[str]]]) -> str:
    """The full join of all relations over their keys, in the given order."""
    alias, sql, names = relations[0]
    left, have = f"({sql}) {alias}", list(names)
    for index, (alias, sql, names) in enumerate(relations[1:]):
        here = relations[0][0] if index == 0 else f"j{index}"
        columns = "".join(f", {quote(n)}" for n in [*have, *names])
        text = (
            f"SELECT coalesce({here}.k, {alias}.k) AS k{columns} FROM {left} "
            f"FULL OUTER JOIN ({sql}) {alias} ON {here}.k = {alias}.k"
        )
        left, have = f"({text}) j{index + 1}", [*have, *names]
    return f"SELECT * FROM {left}"


# ---------------------------------------------------------------- one building


class _Building:
    """One attempt at a building, inside a transaction that the caller opened."""

    def __init__(
        self, lake: Lake, con: duckdb.DuckDBPyConnection, name: str, plan: Shape, batch: str
    ) -> None:
        self.lake, self.con, self.name, self.plan, self.batch = lake, con, name, plan, batch
        self.target = f"lake.library.{quote(name)}"
        self.key, self.scope = quote(plan.key), quote(plan.scope)

    def one(self, sql: str) -> int:
        """The single number of a query."""
        row = self.con.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    def run(self, since: Sequence[str] | None) -> dict[str, Any]:
        """Builds; returns the outcome as far as this transaction knows it."""
        stamp = self.plan.stamp()
        last = last_building(self.con, self.name)
        have = table_columns(self.con, "library", self.name)
        if have and (last is None or last.stamp != stamp):
            self.con.execute(f"DROP TABLE {self.target}")
            have = {}
        ensure_table(self.con, "library", self.name, self.plan.layout())
        touched = 0
        if not have:
            since = None
            counts = self.fill()
        else:
            if since is not None:
                touched = self.touch(since)
            counts = self.renew(since is not None)
        return {
            **counts,
            **self.plan.survey(self.con, self.target),
            "whole": since is None,
            "touched": touched,
            "stamp": stamp,
        }

    def columns(self) -> list[str]:
        """The golden table's columns without the building's own."""
        return [c.name for c in self.plan.layout() if c.name not in ("_batch", "_updated_at")]

    def fill(self) -> dict[str, int]:
        """The first building: sources to table, a share of the entities after another."""
        listed = ", ".join(quote(c) for c in self.columns())
        whole = self.plan.statement("")
        if engines.distributed(self.con, whole):
            moment = self.con.execute("SELECT CAST(CAST(now() AS TIMESTAMP) AS VARCHAR)").fetchone()
            assert moment is not None
            with engines.running(self.lake, self.con) as run:
                made = run.append(
                    "library",
                    self.name,
                    [*self.columns(), "_batch", "_updated_at"],
                    f"SELECT {listed}, {literal(self.batch)} AS _batch, "
                    f"CAST({literal(moment[0])} AS TIMESTAMP) AS _updated_at FROM ({whole}) f",
                )
            return {"inserted": made, "updated": 0, "deleted": 0, "unchanged": 0}
        made, parts = 0, self.plan.parts(self.con)
        for index in range(parts):
            sql = self.plan.statement("", (index, parts))
            made += self.one(
                f"INSERT INTO {self.target} ({listed}, _batch, _updated_at) SELECT {listed}, "
                f"{literal(self.batch)}, CAST(now() AS TIMESTAMP) FROM ({sql}) f"
            )
        return {"inserted": made, "updated": 0, "deleted": 0, "unchanged": 0}

    def touch(self, since: Sequence[str]) -> int:
        """Lists the entities that the batches touched, before or after; returns how many."""
        listed = ", ".join(literal(b) for b in since) or "''"
        parts = self.plan.touching(self.con, listed)
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT k FROM "
            f"({' UNION ALL '.join(parts)}) t WHERE k IS NOT NULL"
        )
        return self.one("SELECT count(*) FROM touched")

    def renew(self, partly: bool) -> dict[str, int]:
        """Compares fresh rows with those that stand and rewrites what differs."""
        sql = self.plan.statement("touched" if partly else "")
        with engines.running(self.lake, self.con, "" if partly else None, reads=sql) as run:
            run.make("fresh", sql)
        scope = f"WHERE {self.scope} IN (SELECT k FROM touched)" if partly else ""
        stand = [c for c in self.columns() if c != self.plan.key]
        said = [c for c in stand if not c.startswith(("_batch_", "_date_", "_conflicts"))]
        differ, moved = (
            " OR ".join(f"t.{quote(c)} IS DISTINCT FROM f.{quote(c)}" for c in names)
            for names in (said, [c for c in stand if c not in said])
        )
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE fate AS "
            f"SELECT coalesce(f.{self.key}, t.{self.key}) AS k, t.rid, t._batch AS was, "
            "t._updated_at AS stood, "
            f"CASE WHEN t.rid IS NULL THEN 'insert' WHEN f.{self.key} IS NULL THEN 'delete' "
            f"WHEN {differ} THEN 'update' WHEN {moved} THEN 'restamp' ELSE 'same' END AS op "
            f"FROM fresh f FULL OUTER JOIN (SELECT rowid AS rid, * FROM {self.target} {scope}) t "
            f"ON t.{self.key} = f.{self.key}"
        )
        ops = dict(self.con.execute("SELECT op, count(*) FROM fate GROUP BY op").fetchall())
        if ops.get("update") or ops.get("delete") or ops.get("restamp"):
            self.con.execute(
                f"DELETE FROM {self.target} WHERE rowid IN "
                "(SELECT rid FROM fate WHERE op IN ('update', 'delete', 'restamp'))"
            )
        if ops.get("update") or ops.get("insert") or ops.get("restamp"):
            listed = ", ".join(quote(c) for c in self.columns())
            self.con.execute(
                f"INSERT INTO {self.target} ({listed}, _batch, _updated_at) "
                f"SELECT {', '.join('f.' + quote(c) for c in self.columns())}, "
                f"CASE WHEN x.op = 'restamp' THEN x.was ELSE {literal(self.batch)} END, "
                "CASE WHEN x.op = 'restamp' THEN x.stood ELSE CAST(now() AS TIMESTAMP) END "
                f"FROM fresh f JOIN fate x ON x.k = f.{self.key} "
                "WHERE x.op IN ('insert', 'update', 'restamp')"
            )
        whole = self.one(f"SELECT count(*) FROM {self.target}")
        inserted, updated = int(ops.get("insert", 0)), int(ops.get("update", 0))
        return {
            "inserted": inserted,
            "updated": updated,
            "deleted": int(ops.get("delete", 0)),
            "unchanged": whole - inserted - updated,
        }


def region_counts(con: duckdb.DuckDBPyConnection, table: str, column: str) -> dict[str, int]:
    """Rows of a table per county, the first six digits of `column`."""
    return dict(
        con.execute(
            f"SELECT substr({quote(column)}, 1, 6) AS county, count(*) FROM {table} "
            f"WHERE {quote(column)} IS NOT NULL GROUP BY county ORDER BY county"
        ).fetchall()
    )


def make_plan(con: duckdb.DuckDBPyConnection, spec: LibrarySpec) -> Plan:
    """The library over the tables that exist; raises LakeError where none of them can feed it."""
    wanted = sorted({s.dataset for f in spec.fields for s in f.sources})
    alive = {name: table_columns(con, "trusted", name) for name in wanted}
    alive = {name: columns for name, columns in alive.items() if columns}
    if not alive:
        raise LakeError(f"库“{spec.name}”的来源数据集都还没有数据")
    plan = Plan(spec, alive, frozenset())
    pairs = {
        (s.dataset, plan.key_of(s))
        for f in spec.fields
        for s in f.sources
        if plan.key_of(s) in alive.get(s.dataset, {})
    }
    if not pairs:
        raise LakeError(f"库“{spec.name}”的来源里没有主键列“{spec.key}”")
    return Plan(spec, alive, frozenset(p for p in pairs if _single(con, *p)))


def _single(con: duckdb.DuckDBPyConnection, dataset: str, key: str) -> bool:
    """Whether the lake itself keeps one row per value of `key` in a dataset: every load that
    reached it merged by that key, none only appended."""
    row = con.execute(
        "SELECT count(*) FILTER (mode = 'append'), "
        "count(*) FILTER (mode IN ('full', 'incremental')), "
        "count(*) FILTER (mode IN ('full', 'incremental') "
        "AND json_extract_string(outcome, '$.key[0]') = ? "
        f"AND json_array_length(outcome, '$.key') = 1) FROM {LEDGER} WHERE dataset = ?",
        [key, dataset],
    ).fetchone()
    return row is not None and row[0] == 0 and row[1] > 0 and row[1] == row[2]


# ---------------------------------------------------------------- reading


def provenance(building: Golden, row: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Where each field of a golden row came from: dataset, batch and day (ISO), by field.

    `building` is the library's newest building: it knows the letters.
    """
    by_letter = {o["letter"]: o for o in building.origins}
    out = {}
    for name, letter in zip(building.names, str(row["_from"]), strict=True):
        if letter == NONE:
            continue
        origin = by_letter[letter]
        day = row.get(origin["date_column"])
        out[name] = {
            "dataset": str(origin["dataset"]),
            "batch": str(row.get(origin["batch_column"]) or ""),
            "date": day.isoformat() if day is not None else "",
        }
    return out


def conflicts(
    lake: Lake,
    name: str,
    *,
    dataset: str | None = None,
    field: str | None = None,
    entity: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Contradictions of a library: entity, field, values per source, the value chosen, the batch.

    Narrowed to those in which a dataset has a say, to one field or one entity, if given.
    """
    valid_name(name)
    with lake.connect(read_only=True) as con:
        building = last_building(con, name)
        if building is None or "_conflicts" not in table_columns(con, "library", name):
            return []
        key = quote(next(iter(table_columns(con, "library", name))))
        where, args = ["TRUE"], []
        for test, given in (
            ("json_exists(told, '$.' || ?)", dataset),
            ("field = ?", field),
            ("entity = ?", entity),
        ):
            if given:
                where.append(test)
                args.append(given)
        rows = con.execute(
            "SELECT entity, field, told, _from, _batch FROM (SELECT entity, field, _from, _batch, "
            "json_extract(_conflicts, '$.' || field) AS told FROM (SELECT "
            f"{key} AS entity, _from, _batch, _conflicts, unnest(json_keys(_conflicts)) AS field "
            f"FROM lake.library.{quote(name)} WHERE _conflicts IS NOT NULL) a) b "
            f"WHERE {' AND '.join(where)} ORDER BY entity, field "
            f"LIMIT {int(limit)} OFFSET {int(offset)}",
            args,
        ).fetchall()
    by_letter = {o["letter"]: str(o["dataset"]) for o in building.origins}
    out = []
    for row in rows:
        values = json.loads(row[2])
        letter = row[3][building.names.index(row[1])]
        out.append(
            {
                "entity": row[0],
                "field": row[1],
                "values": values,
                "chosen": values.get(by_letter[letter]),
                "batch": row[4],
            }
        )
    return out
