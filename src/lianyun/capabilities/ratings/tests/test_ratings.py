"""Ratings: once, by the applicant only, after the end; a bad one is worked on and called back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.ratings import actions, queries, rules
from lianyun.capabilities.ratings.models import Rating
from lianyun.kernel import case as cases
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.models import Case, Party
from lianyun.kernel.party import department

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


@pytest.fixture
def citizen(city: None) -> Actor:
    return actor_of(Party.objects.create(kind="person", name="张三丰"))


@pytest.fixture
def closed(citizen: Actor) -> Case:
    return matter(citizen)


def matter(citizen: Actor, *, end: bool = True) -> Case:
    case = cases.open_case(
        "item_instant",
        title="高龄津贴",
        subject="item:senior_allowance",
        applicant=citizen.party,
        department=department("mz"),
        data={"item": "senior_allowance"},
        by=SYSTEM,
    )
    return (
        cases.step(case.items.get(done_at=None), "refuse", note="不满年龄", by=SYSTEM)
        if end
        else case
    )


def rate(case: Case, level: str, by: Actor, **more: Any) -> Rating:
    return actions.rate_case(case, level, channel="mobile", by=by, **more)


def test_only_the_applicant_rates_and_only_once(
    closed: Case, citizen: Actor, officer: Officer
) -> None:
    other = actor_of(Party.objects.create(kind="person", name="李四"))
    for stranger in (other, officer("mz", "approver"), officer("zwb", "supervisor"), ANONYMOUS):
        with pytest.raises(Denied):
            rate(closed, "1", stranger)
        with pytest.raises(Denied):
            queries.own_case(stranger, closed.code)
    with pytest.raises(UserError, match="满意等级"):
        rate(closed, "6", citizen)
    made = rate(closed, "1", citizen, tags=["态度好", "不存在的选项"], text="很快")
    assert made.tags == ["态度好"]
    assert made.rework is None
    with pytest.raises(UserError, match="一事一评"):
        rate(closed, "5", citizen)
    assert queries.to_rate(citizen) == []


def test_nobody_rates_before_the_end(citizen: Actor) -> None:
    case = matter(citizen, end=False)
    with pytest.raises(UserError, match="办结后"):
        rate(case, "1", citizen)


def test_a_bad_rating_is_worked_on_until_the_person_is_called(
    closed: Case, citizen: Actor, officer: Officer
) -> None:
    clerk, other = officer("mz", "approver"), officer("ga", "approver")
    made = rate(closed, "5", citizen, text="等了三天")
    assert made.rework is not None
    with pytest.raises(Denied):
        queries.rating_of(other, made.pk)
    with pytest.raises(UserError, match="整改完成后"):
        actions.call_back(made, reached=True, satisfied=True, note="好", by=clerk)
    actions.work(made, "verify", "confirmed", note="", by=clerk)
    with pytest.raises(UserError, match="看最新情况"):
        actions.work(made, "verify", "confirmed", note="", by=clerk)
    with pytest.raises(UserError, match="理由"):
        actions.work(made, "rectify", "done", note="", by=clerk)
    actions.work(made, "rectify", "done", note="增开窗口", by=clerk)
    with pytest.raises(UserError, match="登记回访"):
        actions.work(made, "call_back", "satisfied", note="x", by=clerk)
    with pytest.raises(UserError, match="是否满意"):
        actions.call_back(made, reached=True, satisfied=None, note="接通", by=clerk)
    actions.call_back(made, reached=False, satisfied=None, note="无人接听", by=clerk)
    actions.call_back(made, reached=True, satisfied=False, note="还要等", by=clerk)
    actions.work(made, "rectify_again", "done", note="错峰叫号", by=clerk)
    actions.call_back(made, reached=True, satisfied=True, note="满意", by=clerk)
    made.rework.refresh_from_db()
    assert made.rework.outcome == "reworked"
    assert [c.reached for c in queries.calls(clerk, made)] == [False, True, True]
    assert queries.whole(clerk).in_time == 1


def test_an_upheld_appeal_takes_the_rating_out_of_the_score(
    closed: Case, citizen: Actor, officer: Officer
) -> None:
    clerk, judge = officer("mz", "approver"), officer("zwb", "supervisor")
    made = rate(closed, "4", citizen)
    assert queries.whole(clerk).bad == 1
    actions.work(made, "verify", "appeal", note="点错了等级", by=clerk)
    with pytest.raises(Denied):
        actions.work(made, "review", "uphold", note="属实", by=clerk)
    actions.work(made, "review", "uphold", note="本人确认点错", by=judge)
    assert queries.whole(clerk).bad == 0
    assert queries.by_department(judge) == []


def test_a_visits_code_works_once(city: None, officer: Officer) -> None:
    clerk = officer("zwb", "window_clerk")
    assert clerk.department is not None
    visit, code = actions.open_visit(clerk.department, window="A12", by=clerk)
    assert code not in str(visit.__dict__)
    with pytest.raises(UserError, match="不存在"):
        actions.rate_visit("AAAAAAAAAA", "1", channel="qr", by=ANONYMOUS)
    made = actions.rate_visit(code.lower(), "2", channel="qr", by=ANONYMOUS)
    assert made.window == "A12"
    with pytest.raises(UserError, match="一次一评"):
        actions.rate_visit(code, "1", channel="qr", by=ANONYMOUS)
    assert queries.visit_of(ANONYMOUS, code) is None


def test_scores_are_counted_as_they_say() -> None:
    counts = Counter({1: 6, 3: 2, 4: 1, 5: 1})
    assert rules.satisfaction(counts) == 0.8
    assert rules.score(counts) == (600 + 120 + 30) / 10
    assert rules.satisfaction(Counter()) is None
    assert rules.called_back(False, None, 1, 3) == ""
    assert rules.called_back(False, None, 2, 3) == "unreached"
    known = {"good": ["好"], "bad": ["坏"]}
    with pytest.raises(rules.BadRating):
        rules.told("1", [], "长" * 501, known)
    assert rules.told("5", ["好", "坏"], "", known).tags == ("坏",)
