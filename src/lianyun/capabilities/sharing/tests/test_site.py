"""The departments' site: every page opens for whom it is meant; forms of needs, baskets and reports work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.urls import reverse
from django.utils import timezone

from lianyun.capabilities.sharing import actions, queries, rules
from lianyun.capabilities.sharing.models import Overlap
from lianyun.capabilities.sharing.tests.test_pages import enter
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Case, Grant, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def test_every_page_opens(residents: Resource, officer: Officer) -> None:
    asker, bureau = enter(officer("mz", "data_officer")), enter(officer("sjj", "bureau_operator"))
    actions.find_overlaps(by=SYSTEM)
    for name in (
        "home", "list", "desk", "choose", "basket", "matters", "needs", "new_need", "returns",
        "new_return", "grants", "clock_report", "yearly", "ranking", "overlaps",
    ):  # fmt: skip
        answer = asker.get(reverse(f"sharing:{name}"))
        assert answer.status_code == 200, name
    for name in ("home", "clock_report", "yearly", "ranking", "overlaps", "matters", "overview"):
        assert bureau.get(reverse(f"sharing:{name}")).status_code == 200, name
    found = asker.get(reverse("sharing:home"), {"q": "户籍人口"}).content.decode()
    assert "户籍人口信息" in found
    assert "选数" in found
    for form in ("csv", "xlsx"):
        report = bureau.get(reverse("sharing:clock_report"), {"export": form})
        assert report.status_code == 200
        assert bureau.get(reverse("sharing:yearly"), {"export": form}).status_code == 200
    assert asker.get(reverse("sharing:yearly_list"), {"what": "x"}).status_code == 404
    assert asker.get(reverse("sharing:matter", args=["x"])).status_code == 404
    assert asker.get(reverse("sharing:clock_case", args=["x"])).status_code == 404


def test_a_need_by_page(residents: Resource, officer: Officer) -> None:
    asker, head = enter(officer("mz", "data_officer")), enter(officer("mz", "share_head"))
    bureau = enter(officer("sjj", "bureau_operator"))
    similar = asker.get(reverse("sharing:similar"), {"title": "户籍人口", "items": ""})
    assert "户籍人口信息" in similar.content.decode()
    url = reverse("sharing:new_need")
    assert "处需要修改" in asker.post(url, {"title": "x"}).content.decode()
    words = {
        "title": "户籍迁移",
        "items": "姓名，迁入地\n迁出地",
        "duty": "低保审批",
        "purpose": "核对家庭成员",
        "basis": "《社会救助暂行办法》第十二条",
        "cycle": "每日",
        "repeated": "由申请人提交户口簿",
    }
    sent = asker.post(url, words)
    assert sent.status_code == 302, sent.content.decode()
    case = Case.objects.get(path__key="need")
    assert case.data["need"]["items"] == ["姓名", "迁入地", "迁出地"]
    page = reverse("sharing:matter", args=[case.code])
    assert "由申请人提交户口簿" in asker.get(page).content.decode()
    item = case.items.get(done_at=None)
    head.post(reverse("sharing:step", args=[item.pk]), {"outcome": "agree"})
    item = case.items.get(done_at=None)
    assert "数源部门" in bureau.get(page).content.decode()
    step = reverse("sharing:step", args=[item.pk])
    assert bureau.post(step, {"outcome": "assign"}).status_code == 400
    assert bureau.post(step, {"outcome": "assign", "department": "ga"}).status_code == 302
    assert "承诺完成" in enter(officer("ga", "data_officer")).get(page).content.decode()
    assert bureau.get(reverse("sharing:case", args=[case.code])).status_code == 302


def test_a_basket_by_page(residents: Resource, officer: Officer) -> None:
    actor = officer("gjj", "data_officer")
    asker = enter(actor)
    others = Resource.objects.filter(kind="dataset", state="published").exclude(pk=residents.pk)
    second = others.exclude(owner__in=[residents.owner, actor.department]).first()
    assert second is not None
    for r in (residents, second):
        r.terms = {"share": {"type": 2}}
        r.save()
    asker.post(reverse("sharing:put_many"), {"pick": [residents.name, second.name]})
    page = asker.get(reverse("sharing:basket")).content.decode()
    assert "将形成 2 件申请" in page
    use = {
        "basis": "《住房公积金管理条例》第二十四条",
        "scene": "提取住房公积金时核验身份",
        "purpose": "提取核验",
        "operations": ["verify"],
        "until": (timezone.localdate() + dt.timedelta(days=100)).isoformat(),
        "calls_per_day": 100,
        "calls_per_second": 5,
        "networks": "",
        "signature": "none",
    }
    bad = asker.post(reverse("sharing:basket"), {**use, "networks": "甲"})
    assert bad.status_code == 200
    from lianyun.capabilities.services import api as services

    parts = {f"d{r.pk}-fields_": [services.fields(actor, r)[0].name] for r in (residents, second)}
    assert (
        "不是网段"
        in asker.post(
            reverse("sharing:basket"), {**use, **parts, "networks": "甲"}
        ).content.decode()
    )
    done = asker.post(reverse("sharing:basket"), {**use, **parts})
    assert done.status_code == 302, done.content.decode()
    assert Case.objects.filter(path__key="share_request").count() == 2
    home = asker.get(reverse("sharing:home")).content.decode()
    assert "户籍人口信息" in home
    assert queries.basket(actor) == []
    put = reverse("sharing:put", args=[second.name])
    asker.post(put)
    asker.post(put, {"out": "1"})
    assert queries.basket(actor) == []


def test_uses_renewal_and_decisions_by_page(residents: Resource, officer: Officer) -> None:
    from lianyun.kernel import grant as grants

    actor, bureau = officer("mz", "data_officer"), enter(officer("sjj", "bureau_operator"))
    asker = enter(actor)
    asked = rules.Request(
        basis="《社会救助暂行办法》第十二条",
        scene="低保申请家庭成员核对",
        purpose="低保核对",
        fields=("citizen_number", "name"),
        until=timezone.localdate() + dt.timedelta(days=20),
        operations=("verify", "query"),
    )
    grant = grants.issue(
        kind="data",
        to=actor.department,  # type: ignore[arg-type]
        grantor=residents.owner,
        resource=residents,
        terms=rules.grant_terms(asked, {"name": "name"}, ""),
        valid_to=timezone.now() + dt.timedelta(days=20),
        by=SYSTEM,
    )
    home = asker.get(reverse("sharing:home")).content.decode()
    assert "即将到期的授权" in home
    assert "核验、查询" in home
    use = reverse("sharing:use", args=[grant.code])
    assert asker.post(use, {"kind": "effect", "text": "减少证明材料三份"}).status_code == 302
    assert (
        "减少证明材料三份"
        in asker.get(reverse("sharing:grant", args=[grant.code])).content.decode()
    )
    again = asker.get(f"{reverse('sharing:new', args=[residents.name])}?renew={grant.code}")
    assert "低保申请家庭成员核对" in again.content.decode()
    claim = reverse("sharing:dispute", args=["grant", grant.code])
    words = {"claim": "提供部门擅自降低更新频率，请求恢复每日更新"}
    assert asker.post(claim, words).status_code == 302
    ended = Grant.objects.get(pk=grant.pk)
    bureau.post(
        reverse("sharing:change_grant", args=[grant.code, "revoke"]), {"reason": "测试结束使用"}
    )
    sent = {"reason": "已删除接收表和缓存", "who": "王五", "on": timezone.localdate().isoformat()}
    dispose = reverse("sharing:change_grant", args=[ended.code, "dispose"])
    assert asker.post(dispose, sent).status_code == 302
    assert (
        "待提供部门确认" in asker.get(reverse("sharing:grant", args=[grant.code])).content.decode()
    )
    pair = Overlap.objects.create(
        resource=residents,
        other=Resource.objects.filter(kind="dataset").exclude(pk=residents.pk).first(),
        shared=5, total=6, items=["姓名"],
    )  # fmt: skip
    where = reverse("sharing:overlap", args=[pair.pk])
    assert "姓名" in bureau.get(where).content.decode()
    decide = reverse("sharing:decide_overlap", args=[pair.pk])
    assert asker.post(decide, {"decision": "repeated", "reason": "相同的内容"}).status_code == 403
    bureau.post(decide, {"decision": "different", "reason": "口径不同，时点也不同"})
    assert "不属重复" in bureau.get(where).content.decode()
    clocks = bureau.get(reverse("sharing:clock_report"), {"verify": "1"}).content.decode()
    assert "完全一致" in clocks
