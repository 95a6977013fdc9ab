"""Api: what sibling capabilities and the sample city may use of identity."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.shortcuts import redirect
from django.utils import timezone

from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.element import citizen_number_ok, credit_code_ok, mask_value
from lianyun.kernel.party import Party
from lianyun.kernel.rows import together

from . import rules
from .actions import (
    add_child,
    bind_representative,
    choose_policy,
    claim_firm,
    confirm_at_counter,
    create_account,
    create_personal_account,
    disable_account,
    enable_account,
    end_representations,
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
    rename_entity,
    represent_new_firm,
)
from .adapters import (
    MAIL_USE,
    NUMBER_USE,
    PHONE_USE,
    number_hash,
    phone_hash,
    sample_city,
    send_mail,
    send_text,
    unseal,
)
from .models import Account, Agency, User
from .queries import (
    access_policy,
    accounts,
    acting_for,
    agencies,
    concerned,
    covers,
    may_act,
    party_by_hash,
    with_posts,
)

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from lianyun.kernel.event import Event

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


# ---- what is told to whom -------------------------------------------------------------------


class NoAddress(UserError):
    """The person has given no address for this way: there is nothing to try again."""


@dataclass(frozen=True)
class Sent:
    """Where something went (masked), and whether a stand-in took it (模拟数据: nothing went out)."""

    where: str
    simulated: bool


def ways(parties: Collection[int]) -> dict[int, frozenset[str]]:
    """By which ways (`sms`, `mail`) these parties (row numbers) can be reached; one query."""
    rows = Account.objects.filter(party_id__in=parties).values_list(
        "party_id", "phone_sealed", "mail_sealed"
    )
    return {
        party: frozenset(w for w, kept in (("sms", phone), ("mail", mail)) if kept)
        for party, phone, mail in rows
    }


def addresses(party: Party) -> dict[str, str]:
    """A party's own addresses by way, masked; a way without one is missing."""
    account = Account.objects.filter(party=party).first()
    out = {}
    if account is not None and account.phone_sealed:
        out["sms"] = str(mask_value("phone", unseal(account.phone_sealed, PHONE_USE)))
    if account is not None and account.mail_sealed:
        out["mail"] = rules.mask_mail(unseal(account.mail_sealed, MAIL_USE))
    return out


def send(party: Party, way: str, subject: str, text: str) -> Sent:
    """Send a text (`sms`, without subject) or a mail to a party's own address, which stays in here.

    Raises NoAddress where the party has none, UserError where it does not go out.
    """
    account = Account.objects.filter(party=party).first()
    sealed = (
        "" if account is None else account.phone_sealed if way == "sms" else account.mail_sealed
    )
    if not sealed:
        raise NoAddress("没有登记手机号码" if way == "sms" else "没有登记通知邮箱")
    if way == "sms":
        to = unseal(sealed, PHONE_USE)
        return Sent(str(mask_value("phone", to)), bool(send_text(to, text)))
    to = unseal(sealed, MAIL_USE)
    return Sent(rules.mask_mail(to), bool(send_mail(to, subject, text)))


def with_login(parties: Collection[int]) -> list[int]:
    """Those of these parties (row numbers) who can log in."""
    rows = User.objects.filter(party_id__in=parties, is_active=True)
    return [int(p) for p in rows.values_list("party_id", flat=True) if p is not None]


def told_of(event: Event) -> list[tuple[Party, str]]:
    """Whom an event of an account concerns, each with the words of the notice; nobody for another kind."""
    if event.kind not in rules.TEXTS:
        return []
    return [(a.party, rules.notice_text(event.kind, f)) for a, f in concerned(SYSTEM, event)]


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
    "NoAddress",
    "Sent",
    "account_of",
    "accounts",
    "acting",
    "acting_for",
    "add_child",
    "addresses",
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
    "end_representations",
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
    "rename_entity",
    "represent_new_firm",
    "require_level",
    "sample_city",
    "send",
    "told_of",
    "ways",
    "with_login",
    "with_posts",
]
