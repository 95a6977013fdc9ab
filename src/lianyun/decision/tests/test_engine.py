"""Engine: a matter's opening is made once for all matters of a text, and each goes on by itself."""

from __future__ import annotations

import json
from typing import Any

from lianyun.decision.compiled import compile_path
from lianyun.decision.engine import Running, _opening


def work(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "permission": "x.do", **more}


def text(key: str, steps: list[dict[str, Any]]) -> str:
    return compile_path(key, key, steps)


def begun(bpmn: str, key: str, data: dict[str, Any] | None = None) -> Running:
    running = Running(bpmn, key, data or {})
    assert running.ready() == []
    running.go()
    return running


def names(running: Running) -> list[str]:
    return sorted(str(t.task_spec.bpmn_id) for t in running.ready())


TWO = [work("take"), {"id": "both", "parallel": [[work("plan")], [work("fire")]]}, work("end")]


def test_matters_share_their_opening_and_go_on_by_themselves() -> None:
    bpmn = text("share", TWO)
    one, other = begun(bpmn, "share"), begun(bpmn, "share")
    assert names(one) == names(other) == ["take"]
    assert one.state == other.state
    assert one.ended is None
    one.run(one.ready()[0], "done")
    one.go()
    assert names(one) == ["fire", "plan"]
    assert names(other) == ["take"], "what one does moves no other"
    again = Running(bpmn, "share", {}, other.state)
    assert names(again) == ["take"]
    again.run(again.ready()[0], "done")
    again.go()
    assert names(again) == ["fire", "plan"]
    assert names(begun(bpmn, "share")) == ["take"]


def test_an_opening_is_what_the_engine_itself_makes() -> None:
    bpmn = text("same", TWO)
    shared = json.loads(begun(bpmn, "same").state)
    fresh = Running(bpmn, "same", {})
    fresh.flow.do_engine_steps()
    own = json.loads(fresh.state)

    def shape(state: dict[str, Any]) -> list[tuple[str, int]]:
        return [(t["task_spec"], t["state"]) for t in state["tasks"].values()]

    assert shape(shared) == shape(own)


def test_where_a_condition_comes_first_each_matter_finds_its_own_way() -> None:
    steps = [
        {"id": "way", "choose": [{"when": "size > 3", "go": "big"}, {"go": "small"}]},
        work("big", outcomes={"done": {"title": "完成", "end": "big"}}),
        work("small"),
    ]
    bpmn = text("choice", steps)
    assert _opening(bpmn, "choice") is None
    assert names(begun(bpmn, "choice", {"size": 5})) == ["big"]
    assert names(begun(bpmn, "choice", {"size": 1})) == ["small"]


def test_tables_and_systems_are_asked_anew_for_each_matter() -> None:
    table = text("table", [{"id": "rule", "title": "规则", "decide": "x"}, work("take")])
    waits = text(
        "waits", [{"id": "ask", "title": "等候", "wait": {"message": "answer"}}, work("take")]
    )
    for bpmn, key in ((table, "table"), (waits, "waits")):
        assert _opening(bpmn, key) is None
        assert len(names(begun(bpmn, key))) == 1
