"""Adapter: the lake as libraries use it: merge, read one record, list conflicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.models import Element
from lianyun.lake import places
from lianyun.lake.gather import ListSpec, Point, RowSource, gather
from lianyun.lake.link import (
    FieldSource,
    Golden,
    LibraryField,
    LibrarySpec,
    conflicts,
    golden,
    last_building,
    provenance,
)
from lianyun.lake.shelves import Column, Lake, LakeError, quote, storage_type, table_columns

from . import rules


@cache
def _lake(catalogue: str, folder: str) -> Lake:
    return Lake(catalogue, folder)


def lake() -> Lake:
    """The lake that the settings name."""
    return _lake(settings.LAKE_CATALOGUE_URL, settings.LAKE)


@dataclass(frozen=True)
class Record:
    """One golden record: its values and where each came from."""

    values: dict[str, Any]
    origins: dict[str, dict[str, str]]
    conflicts: list[dict[str, Any]]


def merge(rule: rules.LibraryRule, code: str, since: Sequence[str] | None) -> Golden:
    """Build or refresh a library; raises UserError with what is wrong."""
    try:
        if rule.form == "golden":
            return golden(lake(), _golden(rule), code, since=since)
        systems = point_systems(rule)
        made = gather(lake(), _list(rule, systems), code, since=since)
    except LakeError as error:
        raise UserError(str(error)) from error
    if systems:
        made.extra["systems"] = systems
    if rule.form == "series":
        made.extra["series"] = series_of(rule)
    return made


def _golden(rule: rules.LibraryRule) -> LibrarySpec:
    return LibrarySpec(
        rule.name,
        rule.key,
        tuple(
            LibraryField(
                f.name,
                f.title,
                tuple(FieldSource(s.dataset, s.column, s.key, s.date) for s in f.sources),
                f.wins,
            )
            for f in rule.fields
        ),
        rule.region,
    )


def _list(rule: rules.LibraryRule, systems: dict[str, dict[str, Any]]) -> ListSpec:
    known = {e.code: (e.type, e.format) for e in Element.objects.all()}
    columns = []
    for one in rule.fields:
        type_, format_ = known.get(one.element, (one.type, one.format))
        columns.append(Column(one.name, storage_type(type_, format_)))
    return ListSpec(
        rule.name,
        tuple(columns),
        tuple(
            RowSource(
                r.dataset,
                r.key,
                r.columns,
                r.values,
                r.where,
                Point(*r.point, systems.get(r.dataset, {}).get("used") or places.CGCS2000)
                if r.point
                else None,
                r.date,
                r.vintage,
            )
            for r in rule.rows
        ),
        rule.kind,
        rule.holder,
        rule.region,
    )


def point_systems(rule: rules.LibraryRule) -> dict[str, dict[str, Any]]:
    """Per dataset with points: the declared system, the one its points look like, the one used.

    What a dataset declares is believed; one that declares nothing is judged by its points.
    """
    out: dict[str, dict[str, Any]] = {}
    wanted = [r for r in rule.rows if r.point]
    if not wanted:
        return out
    borders = county_borders()
    with lake().connect(read_only=True) as con:
        for one in wanted:
            assert one.point is not None
            columns = table_columns(con, "trusted", one.dataset)
            if not {*one.point, *([one.region] if one.region else [])} <= set(columns):
                continue
            verdict = places.Verdict(None, 0, {})
            if one.region and borders:
                verdict = places.likely_system(
                    con,
                    f"lake.trusted.{quote(one.dataset)}",
                    quote(one.point[0]),
                    quote(one.point[1]),
                    f"substr({quote(one.region)}, 1, 6)",
                    borders,
                )
            out[one.dataset] = {
                "declared": one.system,
                "likely": verdict.system or "",
                "points": verdict.points,
                "outside": verdict.outside,
                "used": one.system or verdict.system or places.CGCS2000,
            }
    return out


@cache
def county_borders() -> dict[str, list[list[list[float]]]]:
    """The counties' outer rings in CGCS2000 degrees, by code, from the core pack."""
    file = packs.packs_dir() / "core" / "geo" / "counties.geojson"
    if not file.exists():
        return {}
    out: dict[str, list[list[list[float]]]] = {}
    for feature in json.loads(file.read_text("utf-8"))["features"]:
        shape = feature["geometry"]
        parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        out[str(feature["properties"]["code"])] = [ring for part in parts for ring in part]
    return out


def record(rule: rules.LibraryRule, key: str) -> Record | None:
    """The golden record of a key, with the contradictions that stand about it."""
    with lake().connect(read_only=True) as con:
        building = last_building(con, rule.name)
        if building is None:
            return None
        table = f"lake.library.{quote(rule.name)}"
        cursor = con.execute(f"SELECT * FROM {table} WHERE {quote(rule.key)} = ? LIMIT 1", [key])
        names = [d[0] for d in cursor.description or ()]
        row = cursor.fetchone()
    if row is None:
        return None
    values = dict(zip(names, row, strict=True))
    origins = provenance(building, values)
    told = json.loads(values["_conflicts"] or "{}")
    return Record(
        {n: v for n, v in values.items() if not n.startswith("_")},
        origins,
        [
            {"field": f, "values": v, "chosen": v.get(origins.get(f, {}).get("dataset", ""))}
            for f, v in told.items()
        ],
    )


def rows_of(rule: rules.LibraryRule, holder: str, *, limit: int = 500) -> list[dict[str, Any]]:
    """A list's rows of one holder, the newest first, with ``_dataset`` and ``_date_source``."""
    with lake().connect(read_only=True) as con:
        if not table_columns(con, "library", rule.name):
            return []
        cursor = con.execute(
            f"SELECT * FROM lake.library.{quote(rule.name)} WHERE {quote(rule.holder)} = ? "
            f"ORDER BY _date_source DESC, _id LIMIT {int(limit)}",
            [holder],
        )
        names = [d[0] for d in cursor.description or ()]
        found = cursor.fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]


def series_of(rule: rules.LibraryRule, *, limit: int = 5000) -> list[list[Any]]:
    """Every vintage of the city's own series: code, name, region, unit, period, value, released.

    The columns are those that the declaration names in `series`, as plain data for JSON, ordered
    by series and period. Counties' series stay in the lake.
    """
    with lake().connect(read_only=True) as con:
        listed = ", ".join(
            f"CAST({quote(c)} AS DOUBLE)" if at == 5 else f"CAST({quote(c)} AS VARCHAR)"
            for at, c in enumerate(rule.series)
        )
        order = ", ".join(quote(rule.series[i]) for i in (0, 2, 4, 6))
        rows = con.execute(
            f"SELECT {listed} FROM lake.library.{quote(rule.name)} "
            f"WHERE {quote(rule.series[2])} LIKE '____00' AND {quote(rule.series[5])} IS NOT NULL "
            f"ORDER BY {order} LIMIT {int(limit)}"
        ).fetchall()
    return [list(row) for row in rows]


def quarrels(
    rule: rules.LibraryRule, *, dataset: str | None, field: str = "", offset: int, limit: int
) -> list[dict[str, Any]]:
    """Contradictions of a library: entity, field, title, values per dataset, the value chosen."""
    return conflicts(
        lake(), rule.name, dataset=dataset, field=field or None, offset=offset, limit=limit
    )
