"""Adapters: schemes and their tables from packs, facts of a family from the lake, the school register."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import psycopg

from lianyun.capabilities.collection import api as collection
from lianyun.decision import Model, load
from lianyun.kernel import packs
from lianyun.kernel.packs import declaration
from lianyun.kernel.path import Decision, current_decision
from lianyun.lake.shelves import LakeError, quote, table_columns

from .rules.points import DOWN, KNOWN, NONE, Known
from .rules.scheme import TAKES, Fact, Scheme, read

SCHOOLS = "jy_schools"
TYPES = {"primary": ("211", "218", "312", "345"), "junior": ("311", "312", "341", "345")}
"""Kinds of schools (GB/T 学校办学类型 as packs/core/codes/school_type.csv) that take each stage."""


@cache
def schemes() -> dict[str, Scheme]:
    """Every declared points table by its code; raises BadScheme."""
    return {d.name: read(d.data) for d in packs.declarations("enrolment")}


def declared(code: str) -> dict[str, Any]:
    """A points table as the pack has it."""
    return dict(packs.declaration("enrolment", code).data)


def newest_table(key: str) -> Decision | None:
    """The decision table in force."""
    return current_decision(key)


def table(key: str, version: int) -> Model | None:
    """The decision table in the version that a round was approved with."""
    found = Decision.objects.filter(key=key, version=version).first()
    return None if found is None else _loaded(found.dmn)


@cache
def _loaded(text: str) -> Model:
    return load(text)


@cache
def told(dataset: str) -> tuple[str, str]:
    """A dataset's title, and the slug of the department that keeps it."""
    data = declaration("datasets", dataset).data
    return str(data["title"]), str(data["provider"])


@cache
def short_name(slug: str) -> str:
    """A department's short name."""
    for row in packs.table("core", "departments.csv"):
        if row["slug"] == slug:
            return row.get("short") or row["name"]
    return slug


@dataclass(frozen=True)
class Family:
    """Whom to ask the registers about: any key of the caller's, and the two citizen numbers."""

    id: int
    guardian: str
    child: str


@dataclass(frozen=True)
class Look:
    """One source asked: about whom, how many facts it knew, how long it took (µs)."""

    source: str
    whose: tuple[str, ...]
    known: int
    micros: int
    failed: bool = False


def facts(
    scheme: Scheme, families: Sequence[Family], sources: Collection[str], day: dt.date
) -> tuple[dict[int, dict[str, Known]], list[Look]]:
    """What the registers say of families, by family and fact; only `sources` are asked.

    One statement a fact, however many families. A source that is not there or does not answer is
    told as such and stops nothing.
    """
    out: dict[int, dict[str, Known]] = {f.id: {} for f in families}
    looks: list[Look] = []
    by_source: dict[str, list[Fact]] = {}
    for fact in scheme.facts.values():
        if fact.source in sources:
            by_source.setdefault(fact.source, []).append(fact)
    for source, wanted in by_source.items():
        began, failed = time.perf_counter_ns(), False
        found: dict[str, dict[int, Known]] = {}
        try:
            with collection.lake().connect(read_only=True) as con:
                have = table_columns(con, "trusted", source)
                _pour(con, families)
                found = {f.name: _read(con, f, have, day) for f in wanted}
        except (duckdb.Error, LakeError, psycopg.Error, OSError):
            failed = True
        known = 0
        for fact in wanted:
            how = DOWN if failed else NONE
            nothing = Known(fact.name, how=how, source=_words(source))
            for family in families:
                told = found.get(fact.name, {}).get(family.id, nothing)
                out[family.id][fact.name] = told
                known += told.how == KNOWN
        took = (time.perf_counter_ns() - began) // 1000
        looks.append(Look(source, tuple(sorted({f.whose for f in wanted})), known, took, failed))
    return out, looks


def _words(source: str) -> str:
    title, provider = told(source)
    return f"{short_name(provider)} {title}"


def _pour(con: duckdb.DuckDBPyConnection, families: Sequence[Family]) -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE asked AS SELECT unnest(?::BIGINT[]) AS id,"
        " unnest(?::VARCHAR[]) AS guardian, unnest(?::VARCHAR[]) AS child",
        [[f.id for f in families], [f.guardian for f in families], [f.child for f in families]],
    )


def _read(
    con: duckdb.DuckDBPyConnection, fact: Fact, have: Mapping[str, str], day: dt.date
) -> dict[int, Known]:
    """One fact of all who are asked about; its day is the newest that its rows were brought up to date.

    Raises LakeError where the register is not there or lacks a column.
    """
    used = {fact.key, fact.column, *fact.where, *([fact.valid] if fact.valid else [])}
    if not have or not used <= set(have):
        raise LakeError(f"{fact.source} 没有 {fact.column}")
    tests = [f"CAST(s.{quote(fact.key)} AS VARCHAR) = a.{fact.whose}"]
    values: list[Any] = []
    for column, allowed in fact.where.items():
        tests.append(f"CAST(s.{quote(column)} AS VARCHAR) IN ({', '.join('?' * len(allowed))})")
        values += allowed
    if fact.valid:
        tests.append(f"TRY_CAST(s.{quote(fact.valid)} AS DATE) >= ?")
        values.append(day)
    fresh = "update_time" if "update_time" in have else "_loaded_at"
    taken = TAKES[fact.take].format(c=f"s.{quote(fact.column)}")
    rows = con.execute(
        f"SELECT a.id, {taken}, max(CAST(s.{quote(fresh)} AS VARCHAR)) FROM asked a"
        f" JOIN lake.trusted.{quote(fact.source)} s ON {' AND '.join(tests)} GROUP BY a.id",
        values,
    ).fetchall()
    source = _words(fact.source)
    return {
        int(who): Known(fact.name, _plain(value), KNOWN, source, str(on or "")[:10])
        for who, value, on in rows
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):  # a moment is a date as well
        return value.isoformat()[:10]
    if value is None or isinstance(value, str | int | float):
        return value
    return float(value)


@dataclass(frozen=True)
class Listed:
    """A school of the register."""

    code: str
    name: str
    town: str
    region: str


def registered(stage: str, region: str = "") -> list[Listed]:
    """Schools of the register that take children of a stage, by name; empty where it does not answer."""
    kinds = TYPES.get(stage, ())
    try:
        with collection.lake().connect(read_only=True) as con:
            if not table_columns(con, "trusted", SCHOOLS):
                return []
            rows = con.execute(
                "SELECT school_code, school_name, coalesce(town_code, ''), coalesce(region_code, '')"
                f" FROM lake.trusted.{SCHOOLS} WHERE school_type IN"
                f" ({', '.join('?' * len(kinds))}) AND (? = '' OR region_code = ?)"
                " ORDER BY school_name, school_code",
                [*kinds, region, region],
            ).fetchall()
    except (duckdb.Error, LakeError, psycopg.Error, OSError):
        return []
    return [Listed(*map(str, row)) for row in rows]


__all__ = [
    "Family",
    "Listed",
    "Look",
    "declared",
    "facts",
    "newest_table",
    "registered",
    "schemes",
    "short_name",
    "table",
    "told",
]
