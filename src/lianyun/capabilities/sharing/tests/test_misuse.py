"""Misuse: found, verified, suspended, put right or not, restored or ended; and what ends is disposed of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.sharing import actions, api, queries, rules
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, Grant, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]
SEEN = {"summary": "凌晨按号码顺序查询 3,000 人", "hours": "01:00 至 04:00", "people": 3000}


@dataclass
class People:
    """Who acts, and the grant it is about."""

    asker: Actor
    asker_head: Actor
    provider: Actor
    provider_head: Actor
    bureau: Actor
    grant: Grant


def do(case: Case, step: str, outcome: str, by: Actor, note: str = "", **data: object) -> Case:
    item = case.items.get(step=step, done_at=None)
    return actions.do_step(item=item, outcome=outcome, note=note, data=data, by=by)


@pytest.fixture
def people(residents: Resource, officer: Officer) -> People:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    wanted = rules.Request(
        basis="《社会救助暂行办法》第十二条",
        scene="低保申请家庭成员核对",
        purpose="低保核对",
        fields=("citizen_number", "name"),
        until=timezone.localdate() + dt.timedelta(days=300),
    )
    case = actions.request_share(resource=residents, request=wanted, by=asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    grant = Grant.objects.get(case=case)
    return People(
        asker, asker_head, provider, provider_head, officer("sjj", "bureau_operator"), grant
    )


def test_from_the_clue_to_the_end(people: People, officer: Officer) -> None:
    grant = people.grant
    with pytest.raises(Denied):
        api.open_misuse(grant=grant, evidence=SEEN, by=people.asker)
    with pytest.raises(UserError, match="一句话"):
        api.open_misuse(grant=grant, evidence={"people": 3}, by=people.bureau)
    case = api.open_misuse(grant=grant, evidence=SEEN, by=people.provider)
    assert api.open_misuse(grant=grant, evidence=SEEN, by=people.bureau) == case, "told twice"
    more = {"summary": "同一天又导出全部字段", "rows": 900}
    again = api.open_misuse(grant=grant, evidence=more, by=SYSTEM)
    assert again == case
    assert [e["summary"] for e in again.data["evidence"]] == [SEEN["summary"], more["summary"]]
    assert Grant.objects.get(pk=grant.pk).in_force(), "nothing stops on suspicion alone"
    with pytest.raises(UserError, match="理由"):
        do(case, "verify", "confirmed", people.bureau)
    do(case, "verify", "confirmed", people.bureau, "日志与当事人陈述一致", days=5)
    assert Grant.objects.get(pk=grant.pk).state == Grant.SUSPENDED
    assert case.items.get(step="rectify").days_left == 5
    grant.refresh_from_db()
    with pytest.raises(UserError, match="尚未办结"):
        actions.resume_share(grant=grant, reason="已经改好了", by=people.provider_head)
    do(case, "rectify", "reported", people.asker, "已停用该账号并删除多取的数据")
    do(case, "review", "again", people.bureau, "仍有一处接收库未清理", days=3)
    assert case.items.filter(step="rectify").last().days_left == 3
    do(case, "rectify", "refused", people.asker, "业务需要，不再清理")
    done = do(case, "review", "terminate", people.bureau, "拒不整改")
    assert (done.state, done.outcome) == ("closed", "terminated")
    grant.refresh_from_db()
    assert grant.state == Grant.REVOKED
    assert done.code in grant.reason
    disposal = queries.disposal_of(people.asker, grant)
    assert disposal is not None
    with pytest.raises(UserError, match="处置人"):
        do(disposal, "dispose", "done", people.asker, how="已删除接收表", on="2020-01-01")
    day = timezone.localdate().isoformat()
    do(disposal, "dispose", "done", people.asker, how="已删除接收表", who="王五", on=day)
    assert do(disposal, "confirm", "agree", people.provider).outcome == "disposed"
    stranger = officer("jy", "data_officer")
    assert queries.matter(stranger, case.code) is None
    assert {c.code for c in queries.matters(people.asker)} == {case.code, disposal.code}


def test_what_is_put_right_goes_on(people: People) -> None:
    case = api.open_misuse(grant=people.grant, evidence=SEEN, by=people.bureau)
    do(case, "verify", "confirmed", people.bureau, "属实")
    do(case, "rectify", "reported", people.asker, "已整改")
    assert do(case, "review", "restore", people.bureau, "整改到位").outcome == "restored"
    assert Grant.objects.get(pk=people.grant.pk).in_force()
    unfounded = api.open_misuse(grant=people.grant, evidence=SEEN, by=people.bureau)
    assert unfounded != case
    do(unfounded, "verify", "unfounded", people.bureau, "是经批准的批量核对")
    assert Grant.objects.get(pk=people.grant.pk).in_force()


def test_silence_is_no_way_out(people: People) -> None:
    with time_machine.travel(dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC), tick=False):
        case = api.open_misuse(grant=people.grant, evidence=SEEN, by=people.bureau)
        do(case, "verify", "confirmed", people.bureau, "属实", days=5)
        with pytest.raises(UserError, match="系统"):
            do(case, "rectify", "lapsed", people.asker)
        assert actions.lapse_rectifications(by=SYSTEM) == 0
    with time_machine.travel(dt.datetime(2026, 11, 12, 9, tzinfo=dt.UTC), tick=False):
        assert actions.lapse_rectifications(by=SYSTEM) == 1
        assert actions.lapse_rectifications(by=SYSTEM) == 0
        assert case.items.filter(step="review", done_at=None).exists()


def test_what_ends_is_told_before_and_disposed_of_after(people: People) -> None:
    grant = people.grant
    assert grant.valid_to is not None
    soon = grant.valid_to - dt.timedelta(days=6)
    assert actions.close_the_ended(by=SYSTEM, now=soon)["reminders"] == 1
    assert actions.close_the_ended(by=SYSTEM, now=soon)["reminders"] == 0, "nobody is told twice"
    told = Event.objects.get(kind="grant.ending")
    assert told.data["mark"] == 7
    after = grant.valid_to + dt.timedelta(hours=1)
    assert actions.close_the_ended(by=SYSTEM, now=after)["disposals"] == 1
    assert actions.close_the_ended(by=SYSTEM, now=after)["disposals"] == 0
    assert queries.disposal_of(people.asker, grant) is not None


def test_a_right_withdrawn_elsewhere_is_disposed_of(people: People) -> None:
    from lianyun.kernel import grant as grants

    grants.revoke(people.grant, reason="上级要求", by=SYSTEM)
    event = Event.objects.get(kind="grant.revoked")
    actions.on_revoked(event)
    actions.on_revoked(event)
    assert Case.objects.filter(path__key="disposal").count() == 1
