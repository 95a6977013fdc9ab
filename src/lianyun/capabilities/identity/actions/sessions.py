"""Sessions: who enters and leaves, from which device, and how many at once."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

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
    user = queries.user_named(username[:60])
    if user is not None:
        user = User.objects.select_for_update(of=("self",)).filter(pk=user.pk).first()
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
    fields = ["must_change"]
    if rules.password_expired(user.password_set_at, now):
        user.must_change = True
    second = user.factors.exclude(confirmed_at=None).exists()
    if not second:
        user.failed, user.locked_until = 0, None
        fields += ["failed", "locked_until"]
    user.save(update_fields=fields)
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


@action(None)
def take_seat(
    user: User, key: str, *, address: str | None, agent: str, by: Actor, device: str = ""
) -> tuple[int, bool]:
    """Note an opened session and end the oldest ones beyond the limit.

    `device` is the browser's random mark. Returns how many sessions ended and whether the device
    is new to an account that has others: then its other open sessions are told on their next page.
    """
    User.objects.select_for_update().get(pk=user.pk)
    alive = set(
        Session.objects.filter(
            session_key__in=user.seats.values("key"), expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    user.seats.exclude(key__in=alive).delete()
    open_seats = [(s.key, s.began_at) for s in user.seats.exclude(key=key)]
    ended = rules.surplus(open_seats)
    end_sessions(user, ended)
    seat, _ = Seat.objects.update_or_create(
        key=key,
        defaults={"user": user, "address": address, "device": rules.device_name(agent)[:80]},
    )
    new = _note_device(user, device, seat) if device else False
    record(
        "seat.taken",
        user,
        by=by,
        data={"device": seat.device, "ended": len(ended), "new": new},
        personal={"address": address},
    )
    return len(ended), new


def _note_device(user: User, mark: str, seat: Seat) -> bool:
    digest = hashlib.sha256(mark.encode()).hexdigest()
    # The caller holds the user's row: nobody else adds this device meanwhile.
    if user.devices.filter(digest=digest).update(name=seat.device, last_at=timezone.now()):
        return False
    others = user.devices.exists()
    device = Device.objects.create(
        user=user,
        digest=digest,
        name=seat.device,
        address=seat.address,
        told_at=None if others else timezone.now(),
    )
    if not others:
        return False
    assert user.party is not None
    record("device.met", user, by=actor_of(user.party), data={"device": device.name})
    told = f"您的账号刚刚在新设备（{seat.device}）登录。如果不是您本人，请到“我的账号”处理。"
    for key in user.seats.exclude(key=seat.key).values_list("key", flat=True):
        session = SessionStore(session_key=key)
        session["notice"] = told
        session.save()
    return True


def end_sessions(user: User, keys: list[str]) -> int:
    """Delete these sessions and their seats; returns how many ended."""
    Session.objects.filter(session_key__in=keys).delete()
    return user.seats.filter(key__in=keys).delete()[0]


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
    rows = user.seats.exclude(key=keep)
    if seat is not None:
        rows = rows.filter(pk=seat)
    count = end_sessions(user, list(rows.values_list("key", flat=True)))
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
