"""Persons: find or enter who holds a number."""

from __future__ import annotations

from django.db import connection

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import citizen_number_ok, credit_code_ok
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import adapters, queries
from ..models import Account


def lock_number(digest: str) -> None:
    """Hold a number until the transaction ends, so that two at once make one person."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 6))", [digest])


@action(None)
def find_person(number: str, *, name: str, by: Actor) -> Party:
    """The person of a citizen number, entered at level 0 where nobody holds it yet.

    Raises UserError for a number whose check digit is wrong.
    """
    plain = number.strip().upper()
    if not citizen_number_ok(plain):
        raise UserError("公民身份号码有误：请核对位数、出生日期和末位校验码")
    digest = adapters.number_hash(plain)
    lock_number(digest)
    found = queries.party_by_hash(digest)
    if found is None:
        found = Party.objects.filter(kind=Party.PERSON, data__citizen_hash=digest).first()
        if found is None:
            found = Party.objects.create(kind=Party.PERSON, name=name.strip() or "未登记姓名")
        account, _ = Account.objects.get_or_create(party=found)
        account.number_hash = digest
        account.number_sealed = adapters.seal(plain, adapters.NUMBER_USE)
        account.save(update_fields=["number_hash", "number_sealed"])
    record("person.registered", account_ref(found), by=by, personal={"name": found.name})
    return found


def account_ref(party: Party) -> str:
    """The pointer to a person's identity."""
    return f"identity:{party.pk}"


@action(None)
def find_entity(code: str, *, name: str, by: Actor) -> Party:
    """The legal entity of a credit code, entered where it is not known yet; UserError if malformed."""
    plain = code.strip().upper()
    if not credit_code_ok(plain):
        raise UserError("统一社会信用代码有误：请核对 18 位代码和末位校验码")
    party, made = Party.objects.get_or_create(
        code=plain, defaults={"kind": Party.LEGAL_ENTITY, "name": name.strip() or plain}
    )
    record("entity.registered", party, by=by, data={"new": made})
    return party
