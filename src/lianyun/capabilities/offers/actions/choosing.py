"""Choosing: a person agrees to proactive service or refuses it; refusing deletes all that is held at once."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Grant, Party

from .. import queries
from ..models import Choice, Offer
from ..rules.facts import PERSON


def _locked(party: Party) -> Choice:
    Choice.objects.bulk_create([Choice(party=party)], ignore_conflicts=True)
    return Choice.objects.select_for_update().get(party=party)


def _revoke(row: Choice, reason: str, by: Actor) -> None:
    found = Grant.objects.filter(code=row.grant).first()
    if found is not None and found.state == Grant.ACTIVE:
        grants.revoke(found, reason=reason, by=by)


@action(None)
def switch_on(*, by: Actor) -> Choice:
    """A person consents to what the consent page lists; a firm takes its refusal back.

    Raises LevelNeeded for a person who is not proven, UserError without a number.
    """
    party = queries.own_party(by)
    row = _locked(party)
    told = queries.settings()
    if party.kind == Party.PERSON:
        identity.require_level(by, int(told["proof"]))
        if not queries.number_of(party):
            raise UserError("您的账号没有经过核验的证件号码，请先完成实名认证")
        _revoke(row, "重新授权", by)
        until = timezone.now() + dt.timedelta(days=int(told["consent_days"]))
        listed = queries.asked(by, PERSON)
        grant = grants.issue(
            kind=queries.GRANT,
            to=cases.bureau(),
            grantor=party,
            terms={
                "purpose": told["purpose"],
                "sources": [{"title": a.title, "facts": list(a.facts)} for a in listed],
                "law": told["law"],
            },
            valid_to=until,
            by=by,
        )
        row.grant, row.until = grant.code, until
    row.on, row.changed_at = True, timezone.now()
    row.save()
    record("offers.switched_on", party, by=by)
    return row


@action(None)
def switch_off(*, by: Actor) -> int:
    """Nothing is computed from now on and all that was held is gone; returns how many offers went.

    个人信息保护法 art. 15, 24, 47. Pressed twice, it is off.
    """
    party = queries.own_party(by)
    row = _locked(party)
    _revoke(row, "本人关闭主动服务", by)
    gone, _ = Offer.objects.filter(party=party).delete()
    row.on, row.grant, row.until, row.changed_at = False, "", None, timezone.now()
    row.save()
    record("offers.switched_off", party, by=by)
    return gone


def on_account_erased(event: Event) -> None:
    """An account was erased: its choice and its offers go with it (个人信息保护法 art. 47)."""
    number = event.subject.partition(":")[2]
    if number.isdecimal():
        _forget(party=int(number), by=SYSTEM)


@action(None)
def _forget(*, party: int, by: Actor) -> None:
    row = Choice.objects.select_for_update().filter(party_id=party).first()
    if row is not None:
        _revoke(row, "账号已注销", by)
        row.delete()
    Offer.objects.filter(party_id=party).delete()
    record("offers.forgotten", "system:offers", by=by)


__all__ = ["on_account_erased", "switch_off", "switch_on"]
