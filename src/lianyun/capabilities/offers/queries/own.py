"""Own: whether a party wants to be told, what is read for it, its offers; whom rules may be asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Case, Grant, Party
from lianyun.ui.context import address_of

from ..models import Choice, Offer, Rule
from ..rules import declared
from ..rules.facts import PERSON
from .known import APPLY, GRANT, Told, sheet_of, source_title, speaking


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
        title, provider = source_title(viewer, source)
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


def answered(viewer: Actor, party: Party | None = None) -> list[Offer]:
    """Offers whose item their party has applied for since they were made: of one party, or of all."""
    if party is None:
        viewer.require("offers.run")
    out: list[Offer] = []
    for rule, told in speaking(viewer, declared.OFFER):
        filed = Case.objects.filter(
            applicant=OuterRef("party"),
            subject=f"item:{told.item}",
            opened_at__gte=OuterRef("made_at"),
        )
        rows = Offer.objects.filter(Exists(filed), rule=rule.code, filed_at=None)
        out += rows.filter(party=party) if party is not None else rows
    return out


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
