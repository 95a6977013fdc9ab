"""Sessions: who enters and leaves, from which device, and how many at once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.sessions.models import Session
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import rules
from ..models import Seat, User


def _home(user: User) -> Party | None:
    post = user.party.memberships.select_related("department").first() if user.party else None
    return post.department if post else None


def department_of(user: User, *args: Any, **kwargs: Any) -> Party | None:
    """The department whose administrators answer for a login."""
    return _home(user)


@action(None)
def enter(username: str, password: str, *, by: Actor) -> User | None:
    """Check a login; the user, or None with nothing said about why.

    An unknown name costs the same hash as a known one. Guesses at one account queue at its row, so
    parallel guessing gains nothing.
    """
    now = timezone.now()
    user = User.objects.select_for_update().filter(username=username[:60]).first()
    if user is None or not user.is_active or user.locked or user.party is None:
        make_password(password)
        why = "unknown" if user is None else "locked" if user.locked else "disabled"
        record("session.refused", user or "account:?", by=by, data={"why": why})
        return None
    if not check_password(password, user.password):
        user.failed, user.locked_until = rules.after_failure(user.failed, user.locked_until, now)
        user.save(update_fields=["failed", "locked_until"])
        record("session.refused", user, by=by, data={"why": "password", "failed": user.failed})
        if user.locked_until:
            record("account.locked", user, by=by, data={"until": user.locked_until})
        return None
    if not user.party.active:
        record("session.refused", user, by=by, data={"why": "party"})
        return None
    user.failed, user.locked_until = 0, None
    if rules.password_expired(user.password_set_at, now):
        user.must_change = True
    user.save(update_fields=["failed", "locked_until", "must_change"])
    record("session.opened", user, by=actor_of(user.party), data={})
    return user


@action(None)
def take_seat(user: User, key: str, *, address: str | None, agent: str, by: Actor) -> int:
    """Note an opened session and end the oldest ones beyond the limit; returns how many ended."""
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
    record(
        "seat.taken",
        user,
        by=by,
        data={"device": seat.device, "ended": len(ended)},
        personal={"address": address},
    )
    return len(ended)


def end_sessions(user: User, keys: list[str]) -> int:
    """Delete these sessions and their seats; returns how many ended."""
    Session.objects.filter(session_key__in=keys).delete()
    return user.seats.filter(key__in=keys).delete()[0]


@action(None)
def leave(user: User, key: str, *, by: Actor) -> None:
    """Log out of one session."""
    end_sessions(user, [key])
    record("session.closed", user, by=by)


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


@action("identity.secure", department=department_of)
def end_seats(user: User, *, by: Actor) -> int:
    """End all sessions of an account (强制下线)."""
    count = end_sessions(user, list(user.seats.values_list("key", flat=True)))
    record("session.closed", user, by=by, data={"count": count, "note": f"强制下线 {count} 个登录"})
    return count


@action("identity.secure", department=department_of)
def unlock_account(user: User, *, by: Actor) -> None:
    """Lift a lock before its time."""
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["failed", "locked_until"])
    record("account.unlocked", user, by=by)
