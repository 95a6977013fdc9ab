"""Holders: whom a department's register names, entered thousands at a time."""

from __future__ import annotations

from collections.abc import Sequence

from lianyun.kernel import rows
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import citizen_number_ok, credit_code_ok
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import adapters
from ..models import Account, FormerNumber
from .persons import find_person


@action(None)
def parties_of(entries: Sequence[tuple[str, str]], *, by: Actor) -> dict[str, Party]:
    """The party of each (citizen number or credit code, name), entered where there is none yet.

    As `find_person` and `find_entity`, in a few statements for all. Keyed by the number in capital
    letters. Raises UserError for a number whose check digit is wrong.
    """
    plain = {number.strip().upper(): name.strip() for number, name in entries}
    if any(not (citizen_number_ok(n) or credit_code_ok(n)) for n in plain):
        raise UserError("号码有误：请核对末位校验码")
    people = {adapters.number_hash(n): n for n in plain if citizen_number_ok(n)}
    firms = [n for n in plain if not citizen_number_ok(n)]
    out: dict[str, Party] = {}
    for account in Account.objects.filter(number_hash__in=list(people)).select_related("party"):
        out[people[str(account.number_hash)]] = account.party
    for former in FormerNumber.objects.filter(number_hash__in=list(people)).select_related(
        "account__party"
    ):
        out.setdefault(people[former.number_hash], former.account.party)
    linked = Party.objects.filter(kind=Party.PERSON, data__citizen_hash__in=list(people))
    found = {people[p.data["citizen_hash"]]: p for p in linked}
    for number, party in found.items():
        if number not in out and Account.objects.filter(party=party).exists():
            out[number] = find_person(number, name=party.name, by=by)
    fresh = [n for n in people.values() if n not in out and n not in found]
    made = [
        Party(pk=pk, kind=Party.PERSON, name=plain[n] or "未登记姓名")
        for pk, n in zip(rows.numbers(Party, len(fresh)), fresh, strict=True)
    ]
    rows.pour(Party, ("id", "kind", "name"), [(p.pk, p.kind, p.name) for p in made])
    new = {
        **{n: p for n, p in found.items() if n not in out},
        **dict(zip(fresh, made, strict=True)),
    }
    hashed = {number: hashed for hashed, number in people.items()}
    rows.pour(
        Account,
        ("party_id", "number_hash", "number_sealed"),
        [(p.pk, hashed[n], adapters.seal(n, adapters.NUMBER_USE)) for n, p in new.items()],
    )
    out |= new
    Party.objects.bulk_create(
        [Party(kind=Party.LEGAL_ENTITY, code=n, name=plain[n] or n) for n in firms],
        batch_size=1000,
        ignore_conflicts=True,
    )
    out |= {str(p.code): p for p in Party.objects.filter(code__in=firms)}
    record(
        "holders.registered", "system:identity", by=by,
        data={"people": len(new), "asked": len(plain)},
    )  # fmt: skip
    return out


__all__ = ["parties_of"]
