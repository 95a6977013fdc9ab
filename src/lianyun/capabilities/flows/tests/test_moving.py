"""Moving: running cases go to a new version on record, those that cannot are named; timers fire."""

import datetime as dt

import pytest
import time_machine

from lianyun.capabilities.flows import actions, jobs, queries
from lianyun.decision import compile_decision
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.case import Case, open_case, step
from lianyun.kernel.event import timeline
from lianyun.kernel.path import compile_path, current, declare, declare_decision, judging

pytestmark = pytest.mark.django_db


def work(ident: str, **more: object) -> dict:
    return {"id": ident, "title": ident, "permission": "x.do", **more}


def test_running_cases_move_or_say_why_not() -> None:
    declare("way", "某流程", compile_path("way", "某流程", [work("a"), work("b"), work("c")]))
    early = open_case("way", title="早", by=SYSTEM)
    late = open_case("way", title="晚", by=SYSTEM)
    step(late.items.get(), by=SYSTEM)
    with pytest.raises(UserError, match="没有需要迁移"):
        actions.move_cases("way", 1, reason="改", by=SYSTEM)
    newer = [work("a"), work("look"), work("c")]
    declare("way", "某流程", compile_path("way", "某流程", newer))
    with pytest.raises(Denied):
        actions.move_cases("way", 1, reason="改", by=Actor())
    moved = actions.move_cases("way", 1, reason="规定修改", by=SYSTEM)
    assert (moved.done, moved.left) == (1, 1)
    assert moved.failed[0][0] == late.code
    assert "b" in moved.failed[0][1]
    early.refresh_from_db()
    assert early.path.version == 2
    assert timeline(current("way")).get().data["done"] == 1
    again = actions.move_cases("way", 1, reason="规定修改", steps={"b": "look"}, by=SYSTEM)
    assert (again.done, again.left) == (1, 0)
    assert [v.running for v in queries.versions("way", SYSTEM)] == [2, 0]
    case = step(late.items.get(done_at=None), by=SYSTEM)
    assert case.items.get(done_at=None).step == "c"


def test_running_cases_are_put_onto_the_newest_rules_on_record() -> None:
    def rule(least: int) -> None:
        table = {
            "title": "规则",
            "inputs": [{"name": "age", "type": "number"}],
            "outputs": [{"name": "result"}],
            "rules": [{"when": [f">= {least}"], "then": "good"}],
        }
        declare_decision("rule", "规则", compile_decision("rule", table))

    steps = [work("a"), {"id": "j", "title": "判", "decide": "= table"}, work("b")]
    declare("way", "某流程", compile_path("way", "某流程", steps))
    rule(80)
    early = open_case("way", title="早", data={"table": "rule", "age": 75}, by=SYSTEM)
    open_case("way", title="别的表", data={"table": "other"}, by=SYSTEM)
    rule(70)
    open_case("way", title="晚", data={"table": "rule", "age": 75}, by=SYSTEM)
    assert queries.judged("rule", SYSTEM) == {1: 1, 2: 1}
    found = judging("rule", early.opened_at)
    assert found is not None
    assert found.version == 1
    with pytest.raises(Denied):
        actions.move_to_newest_table("rule", reason="改", by=Actor())
    with pytest.raises(UserError, match="理由"):
        actions.move_to_newest_table("rule", reason=" ", by=SYSTEM)
    assert actions.move_to_newest_table("rule", reason="规定明确溯及", by=SYSTEM).done == 1
    with pytest.raises(UserError, match="没有按旧规则"):
        actions.move_to_newest_table("rule", reason="再来", by=SYSTEM)
    moved = timeline(early).get(kind="case.rules_changed").data
    assert (moved["from"], moved["to"], moved["reason"]) == (1, 2, "规定明确溯及")
    case = step(early.items.get(done_at=None), by=SYSTEM)
    assert case.data["verdict"] == {"result": "good"}


def test_the_job_fires_what_is_due_and_one_fault_stops_nobody() -> None:
    steps = [work("wait", timer={"days": 1, "go": "on"}), work("on", days="limit")]
    declare("slow", "慢", compile_path("slow", "慢", steps))
    with time_machine.travel(dt.datetime(2024, 11, 4, 2, tzinfo=dt.UTC), tick=False):
        broken = open_case("slow", title="坏", data={"limit": "很多"}, by=SYSTEM)
        good = open_case("slow", title="好", data={"limit": 2}, by=SYSTEM)
        assert jobs.timers() == 0
    with time_machine.travel(dt.datetime(2024, 11, 8, 2, tzinfo=dt.UTC), tick=False):
        assert jobs.timers() == 1
        assert [i.step for i in good.items.filter(done_at=None)] == ["on"]
        assert [i.step for i in broken.items.filter(done_at=None)] == ["wait"], "stays due"
        assert jobs.timers() == 0
        assert Case.objects.get(pk=broken.pk).state == Case.OPEN
