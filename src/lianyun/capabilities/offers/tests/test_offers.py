"""Offers and claims: consent first, in bulk, only what is needed is kept; frozen facts, one claim, one budget."""

from __future__ import annotations

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.offers import actions, api, jobs, queries
from lianyun.capabilities.offers.models import Budget, Choice, Claim, Offer, Rule, Tally
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Grant

from .conftest import FIRM, MOTHER, OLD, OTHER, SECOND, agent, approve, birth, person


def _calls(number: str) -> int:
    mine = audit.keyed_hash(number)
    return sum(mine in [c.key_hash, *(c.others or ())] for c in CallRecord.objects.all())


def test_a_life_of_offers(poured: None) -> None:
    old, mother = person(OLD, "赵大爷"), person(MOTHER, "张三丰")
    other = person(OTHER, "李四")
    api.propose_declared(by=SYSTEM)
    for actor in (old, mother):
        api.switch_on(by=actor)
    # What nobody has approved says nothing.
    assert api.evaluate(subject="person", by=SYSTEM)["read"] == 0
    approve("offer_senior_allowance", "offer_newborn")
    assert api.propose_declared(by=SYSTEM) == 0
    newborn = Rule.objects.get(code="offer_newborn")
    assert newborn.case is not None
    assert newborn.case.data["providers"] == ["wj"]  # whose register is read was asked
    assert {g.terms["source"] for g in queries.granted(SYSTEM, newborn)} == {
        "library.population", "trusted.wj_births",
    }  # fmt: skip

    told = api.evaluate(subject="person", by=SYSTEM)
    assert told == {"read": 2, "offered": 2, "ended": 0}  # 李四 has not consented
    assert {(o.rule, o.party_id) for o in Offer.objects.all()} == {
        ("offer_senior_allowance", old.party.pk), ("offer_newborn", mother.party.pk),
    }  # fmt: skip
    assert _calls(OLD) == 2  # two sources, once each
    assert _calls(OTHER) == 0
    assert api.evaluate(subject="person", by=SYSTEM)["offered"] == 0

    line = api.look(by=old)[0]
    assert "岁" in line.reason
    assert {f.title for f in line.facts} >= {"出生日期", "户号"}
    assert any("户籍人口" in f.where_from for f in line.facts)
    assert api.look(by=other) == []

    # A new row: only whom it is about is read.
    api.switch_on(by=other)
    birth("Y2", OTHER, batch="b2")
    quiet = _calls(OLD)
    event = record("offers.swept", "batch:b2", by=SYSTEM, data={"resource": "wj_births"})
    actions.on_batch_finished(event)
    job = ProcrastinateJob.objects.order_by("-id").first()
    assert job is not None
    assert job.args["path"] == "lianyun.capabilities.offers.jobs.evaluate"
    jobs.evaluate(**job.args["arguments"])
    assert (_calls(OLD), _calls(OTHER)) == (quiet, 2)

    offer = Offer.objects.get(party=other.party)
    with pytest.raises(UserError):
        actions.open_offer(offer.pk, by=old)  # another's does not exist
    assert "/newborn_registration/" in actions.open_offer(offer.pk, by=other)
    actions.dismiss(offer.pk, by=other)
    assert api.look(by=other) == []
    assert api.evaluate(subject="person", by=SYSTEM)["offered"] == 0  # no means no

    cases.open_case(
        "item_promised", title="报户口", subject="item:newborn_registration",
        applicant=mother.party, data={"promised_days": 1}, by=SYSTEM,
    )  # fmt: skip
    assert api.look(by=mother) == []  # applied for: answered, and counted once
    assert actions.note_answers(by=SYSTEM) == 0
    tally = Tally.objects.get(rule="offer_newborn")
    assert (tally.offered, tally.opened, tally.dismissed, tally.filed) == (2, 1, 1, 1)
    assert queries.told_count(2, "person") == "少于 5"

    # Off: nothing is held, nothing is computed, the right to read is gone.
    grant = Choice.objects.get(party=old.party).grant
    before = _calls(OLD)
    assert api.switch_off(by=old) == 1
    assert api.switch_off(by=old) == 0
    assert Grant.objects.get(code=grant).state == Grant.REVOKED
    assert api.evaluate(subject="person", by=SYSTEM)["read"] == 2
    assert not Offer.objects.filter(party=old.party).exists()
    assert _calls(OLD) == before

    # An erased account takes its choice and its offers along.
    for _ in range(2):
        actions.on_account_erased(record("offers.swept", f"identity:{other.party.pk}", by=SYSTEM))
    assert not Offer.objects.filter(party=other.party).exists()
    assert not queries.wants(other, other.party)

    # A rule that is stopped falls silent at once.
    with pytest.raises(Denied):
        api.stop_rule(code="offer_newborn", reason="x", by=mother)
    api.stop_rule(code="offer_newborn", reason="政策调整", by=SYSTEM)
    assert not Offer.objects.filter(rule="offer_newborn").exists()
    assert queries.granted(SYSTEM, newborn) == []


def test_a_firm_sees_why_and_claims_once(poured: None) -> None:
    zhang = person(MOTHER, "张三丰")
    small, large = agent(zhang, FIRM, "连云港某某公司"), agent(zhang, SECOND, "海州某厂")
    approve("stable_jobs", "new_firm_start", "offer_new_firm")
    fits = {f.policy.code: f for f in api.look_at_policies(by=small)}
    assert fits["new_firm_start"].may_claim
    assert not fits["stable_jobs"].fits
    missed = fits["stable_jobs"].missed
    assert [(j.condition.id, j.gap) for j in missed] == [("people", "还差 2 人")]
    assert "年度报告" in missed[0].facts[0].where_from
    fits = {f.policy.code: f for f in api.look_at_policies(by=large)}
    assert (fits["stable_jobs"].amount, fits["new_firm_start"].fits) == (2_000_000, False)
    with pytest.raises(UserError, match="还不符合"):
        api.claim("new_firm_start", by=large)
    with pytest.raises(UserError, match="切换"):
        api.claim("stable_jobs", by=zhang)

    made = api.claim("stable_jobs", by=large)
    assert api.claim("stable_jobs", by=large).pk == made.pk
    budget = Budget.objects.get(policy="stable_jobs")
    assert (budget.reserved, budget.paid, budget.left) == (2_000_000, 0, 798_000_000)
    assert made.facts["employee_count"]["value"] == 40
    case = made.case
    assert case is not None
    step = api.step_for(SYSTEM, case)
    assert step is not None
    assert step.step == "pay"  # 20,000 yuan are within what the rule may settle at once
    Claim.objects.filter(pk=made.pk).update(facts={"employee_count": {"value": 400}})
    with pytest.raises(UserError, match="摘要不符"):
        api.work_claim(case, "pay", "paid", note="", by=SYSTEM)
    Claim.objects.filter(pk=made.pk).update(facts=made.facts)
    api.work_claim(case, "pay", "failed", note="账户有误", by=SYSTEM)
    budget.refresh_from_db()
    assert (budget.reserved, budget.paid) == (0, 0)
    again = api.claim("stable_jobs", by=large)  # what was not paid may be claimed anew
    assert again.pk != made.pk
    assert again.case is not None
    api.work_claim(again.case, "pay", "paid", note="", by=SYSTEM)
    with pytest.raises(UserError, match="已经由同事办理"):
        api.work_claim(Case.objects.get(pk=again.case.pk), "pay", "paid", note="", by=SYSTEM)
    budget.refresh_from_db()
    assert (budget.reserved, budget.paid) == (0, 2_000_000)

    Budget.objects.filter(policy="new_firm_start").update(total=299_999)
    with pytest.raises(UserError, match="预算余额"):
        api.claim("new_firm_start", by=small)

    # Firms are offered what fits without asking, until they say no.
    assert api.evaluate(subject="entity", by=SYSTEM)["offered"] == 1
    assert api.look(by=small)[0].rule.code == "offer_new_firm"
    assert api.switch_off(by=small) == 1
    assert api.evaluate(subject="entity", by=SYSTEM) == {"read": 1, "offered": 0, "ended": 0}

    case = actions.dispute("employee_count", told="年报多报了", expected="6", by=small)
    assert case.department is not None
    assert (case.path.key, case.department.slug) == ("correction", "scjg")
    assert queries.disputes(small, small.behalf)[0][1] == case
    with pytest.raises(UserError):
        actions.dispute("blacklisted", told="x", expected="0", by=small)
