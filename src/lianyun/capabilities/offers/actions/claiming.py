"""Claiming: a firm sees what it qualifies for, claims by one press; the budget is never overdrawn."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.quality import api as quality
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, Resource

from .. import adapters, queries
from ..models import Budget, Claim, Rule
from ..rules import declared
from ..rules.facts import ENTITY
from .evaluating import note_reading

PATH = "subsidy_claim"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def _firm(by: Actor) -> Party:
    party = queries.own_party(by)
    if party.kind == Party.PERSON:
        raise UserError("惠企政策只面向企业和其他组织，请先切换到您所代理的单位")
    return party


def look_at_policies(*, by: Actor) -> list[queries.Fit]:
    """Every policy in force held against the firm's facts: what fits first, then what misses least.

    An empty list where the library of legal entities does not know the firm. The reading is on
    record. Raises UserError (no firm chosen, lake down) and Denied.
    """
    party = _firm(by)
    found = queries.speaking(by, declared.SUBSIDY, ENTITY)
    fits = _fits(party, found, by)
    claims: dict[str, Claim] = {}
    for claim in queries.own_claims(by, party):
        if claim.released_at is None:
            claims.setdefault(claim.policy, claim)
    budgets = {b.policy: b for b in Budget.objects.filter(policy__in=[d.code for _, d in found])}
    out = [
        queries.fit_of(by, r, d, known, facts, claims.get(d.code), budgets.get(d.code))
        for r, d, known, facts in fits
    ]
    return sorted(out, key=lambda f: (not f.fits, len(f.missed), -f.amount))


def _fits(
    party: Party, found: list[tuple[Rule, declared.Declared]], by: Actor
) -> list[tuple[Rule, declared.Declared, adapters.Known, dict[str, queries.Told]]]:
    """Read a firm's facts under the policies' rights; the reading is on record."""
    allowed = queries.may_read(by, (r for r, _ in found))
    found = [(r, d) for r, d in found if (r.code, r.version) in allowed]
    key = queries.number_of(party)
    if not found or not key:
        return []
    sheet = queries.sheet_of(ENTITY)
    asked = [d for _, d in found]
    known = adapters.known(sheet, asked, key, timezone.localdate())
    if known is None:
        return []
    note_reading(found, [key], 1)
    names = list(dict.fromkeys(n for d in asked for n in d.facts))
    facts = queries.told_facts(by, sheet, names, key, known.values)
    return [(r, d, known, facts) for r, d in found]


def claim(code: str, *, by: Actor) -> Claim:
    """Claim what a policy pays: the facts are read anew, held against it and frozen.

    Pressed twice, or by two agents of one firm, it is one claim. Raises UserError with what is
    missing, Denied, LevelNeeded.
    """
    party = _firm(by)
    identity.require_level(by, int(queries.settings()["proof"]))
    found = queries.rule_of(by, code)
    if found is None or found.kind != declared.SUBSIDY:
        raise UserError("没有这项政策，或者它已经停止")
    read = _fits(party, [(found, queries.content_of(found))], by)
    if not read:
        raise UserError("法人库中没有查到贵单位，暂不能一键申领")
    rule, told, known, facts = read[0]
    return _claim(party=party, rule=rule, told=told, known=known, facts=facts, by=by)


@action(None)
def _claim(
    *,
    party: Party,
    rule: Rule,
    told: declared.Declared,
    known: adapters.Known,
    facts: dict[str, queries.Told],
    by: Actor,
) -> Claim:
    # The budget's row is held first: whoever claims at once waits here, and sees what is left.
    budget = Budget.objects.select_for_update().get(policy=told.code)
    earlier = Claim.objects.filter(policy=told.code, party=party, released_at=None).first()
    if earlier is not None:
        record("claim.repeated", earlier, by=by, case=earlier.case)
        return earlier
    fit = queries.fit_of(by, rule, told, known, facts, None, budget)
    if not fit.open:
        raise UserError("现在不在这项政策的申领期内")
    if not fit.fits:
        raise UserError("还不符合：" + "、".join(j.condition.title for j in fit.missed))
    if fit.amount <= 0:
        raise UserError("按现有数据计算的金额为零，不能申领")
    if fit.amount > budget.left:
        raise UserError(f"预算余额 {declared.yuan(max(budget.left, 0))}，不足以支付这一申领")
    assert by.party is not None
    frozen = {
        n: {
            "title": f.title,
            "value": known.values.get(n),
            "shown": f.shown,
            "source": f.where_from,
        }
        for n, f in facts.items()
    }
    budget.reserved += fit.amount
    budget.save(update_fields=["reserved"])
    made = Claim.objects.create(
        code="".join(secrets.choice(_LETTERS) for _ in range(12)),
        policy=told.code,
        version=rule.version,
        party=party,
        by=by.party,
        amount=fit.amount,
        facts=frozen,
        digest=digest(frozen),
    )
    made.case = cases.open_case(
        PATH,
        title=f"{told.title}（{party.name}）",
        subject=made,
        applicant=party,
        department=rule.department,
        data={
            "policy": told.code,
            "version": rule.version,
            "amount": fit.amount,
            "excess": fit.amount - told.instant,
            "digest": made.digest,
        },
        once=made.ref,
        by=by,
    )
    made.save(update_fields=["case"])
    record(
        "claim.filed",
        made,
        by=by,
        case=made.case,
        data={"policy": told.code, "amount": fit.amount, "digest": made.digest},
    )
    return made


def digest(facts: dict[str, Any]) -> str:
    """The mark of frozen facts (SHA-256 of their canonical JSON)."""
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@action(None)
def work_claim(case: Case, step: str, outcome: str, *, note: str, by: Actor) -> Case:
    """Do one step of a claim: review it, pay it; what is not paid goes back to the budget.

    `step` is what the page showed: of two who press at once the second is told.
    """
    found = Claim.objects.get(case=case)
    budget = Budget.objects.select_for_update().get(policy=found.policy)
    row = Claim.objects.select_for_update(of=("self",)).get(pk=found.pk)
    item = queries.step_for(by, case)
    if item is None or item.step != step:
        raise UserError("这一步已经由同事办理，或者不由您办理，请看最新情况")
    if digest(row.facts) != row.digest:
        raise UserError("冻结的依据与摘要不符，不能继续办理，请报告系统管理员")
    done = cases.step(item, outcome, note=note, by=by)
    if done.state == Case.CLOSED and row.paid_at is None and row.released_at is None:
        budget.reserved -= row.amount
        if done.outcome == "paid":
            budget.paid += row.amount
            row.paid_at = timezone.now()
        else:
            row.released_at = timezone.now()
        budget.save(update_fields=["reserved", "paid"])
        row.save(update_fields=["paid_at", "released_at"])
        record(
            "claim.paid" if row.paid_at else "claim.released",
            row,
            by=by,
            case=done,
            data={"policy": row.policy, "amount": row.amount, "outcome": done.outcome},
        )
    return done


@action(None)
def dispute(fact: str, *, told: str, expected: str, by: Actor) -> Case:
    """The firm says that a fact about it is wrong: a correction case at the department whose row it is.

    Only the firm's own row can be named. Raises UserError where the fact has no row of one
    department (nothing on record, or a count of rows).
    """
    party = _firm(by)
    key = queries.number_of(party)
    sheet = queries.sheet_of(ENTITY)
    wanted = sheet.wanted([fact])
    root = wanted[wanted[fact].of] if wanted[fact].of else wanted[fact]
    if not expected.strip():
        raise UserError("请填写正确的内容应当是什么")
    if root.source:
        dataset, column, match = root.table, root.column, dict.fromkeys(dict(root.match), key)
        if root.schema != "trusted" or not column:
            raise UserError("这一项由多条记录汇总，请到“谁看过我的数据”旁的数据提供部门反映")
    else:
        field = next(f for f in libraries.rule(sheet.library).fields if f.name == root.field)
        base = libraries.plain(SYSTEM, sheet.library, key)
        said = base.origins.get(root.field) if base else None
        if said is None:
            raise UserError("这一项没有记录，请先到主管部门登记")
        names = [s.dataset for s in field.sources]
        rows = Resource.objects.filter(name__in=names, title=said[0])
        dataset = str(rows.values_list("name", flat=True).first() or names[0])
        source = next(s for s in field.sources if s.dataset == dataset)
        column, match = source.column, {source.key: key}
    resource = Resource.objects.get(kind=Resource.DATASET, name=dataset)
    keys = list(quality.key_of(resource))
    row = adapters.newest_row(dataset, match, keys)
    if row is None:
        raise UserError("没有找到贵单位的这一行记录")
    case = quality.report_error(
        dataset=dataset,
        key={k: row[k] for k in keys},
        item=column,
        told=f"{party.name}：{told.strip()}" if told.strip() else "",
        expected=expected,
        # A firm is no officer: that the row is its own was just shown, which is all the right it needs.
        by=Actor(party=by.party, everything=True, behalf=by.behalf),
    )
    record(
        "fact.disputed",
        party,
        by=by,
        data={"case": case.code, "fact": fact, "title": wanted[fact].title, "dataset": dataset},
    )
    return case


__all__ = ["claim", "digest", "dispute", "look_at_policies", "work_claim"]
