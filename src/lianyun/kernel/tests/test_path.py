"""Paths: what compiles, what is refused, and that nothing from a file is executed."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.decision.closed import BadExpression, check_expression, evaluate
from lianyun.kernel import packs
from lianyun.kernel.path import BadPath, compile_path, spec_of, steps_of


def work(ident: str, **more: object) -> dict:
    return {"id": ident, "title": ident.upper(), "permission": "x.y", **more}


def test_every_declared_path_compiles() -> None:
    found = packs.declarations("paths")
    assert {"share_request", "catalogue_entry", "correction"} <= {d.name for d in found}
    others = {d.name: d.data for d in found}
    for declared in found:
        title, steps = declared.data["title"], declared.data["steps"]
        text = compile_path(declared.name, title, steps, others)
        assert steps_of(text)
        assert spec_of(text, declared.name)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[x for x in y]",
        "a[0]",
        "f'{a}'",
        "a if b else c",
        "open('x')",
        "9 ** 9 ** 9",
        "a := 1",
        "",
        "(" * 300,
    ],
)
def test_expressions_outside_the_language_are_refused(expression: str) -> None:
    with pytest.raises(BadExpression):
        check_expression(expression)


def test_expressions_read_the_case() -> None:
    values = {"share_type": 1, "person": {"age": 17}, "kinds": ["a", "b"]}
    assert evaluate("share_type == 1 and person.age < 18", values) is True
    assert evaluate("'a' in kinds and not missing", values) is True
    assert evaluate("person.__class__", values) is None
    with pytest.raises(BadExpression):
        evaluate("'ab' * 1000000000", values)
    with pytest.raises(BadExpression):
        evaluate("person < 3", values)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_evaluated(text: str) -> None:
    with contextlib.suppress(BadExpression):
        evaluate(text, {"a": 1})


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "没有步骤"),
        ([work("a"), work("a")], "重复"),
        ([work("a", outcomes={"x": {"title": "x", "go": "nowhere"}})], "nowhere"),
        ([{"id": "a", "title": "A"}], "permission"),
    ],
)
def test_bad_paths_name_the_step(steps: list, message: str) -> None:
    with pytest.raises(BadPath, match=message):
        compile_path("p", "P", steps)


def test_scripts_and_entities_in_a_file_are_refused() -> None:
    text = compile_path("p", "P", [work("a")])
    with pytest.raises(BadPath, match="scriptTask"):
        spec_of(text.replace("userTask", "scriptTask"), "p")
    bomb = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + text.replace("P<", "&a;<")
    with pytest.raises(BadPath, match="DOCTYPE"):
        spec_of(bomb, "p")
    with pytest.raises(BadPath, match="BPMN"):
        spec_of("not xml", "p")
