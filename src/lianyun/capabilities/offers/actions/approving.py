"""Approving: what a pack declares is proposed, signed, agreed to by whose data it reads, reviewed; then it speaks."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Resource
from lianyun.kernel.party import department

from .. import adapters, queries
from ..models import Budget, Offer, Rule
from ..rules import declared
from .evaluating import queue

PATH = "offer_rule"


def on_packs_installed(event: Event) -> None:
    """The packs were installed: what they declare anew is proposed."""
    propose_declared(by=SYSTEM)


@action("offers.review")
def propose_declared(*, by: Actor) -> int:
    """Propose every declared rule and policy that is new or changed; returns how many.

    Each becomes a version of its own with a case; the version that speaks goes on speaking until
    the new one is approved.
    """
    count = 0
    for code, (kind, content) in adapters.declarations().items():
        last = Rule.objects.filter(code=code).order_by("-version").first()
        if last is not None and last.content == content:
            continue
        told = declared.read(kind, content, adapters.all_facts())
        count += 1
        _propose(told, content, (last.version if last else 0) + 1, by)
    record("rules.proposed", "system:offers", by=by, data={"count": count})
    return count


def _propose(told: declared.Declared, content: dict[str, Any], version: int, by: Actor) -> Rule:
    owner = department(told.department)
    rule = Rule.objects.create(
        kind=told.kind,
        code=told.code,
        version=version,
        title=told.title,
        department=owner,
        content=content,
    )
    rule.case = cases.open_case(
        PATH,
        title=f"{declared.KINDS[told.kind]}：{told.title}（第 {version} 版）",
        subject=rule,
        applicant=owner,
        department=owner,
        data={
            "rule": told.code,
            "version": version,
            "kind": told.kind,
            "providers": queries.providers(told),
        },
        once=f"rule:{told.code}:{version}",
        by=by,
    )
    rule.save(update_fields=["case"])
    return rule


@action(None)
def work_rule(case: Case, step: str, outcome: str, *, note: str, by: Actor) -> Case:
    """Do one step of an approval; the last one lets the rule speak.

    `step` is what the page showed: of two who press at once the second is told. Raises UserError and
    Denied (the step's permission is asked for by the kernel).
    """
    rule = Rule.objects.select_for_update(of=("self",)).get(case=case)
    item = queries.step_for(by, case)
    if item is None or item.step != step:
        raise UserError("这一步已经由同事办理，或者不由您办理，请看最新情况")
    done = cases.step(item, outcome, note=note, by=by)
    if done.state == Case.CLOSED and done.outcome == "approved":
        _speak(rule, done, by)
    return done


def _speak(rule: Rule, case: Case, by: Actor) -> None:
    """From now on this version speaks: the rights to read are given, the former version's end."""
    told = queries.content_of(rule)
    for former in Rule.objects.filter(code=rule.code, approved_at__isnull=False, stopped_at=None):
        _end(former, f"由第 {rule.version} 版代替", by)
    rule.approved_at = timezone.now()
    rule.save(update_fields=["approved_at"])
    sheet = queries.sheet_of(told.subject)
    wanted = sheet.wanted(told.facts).values()
    for source in sheet.tables(told.facts):
        name = source.partition(".")[2]
        resource = Resource.objects.filter(name=name).select_related("owner").first()
        columns = sorted(
            {f.field for f in wanted if f.field}
            if source == f"library.{sheet.library}"
            else {c for f in wanted if f.source == source for c in (f.column, *dict(f.match)) if c}
        )
        grants.issue(
            kind=queries.GRANT,
            to=cases.bureau(),
            grantor=resource.owner if resource else cases.bureau(),
            resource=resource,
            case=case,
            terms={
                "purpose": queries.settings()["purpose"],
                "rule": rule.code,
                "version": rule.version,
                "source": source,
                "fields": columns,
            },
            once=f"offers:{rule.code}:{rule.version}:{source}",
            by=by,
        )
    if told.kind == declared.SUBSIDY:
        _fund(told)
    record(
        "rule.approved", rule, by=by, case=case, data={"version": rule.version, "title": rule.title}
    )
    if told.kind == declared.OFFER:
        queue(told.subject, codes=[rule.code])


def _fund(told: declared.Declared) -> None:
    """A policy's money as its newest version says, never below what is promised already."""
    held, _ = Budget.objects.select_for_update().get_or_create(
        policy=told.code, defaults={"total": told.budget}
    )
    if told.budget < held.reserved + held.paid:
        raise UserError("新预算少于已占用和已拨付的金额，不能上线")
    held.total = told.budget
    held.save(update_fields=["total"])


def _end(rule: Rule, reason: str, by: Actor) -> None:
    for grant in queries.granted(by, rule):
        grants.revoke(grant, reason=reason, by=by)
    rule.stopped_at, rule.stop_reason = timezone.now(), reason[:300]
    rule.save(update_fields=["stopped_at", "stop_reason"])
    record("rule.stopped", rule, by=by, data={"version": rule.version, "reason": reason})


@action("offers.review")
def stop_rule(*, code: str, reason: str, by: Actor) -> None:
    """A rule or policy falls silent at once: its rights end, its offers are deleted; claims stay."""
    if not reason.strip():
        raise UserError("请写明停用的原因")
    rule = (
        Rule.objects.select_for_update()
        .filter(code=code, approved_at__isnull=False, stopped_at=None)
        .first()
    )
    if rule is None:
        raise UserError("这条规则没有在用的版本")
    _end(rule, reason.strip(), by)
    Offer.objects.filter(rule=code).delete()


__all__ = ["on_packs_installed", "propose_declared", "stop_rule", "work_rule"]
