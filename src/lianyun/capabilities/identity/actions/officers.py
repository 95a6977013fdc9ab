"""Officers: passwords changed, accounts opened and closed, roles given and taken."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils import timezone

from lianyun.kernel.access import Actor, Membership, UserError, roles
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import rules
from ..models import User
from .sessions import department_of, end_sessions

_ALPHABET = "abcdefghjkmnpqrstuvwxyz"


def set_password(user: User, password: str) -> None:
    """Put a new password on a login that is not saved yet; raises UserError with all that is wrong."""
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
    set_password(user, new)
    user.must_change = False
    user.save()
    end_sessions(user, list(user.seats.exclude(key=keep).values_list("key", flat=True)))
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
    set_password(user, first)
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
    set_password(user, password)
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


@action("identity.manage", department=department_of)
def disable_account(user: User, reason: str, *, by: Actor) -> None:
    """Close an account and end its sessions; it keeps its history."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("不能停用自己的账号")
    if not reason.strip():
        raise UserError("请填写停用原因")
    user.is_active = False
    user.save(update_fields=["is_active"])
    end_sessions(user, list(user.seats.values_list("key", flat=True)))
    record("account.disabled", user, by=by, data={"reason": reason.strip()})


@action("identity.manage", department=department_of)
def enable_account(user: User, *, by: Actor) -> None:
    """Open a closed account again."""
    user.is_active = True
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["is_active", "failed", "locked_until"])
    record("account.enabled", user, by=by)


@action("identity.manage", department=department_of)
def reset_password(user: User, *, by: Actor) -> str:
    """Set a temporary password, to be changed at the next login; returns it once."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("请用“修改密码”更改自己的密码")
    first = temporary_password()
    set_password(user, first)
    user.must_change = True
    user.save()
    end_sessions(user, list(user.seats.values_list("key", flat=True)))
    record("password.reset", user, by=by)
    return first
