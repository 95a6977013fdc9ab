"""Rules of packages: declarations with their messages, what follows, what may begin when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lianyun.capabilities.packages.rules.package import (
    BadPackage,
    Option,
    chain_days,
    faults,
    read,
)
from lianyun.capabilities.packages.rules.plan import Move, Step, moves, outcome

GOOD: dict[str, Any] = {
    "code": "newborn",
    "name": "新生儿",
    "audience": "person",
    "lead": "wj",
    "promised_days": 10,
    "summary": "一句话",
    "source": "依据",
    "questions": [
        {"id": "insure", "question": "参保？", "options": [{"id": "y", "title": "是"}, {"id": "n", "title": "否"}]}
    ],
    "items": [
        {"item": "born", "why": "报户口"},
        {"item": "insured", "why": "参保", "when": "insure == 'y'", "after": ["born"]},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Situation:
    id: str
    question: str = "？"
    options: tuple[Option, ...] = (Option("y", "是"), Option("n", "否"))
    help: str = ""

    def title_of(self, answer: str) -> str:
        return next((o.title for o in self.options if o.id == answer), "")


@dataclass(frozen=True)
class Item:
    code: str
    name: str
    objects: tuple[str, ...] = ("person",)
    online: bool = True
    form: str = "f"
    promised_days: int = 0
    situations: tuple[Any, ...] = ()
    materials: tuple[Any, ...] = field(default=())


def good(**changes: Any) -> Any:
    return read({**GOOD, **changes}, problem=lambda _: None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "新生儿"}, "code 应为小写英文标识"),
        ({"surprise": 1}, "不认识的键 surprise"),
        ({"audience": "animal"}, "audience 只能是"),
        ({"promised_days": 0}, "缺少 promised_days"),
        ({"items": GOOD["items"][:1]}, "2 至 12 个事项"),
        ({"items": [{"item": "item_a"}, {"item": "item_b", "why": "x"}]}, "缺少 why"),
        ({"items": [{"item": "item_a", "why": "x", "after": ["item_c"]}, {"item": "item_b", "why": "x"}]}, "不在套餐里"),
        (
            {"items": [{"item": "item_a", "why": "x", "after": ["item_b"]}, {"item": "item_b", "why": "x", "after": ["item_a"]}]},
            "互相等待",
        ),
        ({"items": [{"item": "item_a", "why": "x", "when": "nobody == 'y'"}, {"item": "item_b", "why": "x"}]}, "没有的问题 nobody"),
        ({"items": [{"item": "item_a", "why": "x"}, {"item": "item_b", "why": "x", "brings": {"m": "item_a"}}]}, "应先列在 after"),
    ],
)  # fmt: skip
def test_a_bad_declaration_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadPackage, match=words):
        good(**changes)


def test_a_package_is_held_against_its_items() -> None:
    package = good(promised_days=2)
    items = {
        "born": Item("born", "出生登记", promised_days=2),
        "insured": Item("insured", "参保", ("entity",), form="", situations=(Situation("who"),)),
    }
    told = list(faults(package, items, frozenset({"wj"}), frozenset()))
    assert "事项“参保”不面向个人" in told
    assert "事项“参保”不能在线办理" in told
    assert "承诺 2 个工作日，短于最长一条办理链的 3 个工作日" in told
    assert "事项 insured 没有发布，或已停办" in list(
        faults(package, {"born": items["born"]}, frozenset({"wj"}), frozenset())
    )
    assert chain_days(package.members, {"born": 0, "insured": 0}) == 2


def step(item: str, stands: str, *after: str, alone: bool = False) -> Step:
    return Step(item, item.upper(), after, alone, stands)


def test_what_waits_begins_ends_or_waits_on() -> None:
    assert moves([step("a", "open"), step("b", "waits", "a")]) == []
    assert moves([step("a", "done"), step("b", "waits", "a")]) == [Move("b", True)]
    (ended,) = moves([step("a", "failed"), step("b", "waits", "a")])
    assert not ended.begin
    assert "“A”没有办成" in ended.why
    assert moves([step("a", "failed"), step("b", "waits", "a", alone=True)]) == [Move("b", True)]
    # Of two forerunners one has failed: it is not waited for the other.
    rows = [step("a", "open"), step("b", "failed"), step("c", "waits", "a", "b")]
    assert [m.begin for m in moves(rows)] == [False]
    assert moves([step("b", "waits", "gone")]) == [Move("b", True)]


@pytest.mark.parametrize(
    ("stood", "ends"),
    [
        (("done", "open"), None),
        (("done", "waits"), None),
        (("done", "done"), "all"),
        (("done", "failed"), "some"),
        (("failed", "ended"), "none"),
    ],
)
def test_how_a_package_ends(stood: tuple[str, str], ends: str | None) -> None:
    assert outcome([step("a", stood[0]), step("b", stood[1])]) == ends
