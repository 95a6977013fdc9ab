"""Guided questions: what they become, what they suggest, and what they cannot be made to say."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot

from lianyun.capabilities.analysis import rules
from lianyun.capabilities.analysis.rules import BadSpec, FieldInfo, TableInfo

ID = FieldInfo("citizen_number", "公民身份号码", "text", "citizen_number", True, True)
PEOPLE = TableInfo(
    "people",
    "人员",
    "公安",
    (
        ID,
        FieldInfo("name", "姓名", "text", "person_name", True),
        FieldInfo("town", "镇街", "text", "town_code"),
        FieldInfo("born", "出生日期", "date", "birth_date"),
        FieldInfo("age", "年龄", "number"),
    ),
)
MONEY = TableInfo("money", "补贴", "民政", (ID, FieldInfo("amount", "金额", "number")))
CLEAR = TableInfo(
    "clear", "明文", "人社", (FieldInfo("citizen_number", "号码", "text", "citizen_number"),)
)
TOWNS = TableInfo("towns", "镇街", "民政", (FieldInfo("code", "代码", "text", "town_code"),))
TABLES = {t.name: t for t in (PEOPLE, MONEY, CLEAR, TOWNS)}


def sql(**spec: Any) -> str:
    made = rules.build(TABLES, {"base": "people", **spec}).sql
    sqlglot.parse_one(made, read="duckdb")
    return made


def test_groups_measures_and_their_titles() -> None:
    built = rules.build(
        TABLES,
        {
            "base": "people",
            "groups": [{"column": "a.born", "by": "year"}, {"column": "a.town"}],
            "measures": [{"fn": "people"}, {"fn": "avg", "column": "a.age"}],
        },
    )
    assert built.labels == ["出生日期（年）", "镇街"]
    assert built.values == ["人数", "年龄平均"]
    assert 'count(DISTINCT a."citizen_number_link")' in built.sql
    assert "GROUP BY 1, 2" in built.sql
    assert "ORDER BY 1" in built.sql


def test_joins_are_suggested_by_elements_and_only_alike() -> None:
    found = {s.table: s for s in rules.suggestions(TABLES, [("a", "people")])}
    assert set(found) == {"money", "towns"}, "a masked number equals no plain one"
    assert found["money"].left == "a.citizen_number_link"
    assert found["towns"].left == "a.town"
    assert next(iter(found)) == "money", "the surest first"
    join = {"table": "money", "left": "a.citizen_number_link", "right": "citizen_number_link"}
    made = sql(joins=[join], measures=[{"fn": "sum", "column": "b.amount"}])
    assert 'ON a."citizen_number_link" = b."citizen_number_link"' in made
    with pytest.raises(BadSpec, match="脱敏"):
        sql(joins=[{**join, "left": "a.citizen_number"}])


@pytest.mark.parametrize(
    ("column", "op", "value"),
    [
        ("a.town", "eq", "x' OR '1'='1"),
        ("a.town", "contains", "%'; DROP TABLE people; --"),
        ("a.town", "in", "a'b，c\"d e"),
        ("a.town", "starts", "\\'"),
        ("a.age", "ge", "18"),
        ("a.born", "lt", "2000-01-01"),
        ("a.citizen_number", "filled", ""),
    ],
)
def test_values_stay_values(column: str, op: str, value: str) -> None:
    made = sql(filters=[{"column": column, "op": op, "value": value}])
    trees = sqlglot.parse(made, read="duckdb")
    assert len(trees) == 1
    assert [t.name for t in trees[0].find_all(sqlglot.exp.Table)] == ["people"]
    assert not list(trees[0].find_all(sqlglot.exp.Or))


@pytest.mark.parametrize(
    "spec",
    [
        {"filters": [{"column": "a.age", "op": "ge", "value": "1 OR 1=1"}]},
        {"filters": [{"column": "a.age", "op": "ge", "value": "nan"}]},
        {"filters": [{"column": "a.born", "op": "eq", "value": "昨天"}]},
        {"filters": [{"column": "a.citizen_number", "op": "eq", "value": "3207"}]},
        {"filters": [{"column": "a.name", "op": "contains", "value": "张"}]},
        {"filters": [{"column": 'a.town" OR 1=1 --', "op": "eq", "value": "x"}]},
        {"filters": [{"column": "b.town", "op": "eq", "value": "x"}]},
        {"filters": [{"column": "a.town", "op": "exec", "value": "x"}]},
        {"filters": [{"column": "a.town", "op": "eq", "value": " "}]},
        {"groups": [{"column": "a.name"}]},
        {"groups": [{"column": "a.town", "by": "year"}]},
        {"measures": [{"fn": "max", "column": "a.citizen_number"}]},
        {"measures": [{"fn": "sum", "column": "a.town"}]},
        {"measures": [{"fn": "eval", "column": "a.age"}]},
        {"columns": ["a.secret"]},
        {"base": "others"},
        {"base": 'people" --'},
        {"joins": [{"table": "others", "left": "a.town", "right": "x"}]},
        {"joins": [{"table": "money", "left": "a.nothing", "right": "amount"}]},
        {"joins": [{"table": "money", "left": "a.town", "right": "amount"}] * 4},
        {"filters": [{"column": "a.age", "op": "eq", "value": "1"}] * 13},
    ],
)
def test_what_cannot_be_asked_is_said(spec: dict[str, Any]) -> None:
    with pytest.raises(BadSpec):
        sql(**spec)


def test_a_form_becomes_a_spec_and_is_pruned() -> None:
    spec = rules.spec_of(
        {
            "base": "people",
            "j-0-how": "money|a.citizen_number_link|citizen_number_link",
            "f-0-column": "a.town",
            "f-0-op": "eq",
            "f-0-value": "海州",
            "f-1-column": "b.gone",
            "g-0-column": "",
            "m-0-fn": "count",
        },
        {"columns": ["a.town", "a.gone"]},
    )
    kept = rules.pruned(spec, TABLES)
    assert [f["column"] for f in kept["filters"]] == ["a.town"]
    assert kept["columns"] == ["a.town"]
    assert kept["joins"][0]["kind"] == "inner"
    rules.drop(kept, "drop-f-0")
    rules.drop(kept, "drop-f-9")
    assert kept["filters"] == []
    assert rules.pruned({**spec, "base": "gone"}, TABLES)["filters"] == []


def test_a_chart_is_suggested_where_one_can_be_drawn() -> None:
    kinds = {"镇街": "text", "人数": "number", "金额合计": "number"}
    found = rules.chart_of(["镇街", "人数", "金额合计"], kinds, {})
    assert found == {"kind": "bar", "label": "镇街", "values": ["人数", "金额合计"]}
    asked = rules.chart_of(
        list(kinds), kinds, {"kind": "donut", "values": ["金额合计"], "label": "无"}
    )
    assert asked == {"kind": "donut", "label": "镇街", "values": ["金额合计"]}
    assert rules.chart_of(["出生日期（年）", "人数"], {"人数": "number"}, {})["kind"] == "line"
    assert rules.chart_of(["姓名", "镇街"], {}, {}) is None
    assert rules.chart_of(["人数"], {"人数": "number"}, {}) is None
