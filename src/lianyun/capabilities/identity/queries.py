"""Queries: accounts, posts and open logins that a viewer may see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.db.models.functions import TruncDate
from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.access import Denied, Membership, UserError, roles
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import Event, timeline
from lianyun.kernel.party import Party
from lianyun.kernel.rows import together

from . import adapters, rules
from .models import (
    Account,
    Agency,
    Certificate,
    Cover,
    Device,
    Factor,
    FormerNumber,
    Notice,
    Policy,
    Seat,
    User,
    Visit,
)

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def accounts(viewer: Actor) -> models.QuerySet[User]:
    """Accounts of the departments that the viewer manages or secures, with their people."""
    rows = User.objects.exclude(party=None).select_related("party")
    scope = _scope(viewer)
    if scope is not None:
        rows = rows.filter(party__memberships__department_id__in=scope).distinct()
    return rows.prefetch_related("party__memberships__department").order_by("username")


def _scope(viewer: Actor) -> frozenset[int] | None:
    parts = [viewer.departments(p) for p in ("identity.manage", "identity.secure")]
    if any(p is None for p in parts):
        return None
    return frozenset().union(*[p for p in parts if p is not None])


def account(viewer: Actor, username: str) -> User:
    """One account; raises Denied for one outside the viewer's departments (or unknown)."""
    found = accounts(viewer).filter(username=username).first()
    if found is None:
        raise Denied("没有这个账号，或者它不属于您管理的部门")
    return found


def history(viewer: Actor, user: User) -> models.QuerySet[Event]:
    """What happened to an account the viewer may see, newest first."""
    account(viewer, user.username)
    return timeline(user).order_by("-id")[:30]


def manageable_departments(viewer: Actor) -> models.QuerySet[Party]:
    """Departments whose accounts the viewer may manage."""
    rows = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
    scope = viewer.departments("identity.manage")
    return rows if scope is None else rows.filter(pk__in=scope)


def assignable_roles(viewer: Actor) -> list[tuple[str, str]]:
    """Roles that the viewer may give: city-wide ones only by a city-wide administrator."""
    whole = viewer.departments("identity.manage") is None
    return [(r.name, r.title) for r in roles().values() if whole or r.scope == "own"]


def posts(viewer: Actor, party: Party) -> list[Membership]:
    """A person's posts: the viewer's own, or of someone whose account the viewer may see."""
    if viewer.party is None or viewer.party.pk != party.pk:
        account(viewer, party.account.username)
    return list(party.memberships.select_related("department").order_by("department_id", "id"))


@dataclass(frozen=True)
class OpenSeat:
    """A login that is open now, with the time of its last page."""

    seat: Seat
    seen: dt.datetime | None
    current: bool


def seats(viewer: Actor, user: User, current: str = "") -> list[OpenSeat]:
    """Open logins of the viewer's own account, or of one the viewer may see; newest first."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        account(viewer, user.username)
    rows = list(user.seats.all())
    alive = {
        s.session_key: s.get_decoded()
        for s in Session.objects.filter(
            session_key__in=[r.key for r in rows], expire_date__gt=timezone.now()
        )
    }
    out = []
    for row in rows:
        if row.key not in alive:
            continue
        seen = alive[row.key].get("seen")
        when = dt.datetime.fromtimestamp(seen, tz=dt.UTC) if seen else None
        out.append(OpenSeat(row, when, row.key == current))
    return out


def locked_accounts(viewer: Actor) -> models.QuerySet[User]:
    """Accounts in the viewer's reach that are locked or have failed logins lately."""
    return accounts(viewer).filter(
        models.Q(locked_until__gt=timezone.now()) | models.Q(failed__gt=0)
    )


def failures_by_day(viewer: Actor, days: int = 14) -> list[tuple[dt.date, int]]:
    """Refused logins of the whole city on each of the last days, for those who secure it."""
    viewer.require("identity.secure")
    today = timezone.localdate()
    begin = today - dt.timedelta(days=days - 1)
    start = timezone.make_aware(dt.datetime.combine(begin, dt.time()))
    counted: dict[dt.date, int] = dict(
        Event.objects.filter(kind="session.refused", at__gte=start)
        .annotate(day=TruncDate("at"))
        .values_list("day")
        .annotate(models.Count("id"))
    )
    return [(d, counted.get(d, 0)) for d in (begin + dt.timedelta(days=i) for i in range(days))]


def party_by_hash(viewer: Actor, digest: str) -> Party | None:
    """Who holds (or once held) the number with this keyed hash; nobody for a visitor."""
    if not viewer.known:
        return None
    account = Account.objects.filter(number_hash=digest).select_related("party").first()
    if account is None:
        former = (
            FormerNumber.objects.filter(number_hash=digest).select_related("account__party").first()
        )
        account = former.account if former else None
    return account.party if account else None


def digests_of(viewer: Account) -> list[str]:
    """The keyed hashes of a person's proven numbers: the present one, then former ones."""
    held = [viewer.number_hash] if viewer.number_hash else []
    return [*held, *viewer.former_numbers.values_list("number_hash", flat=True)]


def representations(viewer: Actor) -> list[Agency]:
    """Every representation of a firm that holds now, for who compares them with the register."""
    viewer.require("identity.manage")
    rows = Agency.objects.filter(kind=rules.REPRESENTATIVE, ended_at=None)
    rows = rows.exclude(accepted_at=None).exclude(agent__identity=None)
    rows = rows.exclude(principal__code=None)
    return list(rows.select_related("principal", "agent__identity").order_by("pk"))


def agencies(viewer: Party) -> list[Agency]:
    """For whom the viewer (a person) may act today, newest first; each with scope and end."""
    today = timezone.localdate()
    rows = (
        Agency.objects.filter(agent=viewer, ended_at=None, since__lte=today)
        .exclude(accepted_at=None)
        .filter(models.Q(until=None) | models.Q(until__gte=today))
        .filter(principal__active=True)
        .select_related("principal")
    )
    return list(rows)


def may_act(viewer: Actor | Party, principal: Party, scope: str) -> bool:
    """Whether the viewer may do this (a key of rules.SCOPES) for the principal today.

    Everybody may for himself; for others by a mandate that is in force and covers it.
    """
    who = viewer if isinstance(viewer, Party) else viewer.party
    if who is None:
        return False
    return who.pk == principal.pk or any(
        a.principal_id == principal.pk and rules.covers_scope(a.kind, a.scope, scope)
        for a in agencies(who)
    )


def acting_for(viewer: Actor, parties: Collection[int], scope: str) -> dict[int, list[str]]:
    """Who may do this (a key of rules.SCOPES) today for each of these parties: refs, by party.

    For who tells them what concerns their principals; nothing for a visitor.
    """
    if not viewer.known:
        return {}
    today = timezone.localdate()
    rows = (
        Agency.objects.filter(principal__in=parties, ended_at=None, since__lte=today)
        .exclude(accepted_at=None)
        .filter(models.Q(until=None) | models.Q(until__gte=today), agent__active=True)
        .select_related("agent")
        .order_by("pk")
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        if row.agent is not None and rules.covers_scope(row.kind, row.scope, scope):
            found.setdefault(row.principal_id, []).append(row.agent.ref)
    return {party: list(dict.fromkeys(refs)) for party, refs in found.items()}


def mandate(viewer: Party, pk: int) -> Agency | None:
    """A mandate of the viewer's that is in force today, by its number."""
    return next((a for a in agencies(viewer) if a.pk == pk), None)


# ---- login ---------------------------------------------------------------------------------


def user_named(text: str, *, locked: bool = False) -> User | None:
    """The login that somebody means: by its username, a telephone, or a proven citizen number.

    `locked`: the row waits for whoever else has it, until the transaction ends.
    """
    kind = rules.login_kind(text)
    found = together(
        ((User, "u"), (Party, "p")),
        "FROM identity_user u LEFT JOIN kernel_party p ON p.id = u.party_id"
        f" WHERE {_NAMED[kind]}{' FOR UPDATE OF u' if locked else ''}",
        [_MEANT[kind](text)],
    )
    if not found:
        return None
    user: User = found[0][0]
    user.party = found[0][1]
    return user


_HELD = "u.party_id = (SELECT a.party_id FROM identity_account a WHERE a.{} = %s)"
_NAMED = {
    "username": "u.username = %s",
    "phone": _HELD.format("phone_hash"),
    "number": _HELD.format("number_hash"),
}
_MEANT: dict[str, Callable[[str], str]] = {
    "username": str, "phone": adapters.phone_hash, "number": adapters.number_hash,
}  # fmt: skip


def _hold(owner: models.Model, name: str, model: type[models.Model], rows: list[Any]) -> None:
    """Keep what was read of `owner.name` there, as prefetch_related leaves it."""
    held: Any = model._default_manager.all()
    held._result_cache, held._prefetch_done = rows, True
    cache = owner.__dict__.setdefault("_prefetched_objects_cache", {})
    cache[name] = held


def read_once(user: User) -> User:
    """A login whose person's posts and own second factors are read, for all who ask in this request."""
    found = together(((Factor, "f"),), "FROM identity_factor f WHERE f.user_id = %s", [user.pk])
    _hold(user, "factors", Factor, [row[0] for row in found])
    return with_posts(user)


def with_posts(user: User, posts: list[Membership] | None = None) -> User:
    """A login whose person's posts (with their departments) are read, for all who ask in this request."""
    if user.party is not None:
        if posts is None:
            found = together(
                ((Membership, "m"), (Party, "d")),
                "FROM kernel_membership m JOIN kernel_party d ON d.id = m.department_id"
                " WHERE m.party_id = %s ORDER BY m.id",
                [user.party.pk],
            )
            posts = []
            for post, desk in found:
                post.department = desk
                posts.append(post)
        for post in posts:
            post.party = user.party
        _hold(user.party, "memberships", Membership, posts)
    return user


def confirmed(user: User) -> list[Factor]:
    """The second factors in use of a login."""
    return [f for f in user.factors.all() if f.confirmed_at is not None]


def factors(viewer: Actor, user: User) -> list[Factor]:
    """The second factors in use of one's own login, or of one the viewer may see."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        account(viewer, user.username)
    return list(user.factors.exclude(confirmed_at=None))


def second_kinds(viewer: Actor, user: User) -> dict[str, list[Factor]]:
    """What a login that gave its password may be asked for next, by kind; the viewer is a visitor."""
    found: dict[str, list[Factor]] = {}
    if not viewer.known:
        for factor in confirmed(user):
            found.setdefault(factor.kind, []).append(factor)
    return found


def half_entered(viewer: Actor, pk: int) -> User | None:
    """Whom a session that holds only the password speaks of."""
    return None if viewer.known else User.objects.filter(pk=pk, is_active=True).first()


def key_challenge(viewer: Actor, user: User, host: str) -> tuple[dict[str, Any], Any]:
    """What the browser needs to ask the security keys of a login, and the state to check it by."""
    keys = second_kinds(viewer, user).get(rules.KEY, [])
    return adapters.key_options(host, [f.secret for f in keys])


def new_key_challenge(viewer: Actor, user: User, host: str) -> tuple[dict[str, Any], Any]:
    """What the browser needs to make a security key for one's own login, and the state."""
    known = [f.secret for f in factors(viewer, user) if f.kind == rules.KEY]
    return adapters.new_key_options(host, user.pk, user.username, viewer.name, known)


def waiting_totp(viewer: Actor, user: User) -> bytes:
    """The authenticator secret that waits for its first code; of one's own login only."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        raise Denied("只能登记自己的第二因素")
    factor = user.factors.filter(kind=rules.TOTP, confirmed_at=None).first()
    if factor is None:
        raise UserError("请重新打开登记页面")
    return bytes.fromhex(adapters.unseal(factor.secret, adapters.FACTOR_USE))


def guarded_accounts(viewer: Actor) -> list[User]:
    """Logins in the viewer's reach that have a second factor, which may have to be reset."""
    viewer.require("identity.secure")
    rows = accounts(viewer).filter(factors__confirmed_at__isnull=False)
    return list(rows.distinct()[:200])


def codes_left(viewer: Actor, user: User) -> int:
    """How many recovery codes are still good; of one's own login only."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        return 0
    return user.recovery_codes.filter(used_at=None).count()


def devices(viewer: Actor, user: User) -> list[Device]:
    """Devices from which the viewer's own account has been entered, the last used first."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        return []
    return list(user.devices.order_by("-last_at")[:20])


def new_devices(viewer: Actor, user: User) -> list[Device]:
    """Devices that entered the viewer's own account and were not judged yet."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        return []
    return list(user.devices.filter(told_at=None))


def policies() -> list[dict[str, Any]]:
    """The declared access policies (packs/core/access.yaml)."""
    return list(packs.mapping("core", "access.yaml")["policies"])


def sample_city() -> bool:
    """Whether this is a sample city."""
    return adapters.sample_city()


def access_policy(viewer: Actor) -> dict[str, Any]:
    """The access policy in force, which everybody may know: the one chosen last, else the settings'.

    `demonstration` holds in a sample city only, whoever chose it.
    """
    chosen = Policy.objects.order_by("-id").values_list("name", flat=True).first()
    name = chosen or settings.ACCESS_POLICY
    known = {p["name"]: p for p in policies()}
    if name not in known or (name == "demonstration" and not sample_city()):
        name = "standard"
    return known[name]


def limit(use: str) -> dict[str, int]:
    """A declared limit: seconds and most."""
    return dict(packs.mapping("core", "access.yaml")["limits"][use])


def tries(digest: str, window: dt.datetime) -> int:
    """How often something limited was tried in a window."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIES, [digest, window])
        found = cursor.fetchone()
    return int(found[0]) if found else 0


_TRIES = 'SELECT count FROM identity_tries WHERE key = %s AND "window" = %s'


def must_have_second(viewer: Actor, user: User) -> bool:
    """Whether this login must use a second factor: those who hold a post, under a strict policy."""
    if user.party is None or not user.party.memberships.exists():
        return False
    return access_policy(viewer)["second_factor"] == "required"


# ---- persons -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Self:
    """What one's own identity page shows; numbers are masked."""

    account: Account
    number: str
    proven: bool
    phone: str
    mail: str
    visit: Visit | None
    erase_on: dt.date | None


def own_identity(viewer: Actor) -> Self | None:
    """The viewer's own identity; None where none is kept (an officer who never declared one)."""
    if viewer.party is None:
        return None
    account = Account.objects.filter(party=viewer.party).select_related("party").first()
    if account is None:
        return None
    account.level = rules.level_now(account.level, account.certified_until, timezone.now())
    sealed = account.number_sealed or account.claim_sealed
    number = adapters.unseal(sealed, adapters.NUMBER_USE) if sealed else ""
    mail = adapters.unseal(account.mail_sealed, adapters.MAIL_USE) if account.mail_sealed else ""
    phone = (
        adapters.unseal(account.phone_sealed, adapters.PHONE_USE) if account.phone_sealed else ""
    )
    return Self(
        account,
        str(mask_value("citizen_number", number)),
        account.number_hash is not None,
        str(mask_value("phone", phone)),
        rules.mask_mail(mail),
        open_visit(account),
        account.erase_on,
    )


def face_stands_in() -> bool:
    """Whether a stand-in answers about faces here (模拟核验)."""
    return not settings.FACE_URL and sample_city()


def told_identity(viewer: Actor) -> tuple[str, str]:
    """The viewer's own name and number in clear, to be checked; raises UserError where none is kept."""
    account = Account.objects.filter(party=viewer.party).select_related("party").first()
    sealed = (account.number_sealed or account.claim_sealed) if account else ""
    if account is None or not sealed:
        raise UserError("这个账号没有登记公民身份号码")
    return account.party.name, adapters.unseal(sealed, adapters.NUMBER_USE)


def own_certificates(viewer: Actor) -> list[Certificate]:
    """The viewer's own certificates, newest first."""
    return list(Certificate.objects.filter(account__party=viewer.party)[:20])


def own_notices(viewer: Actor) -> list[Notice]:
    """What the viewer was told lately about the account."""
    if viewer.party is None:
        return []
    return list(Notice.objects.filter(account__party=viewer.party)[:10])


def notice(viewer: Actor, pk: int) -> Notice | None:
    """One notice, for who sends it."""
    viewer.require("identity.notify")
    return Notice.objects.filter(pk=pk).first()


def concerned(viewer: Actor, event: Event) -> list[tuple[Account, dict[str, Any]]]:
    """Whom an event concerns, with the facts for the words: the account, or both sides of a mandate."""
    viewer.require("identity.notify")
    noun, _, key = event.subject.partition(":")
    facts = dict(event.data)
    facts["level_title"] = rules.LEVELS.get(int(facts.get("level") or 0), "")
    accounts = Account.objects.select_related("party")
    if noun == "identity":
        rows = accounts.filter(party_id=int(key))
    elif noun == "account":
        rows = accounts.filter(party__account__username=key)
    elif noun == "certificate":
        rows = accounts.filter(certificates=int(key))
    elif noun == "agency":
        agency = Agency.objects.select_related("principal").filter(pk=int(key)).first()
        if agency is None:
            return []
        facts |= {"principal": agency.principal.name, "kind_title": agency.get_kind_display()}
        who = models.Q(party_id=agency.agent_id) | models.Q(number_hash=agency.invited_hash or "-")
        if agency.kind == rules.AGENT and event.kind == "agency.accepted":
            heads = Agency.objects.filter(
                principal=agency.principal, kind=rules.REPRESENTATIVE, ended_at=None
            )
            who |= models.Q(party_id__in=heads.values("agent_id"))
        rows = accounts.filter(who)
    else:
        return []
    return [(row, facts) for row in rows]


def open_visit(account: Account) -> Visit | None:
    """The code for the counter that is still good."""
    since = timezone.now() - dt.timedelta(minutes=rules.VISIT_MINUTES)
    return account.visits.filter(closed_at=None, made_at__gte=since).order_by("-id").first()


@dataclass(frozen=True)
class Caller:
    """Who stands at the counter, masked, as the officer sees him before typing from the document."""

    visit: Visit
    name: str
    number: str
    level: str
    asked: Certificate | None
    agencies: list[Agency]


def caller(viewer: Actor, code: str) -> Caller | None:
    """Who showed this code at the counter; for officers who prove identities."""
    viewer.require("identity.prove")
    since = timezone.now() - dt.timedelta(minutes=rules.VISIT_MINUTES)
    visit = (
        Visit.objects.filter(code=code, closed_at=None, made_at__gte=since)
        .select_related("account__party")
        .first()
    )
    if visit is None:
        return None
    account = visit.account
    sealed = account.number_sealed or account.claim_sealed
    number = adapters.unseal(sealed, adapters.NUMBER_USE) if sealed else ""
    return Caller(
        visit,
        str(mask_value("name", account.party.name)),
        str(mask_value("citizen_number", number)),
        account.get_level_display(),
        account.certificates.filter(issued_at=None, ended_at=None).first(),
        list(
            Agency.objects.filter(agent=account.party, ended_at=None)
            .exclude(kind=rules.AGENT)
            .select_related("principal")
        ),
    )


def proved_today(viewer: Actor) -> int:
    """How many people the viewer proved today."""
    viewer.require("identity.prove")
    start = timezone.make_aware(dt.datetime.combine(timezone.localdate(), dt.time()))
    return Event.objects.filter(kind="identity.proved", by=viewer.ref, at__gte=start).count()


def own_agencies(viewer: Actor) -> dict[str, list[Agency]]:
    """Whom the viewer acts for, who acts for whom the viewer represents, and what waits for him."""
    if viewer.party is None:
        return {"mine": [], "given": [], "waiting": []}
    mine = list(
        Agency.objects.filter(agent=viewer.party, ended_at=None).select_related("principal")
    )
    firms = [a.principal_id for a in mine if a.kind == rules.REPRESENTATIVE]
    given = Agency.objects.filter(principal_id__in=firms, kind=rules.AGENT).select_related(
        "principal", "agent"
    )
    digest = (
        Account.objects.filter(party=viewer.party, level__gte=rules.PERSON)
        .values_list("number_hash", flat=True)
        .first()
    )
    waiting = Agency.objects.none()
    if digest:
        waiting = Agency.objects.filter(
            invited_hash=digest, accepted_at=None, ended_at=None
        ).select_related("principal")
    return {"mine": mine, "given": list(given[:100]), "waiting": list(waiting[:100])}


def covers(viewer: Actor, party: Party) -> list[Cover]:
    """Leave cover given and taken by a person; one's own, or of somebody the viewer may see."""
    if viewer.party is None or viewer.party.pk != party.pk:
        account(viewer, party.account.username)
    return list(
        Cover.objects.filter(models.Q(absent=party) | models.Q(deputy=party)).select_related(
            "absent", "deputy", "department"
        )[:20]
    )


def colleagues(viewer: Actor, user: User) -> list[User]:
    """Who could stand in for an officer: others with an account in the departments of his posts."""
    account(viewer, user.username)
    assert user.party is not None
    desks = user.party.memberships.values("department_id")
    rows = User.objects.filter(is_active=True, party__memberships__department_id__in=desks)
    return list(rows.exclude(pk=user.pk).select_related("party").distinct().order_by("username"))


def erasure_rule() -> dict[str, Any]:
    """Within how many working days an account is erased, and the source of that limit."""
    return dict(packs.mapping("core", "access.yaml")["erasure"])


def cover_rule() -> dict[str, Any]:
    """How long a leave cover may be."""
    return dict(packs.mapping("core", "access.yaml")["cover"])
