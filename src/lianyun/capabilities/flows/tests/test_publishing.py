"""Publishing: what is wrong is named, a second person publishes, what runs stays, a pack does not undo it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.flows import actions, api, queries, rules
from lianyun.decision import load
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.case import open_case
from lianyun.kernel.install import install
from lianyun.kernel.models import Case, Event
from lianyun.kernel.path import current

Officer = Callable[..., Actor]

KNOWN = rules.Known({"desk.accept": "受理"}, frozenset({"ga"}), frozenset({"freight_permit"}))
GOOD = """
title: 试行流程
basis: 行政许可法第三十二条
steps:
  - {id: take, title: 受理, permission: desk.accept, days: 5, basis: 行政许可法第三十二条}
"""
TABLE = """
title: 试行规则
basis: 本市约定
policy: F
inputs: [{name: age, title: 年龄, type: number}]
outputs: [{name: result, title: 结果, type: string}]
rules:
  - {when: [">= 80"], then: [granted], note: 满八十周岁}
  - {when: ["-"], then: [refused], note: 不满八十周岁}
"""
BPMN = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:ly="https://lianyun.invalid/bpmn"
 targetNamespace="x" id="d"><process id="trial" name="试行" isExecutable="true">%s</process></definitions>"""


def work(ident: str, name: str = "受理") -> str:
    own = '<extensionElements><ly:step permission="desk.accept" days="5" basis="x"/></extensionElements>'
    return f'<userTask id="{ident}" name="{name}">{own}</userTask>'


def flow(number: int, source: str, target: str, inner: str = "") -> str:
    return f'<sequenceFlow id="f{number}" sourceRef="{source}" targetRef="{target}">{inner}</sequenceFlow>'


START, END = '<startEvent id="s" name="开始"/>', '<endEvent id="e" name="办结"/>'


def told(text: str, key: str = "trial") -> set[tuple[str, str]]:
    return {(f.rule, f.severity) for f in rules.read_path(key, text, KNOWN).faults}


def test_a_good_text_of_either_kind_is_good() -> None:
    read = rules.read_path("trial", GOOD, KNOWN)
    assert (read.good, read.faults, read.title) == (True, (), "试行流程")
    again = rules.read_path("trial", '\ufeff<?xml version="1.0"?>\n' + read.made, KNOWN)
    assert again.good, again.faults
    plain = BPMN % (START + work("t") + END + flow(1, "s", "t") + flow(2, "t", "e"))
    drawn = rules.read_path("trial", plain, KNOWN)
    assert drawn.good, drawn.faults
    assert "BPMNShape" in drawn.made, "a text without a drawing gets ours"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (BPMN % (work("t") + END + flow(1, "t", "e")), ("start-event-required", "error")),
        (BPMN % (START + work("t") + flow(1, "s", "t")), ("end-event-required", "error")),
        (
            BPMN % (START + work("t") + work("u") + END + flow(1, "s", "t") + flow(2, "t", "e")),
            ("no-disconnected", "error"),
        ),
        (
            BPMN % (START + work("t") + work("u") + END + flow(1, "s", "t") + flow(2, "t", "u")
                    + flow(3, "t", "e") + flow(4, "u", "e")),
            ("no-implicit-split", "error"),
        ),
        (
            BPMN % (START + work("t", "") + END + flow(1, "s", "t") + flow(2, "t", "e")),
            ("label-required", "warning"),
        ),
        (BPMN % (START + "<scriptTask id='x'/>" + END), ("readable", "error")),
        ("<!DOCTYPE x [<!ENTITY y 'z'>]><definitions/>", ("readable", "error")),
        (GOOD.replace("desk.accept", "desk.fly"), ("permission", "error")),
        (GOOD.replace("days: 5", "department: mars, days: 5"), ("department", "error")),
        (GOOD.replace(", days: 5", ""), ("days", "warning")),
        (GOOD + "  - {id: rule, title: 判定, decide: no_such_table}\n", ("decision", "error")),
        (GOOD + "  - {id: w, title: 分流, choose: [{when: '__import__(1)'}]}\n", ("readable", "error")),
        ("title: a\nsteps: &x [*x]", ("readable", "error")),
        ("a: &a [1]\n" + "b: [" + "*a, " * 20 + "]", ("readable", "error")),
        ("title: 'a", ("readable", "error")),
        ("- 1", ("readable", "error")),
        ("title: a\nsteps: [1, 2]", ("readable", "error")),
        ("title: a\nsteps: [{id: x, title: y, permission: desk.accept, outcomes: [1]}]", ("readable", "error")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, wanted: tuple[str, str]) -> None:
    assert wanted in told(text)


def test_a_table_says_what_nobody_would_see() -> None:
    assert rules.read_decision("trial", TABLE).good
    turned = TABLE.replace('">= 80"', '"-"')
    words = [f.words for f in rules.read_decision("trial", turned).errors]
    assert any("后面的规则不会命中" in w for w in words)
    assert not rules.read_decision("trial", TABLE.replace(">= 80", ">=")).good
    assert not rules.read_decision("Trial!", TABLE).good


@pytest.mark.django_db
def test_a_second_person_publishes_and_what_runs_stays(city: None, officer: Officer) -> None:
    writer = officer("sjj", "bureau_operator", name="孙运营")
    other = officer("sjj", "bureau_catalogue", name="施目录")
    running = open_case("item_promised", title="在办", data={"promised_days": 3}, by=SYSTEM)
    before = current("item_promised").version
    text = queries.source("path", "item_promised", writer).replace(
        "title: 审查\n", "title: 实质审查\n"
    )
    with pytest.raises(UserError, match="为什么"):
        actions.propose("path", "item_promised", text, reason=" ", by=writer)
    with pytest.raises(Denied):
        actions.propose("path", "item_promised", text, reason="改名", by=other)
    row = actions.propose("path", "item_promised", text, reason="改名", by=writer)
    with pytest.raises(UserError, match="正在审核"):
        actions.propose("path", "item_promised", text, reason="再来", by=writer)
    assert [name for name, *_ in queries.compared(other, row)] == ["实质审查"]
    assert queries.open_step(writer, row) is None
    with pytest.raises(UserError, match="另一位"):
        actions.review(row, "publish", by=writer)
    with pytest.raises(UserError, match="理由"):
        actions.review(row, "return", by=other)
    done = actions.review(row, "publish", by=other)
    assert done.version == before + 1
    assert current("item_promised").steps["review"].title == "实质审查"
    running.refresh_from_db()
    assert running.path.version == before
    with pytest.raises(UserError, match="审核完毕"):
        actions.review(row, "publish", by=other)
    with pytest.raises(UserError, match="完全相同"):
        actions.propose("path", "item_promised", text, reason="同一份", by=writer)
    install(by=SYSTEM)  # a restart: the pack's own text was replaced by people
    assert current("item_promised").version == before + 1
    assert Event.objects.filter(kind="path.published").count() == 1


@pytest.mark.django_db
def test_of_two_written_on_one_version_the_later_is_told(city: None, officer: Officer) -> None:
    writer, other = (
        officer("sjj", "bureau_operator"),
        officer("sjj", "bureau_catalogue", name="另一位"),
    )
    row = actions.propose("decision", "trial", TABLE, reason="新规定", by=writer)
    told: dict[str, Any] = {"note": "应用搭建发布", "by": other}
    assert api.publish_decision("trial", TABLE.replace("80", "70"), **told) == 1
    assert api.publish_decision("trial", TABLE.replace("80", "70"), **told) == 1, "pressed twice"
    with pytest.raises(UserError, match="已发布第 1 版"):
        actions.review(row, "publish", by=other)
    actions.review(row, "return", note="请在第 1 版上改", by=other)
    assert Case.objects.get(pk=row.case_id).outcome == "returned"
    again = actions.propose("decision", "trial", TABLE, reason="在第 1 版上改", by=writer)
    assert actions.review(again, "publish", by=other).version == 2
    found = queries.newest("decision", "trial", other)
    assert found is not None
    assert found.data["basis"] == "本市约定"
    with pytest.raises(UserError, match=r"desk\.fly 的权限"):
        api.publish_path("trial", GOOD.replace("desk.accept", "desk.fly"), note="x", by=other)
    with pytest.raises(Denied):
        api.publish_path("trial", GOOD, note="x", by=officer("ga", "approver"))


def test_two_versions_of_a_table_are_told_row_by_row() -> None:
    def made(text: str) -> tuple[Any, ...]:
        return load(rules.read_decision("trial", text).made).tables

    row = '  - {when: [">= 80"], then: [granted], note: 满八十周岁}\n'
    newer = TABLE.replace(
        row,
        '  - {when: [">= 90"], then: [granted], note: 满九十周岁}\n' + row.replace("80", "70"),
    )
    (change,) = rules.compare_tables(made(TABLE), made(newer))
    assert [(r.kind, r.was, r.number) for r in change.rows] == [
        ("added", 0, 1),
        ("changed", 1, 2),
        ("", 2, 3),
    ]
    assert [(c.text, c.before, c.changed) for c in change.rows[1].cells] == [
        (">= 70", ">= 80", True),
        ("准予", "准予", False),
    ]
    assert change.rows[2].cells[0].text == "不限"
    assert rules.compare_tables(made(TABLE), made(TABLE)) == []
    wider = TABLE.replace(
        "type: number}]", "type: number}, {name: kind, title: 类别, type: string}]"
    )
    wider = wider.replace('80"]', '80", "-"]').replace('["-"]', '["-", "-"]')
    (change,) = rules.compare_tables(made(TABLE), made(wider))
    assert change.words == ("新增条件列“类别”",)
    many = TABLE + "".join(f'  - {{when: ["{n}"], then: [x], note: n{n}}}\n' for n in range(9))
    (change,) = rules.compare_tables(
        made(many), made(many.replace("[x], note: n8", "[y], note: n8"))
    )
    assert [(r.kind, r.left_out) for r in change.rows] == [("gap", 9), ("", 0), ("changed", 0)]
