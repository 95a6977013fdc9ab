"""Which ground frees which material: grades, rows, verifications, earlier documents, promises."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from lianyun.capabilities.hall.rules import asked, grounds, stages

GRADES = {"A": "full", "B": "full", "C": "checked", "D": "none"}
TODAY = dt.date(2026, 11, 22)


def held(grade: str = "A", **changes: Any) -> grounds.Held:
    told: dict[str, Any] = {
        "kind": "driver",
        "title": "驾驶证",
        "identifier": "1.2.156.3005.2.X",
        "number": "320***1234",
        "grade": grade,
        "issuer": "市公安局",
        "issued_on": dt.date(2024, 5, 1),
        "ends_on": dt.date(2030, 4, 30),
        "valid": True,
        "standing": "有效",
    }
    return grounds.Held(**{**told, **changes})


@pytest.mark.parametrize(
    ("licences", "how", "look"),
    [
        ([held("A")], "free", False),
        ([held("B")], "free", False),
        ([held("C")], "free", True),
        ([held("D")], "no", False),
        ([held("Z")], "no", False),
        ([held(valid=False, standing="已过期")], "no", False),
        ([held(kind="other")], "no", False),
        ([], "no", False),
    ],
)
def test_a_licence_frees_by_its_grade(licences: list[Any], how: str, look: bool) -> None:
    found = grounds.by_licence("driver", "驾驶证", licences, GRADES)
    assert (found.how, found.look) == (how, look)
    assert (found.evidence is not None) is (how == "free")


def test_the_best_valid_licence_is_the_evidence() -> None:
    old = held("C", identifier="old")
    expired = held("A", identifier="expired", valid=False, standing="已过期")
    best = held("B", identifier="best", issued_on=dt.date(2020, 1, 1))
    found = grounds.by_licence("driver", "驾驶证", [old, expired, best], GRADES)
    assert found.evidence is not None
    assert found.evidence.ref == "licence:best"
    assert "B 级" in str(found.evidence.shown)


def test_a_row_frees_only_when_all_that_it_must_prove_is_there() -> None:
    row = grounds.Row(
        "library:population", "人口库", "公安局", {"name": "张三", "address": None}, "2026-11-02"
    )
    titles, masked = {"name": "姓名", "address": "现住址"}, {"name": "张*"}
    good = grounds.by_row(row, ["name"], titles, masked, "人口库")
    assert good.how == "free"
    assert good.evidence is not None
    assert good.evidence.shown == (("姓名", "张*"),)
    assert good.evidence.as_of == "2026-11-02"
    assert dict(good.plain) == {"name": "张三"}
    lacking = grounds.by_row(row, ["name", "address"], titles, masked, "人口库")
    assert lacking.how == "no"
    assert "现住址" in lacking.words
    assert grounds.by_row(None, ["name"], titles, masked, "人口库").how == "no"


def test_a_verification_says_whether_and_never_what() -> None:
    titles = {"plate": "号牌", "owner": "所有人"}
    row = grounds.Row("dataset:v", "机动车", "公安局", {"plate": "苏G12345", "owner": "李四"})

    def verify(rows: list[grounds.Row], owner: str) -> grounds.Finding:
        return grounds.by_verification(
            rows, {"plate": "苏G12345"}, {"owner": owner}, titles, "机动车"
        )

    same = verify([row], " 李四 ")
    assert same.how == "free"
    assert same.evidence is not None
    assert {v for _, v in same.evidence.shown} == {"一致"}
    other = verify([row], "张三")
    assert other.how == "no"
    assert "李四" not in str(other)
    assert verify([], "张三").how == "no"
    assert verify([row], "").how == "waits"
    two = grounds.Row("dataset:v", "机动车", "公安局", {"owner": "王五"})
    assert verify([two, row], "李四").how == "free"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("苏Ｇ12345", "苏g12345", True),
        ("10.0", 10, True),
        (dt.date(2026, 1, 2), "2026-01-02", True),
        ("", "", False),
        (None, None, False),
        ("张三", "张三丰", False),
    ],
)
def test_values_are_compared_as_people_read_them(one: Any, other: Any, same: bool) -> None:
    assert grounds.same(one, other) is same


def test_earlier_documents_grow_old_and_promises_are_accepted() -> None:
    before = grounds.Before("2026", "甲事项", "户口簿", dt.date(2026, 1, 5), "material:7", "d")
    assert grounds.by_earlier(before, 365, TODAY).how == "free"
    assert grounds.by_earlier(before, 300, TODAY).how == "no"
    assert grounds.by_earlier(None, 365, TODAY).how == "no"
    assert grounds.by_promise("本人承诺", None).how == "choice"
    accepted = grounds.by_promise("本人承诺", dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC))
    assert (accepted.how, accepted.look) == ("free", True)
    found = grounds.judge([grounds.by_earlier(None, 1, TODAY), accepted])
    assert found is accepted


def test_sources_are_asked_once_for_all_that_they_fill_and_free() -> None:
    source = SimpleNamespace
    fields = [
        ("姓名", [source(kind="identity", name="identity", item="name")]),
        ("住址", [source(kind="library", name="population", item="address")]),
    ]
    ground = {"type": "", "library": "", "source": "", "need": (), "match": {}}
    materials = [
        source(
            name="户口簿",
            grounds=(
                source(**{**ground, "by": "library", "library": "population", "need": ("name",)}),
                source(**{**ground, "by": "earlier"}),
                source(**{**ground, "by": "promise"}),
            ),
        )
    ]
    population, earlier = asked.asked(fields, materials)
    assert population.key == "library:population"
    assert population.columns == ["address", "name"]
    assert (population.fills, population.frees) == (["住址"], ["户口簿"])
    assert earlier.key == asked.EARLIER_KEY


def test_a_helped_person_agrees_before_anything_else() -> None:
    told = {"consented": False, "checked": False, "filed": False}
    assert stages.next_stage(relation="helper", confirmed=False, **told) == stages.CONFIRM
    assert stages.next_stage(relation="self", confirmed=False, **told) == stages.CONSENT
    told = {"consented": True, "checked": True, "filed": False}
    assert stages.next_stage(relation="self", confirmed=False, **told) == stages.MATERIALS
    assert stages.standing(filed=True, state="open", outcome="", waits=True)[0] == "supplement"
    assert stages.standing(filed=True, state="closed", outcome="granted", waits=False)[1] == "准予"
    assert stages.code_of("f" * 32).isdecimal()
