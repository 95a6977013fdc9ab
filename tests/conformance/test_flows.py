"""Paths and decisions judged by others: bpmnlint, dmnlint and feelin (npm) unchanged, and DMN's own level 2.

The level 2 cases are written after the subjects of the DMN technology compatibility kit (0001 to
0119); their texts and numbers are ours.
"""

from __future__ import annotations

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

from lianyun.capabilities.builder.rules.steps import composed
from lianyun.capabilities.flows.rules import Known, read_path
from lianyun.capabilities.flows.tests.test_publishing import BPMN, END, START, flow, work
from lianyun.decision import compile_decision, decide, feel, load, values
from lianyun.decision.compiled import _wire as wire
from lianyun.decision.compiled import compile_path
from lianyun.decision.way import parse_xml
from lianyun.kernel import packs
from lianyun.project import frontend, sample_builder

HERE = Path(__file__).parent
EXPRESSIONS = """
1+2*3 | 2 ** 3 | -2 ** 2 | (1+2)*3 | 1/3 | 10/4 | 1/0 | -(1+1) | 7 - 2 - 1 | 2 * 3 ** 2 | .5 + 1
3 between 1 and 5 | 5 in [1..5) | 4 in [1..5) | 5 in (4..6) | 3 in (1, 3) | "a" < "b" | "a" + "b"
true and null | false and null | true or null | false or null | null = null | 1 = null | not(true)
1 = 1.0 | 1 != 2 | "x" = "y" | date("2026-01-31") + duration("P1M") = date("2026-02-28")
date("2026-03-01") - date("2026-01-01") = duration("P59D") | date("2026-02-30") | date("2026-11-22").year
duration("P1Y2M") + duration("P11M") = duration("P2Y1M") | time("10:00:00") < time("11:00:00")
date and time("2026-01-01T10:00:00") + duration("PT2H") = date and time("2026-01-01T12:00:00")
count([1,2,3]) | sum([1,2]) | min([3,1,2]) | max(1,9,4) | string length("中文") | substring("foobar",3)
-7--2 | 6**-2 | null + 4 | 4 * null | null / 4 | 8 + 6 / -3 - 1 | 1.5*10**2 | -.25 | true | "连云港"
contains("foobar","ob") | starts with("foobar","foo") | decimal(2.5,0) | floor(-1.5) | ceiling(1.2) | abs(-3)
""".replace("\n", "|")
CELLS: list[tuple[Any, str]] = [
    (5, "[1..5]"), (5, "[1..5)"), (5, "]1..5]"), (1, "]1..5]"), (1, "(1..5]"), (5, "[1..5["),
    (5, "> 4"), (5, ">= 5"), (5, "< 5"), (5, "not(5)"), (5, "not(1,2)"), (5, "1,2,5"), (6, "1,2,5"),
    ("a", '"a","b"'), ("c", '"a","b"'), ("c", 'not("a","b")'), (5, "-"), (None, "-"), (None, "> 3"),
    (None, "null"), (5, "null"), (True, "true"), (False, "true"), (5, "<= 5, > 10"), (5, "[1,2,5]"),
    (5, "2 + 3"), (5, "not(> 6)"), (5, "> 3, null"), ("x", "> 3"),
]  # fmt: skip

EVERYTHING: list[dict[str, Any]] = [
    {"id": "rule", "title": "判定", "decide": "x"},
    {"id": "ask", "title": "征求", "permission": "x.y", "each": "list", "department": "each"},
    {"id": "all", "title": "会签", "each": "list", "steps": [
        {"id": "sign", "title": "签", "permission": "x.y", "department": "each",
         "outcomes": {"a": {"title": "是"}, "b": {"title": "否", "go": "sign"}}}]},
    {"id": "some", "title": "分头", "inclusive": [
        {"when": "a == 1", "steps": [{"id": "s1", "title": "一", "permission": "x.y"}]},
        {"when": "b == 1", "steps": [{"id": "s2", "title": "二", "permission": "x.y"}]}]},
    {"id": "sub", "title": "子流程", "use": "other"},
    {"id": "system", "title": "等系统", "wait": {"message": "m"}},
    {"id": "pause", "title": "公示", "timer": {"days": 5}},
    {"id": "late", "title": "补正", "permission": "x.y", "timer": {"days": "n", "end": "expired"}},
]  # fmt: skip
COMPOSED = {
    "short": ("receive", "supplement", "decide", "deliver"),
    "whole": ("receive", "supplement", "rule", "way", "review", "opinions", "wait", "decide", "notice", "deliver"),
}  # fmt: skip
OTHER = {"title": "另一流程", "steps": [{"id": "o1", "title": "核", "permission": "x.y"}]}


def _both(*parts: str) -> str:
    """A path's text whose nodes name their flows, as bpmnlint wants them to."""
    root = parse_xml(BPMN % "".join(parts))
    wire(root)
    return etree.tostring(root, encoding="unicode")


BROKEN = {
    "start-event-required": _both(work("t"), END, flow(1, "t", "e")),
    "end-event-required": _both(START, work("t"), flow(1, "s", "t")),
    "no-disconnected": _both(START, work("t"), work("u"), END, flow(1, "s", "t"), flow(2, "t", "e")),
    "no-implicit-split": _both(
        START, work("t"), work("u"), END,
        flow(1, "s", "t"), flow(2, "t", "u"), flow(3, "t", "e"), flow(4, "u", "e"),
    ),
    "label-required": _both(START, work("t", ""), END, flow(1, "s", "t"), flow(2, "t", "e")),
    "fake-join": _both(
        START, work("t"), '<exclusiveGateway id="g" name="否" default="f3"/>', END,
        flow(1, "s", "t"), flow(2, "t", "g"), flow(3, "g", "e"),
        flow(4, "g", "t", "<conditionExpression>a == 1</conditionExpression>"),
    ),
    "conditional-flows": _both(
        START, work("t"), '<exclusiveGateway id="g" name="否"/>', END, work("u"),
        flow(1, "s", "t"), flow(2, "t", "g"), flow(3, "g", "e"), flow(5, "u", "e"),
        flow(4, "g", "u", "<conditionExpression>a == 1</conditionExpression>"),
    ),
    "superfluous-gateway": _both(
        START, work("t"), '<exclusiveGateway id="g" name="否"/>', END,
        flow(1, "s", "t"), flow(2, "t", "g"), flow(3, "g", "e"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """Everything in one run of node."""
    if not frontend.installed():
        pytest.skip("前端库未安装")
    found = packs.declarations("paths")
    others = {d.name: d.data for d in found}
    paths = {d.name: compile_path(d.name, d.data["title"], d.data["steps"], others) for d in found}
    paths["everything"] = compile_path("everything", "全部写法", EVERYTHING, {"other": OTHER})
    paths |= {f.stem: f.read_text("utf-8") for f in packs.files("paths", "bpmn")}
    # What an analyst composes in the browser: the palette in its two orders, the sample's table.
    for name, kinds in COMPOSED.items():
        steps = composed(kinds)
        for way in (w for s in steps for w in s.get("choose") or ()):
            way["go"] = "review" if way["go"] == "decide" else way["go"]  # as the editor leads it
        paths[f"composed {name}"] = compile_path("composed", name, steps, {})
    tables = {d.name: compile_decision(d.name, d.data) for d in packs.declarations("decisions")}
    tables |= {f.stem: f.read_text("utf-8") for f in packs.files("decisions", "dmn")}
    tables["built"] = compile_decision("built", yaml.safe_load(sample_builder.PARTS["decision"]))
    paths |= {f"broken {name}": text for name, text in BROKEN.items()}
    asked = {"bpmn": paths, "dmn": tables, "expressions": _expressions(), "tests": CELLS}
    done = subprocess.run(
        [frontend.node(), str(HERE / "flows_lint.mjs")],
        input=json.dumps(asked),
        env={**os.environ, "JUDGES": str(frontend.folder() / "node_modules")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = json.loads(done.stdout)
    assert set(out["bpmn"]) == set(paths)
    assert set(out["dmn"]) == set(tables)
    return out


def _expressions() -> list[str]:
    return [text.strip() for text in EXPRESSIONS.split("|") if text.strip()]


def test_every_path_and_table_passes_the_linters(judged: dict[str, Any]) -> None:
    assert len(judged["bpmn"]) > 20
    assert len(judged["dmn"]) >= 3
    good = {n: found for n, found in judged["bpmn"].items() if not n.startswith("broken ")}
    assert {n: found for n, found in good.items() if found} == {}
    assert {n: found for n, found in judged["dmn"].items() if found} == {}


@pytest.mark.parametrize("name", BROKEN)
def test_what_bpmnlint_finds_in_a_broken_path_we_name_as_well(
    judged: dict[str, Any], name: str
) -> None:
    theirs = {found.partition(":")[0] for found in judged["bpmn"][f"broken {name}"]}
    ours = {f.rule for f in read_path("trial", BROKEN[name], Known({"desk.accept": "受理"})).faults}
    assert name in ours
    # One that was written without a drawing gets ours.
    assert theirs - {"no-bpmndi", "no-implicit-start", "no-implicit-end"} <= ours


def test_s_feel_says_what_feelin_says(judged: dict[str, Any]) -> None:
    for text, theirs in zip(_expressions(), judged["feel"]["expressions"], strict=True):
        ours = values.plain(feel.evaluate(feel.expression(text), {}))
        assert ours == pytest.approx(theirs) if isinstance(ours, float) else ours == theirs, text
    for (value, cell), theirs in zip(CELLS, judged["feel"]["tests"], strict=True):
        assert feel.matches(feel.unary_tests(cell), values.feel(value), {}) is theirs, (value, cell)


MODEL = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="m" namespace="n">
{body}</definitions>"""
CASES: list[tuple[str, str, dict[str, Any], Any]] = [
    (
        "0001 a text, in names with spaces",
        """<inputData id="i" name="Full Name"><variable name="Full Name" typeRef="string"/></inputData>
        <decision id="a" name="Greeting Message"><variable name="Greeting Message" typeRef="string"/>
        <informationRequirement id="r"><requiredInput href="#i"/></informationRequirement>
        <literalExpression><text>"Hello " + Full Name</text></literalExpression></decision>""",
        {"Full Name": "Zhang"},
        "Hello Zhang",
    ),
    (
        "0002 a number",
        """<inputData id="i" name="Monthly Salary"><variable name="Monthly Salary" typeRef="number"/></inputData>
        <decision id="a" name="Yearly Salary"><variable name="Yearly Salary" typeRef="number"/>
        <literalExpression><text>12 * Monthly Salary</text></literalExpression></decision>""",
        {"Monthly Salary": "10000"},
        Decimal(120000),
    ),
    (
        "0003 a text among those allowed",
        """<itemDefinition name="tTenure"><typeRef>string</typeRef><allowedValues>
        <text>"OWNED","RENTED"</text></allowedValues></itemDefinition>
        <inputData id="i" name="Tenure"><variable name="Tenure" typeRef="tTenure"/></inputData>
        <decision id="a" name="Told"><variable name="Told" typeRef="string"/>
        <literalExpression><text>"It is " + Tenure</text></literalExpression></decision>""",
        {"Tenure": "RENTED"},
        "It is RENTED",
    ),
    (
        "0008 arithmetic on a structure",
        """<itemDefinition name="tLoan"><itemComponent name="principal"/><itemComponent name="rate"/>
        <itemComponent name="termMonths"/></itemDefinition>
        <inputData id="i" name="loan"><variable name="loan" typeRef="tLoan"/></inputData>
        <decision id="a" name="payment"><variable name="payment" typeRef="number"/><literalExpression>
        <text>(loan.principal*loan.rate/12)/(1-(1+loan.rate/12)**-loan.termMonths)</text>
        </literalExpression></decision>""",
        {"loan": {"principal": 600000, "rate": 0.0375, "termMonths": 360}},
        Decimal("2778.69354943277"),
    ),
    (
        "0009 a function called with named arguments",
        """<inputData id="i" name="Loan"><variable name="Loan" typeRef="number"/></inputData>
        <businessKnowledgeModel id="b" name="Monthly Part"><encapsulatedLogic>
        <formalParameter name="total"/><formalParameter name="months"/>
        <literalExpression><text>total / months</text></literalExpression></encapsulatedLogic>
        </businessKnowledgeModel>
        <decision id="a" name="Part"><variable name="Part" typeRef="number"/><invocation>
        <literalExpression><text>Monthly Part</text></literalExpression>
        <binding><parameter name="total"/><literalExpression><text>Loan + 12</text></literalExpression></binding>
        <binding><parameter name="months"/><literalExpression><text>12</text></literalExpression></binding>
        </invocation></decision>""",
        {"Loan": 1188},
        Decimal(100),
    ),
    (
        "0106 three values: null and true",
        """<inputData id="i" name="A"><variable name="A" typeRef="boolean"/></inputData>
        <decision id="a" name="and"><variable name="x" typeRef="boolean"/>
        <literalExpression><text>A and true</text></literalExpression></decision>""",
        {"A": None},
        None,
    ),
    (
        "0107 three values: not null",
        """<inputData id="i" name="A"><variable name="A" typeRef="boolean"/></inputData>
        <decision id="a" name="no"><variable name="x" typeRef="boolean"/>
        <literalExpression><text>not(A)</text></literalExpression></decision>""",
        {"A": False},
        True,
    ),
    (
        "a value that does not fit its declared type is null",
        """<inputData id="i" name="A"><variable name="A" typeRef="number"/></inputData>
        <decision id="a" name="b"><variable name="b" typeRef="number"/>
        <literalExpression><text>A + 1</text></literalExpression></decision>""",
        {"A": "many"},
        None,
    ),
]


@pytest.mark.parametrize(
    ("body", "facts", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_level_two_expressions(body: str, facts: dict[str, Any], expected: Any) -> None:
    found = decide(load(MODEL.format(body=body)), facts).value
    if isinstance(expected, Decimal):
        assert float(found) == pytest.approx(float(expected), abs=1e-8)
    else:
        assert found is expected if expected is None else found == expected


LOAN = {
    "inputs": [
        {"name": "Age", "type": "number"},
        {"name": "RiskCategory", "type": "string"},
        {"name": "isAffordable", "type": "boolean"},
    ],
    "rules": [
        {"when": [">= 18", '"High","Medium"', True], "then": ["Approved", "Standard"]},
        {"when": ["< 18", "-", "-"], "then": ["Declined", "Standard"]},
        {"when": ["-", '"High"', "-"], "then": ["Declined", "Standard"]},
        {"when": ["-", "-", False], "then": ["Declined", "Best"]},
    ],
    "outputs": [
        {"name": "Status", "values": ["Approved", "Declined"]},
        {"name": "Rate", "values": ["Best", "Standard"]},
    ],
}


@pytest.mark.parametrize(
    ("policy", "facts", "expected"),
    [
        ("U", (38, "Medium", True), {"Status": "Approved", "Rate": "Standard"}),
        ("A", (12, "High", True), {"Status": "Declined", "Rate": "Standard"}),
        ("P", (18, "High", True), {"Status": "Approved", "Rate": "Standard"}),
        ("P", (12, "Low", False), {"Status": "Declined", "Rate": "Best"}),
        ("F", (18, "High", True), {"Status": "Approved", "Rate": "Standard"}),
        ("R", (18, "High", True), [{"Status": "Approved", "Rate": "Standard"}, {"Status": "Declined", "Rate": "Standard"}]),
        ("O", (12, "High", False), [{"Status": "Declined", "Rate": "Best"}] + [{"Status": "Declined", "Rate": "Standard"}] * 2),
        ("C", (12, "Low", True), [{"Status": "Declined", "Rate": "Standard"}]),
        ("C", (38, "Low", True), []),
        ("U", (38, "Low", True), None),
    ],
)  # fmt: skip
def test_level_two_tables(policy: str, facts: tuple[Any, ...], expected: Any) -> None:
    """0004 to 0007, 0010, 0108 to 0119: tables with several outputs under every policy."""
    model = load(compile_decision("Approval", {**LOAN, "policy": policy}))
    names = ("Age", "RiskCategory", "isAffordable")
    assert decide(model, dict(zip(names, facts, strict=True))).value == expected
