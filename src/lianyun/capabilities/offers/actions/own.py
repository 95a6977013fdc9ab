"""Own: a party looks at its offers, opens one, says no to one; a filed application answers one."""

from __future__ import annotations

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Party

from .. import adapters, queries
from ..models import Offer, Rule
from ..rules import declared
from ..rules.facts import PERSON
from .evaluating import count


def look(*, by: Actor) -> list[queries.Line]:
    """The viewer's offers with their reasons, each asked anew: what no longer holds is not shown.

    The look is on record like every reading of a person's data. Raises Denied, and UserError where
    the lake does not answer.
    """
    party = queries.own_party(by)
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


def on_application_filed(event: Event) -> None:
    """An application was filed: where it is what an offer proposed, the offer is answered."""
    item = str(event.data.get("item") or "")
    codes = [
        r.code
        for r in Rule.objects.filter(
            approved_at__isnull=False, stopped_at=None, kind=declared.OFFER
        )
        if r.content.get("item") == item
    ]
    if not codes or event.case_id_ref is None:
        return
    party = Party.objects.filter(applied__pk=event.case_id_ref).first()
    if party is not None:
        _answered(party=party, codes=codes, by=SYSTEM)


@action(None)
def _answered(*, party: Party, codes: list[str], by: Actor) -> None:
    rows = Offer.objects.select_for_update().filter(party=party, rule__in=codes, filed_at=None)
    for row in rows:
        row.filed_at = timezone.now()
        row.save(update_fields=["filed_at"])
        count(row.rule, "filed")
    record("offers.answered", "system:offers", by=by, data={"rules": codes})


__all__ = ["dismiss", "look", "on_application_filed", "open_offer"]
