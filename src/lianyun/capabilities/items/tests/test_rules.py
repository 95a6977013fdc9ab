"""Items without a database: narrowing, checks with their messages, codes, sheets there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lianyun.capabilities.items.rules import everyday, sheets
from lianyun.capabilities.items.rules.checks import ERROR, Known, check
from lianyun.capabilities.items.rules.content import digest, spelled
from lianyun.capabilities.items.rules.item import Around, BadItem, Item, handling_code, read
from lianyun.capabilities.items.rules.narrow import asked, cleaned, materials, notice
from lianyun.decision.closed import evaluate
from lianyun.kernel.element import credit_code_ok

GA = "11320700MN000016XX"
AROUND = Around(
    departments={"ga": (GA, "市公安局"), "jt": ("11320700MN0000258H", "市交通运输局")},
    materials={
        "driving_licence": {
            "name": "机动车驾驶证",
            "grounds": [{"by": "licence", "type": "driver"}],
        }
    },
    windows={
        "default": {
            "places": [{"name": "政务服务中心", "address": "一号路"}],
            "hours": "工作日",
            "consult_phone": "0518-12345",
            "complaint": "0518-12388",
        }
    },
    division="320700",
)
KNOWN = Known(
    departments={"ga": "市公安局", "jt": "市交通运输局"},
    codes={"item_type": frozenset({"01", "20"}), "exercise_level": frozenset({"3"})},
    licences=frozenset({"driver"}),
    body_code_ok=credit_code_ok,
)
BASE: dict[str, Any] = {
    "code": "pass", "name": "通行证核发", "department": "ga", "basic_code": "320109017002",
    "type": "01", "objects": ["person"], "kind": "promised", "legal_days": 20, "promised_days": 3,
    "basis": "本市办事指南", "conditions": ["有车。"], "form": "person_basic",
    "situations": [
        {"id": "vehicle", "question": "车辆属于谁？",
         "options": [{"id": "own", "title": "本人"}, {"id": "firm", "title": "单位"}]},
        {"id": "size", "question": "单位几辆？", "when": "vehicle == 'firm'",
         "options": [{"id": "one", "title": "一辆"}, {"id": "many", "title": "多辆"}]},
    ],
    "materials": [
        {"standard": "driving_licence"},
        {"id": "list", "name": "车辆清单", "when": "vehicle == 'firm' and size == 'many'",
         "grounds": [
             {"by": "library", "library": "population", "need": ["name"]},
             {"by": "service", "source": "ga_vehicles", "match": {"plate_number": "plate"}, "need": ["owner"]},
             {"by": "earlier", "material": "list"},
             {"by": "promise", "text": "本人承诺 清单 属实。"},
         ]},
    ],
    "themes": {"person": ["18"]},
    "faq": [{"q": "要钱吗？", "a": "不要。"}],
    "result": {"name": "通行证", "licence": "driver"},
}  # fmt: skip


def item(**changes: Any) -> Item:
    return read({**BASE, **changes}, AROUND)


def messages(**changes: Any) -> str:
    return "\n".join(f.text for f in check(item(**changes), KNOWN) if f.severity == ERROR)


def test_a_sound_item_has_its_code_of_31_and_nothing_wrong() -> None:
    found = item()
    assert found.implementing_code == f"{GA}3320109017002"
    assert len(found.implementing_code) == 31
    assert len(handling_code(found, 1)) == 33
    assert messages() == ""
    assert found.places[0].address == "一号路"
    assert found.path == "item_promised"


def test_answers_narrow_questions_and_materials() -> None:
    found = item()
    assert [s.id for s in asked(found, {}, evaluate)] == ["vehicle"]
    assert [s.id for s in asked(found, {"vehicle": "firm"}, evaluate)] == ["vehicle", "size"]
    assert [m.id for m in materials(found, {}, evaluate)] == ["driving_licence"]
    told = notice(found, {"vehicle": "firm"}, evaluate)
    assert [m.id for m in told.maybe] == ["list"]
    assert [s.id for s in told.open] == ["size"]
    whole = notice(found, {"vehicle": "firm", "size": "many"}, evaluate)
    assert len(whole.materials) == 2
    assert whole.freed == 2
    assert not whole.maybe
    # Answers that were not asked for or not offered count for nothing.
    assert cleaned(found, {"vehicle": "stolen", "size": "many", "x": "1"}, evaluate) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"promised_days": 21}, "承诺 21 个工作日，超过了法定 20 个工作日"),
        ({"promised_days": 16, "legal_unit": "日"}, "承诺 16 个工作日，超过了法定 20 日"),
        ({"kind": "instant"}, "即办件当场办结，承诺时限应为 0"),
        ({"kind": "instant", "promised_days": 0, "review": "前审后批"}, "审查类型应为“即审即办”"),
        ({"basic_code": "320209017002"}, "第 3、4 位应与事项类型代码 01 一致"),
        ({"implementing_code": f"{GA}4320109017002"}, "实施编码：应由"),
        ({"visits": 1}, "到现场 1 次，应写明原因"),
        ({"visits_reason": "核验"}, "不用到现场的，原因应填“无”"),
        ({"online": False, "channels": ["1"]}, "应支持快递申请"),
        ({"fee": {"charged": True}}, "收费的事项应写明收费依据"),
        ({"online_payment": True}, "不收费的事项不应支持网上支付"),
        ({"consult_phone": "12345"}, "应带区号"),
        ({"complaint": "0518-12345"}, "不能与咨询电话相同"),
        ({"objects": ["person", "entity"]}, "法人主题：应与服务对象一致"),
        ({"faq": []}, "行政许可应至少有一条常见问题"),
        ({"stages": [{"title": "受理"}]}, "至少 5 个环节"),
        ({"result": {"name": "通行证", "closing": "审批办结"}}, "应为“出证办结”"),
        ({"form": ""}, "没有指定表单"),
        ({"materials": [{"id": "a", "name": "甲", "when": "colour == 'red'"}]}, "没有问过的情形 colour"),
        ({"materials": [{"id": "a", "name": "甲", "when": "vehicle == 'rent'"}]}, "没有选项 rent"),
        ({"materials": [{"id": "a", "name": "甲", "grounds": [{"by": "licence", "type": "no"}]}]}, "没有证照类型 no"),
    ],
)  # fmt: skip
def test_each_rule_of_consistency_says_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    assert said in messages(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "Bad Code"}, {"department": "nobody"}, {"colour": "red"}, {"kind": "later"},
        {"legal_days": "soon"}, {"materials": [{"standard": "unknown"}]},
        {"materials": [{"id": "a", "name": "甲", "grounds": [{"by": "luck"}]}]},
        {"situations": [{"id": "q", "options": [{"id": "a", "title": "甲"}]}]},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(BadItem, match="事项"):
        item(**changes)


def test_a_comparison_that_may_meet_a_strangers_row_is_pointed_out() -> None:
    ground = {
        "by": "service",
        "source": "ga_vehicles",
        "match": {"plate_number": "plate"},
        "need": ["brand"],
    }
    material = {"id": "a", "name": "甲", "grounds": [ground]}
    told = [f.message for f in check(item(materials=[material]), KNOWN)]
    assert any("没有核对申请人自己的号码" in m for m in told)
    material["grounds"] = [{**ground, "need": ["owner_number"]}]
    assert not check(item(materials=[material]), KNOWN)


def test_a_version_spells_its_standard_materials_out() -> None:
    kept = spelled(BASE, AROUND)
    bare = replace(AROUND, materials={})
    assert read(kept, bare) == item()
    assert digest(kept) == digest(dict(reversed(kept.items())))


def test_a_sheet_holds_all_64_elements_and_comes_back_whole() -> None:
    assert [n for n, _, _ in sheets.ELEMENTS] == list(range(1, 65))
    names = sheets.Names(
        {"item_type": {"01": "行政许可"}, "exercise_level": {"3": "市级"}}, AROUND.departments
    )
    before = item(
        joint=["jt"],
        fee={"charged": True, "basis": "文", "items": [{"name": "工本费", "standard": "10 元"}]},
        online_payment=True,
    )
    row = {k: str(v) for k, v in sheets.item_row(before, names).items()}
    assert set(sheets.ITEM_TITLES) <= set(row)
    back = sheets.item_content(row, names, 2)
    assert back.problems == []
    content = {
        **back.content,
        "materials": [
            sheets.material_content({k: str(v) for k, v in r.items()}, names, n)
            for n, r in enumerate(sheets.material_rows(before, names), 1)
        ],
        "situations": sheets.situations_content(sheets.situation_rows(before)),
    }
    again = read(content, AROUND)
    bare = replace(again, review="", result=replace(again.result, closing=""))
    assert bare == before
    problems = sheets.item_content({"事项名称": "甲", "法定办结时限": "很快"}, names, 3).problems
    assert ("法定办结时限", "“很快”不是数字") in problems


def test_everyday_words_become_official_ones() -> None:
    synonyms = everyday.expanded(
        [{"say": ["驾照", "驾驶本"], "means": ["驾驶证"]}, {"say": "生孩子", "means": ["出生"]}],
        str,
    )
    found = everyday.understand("我想办驾照换证", synonyms, ["我想", "办"])
    assert found.groups == (("驾照", "驾驶证"),)
    assert found.rest == "换证"
    assert everyday.tsquery(found, lambda t: [t] if t else []) == "(('驾照') | ('驾驶证')) & '换证'"
    assert everyday.understand("办", synonyms, ["办"]).rest == "办"
