"""Expressions, facts and declarations: what they mean, and what they refuse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest

from lianyun.decision.closed import BadExpression
from lianyun.lake.shelves import quote

from ..rules import declared, expressions, facts

COLUMNS = {n: quote(n) for n in ("age", "died", "level", "people")} | {"today": "DATE '2026-11-23'"}


def holds(expression: str, **row: Any) -> Any:
    sql = expressions.to_sql(expression, COLUMNS)
    listed = ", ".join(
        f"{expressions.literal(row.get(n))} AS {quote(n)}" for n in COLUMNS if n != "today"
    )
    found = duckdb.sql(f"SELECT {sql} FROM (SELECT {listed})").fetchone()
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("expression", "row", "wanted"),
    [
        ("age >= 80 and died == None", {"age": 81}, True),
        ("age >= 80 and died == None", {"age": 81, "died": "2026-01-01"}, False),
        ("age >= 80", {}, False),
        ("not age >= 80", {}, True),
        ("age < 3 or people > 2", {"people": 3}, True),
        ("level in ['1', '2']", {"level": "2"}, True),
        ("level not in ['1']", {}, False),
        ("60 <= age <= 70", {"age": 70}, True),
        ("died >= today", {"died": "2026-11-23"}, True),
        ("500 * people", {"people": 4}, 2000),
    ],
)
def test_an_expression_means_the_same_in_sql(expression: str, row: Any, wanted: Any) -> None:
    assert holds(expression, **row) == wanted


@pytest.mark.parametrize(
    "bad",
    [
        "secret == 1", "age.x == 1", "count(age) > 1", "age in 'abc'", "__import__('os')",
        "age; DROP TABLE x", "level == '1' if age else 2", "[a for a in age]",
    ],
)  # fmt: skip
def test_nothing_else_gets_into_the_statement(bad: str) -> None:
    with pytest.raises(BadExpression):
        expressions.to_sql(bad, COLUMNS)


def test_a_constant_cannot_leave_its_quotes() -> None:
    nasty = "x' OR 1=1 --"
    assert holds(f'level == "{nasty}"', level="y") is False
    assert holds(f'level == "{nasty}"', level=nasty) is True


def test_words_and_gaps() -> None:
    titles = {"age": "今年满", "died": "死亡日期"}
    told = expressions.in_words("age >= 80 and died == None", titles)
    assert told == "“今年满”不少于 80，并且“死亡日期”没有"
    assert expressions.missed_by("people >= 5", {"people": 3}) == ("people", 2.0)
    assert expressions.missed_by("people <= 5", {"people": 9}) == ("people", -4.0)
    assert expressions.missed_by("people >= 5", {"people": 7}) is None
    assert expressions.missed_by("people >= 5", {}) is None
    assert expressions.missed_by("people >= 5 and age > 1", {"people": 3}) is None


SHEET = [
    {
        "subject": "entity", "library": "legal_entity", "key": "credit_code",
        "facts": [
            {"name": "people", "title": "从业人数", "unit": "人"},
            {"name": "founded_on", "title": "成立日期"},
            {"name": "founded_days", "title": "成立", "of": "founded_on", "as": "days"},
            {"name": "lists", "title": "名单", "source": "trusted.fg_credit_lists", "match": {"credit_code": "credit_code"}, "take": "count"},
        ],
    }
]  # fmt: skip
POLICY = {
    "code": "jobs", "title": "稳岗", "department": "rs", "reason": "按 {people} 计算", "basis": "法",
    "number": "1 号", "text": "…", "budget": 1000, "amount": "500 * people", "most": 60000,
    "conditions": [{"id": "p", "title": "五人", "when": "people >= 5"}],
}  # fmt: skip


def test_a_declaration_is_read_and_its_faults_named() -> None:
    sheets = facts.sheets(SHEET)
    told = declared.read("subsidy", POLICY, sheets)
    assert (told.budget, told.most) == (100_000, 6_000_000)
    assert told.facts == ("people",)
    assert told.filled({"people": "7 人"}) == "按 7 人 计算"
    assert sheets["entity"].tables(["founded_days", "lists"]) == (
        "library.legal_entity", "trusted.fg_credit_lists",
    )  # fmt: skip
    assert list(sheets["entity"].wanted(["founded_days"])) == ["founded_on", "founded_days"]
    for change in (
        {"amount": "500 * nobody"}, {"conditions": []}, {"budget": "viel"}, {"colour": 1},
        {"subject": "person"}, {"closes": "soon"}, {"opens": "2026-02-01", "closes": "2026-01-01"},
    ):  # fmt: skip
        with pytest.raises((declared.BadRule, facts.BadFact, BadExpression)):
            declared.read("subsidy", {**POLICY, **change}, sheets)
    offer = {
        "code": "o", "title": "t", "subject": "entity", "department": "rs", "reason": "r",
        "basis": "b", "when": "founded_days <= 60", "days": 30, "page": "//evil.example",
    }  # fmt: skip
    with pytest.raises(declared.BadRule):
        declared.read("offer", offer, sheets)
    made = declared.read("offer", {**offer, "code": "oo", "page": "/my/policies/"}, sheets)
    assert made.timed(sheets["entity"])
    assert not told.timed(sheets["entity"])


def test_money_and_days() -> None:
    assert declared.yuan(1_200_000) == "12,000 元"
    assert declared.yuan(1_200_050) == "12,000.50 元"
    told = declared.read(
        "subsidy", {**POLICY, "opens": "2026-01-01", "closes": "2026-12-31"}, facts.sheets(SHEET)
    )
    assert told.open_on(dt.date(2026, 12, 31))
    assert not told.open_on(dt.date(2027, 1, 1))
