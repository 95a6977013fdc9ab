"""Generate: one run of the sample city, from its people to the sources, the catalogue and the truth."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import yaml

from . import city, comparison, dirt, libraries, linkage, observations, sources, tables
from .catalogue import write_catalogue
from .city import count
from .sources import Item, Writer

Progress = Callable[[float, str], None]
# What an officer may have changed in a row, the first that the dataset has.
MUTABLE = {
    "phone": "phone(_k, 'day' || {day})",
    "residence_address": "'江苏省连云港市海州区新浦街道' || road(_k, 'day' || {day}) || n(_k, 'dayn' || {day}, 1, 288)::VARCHAR || '号'",
    "business_address": "'江苏省连云港市连云区墟沟街道' || road(_k, 'day' || {day}) || n(_k, 'dayn' || {day}, 1, 288)::VARCHAR || '号'",
    "bank_account": "bank(_k, 'day' || {day})",
    "address": "'江苏省连云港市赣榆区青口镇' || road(_k, 'day' || {day}) || n(_k, 'dayn' || {day}, 1, 288)::VARCHAR || '号'",
    "remark": "'第' || {day}::VARCHAR || '日更正'",
}
LAST_DAY = 7
comparison.register()
linkage.register()
libraries.register()
observations.register()


def specs() -> dict[str, dict[str, Any]]:
    """The packs' dataset declarations by name, in the order of the packs."""
    files = sorted(city.PACKS.glob("*/datasets/*.yaml"))
    found = (yaml.safe_load(file.read_text("utf-8")) for file in files)
    return {spec["name"]: spec for spec in found}


def elements() -> dict[str, dict[str, Any]]:
    """The core data elements by code."""
    rows = yaml.safe_load((city.PACKS / "core" / "elements.yaml").read_text("utf-8"))
    return {row["code"]: row for row in rows}


def items_of(spec: dict[str, Any], known: dict[str, dict[str, Any]]) -> list[Item]:
    """The columns of a dataset with their storage types (see the packs' contract)."""
    items = []
    for item in spec["items"]:
        element = known.get(item.get("element", ""), item)
        kind, fmt = element["type"], element["format"]
        decimals = re.search(r"(\d+),(\d+)", fmt)
        sql = {"D": "DATE", "T": "TIMESTAMP", "L": "BOOLEAN", "B": "DOUBLE", "F": "DOUBLE"}.get(
            kind, "VARCHAR"
        )
        if kind in "NYI":
            sql = f"DECIMAL({decimals[1]},{decimals[2]})" if decimals else "BIGINT"
        items.append(Item(item["name"], item["title"], kind, sql))
    return items


def _stage(
    con: duckdb.DuckDBPyConnection, name: str, query: str, items: list[Item], day: int
) -> tuple[str, dict[str, int]]:
    """Build the table of one dataset as it stands on `day`, all items as text, spoiled; count changes."""
    source = sources.SOURCES[name]
    still = source.supplied > 0 or source.calm
    append_only = source.mode == "incremental"
    text = ", ".join(
        f"strftime({i.name}, '%Y-%m-%d %H:%M:%S') AS {i.name}" if i.type == "T"
        else f"strftime({i.name}, '%Y-%m-%d') AS {i.name}" if i.type == "D"
        else f"{i.name}::VARCHAR AS {i.name}"
        for i in items
    )  # fmt: skip
    draw = f"u(_k, 'event{name}')"
    # One draw tells a row's fate: it comes later, it goes, it is changed on day 2, 3, …, 7.
    event = "NULL::VARCHAR" if still else (
        f"CASE WHEN {draw} < .036 THEN 'insert' || (2 + floor({draw} / .006))::INTEGER::VARCHAR "
        + ("" if append_only else f"WHEN {draw} BETWEEN .5 AND .512 THEN 'delete' || least(2 + floor(({draw} - .5) / .002), 7)::INTEGER::VARCHAR ")
        + f"WHEN {draw} BETWEEN .7 AND .76 THEN 'update' || least(2 + floor(({draw} - .7) / .01), 7)::INTEGER::VARCHAR END"
    )  # fmt: skip
    con.execute(
        f"CREATE OR REPLACE TABLE stage AS SELECT row_number() OVER (ORDER BY _k) AS _n, _k, NULL::VARCHAR AS _kind, {event} AS _event, {text} "
        f"FROM ({query}) ORDER BY _n"
    )
    dirt.soil(con, name, "stage")
    columns = [i.name for i in items]
    stamped = "update_time" in columns
    mutable = next((c for c in MUTABLE if c in columns), None)
    changes = {"inserts": 0, "updates": 0, "deletes": 0}
    for then in range(2, day + 1):
        stamp = f"strftime(today()::TIMESTAMP + to_days({then - 2}) + to_seconds(n(_k, 'stamp', 32400, 63000)), '%Y-%m-%d %H:%M:%S')"
        sets = [f"update_time = {stamp}"] if stamped else []
        inserted = count(con, f"SELECT count(*) FROM stage WHERE _event = 'insert{then}'")
        if sets:
            con.execute(f"UPDATE stage SET {sets[0]} WHERE _event = 'insert{then}'")
        updated = 0
        if mutable:
            changed = MUTABLE[mutable].format(day=f"'{then}'")
            sets.append(f"{mutable} = {changed}")
            con.execute(f"UPDATE stage SET {', '.join(sets)} WHERE _event = 'update{then}'")
            updated = count(con, f"SELECT count(*) FROM stage WHERE _event = 'update{then}'")
        if then == day:
            deleted = count(con, f"SELECT count(*) FROM stage WHERE _event = 'delete{then}'")
            changes = {"inserts": inserted, "updates": updated, "deletes": deleted}
    hidden = [f"'insert{d}'" for d in range(day + 1, LAST_DAY + 2)] + [
        f"'delete{d}'" for d in range(2, day + 1)
    ]
    con.execute(f"DELETE FROM stage WHERE _event IN ({', '.join(hidden)})")
    return "stage", changes


def _duplicate(con: duckdb.DuckDBPyConnection, name: str, items: list[Item]) -> int:
    """Give a known share of clean rows a second, newer copy under the same key."""
    rate = dirt.DUPLICATES.get(name)
    if not rate:
        return 0
    wanted = max(1, round(count(con, "SELECT count(*) FROM stage") * rate))
    columns = ", ".join(i.name for i in items)
    values = ", ".join(
        f"strftime({i.name}::TIMESTAMP + to_minutes(5), '%Y-%m-%d %H:%M:%S')" if i.name == "update_time" else i.name
        for i in items
    )  # fmt: skip
    con.execute(
        f"INSERT INTO stage (_n, _k, _kind, _event, {columns}) SELECT _n + 0, _k, 'duplicate', NULL, {values} FROM stage "
        f"WHERE _kind IS NULL AND _event IS NULL ORDER BY u(_k, 'dup{name}'), _n LIMIT {wanted}"
    )
    con.execute(
        "CREATE OR REPLACE TABLE stage AS SELECT row_number() OVER (ORDER BY _n, _kind NULLS FIRST) AS _n, * EXCLUDE (_n) FROM stage ORDER BY 1"
    )
    return count(con, "SELECT count(*) FROM stage WHERE _kind = 'duplicate'")


def _dataset_truth(
    con: duckdb.DuckDBPyConnection, name: str, spec: dict[str, Any]
) -> dict[str, Any]:
    counts = dict(
        con.execute(
            "SELECT _kind, count(*) FROM stage WHERE _kind IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    faults = []
    for index, fault in enumerate(dirt.FAULTS.get(name, [])):
        found = counts.get(str(index), 0)
        faults.append(
            {
                "kind": fault.kind,
                "title": fault.title,
                "column": fault.column or None,
                "count": found,
                "rate": fault.rate,
                "verdict": fault.verdict,
            }
        )
    return {
        "rows": count(con, "SELECT count(*) FROM stage"),
        "duplicates": counts.get("duplicate", 0),
        "faults": faults,
        "to_reject": sum(f["count"] for f in faults if f["verdict"] == dirt.REJECT),
        "to_warn": sum(f["count"] for f in faults if f["verdict"] == dirt.WARN),
    }  # fmt: skip


def _expected(found: dict[str, Any], items: list[Item], source: sources.Source) -> dict[str, int]:
    """What a careful loader lands and rejects of a first full load.

    Lines with nothing on them are no rows; lines of delimiters and footers are rows that cannot be
    used. Two rows of one key that differ are both refused unless a watermark tells the newer one.
    """
    junk = found.get("empty_rows", 0) + found.get("footer_rows", 0)
    differ = source.mode == "full" and any(i.name == "update_time" for i in items)
    structural = sum(f["count"] for f in found["faults"] if f["verdict"] == dirt.STRUCTURE)
    unclear = 2 * found["duplicates"] if differ else 0
    return {
        "landed": found["rows"] + junk,
        "rejected": found["to_reject"] + structural + junk + unclear,
    }


def _cross_truth(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What can be seen only between departments; clean rows of kept copies are compared."""
    one = lambda sql: count(con, sql)  # noqa: E731
    return {
        "name_differs_police_insurance": one("SELECT count(*) FROM keep_ga_residents a JOIN keep_rs_insured b USING (citizen_number) WHERE trim(replace(a.name, '　', ' ')) <> trim(replace(b.name, '　', ' '))"),
        "name_differs_police_medical": one("SELECT count(*) FROM keep_ga_residents a JOIN keep_yb_insured b USING (citizen_number) WHERE trim(replace(a.name, '　', ' ')) <> trim(replace(b.name, '　', ' '))"),
        "stale_address_insurance": one("SELECT count(*) FROM keep_ga_residents a JOIN keep_rs_insured b USING (citizen_number) WHERE a.registered_address <> b.residence_address"),
        "moved_people": one("SELECT count(*) FROM person WHERE moved"),
        "dead_people": one("SELECT count(*) FROM person WHERE dead"),
        "dead_but_registered": one("SELECT count(*) FROM keep_ga_residents a JOIN person p ON p.id = a.citizen_number WHERE p.dead"),
        "dead_but_pension_insured": one("SELECT count(*) FROM keep_rs_insured a JOIN person p ON p.id = a.citizen_number WHERE p.dead"),
        "population_distinct_true_numbers": one("SELECT count(*) FROM person WHERE id IN (SELECT citizen_number FROM keep_ga_residents) OR id IN (SELECT citizen_number FROM keep_ga_floating) OR id IN (SELECT citizen_number FROM keep_rs_insured) OR id IN (SELECT citizen_number FROM keep_yb_insured)"),
    }  # fmt: skip


KEPT = {
    "ga_residents": "citizen_number, name, registered_address",
    "ga_floating": "citizen_number",
    "rs_insured": "citizen_number, name, residence_address",
    "yb_insured": "citizen_number, name",
}


def generate(
    people: int, seed: int, out: Path, dsn: str, as_of: dt.date, day: int, progress: Progress
) -> dict[str, Any]:
    """Write all sources, sources.json, truth.json and, on day 1, catalogue.xlsx; return the truth.

    people: inhabitants. day: 1 is the first delivery; 2 to 7 write the same sources as they stand
    that many working days on. The same arguments give the same content.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress(0.0, "生成人口、家庭和单位")
    con = city.connect(seed, as_of)
    city.build(con, people)
    con.execute(tables.SCHOOLS)
    comparison.build(con, people)
    linkage.build(con)
    libraries.build(con)
    observations.build(con, people)
    declared, known = specs(), elements()
    queries = {}
    for of in (tables, comparison, linkage, libraries, observations):
        queries |= of.queries()
    writer = Writer(con, out, dsn, as_of, fresh=day == 1)
    listing: list[dict[str, Any]] = []
    truth: dict[str, Any] = {
        "note": sources.MARK, "people": people, "seed": seed, "as_of": as_of.isoformat(), "day": day,
        "late": sorted(n for n, s in sources.SOURCES.items() if 0 < s.supplied < 700),
        "dead": sorted(n for n, s in sources.SOURCES.items() if s.supplied >= 700), "datasets": {},
    }  # fmt: skip
    for index, (name, query) in enumerate(queries.items()):
        spec = declared[name]
        progress(0.2 + 0.7 * index / len(queries), f"写入 {spec['title']}")
        items = items_of(spec, known)
        table, changes = _stage(con, name, query, items, day)
        if name in KEPT:
            con.execute(
                f"CREATE TABLE keep_{name} AS SELECT DISTINCT {KEPT[name]} FROM stage WHERE citizen_number IN (SELECT id FROM person)"
            )
        comparison.keep(con, name)
        _duplicate(con, name, items)
        found = _dataset_truth(con, name, spec)
        found |= writer.write(name, spec["title"], items, table)
        found["expected"] = _expected(found, items, sources.SOURCES[name])
        if day > 1:
            found["changes"] = changes
        truth["datasets"][name] = found
        listing.append(
            sources.entry(name, spec["title"], spec["provider"], dsn, as_of, found["rows"])
        )
    truth["cross"] = _cross_truth(con)
    truth["comparison"] = comparison.truth(con)
    truth["linkage"] = linkage.truth(con)
    truth["rows"] = sum(d["rows"] for d in truth["datasets"].values())
    (out / "sources.json").write_text(json.dumps(listing, ensure_ascii=False, indent=1), "utf-8")
    name = "truth.json" if day == 1 else f"truth-day{day}.json"
    (out / name).write_text(
        json.dumps(truth, ensure_ascii=False, indent=1, sort_keys=True), "utf-8"
    )
    if day == 1:
        progress(0.92, "编写政务数据目录")
        truth["catalogue"] = write_catalogue(out / "catalogue.xlsx", as_of)
    con.close()
    progress(1.0, "完成")
    return truth
