"""Two who work on one service: entries are merged, what both said differently is told and chosen."""

from __future__ import annotations

from typing import Any

from lianyun.capabilities.builder.rules import telling
from lianyun.capabilities.builder.rules.meeting import GRID, WHOLE, chosen, met, same

Part = dict[str, Any]


def question(ident: str, title: str, **more: Any) -> Part:
    return {"id": ident, "title": title, **more}


def form(*questions: Part, **more: Any) -> Part:
    return {"title": "表", "parts": [{"id": "a", "title": "甲", "fields": list(questions)}], **more}


def told(part: str, before: Part, now: Part, **lists: Any) -> list[tuple[str, str, str, str]]:
    rows = telling.told(part, before, now, lists)
    return [(" › ".join(r.where), r.before, r.now, r.kind) for r in rows]


NAME, AREA = question("name", "姓名"), question("area", "面积", kind="number")
BASE = form(NAME, AREA)


def test_saves_of_different_keys_are_merged_and_of_the_same_are_told() -> None:
    base = {"name": "甲", "basis": "一", "kind": "promised"}
    theirs = {**base, "name": "乙"}
    assert met(base, theirs, {**base, "basis": "二"}).part == {**theirs, "basis": "二"}
    clash = met(base, theirs, {**base, "name": "丙", "basis": "三"})
    assert clash.clashes == (("name",),)
    assert clash.part == {**theirs, "basis": "三"}
    page = met(base, theirs, {"basis": "四"}, keys=("basis",))
    assert page.part == {**theirs, "basis": "四"}
    assert "basis" not in met(base, base, {"name": "甲", "kind": "promised"}).part


def test_entries_of_a_list_meet_one_by_one() -> None:
    theirs = form({**NAME, "help": "同身份证"}, AREA, question("q1", "他加的"))
    mine = form(question("q1", "我加的"), {**AREA, "unit": "亩"}, {**NAME, "required": True})
    found = met(BASE, theirs, mine)
    assert not found.clashes
    # My order; what both counted to q1 stands twice under two names.
    fields = found.part["parts"][0]["fields"]
    assert [(f["id"], f["title"]) for f in fields] == [
        ("q2", "我加的"), ("area", "面积"), ("q1", "他加的"), ("name", "姓名"),
    ]  # fmt: skip
    assert fields[3] == {**NAME, "help": "同身份证", "required": True}
    # One takes away what the other changes; both rename the same.
    theirs = form({**NAME, "title": "申请人"})
    mine = form({**NAME, "title": "姓名全称"}, {**AREA, "max": 9})
    found = met(BASE, theirs, mine)
    assert found.clashes == (
        ("parts", "a", "fields", "name", "title"),
        ("parts", "a", "fields", "area"),
    )
    assert found.part == theirs
    both = chosen(found.part, mine, found.clashes)
    assert both == mine
    assert chosen(found.part, mine, found.clashes[1:]) == form(theirs["parts"][0]["fields"][0], mine["parts"][0]["fields"][1])  # fmt: skip
    # A third has taken the whole part away meanwhile: the entry comes back with its part.
    assert chosen({"title": "表", "parts": []}, mine, found.clashes[:1]) == mine


def test_the_order_that_people_see_is_a_change() -> None:
    one = form(question("q1", "几时", options={"a": "今天", "b": "明天"}))
    other = form(question("q1", "几时", options={"b": "明天", "a": "今天"}))
    assert not same(one, other)
    assert same({"x": 1, "y": 2}, {"y": 2, "x": 1})
    assert met(one, one, other).part["parts"][0]["fields"][0]["options"] == {
        "b": "明天",
        "a": "今天",
    }


TABLE = {
    "inputs": [{"name": "age"}],
    "outputs": [{"name": "result"}],
    "rules": [{"when": ["< 18"], "then": ["no"]}, {"when": ["-"], "then": ["yes"]}],
}


def table(*rules: tuple[str, str], inputs: list[str] | None = None) -> Part:
    columns = inputs or ["age"]
    rows = [{"when": [w] * len(columns), "then": [t]} for w, t in rules]
    return {**TABLE, "inputs": [{"name": n} for n in columns], "rules": rows}


def test_rows_of_a_table_meet_where_its_columns_stand() -> None:
    theirs, mine = table(("< 16", "no"), ("-", "yes")), table(("< 18", "no"), ("-", "maybe"))
    found = met(TABLE, theirs, mine)
    assert (found.part, found.clashes) == (table(("< 16", "no"), ("-", "maybe")), ())
    clash = met(TABLE, theirs, table(("< 17", "no"), ("-", "yes")))
    assert clash.clashes == (("rules", "#0", "when"),)
    wider = table(("< 18", "no"), ("-", "yes"), inputs=["age", "area"])
    clash = met(TABLE, theirs, wider)
    assert clash.clashes == ((GRID,),)
    assert (clash.part, chosen(clash.part, wider, clash.clashes)) == (theirs, wider)
    assert met(TABLE, TABLE, wider).part == wider


def test_what_is_used_from_elsewhere_is_one_thing() -> None:
    base, mine = {"use": "item_promised"}, {"use": "item_instant"}
    theirs = {"title": "自己的", "steps": []}
    found = met(base, theirs, mine)
    assert (found.part, found.clashes) == (theirs, ((WHOLE,),))
    assert chosen(theirs, mine, found.clashes) == mine
    assert met(base, base, theirs).part == theirs
    assert met(base, theirs, base).part == theirs


def test_differences_are_told_in_the_pages_own_words() -> None:
    now = form({**AREA, "unit": "亩"}, question("q1", "种什么", kind="choice", options={"a": "花"}), NAME)  # fmt: skip
    assert told("form", BASE, now, kinds=[("choice", "单选")]) == [
        ("部分“甲” › 题目“面积” › 单位", "", "亩", "changed"),
        ("部分“甲” › 题目“种什么”", "", "类型：单选；选项（代码 = 名称）：a = 花", "added"),
        ("部分“甲” › 题目的次序", "姓名、面积", "面积、姓名", "moved"),
    ]
    item = {"type": "20", "objects": ["person"], "online": True, "result": {"days": 365}}
    then = {"type": "01", "objects": ["person", "entity"], "online": False, "result": {"days": 30}}
    assert told("item", item, then, item_type=[("20", "公共服务"), ("01", "行政许可")]) == [
        ("服务对象", "个人", "个人；企业和其他组织", "changed"),
        ("事项类型", "公共服务", "行政许可", "changed"),
        ("网上办理", "是", "否", "changed"),
        ("结果有效多少天", "365", "30", "changed"),
    ]
    materials = [{"id": "m1", "name": "证明", "grounds": [{"by": "promise", "text": "我承诺"}]}]
    assert told("item", {"materials": materials}, {"materials": []}) == [
        ("材料“证明”", "免提交的依据（按次序试）：告知承诺：书面承诺代替，我承诺", "", "removed")
    ]
    steps = [{"id": "a", "title": "受理", "permission": "x", "outcomes": {"ok": {"title": "好", "go": "b"}}}, {"id": "b", "title": "决定"}]  # fmt: skip
    ended = [{**steps[0], "outcomes": {"ok": {"title": "好", "end": "granted"}}}, steps[1]]
    assert told("path", {"steps": steps}, {"steps": ended}) == [
        ("环节“受理” › 结果“好” › 去哪个环节", "决定", "", "changed"),
        ("环节“受理” › 结果“好” › 或者办结为", "", "准予", "changed"),
    ]
