"""Entry: a person's consents and entries, the tokens and keys behind them, and his claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import ANONYMOUS, actor_of, roles
from lianyun.kernel.models import Party
from lianyun.kernel.rows import together

from .. import rules
from ..models import Admission, ClientSystem, Consent, SigningKey, Token

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def consents(viewer: Actor) -> list[Consent]:
    """The viewer's own consents that hold, newest first."""
    if viewer.party is None:
        return []
    return list(
        Consent.objects.select_related("system__party", "system__department")
        .filter(party=viewer.party, withdrawn_at=None)
        .order_by("-given_at")
    )


def consent_covers(viewer: Actor, system: ClientSystem, scopes: Iterable[str]) -> bool:
    """Whether the viewer has let the system have all of these, for the reasons it gives today."""
    if viewer.party is None:
        return False
    found = together(
        ((Consent, "c"),),
        "FROM login_consent c WHERE c.system_id = %s AND c.party_id = %s"
        " AND c.withdrawn_at IS NULL",
        [system.pk, viewer.party.pk],
    )
    if not found:
        return False
    held: Consent = found[0][0]
    return all(s in held.scopes and held.scopes[s] == system.scopes.get(s, "") for s in scopes)


def entries(viewer: Actor, limit: int = 20) -> list[Admission]:
    """The viewer's own last entries to systems, with what each has been told."""
    if viewer.party is None:
        return []
    rows = Admission.objects.select_related("system__party").filter(party=viewer.party)
    return list(rows.exclude(code_used_at=None).order_by("-id")[:limit])


def with_closed_seat(rows: models.QuerySet[Admission]) -> list[int]:
    """Of these entries those whose session at the city is over or whose time is up."""
    now = timezone.now()
    open_seats = Session.objects.filter(session_key=models.OuterRef("seat"), expire_date__gt=now)
    return list(
        rows.filter(models.Q(until__lte=now) | ~models.Exists(open_seats)).values_list(
            "pk", flat=True
        )
    )


def live(admission: Admission) -> bool:
    """Whether an entry still holds at this moment: person, account, session and system are."""
    now = timezone.now()
    if admission.ended_at is not None or now >= admission.until:
        return False
    if not admission.party.active or admission.system.closed_at is not None:
        return False
    user = getattr(admission.party, "account", None)
    if user is None or not user.is_active:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [admission.seat, now])
        return cursor.fetchone() is not None


_OPEN = "SELECT 1 FROM django_session WHERE session_key = %s AND expire_date > %s"


def admission_of_code(code: str, viewer: Actor = ANONYMOUS) -> Admission | None:
    """The entry of a code, with its person's account and system; held until the transaction ends."""
    found = together(
        ((Admission, "a"), (Party, "p"), (get_user_model(), "u"), (ClientSystem, "s")),
        "FROM login_admission a JOIN kernel_party p ON p.id = a.party_id"
        " JOIN login_clientsystem s ON s.id = a.system_id"
        " LEFT JOIN identity_user u ON u.party_id = p.id"
        " WHERE a.code_hash = %s FOR UPDATE OF a",
        [rules.digest(code)],
    )
    if not found:
        return None
    admission: Admission = found[0][0]
    admission.party, user, admission.system = found[0][1:]
    if user is not None:
        user.party = admission.party  # and the person's account is this one
    return admission


def admission_of_sid(viewer: Actor, sid: str) -> Admission | None:
    """The viewer's own entry of this number (visitors: none)."""
    if viewer.party is None:
        return None
    return Admission.objects.filter(sid=sid, party=viewer.party).first()


def access_token(text: str, viewer: Actor = ANONYMOUS) -> Token | None:
    """The access token of this text that is good now, with its system and entry.

    Whoever shows it is the viewer.
    """
    rows = together(
        (
            (Token, "t"),
            (ClientSystem, "s"),
            (Party, "n"),
            (Party, "d"),
            (Admission, "a"),
            (Party, "p"),
            (get_user_model(), "u"),
        ),
        "FROM login_token t JOIN login_clientsystem s ON s.id = t.system_id"
        " JOIN kernel_party n ON n.id = s.party_id JOIN kernel_party d ON d.id = s.department_id"
        " LEFT JOIN login_admission a ON a.id = t.admission_id"
        " LEFT JOIN kernel_party p ON p.id = a.party_id"
        " LEFT JOIN identity_user u ON u.party_id = p.id"
        " WHERE t.digest = %s AND t.kind = %s AND t.ended_at IS NULL",
        [rules.digest(text), Token.ACCESS],
    )
    if not rows:
        return None
    found: Token = rows[0][0]
    system, name, desk, admission, person, user = rows[0][1:]
    system.party, system.department = name, desk
    found.system, found.admission = system, admission
    if admission is not None:
        admission.party = person
        if admission.system_id == system.pk:
            admission.system = system
        if user is not None:
            user.party = person  # and the person's account is this one
    if found.is_expired() or system.closed_at is not None:
        return None
    return found if admission is None or live(admission) else None


def signing_key(viewer: Actor = ANONYMOUS) -> SigningKey | None:
    """The key that signs at this moment."""
    now = timezone.now()
    found = together(
        ((SigningKey, "k"),),
        "FROM login_signingkey k WHERE k.signs_from <= %s"
        " AND (k.signs_until IS NULL OR k.signs_until > %s) ORDER BY k.signs_from DESC LIMIT 1",
        [now, now],
    )
    return found[0][0] if found else None


def signing_keys(viewer: Actor) -> models.QuerySet[SigningKey]:
    """All keys, for those who secure the login."""
    viewer.require("login.secure")
    return SigningKey.objects.order_by("-signs_from")


def public_keys(viewer: Actor = ANONYMOUS) -> list[dict[str, Any]]:
    """The public halves that systems check signatures with: present, next and lately retired."""
    now = timezone.now()
    rows = SigningKey.objects.filter(models.Q(known_until=None) | models.Q(known_until__gt=now))
    return [dict(key.public) for key in rows]


def claims_for(viewer: Actor, party: Party, scopes: Iterable[str], level: int) -> dict[str, Any]:
    """What these scopes tell of a person: for the system that he let know them, or for himself."""
    scopes = set(scopes)
    facts: dict[str, Any] = {"name": party.name}
    if "citizen_number" in scopes:
        facts["citizen_number"] = identity.number_of(party)
    if "staff" in scopes:
        actor = actor_of(party)
        posts = party.memberships.select_related("department").order_by("id")
        held = [m for m in posts if m.role in actor.roles]
        departments = {m.department_id: m.department for m in held}
        facts["departments"] = [
            {"code": d.code or "", "slug": d.slug or "", "name": d.name}
            for d in departments.values()
        ]
        facts["roles"] = [
            {"role": m.role, "title": roles()[m.role].title, "department": m.department.slug or ""}
            for m in held
        ]
    if "agency" in scopes:
        facts["agencies"] = [
            {"name": a.principal.name, "code": a.principal.code or "", "kind": a.kind}
            for a in identity.agencies(party)
        ]
    return rules.claims_of(scopes, level, facts)


__all__ = [
    "access_token",
    "admission_of_code",
    "admission_of_sid",
    "claims_for",
    "consent_covers",
    "consents",
    "entries",
    "live",
    "public_keys",
    "signing_key",
    "signing_keys",
    "with_closed_seat",
]
