"""Admission: begins with a consent and a code, ends with the login, the consent, the account or the system."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models
from django.utils import timezone

from lianyun.kernel import rows
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import Event, record
from lianyun.kernel.models import Party

from .. import adapters, queries, rules
from ..models import Admission, ClientSystem, Consent, Token


@action(None)
def give_consent(system: ClientSystem, scopes: Mapping[str, str], *, by: Actor) -> Consent:
    """A person lets a system have these scopes, each for this reason; a former consent is replaced."""
    if by.party is None:
        raise UserError("请先登录")
    # Two consents at once queue at the person's row.
    Party.objects.select_for_update().get(pk=by.party.pk)
    open_ones = Consent.objects.filter(system=system, party=by.party, withdrawn_at=None)
    kept = open_ones.first()
    if kept is not None and dict(kept.scopes) == dict(scopes):
        record("consent.confirmed", kept, by=by, data={"system": system.ref})
        return kept
    open_ones.update(withdrawn_at=timezone.now())
    made = Consent.objects.create(system=system, party=by.party, scopes=dict(scopes))
    record("consent.given", made, by=by, data={"system": system.ref, "scopes": dict(scopes)})
    return made


@action(None)
def withdraw_consent(consent: Consent, *, by: Actor) -> None:
    """Take a consent back: the system's tokens end at once, and it is told."""
    if by.party is None or consent.party_id != by.party.pk:
        raise UserError("只能撤回自己的授权")
    row = Consent.objects.select_for_update().get(pk=consent.pk)
    if row.withdrawn_at is not None:
        raise UserError("这项授权已经撤回")
    row.withdrawn_at = timezone.now()
    row.save(update_fields=["withdrawn_at"])
    end_admissions(
        Admission.objects.filter(system=row.system, party=row.party), why="撤回授权", by=by
    )
    record("consent.withdrawn", row, by=by, data={"system": row.system.ref})


@action(None)
def admit(
    *,
    system: ClientSystem,
    code: str,
    seat: str,
    issuer: str,
    scope: str,
    level: int,
    simulated: bool,
    amr: list[str],
    entered_at: dt.datetime,
    redirect_uri: str,
    challenge: str,
    nonce: str,
    by: Actor,
) -> Admission:
    """Begin a person's entry to a system, with the code by which it gets its tokens."""
    assert by.party is not None
    now = timezone.now()
    made = Admission(
        sid=secrets.token_urlsafe(32),
        system=system,
        party=by.party,
        seat=seat,
        issuer=issuer,
        scope=scope,
        level=level,
        simulated=simulated,
        amr=amr,
        entered_at=entered_at,
        code_hash=rules.digest(code),
        code_until=now + dt.timedelta(seconds=rules.CODE_SECONDS),
        redirect_uri=redirect_uri,
        challenge=challenge,
        nonce=nonce,
        began_at=now,
        until=now + dt.timedelta(seconds=rules.ADMISSION_SECONDS),
    )
    text, values = rows.inserting([made])
    with connection.cursor() as cursor:
        cursor.execute(f"{text} RETURNING id", values)
        made.pk = int(cursor.fetchone()[0])
    made._state.adding = False
    record(
        "admission.began",
        made,
        by=by,
        data={"system": system.ref, "scope": scope, "level": level},
    )
    return made


def end_admissions(which: models.QuerySet[Admission], *, why: str, by: Actor) -> int:
    """End these entries (those that are open) and all tokens with them; each is an event.

    Part of an action; the systems concerned are told by its listener.
    """
    count = 0
    for row in which.filter(ended_at=None).select_related("system").select_for_update(of=("self",)):
        row.ended_at, row.why = timezone.now(), why
        row.save(update_fields=["ended_at", "why"])
        record("admission.ended", row, by=by, data={"system": row.system.ref, "note": why})
        count += 1
    return count


@action(None)
def end_of_seat(seat: str, *, why: str, by: Actor) -> int:
    """End every entry that came about under a session that is over now."""
    count = end_admissions(Admission.objects.filter(seat=seat), why=why, by=by)
    record("admissions.ended", by, by=by, data={"count": count, "note": why})
    return count


@action(None)
def end_of_person(party: Party, *, why: str, by: Actor) -> int:
    """End every entry of a person to any system."""
    count = end_admissions(Admission.objects.filter(party=party), why=why, by=by)
    record("admissions.ended", party, by=by, data={"count": count, "note": why})
    return count


def on_account_changed(event: Event) -> None:
    """A login ended or an account changed: what hangs on sessions that are gone ends too."""
    username = event.subject.removeprefix("account:")
    user = get_user_model().objects.filter(username=username).first()
    party = getattr(user, "party", None)
    if party is not None:
        _end_closed(Admission.objects.filter(party=party))


@action(None)
def end_closed(*, by: Actor) -> int:
    """End the entries whose session is over or whose time is up; for the job."""
    count = _end_closed(Admission.objects.all())
    record("admissions.ended", "admissions:closed", by=by, data={"count": count})
    return count


def _end_closed(which: models.QuerySet[Admission]) -> int:
    closed = queries.with_closed_seat(which.filter(ended_at=None))
    return end_admissions(which.filter(pk__in=closed), why="登录已结束", by=SYSTEM)


def tell_logout(event: Event) -> None:
    """Tell a system that an entry is over (Back-Channel Logout); raises NotTold, to be tried again."""
    row = (
        Admission.objects.select_related("system")
        .filter(pk=event.subject.removeprefix("admission:"))
        .first()
    )
    if row is None or not row.system.backchannel_uri or row.logout_told_at is not None:
        return
    if row.code_used_at is None:
        return  # The system never redeemed the code: it knows nothing of this entry.
    key = queries.signing_key()
    if key is None:
        return
    token = adapters.logout_token(
        adapters.secret_key(key.kid, key.sealed),
        key.kid,
        issuer=row.issuer,
        client_id=row.system.client_id,
        subject=adapters.pairwise_subject(row.system.client_id, row.party_id),
        sid=row.sid,
    )
    adapters.send_logout(row.system.backchannel_uri, token)
    Admission.objects.filter(pk=row.pk).update(logout_told_at=timezone.now())


@action(None)
def forget(*, by: Actor, days: int = 180) -> int:
    """Delete tokens and entries that ended long ago (GB/T 22239: logs are kept for six months)."""
    now = timezone.now()
    count = Token.objects.filter(until__lt=now - dt.timedelta(days=1)).delete()[0]
    count += Admission.objects.filter(
        until__lt=now - dt.timedelta(days=days), ended_at__lt=now - dt.timedelta(days=days)
    ).delete()[0]
    record("admissions.forgotten", "admissions:old", by=by, data={"count": count})
    return count


_KEPT = "UPDATE login_admission SET told = %s WHERE id = %s"


def told_of(admission: Admission, claims: Mapping[str, Any]) -> None:
    """Note on an entry which claims the system has had (their names). Part of an action."""
    names = sorted({*admission.told, *claims})
    if names != admission.told:
        admission.told = names
        with connection.cursor() as cursor:
            cursor.execute(_KEPT, [json.dumps(names), admission.pk])


__all__ = [
    "admit",
    "end_admissions",
    "end_closed",
    "end_of_person",
    "end_of_seat",
    "forget",
    "give_consent",
    "on_account_changed",
    "tell_logout",
    "told_of",
    "withdraw_consent",
]
