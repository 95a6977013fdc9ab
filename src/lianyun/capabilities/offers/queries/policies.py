"""Policies held against one firm's facts: met, missed by how much, what would be paid; its claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Event, Party

from .. import adapters
from ..models import Budget, Claim, Rule
from ..rules import declared, expressions
from ..rules.facts import Sheet
from .known import Told, sheet_of, speaking
from .own import slots


@dataclass(frozen=True)
class Judged:
    """One condition of a policy for one firm: met or missed, the facts it rests on, by how much missed."""

    condition: declared.Condition
    met: bool
    facts: tuple[Told, ...]
    gap: str


@dataclass(frozen=True)
class Fit:
    """A policy as one firm sees it: what it meets, what it misses, what it would be paid (fen)."""

    rule: Rule
    policy: declared.Declared
    judged: tuple[Judged, ...]
    amount: int
    reason: str
    claim: Claim | None
    left: int
    open: bool

    @property
    def fits(self) -> bool:
        """Whether every condition is met."""
        return all(j.met for j in self.judged)

    @property
    def missed(self) -> list[Judged]:
        """The conditions that are not met."""
        return [j for j in self.judged if not j.met]

    @property
    def may_claim(self) -> bool:
        """Whether a click is all that is needed."""
        return self.fits and self.open and self.claim is None and 0 < self.amount <= self.left

    @property
    def money(self) -> str:
        """The amount in words."""
        return declared.yuan(self.amount)


def fit_of(
    viewer: Actor,
    rule: Rule,
    policy: declared.Declared,
    known: adapters.Known,
    facts: Mapping[str, Told],
    claim: Claim | None,
    budget: Budget | None,
) -> Fit:
    """A policy held against one firm's facts."""
    sheet = sheet_of(policy.subject)
    judged = []
    for condition in policy.conditions:
        names = sorted(expressions.names_in(condition.when) - {"today"})
        met = known.holds[policy.code, condition.id]
        judged.append(
            Judged(
                condition,
                met,
                tuple(facts[n] for n in names),
                "" if met else _gap(sheet, condition, known.values),
            )
        )
    return Fit(
        rule,
        policy,
        tuple(judged),
        known.amounts.get(policy.code, 0),
        policy.filled(slots(policy, facts)),
        claim,
        budget.left if budget else 0,
        policy.open_on(timezone.localdate()),
    )


def _gap(sheet: Sheet, condition: declared.Condition, values: Mapping[str, Any]) -> str:
    names = expressions.names_in(condition.when) - {"today"}
    if all(values.get(n) is None for n in names):
        return "没有查到相关记录"
    missed = expressions.missed_by(condition.when, values)
    if missed is None:
        return ""
    name, gap = missed
    number = f"{abs(gap):,.0f}" if gap == int(gap) else f"{abs(gap):,.2f}"
    unit = sheet.facts[name].unit
    return f"还差 {number} {unit}".strip() if gap > 0 else f"超出 {number} {unit}".strip()


def own_claims(viewer: Actor, party: Party) -> list[Claim]:
    """A firm's claims, newest first."""
    return list(Claim.objects.filter(party=party).select_related("case", "by")[:50])


def disputes(viewer: Actor, party: Party) -> list[tuple[Event, Case | None]]:
    """What a firm said is wrong about it, newest first, with the case at the provider."""
    rows = list(Event.objects.filter(subject=party.ref, kind="fact.disputed").order_by("-id")[:20])
    cases = {c.code: c for c in Case.objects.filter(code__in=[e.data["case"] for e in rows])}
    return [(e, cases.get(e.data["case"])) for e in rows]


def public_policies(viewer: Actor) -> list[tuple[Rule, declared.Declared, Budget]]:
    """Policies in force with what is left of their money, for everybody."""
    found = speaking(viewer, declared.SUBSIDY)
    budgets = {b.policy: b for b in Budget.objects.filter(policy__in=[d.code for _, d in found])}
    return [(r, d, budgets[d.code]) for r, d in found if d.code in budgets]
