"""When a stage may begin, what a project code looks like, where the bars stand."""

from __future__ import annotations

import datetime as dt

import pytest

from lianyun.capabilities.construction import rules

ITEMS = {key: f"stage_{key}" for key in rules.STAGES}


@pytest.mark.parametrize(
    ("former", "promised", "running", "outcome"),
    [
        (rules.GRANTED, False, False, rules.READY),
        (rules.GRANTED, False, True, rules.BLOCKED),
        (rules.RUNNING, True, False, rules.TOLERATED),
        (rules.RUNNING, False, False, ""),
        (rules.ENDED, True, False, rules.BLOCKED),
        (rules.NONE, True, False, rules.BLOCKED),
    ],
)
def test_a_stage_begins_when_its_time_has_come(
    former: str, promised: bool, running: bool, outcome: str
) -> None:
    assert rules.admit(former, promised=promised, running=running)[0] == outcome


def test_a_kind_has_its_stages_in_order() -> None:
    told = {"title": "甲", "stages": {"works": {"days": 5, "departments": ["zr"]},
                                     "accept": {"days": 3, "departments": ["zj"]}}}  # fmt: skip
    kind = rules.kind("a", told, ITEMS)
    assert (kind.days, kind.before("works"), kind.before("accept")) == (8, None, kind.stages[0])
    assert kind.stage("land") is None
    for wrong in (
        {"roof": {}},
        {"land": {"days": 0, "departments": ["zr"]}},
        {"accept": told["stages"]["accept"], "land": told["stages"]["works"]},
    ):  # type: ignore[index]
        with pytest.raises(rules.BadKind):
            rules.kind("a", {"title": "甲", "stages": wrong}, ITEMS)


def test_a_code_has_its_shape() -> None:
    assert rules.code_ok(rules.new_code(2026, "320700", 1))
    assert not rules.code_ok("2026-3207-47-04-500001")


def test_bars_stand_within_the_picture() -> None:
    day = dt.date(2026, 3, 2)
    spans = [
        rules.Span("一", "green", "", day, day + dt.timedelta(days=40)),
        rules.Span("二", "grey", ""),
        rules.Span("三", "blue", "", day + dt.timedelta(days=41), day + dt.timedelta(days=60)),
    ]
    bars, marks, now = rules.bars(spans, day + dt.timedelta(days=50))
    assert bars[1].width == 0
    assert all(b.left >= 0 and b.left + b.width <= 100.1 for b in bars)
    assert bars[0].left + bars[0].width <= bars[2].left + 0.1
    assert 0 < now < 100
    assert marks[0][0] == 0
    assert len(marks) >= 2
