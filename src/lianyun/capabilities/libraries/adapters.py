"""Adapter: the lake as libraries use it: merge, read one record, list conflicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from lianyun.kernel.access import UserError
from lianyun.lake.link import FieldSource, Golden, LibraryField, LibrarySpec, conflicts, golden
from lianyun.lake.shelves import Lake, LakeError, quote, table_columns

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
    spec = LibrarySpec(
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
    )
    try:
        return golden(lake(), spec, code, since=since)
    except LakeError as error:
        raise UserError(str(error)) from error


def record(rule: rules.LibraryRule, key: str) -> Record | None:
    """The golden record of a key, with the contradictions that stand about it."""
    with lake().connect(read_only=True) as con:
        if not table_columns(con, "library", rule.name):
            return None
        table = f"lake.library.{quote(rule.name)}"
        cursor = con.execute(f"SELECT * FROM {table} WHERE {quote(rule.key)} = ? LIMIT 1", [key])
        names = [d[0] for d in cursor.description or ()]
        row = cursor.fetchone()
        if row is None:
            return None
        values = dict(zip(names, row, strict=True))
        quarrels = con.execute(
            "SELECT field, title, per_source, chosen FROM "
            f"lake.library.{quote(rule.name + '__conflicts')} WHERE entity = ? ORDER BY field",
            [key],
        ).fetchall()
    origins = json.loads(values.get("_provenance") or "{}")
    return Record(
        {n: v for n, v in values.items() if not n.startswith("_")},
        {f: json.loads(o) if isinstance(o, str) else o for f, o in origins.items() if o},
        [{"field": f, "title": t, "values": json.loads(v), "chosen": c} for f, t, v, c in quarrels],
    )


def quarrels(
    rule: rules.LibraryRule, *, dataset: str | None, field: str = "", offset: int, limit: int
) -> list[dict[str, Any]]:
    """Contradictions of a library: entity, field, title, values per dataset, the value chosen."""
    found = conflicts(lake(), rule.name, dataset=dataset, offset=offset, limit=limit)
    return [c for c in found if not field or c["field"] == field]


def quarrel_counts(rule: rules.LibraryRule) -> dict[str, int]:
    """How many contradictions stand, by field."""
    with lake().connect(read_only=True) as con:
        if not table_columns(con, "library", rule.name + "__conflicts"):
            return {}
        table = f"lake.library.{quote(rule.name + '__conflicts')}"
        rows = con.execute(f"SELECT field, count(*) FROM {table} GROUP BY field").fetchall()
    return {str(f): int(n) for f, n in rows}


def origin_counts(rule: rules.LibraryRule) -> dict[str, dict[str, int]]:
    """How many values of each field came from which dataset."""
    with lake().connect(read_only=True) as con:
        if not table_columns(con, "library", rule.name):
            return {}
        parts = [
            f"json_extract_string(_provenance, '$.{f.name}.dataset') AS {quote(f.name)}"
            for f in rule.fields
        ]
        rows = con.execute(
            "SELECT field, dataset, count(*) FROM (UNPIVOT "
            f"(SELECT {', '.join(parts)} FROM lake.library.{quote(rule.name)}) "
            "ON COLUMNS(*) INTO NAME field VALUE dataset) GROUP BY ALL"
        ).fetchall()
    out: dict[str, dict[str, int]] = {}
    for field, dataset, n in rows:
        out.setdefault(str(field), {})[str(dataset)] = int(n)
    return out
