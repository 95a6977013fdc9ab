"""Desk: rules and policies of a department with their numbers and money; never a name with an offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncMonth

from lianyun.kernel.access import Actor
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, WorkItem

from ..models import Budget, Claim, Rule, Tally
from ..rules import declared
from ..rules.facts import PERSON
from .known import content_of, settings


def rules(viewer: Actor, kind: str) -> QuerySet[Rule]:
    """The newest version of each rule or policy of the viewer's departments."""
    viewer.require("offers.read")
    rows = Rule.objects.filter(kind=kind).order_by("code", "-version").distinct("code")
    scope = viewer.departments("offers.read")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    return Rule.objects.filter(pk__in=rows.values("pk")).select_related("department", "case")


def versions(viewer: Actor, code: str) -> list[Rule]:
    """All versions of a rule, newest first; empty for another department's."""
    viewer.require("offers.read")
    rows = list(Rule.objects.filter(code=code).select_related("department", "case"))
    return rows if rows and viewer.may("offers.read", rows[0].department) else []


def case_of(viewer: Actor, code: str) -> tuple[Case, Rule | None, Claim | None] | None:
    """A case of ours that the viewer may open: an approval, or a claim."""
    found = Case.objects.filter(code=code).select_related("department", "path").first()
    if found is None:
        return None
    rule = Rule.objects.filter(case=found).select_related("department").first()
    claim = Claim.objects.filter(case=found).select_related("party", "by").first()
    if claim is not None:
        return (found, None, claim) if viewer.may("offers.claims", found.department) else None
    asked_too = WorkItem.objects.filter(case=found).select_related("department")
    seen = viewer.may("offers.read", found.department) or any(
        viewer.may(w.permission, w.department) for w in asked_too if w.permission
    )
    return (found, rule, None) if rule is not None and seen else None


def step_for(viewer: Actor, case: Case) -> WorkItem | None:
    """The open step of a case that the viewer may do."""
    rows = case.items.filter(done_at=None).select_related("case__path", "department")
    return next((w for w in rows if w.permission and viewer.may(w.permission, w.department)), None)


def events_of(viewer: Actor, case: Case) -> list[Event]:
    """What became of a case."""
    return list(timeline(case).order_by("-id")[:40])


def tallies(viewer: Actor, codes: Iterable[str]) -> dict[str, dict[str, int]]:
    """What came of each rule since it began: offered, opened, dismissed, filed."""
    viewer.require("offers.read")
    names = ("offered", "opened", "dismissed", "filed")
    rows = (
        Tally.objects.filter(rule__in=list(codes))
        .order_by()
        .values_list("rule", *(Sum(n) for n in names))
    )
    return {r[0]: {n: r[at] or 0 for at, n in enumerate(names, 1)} for r in rows}


def by_month(viewer: Actor, code: str) -> list[Tally]:
    """A rule's last twelve months, oldest first."""
    viewer.require("offers.read")
    return list(Tally.objects.filter(rule=code).order_by("-month")[:12])[::-1]


def told_count(count: int, subject: str) -> str:
    """A count as officers see it: about persons, few are not told apart from fewer."""
    few = int(settings()["few"])
    return f"少于 {few}" if subject == PERSON and 0 < count < few else f"{count:,}"


@dataclass(frozen=True)
class Money:
    """A policy's money and claims as its department sees them, in fen."""

    rule: Rule
    policy: declared.Declared | None
    budget: Budget | None
    claims: int
    open: int


def monies(viewer: Actor) -> list[Money]:
    """The policies of the viewer's departments with their money."""
    found = list(rules(viewer, declared.SUBSIDY))
    budgets = {b.policy: b for b in Budget.objects.filter(policy__in=[r.code for r in found])}
    counted = dict(
        Claim.objects.filter(policy__in=budgets)
        .order_by()
        .values_list("policy")
        .annotate(Count("pk"))
    )
    waiting = dict(
        Claim.objects.filter(policy__in=budgets, paid_at=None, released_at=None)
        .order_by()
        .values_list("policy")
        .annotate(Count("pk"))
    )
    return [
        Money(r, content_of(r), budgets.get(r.code), counted.get(r.code, 0), waiting.get(r.code, 0))
        for r in found
    ]


def claims(viewer: Actor, policy: str) -> QuerySet[Claim]:
    """A policy's claims, newest first, for its department; raises Denied."""
    rule = Rule.objects.filter(code=policy).select_related("department").first()
    viewer.require("offers.claims", rule.department if rule else None)
    return Claim.objects.filter(policy=policy).select_related("party", "case").order_by("-id")


def paid_by_month(viewer: Actor, policy: str) -> list[tuple[str, int]]:
    """What was paid month by month: (month, fen)."""
    rows = (
        claims(viewer, policy)
        .exclude(paid_at=None)
        .order_by()
        .annotate(month=TruncMonth("paid_at"))
        .values_list("month")
        .annotate(Sum("amount"))
        .order_by("month")
    )
    return [(f"{month:%Y-%m}", int(total)) for month, total in rows]
