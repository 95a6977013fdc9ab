"""Correction: a failed rule opens one case, later batches join it, right rows let it close."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.quality import actions, queries
from lianyun.capabilities.quality.models import Finding
from lianyun.kernel import resource as kernel_resource
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.models import Batch, Case, Event, Measurement, Membership, Party, Resource

HEAD = "编号,金额,状态\n"
ITEMS = [
    {"name": "code", "title": "编号", "type": "C", "format": "an..10", "required": True},
    {"name": "amount", "title": "金额", "type": "N", "format": "n..10,2"},
    {"name": "status", "title": "状态", "type": "C", "format": "an..10"},
]
RULES = [
    {"code": "pay_positive", "title": "金额大于零", "sql": "amount > 0", "severity": "reject"},
    {"code": "pay_status", "title": "状态已知", "sql": "status <> '不明'", "severity": "warn"},
]


@pytest.fixture
def payments(db: None, fresh_lake: Any) -> Resource:
    """A dataset of the finance bureau with a rule that refuses and one that warns."""
    made, _ = kernel_resource.register(
        code="307030/900001",
        name="payments",
        kind=Resource.DATASET,
        title="测试支付",
        owner=Party.objects.get(slug="cz"),
        data={"items": ITEMS, "key": ["code"], "rules": RULES, "cycle": "每日"},
    )
    return made


@pytest.fixture
def load(tmp_path: Path, run_jobs: Callable[[], int]) -> Callable[..., Batch]:
    """Loads rows and lets the listeners run."""

    def make(rows: str, mode: str = "incremental") -> Batch:
        path = tmp_path / "pay.csv"
        path.write_text(HEAD + rows, "utf-8")
        told = collection.load("payments", path, mode=mode, by=SYSTEM)
        run_jobs()
        return Batch.objects.get(code=told["batch"])

    return make


def officer(slug: str, role: str = "data_officer") -> Actor:
    person = Party.objects.create(kind=Party.PERSON, name=f"{slug}{role}")
    Membership.objects.create(party=person, department=Party.objects.get(slug=slug), role=role)
    return actor_of(person)


def rule_case(rule: str) -> Case:
    return Case.objects.get(data__rule=rule)


def test_one_case_opened_joined_healed_closed(
    payments: Resource, load: Callable[..., Batch], run_jobs: Callable[[], int]
) -> None:
    first = load("A,1,好\nB,-5,好\nC,3,好\n")
    assert first.score == pytest.approx(66.67)
    case = rule_case("pay_positive")
    assert case.department.slug == "cz"
    item = case.items.get()
    assert item.declared.days == 10
    assert item.due_on is not None
    second = load("D,-1,好\n")
    assert Case.objects.filter(data__rule="pay_positive").count() == 1
    case.refresh_from_db()
    assert case.data["batches"] == [first.code, second.code]
    assert queries.outstanding(case, SYSTEM) == 2
    provider = officer("cz")
    with pytest.raises(UserError, match="还有 2 行没有更正"):
        actions.answer_correction(item=item, outcome="corrected", by=provider)
    with pytest.raises(Denied):
        actions.answer_correction(item=item, outcome="corrected", by=officer("jy"))
    third = load("B,5,好\nD,1,好\n")
    case.refresh_from_db()
    assert queries.outstanding(case, SYSTEM) == 0
    assert case.data["healed_by"] == third.code
    actions.answer_correction(item=item, outcome="corrected", by=provider)
    run_jobs()
    case.refresh_from_db()
    assert (case.state, case.outcome) == ("closed", "corrected")
    told = Event.objects.get(kind="quality.corrected")
    assert told.data["dataset"] == "payments"
    assert told.data["rows"] == 2
    assert told.data["keys_hash"]
    assert told.data["batch"] == third.code
    assert told.data["key_hashes"] == [audit.keyed_hash("B"), audit.keyed_hash("D")]
    load("E,-1,好\n")
    assert Case.objects.filter(data__rule="pay_positive").count() == 2


def test_one_bad_value_opens_one_case(payments: Resource, load: Callable[..., Batch]) -> None:
    coded = {**ITEMS[2], "format": "n1", "domain": "sex"}
    payments.data = {**payments.data, "items": [*ITEMS[:2], coded]}
    payments.save()
    batch = load("A,1,不合规矩\nB,2,1\nC,3,12\n")
    codes = set(Finding.objects.filter(batch=batch).values_list("rule", flat=True))
    assert len(codes) >= 2, "the value fails several checks of its item"
    case = Case.objects.get(data__dataset="payments")
    assert set(case.data["rules"]) == codes
    assert case.data["failed"] == 2, "rows, not reasons"
    assert queries.outstanding(case, SYSTEM) == 2
    assert {o.line for o in queries.offences(case, SYSTEM)} == {2, 4}
    assert "长度" in case.title or "格式" in case.title
    load("D,1,也不合\n")
    assert Case.objects.filter(data__dataset="payments").count() == 1
    load("A,1,1\nC,3,2\nD,1,1\n")
    assert queries.outstanding(case, SYSTEM) == 0


def test_readers_of_doubtful_rows_are_found(
    payments: Resource, load: Callable[..., Batch], run_jobs: Callable[[], int]
) -> None:
    load("A,1,不明\nB,2,好\n")
    case = rule_case("pay_status")
    load("A,1,好\n")
    item = case.items.get()
    actions.answer_correction(item=item, outcome="corrected", by=officer("cz"))
    run_jobs()
    told = Event.objects.get(kind="quality.corrected")
    assert told.data["key_hashes"] == [audit.keyed_hash("A")]


def test_warned_rows_heal_when_replaced(payments: Resource, load: Callable[..., Batch]) -> None:
    batch = load("A,1,不明\nB,2,好\n")
    assert batch.rejected == 0
    assert batch.score == pytest.approx(85.0)
    case = rule_case("pay_status")
    assert queries.outstanding(case, SYSTEM) == 1
    load("A,1,好\n")
    assert queries.outstanding(case, SYSTEM) == 0


def test_corrected_rejects_heal_their_case(payments: Resource, load: Callable[..., Batch]) -> None:
    batch = load("A,1,好\nB,-5,好\n")
    case = rule_case("pay_positive")
    collection.correct_rejected(batch, [(3, {"编号": "B2", "金额": "5", "状态": "好"})], by=SYSTEM)
    assert queries.outstanding(case, SYSTEM) == 0


def test_assessing_twice_finds_nothing_new(
    payments: Resource, load: Callable[..., Batch], run_jobs: Callable[[], int]
) -> None:
    batch = load("A,-1,好\n")
    before = (Finding.objects.count(), Case.objects.count())
    actions.assess(batch=batch, by=SYSTEM)
    assert (Finding.objects.count(), Case.objects.count()) == before
    assert Measurement.objects.get(dims="department:cz").value == 0


def test_upheld_needs_a_reason(payments: Resource, load: Callable[..., Batch]) -> None:
    load("A,-1,好\n")
    item = rule_case("pay_positive").items.get()
    provider = officer("cz")
    with pytest.raises(UserError, match="理由"):
        actions.answer_correction(item=item, outcome="upheld", by=provider)
    actions.answer_correction(item=item, outcome="upheld", note="退款，金额为负属实", by=provider)
    assert not Event.objects.filter(kind="quality.corrected").exists()


def test_a_receiver_reports_a_wrong_value(
    payments: Resource, load: Callable[..., Batch], run_jobs: Callable[[], int]
) -> None:
    load("A,1,好\n")
    asker = officer("mz")
    case = actions.report_error(
        dataset="payments", key={"code": "A"}, item="amount", told="与票据不符", by=asker
    )
    again = actions.report_error(
        dataset="payments", key={"code": "A"}, item="amount", told="与票据不符", by=asker
    )
    assert again.pk == case.pk
    assert case.department.slug == "cz"
    assert "与票据不符" not in str(case.data)
    assert Event.objects.filter(kind="quality.reported").first().personal["key"] == {"code": "A"}
    item = case.items.get()
    with pytest.raises(UserError, match="更正情况"):
        actions.answer_correction(item=item, outcome="corrected", by=officer("cz"))
    actions.answer_correction(item=item, outcome="corrected", note="1 更正为 10", by=officer("cz"))
    run_jobs()
    assert Event.objects.get(kind="quality.corrected").data["rows"] == 1


def browser(actor: Actor) -> Client:
    users: Any = get_user_model().objects
    user = users.create(username=f"u{actor.party.pk}", party=actor.party)
    users.filter(pk=user.pk).update(must_change=False)
    client = Client()
    client.force_login(user)
    session = client.session
    session["seen"] = time.time()
    session.save()
    return client


def test_every_page_opens(payments: Resource, load: Callable[..., Batch]) -> None:
    load("A,-1,好\nB,2,不明\n只有一列\n")
    provider = browser(officer("cz"))
    code = rule_case("pay_positive").code
    for url in (
        "",
        "?export=xlsx-t",
        "rules/",
        "datasets/payments/",
        "datasets/payments/report/",
        "departments/cz/",
        "desk/",
        f"cases/{code}/",
        f"cases/{code}/rows.csv",
    ):
        answer = provider.get(f"/workbench/quality/{url}")
        assert answer.status_code == 200, f"{url}: {answer.status_code}"
    text = provider.get(f"/workbench/quality/cases/{code}/").content.decode()
    assert "还有 <b>1</b> 行没有更正" in text
    sent = provider.post(f"/workbench/quality/cases/{code}/", {"outcome": "corrected"})
    assert "还有 1 行没有更正" in sent.content.decode()
    other = browser(officer("jy"))
    assert other.get(f"/workbench/quality/cases/{code}/").status_code == 400


def test_accepted_rows_are_held_against_rules_that_came_later(
    payments: Resource, load: Callable[..., Batch]
) -> None:
    load("1,5,在办\n2,50,不明\n")
    payments.data = {
        **payments.data,
        "rules": [*RULES, {"code": "pay_small", "title": "单笔不超过十元", "sql": "amount <= 10"}],
    }
    payments.save(update_fields=["data"])
    reader = officer("ga")
    client = Client()
    user = get_user_model().objects.create(username="reader", party=reader.party)
    client.force_login(user)
    url = "/workbench/quality/datasets/payments/"
    assert "按现行规则复查" in client.get(url).content.decode()
    page = client.post(f"{url}recheck/", follow=True).content.decode()
    assert "已复查 2 行：发现 2 处与现行规则不符" in page
    assert "单笔不超过十元" in page
    found = queries.last_recheck(payments, reader)
    assert found is not None
    assert sorted(found.failed) == [("单笔不超过十元", 1), ("状态已知", 1)]
    with pytest.raises(UserError, match="没有名为"):
        actions.recheck(dataset="nothing", by=reader)
