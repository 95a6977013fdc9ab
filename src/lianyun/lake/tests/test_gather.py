"""Gathering: lists follow their sources, keep vintages, and bring points to one system."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lianyun.lake.check import ItemCheck
from lianyun.lake.gather import ListSpec, Point, RowSource, gather
from lianyun.lake.land import Source, from_rows
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.places import BD09, CGCS2000, GCJ02, from_cgcs2000, likely_system, to_cgcs2000
from lianyun.lake.shelves import Column, Lake, LakeError

FOOD = DatasetSpec(
    "food",
    (ItemCheck("number", "证号"), ItemCheck("firm", "单位"), ItemCheck("state", "状态")),
    ("number",),
)
CLINIC = DatasetSpec(
    "clinic",
    (ItemCheck("licence", "编号"), ItemCheck("name", "名称"), ItemCheck("day", "日期", "D")),
    ("licence",),
)
LICENCES = ListSpec(
    "licences",
    (Column("number"), Column("type"), Column("holder"), Column("issued", "DATE")),
    (
        RowSource(
            "food",
            ("number",),
            {"number": "number", "holder": "firm"},
            {"type": "食品经营许可证"},
            {"state": ["1"]},
        ),
        RowSource(
            "clinic",
            ("licence",),
            {"number": "licence", "holder": "name", "issued": "day"},
            {"type": "医疗机构执业许可证"},
            date="day",
        ),
    ),
    kind="type",
    holder="holder",
)
SERIES = DatasetSpec(
    "series",
    (
        ItemCheck("code", "指标"),
        ItemCheck("month", "月份"),
        ItemCheck("value", "数值", "N", "n..17,2"),
        ItemCheck("released", "发布日期", "D"),
    ),
    ("code", "month"),
)
ECONOMY = ListSpec(
    "economy",
    (Column("code"), Column("month"), Column("value", "DECIMAL(17,2)"), Column("released", "DATE")),
    (
        RowSource(
            "series",
            ("code", "month"),
            {"code": "code", "month": "month", "value": "value", "released": "released"},
            date="released",
            vintage="released",
        ),
    ),
)


def rows(spec: DatasetSpec, *values: list[str]) -> Source:
    """A source of rows."""
    return from_rows([i.title for i in spec.items], list(enumerate(values, 2)))


def listed(lake: Lake, name: str) -> list[dict[str, Any]]:
    """A list's rows without its stamps, in a fixed order."""
    with lake.connect() as con:
        cursor = con.execute(f"SELECT * FROM lake.library.{name} ORDER BY _id")
        names = [d[0] for d in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{k: v for k, v in r.items() if k not in ("_batch", "_updated_at")} for r in found]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_from_batches_alone_as_from_everything(lake: Lake, seed: int) -> None:
    dice = random.Random(seed)
    food: dict[str, list[str]] = {}
    made = None
    load(lake, CLINIC, rows(CLINIC, ["C1", "一院", "2024-01-01"]), "full", "c0")
    load(lake, SERIES, rows(SERIES, ["A", "202401", "1", "2024-02-01"]), "full", "s0")
    for step in range(6):
        for key in dice.sample(range(12), 5):
            if str(key) in food and dice.random() < 0.4:
                del food[str(key)]
            else:
                food[str(key)] = [str(key), dice.choice("甲乙"), dice.choice("123")]
        load(lake, FOOD, rows(FOOD, *food.values()), "full", f"f{step}", allow_shrink=True)
        points = [
            [c, f"20240{m}", str(dice.randint(1, 3)), f"2024-0{dice.randint(3, 6)}-01"]
            for c in "AB"
            for m in (1, 2)
            if dice.random() < 0.8
        ]
        if points:
            load(lake, SERIES, rows(SERIES, *points), "full", f"s{step + 1}", allow_shrink=True)
        since = [f"f{step}", *([f"s{step + 1}"] if points else [])]
        for spec in (LICENCES, ECONOMY):
            made = gather(lake, spec, f"{spec.name}{step}", since=since)
            assert made.whole == (step == 0)
            partly, counts = listed(lake, spec.name), (made.entities, made.fields, made.extra)
            whole = gather(lake, spec, f"{spec.name}whole{step}")
            assert (whole.inserted, whole.updated, whole.deleted) == (0, 0, 0)
            assert listed(lake, spec.name) == partly
            with lake.connect() as con:
                con.execute(f"DROP TABLE lake.library.{spec.name}")
            anew = gather(lake, spec, f"{spec.name}new{step}")
            assert listed(lake, spec.name) == partly
            assert (anew.entities, anew.fields, anew.extra) == counts
    assert made is not None


def test_a_list_counts_kinds_and_holders(lake: Lake) -> None:
    load(lake, FOOD, rows(FOOD, ["1", "甲", "1"], ["2", "甲", "1"], ["3", "乙", "2"]), "full", "f")
    made = gather(lake, LICENCES, "g1")
    assert (made.entities, made.extra["holders"]) == (2, 1)
    assert made.extra["kinds"] == {"食品经营许可证": 2}
    # a source that comes later makes the list anew
    load(lake, CLINIC, rows(CLINIC, ["C1", "一院", "2024-01-01"]), "full", "c")
    made = gather(lake, LICENCES, "g2", since=["c"])
    assert (made.whole, made.entities) == (True, 3)
    assert made.freshness["clinic"] == "2024-01-01"
    assert made.fields["issued"] == {"filled": 1, "sources": {"clinic": 1}, "conflicts": 0}
    with pytest.raises(LakeError, match="没有字段"):
        ListSpec("x", (Column("a"),), (RowSource("food", ("number",), {"b": "firm"}),))


def test_revised_values_stay_as_vintages(lake: Lake) -> None:
    first = ["A", "202401", "100", "2024-02-01"]
    load(lake, SERIES, rows(SERIES, first, ["B", "202401", "7", "2024-02-01"]), "full", "s1")
    gather(lake, ECONOMY, "g1")
    load(lake, SERIES, rows(SERIES, ["A", "202401", "103", "2024-04-01"]), "incremental", "s2")
    made = gather(lake, ECONOMY, "g2", since=["s2"])
    assert (made.whole, made.inserted, made.touched) == (False, 1, 1)
    told = [(r["code"], str(r["value"]), str(r["released"])) for r in listed(lake, "economy")]
    assert told == [
        ("A", "100.00", "2024-02-01"),
        ("A", "103.00", "2024-04-01"),
        ("B", "7.00", "2024-02-01"),
    ]
    # a value corrected under the same release date is no vintage, and a withdrawn one leaves none
    load(lake, SERIES, rows(SERIES, ["A", "202401", "104", "2024-04-01"]), "full", "s3")
    gather(lake, ECONOMY, "g3", since=["s3"])
    told = [(r["code"], str(r["value"])) for r in listed(lake, "economy")]
    assert told == [("A", "100.00"), ("A", "104.00")]


# Published pairs of github.com/wandergis/coordtransform (MIT) for (116.404, 39.915)
def test_conversions_agree_with_published_points(lake: Lake) -> None:
    with lake.connect() as con:
        con.execute("CREATE TEMP TABLE one AS SELECT 116.404::DOUBLE AS x, 39.915::DOUBLE AS y")

        def at(sql: str) -> tuple[float, float]:
            row = con.execute(f"SELECT _lon, _lat FROM ({sql}) q").fetchone()
            assert row is not None
            return row[0], row[1]

        gcj = at(from_cgcs2000("one", "x", "y", GCJ02))
        assert gcj == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-9)
        con.execute("CREATE TEMP TABLE g AS SELECT 116.404::DOUBLE AS x, 39.915::DOUBLE AS y")
        back = at(to_cgcs2000("g", "x", "y", GCJ02))
        assert back == pytest.approx((116.39775550083061, 39.91359571849836), abs=3e-5)
        for system in (CGCS2000, GCJ02, BD09):
            con.execute(
                "CREATE OR REPLACE TEMP TABLE there AS "
                f"SELECT _lon, _lat FROM ({from_cgcs2000('one', 'x', 'y', system)}) q"
            )
            con.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT _lon AS x, _lat AS y FROM there")
            again = at(to_cgcs2000("t", "x", "y", system))
            # one millionth of a degree is a tenth of a metre
            assert again == pytest.approx((116.404, 39.915), abs=1.5e-6)
        with pytest.raises(LakeError, match="不认识"):
            to_cgcs2000("one", "x", "y", "北京54")


def test_points_tell_their_system(lake: Lake) -> None:
    square = [[119.0, 34.5], [119.1, 34.5], [119.1, 34.6], [119.0, 34.6]]
    east = [[x + 0.1, y] for x, y in square]
    borders = {"320706": [square], "320707": [east]}
    with lake.connect() as con:
        con.execute(
            "CREATE TEMP TABLE real AS SELECT 119.0 + hash(i) % 100000 / 1e6 "
            "+ CASE WHEN i % 2 = 0 THEN 0.1 ELSE 0 END AS x, 34.5 + hash(i, 1) % 100000 / 1e6 AS y, "
            "CASE WHEN i % 2 = 0 THEN '320707' ELSE '320706' END AS code FROM range(4000) r(i)"
        )
        for system in (CGCS2000, GCJ02, BD09):
            con.execute(
                "CREATE OR REPLACE TEMP TABLE told AS SELECT _lon AS x, _lat AS y, code "
                f"FROM ({from_cgcs2000('real', 'x', 'y', system)}) q"
            )
            verdict = likely_system(con, "told", "x", "y", "code", borders)
            assert (verdict.system, verdict.points) == (system, 4000)
            assert verdict.outside[system] <= 4
            few = likely_system(con, "told", "x", "y", "code", borders, sample=3)
            assert (few.system, few.name) == (None, "不能判定")
        unknown = likely_system(con, "told", "x", "y", "'330100'", borders)
        assert (unknown.system, unknown.points) == (None, 0)


def test_a_points_source_is_converted(lake: Lake) -> None:
    spots = DatasetSpec(
        "spots",
        (ItemCheck("id", "编号"), ItemCheck("x", "经度", "F"), ItemCheck("y", "纬度", "F")),
        ("id",),
    )
    load(lake, spots, rows(spots, ["1", "116.404", "39.915"], ["2", "", ""]), "full", "p1")
    spec = ListSpec(
        "spatial",
        (Column("id"), Column("longitude", "DOUBLE"), Column("latitude", "DOUBLE")),
        (RowSource("spots", ("id",), {"id": "id"}, point=Point("x", "y", BD09)),),
    )
    gather(lake, spec, "g1")
    found = listed(lake, "spatial")
    assert found[0]["longitude"] == pytest.approx(116.3914, abs=1e-3)
    assert found[0]["latitude"] == pytest.approx(39.9072, abs=1e-3)
    assert found[1]["longitude"] is None
