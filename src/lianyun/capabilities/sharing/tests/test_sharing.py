"""Sharing: from the request to the grant, with clocks, refusals, extension, stop and disposal."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.services import api as services
from lianyun.capabilities.sharing import actions, queries, rules
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, Grant, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


@pytest.fixture
def asker(officer: Officer) -> Actor:
    return officer("mz", "data_officer")


@pytest.fixture
def asker_head(officer: Officer) -> Actor:
    return officer("mz", "share_head")


@pytest.fixture
def provider(officer: Officer) -> Actor:
    return officer("ga", "data_officer")


@pytest.fixture
def provider_head(officer: Officer) -> Actor:
    return officer("ga", "share_head")


@pytest.fixture
def bureau(officer: Officer) -> Actor:
    return officer("sjj", "bureau_operator")


def wanted(**changes: object) -> rules.Request:
    base = rules.Request(
        basis="《社会救助暂行办法》第十二条",
        scene="低保申请家庭成员核对",
        purpose="低保核对",
        fields=("citizen_number", "name", "phone"),
        until=timezone.localdate() + dt.timedelta(days=300),
        calls_per_day=500,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def ask(resource: Resource, by: Actor, **changes: object) -> Case:
    return actions.request_share(resource=resource, request=wanted(**changes), by=by)


def do(case: Case, step: str, outcome: str, by: Actor, note: str = "", **data: object) -> Case:
    item = case.items.get(step=step, done_at=None)
    return actions.do_step(item=item, outcome=outcome, note=note, data=data, by=by)


def test_the_whole_way(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor, provider_head: Actor
) -> None:
    case = ask(residents, asker, plain=("phone",), plain_reason="需要电话联系申请人")
    with pytest.raises(Denied):
        do(case, "consent", "agree", provider_head)
    do(case, "consent", "agree", asker_head)
    item = case.items.get(step="answer_conditional")
    assert item.days_left == 10
    do(
        case,
        "answer_conditional",
        "agree",
        provider,
        allowed={
            "fields": ["citizen_number", "name", "sex"],
            "calls_per_day": 9999,
            "disposal": "用后即删",
        },
    )
    assert not Grant.objects.exists()
    case = do(case, "approve", "agree", provider_head)
    grant = Grant.objects.get()
    # Never wider than what was asked, narrower where the provider said so.
    assert grant.terms["fields"] == ["citizen_number", "name"]
    assert grant.terms["calls_per_day"] == 500
    assert grant.terms["masks"] == {"citizen_number": "citizen_number", "name": "name"}
    assert grant.grantee.slug == "mz"
    assert grant.in_force()
    assert case.items.get(step="deliver").days_left == 20
    case = do(case, "deliver", "done", provider)
    assert (case.state, case.outcome) == ("closed", "delivered")
    client = services.client_of(asker, grant)
    assert client is not None
    with pytest.raises(Denied):
        services.collect_secret(client=client, by=provider)
    token = services.collect_secret(client=client, by=asker)
    assert token.startswith("lyc_")
    with pytest.raises(UserError, match="只显示一次"):
        services.collect_secret(client=client, by=asker)
    service = services.service_of(asker, residents)
    assert service is not None
    assert service.rows == 1


def test_what_may_not_be_asked(residents: Resource, asker: Actor, provider: Actor) -> None:
    with pytest.raises(UserError, match="本部门提供"):
        ask(residents, provider)
    with pytest.raises(UserError, match=r"使用依据.*使用时限") as wrong:
        ask(residents, asker, basis="无", until=timezone.localdate())
    assert "不少于" in str(wrong.value)
    with pytest.raises(UserError, match="数据项不存在"):
        ask(residents, asker, fields=("citizen_number", "secret"))
    residents.terms = {"share": {"type": 3, "basis": "《档案法》第二十七条"}}
    residents.save()
    with pytest.raises(UserError, match=r"不予共享.*档案法"):
        ask(residents, asker)


def test_a_double_click_asks_once(residents: Resource, asker: Actor) -> None:
    first = actions.request_share(resource=residents, request=wanted(), by=asker, once="x")
    again = actions.request_share(resource=residents, request=wanted(), by=asker, once="x")
    assert first == again
    with pytest.raises(UserError, match="在办申请"):
        ask(residents, asker)


def test_a_head_without_the_right_post_is_refused(residents: Resource, asker: Actor) -> None:
    case = ask(residents, asker)
    with pytest.raises(Denied):
        do(case, "consent", "agree", asker)


def test_two_officers_at_once(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor, officer: Officer
) -> None:
    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    item = case.items.get(step="answer_conditional")
    actions.do_step(item=item, outcome="agree", by=provider)
    with pytest.raises(UserError, match="已由"):
        actions.do_step(
            item=item, outcome="refuse", note="不符合", by=officer("ga", "data_officer")
        )


def test_a_refusal_needs_a_reason_and_the_heads_consent(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor, provider_head: Actor
) -> None:
    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    with pytest.raises(UserError, match="理由"):
        do(case, "answer_conditional", "refuse", provider)
    do(case, "answer_conditional", "refuse", provider, "与申请用途不符")
    case = do(case, "approve_refusal", "refuse", provider_head, "同意经办意见")
    assert case.outcome == "refused"
    assert not Grant.objects.exists()


def test_supplement_is_asked_once(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor
) -> None:
    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "supplement", provider, "请补充依据条款和使用场景")
    better = wanted(scene="低保申请受理环节家庭成员身份核对")
    case = do(case, "supplement", "submit", asker, request=better)
    assert case.data["request"]["scene"] == better.scene
    with pytest.raises(UserError, match="一次性告知"):
        do(case, "answer_conditional", "supplement", provider, "再补充")


def test_overdue_and_extension(
    residents: Resource,
    asker: Actor,
    asker_head: Actor,
    provider: Actor,
    bureau: Actor,
) -> None:
    with time_machine.travel(dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC), tick=False):
        case = ask(residents, asker)
        do(case, "consent", "agree", asker_head)
        with pytest.raises(UserError, match="不得超过 10"):
            actions.ask_extension(case=case, days=11, reason="数据量大需要核对", by=provider)
        with pytest.raises(Denied):
            actions.ask_extension(case=case, days=5, reason="数据量大需要核对", by=asker)
        asked = actions.ask_extension(case=case, days=5, reason="数据量大需要核对", by=provider)
        with pytest.raises(UserError, match="不能再次"):
            actions.ask_extension(case=case, days=5, reason="数据量大需要核对", by=provider)
        decide = asked.items.get()
        with pytest.raises(Denied):
            actions.do_step(item=decide, outcome="agree", by=provider)
        actions.do_step(item=decide, outcome="agree", by=bureau)
        item = case.items.get(step="answer_conditional")
        assert item.days_left == 15
    notice = Event.objects.get(kind="request.extended")
    assert notice.case_id_ref == case.pk
    assert any("延长 5" in e["what"] for e in queries.timeline(asker, case))
    with time_machine.travel(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC), tick=False):
        assert queries.overdue(bureau).get() == item
        steps, departments = queries.clocks(bureau)
        assert sum(c.overdue for c in steps) == 1
        assert departments[0].title == "连云港市公安局"


def test_the_provider_may_not_stop_at_will(
    residents: Resource,
    asker: Actor,
    asker_head: Actor,
    provider: Actor,
    provider_head: Actor,
    bureau: Actor,
) -> None:
    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    grant = Grant.objects.get()
    with pytest.raises(Denied):
        actions.suspend_share(grant=grant, reason="系统升级维护", by=asker_head)
    with pytest.raises(UserError, match="协商"):
        actions.suspend_share(grant=grant, reason="系统升级维护", by=provider_head)
    with pytest.raises(Denied):
        actions.ask_stop(grant=grant, verb="suspend", reason="系统升级维护", by=asker_head)
    stop = actions.ask_stop(grant=grant, verb="suspend", reason="系统升级维护", by=provider_head)
    with pytest.raises(UserError, match="请勿重复"):
        actions.ask_stop(grant=grant, verb="revoke", reason="系统升级维护", by=provider_head)
    with pytest.raises(UserError, match="理由"):
        do(stop, "negotiate", "object", asker_head)
    do(stop, "negotiate", "object", asker_head, "月底发放低保金，停用将影响核对")
    do(stop, "persist", "persist", provider_head, "仅停两小时，安排在夜间")
    assert Grant.objects.get().in_force(), "it goes on until it is filed"
    with pytest.raises(Denied):
        do(stop, "file", "filed", provider_head, "准予")
    stop = do(stop, "file", "filed", bureau, "准予备案，夜间停用")
    assert stop.outcome == "filed"
    assert not Grant.objects.get().in_force()
    assert stop.code in Grant.objects.get().reason
    grant.refresh_from_db()
    actions.resume_share(grant=grant, reason="升级完成", by=provider_head)
    actions.revoke_share(grant=grant, reason="超出用途使用数据", by=bureau)
    with pytest.raises(UserError):
        actions.confirm_disposal(grant=grant, how="删", by=asker)
    grant.refresh_from_db()
    disposal = actions.confirm_disposal(grant=grant, how="已删除本地缓存并清空备份", by=asker)
    with pytest.raises(UserError, match="已确认"):
        actions.confirm_disposal(grant=grant, how="已删除本地缓存并清空备份", by=asker)
    assert queries.disposal_of(asker, grant) == disposal
    do(disposal, "confirm", "return", provider, "请补充备份的处理")
    actions.confirm_disposal(grant=grant, how="备份已随轮转清除", by=asker)
    assert do(disposal, "confirm", "agree", provider).outcome == "disposed"


def test_others_see_nothing(residents: Resource, asker: Actor, officer: Officer) -> None:
    case = ask(residents, asker)
    stranger = officer("jy", "data_officer")
    assert queries.request(stranger, case.code) is None
    assert not queries.grants(stranger).exists()
    assert not queries.desk(stranger).exists()


def test_who_read_wrong_rows_is_told_when_they_are_right(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor, provider_head: Actor
) -> None:
    from lianyun.capabilities.audit import api as audit

    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    grant = Grant.objects.get(case=case)
    opened = timezone.now() - dt.timedelta(days=2)
    audit.record_reading(by=asker, resource="ga_residents", grant_code=grant.code)
    told = {"dataset": "ga_residents", "case": "C1", "since": opened.isoformat(), "rows": 3}
    assert actions.tell_receivers(told=told, by=SYSTEM) == 1
    assert actions.tell_receivers(told=told, by=SYSTEM) == 0, "nobody is told twice"
    later = {**told, "case": "C2", "since": timezone.now().isoformat()}
    assert actions.tell_receivers(told=later, by=SYSTEM) == 0, "who read only right rows"
    (event, code), *more = queries.notices(asker)
    assert (code, more) == (grant.code, [])
    assert "3 行" in event.data["note"]
    assert queries.notices(provider) == []


def test_only_who_read_these_rows_is_told(
    residents: Resource, asker: Actor, asker_head: Actor, provider: Actor, provider_head: Actor
) -> None:
    from lianyun.capabilities.audit import api as audit

    case = ask(residents, asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    grant = Grant.objects.get(case=case)
    opened = timezone.now() - dt.timedelta(days=2)
    audit.record_reading(
        by=asker,
        resource="ga_residents",
        grant_code=grant.code,
        people=["320703199001011235", "320703199001011251"],
    )
    told = {"dataset": "ga_residents", "case": "C1", "since": opened.isoformat(), "rows": 1}
    other = {**told, "key_hashes": [audit.keyed_hash("320703199001011999")]}
    assert actions.tell_receivers(told=other, by=SYSTEM) == 0, "who read other rows"
    mine = {**told, "key_hashes": [audit.keyed_hash("320703199001011251")]}
    assert actions.tell_receivers(told=mine, by=SYSTEM) == 1
    ((event, _),) = queries.notices(asker)
    assert "查询过其中的记录 1 次" in event.data["note"]
