"""Gathering: a library that is a list: one row per source row, under common fields.

Licences by holder, facts by credit code, features on a map, and indicator series are no golden
records: every row stands for itself. A source maps its columns to the library's fields; points are
brought to one coordinate system; a source that corrects its values in place can keep each earlier
one as a vintage. A building from a list of batches gives what a building of everything gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb

from .link import Golden, build, region_counts
from .places import CGCS2000, SYSTEMS, to_cgcs2000
from .shelves import Column, Lake, LakeError, literal, quote, table_columns, valid_name

LAYOUT = 1
"""Version of a list's layout: another number makes every such library anew."""


@dataclass(frozen=True)
class Point:
    """Where a source's points stand: two columns and their coordinate system."""

    longitude: str
    latitude: str
    system: str = CGCS2000


@dataclass(frozen=True)
class RowSource:
    """A source of rows: a dataset and how its columns become the library's fields.

    `columns` maps fields to columns, `values` fields to constants. `where` keeps only rows whose
    column has one of the values. `key` are the dataset's own key columns. `date` says how old a row
    is (loading time without it). With `vintage` (a column) earlier states of a row that was changed
    in place stay as rows of their own, told apart by that column's value.
    """

    dataset: str
    key: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    point: Point | None = None
    date: str | None = None
    vintage: str | None = None


@dataclass(frozen=True)
class ListSpec:
    """A library that is a list: its fields with their storage types, and its sources.

    `kind` is the field by which rows are counted apart, `holder` the one they belong to, `region`
    the one whose first six digits name a county.
    """

    name: str
    fields: tuple[Column, ...]
    sources: tuple[RowSource, ...]
    kind: str = ""
    holder: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        valid_name(self.name)
        names = {f.name for f in self.fields}
        for one in self.fields:
            valid_name(one.name)
        for source in self.sources:
            valid_name(source.dataset)
            unknown = (set(source.columns) | set(source.values)) - names
            if unknown:
                raise LakeError(f"库“{self.name}”没有字段“{'、'.join(sorted(unknown))}”")
            if not source.key:
                raise LakeError(f"库“{self.name}”的来源“{source.dataset}”没有主键")
            if source.point and not {"longitude", "latitude"} <= names:
                raise LakeError(f"库“{self.name}”有坐标来源，但没有 longitude、latitude 字段")
            if source.point and source.point.system not in SYSTEMS:
                raise LakeError(f"坐标系“{source.point.system}”不认识")


def gather(lake: Lake, spec: ListSpec, batch: str, *, since: Sequence[str] | None = None) -> Golden:
    """Builds or refreshes a list in one transaction; see `lianyun.lake.link.golden`."""
    return build(lake, spec.name, lambda con: make_list(con, spec), batch, since)


@dataclass(frozen=True)
class ListPlan:
    """A list over the sources that exist; `columns` as in `lianyun.lake.link.Plan`."""

    spec: ListSpec
    columns: dict[str, dict[str, str]]
    changed: dict[str, dict[str, str]]
    key: str = "_id"
    scope: str = "_row"

    def sources(self) -> list[RowSource]:
        """The sources whose tables exist with their keys."""
        return [s for s in self.spec.sources if set(s.key) <= set(self.columns.get(s.dataset, {}))]

    def layout(self) -> list[Column]:
        """The list's columns: a row's mark, the fields, where the row came from."""
        return [
            Column("_id"),
            Column("_row"),
            *self.spec.fields,
            Column("_dataset"),
            Column("_batch_source"),
            Column("_date_source", "DATE"),
            Column("_batch"),
            Column("_updated_at", "TIMESTAMP"),
        ]

    def stamp(self) -> str:
        """A mark of the declaration and of the columns that it uses."""
        used = [
            (s.dataset, sorted((c, t) for c, t in self.columns[s.dataset].items()))
            for s in self.sources()
        ]
        told = [LAYOUT, asdict(self.spec), used]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]

    def row_of(self, source: RowSource) -> str:
        """SQL of a source row's mark: which source of the library, and its key there."""
        place = self.spec.sources.index(source)
        parts = " || '/' || ".join(f"CAST({quote(k)} AS VARCHAR)" for k in source.key)
        return f"'{place}/' || {parts}"

    def parts(self, con: duckdb.DuckDBPyConnection) -> int:
        """A list joins nothing: it streams in one go."""
        return 1

    def statement(self, touched: str, part: tuple[int, int] = (0, 1)) -> str:
        """SQL of the list's rows."""
        parts = [self._rows(source, touched) for source in self.sources()]
        return " UNION ALL ".join(parts)

    def _rows(self, source: RowSource, touched: str) -> str:
        have = self.columns[source.dataset]
        mark = self.row_of(source)
        tests = [f"{quote(k)} IS NOT NULL" for k in source.key]
        for column, wanted in source.where.items():
            listed = ", ".join(literal(str(v)) for v in wanted)
            tests.append(f"CAST({quote(column)} AS VARCHAR) IN ({listed})")
        if touched:
            tests.append(f"{mark} IN (SELECT k FROM {touched})")
        kept = ", ".join(quote(c) for c in have if not c.startswith("_"))
        where = " AND ".join(tests)
        table = f"lake.trusted.{quote(source.dataset)}"
        relation = (
            f"(SELECT {kept}, _batch, _loaded_at, {mark} AS _row, {mark} AS _id "
            f"FROM {table} WHERE {where}) t"
        )
        if source.vintage:
            relation = self._vintages(source, mark, where, kept)
        if source.point:
            x, y = (
                f"CAST({quote(c)} AS DOUBLE)"
                for c in (source.point.longitude, source.point.latitude)
            )
            relation = f"({to_cgcs2000(relation, x, y, source.point.system)}) p"
        picked = []
        for one in self.spec.fields:
            column = source.columns.get(one.name, "")
            if source.point and one.name in ("longitude", "latitude"):
                value = "round(_lon, 7)" if one.name == "longitude" else "round(_lat, 7)"
            elif column in have:
                value = quote(column)
                if have[column] == one.sql_type:
                    picked.append(f"{value} AS {quote(one.name)}")
                    continue
            elif one.name in source.values:
                value = literal(str(source.values[one.name]))
            else:
                value = "NULL"
            picked.append(f"TRY_CAST({value} AS {one.sql_type}) AS {quote(one.name)}")
        when = f"CAST({quote(source.date)} AS DATE)" if source.date in have else "NULL"
        return (
            f"SELECT _id, _row, {', '.join(picked)}, {literal(source.dataset)} AS _dataset, "
            f"_batch AS _batch_source, coalesce({when}, CAST(_loaded_at AS DATE)) AS _date_source "
            f"FROM {relation}"
        )

    def _vintages(self, source: RowSource, mark: str, where: str, kept: str) -> str:
        """SQL of a source's rows together with the earlier states of those that still stand."""
        vintage = f"CAST({quote(str(source.vintage))} AS VARCHAR)"
        past = self.changed.get(source.dataset, {})
        columns = [c for c in self.columns[source.dataset] if not c.startswith("_")]
        old = ", ".join(
            quote(c)
            if c in past
            else f"CAST(NULL AS {self.columns[source.dataset][c]}) AS {quote(c)}"
            for c in columns
        )
        trusted = f"lake.trusted.{quote(source.dataset)}"
        both = (
            f"SELECT {kept}, _batch, _loaded_at, _line, {mark} AS _row, 1 AS _standing "
            f"FROM {trusted} WHERE {where}"
        )
        if past:
            both += (
                f" UNION ALL SELECT {old}, _batch, _loaded_at, _line, {mark} AS _row, 0 AS _standing "
                f"FROM lake.changes.{quote(source.dataset)} WHERE {where} AND _op = 'update' "
                f"AND {mark} IN (SELECT {mark} FROM {trusted} WHERE {where})"
            )
        return (
            f"(SELECT *, _row || '@' || coalesce({vintage}, '') AS _id FROM (SELECT *, "
            f"row_number() OVER (PARTITION BY _row, {vintage} "
            "ORDER BY _standing DESC, _loaded_at DESC, _batch DESC, _line DESC) AS _turn "
            f"FROM ({both}) b) v WHERE _turn = 1) t"
        )

    def touching(self, con: duckdb.DuckDBPyConnection, batches: str) -> list[str]:
        """SQL of the marks of source rows that the batches brought or replaced."""
        parts = []
        for source in self.sources():
            mark = f"SELECT {self.row_of(source)} AS k FROM"
            parts.append(f"{mark} lake.trusted.{quote(source.dataset)} WHERE _batch IN ({batches})")
            if set(source.key) <= set(self.changed.get(source.dataset, {})):
                parts.append(
                    f"{mark} lake.changes.{quote(source.dataset)} WHERE _change_batch IN ({batches})"
                )
        return parts

    def survey(self, con: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
        """Rows, values per field and dataset, rows per kind, holders, each dataset's newest day."""
        names = [f.name for f in self.spec.fields]
        counts = ", ".join(f"count({quote(n)})" for n in names)
        fields: dict[str, dict[str, Any]] = {
            n: {"filled": 0, "sources": {}, "conflicts": 0} for n in names
        }
        entities, freshness = 0, {}
        for dataset, rows, day, *filled in con.execute(
            f"SELECT _dataset, count(*), CAST(max(_date_source) AS VARCHAR), {counts} "
            f"FROM {table} GROUP BY _dataset"
        ).fetchall():
            entities += rows
            freshness[dataset] = day
            for name, n in zip(names, filled, strict=True):
                if n:
                    fields[name]["filled"] += n
                    fields[name]["sources"][dataset] = n
        extra: dict[str, Any] = {"rows": {}}
        extra["rows"] = dict(
            con.execute(f"SELECT _dataset, count(*) FROM {table} GROUP BY _dataset").fetchall()
        )
        if self.spec.kind:
            kind = quote(self.spec.kind)
            extra["kinds"] = dict(
                con.execute(
                    f"SELECT {kind}, count(*) FROM {table} WHERE {kind} IS NOT NULL "
                    f"GROUP BY {kind} ORDER BY 2 DESC LIMIT 60"
                ).fetchall()
            )
        if self.spec.region:
            extra["regions"] = region_counts(con, table, self.spec.region)
        if self.spec.holder:
            row = con.execute(
                f"SELECT count(DISTINCT {quote(self.spec.holder)}) FROM {table}"
            ).fetchone()
            extra["holders"] = int(row[0]) if row else 0
        return {
            "entities": entities,
            "conflicts": 0,
            "fields": fields,
            "freshness": freshness,
            "extra": extra,
        }


def make_list(con: duckdb.DuckDBPyConnection, spec: ListSpec) -> ListPlan:
    """The list over the tables that exist; raises LakeError where none of them can feed it."""
    wanted = sorted({s.dataset for s in spec.sources})
    alive = {name: table_columns(con, "trusted", name) for name in wanted}
    changed = {name: table_columns(con, "changes", name) for name in wanted}
    plan = ListPlan(
        spec,
        {name: columns for name, columns in alive.items() if columns},
        {name: columns for name, columns in changed.items() if columns},
    )
    if not plan.sources():
        raise LakeError(f"库“{spec.name}”的来源数据集都还没有数据")
    return plan
