"""Pages of sharing, services and audit: each opens for whom it is meant, and the forms work."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity.models import User
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Case, Grant, Party, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def enter(actor: Actor) -> Client:
    """A browser in which this officer has signed in."""
    user = User.objects.create(username=f"u{actor.party.pk}", party=actor.party)  # type: ignore[union-attr]
    client = Client()
    client.force_login(user)
    session = client.session
    session["seen"] = time.time()
    session.save()
    return client


def post_step(client: Client, case: Case, step: str, outcome: str, **data: object) -> None:
    item = case.items.get(step=step, done_at=None)
    answer = client.post(reverse("sharing:step", args=[item.pk]), {"outcome": outcome, **data})
    assert answer.status_code == 302, answer.content.decode()


def test_the_story_in_pages(residents: Resource, officer: Officer) -> None:
    asker = enter(officer("mz", "data_officer"))
    asker_head = enter(officer("mz", "share_head"))
    provider = enter(officer("ga", "data_officer"))
    provider_head = enter(officer("ga", "share_head"))
    bureau = enter(officer("sjj", "bureau_operator"))
    auditor = enter(officer("sjj", "audit_admin"))

    assert "户籍人口信息" in asker.get(reverse("sharing:choose")).content.decode()
    form_url = reverse("sharing:new", args=["ga_residents"])
    assert "涉及个人信息" in asker.get(form_url).content.decode()
    bad = asker.post(form_url, {"basis": "短"})
    assert "处需要修改" in bad.content.decode()
    sent = {
        "basis": "《社会救助暂行办法》第十二条",
        "scene": "低保申请家庭成员核对",
        "purpose": "低保核对",
        "fields_": ["citizen_number", "name"],
        "scope_field": "town_code",
        "scope_values": "320703001，320703002",
        "operations": ["query", "verify"],
        "calls_per_second": 5,
        "networks": "127.0.0.0/8，10.1.2.0/24",
        "signature": "none",
        "until": (timezone.localdate() + dt.timedelta(days=100)).isoformat(),
        "calls_per_day": 100,
        "once": "same-token",
    }
    first = asker.post(form_url, sent)
    assert first.status_code == 302, first.content.decode()
    # The double click changes nothing.
    assert asker.post(form_url, sent).status_code == 302
    case = Case.objects.get(path__key="share_request")
    page = reverse("sharing:case", args=[case.code])

    assert case.title in asker_head.get(reverse("sharing:desk")).content.decode()
    assert "同意申请" in asker_head.get(page).content.decode()
    assert provider_head.get(reverse("sharing:list")).status_code == 200
    post_step(asker_head, case, "consent", "agree")
    shown = provider.get(page).content.decode()
    assert "剩余 10 个工作日" in shown
    assert "申请延期" in shown
    post_step(
        provider,
        case,
        "answer_conditional",
        "agree",
        **{"allow-fields_": ["citizen_number", "name"], "allow-calls_per_day": 50},
    )
    post_step(provider_head, case, "approve", "agree")
    post_step(provider, case, "deliver", "done")
    grant = Grant.objects.get()
    assert grant.terms["calls_per_day"] == 50
    assert grant.terms["scope"] == {"town_code": ["320703001", "320703002"]}
    assert "领取调用密钥" in asker.get(page).content.decode()
    assert "领取调用密钥" not in provider.get(page).content.decode()
    assert provider.post(reverse("sharing:secret", args=[case.code])).status_code == 403
    secret = asker.post(reverse("sharing:secret", args=[case.code]))
    assert re.search(r"lyc_[0-9a-f]{16}\.[\w-]{43}", secret.content.decode())
    assert "no-store" in secret["Cache-Control"]
    assert asker.post(reverse("sharing:secret", args=[case.code])).status_code == 400

    for name, url in (
        ("户籍人口信息", reverse("services:list")),
        ("保留姓氏", reverse("services:detail", args=["ga_residents"])),
        ("lyc_", reverse("services:clients")),
        (grant.code, reverse("sharing:grants")),
        ("低保核对", reverse("sharing:grant", args=[grant.code])),
    ):
        assert name in asker.get(url).content.decode(), url
    document = asker.get(reverse("services:openapi")).json()
    assert document["openapi"] == "3.1.0"
    assert "/api/data/ga_residents/{key}" in document["paths"]
    assert asker.get(reverse("services:openapi_one", args=["nothing"])).status_code == 404

    assert "逾期" in bureau.get(reverse("sharing:overview")).content.decode()
    assert asker.get(reverse("sharing:overview")).status_code == 403
    stop = reverse("sharing:change_grant", args=[grant.code, "revoke"])
    negotiated = provider_head.post(stop, {"reason": "不想再提供了"})
    assert negotiated.status_code == 302
    assert Grant.objects.get(pk=grant.pk).in_force(), "negotiation first, then filing"
    assert "同意提供部门的意见" in asker_head.get(negotiated["Location"]).content.decode()
    clue = reverse("sharing:misuse", args=[grant.code])
    assert "限期整改" in provider.get(clue).content.decode()
    told = {"summary": "夜间大量查询", "kind": "超出共享目的", "text": "日志三份"}
    opened = provider.post(clue, told)
    assert opened.status_code == 302
    assert "夜间大量查询" in asker.get(opened["Location"]).content.decode()
    assert "夜间大量查询" in bureau.get(reverse("sharing:matters")).content.decode()
    assert asker_head.post(stop, {"reason": "不想再提供了"}).status_code == 403
    assert bureau.post(stop, {"reason": "发现超范围使用"}).status_code == 302
    assert "已撤回" in asker.get(reverse("sharing:grant", args=[grant.code])).content.decode()

    for url in ("audit:ledger", "audit:calls", "audit:proof"):
        assert auditor.get(reverse(url)).status_code == 200
        assert asker.get(reverse(url)).status_code == 403
    assert "都完好" in auditor.post(reverse("audit:proof")).content.decode()
    subject = auditor.get(reverse("audit:subject"), {"ref": grant.ref}).content.decode()
    assert "发现超范围使用" in subject
    assert auditor.get(reverse("audit:ledger"), {"since": "soon"}).status_code == 400


def test_the_person_sees_who_read(residents: Resource, officer: Officer) -> None:
    reader = officer("ga", "data_officer")
    person = Party.objects.create(kind="person", name="张三丰")
    browser = enter(Actor(person))
    assert "尚未关联" in browser.get(reverse("audit:seen")).content.decode()
    audit.link_person(party=person, citizen_number="320703199003070016", by=SYSTEM)
    assert "还没有人看过" in browser.get(reverse("audit:seen")).content.decode()
    audit.record_reading(
        by=reader, resource="ga_residents", people=["320703199003070016"], purpose="户籍核实"
    )
    shown = browser.get(reverse("audit:seen")).content.decode()
    assert "户籍核实" in shown
    assert "公安局" in shown
    assert Client().get(reverse("audit:seen")).status_code == 302
