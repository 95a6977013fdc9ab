"""Recheck: accepted rows held against rules that came later, in one scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lianyun.lake.check import ItemCheck, RowRule, recheck
from lianyun.lake.land import Source
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake, LakeError

from .conftest import ANNA, BORIS


def test_rules_that_came_later_find_what_was_accepted(
    lake: Lake, people: DatasetSpec, rows: Callable[..., Source]
) -> None:
    done = load(
        lake,
        people,
        rows(
            (ANNA, "安娜", "5", "1991-01-01"),
            (BORIS, "鲍里斯", "2000", "1980-10-08"),
            ("320703199003070016", "卡拉·冯·诺伊曼", "7", ""),
        ),
        "full",
        "b1",
    )
    assert done.accepted == 3
    same = recheck(lake, "people", people.items, people.rules, key=people.key)
    assert same == (3, {"much": 1})
    stricter = tuple(
        replace(item, format="an..5") if item.name == "name" else item for item in people.items
    )
    later = (*people.rules, RowRule("born", "要有出生日期", "born IS NOT NULL"))
    again = recheck(lake, "people", (*stricter, ItemCheck("new", "新项")), later, key=people.key)
    assert again == (3, {"much": 1, "name.length": 1, "born": 1})
    with pytest.raises(LakeError, match="还没有数据"):
        recheck(lake, "nobody", people.items)


def test_old_numbers_that_were_accepted_are_still_right(
    lake: Lake, rows: Callable[..., Source]
) -> None:
    spec = DatasetSpec(
        "firms",
        (
            ItemCheck("code", "统一社会信用代码", check="credit_code"),
            ItemCheck("owner", "负责人身份证号", check="citizen_number"),
        ),
        ("code",),
    )
    made = rows(
        ("320703000012345", "320703900307001"),
        ("91350100M000100Y43", ANNA),
        columns=("统一社会信用代码", "负责人身份证号"),
    )
    assert load(lake, spec, made, "full", "b1").accepted == 2
    total, found = recheck(lake, "firms", spec.items, key=spec.key)
    assert (total, {c: n for c, n in found.items() if not c.endswith(".legacy")}) == (2, {})
