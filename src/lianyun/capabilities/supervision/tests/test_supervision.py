"""Supervision: lamps of all departments, rules that speak once, urging with an answer, cards decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from lianyun.capabilities.supervision import actions, queries, rules
from lianyun.capabilities.supervision.models import Tally
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, WorkItem
from lianyun.kernel.party import department

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def late(slug: str, days: int) -> WorkItem:
    """A step of an application that is overdue by some calendar days."""
    case = cases.open_case(
        "item_promised",
        title=f"事项（{slug}）",
        subject="item:freight_permit",
        department=department(slug),
        data={"item": "freight_permit", "promised_days": 3, "legal_days": 20},
        by=SYSTEM,
    )
    row = case.items.get(done_at=None)
    WorkItem.objects.filter(pk=row.pk).update(due_on=timezone.localdate() - dt.timedelta(days=days))
    return WorkItem.objects.select_related("case__path", "department").get(pk=row.pk)


@pytest.fixture
def watcher(officer: Officer) -> Actor:
    return officer("zwb", "supervisor", name="孙监察")


def test_the_rules_speak_once_a_step(watcher: Actor) -> None:
    late("ga", 30)
    told = actions.watch()
    assert told == {"urge": 1, "yellow": 1, "red": 1}
    assert actions.watch() == {"urge": 0, "yellow": 0, "red": 0}
    line = queries.board(watcher)[0]
    assert (str(line.department.slug), line.red, line.urges) == ("ga", 1, 1)
    assert (line.yellow_cards, line.red_cards) == (1, 1)


def test_an_urge_is_answered_and_confirmed(watcher: Actor, officer: Officer) -> None:
    item = late("ga", 3)
    clerk, other = officer("ga", "approver"), officer("mz", "approver")
    with pytest.raises(Denied):
        actions.urge(item, "请说明", by=clerk)
    with pytest.raises(UserError, match="督办内容"):
        actions.urge(item, " ", by=watcher)
    case = actions.urge(item, "请说明原因", by=watcher)
    with pytest.raises(UserError, match="已经督办过"):
        actions.urge(item, "再催", by=watcher)
    with pytest.raises(Denied):
        queries.matter_of(other, case.code)
    with pytest.raises(Denied):
        actions.work(case, "answer", "answer", note="马上办", by=other)
    with pytest.raises(UserError, match="理由"):
        actions.work(case, "answer", "answer", note="", by=clerk)
    actions.work(case, "answer", "answer", note="人手不足", by=clerk)
    with pytest.raises(UserError, match="看最新情况"):
        actions.work(case, "answer", "answer", note="再答", by=clerk)
    actions.work(case, "confirm", "return", note="没有办结日期", by=watcher)
    actions.work(case, "answer_again", "answer", note="周五办结", by=clerk)
    actions.work(case, "confirm_again", "card", note="仍未办结", by=watcher)
    card = Case.objects.get(path__key=queries.CARD_PATH, subject=item.case.ref)
    assert card.data["does"] == rules.YELLOW


def test_a_card_is_decided_objected_and_withdrawn(watcher: Actor, officer: Officer) -> None:
    item, clerk = late("mz", 5), officer("mz", "approver")
    card = actions.propose_card(item, rules.YELLOW, "三次退回", by=watcher)
    actions.work(card, "decide", "issue", note="事实清楚", by=watcher)
    actions.work(card, "rectify", "object", note="系统停机所致", by=clerk)
    with pytest.raises(Denied):
        actions.work(card, "review", "uphold", note="x", by=clerk)
    done = actions.work(card, "review", "uphold", note="停机属实", by=watcher)
    assert done.outcome == "withdrawn_card"
    with pytest.raises(UserError, match="办结"):
        actions.work(card, "confirm", "accept", note="", by=watcher)


def test_a_department_sees_its_own_and_the_loop_is_whole(watcher: Actor, officer: Officer) -> None:
    item = late("ga", 5)
    actions.urge(item, "请办", by=watcher)
    assert queries.board(officer("mz", "approver")) == []
    loop = queries.loop(watcher, "freight_permit")
    assert dict(loop.duty)["责任部门"] == str(department("ga"))
    assert dict(loop.standard)["承诺时限"] == "3 个工作日"
    receive = loop.nodes[0]
    assert (receive.open, receive.red, receive.done) == (1, 1, 0)
    assert (loop.urges, loop.cards) == (1, 0)
    with pytest.raises(Denied):
        queries.loop(officer("mz", "approver"), "freight_permit")


def test_four_areas_are_told_apart(watcher: Actor) -> None:
    late("mz", 5)
    welfare = late("mz", 5)
    Case.objects.filter(pk=welfare.case_id).update(subject="item:senior_allowance")
    cases.open_case(
        "rating_rework", title="差评整改：某事", subject="rating:1", department=department("ga"),
        data={"level": 5}, by=SYSTEM,
    )  # fmt: skip
    told = {a.title: (count, red) for a, count, red in queries.by_area(watcher)}
    assert told == {
        "政务服务": (2, 2), "投诉咨询": (1, 0), "重大项目": (0, 0), "民生资金": (1, 1),
    }  # fmt: skip
    assert [x.red for x in queries.board(watcher, "welfare")] == [1]
    assert queries.watched(watcher).count() == 3
    with pytest.raises(ValueError, match="nothing"):
        rules.areas([{"code": "nothing", "title": "?", "what": "?"}])


def test_declared_rules_are_read_and_chosen() -> None:
    known = rules.read(queries.settings()["rules"])
    assert [r.code for r in rules.called_for(known, 3)] == ["JC-01", "JC-02"]
    assert rules.by_hand(known, rules.RED).code == "JC-06"
    with pytest.raises(ValueError, match="JC-99"):
        rules.read([{"code": "JC-99", "title": "?", "does": "shout"}])


def test_a_day_that_has_passed_is_counted_once(watcher: Actor) -> None:
    now = timezone.now()
    for days, due in ((2, 1), (2, 3), (0, 0)):  # finished so many days ago, due so many days ago
        item = late("ga", due)
        WorkItem.objects.filter(pk=item.pk).update(done_at=now - dt.timedelta(days=days))
    before = queries.board(watcher)[0]
    assert (before.done, before.in_time) == (3, 2)
    assert actions.count_up(by=SYSTEM) == 1
    assert actions.count_up(by=SYSTEM) == 0
    assert Tally.objects.filter(area="").get().done == 2
    after = queries.board(watcher)[0]
    assert (after.done, after.in_time) == (3, 2)
    assert queries.board(watcher, "welfare") == []
    ((code, _, count),) = queries.item_codes(watcher)
    assert (code, count) == ("freight_permit", 3)
