"""Comparison: what is found, what is held back, and what becomes of a finding from day to day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest
import sqlglot

from lianyun.lake import compare as comparing
from lianyun.lake.check import ItemCheck
from lianyun.lake.compare import Compared, Rule, Side, compare, evidence, identities
from lianyun.lake.land import from_rows
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake, LakeError

PAID = DatasetSpec(
    "paid",
    (
        ItemCheck("id", "号码"),
        ItemCheck("name", "姓名"),
        ItemCheck("amount", "金额", "Y", "n..10,2"),
        ItemCheck("month", "月份"),
        ItemCheck("day", "日期", "D"),
    ),
)
TOLD = replace(PAID, name="told")
Row = tuple[str, str, str, str, str]


def put(lake: Lake, spec: DatasetSpec, batch: str, *rows: Row) -> None:
    titles = [item.title for item in spec.items]
    load(lake, spec, from_rows(titles, list(enumerate(rows, 2))), "full", batch, allow_shrink=True)


def side(dataset: str, **more: Any) -> Side:
    return Side(dataset, ("id",), amount="amount", date="day", name="name", show=("month",), **more)


def rule(kind: str, **more: Any) -> Rule:
    return Rule("r", kind, side("paid"), side("told"), **more)


def by_month(kind: str, **more: Any) -> Rule:
    left, right = side("paid", period="month"), side("told", period="month")
    return Rule("r", kind, left, right, **more)


def test_missing_on_one_side(lake: Lake) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "10", "202601", "2026-01-02"),
        ("1", "甲", "5", "202602", "2026-02-02"),
        ("2", "乙", "7", "202601", "2026-01-02"),
    )
    put(lake, TOLD, "b1", ("2", "乙", "7", "202601", "2026-01-02"))
    made = compare(lake, rule("missing"), "c1")
    assert (made.found, made.fresh, made.amount) == (1, 1, 15.0)
    ((key, _, standing, doubt, amount),) = identities(lake, "r")
    assert (key, standing, doubt, amount) == ("1", "found", "", 15.0)
    told = next(iter(evidence(lake, "r", [_id(lake)]).values()))
    assert told["left_evidence"] == {
        "month": "202602",
        "_since": "2026-01-02",
        "_until": "2026-02-02",
    }
    assert told["left_rows"] == 2
    assert told["confidence"] == 1.0


def _id(lake: Lake) -> str:
    with lake.connect(read_only=True) as con:
        row = con.execute("SELECT id FROM lake.findings.r").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("direction", "expected"), [("over", {"1"}), ("under", {"2"}), ("both", {"1", "2"})]
)
def test_sums_differ_beyond_both_tolerances(lake: Lake, direction: str, expected: set[str]) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "50", "202601", ""),
        ("1", "甲", "70", "202601", ""),
        ("2", "乙", "40", "202601", ""),
        ("3", "丙", "100", "202601", ""),
        ("4", "丁", "5", "202601", ""),
    )
    put(
        lake,
        TOLD,
        "b1",
        ("1", "甲", "80", "202601", ""),
        ("2", "乙", "80", "202601", ""),
        ("3", "丙", "90", "202601", ""),
        ("4", "丁", "1", "202601", ""),
    )
    one = by_month("differs", direction=direction, absolute=10, relative=0.2, amount="difference")
    made = compare(lake, one, "c1")
    found = identities(lake, "r")
    assert {k for k, *_ in found} == expected
    assert all(amount == 40 for *_, amount in found)
    assert made.amount == 40 * len(expected)


def test_the_absent_counts_as_nothing_only_where_declared(lake: Lake) -> None:
    put(lake, PAID, "a1", ("1", "甲", "60", "202601", ""))
    put(lake, TOLD, "b1", ("2", "乙", "80", "202601", ""))
    assert compare(lake, by_month("differs"), "c1").found == 0
    assert compare(lake, by_month("differs", absent="zero"), "c2").found == 1


@pytest.mark.parametrize("kind", ["missing", "differs", "overlap", "after"])
def test_a_key_declared_single_that_is_not_is_summed(lake: Lake, kind: str) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "50", "202601", "2026-03-01"),
        ("1", "甲", "70", "202602", "2026-03-02"),
    )
    told = ("2", "乙", "1", "202601", "2026-01-01")
    mine = ("1", "甲", "30", "202601", "2026-01-01")
    put(lake, TOLD, "b1", told, *([] if kind == "missing" else [mine]))
    one = Rule("r", kind, side("paid", single=True), side("told", single=True))
    made = compare(lake, one, "c1")
    assert (made.found, made.amount) == (1, 120.0)


def test_overlap_only_in_the_same_period(lake: Lake) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "60", "202601", ""),
        ("2", "乙", "50", "202601", ""),
    )
    put(
        lake,
        TOLD,
        "b1",
        ("1", "甲", "80", "202601", ""),
        ("2", "乙", "80", "202602", ""),
    )
    made = compare(lake, by_month("overlap", amount="least"), "c1")
    assert (made.found, made.amount) == (1, 60.0)


def test_after_an_event_only_what_came_later_counts(lake: Lake) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "60", "202601", "2026-01-10"),
        ("1", "甲", "61", "202603", "2026-03-10"),
        ("2", "乙", "50", "202601", "2026-01-10"),
        ("3", "丙", "50", "202602", "2026-02-20"),
    )
    put(
        lake,
        TOLD,
        "b1",
        ("1", "甲", "", "", "2026-02-01"),
        ("2", "乙", "", "", "2026-02-01"),
        ("3", "丙", "", "", "2026-02-01"),
    )
    made = compare(lake, rule("after", grace=30), "c1")
    assert (made.found, made.amount) == (1, 61.0)
    told = evidence(lake, "r", [_id(lake)])[_id(lake)]
    assert told["left_evidence"]["_since"] == "2026-03-10"
    assert told["right_evidence"]["_until"] == "2026-02-01"


def test_the_newest_licence_is_the_one_that_ends(lake: Lake) -> None:
    put(lake, PAID, "a1", ("1", "甲", "60", "202601", "2026-03-10"))
    put(
        lake,
        TOLD,
        "b1",
        ("1", "甲", "", "", "2025-02-01"),
        ("1", "甲", "", "", "2027-02-01"),
    )
    assert compare(lake, rule("after", event="last"), "c1").found == 0
    assert compare(lake, rule("after"), "c2").found == 1


def test_a_finding_has_one_life(lake: Lake) -> None:
    one = rule("missing")
    rows: list[Row] = [
        ("1", "甲", "10", "202601", "2026-01-02"),
        ("2", "乙", "7", "202601", "2026-01-02"),
    ]
    put(lake, PAID, "a1", *rows)
    put(lake, TOLD, "b1", ("9", "某", "1", "202601", "2026-01-02"))
    assert _news(compare(lake, one, "c1")) == (2, 0, 0, 0)
    assert _news(compare(lake, one, "c2")) == (0, 0, 0, 2)
    # One more payment is new evidence of the same finding; the other's cause goes.
    put(lake, PAID, "a2", *rows, ("1", "甲", "3", "202602", "2026-02-02"))
    put(lake, TOLD, "b2", ("2", "乙", "7", "202601", "2026-01-02"))
    made = compare(lake, one, "c3")
    assert _news(made) == (0, 1, 1, 0)
    news = {r["standing"]: r for part in comparing.changed(lake, "r", ["c3"]) for r in part}
    assert news["found"]["first_run"] == "c1"
    assert news["gone"]["gone_at"] is not None
    # And it comes back with its old identity.
    put(lake, TOLD, "b3", ("9", "某", "1", "202601", "2026-01-02"))
    back = compare(lake, one, "c4")
    assert _news(back) == (0, 1, 0, 1)
    assert compare(lake, one, "c4") == back, "the same run again gives its result"


def _news(made: Compared) -> tuple[int, int, int, int]:
    return (made.fresh, made.changed, made.gone, made.unchanged)


def test_late_data_accuse_and_acquit_nobody(lake: Lake) -> None:
    one = rule("missing")
    put(lake, PAID, "a1", ("1", "甲", "10", "202601", "2026-01-02"))
    put(lake, TOLD, "b1", ("9", "某", "1", "202601", "2026-01-02"))
    made = compare(lake, one, "c1", stale={"told": "逾期"})
    assert (made.found, made.incomplete, made.doubts) == (0, 1, {"late": 1})
    assert compare(lake, one, "c2").found == 1
    put(lake, TOLD, "b2", ("1", "甲", "10", "202601", "2026-01-02"))
    assert compare(lake, one, "c3", stale={"told": "逾期"}).gone == 0
    assert compare(lake, one, "c4").gone == 1


def test_a_month_not_reported_yet_is_no_finding(lake: Lake) -> None:
    left = [(str(n), "甲", "10", month, "") for n in range(10) for month in ("202601", "202602")]
    right = [(str(n), "甲", "10", "202601", "") for n in range(9)] + [
        ("0", "甲", "10", "202602", "")
    ]
    put(lake, PAID, "a1", *left)
    put(lake, TOLD, "b1", *right)
    made = compare(lake, by_month("missing"), "c1")
    assert made.thin == ("202602",)
    assert (made.found, made.doubts) == (1, {"period": 9})


def test_a_refused_counterpart_is_not_an_absent_one(lake: Lake) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("1", "甲", "10", "202601", ""),
        ("2", "乙", "10", "202601", ""),
    )
    put(
        lake,
        TOLD,
        "b1",
        ("1", "甲", "一百", "202601", ""),
        ("9", "某", "1", "202601", ""),
    )
    made = compare(lake, rule("missing"), "c1")
    assert (made.found, made.doubts) == (1, {"rejects": 1})
    assert next(k for k, _, s, *_ in identities(lake, "r") if s == "found") == "2"


def test_one_number_with_two_names_is_a_doubt(lake: Lake) -> None:
    put(
        lake,
        PAID,
        "a1",
        ("320703199003070016", "张三", "10", "202601", ""),
        ("320703198811110034", "李 四", "10", "202601", ""),
    )
    put(
        lake,
        TOLD,
        "b1",
        ("320703900307001", "王五", "10", "202601", ""),
        ("320703881111003", "李四", "10", "202601", ""),
    )
    made = compare(lake, rule("overlap", normal="citizen_number"), "c1", quality={"told": 0.98})
    assert (made.found, made.doubts) == (1, {"name": 1})
    kept = {r["standing"]: r for part in comparing.changed(lake, "r", ["c1"]) for r in part}
    assert kept["found"]["confidence"] == pytest.approx(0.98)
    assert kept["incomplete"]["confidence"] == pytest.approx(0.588)


def test_linked_pairs_take_the_place_of_a_number(lake: Lake) -> None:
    put(lake, PAID, "a1", ("A1", "甲", "10", "202601", ""), ("A2", "乙", "10", "202601", ""))
    put(lake, TOLD, "b1", ("B1", "甲", "10", "202601", ""), ("B2", "乙", "10", "202601", ""))
    with lake.connect() as con:
        con.execute(
            "CREATE TABLE lake.library.pairs (left_key VARCHAR, right_key VARCHAR, probability DOUBLE)"
        )
        con.execute("INSERT INTO lake.library.pairs VALUES ('A1', 'B1', 0.97), ('A2', 'B2', 0.6)")
    made = compare(lake, rule("overlap", pairs="lake.library.pairs"), "c1")
    assert (made.found, made.doubts) == (1, {"weak": 1})


def test_a_side_without_rows_blocks_the_run(lake: Lake) -> None:
    put(lake, PAID, "a1", ("1", "甲", "10", "202601", ""))
    assert compare(lake, rule("missing"), "c1").blocked == "told"
    assert identities(lake, "r") == []


def test_declarations_are_vetted() -> None:
    columns = {"paid": ["id", "amount", "name", "day", "month"], "told": ["id"]}
    good = Rule("r", "missing", side("paid"), Side("told", ("id",)))
    comparing.vet(good, columns)
    for bad in (
        replace(good, left=replace(good.left, where="1 = 1; DROP TABLE x")),
        replace(good, left=replace(good.left, amount="(SELECT 1)")),
        replace(good, left=replace(good.left, amount="read_text('/etc/passwd')")),
        replace(good, left=replace(good.left, show=("salary",))),
    ):
        with pytest.raises(LakeError):
            comparing.vet(bad, columns)
    with pytest.raises(LakeError, match="kind"):
        replace(good, kind="guess")
    with pytest.raises(LakeError, match="一一对应"):
        replace(good, right=replace(good.right, key=("id", "name")))


@pytest.mark.parametrize("kind", ["missing", "differs", "overlap", "after"])
def test_the_statements_are_plain_enough_for_spark(kind: str) -> None:
    """They parse, transpile, and the transpiled text still says the same in DuckDB's own tongue."""
    one = by_month(kind, absolute=1, relative=0.1) if kind != "after" else rule(kind, grace=3)
    for sql in (comparing.hits_sql(one), comparing.findings_sql(one, thin=("202601",))):
        spark = sqlglot.transpile(sql, read="duckdb", write="spark")[0]
        again = sqlglot.transpile(spark, read="spark", write="duckdb")[0]
        con = duckdb.connect()
        con.execute(
            "ATTACH ':memory:' AS lake; CREATE SCHEMA lake.trusted; "
            "CREATE TABLE lake.trusted.paid (id VARCHAR, name VARCHAR, amount DECIMAL(10,2), "
            "month VARCHAR, day DATE); CREATE TABLE lake.trusted.told AS FROM lake.trusted.paid; "
            "CREATE TABLE hits (k0 VARCHAR, p VARCHAR, la DECIMAL(20,2), ln BIGINT, "
            "ra DECIMAL(20,2), rn BIGINT, w DOUBLE, e DATE)"
        )
        first = con.execute(sql).description
        assert [c[0] for c in con.execute(again).description or ()] == [c[0] for c in first or ()]
