"""Packs: what they declare is complete, consistent and true to its formats."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from demo import city, tables
from demo.generate import items_of
from lianyun.kernel.element import ElementSpec, Format, citizen_number_ok, credit_code_ok

from .conftest import AS_OF

PACKS = city.PACKS
CYCLES = {"实时", "每日", "每周", "每旬", "每月", "每季度", "每年", "不定期"}


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@cache
def _specs() -> dict[str, dict[str, Any]]:
    return {
        s["name"]: s
        for s in (yaml.safe_load(f.read_text("utf-8")) for f in PACKS.glob("*/datasets/*.yaml"))
    }


@cache
def _elements() -> dict[str, dict[str, Any]]:
    return {e["code"]: e for e in yaml.safe_load((PACKS / "core/elements.yaml").read_text("utf-8"))}


@cache
def _codes(name: str) -> frozenset[str]:
    return frozenset(row["code"] for row in _csv(PACKS / "core/codes" / f"{name}.csv"))


def _spec(item: dict[str, Any]) -> ElementSpec:
    if "element" in item:
        return ElementSpec.of(_elements()[item["element"]])
    return ElementSpec(item["name"], item["title"], item["type"], item["format"])


def test_sixty_departments_have_valid_codes() -> None:
    rows = _csv(PACKS / "core/departments.csv")
    assert len(rows) == 60
    assert len({r["slug"] for r in rows}) == len({r["name"] for r in rows}) == 60
    for row in rows:
        assert credit_code_ok(row["code"]), row
        assert re.match(r"1[123]320700MN", row["code"]), row
        assert row["note"] == "模拟代码"


def test_elements_follow_the_grammar() -> None:
    elements = _elements()
    assert len(elements) >= 120
    assert len({e["identifier"] for e in elements.values()}) == len(elements)
    for entry in elements.values():
        spec = ElementSpec.of(entry)
        assert spec.definition
        if spec.domain:
            assert _codes(spec.domain)


def test_code_lists_are_named_and_dated() -> None:
    named = {row["name"] for row in yaml.safe_load((PACKS / "core/codes.yaml").read_text("utf-8"))}
    assert named == {f.stem for f in (PACKS / "core/codes").glob("*.csv")}
    for file in (PACKS / "core/codes").glob("*.csv"):
        rows = _csv(file)
        assert len({(r["code"], r["valid_from"]) for r in rows}) == len(rows), file.name
    retired = {
        (r["code"], r["name"], r["valid_to"][:4])
        for r in _csv(PACKS / "core/codes/divisions.csv")
        if r["valid_to"]
    }
    assert {
        ("320702", "新海区", "1986"), ("320704", "云台区", "2001"), ("320705", "新浦区", "2014"),
        ("320721", "赣榆县", "2014"), ("320822", "灌南县", "1996"), ("322128", "赣榆县", "1983"),
    } <= retired  # fmt: skip


def test_datasets_are_complete() -> None:
    specs = _specs()
    slugs = {r["slug"] for r in _csv(PACKS / "core/departments.csv")}
    classes = {r["code"] for r in _csv(PACKS / "core/classes.csv")}
    assert len(specs) >= 44
    codes = Counter((s["class"], s["serial"]) for s in specs.values())
    assert max(codes.values()) == 1
    for name, spec in specs.items():
        columns = [item["name"] for item in spec["items"]]
        assert len(columns) == len(set(columns)), name
        assert set(spec["key"]) <= set(columns), name
        for item in spec["items"]:
            # An item without an element states its own type and format.
            assert _spec(item).parsed, (name, item["name"])
        assert spec["provider"] in slugs
        assert spec["class"] in classes
        assert spec["cycle"] in CYCLES
        assert spec["contract"] in {"evolve", "discard_value", "freeze", "discard_row"}
        personal = any(_spec(i).check == "citizen_number" for i in spec["items"])
        assert spec["level"] >= (3 if personal else 1), name
        assert not (personal and spec["open"]["open"]), name
        if spec["share"]["type"] == 2:
            assert spec["share"]["conditions"]


def test_rules_are_valid_sql_over_the_declared_types() -> None:
    con = duckdb.connect()
    for name, spec in _specs().items():
        columns = ", ".join(f"{i.name} {i.sql}" for i in items_of(spec, _elements()))
        con.execute(f"CREATE TABLE {name} ({columns})")
        for rule in spec.get("rules", []):
            assert rule["severity"] in {"reject", "warn"}
            con.execute(f"SELECT count(*) FROM {name} WHERE NOT ({rule['sql']})")


@pytest.mark.parametrize(
    "library", ["population/libraries/population.yaml", "legal_entity/libraries/legal_entity.yaml"]
)
def test_libraries_point_at_real_columns(library: str) -> None:
    spec = yaml.safe_load((PACKS / library).read_text("utf-8"))
    for field in spec["fields"]:
        assert field["element"] in _elements()
        assert field["wins"] in {"authority", "latest"}
        for source in field["sources"]:
            columns = {i["name"] for i in _specs()[source["dataset"]]["items"]}
            assert {source["column"], spec["key"]} <= columns, source


def test_the_clean_city_keeps_every_declared_format_and_rule() -> None:
    """Before any fault is put in, no row of any department breaks its element or its rules."""
    con = city.connect(3, AS_OF)
    city.build(con, 800)
    con.execute(tables.SCHOOLS)
    for name, query in tables.queries().items():
        spec = _specs()[name]
        con.execute(f"CREATE TABLE t_{name} AS {query}")
        columns = [row[0] for row in con.execute(f"DESCRIBE t_{name}").fetchall()]
        assert columns == ["_k", *(i["name"] for i in spec["items"])], name
        for rule in spec.get("rules", []):
            bad = con.execute(f"SELECT count(*) FROM t_{name} WHERE NOT ({rule['sql']})").fetchone()
            assert bad == (0,), rule["code"]
        keys = ", ".join(spec["key"])
        twice = con.execute(f"SELECT count(*) - count(DISTINCT ({keys})) FROM t_{name}").fetchone()
        assert twice == (0,), name
        for item in spec["items"]:
            element = _spec(item)
            values = [
                v
                for (v,) in con.execute(f"SELECT DISTINCT {item['name']} FROM t_{name}").fetchall()
            ]
            if item.get("required"):
                assert None not in values, (name, item["name"])
            for value in values:
                if value is not None:
                    _conforms(element, value, f"{name}.{item['name']}")
    con.close()


def _conforms(element: ElementSpec, value: Any, where: str) -> None:
    text = str(value)
    if element.domain:
        assert text in _codes(element.domain), (where, text)
    if element.check == "citizen_number":
        assert citizen_number_ok(text), (where, text)
    if element.check == "credit_code":
        assert credit_code_ok(text), (where, text)
    if element.check == "region":
        assert text in _codes("divisions"), (where, text)
    if element.type in "CM":
        _fits(element.parsed, text, where)


def _fits(fmt: Format, text: str, where: str) -> None:
    if fmt.kind == "date":
        return
    assert len(text) >= fmt.minimum, (where, text)
    assert fmt.maximum is None or len(text) <= fmt.maximum, (where, text)
    if fmt.kind == "n":
        assert text.isdigit(), (where, text)
