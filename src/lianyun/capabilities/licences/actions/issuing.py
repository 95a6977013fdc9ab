"""Issuing: a licence given once, and its next version when something of it changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity import api as identity
from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import citizen_number_ok
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Grant, Party

from ..adapters import values
from ..models import Licence
from ..queries import kinds
from ..rules import identifier as identifiers
from ..rules import types

USE = "licences.elements"
GRANT = "licence"


def sealed(elements: Mapping[str, str]) -> str:
    """The elements as the database keeps them."""
    return audit.encrypt(json.dumps(elements, ensure_ascii=False).encode(), USE)


def once_of(kind: str, once: str) -> str:
    """The unique word of a grant for what may be issued once only."""
    return f"licence:{kind}:{hashlib.sha256(once.encode()).hexdigest()[:40]}"


def check_code_of(identifier: str) -> str:
    """The code on the file's QR: from the installation's key, so nobody can count it up."""
    return audit.keyed_hash(f"licence-check:{identifier}")


def new_serial() -> str:
    """A serial number of 20 random characters: from one licence nobody finds another."""
    # One large random number written in base 36: as random as twenty choices, at a tenth of the cost.
    value, out = secrets.randbelow(36**identifiers.SERIAL_LENGTH), ""
    for _ in range(identifiers.SERIAL_LENGTH):
        value, digit = divmod(value, 36)
        out += identifiers.ALPHABET[digit]
    return out


@lru_cache(maxsize=4096)
def moment(day: dt.date) -> dt.datetime:
    """The first moment of a day in the city."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def _hold(word: str) -> None:
    """One at a time for the same word, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1819249169))", [word])


def _holder(kind: types.LicenceType, elements: Mapping[str, str], by: Actor) -> Party:
    number, name = elements[kind.holder_number], elements.get(kind.holder_name, "")
    if citizen_number_ok(number):
        return identity.party_of_number(number, name=name, by=by)
    return identity.party_of_credit_code(number, name=name, by=by)


def _allowed(by: Actor, department: Party) -> None:
    if not by.may("licences.review", department):
        by.require("licences.issue", department)


def _filled(one: types.LicenceType, told: dict[str, str], today: dt.date) -> dict[str, str]:
    """What a type that numbers its licences itself need not be told: number and date of issue."""
    if not one.numbering or told.get(one.number):
        return told
    begin = types.series(one, today)
    _hold(f"licences-series:{begin}")
    last = (
        Licence.objects.filter(kind=one.name, number__startswith=begin)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
    )
    serial = int(last.removeprefix(begin)) + 1 if last else 1
    return {
        **told,
        one.number: types.numbered(one, today, serial),
        one.issued: told.get(one.issued) or today.isoformat(),
    }


@action(None)
def issue_licence(
    kind: str,
    holder: Party | None,
    elements: Mapping[str, Any],
    *,
    case: Case | None = None,
    once: str,
    by: Actor,
    trust: str = "A",
) -> Licence:
    """Give a licence of a declared type; with the same `once` a second call returns the first.

    The holder is found (or entered) by the number among the elements; one that is given must be
    that person. Of a type with `numbering`, number and date of issue may be left out. Raises UserError with everything that is wrong, Denied outside the issuing
    department (`licences.issue` or `licences.review`).
    """
    one = kinds.kind(kind)
    issuer = kinds.issuer_of(one)
    _allowed(by, issuer)
    word = once_of(kind, once)
    _hold(word)
    found = Licence.objects.filter(grant__once=word).select_related("grant").first()
    if found is not None:
        record("licence.issued_already", found, by=by, case=case)
        return found
    today = timezone.localdate()
    told = _filled(one, types.cleaned(one, elements), today)
    if wrong := values.faults(one, told, today):
        raise UserError("；".join(wrong))
    party = _holder(one, told, by)
    if holder is not None and holder.pk != party.pk:
        raise UserError("证照要素中的持证人与申请人不是同一人")
    hashed = audit.keyed_hash(told[one.holder_number])
    same = Licence.objects.filter(
        kind=kind, number=told[one.number], holder_hash=hashed, ending=""
    ).exists()
    if same:
        raise UserError(f"编号“{told[one.number]}”的{one.title}已经签发，请办理延续或变更")
    number = identifiers.make(one.code(str(issuer.code)), str(issuer.code), new_serial())
    made = _make(one, number, party, told, case=case, once=word, trust=trust, by=by)
    record("licence.issued", made, by=by, case=case, data={"kind": kind, "trust": trust})
    return made


def _make(
    one: types.LicenceType,
    number: identifiers.Identifier,
    party: Party,
    told: Mapping[str, str],
    *,
    case: Case | None,
    once: str,
    trust: str,
    by: Actor,
    replaces: Licence | None = None,
    source: str = "",
) -> Licence:
    today = timezone.localdate()
    span = types.span(one, told, today)
    grant = grants.issue(
        kind=GRANT,
        to=party,
        by=by,
        grantor=kinds.issuer_of(one),
        case=case,
        terms={"type": one.name, "title": one.title},
        code=str(number),
        once=once,
        valid_from=moment(span.begins),
        valid_to=moment(span.ends + dt.timedelta(days=1)) if span.ends else None,
    )
    return Licence.objects.create(
        grant=grant, replaces=replaces, **columns(one, str(number), told, trust, source, today)
    )


def columns(
    one: types.LicenceType,
    number: str,
    told: Mapping[str, str],
    trust: str,
    source: str,
    today: dt.date,
) -> dict[str, Any]:
    """What a licence's row holds beside its grant."""
    span = types.span(one, told, today)
    return {
        "kind": one.name,
        "identifier": number,
        "number": told[one.number],
        "holder_hash": audit.keyed_hash(told[one.holder_number]),
        "sealed": sealed(told),
        "check_code": check_code_of(number),
        "trust": trust,
        "source": source,
        "issued_on": span.issued,
        "begins_on": span.begins,
        "ends_on": span.ends,
        "whole": types.complete(one, told),
        "faults": kinds.strange_codes(one, dict(told)),
    }


@action(None)
def change_licence(
    licence: Licence,
    changes: Mapping[str, Any],
    *,
    why: str,
    by: Actor,
    case: Case | None = None,
    trust: str = "",
    source: str = "",
) -> Licence:
    """Renew or change a licence: the next version replaces it; called twice, the first stays.

    `changes` are the elements that differ (a later end: 延续). Raises UserError for an ended
    licence, for nothing changed, and for what may not be issued.
    """
    one = kinds.kind(licence.kind)
    _allowed(by, kinds.issuer_of(one))
    word = once_of(licence.kind, f"{licence.identifier}>")
    _hold(word)
    row = Licence.objects.select_related("grant", "grant__grantee").get(pk=licence.pk)
    next_one = Licence.objects.filter(grant__once=word).select_related("grant").first()
    if next_one is not None:
        record("licence.issued_already", next_one, by=by, case=case)
        return next_one
    if row.ending:
        raise UserError(f"该证照已{row.get_ending_display()}，不能延续或变更")
    if row.grant.state == Grant.SUSPENDED:
        raise UserError("该证照正在暂扣期间，恢复后才能延续或变更")
    if not why.strip():
        raise UserError("请写明延续或变更的理由")
    before = json.loads(audit.decrypt(row.sealed, USE))
    told = types.cleaned(one, {**before, **changes})
    if told == before:
        raise UserError("没有任何要素发生变化")
    if told.get(one.holder_number) != before[one.holder_number]:
        raise UserError("持证人不能变更，请注销后重新签发")
    if wrong := values.faults(one, told, timezone.localdate()):
        raise UserError("；".join(wrong))
    grants.revoke(row.grant, reason=f"换发新版本：{why}"[:500], by=by)
    row.ending = Licence.REPLACED
    row.save(update_fields=["ending"])
    try:
        number = identifiers.parse(row.identifier).next
    except identifiers.BadIdentifier as full:
        raise UserError(str(full)) from full
    made = _make(
        one, number, row.grant.grantee, told, case=case, once=word, trust=trust or row.trust,
        by=by, replaces=row, source=source or row.source,
    )  # fmt: skip
    names = [one.item(n).title for n in one.names if told.get(n) != before.get(n)]
    record("licence.renewed", made, by=by, case=case, data={"kind": row.kind, "items": names})
    return made


__all__ = ["GRANT", "USE", "change_licence", "issue_licence"]
