"""Flows: tables on the way, many departments at once, messages, timers, sub-paths, versions, verbs."""

import datetime as dt

import pytest
import time_machine

from lianyun.decision import compile_decision
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.kernel.case import (
    Case,
    WorkItem,
    claim,
    due_timers,
    fire,
    hand_over,
    migrate,
    open_case,
    receive,
    replay,
    resume,
    step,
    suspend,
    urge,
    withdraw,
)
from lianyun.kernel.event import timeline
from lianyun.kernel.party import Party
from lianyun.kernel.path import BadPath, Decision, compile_path, declare, declare_decision

from .conftest import officer

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2024, 11, 4, 2, tzinfo=dt.UTC)


def work(ident: str, **more: object) -> dict:
    return {"id": ident, "title": ident, "permission": "x.do", **more}


def begin(key: str, steps: list, giver: Party, others: dict | None = None, **data: object) -> Case:
    declare(key, key, compile_path(key, key, steps, others))
    return open_case(key, title="一号", department=giver, applicant=giver, data=data, by=SYSTEM)


def waiting(case: Case) -> list[str]:
    return sorted(case.items.filter(done_at=None).values_list("step", flat=True))


def item(case: Case, name: str, **more: object) -> WorkItem:
    return case.items.get(step=name, done_at=None, **more)


def kinds(case: Case) -> list[str]:
    return [e.kind.removeprefix("case.") for e in timeline(case)]


def test_a_table_decides_and_says_by_which_rule(giver: Party) -> None:
    table = {
        "title": "审批",
        "policy": "U",
        "inputs": [{"name": "emission", "type": "number"}],
        "outputs": [{"name": "result", "values": ["granted", "refused"]}],
        "rules": [
            {"when": [">= 4"], "then": "granted", "note": "国四以上"},
            {"when": ["[2..3]"], "then": "refused"},
            {"when": ["3"], "then": "granted"},
        ],
    }
    declare_decision("smart", "审批", compile_decision("smart", table))
    steps = [
        {"id": "judge", "title": "判定", "decide": "= table"},
        {
            "id": "way",
            "choose": [{"when": "verdict.result == 'granted'", "end": "granted"}, {"go": "look"}],
        },
        work("look"),
    ]
    case = begin("smart_path", steps, giver, table="smart", facts={"emission": 5})
    assert (case.state, case.outcome) == (Case.CLOSED, "granted")
    assert case.data["decided"]["rules"] == ["smart_1"]
    assert case.data["decided"]["annotations"] == ["国四以上"]
    assert kinds(case) == ["opened", "decided", "closed"]
    assert [e.kind for e, _ in replay(case)] == ["case.opened", "case.decided", "case.closed"]
    for table_key, emission, message in (
        ("smart", 3, "同时命中"),
        ("nowhere", 5, "没有名为"),
    ):
        doubtful = begin("smart_path", steps, giver, table=table_key, facts={"emission": emission})
        assert waiting(doubtful) == ["look"], "what no table answers goes to a person"
        assert message in doubtful.data["decided"]["error"]
    assert waiting(begin("smart_path", steps, giver, table="smart")) == ["look"]


def test_the_rules_of_the_day_a_case_began_judge_it_to_its_end(giver: Party) -> None:
    def limit(least: int, **more: str) -> int:
        table = {
            "title": "限值",
            "policy": "F",
            "inputs": [{"name": "emission", "type": "number"}],
            "outputs": [{"name": "result"}],
            "rules": [{"when": [f">= {least}"], "then": "good"}, {"when": ["-"], "then": "bad"}],
        }
        return declare_decision("limit", "限值", compile_decision("limit", table), more).version

    def asked(case: Case) -> tuple[int, str]:
        row = Case.objects.get(pk=case.pk)
        return row.data["decided"]["version"], row.data["verdict"]["result"]

    def again(case: Case, name: str) -> None:
        step(item(case, name), by=SYSTEM)

    steps = [
        work("take"),
        {"id": "judge", "title": "判定", "decide": "limit"},
        work("look", outcomes={"done": {"title": "再判", "go": "judge"}}),
    ]
    assert limit(5) == 1
    early = begin("rules_path", steps, giver, emission=4)
    assert limit(4) == 2
    late = begin("rules_path", steps, giver, emission=4)
    for case in (early, late):
        again(case, "take")
    assert (asked(early), asked(late)) == ((1, "bad"), (2, "good"))
    again(early, "look")
    assert asked(early) == (1, "bad"), "asked again by the same rules"
    # A version that says on which ground it applies to what runs already does so.
    assert limit(3, also_running="立法法第一百零四条但书") == 3
    again(early, "look")
    assert asked(early) == (3, "good")
    assert limit(9) == 4
    again(early, "look")
    assert asked(early) == (3, "good")
    # A case that began before there was any table is judged by the first.
    Case.objects.filter(pk=late.pk).update(opened_at=NOW, data={"emission": 4})
    Decision.objects.filter(version=3).update(data={})
    again(late, "look")
    assert asked(late) == (1, "bad")


def test_departments_answer_at_once_and_join(giver: Party, asker: Party) -> None:
    steps = [
        work(
            "opinions",
            each="departments",
            department="each",
            outcomes={"agree": {"title": "同意"}, "object": {"title": "不同意", "reason": True}},
        ),
        {
            "id": "way",
            "choose": [{"when": "opinions.object > 0", "go": "talk"}, {"end": "granted"}],
        },
        work("talk", outcomes={"again": {"title": "重新征求", "go": "opinions"}}),
    ]
    slugs = [giver.slug, asker.slug]
    case = begin("joint_path", steps, giver, departments=slugs)
    both = {i.department.slug: i for i in case.items.all()}
    assert sorted(both) == sorted(slugs)
    step(both[asker.slug], "object", note="缺图纸", by=SYSTEM)
    case = step(both[giver.slug], "agree", by=SYSTEM)
    assert waiting(case) == ["talk"]
    result = case.data["opinions"]
    assert (result["total"], result["agree"], result["object"]) == (2, 1, 1)
    assert [(a["department"], a["note"]) for a in result["answers"]] == [
        (asker.slug, "缺图纸"),
        (giver.slug, ""),
    ]
    case = step(item(case, "talk"), "again", by=SYSTEM)
    assert case.data["opinions"]["answers"] == [], "a new round begins at nought"
    for row in case.items.filter(done_at=None):
        case = step(row, "agree", by=SYSTEM)
    assert case.outcome == "granted"
    assert replay(case)[-1][0].kind == "case.closed"
    assert begin("joint_path", steps, giver, departments=[]).outcome == "granted"
    with pytest.raises(BadPath, match="choose"):
        compile_path("p", "P", [work("a", each="x", outcomes={"o": {"title": "o", "end": "z"}})])


def test_sub_processes_and_sub_paths_for_each(giver: Party, asker: Party) -> None:
    inner = [
        work("read", department="each"),
        work("sign", department="each", outcomes={"yes": {"title": "是"}, "no": {"title": "否"}}),
    ]
    steps = [
        {"id": "all", "title": "会签", "each": "departments", "steps": inner},
        {"id": "check", "title": "复核", "use": "checking"},
        work("last"),
    ]
    others = {"checking": {"title": "复核", "steps": [work("check_a"), work("check_b")]}}
    case = begin("subs", steps, giver, others, departments=[giver.slug, {"department": asker.slug}])
    assert waiting(case) == ["read", "read"]
    step(item(case, "read", department=asker), by=SYSTEM)
    step(item(case, "sign", department=asker), "yes", by=SYSTEM)
    assert waiting(case) == ["read"]
    step(item(case, "read"), by=SYSTEM)
    case = step(item(case, "sign"), "no", by=SYSTEM)
    assert (case.data["sign"]["yes"], case.data["sign"]["no"]) == (1, 1)
    for name in ("check_a", "check_b", "last"):
        assert waiting(case) == [name]
        case = step(item(case, name), by=SYSTEM)
    assert case.state == Case.CLOSED
    with pytest.raises(BadPath, match="子流程"):
        compile_path("p", "P", steps)


def test_only_the_branches_that_apply(giver: Party) -> None:
    steps = [
        {
            "id": "some",
            "inclusive": [
                {"when": "fire", "steps": [work("fire"), work("fire2")]},
                {"when": "water", "steps": [work("water")]},
            ],
        },
        work("after"),
    ]
    case = begin("inclusive", steps, giver, fire=True, water=True)
    assert waiting(case) == ["fire", "water"]
    step(item(case, "water"), by=SYSTEM)
    step(item(case, "fire"), by=SYSTEM)
    assert waiting(case) == ["fire2"]
    step(item(case, "fire2"), by=SYSTEM)
    assert waiting(case) == ["after"]
    assert waiting(begin("inclusive", steps, giver, water=True)) == ["water"]
    assert waiting(begin("inclusive", steps, giver)) == ["after"]


def test_answers_of_systems_in_any_order_and_twice(giver: Party) -> None:
    outcomes = {"yes": {"title": "已登记"}, "no": {"title": "不予登记", "end": "refused"}}
    steps = [
        {"id": "first", "title": "等工商", "wait": {"message": "registry"}, "outcomes": outcomes},
        {"id": "second", "title": "等税务", "wait": {"message": "tax"}, "days": 2},
        work("last"),
    ]
    case = begin("systems", steps, giver)
    assert receive(case, "tax", {"number": "T1"}, once="t-1") is False, "kept: too early"
    assert receive(case, "tax", {"number": "T2"}, once="t-1") is False, "the same again"
    with pytest.raises(UserError, match="自动继续"):
        step(item(case, "first"), by=SYSTEM)
    with pytest.raises(UserError, match="不接收"):
        receive(case, "gossip", by=SYSTEM)
    assert receive(case, "registry", {"code": "91"}, once="r-1", outcome="yes") is True
    case.refresh_from_db()
    assert waiting(case) == ["last"]
    assert case.data["second"] == {"number": "T1", "outcome": "done"}
    assert case.data["first"]["code"] == "91"
    assert kinds(case).count("answered") == 2
    assert receive(case, "tax", {"number": "T9"}, once="t-9") is False, (
        "late: kept, changes nothing"
    )
    assert [k for k in kinds(case) if k == "answer_kept"] == ["answer_kept"] * 2
    assert replay(case)[-1][1] == []
    paused = begin("systems", steps, giver)
    suspend(paused, article="第四十五条", reason="听证", by=SYSTEM)
    assert receive(paused, "registry", once="r-2", outcome="no") is False
    resume(paused, by=SYSTEM)
    paused.refresh_from_db()
    assert paused.outcome == "refused"


def test_working_days_pass(giver: Party) -> None:
    steps = [
        work("supplement", days="told", timer={"days": "told", "end": "expired"}),
        {"id": "notice", "title": "公示", "timer": {"days": 3}},
        work("decide"),
    ]
    with time_machine.travel(NOW, tick=False):
        case = begin("timers", steps, giver, told=5)
        late = begin("timers", steps, giver, told=5)
        rests = begin("timers", steps, giver, told=5)
        assert item(case, "supplement").fires_on == dt.date(2024, 11, 11)
        assert item(case, "supplement").due_on == dt.date(2024, 11, 11)
        step(item(case, "supplement"), by=SYSTEM)
        notice = item(case, "notice")
        assert notice.due_on == dt.date(2024, 11, 7)
        assert fire(notice) is False
        suspend(rests, article="第四十五条", reason="听证", by=SYSTEM)
    with time_machine.travel(NOW + dt.timedelta(days=4), tick=False):
        assert [i.pk for i in due_timers()] == [notice.pk], "the day itself is still theirs"
        assert fire(notice) is True
        assert fire(notice) is False
        assert waiting(case) == ["decide"]
    with time_machine.travel(NOW + dt.timedelta(days=14), tick=False):
        (due,) = due_timers()
        assert due.case_id == late.pk
        assert fire(due) is True
        late.refresh_from_db()
        assert (late.state, late.outcome) == (Case.CLOSED, "expired")
        assert late.items.get().outcome == "timed_out"
        assert replay(late)[-1][0].kind == "case.closed"
        resume(rests, by=SYSTEM)
        assert item(rests, "supplement").fires_on == dt.date(2024, 11, 25)


def test_claimed_handed_over_urged(giver: Party, asker: Party) -> None:
    case = begin(
        "desk", [work("a", department="provider"), work("b", final=True), work("c")], giver
    )
    one, two = officer("甲", giver, "x.do"), officer("乙", giver, "x.do")
    stranger = officer("丙", asker, "x.do")
    row = item(case, "a")
    with pytest.raises(Denied):
        claim(row, by=stranger)
    claim(row, by=one)
    claim(row, by=one)
    with pytest.raises(UserError, match="已由甲认领"):
        claim(row, by=two)
    with pytest.raises(UserError, match="已由甲认领"):
        step(row, by=two)
    urge(row, "尽快", by=two)
    with pytest.raises(UserError, match="理由"):
        hand_over(row, None, " ", by=one)
    hand_over(row, None, "休假", by=one)
    claim(row, by=two)
    step(row, by=two)
    assert kinds(case) == ["opened", "claimed", "urged", "handed_over", "claimed", "stepped"]
    other = begin("desk", [work("a"), work("b", final=True), work("c")], giver)
    with pytest.raises(UserError, match="理由"):
        withdraw(other, "", by=SYSTEM)
    other = withdraw(other, "不办了", by=SYSTEM)
    assert (other.state, other.outcome, waiting(other)) == (Case.CLOSED, "withdrawn", [])
    with pytest.raises(UserError, match="办结"):
        withdraw(other, "再撤", by=SYSTEM)
    step(item(case, "b"), by=SYSTEM)
    with pytest.raises(UserError, match="已经作出决定"):
        withdraw(case, "不办了", by=SYSTEM)


def test_a_running_case_moves_to_a_new_version(giver: Party) -> None:
    old = [
        work("take"),
        {"id": "both", "parallel": [[work("left")], [work("right")]]},
        work("decide", days=3),
    ]
    case = begin("moving", old, giver)
    step(item(case, "take"), by=SYSTEM)
    step(item(case, "left"), by=SYSTEM)
    named = [
        work("take"),
        {"id": "both", "parallel": [[work("left")], [work("right_hand")]]},
        work("review"),
        work("decide", days=9, outcomes={"y": {"title": "y"}, "n": {"title": "n", "end": "no"}}),
    ]
    second = declare("moving", "moving", compile_path("moving", "moving", named))
    other = declare("moving", "moving", compile_path("moving", "moving", [work("take")]))
    with pytest.raises(UserError, match="不能迁移"):
        migrate(case, other.version, reason="法律修改", by=SYSTEM)
    with pytest.raises(UserError, match="right"):
        migrate(case, second.version, reason="法律修改", by=SYSTEM)
    migrate(case, second.version, reason="法律修改", steps={"right": "right_hand"}, by=SYSTEM)
    case.refresh_from_db()
    assert case.path.version == second.version
    step(item(case, "right_hand"), by=SYSTEM)
    assert waiting(case) == ["review"], "the join holds, and the new step is met"
    step(item(case, "review"), by=SYSTEM)
    case = step(item(case, "decide"), "n", by=SYSTEM)
    assert case.outcome == "no"
    event = timeline(case).get(kind="case.migrated")
    assert event.data == {
        "from": 1,
        "to": second.version,
        "reason": "法律修改",
        "steps": {"right": "right_hand"},
    }
    with pytest.raises(BadPath, match="迁移"):
        replay(case)
