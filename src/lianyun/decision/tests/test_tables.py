"""Tables: every hit policy, types and cells; what is outside S-FEEL or hostile is refused."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.decision import BadTable, compile_decision, decide, feel, load, values
from lianyun.decision.closed import BadPath, evaluate
from lianyun.decision.compiled import compile_path
from lianyun.decision.engine import spec_of
from lianyun.decision.xml import LARGEST

AGE, GRADE = (
    {"name": "age", "title": "年龄", "type": "number"},
    {"name": "grade", "title": "等级", "type": "string", "values": ["甲", "乙", "丙"]},
)
RESULT = {"name": "result", "title": "结论", "values": ["拒绝", "人工", "通过"]}


def table(policy: str, rules: list, **more: object) -> str:
    shape = {"title": "试", "policy": policy, "inputs": [AGE, GRADE], "outputs": [RESULT]}
    rows = [{"when": list(when), "then": then} for *when, then in rules]
    return compile_decision("t", {**shape, "rules": rows, **more})


HITS = [(">= 18", "甲, 乙", "通过"), ("[0..20]", "not(丙)", "人工"), ("-", "-", "拒绝")]


@pytest.mark.parametrize(
    ("policy", "expected", "by"),
    [
        ("F", "通过", (1,)),
        ("P", "拒绝", (3,)),
        ("R", ["通过", "人工", "拒绝"], (1, 2, 3)),
        ("O", ["拒绝", "人工", "通过"], (3, 2, 1)),
        ("C", ["通过", "人工", "拒绝"], (1, 2, 3)),
        ("C#", 3, (1, 2, 3)),
    ],
)
def test_hit_policies(policy: str, expected: object, by: tuple[int, ...]) -> None:
    found = decide(load(table(policy, HITS)), {"age": 19, "grade": "甲"})
    assert found.plain == {"result": expected}
    assert found.rules == tuple(f"t_{n}" for n in by)


def test_unique_and_any_say_which_rules_quarrel() -> None:
    with pytest.raises(BadTable, match="规则 1、2、3 同时命中"):
        decide(load(table("U", HITS)), {"age": 19, "grade": "甲"})
    with pytest.raises(BadTable, match="结果不同"):
        decide(load(table("A", HITS)), {"age": 19, "grade": "甲"})
    agreed = [("-", "甲", "通过"), (">= 18", "-", "通过")]
    assert decide(load(table("A", agreed)), {"age": 19, "grade": "甲"}).value == "通过"
    nothing = decide(load(table("U", [("> 99", "-", "通过")])), {"age": 1, "grade": "甲"})
    assert (nothing.plain, nothing.rules) == ({"result": None}, ())
    fallback = [{"name": "result", "values": ["人工"], "default": "人工"}]
    text = table("U", [("> 99", "-", "人工")], outputs=fallback)
    assert decide(load(text), {"age": 1, "grade": "甲"}).value == "人工"
    with pytest.raises(BadTable, match="不在允许范围"):
        decide(load(table("F", HITS)), {"age": 1, "grade": "丁"})


@pytest.mark.parametrize(("sign", "total"), [("+", 60), ("<", 10), (">", 30)])
def test_collected_numbers(sign: str, total: int) -> None:
    points = [{"name": "points", "type": "number"}]
    rules = [("-", "-", 10), ("> 0", "-", 20), ("-", "甲", 30), ("> 90", "-", 99)]
    text = table(f"C{sign}", rules, outputs=points)
    assert decide(load(text), {"age": 5, "grade": "甲"}).value == total


def test_days_durations_and_tables_that_need_tables() -> None:
    text = compile_decision(
        "chain",
        {
            "title": "两张表",
            "tables": [
                {
                    "key": "waited",
                    "inputs": [{"name": "until - since", "title": "间隔", "type": "duration"}],
                    "outputs": [{"name": "long", "type": "boolean"}],
                    "rules": [
                        {"when": ['> duration("P30D")'], "then": True},
                        {"when": ['<= duration("P30D")'], "then": False},
                    ],
                },
                {
                    "key": "answer",
                    "inputs": [
                        {"name": "waited", "type": "boolean"},
                        {"name": "since", "type": "date"},
                    ],
                    "outputs": [{"name": "note"}],
                    "rules": [
                        {"when": [True, '>= date("2026-01-01")'], "then": "超过三十日"},
                        {"when": [False, "-"], "then": "未超过"},
                    ],
                },
            ],
        },
    )
    model = load(text)
    days = values.date
    found = decide(model, {"since": days("2026-01-01"), "until": days("2026-03-01")})
    assert (found.value, found.rules) == ("超过三十日", ("waited_1", "answer_1"))
    assert [t.name for t in model.tables] == ["waited", "answer"]
    assert decide(model, {"since": "x", "until": None}).value is None


def test_files_of_others_and_ours_read_the_same() -> None:
    text = table("U", HITS[:1])
    for space in (
        "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
        "http://www.omg.org/spec/DMN/20180521/MODEL/",
        "https://www.omg.org/spec/DMN/20230324/MODEL/",
    ):
        older = text.replace("https://www.omg.org/spec/DMN/20191111/MODEL/", space)
        assert decide(load(older), {"age": 30, "grade": "乙"}).value == "通过"


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "not xml",
        "<definitions/>",
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><definitions>&a;</definitions>',
        '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><definitions>&b;</definitions>',
        "<a>" * 5000 + "</a>" * 5000,
        "<a>" + "x" * LARGEST + "</a>",
    ],
)
def test_hostile_files_are_refused(hostile: str) -> None:
    with pytest.raises(BadTable):
        load(hostile)
    with pytest.raises(BadPath):
        spec_of(hostile, "p")


@pytest.mark.parametrize(
    "cell",
    [
        "__import__('os').system('true')",
        'open("/etc/passwd")',
        "function(x) external {java: {}}",
        "for x in [1] return x",
        "(" * 500 + "1" + ")" * 500,
        "1" * 5000,
        "1 +",
        "[1..",
    ],
)
def test_cells_outside_the_language_are_refused(cell: str) -> None:
    text = table("U", [("> 1", "-", "通过")]).replace("&gt; 1", cell.replace("<", "&lt;"))
    with pytest.raises(BadTable):
        decide(load(text), {"age": 2, "grade": "甲"})


def test_scripts_and_services_in_a_path_are_refused() -> None:
    text = compile_path("p", "P", [{"id": "a", "title": "A", "permission": "x.y"}])
    for element in ("scriptTask", "serviceTask", "sendTask", "transaction", "adHocSubProcess"):
        with pytest.raises(BadPath):
            spec_of(text.replace("userTask", element), "p")
    for attack in ("__import__('os')", "().__class__()", "[].append(1)", "a[0]()"):
        step = {"id": "c", "choose": [{"when": attack, "end": "x"}, {"end": "y"}]}
        with pytest.raises(BadPath):
            compile_path("p", "P", [step])
    assert evaluate("().__class__.__bases__", {}) is None


@given(st.text(max_size=60))
def test_any_text_is_refused_or_has_a_value(text: str) -> None:
    with contextlib.suppress(feel.BadFeel):
        feel.evaluate(feel.expression(text), {"a": Decimal(1), "b": "x"})
    with contextlib.suppress(feel.BadFeel):
        assert feel.matches(feel.unary_tests(text), Decimal(3), {}) in (True, False)


@given(
    st.text(alphabet='0123456789+-*/().,[]<>=!"ab dateimurnot?@PTYMD:', max_size=40),
)
def test_texts_of_its_own_letters_too(text: str) -> None:
    with contextlib.suppress(feel.BadFeel):
        feel.evaluate(feel.expression(text), {"a": Decimal(1)})
    with contextlib.suppress(feel.BadFeel):
        feel.matches(feel.unary_tests(text), "a", {})
