"""Rules: what an entry must say, how words fold, what a difference is."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lianyun.capabilities.catalogue.rules import compare, entries, sheets, words
from lianyun.capabilities.catalogue.rules.entries import ElementFacts, World

WORLD = World(
    classes={"1": "基础", "101": "人口", "101003": "婚姻", "30700101": "机构"},
    elements={
        "citizen_number": ElementFacts("公民身份号码", "C", "an18", True, "", True),
        "phone": ElementFacts("联系电话", "C", "an..20", True),
        "entity_name": ElementFacts("单位名称", "C", "an..200"),
    },
    departments={"mz": "连云港市民政局"},
    levels={"101003/000001": 3, "101003/000002": 2},
    types={"C": "字符型", "N": "数值型", "I": "整型"},
    providers={"mz": "mz", "市民政局": "mz", "11320700MN0000178X": "mz"},
    element_names={"公民身份号码": "citizen_number", "citizen_number": "citizen_number"},
    format_problem=lambda text: None if text in ("an18", "an..20", "n..5") else "不合规范",
)


def entry(**changes: Any) -> dict[str, Any]:
    sound = {
        "code": "101003/000009",
        "name": "mz_x",
        "title": "结婚登记",
        "provider": "mz",
        "summary": "摘要",
        "class": "101003",
        "format": "数据库",
        "share": {"type": 2, "conditions": "限履职", "basis": "", "method": "服务接口"},
        "open": {"type": 0, "conditions": ""},
        "cycle": "每日",
        "level": 3,
        "published_on": "",
        "related": [],
        "items": [
            {
                "name": "citizen_number",
                "title": "身份号码",
                "element": "citizen_number",
                "type": "C",
                "format": "an18",
                "required": True,
                "key": True,
                "note": "",
            }
        ],
    }
    return {**sound, **changes}


def fields(content: dict[str, Any], severity: str = "error") -> set[str]:
    return {f.field for f in entries.check(content, WORLD) if f.severity == severity}


def test_a_sound_entry_has_nothing_wrong() -> None:
    assert entries.check(entry(), WORLD) == []


@pytest.mark.parametrize("key", ["title", "summary", "format", "cycle"])
def test_obligatory_fields(key: str) -> None:
    assert key in fields(entry(**{key: " "}))


@pytest.mark.parametrize(
    ("code", "good"),
    [
        ("101003/000001", True),
        ("10100301/A1", True),
        ("101003a/1", True),
        ("401003/1", False),
        ("10103/1", False),
        ("101003", False),
        ("101003/", False),
        ("101003/1-2", False),
    ],
)
def test_the_structure_of_codes(code: str, good: bool) -> None:
    assert (entries.CODE.fullmatch(code) is not None) is good


def test_code_and_class_agree() -> None:
    assert "code" in fields(entry(code="30700101/1"))
    assert "class" in fields(entry(**{"class": "101", "code": "101003/1"}))
    assert "class" in fields(entry(**{"class": "999999", "code": "999999/1"}))


def test_conditional_sharing_needs_conditions() -> None:
    share = {"type": 2, "conditions": "", "basis": "", "method": "服务接口"}
    assert "share.conditions" in fields(entry(share=share))


@pytest.mark.parametrize(
    ("basis", "counts"),
    [
        ("《中华人民共和国个人信息保护法》第二十八条", True),
        ("《中华人民共和国档案法实施条例》第三条", True),
        ("《国务院关于在线政务服务的若干规定》", True),
        ("国务院令第723号第十条", True),
        ("《国务院办公厅关于……的决定》", True),
        ("《婚姻登记档案管理办法》第十五条", False),
        ("《统计执法监督检查办法》", False),
        ("民政部令第32号", False),
        ("《江苏省公共数据管理条例》第五条", False),
        ("《连云港市数据条例》", False),
        ("本单位规定", False),
    ],
)
def test_only_laws_regulations_and_council_decisions_excuse(basis: str, counts: bool) -> None:
    share = {"type": 3, "conditions": "涉及隐私", "basis": basis, "method": ""}
    assert ("share.basis" not in fields(entry(share=share))) is counts


def test_refusing_needs_reason_and_basis() -> None:
    share = {"type": 3, "conditions": "", "basis": "", "method": ""}
    assert {"share.conditions", "share.basis"} <= fields(entry(share=share))


def test_personal_data_are_level_three_and_not_open() -> None:
    free = {"type": 1, "conditions": "", "basis": "", "method": "服务接口"}
    found = fields(entry(level=2, share=free, open={"type": 2, "conditions": ""}))
    assert {"level", "open.type", "share.type"} <= found
    office = [{**entry()["items"][0], "element": "phone", "format": "an..20"}]
    doubtful = entry(level=1, share=free, items=office)
    assert fields(doubtful) == set()
    assert fields(doubtful, "warn") == {"level"}


def test_conditional_opening_needs_conditions() -> None:
    office = [{**entry()["items"][0], "element": "entity_name"}]
    assert "open.conditions" in fields(entry(items=office, open={"type": 1, "conditions": ""}))


def test_what_is_derived_is_no_less_secret_than_its_inputs() -> None:
    assert "level" in fields(
        entry(level=3, inputs=["x"]) | {"level": 2, "inputs": ["101003/000001"]}
    )
    assert "level" not in fields(entry(inputs=["101003/000001"]))


def test_items_are_named_once_and_well() -> None:
    one = entry()["items"][0]
    assert "items.1.name" in fields(entry(items=[one, {**one, "title": "另一项"}]))
    assert "items.1.title" in fields(entry(items=[one, {**one, "name": "other"}]))
    assert "items.0.name" in fields(entry(items=[{**one, "name": "身份"}]))
    assert "items.0.type" in fields(entry(items=[{**one, "type": "X"}]))
    assert "items.0.format" in fields(entry(items=[{**one, "format": "xx"}]))
    assert "items.0.element" in fields(entry(items=[{**one, "element": "nothing"}]))
    assert "items" in fields(entry(items=[]))


def test_vocabularies() -> None:
    assert fields(entry(cycle="每小时")) == {"cycle"}
    assert fields(entry(format="纸质")) == {"format"}
    assert fields(entry(format="数据库（MySQL）")) == set()
    share = {"type": 2, "conditions": "x", "basis": "", "method": "服务接口、批量交换"}
    assert fields(entry(share=share)) == set()
    assert "share.method" in fields(entry(share={**share, "method": "快递"}))


def test_serials_go_up() -> None:
    assert entries.next_serial([]) == "000001"
    assert entries.next_serial(["000009", "A7", "000010"]) == "000011"


# ---- words ---------------------------------------------------------------------------------


def test_traditional_and_full_width_fold() -> None:
    assert words.fold("婚姻登記ＡＢ　１") == "婚姻登记ab 1"
    assert words.query("婚姻登記") == words.query("婚姻登记")


def test_every_character_and_pair_is_a_lexeme() -> None:
    found = words.lexemes("户籍人口")
    assert {"户", "籍", "人", "口", "户籍", "籍人", "人口"} <= found


def test_codes_are_found_whole_and_by_parts() -> None:
    assert {"101003/000001", "101003", "000001"} <= words.lexemes("101003/000001")


def test_vectors_hold_all_and_queries_escape() -> None:
    made = words.vector("结婚登记", ["市民政局"], ["男方姓名"], "摘要")
    for lexeme in ("结婚", "民政局", "姓名", "摘要", "jiehun", "jhdj"):
        assert f"'{lexeme}'" in made
    assert words.query("' OR \\ : & | !") == "'or':*"
    assert words.query("，。") is None


# ---- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-01-31", "2026-01-31"),
        ("20260131", "2026-01-31"),
        ("2026/1/31", "2026-01-31"),
        ("2026年1月31日", "2026-01-31"),
        ("2026-02-30", None),
        ("去年", None),
    ],
)
def test_days(text: str, day: str | None) -> None:
    assert sheets.day_of(text) == day


def test_choices_as_people_write_them() -> None:
    assert [sheets.share_of(t) for t in ("1", "有条件", "3 不予共享", "不予共享")] == [1, 2, 3, 3]
    assert [sheets.open_of(t) for t in ("", "否", "不予开放", "2")] == [0, 0, 0, 2]
    assert sheets.open_of("是", "限企业") == 1
    assert [sheets.level_of(t) for t in ("3", "三级", "四级（高敏感）")] == [3, 3, 4]
    assert [sheets.type_of(t, WORLD) for t in ("C", "字符型C", "字符", "整型")] == [
        "C",
        "C",
        "C",
        "I",
    ]


HEAD = list(sheets.RESOURCE_COLUMNS)
ITEM_HEAD = list(sheets.ITEM_COLUMNS)


def row(**cells: Any) -> list[Any]:
    base = {
        "资源代码": "101003/000009",
        "名称": "结婚登记",
        "提供方代码": "11320700MN0000178X",
        "摘要": "摘要",
        "格式": "数据库",
        "共享类型": "有条件共享",
        "共享条件": "限履职",
        "共享方式": "服务接口",
        "开放属性": "不予开放",
        "更新周期": "每日",
        "安全分级": 3.0,
    }
    return [{**base, **cells}.get(c, "") for c in HEAD]


def item(**cells: Any) -> list[Any]:
    base = {"资源代码": "101003/000009", "序号": 1.0, "数据元": "公民身份号码", "必填": "是"}
    return [{**base, **cells}.get(c, "") for c in ITEM_HEAD]


def read(resources: list[list[Any]], items: list[list[Any]]) -> tuple[sheets.Parsed, list[Any]]:
    parsed = sheets.read_rows(
        [["2026 年全市目录"], [], HEAD, *resources], [ITEM_HEAD, *items], WORLD
    )
    parsed.issues.extend(sheets.judge(parsed.lines, WORLD))
    return parsed, [(i.sheet, i.row, i.column) for i in parsed.issues if i.severity == "error"]


def test_a_good_row_with_its_item() -> None:
    parsed, wrong = read([row()], [item()])
    assert wrong == []
    content = parsed.lines[0].content
    assert content["class"] == "101003"
    assert content["provider"] == "mz"
    assert content["level"] == 3
    assert content["items"][0] == {
        "name": "citizen_number",
        "title": "公民身份号码",
        "element": "citizen_number",
        "type": "C",
        "format": "an18",
        "note": "",
        "required": True,
        "key": False,
    }


def test_mistakes_name_their_cell() -> None:
    _, wrong = read(
        [
            row(更新周期="每小时", 共享类型="看情况"),
            row(),
            row(资源代码=""),
            row(资源代码="101003/000010", 提供方代码="0", 发布日期="很早"),
        ],
        [
            item(格式="xx"),
            item(资源代码="101003/000077"),
            item(必填="也许", 序号="一"),
        ],
    )
    assert ("资源", 4, "更新周期") in wrong
    assert ("资源", 4, "共享类型") in wrong
    assert ("资源", 5, "资源代码") in wrong
    assert ("资源", 6, "资源代码") in wrong
    assert ("资源", 7, "提供方代码") in wrong
    assert ("资源", 7, "发布日期") in wrong
    assert ("信息项", 2, "格式") in wrong
    assert ("信息项", 3, "资源代码") in wrong
    assert ("信息项", 4, "必填") in wrong
    assert ("信息项", 4, "序号") in wrong


def test_a_sheet_without_heads_or_columns_says_so() -> None:
    parsed = sheets.read_rows([["随便"]], [ITEM_HEAD], WORLD)
    assert "找不到表头" in parsed.issues[0].problem
    parsed = sheets.read_rows([[c for c in HEAD if c != "摘要"]], [ITEM_HEAD], WORLD)
    assert [i.column for i in parsed.issues] == ["摘要"]


# ---- compare -------------------------------------------------------------------------------


def test_differences_by_field_and_item() -> None:
    old = entry()
    new = copy.deepcopy(old)
    new["cycle"] = "每周"
    new["share"]["type"] = 1
    new["items"][0]["title"] = "公民身份号码"
    new["items"].append({**old["items"][0], "name": "phone", "title": "电话"})
    found = compare.compare(old, new)
    assert ("更新周期", "每日", "每周") in found.fields
    assert ("共享类型", "有条件共享", "无条件共享") in found.fields
    kinds = {(i.kind, i.name) for i in found.items}
    assert kinds == {("added", "phone"), ("changed", "citizen_number")}
    assert compare.compare(old, old).same


def test_an_item_put_first_does_not_move_all_the_others() -> None:
    a, b, c = ({**entry()["items"][0], "name": n, "title": n} for n in "abc")
    found = compare.compare(entry(items=[a, b]), entry(items=[c, a, b]))
    assert [(i.kind, i.name) for i in found.items] == [("added", "c")]
    moved = compare.compare(entry(items=[a, b]), entry(items=[b, a]))
    assert {i.name for i in moved.items} == {"a", "b"}
