"""Sample city: the same every time, as large as the city said, and as wrong as it says itself."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import psycopg
import pytest

from demo.sources import SOURCES
from lianyun.kernel.element import citizen_number_ok, credit_code_ok

from .conftest import AS_OF, Sample


def _fault(sample: Sample, dataset: str, kind: str) -> int:
    return sum(f["count"] for f in sample.truth["datasets"][dataset]["faults"] if f["kind"] == kind)


def _table(sample: Sample, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with psycopg.connect(sample.dsn) as db:
        return db.execute(f"SELECT {columns} FROM {name}").fetchall()


def _lines(sample: Sample, place: str) -> list[bytes]:
    return (sample.folder / place).read_bytes().split(b"\r\n")[1:-1]


def _content(path: Path) -> str:
    """A digest of what a file says; a workbook is a zip with times in it, so its cells count."""
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path, read_only=True)
        cells = [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book]
        return hashlib.sha256(repr(cells).encode()).hexdigest()
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as db:
            return hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()
    if path.name == "sources.json":
        told = [{**s, "location": ""} for s in json.loads(path.read_text("utf-8"))]
        return hashlib.sha256(repr(told).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _everything(sample: Sample) -> dict[str, str]:
    found = {
        str(p.relative_to(sample.folder)): _content(p)
        for p in sorted(sample.folder.rglob("*"))
        if p.is_file()
    }
    for name, source in SOURCES.items():
        if source.kind == "postgresql":
            rows = _table(sample, f"{source.place}.{source.table}")
            found[name] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


@pytest.mark.slow
def test_same_arguments_give_the_same_city(
    sample: Sample, make_city: Callable[..., Sample]
) -> None:
    assert _everything(make_city("again")) == _everything(sample)


def test_catalogue_has_the_published_size(sample: Sample) -> None:
    book = openpyxl.load_workbook(sample.folder / "catalogue.xlsx", read_only=True)
    resources = list(book["资源"].iter_rows(min_row=2, values_only=True))
    items = list(book["信息项"].iter_rows(min_row=2, values_only=True))
    assert len(resources) == 1071
    assert len(items) == 12492
    assert len({r[2] for r in resources}) == 60
    codes = {r[0] for r in resources}
    assert len(codes) == 1071
    assert {i[0] for i in items} == codes
    assert len({(r[3], r[1]) for r in resources}) == 1071
    assert {r[16] for r in resources if r[16]} <= codes
    assert all(r[8] for r in resources if r[7] != "无条件共享"), (
        "conditions or reason are obligatory"
    )
    assert all(r[9] for r in resources)


def test_sources_are_where_they_are_said_to_be(sample: Sample) -> None:
    listing = json.loads((sample.folder / "sources.json").read_text("utf-8"))
    assert len(listing) >= 44
    assert {s["kind"] for s in listing} == {
        "postgresql",
        "sqlite",
        "csv",
        "excel",
        "jsonl",
        "parquet",
    }
    for source in listing:
        if source["kind"] == "postgresql":
            assert len(_table(sample, source["table"], "1")) == source["rows"]
        else:
            assert (sample.folder / source["location"]).exists()
    dead = sample.folder / SOURCES["kj_high_tech"].place
    age = (AS_OF.toordinal() - 719163) * 86400 - os.stat(dead).st_mtime
    assert age > 700 * 86400
    assert sample.truth["dead"] == ["kj_high_tech"]


def test_wrong_citizen_numbers_are_counted(sample: Sample) -> None:
    for dataset, table in (
        ("rs_insured", "src_rs.t_insured"),
        ("ga_residents", "src_ga.t_residents"),
    ):
        numbers = [n for (n,) in _table(sample, table, "citizen_number")]
        wrong = [n for n in numbers if not citizen_number_ok(n)]
        legacy = [n for n in wrong if len(n) == 15]
        assert len(legacy) == _fault(sample, dataset, "fifteen_digits")
        assert len(wrong) - len(legacy) == _fault(sample, dataset, "wrong_check_digit")


def test_wrong_credit_codes_are_counted(sample: Sample) -> None:
    codes = [c for (c,) in _table(sample, "src_scjg.t_enterprises", "credit_code")]
    wrong = [c for c in codes if not credit_code_ok(c)]
    expected = _fault(sample, "scjg_enterprises", "wrong_credit_check") + _fault(
        sample, "scjg_enterprises", "legacy_registration"
    )
    assert len(wrong) == expected > 0


def test_whoever_heads_an_institution_is_named_by_number(sample: Sample) -> None:
    """Institutions, social organisations and co-operatives: their heads can be found as people."""
    rows = _table(
        sample,
        "src_scjg.t_credit_codes",
        "credit_code, entity_name, legal_representative, legal_rep_number",
    )
    assert {code[:1] for code, *_ in rows} == {"1", "5", "9"}
    assert all(credit_code_ok(row[0]) and citizen_number_ok(row[3]) for row in rows)
    with sqlite3.connect(sample.folder / "minzheng.sqlite") as db:
        told = dict(db.execute("SELECT entity_name, legal_representative FROM social_orgs"))
    heads = {name: head for _, name, head, _ in rows}
    assert told
    assert all(heads[name] == head for name, head in told.items())


def test_duplicates_and_missing_values_are_counted(sample: Sample) -> None:
    rows = _table(sample, "src_ga.t_residents", "citizen_number, name")
    assert (
        len(rows) - len({r[0] for r in rows})
        == sample.truth["datasets"]["ga_residents"]["duplicates"]
        > 0
    )
    assert sum(r[1] is None for r in rows) == _fault(sample, "ga_residents", "missing_required")


def test_impossible_dates_stand_in_the_register_of_marriages(sample: Sample) -> None:
    with sqlite3.connect(sample.folder / "minzheng.sqlite") as db:
        dates = [d for (d,) in db.execute("SELECT registered_on FROM marriages")]
    assert (
        sum(d.endswith("-02-30") for d in dates)
        == _fault(sample, "mz_marriages", "impossible_date")
        > 0
    )


def test_files_are_broken_as_often_as_told(sample: Sample) -> None:
    lines = _lines(sample, SOURCES["cl_disabled"].place)
    truth = sample.truth["datasets"]["cl_disabled"]
    empty = [x for x in lines if not x.strip(b",")]
    broken = [x for x in lines if b"\xff" in x]
    for line in set(lines) - set(broken):
        line.decode("gb18030")
    fields = [
        len(next(csv.reader([x.decode("gb18030", "replace")]))) for x in lines if x.strip(b",")
    ]
    usual = max(set(fields), key=fields.count)
    assert len(empty) == truth["empty_rows"] + truth["blank_lines"] > 0
    assert len(broken) == _fault(sample, "cl_disabled", "broken_bytes") > 0
    assert (
        sum(n == usual + 1 for n in fields) == _fault(sample, "cl_disabled", "shifted_columns") > 0
    )
    assert len(lines) - len(empty) == truth["rows"]


def test_json_lines_and_parquet_can_be_read_back(sample: Sample) -> None:
    lines = (sample.folder / SOURCES["wj_births"].place).read_text("utf-8").splitlines()
    broken = 0
    for line in lines:
        try:
            json.loads(line)
        except json.JSONDecodeError:
            broken += 1
    assert broken == _fault(sample, "wj_births", "broken_json") > 0
    path = sample.folder / SOURCES["wj_visits"].place
    wrong = duckdb.sql(
        f"SELECT count(*) FROM '{path}' WHERE fund_paid + self_paid <> total_fee"
    ).fetchone()
    assert wrong == (_fault(sample, "wj_visits", "fee_mismatch"),)


def test_workbook_has_a_merged_title_and_a_header_of_two_lines(sample: Sample) -> None:
    book = openpyxl.load_workbook(sample.folder / SOURCES["jy_schools"].place)
    sheet = book["学校"]
    assert "A1:" in str(sheet.merged_cells)
    assert sheet["A4"].value == "学校标识码"
    truth = sample.truth["datasets"]["jy_schools"]
    assert sheet.max_row == 4 + truth["rows"] + truth["blank_lines"] + truth["footer_rows"]


def test_utf16_file_reads(sample: Sample) -> None:
    text = (sample.folder / SOURCES["rs_skills"].place).read_bytes().decode("utf-16")
    assert text.startswith("证书编号\t公民身份号码")


def test_departments_disagree_as_told(sample: Sample) -> None:
    cross = sample.truth["cross"]
    police = {
        n: (a, b)
        for n, a, b in _table(
            sample, "src_ga.t_residents", "citizen_number, name, registered_address"
        )
    }
    insured = {
        n: (a, b)
        for n, a, b in _table(sample, "src_rs.t_insured", "citizen_number, name, residence_address")
    }
    both = {n for n in police.keys() & insured.keys() if citizen_number_ok(n) and police[n][0]}
    tidy = str.maketrans("", "", " 　")
    names = sum(police[n][0].translate(tidy) != insured[n][0].translate(tidy) for n in both)
    stale = sum(police[n][1] != insured[n][1] for n in both)
    assert names == cross["name_differs_police_insurance"] > 0
    assert abs(stale - cross["stale_address_insurance"]) <= 1
    assert stale > 0


def test_next_day_changes_the_same_sources(
    sample: Sample, make_city: Callable[..., Sample]
) -> None:
    fresh = make_city("fourth")
    before = {
        n: (a, t)
        for n, a, t in _table(fresh, "src_yb.t_insured", "citizen_number, phone, update_time")
    }
    old = (fresh.folder / SOURCES["kj_high_tech"].place).read_bytes()
    after_truth = make_city("fourth", day=2, into=fresh).truth
    after = {
        n: (a, t)
        for n, a, t in _table(fresh, "src_yb.t_insured", "citizen_number, phone, update_time")
    }
    changes = after_truth["datasets"]["yb_insured"]["changes"]
    assert len(after.keys() - before.keys()) == changes["inserts"] > 0
    assert len(before.keys() - after.keys()) == changes["deletes"] > 0
    changed = [n for n in after.keys() & before.keys() if after[n] != before[n]]
    assert len(changed) == changes["updates"] > 0
    assert all(after[n][1].date() == AS_OF for n in changed)
    assert (fresh.folder / SOURCES["kj_high_tech"].place).read_bytes() == old
    assert after_truth["datasets"]["ga_floating"]["changes"]["deletes"] == 0
    assert (fresh.folder / "truth-day2.json").exists()


@pytest.mark.parametrize("mark", ["模拟"])
def test_everything_says_that_it_is_simulated(sample: Sample, mark: str) -> None:
    assert mark in sample.truth["note"]
    with psycopg.connect(sample.dsn) as db:
        told = db.execute("SELECT obj_description('src_ga.t_residents'::regclass)").fetchone()
    assert told is not None
    assert mark in told[0]
