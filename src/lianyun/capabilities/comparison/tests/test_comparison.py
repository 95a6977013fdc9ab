"""Comparison: a finding from the first run to the money coming back, and who may see what of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.comparison import actions, api, queries, rules
from lianyun.capabilities.comparison.models import Finding, Run
from lianyun.capabilities.identity.models import User
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, Measurement, WorkItem

from .conftest import DEAD, died, paid, put

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]
RULE = "deceased_destitute"


def _open(found: Finding, by: Actor) -> WorkItem:
    (case,) = actions.open_findings(codes=[found.code], by=by)
    return case.items.get(done_at=None)


def test_a_run_finds_holds_back_and_measures(deaths: None) -> None:
    run = api.run_rule(name=RULE, by=SYSTEM)
    assert run.standing == "succeeded"
    assert (run.outcome["found"], run.outcome["doubts"]) == (1, {"name": 1})
    found = Finding.objects.get(stage=rules.NEW)
    assert (found.label, found.amount, found.town) == ("孙**", Decimal("2700"), "320703001")
    assert found.department.slug == "mz"
    held = Finding.objects.get(stage=rules.HELD)
    assert held.doubt == "name"
    assert Measurement.objects.get(indicator__code="comparison.found", dims="").value == 1
    assert (
        Measurement.objects.get(indicator__code="comparison.amount", dims="department:mz").value
        == 2700
    )
    again = api.run_rule(name=RULE, by=SYSTEM)
    assert (again.outcome["fresh"], again.outcome["unchanged"]) == (0, 2)
    assert Finding.objects.count() == 2
    told = " ".join(str(e.data) for e in Event.objects.all())
    assert "孙" not in told
    assert DEAD not in told


def test_from_finding_to_recovery(deaths: None, officer: Officer) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    desk, bureau = officer("mz", "data_officer"), officer("sjj", "bureau_operator")
    found = Finding.objects.get(stage=rules.NEW)
    item = _open(found, bureau)
    assert item.due_on is not None
    with pytest.raises(UserError, match="没有可以立案"):
        actions.open_findings(codes=[found.code], by=bureau)
    with pytest.raises(Denied):
        actions.work(item=item, outcome="confirmed", by=bureau)
    with pytest.raises(Denied):
        actions.work(item=item, outcome="confirmed", by=officer("rs", "data_officer"))
    actions.work(item=item, outcome="supplement", note="缺死亡证明复印件", by=desk)
    actions.work(item=WorkItem.objects.get(done_at=None), outcome="submit", note="已传", by=bureau)
    actions.work(
        item=WorkItem.objects.get(done_at=None), outcome="confirmed", amount="1,800", by=desk
    )
    found.refresh_from_db()
    assert (found.stage, found.confirmed) == (rules.CONFIRMED, Decimal("1800.00"))
    actions.work(
        item=WorkItem.objects.get(done_at=None),
        outcome="objection",
        note="家属称四月底才去世",
        by=desk,
    )
    found.refresh_from_db()
    assert found.stage == rules.CHECKING
    actions.work(
        item=WorkItem.objects.get(done_at=None), outcome="confirmed", amount="1700", by=desk
    )
    actions.work(item=WorkItem.objects.get(done_at=None), outcome="recover", by=desk)
    with pytest.raises(UserError, match="到账金额"):
        actions.work(
            item=WorkItem.objects.get(done_at=None), outcome="partial", amount="x", by=desk
        )
    actions.work(item=WorkItem.objects.get(done_at=None), outcome="partial", amount="700", by=desk)
    actions.work(
        item=WorkItem.objects.get(done_at=None), outcome="recovered", amount="1000", by=desk
    )
    found.refresh_from_db()
    assert (found.stage, found.confirmed, found.recovered) == (
        rules.CLOSED,
        Decimal("1700.00"),
        Decimal("1700.00"),
    )
    assert Case.objects.get().outcome == "recovered"
    assert "四月底" in str(queries.timeline(desk, found))
    assert "四月底" not in str(queries.timeline(bureau, found)), "notes may name somebody"
    line = queries.line(bureau, RULE)
    assert (line.found, line.confirmed, line.recovered) == (1, 1, 1700)
    value = Measurement.objects.get(indicator__code="comparison.recovered", dims="department:mz")
    assert value.value == 1700


def test_a_dismissed_finding_stays_so_until_its_evidence_changes(
    deaths: None, officer: Officer
) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    desk = officer("mz", "data_officer")
    found = Finding.objects.get(stage=rules.NEW)
    item = _open(found, desk)
    with pytest.raises(UserError, match="理由"):
        actions.work(item=item, outcome="dismissed", by=desk)
    actions.work(item=item, outcome="dismissed", note="资金已原路退回", by=desk)
    api.run_rule(name=RULE, by=SYSTEM)
    found.refresh_from_db()
    assert (found.stage, found.reason) == (rules.DISMISSED, "资金已原路退回")
    assert queries.rule_view(desk, RULE).reasons == [("资金已原路退回", 1)]
    put("mz_destitute", "b3", *(paid(DEAD, "孙大民", m) for m in range(3, 9)))
    api.run_rule(name=RULE, by=SYSTEM)
    found.refresh_from_db()
    assert (found.stage, found.amount) == (rules.NEW, Decimal("3600"))
    assert Event.objects.filter(kind="finding.reopened").count() == 1
    assert _open(found, desk).case_id != item.case_id


def test_what_went_away_is_called_gone(deaths: None) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    put("wj_deaths", "b4", died(DEAD, "孙大民", "2026-08-01"))
    api.run_rule(name=RULE, by=SYSTEM)
    assert set(Finding.objects.values_list("stage", flat=True)) == {rules.GONE}


def test_a_missed_run_is_taken_over_by_the_next(
    deaths: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def die(*a: object, **k: object) -> None:
            raise RuntimeError("进程中断")

        broken.setattr(actions, "_settle", die)
        with pytest.raises(RuntimeError):
            api.run_rule(name=RULE, by=SYSTEM)
    assert Run.objects.get().standing == "failed"
    assert not Finding.objects.exists()
    api.run_rule(name=RULE, by=SYSTEM)
    assert Finding.objects.count() == 2


def test_who_it_is_only_the_acting_department_sees(deaths: None, officer: Officer) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    found = Finding.objects.get(stage=rules.NEW)
    desk, bureau = officer("mz", "data_officer"), officer("sjj", "bureau_operator")
    other = officer("rs", "data_officer")
    proof = queries.proof(desk, found)
    assert proof is not None
    shown = {f.title: f.value for side in proof.sides for f in side.facts}
    assert shown["姓名"] == "孙**"
    assert DEAD not in str(proof.sides)
    assert [f.value for f in proof.factors] == [1.0, 1.0, 1.0]
    for nobody in (bureau, other):
        with pytest.raises(Denied):
            queries.proof(nobody, found)
    with pytest.raises(Denied):
        queries.finding(other, found.code)
    assert not queries.findings(other).exists()
    assert queries.findings(bureau).count() == 2
    with pytest.raises(UserError, match="用途"):
        actions.reveal(finding=found, purpose=" ", by=desk)
    clear = actions.reveal(finding=found, purpose="入户核实", by=desk)
    assert DEAD in str(clear)
    assert set(CallRecord.objects.values_list("resource", flat=True)) == {
        "mz_destitute",
        "wj_deaths",
    }
    with pytest.raises(Denied):
        actions.reveal(finding=found, purpose="看看", by=bureau)


def test_of_two_officers_one_wins(deaths: None, officer: Officer) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    first, second = officer("mz", "data_officer"), officer("mz", "data_officer")
    item = _open(Finding.objects.get(stage=rules.NEW), first)
    actions.work(item=item, outcome="confirmed", by=first)
    with pytest.raises(UserError, match="已由市民政局干部"):
        actions.work(item=item, outcome="dismissed", note="不实", by=second)
    assert Finding.objects.get(case__isnull=False).stage == rules.CONFIRMED


def test_rules_run_when_their_day_has_come(deaths: None, run_jobs: Callable[[], int]) -> None:
    actions.set_plan(name=RULE, cycle="每日", paused=False, by=SYSTEM)
    for name in queries.rule_names():
        if name != RULE:
            actions.set_plan(name=name, cycle="每月", paused=True, by=SYSTEM)
    assert actions.queue_due(by=SYSTEM) == [RULE]
    assert actions.queue_due(by=SYSTEM) == [], "one that waits takes the second along"
    run_jobs()
    assert Finding.objects.count() == 2
    assert actions.queue_due(by=SYSTEM) == [], "it ran today"
    assert rules.due("每月", dt.date(2026, 10, 20), dt.date(2026, 11, 20))
    assert not rules.due("每周", dt.date(2026, 11, 16), dt.date(2026, 11, 20))


def test_a_side_without_data_blocks_and_says_so(city: None, fresh_lake: object) -> None:
    run = api.run_rule(name="tax_construction", by=SYSTEM)
    assert run.outcome["blocked"] == "zj_construction_permits"
    assert "没有数据" in run.message


def test_pages(deaths: None, officer: Officer, client: Client) -> None:
    api.run_rule(name=RULE, by=SYSTEM)
    found = Finding.objects.get(stage=rules.NEW)

    def enter(actor: Actor) -> None:
        assert actor.party is not None
        user = User.objects.create(username=f"u{actor.party.pk}", party=actor.party)
        client.force_login(user)

    enter(officer("sjj", "bureau_operator"))
    page = client.get(reverse("comparison:home")).content.decode()
    assert "死亡后仍发放特困供养金" in page
    page = client.get(reverse("comparison:rule", args=[RULE])).content.decode()
    assert "号码相同而姓名不同" in page
    assert "SELECT" in page
    page = client.get(reverse("comparison:finding", args=[found.code])).content.decode()
    assert "当事人信息由承办部门查看" in page
    assert "孙**" not in page
    page = client.get(reverse("comparison:findings")).content.decode()
    assert "孙**" not in page
    export = b"".join(client.get(reverse("comparison:findings") + "?export=csv")).decode(
        "utf-8-sig"
    )
    assert found.short in export
    assert "孙" not in export
    assert client.post(reverse("comparison:run", args=[RULE])).status_code == 302
    assert client.get(reverse("comparison:rule", args=["nothing"])).status_code == 400

    enter(officer("mz", "data_officer"))
    assert client.post(reverse("comparison:run", args=[RULE])).status_code == 403
    page = client.get(reverse("comparison:findings")).content.decode()
    assert "孙**" in page
    client.post(reverse("comparison:open"), {"pick": [found.code]})
    item = WorkItem.objects.get()
    page = client.get(reverse("comparison:case", args=[item.case.code]), follow=True)
    assert "孙**" in page.content.decode()
    assert "剩余 10 个工作日" in page.content.decode()
    bad = client.post(reverse("comparison:work", args=[item.pk]), {"outcome": "dismissed"})
    assert bad.status_code == 400
    assert "理由" in bad.content.decode()
    shown = client.post(
        reverse("comparison:reveal", args=[found.code]), {"purpose": "入户核实"}
    ).content.decode()
    assert DEAD in shown

    enter(officer("rs", "data_officer"))
    assert client.get(reverse("comparison:finding", args=[found.code])).status_code == 403


def test_every_rule_reads_as_sentences() -> None:
    for name in queries.rule_names():
        told = rules.plain(queries.declared(name))
        assert len(told) >= 2
        assert all(line.endswith("。") for line in told)


@pytest.mark.parametrize(
    ("stage", "standing", "same", "expected"),
    [
        (rules.NEW, "gone", True, rules.GONE),
        (rules.NEW, "incomplete", True, rules.HELD),
        (rules.HELD, "found", True, rules.NEW),
        (rules.CHECKING, "gone", True, rules.CHECKING),
        (rules.DISMISSED, "found", True, rules.DISMISSED),
        (rules.DISMISSED, "found", False, rules.NEW),
        (rules.CLOSED, "gone", False, rules.CLOSED),
        (rules.GONE, "found", True, rules.NEW),
    ],
)
def test_where_a_finding_stands(stage: str, standing: str, same: bool, expected: str) -> None:
    assert rules.stage_after(stage, standing, "a", "a" if same else "b")[0] == expected
