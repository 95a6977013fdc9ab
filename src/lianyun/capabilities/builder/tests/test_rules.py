"""Rules of the builder: two saves meet, text goes both ways, a pack is read without harm, parts are compared."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from lianyun.capabilities.builder.rules import archive, checks, layout, steps, text, walking
from lianyun.capabilities.builder.rules import content as parts
from lianyun.decision import compile_decision, compiled, load

SERVICE: dict[str, Any] = {
    "item": {
        "name": "绿地认养", "type": "20", "objects": ["person"], "kind": "instant",
        "situations": [{"id": "who", "question": "谁？", "options": []}],
        "materials": [{"id": "paper", "name": "证明", "grounds": [
            {"by": "service", "source": "x", "match": {"plate": "plate_number"}}]}],
        "result": {"name": "认养证", "days": 365},
    },
    "form": {"title": "申请表", "parts": [{"id": "a", "title": "甲", "fields": [
        {"id": "area", "title": "面积", "kind": "number"},
        {"id": "plants", "title": "种什么", "kind": "choice", "options": {"zz": "花", "a": "草"}}]}]},
    "path": {"use": "item_instant"},
    "decision": {"title": "规则", "outputs": [{"name": "result"}]},
    "licence": {"title": "认养证", "serial": "901"},
}  # fmt: skip


def test_a_service_goes_into_a_pack_and_comes_back_the_same() -> None:
    declared = parts.assembled(SERVICE, "garden", "cg")
    assert declared["item"]["form"] == declared["item"]["decision"] == "garden"
    assert declared["item"]["path"] == "item_instant"
    assert declared["item"]["result"]["licence"] == "garden"
    packed = archive.packed(archive.files(declared, "garden", "绿地", "说明"))
    assert packed == archive.packed(archive.files(declared, "garden", "绿地", "说明"))
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert "garden/pack.yaml" in names
    assert "garden/decisions/garden.yaml" in names
    again = parts.vetted(parts.taken_apart(archive.unpacked(packed)))
    assert again == parts.vetted(SERVICE)
    assert list(again["form"]["parts"][0]["fields"][1]["options"]) == ["zz", "a"]


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK nothing", "zip"),
        (_zip({"a/items/b.py": b"x"}), "不认识的文件"),
        (_zip({"../items/b.yaml": b"x: 1"}), "不认识的文件"),
        (_zip({"a/forms/b.yaml": b"title: x"}), "没有事项"),
        (_zip({"a/items/b.yaml": b"x: 1", "a/items/c.yaml": b"x: 1"}), "几个 items"),
        (_zip({"a/items/b.yaml": b" " * 900_000}), "太大"),
        (_zip({"a/items/b.yaml": b"a: &x [1]\nb: *x"}), "不支持引用"),
        (_zip({f"a/items/b{n}.yaml": b"" for n in range(50)}), "超过"),
    ],
)
def test_a_bad_pack_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(archive.BadArchive, match=why):
        archive.unpacked(data)


def test_text_goes_both_ways_and_odd_text_is_refused() -> None:
    for part in SERVICE.values():
        assert text.read(text.write(part)) == part
    assert text.read("day: 2026-01-31\nno: NO")["day"] == "2026-01-31"
    for told, why in (
        ("a: 1\na: 2", "写了两次"),
        ("a: !!python/object/apply:os.system [x]", "写法有误"),
        ("- 1", "最外层"),
        ("a: [", "写法有误"),
        ("x: {<<: {a: 1}}", "不支持合并"),
    ):
        with pytest.raises(text.BadText, match=why):
            text.read(told)
    with pytest.raises(parts.BadContent):
        parts.vetted({"item": {"a": "x" * 400_000}})
    for odd in ({"item": {"materials": ["x"]}}, {"item": {"result": [1]}}, {"form": {"parts": {}}}):
        with pytest.raises(parts.BadContent, match="应为"):
            parts.vetted(odd)
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    with pytest.raises(parts.BadContent, match="过深"):
        parts.vetted({"item": {"a": deep}})


def test_parts_are_held_against_each_other() -> None:
    kind = checks.Licence(
        "认养证",
        (checks.Element("number", "编号", True), checks.Element("place", "位置", True)),
        "number", ("holder", "holder_number"), ("issued", "", ""), True, ("legal_entity",),
    )  # fmt: skip
    around = checks.Around(
        questions=(checks.Question("area", "面积", "number"), checks.Question("phone", "电话", "text", True)),
        repeated=frozenset(), steps=({"id": "rule", "decide": "= decision"},),
        asked=(("area", "面积"), ("phone", "电话"), ("nothing", "没有的")), answers=("other",), licence=kind,
    )  # fmt: skip
    said = [f.words for f in checks.between(SERVICE, around)]
    for part in (
        "plate_number",
        "个人信息",
        "（nothing）",
        "名为 result",
        "“位置”没有来处",
        "不发给个人",
    ):
        assert any(part in words for words in said), part
    assert checks.placed("材料“证明”", "不好", "error", SERVICE["item"]).place == "materials.0"
    assert checks.placed("承诺办结时限", "不好", "error", {}).place == "promised_days"
    assert "m_paper" in checks.facts(SERVICE["item"], around)


def test_a_composed_path_is_walked_as_each_role() -> None:
    table = load(compile_decision("garden", {
        "title": "规则", "policy": "F", "inputs": [{"name": "area", "type": "number"}],
        "outputs": [{"name": "result", "type": "string"}],
        "rules": [{"when": ["<= 10"], "then": "granted", "note": "小"}, {"when": ["-"], "then": "review", "note": "大"}],
    }))  # fmt: skip
    listed = steps.composed(("receive", "supplement", "rule", "way", "decide", "deliver"))
    listed[0]["outcomes"]["accept"]["go"] = "rule"
    bpmn = compiled.compile_path("garden", "办理", listed)
    for area, after in ((5, "制证送达"), (50, "决定")):
        walk = walking.begin(bpmn, "garden", {"decision": "garden", "facts": {"area": area}}, table)
        (first,) = walking.waiting(bpmn, "garden", walk)
        assert first.step.id == "receive"
        assert walking.press(bpmn, "garden", walk, first.token, "accept", table)
        assert not walking.press(bpmn, "garden", walk, first.token, "accept", table)
        walk = walking.Walk(**json.loads(json.dumps(vars(walk))))
        (second,) = walking.waiting(bpmn, "garden", walk)
        assert second.step.title == after
        assert any(e["by_rule"] for e in walk.log)
    assert walking.press(bpmn, "garden", walk, second.token, "refuse", table)
    assert walk.ended == "refused"


def test_every_list_that_a_page_offers_is_asked_for() -> None:
    def named(fields: list[dict[str, Any]]) -> set[str]:
        out = set()
        for field in fields:
            if isinstance(field.get("choices"), str):
                out.add(field["choices"])
            if field.get("of"):
                out.add(field["of"]["list"])
            out |= named(field.get("fields", []))
        return out

    for page, groups in layout.PAGES.items():
        wanted = {name for group in groups for name in named(group["fields"])}
        assert wanted <= set(layout.LISTS[page]), page
