"""Sessions: who enters and leaves, from which device, and how many at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.utils import timezone

from lianyun.kernel import rows
from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import queries, rules
from ..models import Device, Seat, User
from . import limits


def _home(user: User) -> Party | None:
    post = user.party.memberships.select_related("department").first() if user.party else None
    return post.department if post else None


def department_of(user: User, *args: Any, **kwargs: Any) -> Party | None:
    """The department whose administrators answer for a login."""
    return _home(user)


def failed_once(user: User, why: str, by: Actor) -> None:
    """Note a wrong password or second factor; the fifth in a row locks."""
    now = timezone.now()
    user.failed, user.locked_until = rules.after_failure(user.failed, user.locked_until, now)
    user.save(update_fields=["failed", "locked_until"])
    record("session.refused", user, by=by, data={"why": why, "failed": user.failed})
    if user.locked_until:
        record("account.locked", user, by=by, data={"until": user.locked_until})


@action(None)
def enter(username: str, password: str, *, by: Actor, address: str = "") -> User | None:
    """Check a login by username, telephone or proven number; None with nothing said about why.

    An unknown name costs the same hash as a known one. Guesses at one account queue at its row, so
    parallel guessing gains nothing; guesses at many accounts from one address are limited. With a
    second factor the failures are forgiven only when that one is right too.
    """
    now = timezone.now()
    user = queries.user_named(username[:60], locked=True)
    flooded = bool(address) and limits.spent("login_failures_per_address", address)
    if flooded or user is None or not user.is_active or user.locked or user.party is None:
        make_password(password)
        why = "unknown" if user is None else "locked" if user.locked else "disabled"
        record(
            "session.refused",
            user or "account:?",
            by=by,
            data={"why": "address" if flooded else why},
        )
        _failure_from(address)
        return None
    if not check_password(password, user.password, lambda raw: _rehash(user, raw)):
        failed_once(user, "password", by)
        _failure_from(address)
        return None
    if not user.party.active:
        record("session.refused", user, by=by, data={"why": "party"})
        return None
    changed = []
    if rules.password_expired(user.password_set_at, now) and not user.must_change:
        user.must_change = True
        changed.append("must_change")
    queries.read_once(user)
    second = bool(queries.confirmed(user))
    if not second and (user.failed or user.locked_until is not None):
        user.failed, user.locked_until = 0, None
        changed += ["failed", "locked_until"]
    if changed:
        user.save(update_fields=changed)
    kind = "session.second_asked" if second else "session.opened"
    record(kind, user, by=actor_of(user.party), data={})
    return user


def _rehash(user: User, password: str) -> None:
    """Keep a right password anew where it was kept by weaker or other parameters than today's."""
    user.password = make_password(password)
    user.save(update_fields=["password"])


def _failure_from(address: str) -> None:
    if address:
        limits.count("login_failures_per_address", address)


_SEATS = (
    "SELECT s.key, s.began_at, EXISTS (SELECT 1 FROM django_session d"
    " WHERE d.session_key = s.key AND d.expire_date > %s)"
    " FROM identity_seat s WHERE s.user_id = %s AND s.key <> %s ORDER BY s.began_at DESC"
)
_AGAIN = (
    " ON CONFLICT (key) DO UPDATE SET user_id = EXCLUDED.user_id, address = EXCLUDED.address,"
    " device = EXCLUDED.device"
)
_DEVICES = (
    "SELECT count(*), count(*) FILTER (WHERE digest = %s), count(*) FILTER (WHERE told_at IS NULL)"
    " FROM identity_device WHERE user_id = %s"
)
_ENTERED = "UPDATE identity_device SET name = %s, last_at = %s WHERE user_id = %s AND digest = %s"
_DATA = "SELECT session_key, session_data FROM django_session WHERE session_key = ANY(%s)"
_TOLD = "UPDATE django_session SET session_data = %s WHERE session_key = %s"


@action(None)
def take_seat(
    user: User,
    session: SessionBase,
    *,
    address: str | None,
    agent: str,
    by: Actor,
    device: str = "",
) -> tuple[int, int]:
    """Write an opened session with its seat and end the oldest ones beyond the limit.

    `device` is the browser's random mark; where it is new to an account that has others, its other
    open sessions are told on their next page. Returns how many sessions ended, and how many new
    devices the person has not judged yet.
    """
    now = timezone.now()
    name = rules.device_name(agent)[:80]
    digest = hashlib.sha256(device.encode()).hexdigest()
    # Plain statements: a city logs in a thousand times for each other thing it does here.
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM identity_user WHERE id = %s FOR UPDATE", [user.pk])
        session.save()
        key = session.session_key or ""
        cursor.execute(_SEATS, [now, user.pk, key])
        seats: list[tuple[str, dt.datetime, bool]] = cursor.fetchall()
        ended = rules.surplus([(held, began) for held, began, alive in seats if alive])
        if gone := [*ended, *(held for held, _, alive in seats if not alive)]:
            end_sessions(user, gone)
        seat = Seat(user=user, key=key, address=address, device=name)
        text, values = rows.inserting([seat])
        cursor.execute(text + _AGAIN, values)
        cursor.execute(_DEVICES, [digest, user.pk])
        known, this, waiting = cursor.fetchone()
        if this:
            cursor.execute(_ENTERED, [name, now, user.pk, digest])
        elif device:
            # This holds the user's row: nobody else adds the device meanwhile.
            made = Device(
                user=user, digest=digest, name=name, address=address, told_at=None if known else now
            )
            cursor.execute(*rows.inserting([made]))
    new = bool(device and known and not this)
    if new:
        alive_others = [held for held, _, alive in seats if alive and held not in ended]
        _tell_of_device(user, name, alive_others)
    record(
        "seat.taken",
        user,
        by=by,
        data={"device": name, "ended": len(ended), "new": new},
        personal={"address": address},
    )
    return len(ended), waiting + new


def _tell_of_device(user: User, name: str, others: list[str]) -> None:
    """A new device entered; `others` are the keys of the account's other open sessions."""
    assert user.party is not None
    record("device.met", user, by=actor_of(user.party), data={"device": name})
    told = f"您的账号刚刚在新设备（{name}）登录。如果不是您本人，请到“我的账号”处理。"
    if not others:
        return
    store = SessionStore()
    with connection.cursor() as cursor:
        cursor.execute(_DATA, [others])
        for key, data in cursor.fetchall():
            cursor.execute(_TOLD, [store.encode({**store.decode(data), "notice": told}), key])


def end_sessions(user: User, keys: list[str]) -> int:
    """Delete these sessions and their seats; returns how many ended."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_session WHERE session_key = ANY(%s)", [keys])
        cursor.execute(
            "DELETE FROM identity_seat WHERE user_id = %s AND key = ANY(%s)", [user.pk, keys]
        )
        return int(cursor.rowcount)


def end_all_sessions(user: User, keep: str = "") -> int:
    """Delete all sessions of a login except one; returns how many ended."""
    return end_sessions(user, list(user.seats.exclude(key=keep).values_list("key", flat=True)))


@action(None)
def leave(user: User, key: str, *, by: Actor) -> None:
    """Log out of one session."""
    end_sessions(user, [key])
    record("session.closed", user, by=by)


@action(None)
def note_stolen(user: User, key: str, agent: str, *, by: Actor) -> None:
    """End a session whose cookie came from another kind of browser than the one that entered."""
    end_sessions(user, [key])
    record("session.suspected", user, by=by, data={"device": rules.device_name(agent)})


@action(None)
def end_own_seats(user: User, keep: str, *, by: Actor, seat: int | None = None) -> int:
    """End the actor's other sessions, or the one named; returns how many ended."""
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能结束自己的登录")
    others = user.seats.exclude(key=keep)
    if seat is not None:
        others = others.filter(pk=seat)
    count = end_sessions(user, list(others.values_list("key", flat=True)))
    record("session.closed", user, by=by, data={"count": count, "note": f"结束其他登录 {count} 个"})
    return count


@action(None)
def judge_device(user: User, device: int, mine: bool, keep: str, *, by: Actor) -> None:
    """Say that a new device is one's own, or not: then all other sessions end and the password must change."""
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能确认自己的设备")
    found = user.devices.filter(pk=device, told_at=None).first()
    if found is None:
        raise UserError("这台设备已经处理过了")
    if mine:
        found.told_at = timezone.now()
        found.save(update_fields=["told_at"])
        record("device.confirmed", user, by=by, data={"device": found.name})
        return
    found.delete()
    end_all_sessions(user, keep)
    user.must_change = True
    user.save(update_fields=["must_change"])
    record("device.disowned", user, by=by, data={"device": found.name})


@action("identity.secure", department=department_of)
def end_seats(user: User, *, by: Actor) -> int:
    """End all sessions of an account (强制下线)."""
    count = end_all_sessions(user)
    record("session.closed", user, by=by, data={"count": count, "note": f"强制下线 {count} 个登录"})
    return count


@action("identity.secure", department=department_of)
def unlock_account(user: User, *, by: Actor) -> None:
    """Lift a lock before its time."""
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["failed", "locked_until"])
    record("account.unlocked", user, by=by)
