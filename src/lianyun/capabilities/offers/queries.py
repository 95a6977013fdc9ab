"""Queries: rules and policies, one's own offers and claims, counts for officers; never a name with an offer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, Denied
from lianyun.kernel.case import bureau
from lianyun.kernel.element import domain_choices
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Batch, Case, Element, Event, Grant, Party, Resource, WorkItem
from lianyun.ui.context import address_of

from . import adapters
from .models import Budget, Choice, Claim, Offer, Rule, Tally
from .rules import declared, expressions
from .rules.facts import ENTITY, PERSON, Fact, Sheet

GRANT = "offers"
APPLY = "apply"


def settings() -> dict[str, Any]:
    """Words and days as packs/core/offers.yaml declares them."""
    return adapters.settings()


def sheet_of(subject: str) -> Sheet:
    """The declared facts of persons or of firms."""
    return adapters.all_facts()[subject]


def subject_of(party: Party) -> str:
    """Whether a party is asked as a person or as a firm."""
    return PERSON if party.kind == Party.PERSON else ENTITY


def content_of(rule: Rule) -> declared.Declared:
    """A kept version as it was declared."""
    return declared.read(rule.kind, rule.content, adapters.all_facts())


def speaking(viewer: Actor, kind: str, subject: str = "") -> list[tuple[Rule, declared.Declared]]:
    """Rules (or policies) in force, each as it was approved."""
    rows = Rule.objects.filter(kind=kind, approved_at__isnull=False, stopped_at=None)
    told = [(r, content_of(r)) for r in rows.select_related("department")]
    return [(r, d) for r, d in told if not subject or d.subject == subject]


def rule_of(viewer: Actor, code: str) -> Rule | None:
    """The version of a rule that speaks."""
    return (
        Rule.objects.filter(code=code, approved_at__isnull=False, stopped_at=None)
        .select_related("department")
        .first()
    )


# ---- sources -------------------------------------------------------------------------------


def source_title(source: str) -> tuple[str, str]:
    """What `library.x` or `trusted.y` is called and who provides it."""
    schema, _, name = source.partition(".")
    if schema == "library":
        return libraries.rule(name).title, "市级基础库"
    found = Resource.objects.filter(name=name).select_related("owner").first()
    if found is not None:
        return found.title, str(found.owner)
    told = packs.declaration("datasets", name).data
    return str(told["title"]), str(told["provider"])


def providers(code: declared.Declared) -> list[str]:
    """Departments (slugs) whose registers a rule reads, beside its own and the bureau's."""
    own = {code.department, bureau().slug}
    out: dict[str, None] = {}
    for source in sheet_of(code.subject).tables(code.facts):
        schema, _, name = source.partition(".")
        if schema == "trusted":
            slug = str(packs.declaration("datasets", name).data["provider"])
            if slug not in own:
                out[slug] = None
    return list(out)


def granted(viewer: Actor, rule: Rule) -> list[Grant]:
    """The rights under which a rule reads, those in force."""
    rows = Grant.objects.filter(kind=GRANT, terms__rule=rule.code, terms__version=rule.version)
    return [g for g in rows.select_related("resource", "grantor") if g.in_force()]


def may_read(rules: Iterable[Rule]) -> set[tuple[str, int]]:
    """Which of these (code, version) have every right that they need, in one query."""
    listed = {(r.code, r.version): r for r in rules}
    held: dict[tuple[str, int], set[str]] = {}
    for grant in Grant.objects.filter(
        kind=GRANT, state=Grant.ACTIVE, terms__rule__in=[c for c, _ in listed]
    ):
        if grant.in_force():
            key = (str(grant.terms["rule"]), int(grant.terms["version"]))
            held.setdefault(key, set()).add(str(grant.terms["source"]))
    out = set()
    for key, rule in listed.items():
        told = content_of(rule)
        if set(sheet_of(told.subject).tables(told.facts)) <= held.get(key, set()):
            out.add(key)
    return out


# ---- showing facts -------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """One fact as the person concerned sees it: what, its value, whose record says so, as of when."""

    name: str
    title: str
    words: str
    source: str
    provider: str
    as_of: str
    known: bool
    made: str = ""

    @property
    def shown(self) -> str:
        """The value; for what is made of a date, the date and what it makes."""
        return f"{self.words}（{self.made}）" if self.made else self.words

    @property
    def where_from(self) -> str:
        """The source in one line."""
        return "，".join(x for x in (self.provider, self.source, self.as_of) if x)


def _domain(sheet: Sheet, fact: Fact) -> str:
    if fact.domain or not fact.field:
        return fact.domain
    field = next((f for f in libraries.rule(sheet.library).fields if f.name == fact.field), None)
    found = Element.objects.filter(code=field.element).first() if field else None
    return found.domain or "" if found else ""


def shown(sheet: Sheet, name: str, value: Any) -> str:
    """A fact's value in words."""
    fact = sheet.facts[name]
    if value is None:
        return "没有记录"
    if domain := _domain(sheet, fact):
        return dict(domain_choices(domain)).get(str(value), str(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,} {fact.unit}".strip()
    text = str(value)
    if len(text) >= 10 and text[4:5] == "-" and text[7:8] == "-":
        year, month, day = text[:10].split("-")
        return f"{int(year)}年{int(month)}月{int(day)}日"
    return text


def told_facts(
    viewer: Actor, sheet: Sheet, names: Iterable[str], key: str, values: Mapping[str, Any]
) -> dict[str, Told]:
    """Facts with their sources, for whom they are about (the caller has checked that)."""
    wanted = sheet.wanted(names)
    base = libraries.plain(SYSTEM, sheet.library, key)
    tables = {f.table for f in wanted.values() if f.source and f.schema == "trusted"}
    titles = {
        r.name: (r.title, str(r.owner))
        for r in Resource.objects.filter(name__in=tables).select_related("owner")
    }
    newest = dict(
        Batch.objects.filter(resource__name__in=tables, state=Batch.SUCCEEDED)
        .values_list("resource__name")
        .annotate(Max("finished_at"))
    )
    out = {}
    for name in names:
        fact = wanted[name]
        root = wanted[fact.of] if fact.of else fact
        if root.source and root.schema == "trusted":
            title, provider = titles.get(root.table, (root.table, ""))
            at = newest.get(root.table)
            day = f"数据更新至 {timezone.localtime(at):%Y-%m-%d}" if at else ""
        elif root.source:
            title, provider = source_title(root.source)
            day = ""
        else:
            said = base.origins.get(root.field) if base else None
            title = libraries.rule(sheet.library).title
            provider, day = (f"{said[1]} {said[0]}", said[2]) if said else ("", "")
        value = values.get(name)
        made = f"{fact.title} {shown(sheet, name, value)}" if fact.of and value is not None else ""
        words = shown(sheet, root.name, values.get(root.name))
        out[name] = Told(name, root.title, words, title, provider, day, value is not None, made)
    return out


# ---- one's own -----------------------------------------------------------------------------


def own_party(viewer: Actor) -> Party:
    """For whom the viewer looks: the firm he acts for, else himself; raises Denied for visitors."""
    if viewer.party is None:
        raise Denied("请先登录")
    party = viewer.behalf or viewer.party
    if not identity.may_act(viewer.party, party, APPLY):
        raise Denied("您没有代其办理的权限")
    return party


def number_of(party: Party) -> str:
    """The number by which the libraries know a party; empty where none is proven."""
    return (party.code or "") if party.kind != Party.PERSON else identity.number_of(party)


def choice_of(viewer: Actor, party: Party) -> Choice | None:
    """What a party has chosen, if it has."""
    return Choice.objects.filter(party=party).first()


def wants(viewer: Actor, party: Party) -> bool:
    """Whether proactive service is on: for a person after consent in force, for a firm until it says no."""
    found = choice_of(viewer, party)
    if party.kind != Party.PERSON:
        return found is None or found.on
    if found is None or not found.on:
        return False
    grant = Grant.objects.filter(code=found.grant).first()
    return grant is not None and grant.in_force()


@dataclass(frozen=True)
class Asked:
    """One source as the consent page lists it: what of it is read, and for which rules."""

    title: str
    provider: str
    facts: tuple[str, ...]
    rules: tuple[str, ...]


def asked(viewer: Actor, subject: str) -> list[Asked]:
    """Everything that the rules in force read of such a subject."""
    sheet = sheet_of(subject)
    facts: dict[str, dict[str, None]] = {}
    rules: dict[str, dict[str, None]] = {}
    for _, told in speaking(viewer, declared.OFFER, subject):
        for fact in sheet.wanted(told.facts).values():
            if fact.of:
                continue
            source = fact.source or f"library.{sheet.library}"
            facts.setdefault(source, {})[fact.title] = None
            rules.setdefault(source, {})[told.title] = None
    out = []
    for source, listed in facts.items():
        title, provider = source_title(source)
        out.append(Asked(title, provider, tuple(listed), tuple(rules[source])))
    return out


@dataclass(frozen=True)
class Line:
    """One offer as its party sees it: why, on which facts, where it leads."""

    offer: Offer
    rule: declared.Declared
    department: str
    item: str
    reason: str
    facts: tuple[Told, ...]


def standing_offers(viewer: Actor, party: Party) -> list[Offer]:
    """The offers that a party may see today."""
    today = timezone.localdate()
    rows = Offer.objects.filter(party=party, until__gte=today, dismissed_at=None, filed_at=None)
    return list(rows)


def own_offer(viewer: Actor, number: int) -> Offer | None:
    """One of the viewer's own offers; None alike for another's and for one that is no more."""
    party = own_party(viewer)
    return Offer.objects.filter(pk=number, party=party).first()


def slots(rule: declared.Declared, facts: Mapping[str, Told]) -> dict[str, str]:
    """What the reason's slots are filled with: the bare value, without what surrounds it in a list."""
    sheet = sheet_of(rule.subject)
    out = {}
    for name in rule.slots:
        told = facts[name]
        lead = f"{sheet.facts[name].title} "
        out[name] = told.made.removeprefix(lead) if told.made else told.words
    return out


def line_of(
    viewer: Actor, offer: Offer, rule: Rule, told: declared.Declared, facts: Mapping[str, Told]
) -> Line:
    """An offer with its reason in plain words."""
    item = items.find(told.item) if told.item else None
    named = tuple(facts[n] for n in told.facts if n in facts and facts[n].known)
    return Line(
        offer,
        told,
        str(rule.department),
        item.name if item else "",
        told.filled(slots(told, facts)),
        named,
    )


def way_to(told: declared.Declared) -> str:
    """Where 去办理 leads: the item's application with the answers known, its guide, or a page."""
    if told.page:
        return told.page
    way = address_of("hall:apply", told.item) or address_of("items:item", told.item)
    query = "&".join(f"{k}={v}" for k, v in told.answers)
    return f"{way}?{query}" if query and way else way


def audience(
    viewer: Actor, subject: str, parties: Sequence[int] | None = None
) -> list[tuple[int, str]]:
    """Whom rules may be asked about: persons who consented, firms that did not say no; (party, number)."""
    viewer.require("offers.run")
    if subject == PERSON:
        now = timezone.now()
        rows = Choice.objects.filter(
            on=True,
            until__gt=now,
            party__kind=Party.PERSON,
            grant__in=Grant.objects.filter(kind=GRANT, state=Grant.ACTIVE, valid_to__gt=now).values(
                "code"
            ),
        )
        if parties is not None:
            rows = rows.filter(party_id__in=parties)
        return sorted(identity.numbers_of(rows.values_list("party_id", flat=True)).items())
    firms = Party.objects.filter(kind=Party.LEGAL_ENTITY, active=True).exclude(code=None)
    firms = firms.exclude(pk__in=Choice.objects.filter(on=False).values("party_id"))
    if parties is not None:
        firms = firms.filter(pk__in=parties)
    return [(pk, str(code)) for pk, code in firms.order_by("pk").values_list("pk", "code")]


# ---- policies and claims -------------------------------------------------------------------


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


# ---- officers ------------------------------------------------------------------------------


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


def due_in(days: int) -> dt.date:
    """The last day of something that stands so long from today."""
    return timezone.localdate() + dt.timedelta(days=days)
