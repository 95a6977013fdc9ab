"""Own: a party looks at its offers, opens one, says no to one; an application answers one."""

from __future__ import annotations

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import adapters, queries
from ..models import Offer
from ..rules import declared
from ..rules.facts import PERSON
from .evaluating import count


def look(*, by: Actor) -> list[queries.Line]:
    """The viewer's offers with their reasons, each asked anew: what no longer holds is not shown.

    The look is on record like every reading of a person's data. Raises Denied, and UserError where
    the lake does not answer.
    """
    party = queries.own_party(by)
    note_answers(by=by, party=party)
    held = queries.standing_offers(by, party)
    if not held or not queries.wants(by, party):
        return []
    subject, key = queries.subject_of(party), queries.number_of(party)
    sheet = queries.sheet_of(subject)
    rules = {d.code: (r, d) for r, d in queries.speaking(by, declared.OFFER, subject)}
    held = [o for o in held if o.rule in rules]
    asked = [rules[o.rule][1] for o in held]
    known = adapters.known(sheet, asked, key, timezone.localdate()) if asked else None
    if known is None:
        return []
    names = list(dict.fromkeys(n for d in asked for n in d.facts))
    if subject == PERSON:
        audit.record_reading(
            by=by, resource=sheet.library, people=[key], purpose="本人查看主动服务的依据"
        )
    facts = queries.told_facts(by, sheet, names, key, known.values)
    stale = [
        o for o in held if not all(known.holds[o.rule, c.id] for c in rules[o.rule][1].conditions)
    ]
    if stale:
        _end(offers=[o.pk for o in stale], by=by)
    return [queries.line_of(by, o, *rules[o.rule], facts) for o in held if o not in stale]


@action(None)
def _end(*, offers: list[int], by: Actor) -> None:
    Offer.objects.filter(pk__in=offers).delete()
    record("offers.ended", "system:offers", by=by, data={"count": len(offers)})


def _own(number: int, by: Actor) -> Offer:
    found = queries.own_offer(by, number)
    if found is None:
        raise UserError("这条提示已经失效")
    return Offer.objects.select_for_update().get(pk=found.pk)


@action(None)
def open_offer(number: int, *, by: Actor) -> str:
    """Go to where the offer leads; returns the address. Counted once."""
    row = _own(number, by)
    rule = queries.rule_of(by, row.rule)
    if rule is None:
        raise UserError("这条提示已经失效")
    if row.opened_at is None:
        row.opened_at = timezone.now()
        row.save(update_fields=["opened_at"])
        count(row.rule, "opened")
    record(
        "offer.opened", "system:offers", by=by
    )  # which one is nobody's business but the person's
    return queries.way_to(queries.content_of(rule))


@action(None)
def dismiss(number: int, *, by: Actor) -> None:
    """Do not show this one again (until its day; then the rule may speak anew)."""
    row = _own(number, by)
    if row.dismissed_at is None:
        row.dismissed_at = timezone.now()
        row.save(update_fields=["dismissed_at"])
        count(row.rule, "dismissed")
    record("offer.dismissed", "system:offers", by=by)


def note_answers(*, by: Actor, party: Party | None = None) -> int:
    """Offers whose item has been applied for since are answered, of one party or of all; how many.

    Found by the cases themselves, when somebody looks and once a week: a filing wakes nobody for it.
    """
    found = queries.answered(by, party)
    if found:
        _answer(offers=[(o.pk, o.rule) for o in found], by=by)
    return len(found)


@action(None)
def _answer(*, offers: list[tuple[int, str]], by: Actor) -> None:
    rows = Offer.objects.select_for_update().filter(pk__in=[pk for pk, _ in offers], filed_at=None)
    for row in rows:
        row.filed_at = timezone.now()
        row.save(update_fields=["filed_at"])
        count(row.rule, "filed")
    record("offers.answered", "system:offers", by=by, data={"count": len(offers)})


__all__ = ["dismiss", "look", "note_answers", "open_offer"]
