"""Actions: log in and out, change passwords, open and close accounts, give and take roles."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.utils import timezone

from lianyun.kernel.access import Actor, Membership, UserError, actor_of, roles
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from . import rules
from .models import Seat, User

_ALPHABET = "abcdefghjkmnpqrstuvwxyz"


def _home(user: User) -> Party | None:
    post = user.party.memberships.select_related("department").first() if user.party else None
    return post.department if post else None


def _department_of(user: User, *args: Any, **kwargs: Any) -> Party | None:
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
    _end(user, ended)
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


def _end(user: User, keys: list[str]) -> int:
    Session.objects.filter(session_key__in=keys).delete()
    return user.seats.filter(key__in=keys).delete()[0]


@action(None)
def leave(user: User, key: str, *, by: Actor) -> None:
    """Log out of one session."""
    _end(user, [key])
    record("session.closed", user, by=by)


@action(None)
def end_own_seats(user: User, keep: str, *, by: Actor, seat: int | None = None) -> int:
    """End the actor's other sessions, or the one named; returns how many ended."""
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能结束自己的登录")
    rows = user.seats.exclude(key=keep)
    if seat is not None:
        rows = rows.filter(pk=seat)
    count = _end(user, list(rows.values_list("key", flat=True)))
    record("session.closed", user, by=by, data={"count": count, "note": f"结束其他登录 {count} 个"})
    return count


@action("identity.secure", department=_department_of)
def end_seats(user: User, *, by: Actor) -> int:
    """End all sessions of an account (强制下线)."""
    count = _end(user, list(user.seats.values_list("key", flat=True)))
    record("session.closed", user, by=by, data={"count": count, "note": f"强制下线 {count} 个登录"})
    return count


@action("identity.secure", department=_department_of)
def unlock_account(user: User, *, by: Actor) -> None:
    """Lift a lock before its time."""
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["failed", "locked_until"])
    record("account.unlocked", user, by=by)


def _set_password(user: User, password: str) -> None:
    problems = rules.password_problems(password, user.username)
    try:
        CommonPasswordValidator().validate(password)
    except ValidationError:
        problems.append("密码过于常见，容易被猜中")
    remembered = [user.password, *user.former][: rules.REMEMBERED]
    if any(old and check_password(password, old) for old in remembered if old):
        problems.append(f"不能使用最近 {rules.REMEMBERED} 次用过的密码")
    if problems:
        raise UserError("；".join(problems))
    if user.has_usable_password() and user.password:
        user.former = [user.password, *user.former][: rules.REMEMBERED - 1]
    user.set_password(password)
    user.password_set_at = timezone.now()


@action(None)
def change_password(user: User, old: str, new: str, *, by: Actor, keep: str = "") -> None:
    """Change one's own password; every other session of the account ends."""
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能修改自己的密码")
    if not check_password(old, user.password):
        raise UserError("原密码不正确")
    if old == new:
        raise UserError("新密码不能与原密码相同")
    _set_password(user, new)
    user.must_change = False
    user.save()
    _end(user, list(user.seats.exclude(key=keep).values_list("key", flat=True)))
    record("password.changed", user, by=by)


def temporary_password() -> str:
    """A random first password that follows the rules and can be read aloud."""
    words = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(2)]
    return f"{words[0].capitalize()}-{words[1]}-{secrets.randbelow(9000) + 1000}"


def _new_department(department: Party, *args: Any, **kwargs: Any) -> Party:
    return department


@action("identity.manage", department=_new_department)
def create_account(
    department: Party,
    name: str,
    username: str,
    role_names: list[str],
    *,
    by: Actor,
    password: str | None = None,
    must_change: bool = True,
) -> tuple[User, str]:
    """A new officer with an account and roles in a department; returns it and its first password."""
    problem = rules.username_problem(username)
    if problem:
        raise UserError(problem)
    if User.objects.filter(username=username).exists():
        raise UserError(f"账号“{username}”已被使用，请换一个")
    if not name.strip():
        raise UserError("请填写姓名")
    first = password or temporary_password()
    party = Party.objects.create(kind=Party.PERSON, name=name.strip())
    user = User(username=username, party=party, must_change=must_change)
    _set_password(user, first)
    user.save()
    record(
        "account.created",
        user,
        by=by,
        data={"department": department.ref, "roles": role_names},
        personal={"name": party.name},
    )
    for role in role_names:
        _assign(user, department, role, by)
    return user, first


@action("identity.manage")
def create_personal_account(name: str, username: str, *, password: str, by: Actor) -> User:
    """An account of a natural person who serves in no department (个人用户)."""
    problem = rules.username_problem(username)
    if problem:
        raise UserError(problem)
    if User.objects.filter(username=username).exists():
        raise UserError(f"账号“{username}”已被使用，请换一个")
    party = Party.objects.create(kind=Party.PERSON, name=name.strip())
    user = User(username=username, party=party)
    _set_password(user, password)
    user.save()
    record("account.created", user, by=by, data={"personal": True}, personal={"name": party.name})
    return user


def _assign(user: User, department: Party, role: str, by: Actor) -> None:
    declared = roles().get(role)
    if declared is None:
        raise UserError("没有这个角色")
    if declared.scope == "all" and by.departments("identity.manage") is not None:
        raise UserError(f"“{declared.title}”是全市角色，只能由市级系统管理员分配")
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("不能给自己分配角色，请由另一位管理员办理")
    assert user.party is not None
    held = list(user.party.memberships.values_list("role", flat=True))
    if rules.role_conflict(held, role):
        raise UserError("系统、安全、审计三类管理员须由不同的人担任（三员分立）")
    _, made = Membership.objects.get_or_create(party=user.party, department=department, role=role)
    if not made:
        raise UserError(f"已经有“{declared.title}”角色")
    record(
        "role.assigned",
        user,
        by=by,
        data={
            "role": role,
            "department": department.ref,
            "note": f"{department.name}：{declared.title}",
        },
    )


def _second(user: User, department: Party, *args: Any, **kwargs: Any) -> Party:
    return department


@action("identity.manage", department=_second)
def assign_role(user: User, department: Party, role: str, *, by: Actor) -> None:
    """Give an account a role in a department."""
    User.objects.select_for_update().get(pk=user.pk)
    _assign(user, department, role, by)


@action("identity.manage", department=_second)
def remove_role(user: User, department: Party, role: str, *, by: Actor) -> None:
    """Take a role from an account."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("不能修改自己的角色，请由另一位管理员办理")
    count, _ = Membership.objects.filter(
        party=user.party, department=department, role=role
    ).delete()
    if not count:
        raise UserError("这个角色已经移除")
    declared = roles().get(role)
    title = declared.title if declared else role
    record(
        "role.removed",
        user,
        by=by,
        data={"role": role, "department": department.ref, "note": f"{department.name}：{title}"},
    )


@action("identity.manage", department=_department_of)
def disable_account(user: User, reason: str, *, by: Actor) -> None:
    """Close an account and end its sessions; it keeps its history."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("不能停用自己的账号")
    if not reason.strip():
        raise UserError("请填写停用原因")
    user.is_active = False
    user.save(update_fields=["is_active"])
    _end(user, list(user.seats.values_list("key", flat=True)))
    record("account.disabled", user, by=by, data={"reason": reason.strip()})


@action("identity.manage", department=_department_of)
def enable_account(user: User, *, by: Actor) -> None:
    """Open a closed account again."""
    user.is_active = True
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["is_active", "failed", "locked_until"])
    record("account.enabled", user, by=by)


@action("identity.manage", department=_department_of)
def reset_password(user: User, *, by: Actor) -> str:
    """Set a temporary password, to be changed at the next login; returns it once."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("请用“修改密码”更改自己的密码")
    first = temporary_password()
    _set_password(user, first)
    user.must_change = True
    user.save()
    _end(user, list(user.seats.values_list("key", flat=True)))
    record("password.reset", user, by=by)
    return first
