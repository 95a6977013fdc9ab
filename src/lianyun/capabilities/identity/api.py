"""Api: what sibling capabilities and the sample city may use of identity."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.shortcuts import redirect
from django.utils import timezone

from lianyun.kernel.access import SYSTEM, Actor, Denied
from lianyun.kernel.element import citizen_number_ok, credit_code_ok
from lianyun.kernel.party import Party
from lianyun.kernel.rows import together

from . import rules
from .actions import (
    bind_representative,
    choose_policy,
    claim_firm,
    confirm_at_counter,
    create_account,
    create_personal_account,
    disable_account,
    enable_account,
    end_seats,
    enter_by_platform,
    find_entity,
    find_person,
    go_to_counter,
    leave,
    parties_of,
    prove_elements,
    register,
    remove_role,
)
from .adapters import NUMBER_USE, number_hash, phone_hash, unseal
from .models import Account, Agency
from .queries import (
    access_policy,
    accounts,
    agencies,
    covers,
    may_act,
    party_by_hash,
    with_posts,
)

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from .models import User

REGISTER, SELF, ELEMENTS, PERSON, CERTIFICATE = (
    rules.REGISTER,
    rules.SELF,
    rules.ELEMENTS,
    rules.PERSON,
    rules.CERTIFICATE,
)
LEVELS = rules.LEVELS
PLATFORM = rules.PLATFORM
SCOPES = rules.SCOPES


class LevelNeeded(Denied):
    """The person is not known surely enough; `way` leads to the page that says how to become so."""

    def __init__(self, wanted: int, held: int, back: str = "") -> None:
        super().__init__(
            f"办理这一项需要“{LEVELS[wanted]}”，您目前是“{LEVELS[held] if held else '未实名'}”"
        )
        self.wanted = wanted
        query = {"need": str(wanted), **({"next": back} if back else {})}
        self.way = ("去提升实名等级", f"/my/identity/?{urlencode(query)}")


def account_of(who: Any) -> Account | None:
    """The identity behind an actor, a user or a party; None for visitors and for whom none is kept."""
    if isinstance(who, Account):
        return who  # read a moment ago, by this very caller
    if isinstance(who, Actor):
        party = who.party
    elif isinstance(who, Party):
        party = who
    else:
        party = getattr(who, "party", None)
    if party is None:
        return None
    # Read anew each time: a level that was lost must be lost at once.
    rows = together(((Account, "a"),), "FROM identity_account a WHERE a.party_id = %s", [party.pk])
    found: Account | None = rows[0][0] if rows else None
    if found is not None:
        found.party = party
        found.level = rules.level_now(found.level, found.certified_until, timezone.now())
    return found


def acting(request: HttpRequest) -> Party:
    """For whom a request is made: the firm or child the person chose, else the person himself.

    Raises Denied for a visitor. Whether the mandate covers what is asked, `may_act` says.
    """
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if actor.party is None:
        raise Denied("请先登录")
    return actor.behalf or actor.party


def level_of(who: Any) -> int:
    """How surely an actor, user or party is known: a key of LEVELS, 0 for nobody."""
    account = account_of(who)
    return account.level if account else 0


def require_level(who: HttpRequest | Actor, level: int) -> Account:
    """The identity of who asks, if it reaches `level`; raises LevelNeeded (a 403 page with the way).

    Given a request, the way leads back to the page that asked.
    """
    actor = who if isinstance(who, Actor) else who.actor  # type: ignore[attr-defined]
    back = "" if isinstance(who, Actor) or who.method != "GET" else who.get_full_path()
    account = account_of(actor)
    if account is None or not rules.reaches(account.level, level):
        raise LevelNeeded(level, account.level if account else 0, back)
    return account


def number_of(who: Any) -> str:
    """The proven citizen number of an actor, user or party in plain, empty where none is on record.

    Whoever asks records the reading (audit.record_reading).
    """
    account = account_of(who)
    if account is None or not account.number_sealed:
        return ""
    return unseal(account.number_sealed, NUMBER_USE)


def numbers_of(parties: Collection[int]) -> dict[int, str]:
    """The proven citizen numbers of these parties (row numbers) in plain, by party; one query.

    Whoever asks records the reading, as for `number_of`.
    """
    rows = Account.objects.filter(party_id__in=parties).exclude(number_sealed="")
    return {
        party: unseal(sealed, NUMBER_USE)
        for party, sealed in rows.values_list("party_id", "number_sealed")
    }


def party_of_number(number: str, *, name: str = "", by: Actor = SYSTEM) -> Party:
    """The person who holds a citizen number, entered (level 0, `name`) where there is none yet.

    The number is kept encrypted and as its keyed hash. UserError for a malformed number.
    """
    plain = number.strip().upper()
    found = party_by_hash(by, number_hash(plain)) if citizen_number_ok(plain) else None
    return found or find_person(plain, name=name, by=by)


def party_of_phone(phone: str) -> Party | None:
    """Whose account has this telephone; None where nobody's has."""
    found = Account.objects.filter(phone_hash=phone_hash(phone)).select_related("party").first()
    return found.party if found else None


def policy_name() -> str:
    """The access policy in force: a name of packs/core/access.yaml."""
    return str(access_policy(SYSTEM)["name"])


def party_of_credit_code(code: str, *, name: str = "", by: Actor = SYSTEM) -> Party:
    """The legal entity of a credit code, entered where there is none yet; UserError if malformed."""
    plain = code.strip().upper()
    known = credit_code_ok(plain) and Party.objects.filter(code=plain).first()
    return known or find_entity(plain, name=name, by=by)


def let_in(
    request: HttpRequest, user: User, target: str, way: str, *, entered: float = 0.0
) -> HttpResponse:
    """Open a session for whom a platform has proven (`enter_by_platform`); leads on to `target`.

    What the browser had before is dropped; a second factor is asked of whoever has one. `way` is
    a key of rules.WAYS, `entered` when the person gave his secret there (epoch seconds, 0: not
    told). `target` is a path of this site, made safe by the caller.
    """
    request.session.flush()
    request.session[rules.HALF] = {
        "user": user.pk, "at": time.time(), "next": target, "way": way, "entered": entered
    }  # fmt: skip
    return redirect("identity:entered")


__all__ = [
    "CERTIFICATE",
    "ELEMENTS",
    "LEVELS",
    "PERSON",
    "PLATFORM",
    "REGISTER",
    "SCOPES",
    "SELF",
    "Account",
    "Agency",
    "LevelNeeded",
    "account_of",
    "accounts",
    "acting",
    "agencies",
    "bind_representative",
    "choose_policy",
    "claim_firm",
    "confirm_at_counter",
    "covers",
    "create_account",
    "create_personal_account",
    "disable_account",
    "enable_account",
    "end_seats",
    "enter_by_platform",
    "go_to_counter",
    "leave",
    "let_in",
    "level_of",
    "may_act",
    "number_hash",
    "number_of",
    "numbers_of",
    "parties_of",
    "party_of_credit_code",
    "party_of_number",
    "party_of_phone",
    "policy_name",
    "prove_elements",
    "register",
    "remove_role",
    "require_level",
    "with_posts",
]
