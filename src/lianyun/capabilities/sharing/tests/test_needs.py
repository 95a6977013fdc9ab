"""Needs, baskets, disputes, return flows and use records: each from its beginning to its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from lianyun.capabilities.sharing import actions, queries, rules
from lianyun.capabilities.sharing.models import UseRecord
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.clock import calendar
from lianyun.kernel.models import Case, Grant, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def do(case: Case, step: str, outcome: str, by: Actor, note: str = "", **data: object) -> Case:
    item = case.items.get(step=step, done_at=None)
    return actions.do_step(item=item, outcome=outcome, note=note, data=data, by=by)


def wanted(**changes: object) -> rules.Request:
    told: dict[str, object] = {
        "basis": "《社会救助暂行办法》第十二条",
        "scene": "低保申请家庭成员核对",
        "purpose": "低保核对",
        "fields": ("citizen_number", "name"),
        "until": timezone.localdate() + dt.timedelta(days=300),
    }
    return rules.Request(**{**told, **changes})  # type: ignore[arg-type]


def test_from_a_need_to_the_first_share(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    bureau = officer("sjj", "bureau_operator")
    bare = rules.Need("", (), "", "", "")
    with pytest.raises(UserError, match=r"需要的数据名称.*数据项"):
        actions.post_need(need=bare, by=asker)
    need = rules.Need(
        "户籍登记", ("姓名", "户号"), "低保审批", "核对家庭成员", "《社会救助暂行办法》"
    )
    case = actions.post_need(need=need, by=asker)
    do(case, "consent", "agree", asker_head)
    with pytest.raises(UserError, match="数源部门"):
        do(case, "assign", "assign", bureau)
    case = do(case, "assign", "assign", bureau, department="ga")
    assert case.department.slug == "ga"
    with pytest.raises(UserError, match="理由"):
        do(case, "accept", "refuse", provider)
    do(case, "accept", "refuse", provider, "应由民政部门自行登记")
    do(case, "decide", "insist", bureau, "户籍由公安机关登记")
    with pytest.raises(UserError, match="已发布"):
        do(case, "compile", "done", provider, resource="nothing")
    do(case, "compile", "done", provider, resource=residents.name)
    assert case.items.get(step="follow").done_at is None
    share = actions.request_share(resource=residents, request=wanted(), by=asker)
    do(share, "consent", "agree", asker_head)
    do(share, "answer_conditional", "agree", provider)
    do(share, "approve", "agree", provider_head)
    do(share, "deliver", "done", provider)
    case.refresh_from_db()
    assert (case.state, case.outcome, case.data["share"]) == ("closed", "met", share.code)


def test_a_promise_is_a_day(officer: Officer) -> None:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, bureau = officer("ga", "data_officer"), officer("sjj", "bureau_operator")
    need = rules.Need("户籍登记", ("姓名",), "低保审批", "核对家庭成员", "《社会救助暂行办法》")
    case = actions.post_need(need=need, by=asker)
    do(case, "consent", "agree", asker_head)
    do(case, "assign", "assign", bureau, department="ga")
    with pytest.raises(UserError, match="承诺"):
        do(case, "accept", "accept", provider)
    day, _ = calendar().deadline(timezone.localdate(), 7)
    do(case, "accept", "accept", provider, by_day=day.isoformat())
    assert case.items.get(step="compile").due_on == day


def test_the_catalogue_has_it_already(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    bureau = officer("sjj", "bureau_operator")
    assert residents in queries.similar(asker, "户籍人口")
    need = rules.Need("户籍", ("姓名",), "低保审批", "核对家庭成员", "《社会救助暂行办法》")
    case = actions.post_need(need=need, by=asker)
    do(case, "consent", "agree", asker_head)
    case = do(case, "assign", "exists", bureau, "目录中已有", resource=residents.title)
    assert case.data["resource"] == residents.name
    assert do(case, "follow", "drop", asker, "改由窗口核验").outcome == "withdrawn"


def test_a_basket_is_one_case_for_each_provider(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("gjj", "data_officer"), officer("gjj", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    others = Resource.objects.filter(kind="dataset", state="published").exclude(pk=residents.pk)
    second = others.filter(owner=residents.owner).exclude(terms__share__type=3).first()
    third = others.exclude(owner=residents.owner).exclude(owner=asker.department).first()
    assert second is not None
    assert third is not None
    for resource in (residents, second, third):
        resource.terms = {"share": {"type": 2}}
        resource.save()
        actions.put_in_basket(resource=resource, by=asker)
        actions.put_in_basket(resource=resource, by=asker)
    assert len(queries.basket(asker)) == 3
    from lianyun.capabilities.services import api as services

    asked = [
        (r, wanted(fields=(services.fields(asker, r)[0].name,), operations=("verify",)))
        for r in queries.basket(asker)
    ]
    made = actions.ask_for_basket(asked=asked, by=asker)
    assert len(made) == 2
    assert queries.basket(asker) == []
    case = next(c for c in made if c.department == residents.owner)
    assert [p.resource for p in queries.parts_of(asker, case)] == [residents, second]
    with pytest.raises(UserError, match="在办申请"):
        actions.request_share(resource=second, request=asked[1][1], by=asker)
    do(case, "consent", "agree", asker_head)
    none = {residents.name: {"fields": []}, second.name: {"fields": []}}
    with pytest.raises(UserError, match="拟不同意"):
        do(case, "answer_conditional", "agree", provider, allowed_each=none)
    one = {second.name: {"fields": []}}
    with pytest.raises(UserError, match="理由"):
        do(case, "answer_conditional", "agree", provider, allowed_each=one)
    do(case, "answer_conditional", "agree", provider, "第二项与用途无关", allowed_each=one)
    do(case, "approve", "agree", provider_head)
    (grant,) = queries.grants_of(asker, case)
    assert grant.resource == residents
    assert grant.terms["operations"] == ["verify"]


def test_both_of_one_provider_become_grants(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("gjj", "data_officer"), officer("gjj", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    rows = Resource.objects.filter(kind="dataset", owner=residents.owner, state="published")
    second = rows.exclude(pk=residents.pk).exclude(terms__share__type=3).first()
    assert second is not None
    from lianyun.capabilities.services import api as services

    for r in (residents, second):
        r.terms = {"share": {"type": 2}}
        r.save()
    name = services.fields(asker, second)[0].name
    asked = [(residents, wanted()), (second, wanted(fields=(name,), operations=("file",)))]
    (case,) = actions.request_basket(asked=asked, by=asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    done = do(case, "deliver", "done", provider)
    assert done.outcome == "delivered"
    first, other = queries.grants_of(asker, case)
    assert other.code == f"{first.code}-2"
    assert other.terms["method"] == "文件下载"
    assert all(services.client_of(asker, g) for g in (first, other))


def test_the_ladder_of_a_dispute(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, bureau = officer("ga", "data_officer"), officer("sjj", "bureau_operator")
    share = actions.request_share(resource=residents, request=wanted(), by=asker)
    with pytest.raises(UserError, match="争议的事实"):
        actions.open_dispute(subject=share, claim="不公", by=asker)
    with pytest.raises(Denied):
        actions.open_dispute(
            subject=share, claim="这与我们无关但想说", by=officer("jy", "data_officer")
        )
    claim = "提供部门要求另签协议，属擅自增设条件，请求取消"
    case = actions.open_dispute(subject=share, claim=claim, by=asker)
    with pytest.raises(UserError, match="请勿重复"):
        actions.open_dispute(subject=share, claim=claim, by=asker)
    do(case, "negotiate", "offer", provider, "可以不签，但须每月报使用情况")
    do(case, "accept", "refuse", asker_head, "条例没有这一要求")
    do(case, "coordinate", "government", bureau, "双方未达成一致")
    with pytest.raises(UserError, match="文号"):
        do(case, "decide", "applicant", bureau, "支持")
    done = do(case, "decide", "applicant", bureau, "不得增设条件", document="连政办〔2026〕9号")
    assert done.outcome == "for_applicant"
    assert done.data["document"] == "连政办〔2026〕9号"
    mirror = actions.open_dispute(subject=share, claim=claim, by=provider)
    assert mirror.applicant == provider.department


def test_data_of_ones_own_area_come_back(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("ga", "data_officer"), officer("ga", "share_head")
    bureau = officer("sjj", "bureau_operator")
    told = rules.Returned(
        "省公安厅", "居住证", ("姓名",), ("江苏",), "《居住证暂行条例》", "流动人口服务"
    )
    with pytest.raises(UserError, match="行政区划代码"):
        actions.request_return(wanted=told, by=asker)
    good = rules.Returned("省公安厅", "居住证", ("姓名",), ("320700",), told.basis, told.purpose)
    case = actions.request_return(wanted=good, by=asker, once="r1")
    assert actions.request_return(wanted=good, by=asker, once="r1") == case
    do(case, "consent", "agree", asker_head)
    do(case, "forward", "sent", bureau, document="连数函〔2026〕7号")
    do(case, "answer", "agree", bureau)
    do(case, "receive", "missing", asker, "缺东海县的数据")
    do(case, "answer", "agree", bureau)
    done = do(case, "receive", "received", asker, resource=residents.name, rows=1200)
    assert (done.outcome, done.data["rows"]) == ("received", 1200)


def test_use_records_stay_three_years(residents: Resource, officer: Officer) -> None:
    asker = officer("mz", "data_officer")
    from lianyun.kernel import grant as grants

    grant = grants.issue(
        kind="data",
        to=asker.department,
        resource=residents,
        terms={"purpose": "核对"},
        by=SYSTEM,  # type: ignore[arg-type]
    )
    with pytest.raises(Denied):
        actions.write_use(
            grant=grant, kind="effect", text="减少材料 3 份", by=officer("jy", "data_officer")
        )
    row = actions.write_use(grant=grant, kind="effect", text="减少材料 3 份", by=asker)
    today = timezone.localdate()
    assert row.keep_until == rules.keep_until(today, 3)
    with pytest.raises(UserError, match="3 年"):
        actions.delete_record(number=row.pk, by=SYSTEM)
    assert actions.retain_records(by=SYSTEM)["deleted"] == 0
    old = timezone.now() - dt.timedelta(days=3 * 366 + 5)
    UseRecord.objects.filter(pk=row.pk).update(at=old)
    assert actions.retain_records(by=SYSTEM) == {"kept": 1, "protected": 1, "over": 0, "deleted": 0}
    UseRecord.objects.filter(pk=row.pk).update(keep_until=today - dt.timedelta(days=1))
    assert actions.retain_records(by=SYSTEM)["deleted"] == 1
    assert Grant.objects.filter(pk=grant.pk).exists()
