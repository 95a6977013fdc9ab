"""Directory: a department's own staff directory brings its people in, changes them, and takes them out."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import rules
from ..models import Admission, Directory, Member
from .admissions import end_admissions


class NameTaken(UserError):
    """Another person of the same directory has this userName."""


class NewerVersion(UserError):
    """The person was changed since the directory read him."""


def actor_of_directory(directory: Directory) -> Actor:
    """The directory as the one who acts: it manages the accounts of its own department only.

    It may end the logins of those it takes out, whichever department they serve in beside its own.
    """
    return Actor(
        directory.party,
        directory.department,
        held={
            "identity.manage": frozenset({directory.department_id}),
            "identity.secure": None,
        },
    )


@action("login.manage")
def open_directory(*, department: Party, by: Actor) -> tuple[Directory, str]:
    """Let a department's directory write its people; returns it and its token, shown once."""
    if Directory.objects.filter(department=department).exists():
        raise UserError("该部门已经开通，请更换令牌")
    token = rules.new_secret()
    party = Party.objects.create(
        kind=Party.SYSTEM,
        name=f"{department.name}人员目录"[:200],
        slug=f"staff-{department.slug}"[:60],
        parent=department,
    )
    made = Directory.objects.create(
        department=department, party=party, token_hash=rules.digest(token)
    )
    record("directory.opened", made, by=by, data={"department": department.ref})
    return made, token


def _locked(directory: Directory) -> Directory:
    return (
        Directory.objects.select_for_update(of=("self",))
        .select_related("department", "party")
        .get(pk=directory.pk)
    )


@action("login.manage")
def rotate_token(
    *, directory: Directory, by: Actor, overlap_hours: int = rules.OVERLAP_HOURS
) -> str:
    """A new token, shown once; the former one stays good for `overlap_hours` (0 to 168).

    A closed directory is open again with it.
    """
    if not 0 <= overlap_hours <= 168:
        raise UserError("新旧令牌并用时间应为 0 至 168 小时")
    row, token, now = _locked(directory), rules.new_secret(), timezone.now()
    row.former_hash = "" if row.closed_at else row.token_hash
    row.former_until = now + dt.timedelta(hours=overlap_hours)
    row.token_hash, row.rotated_at, row.closed_at = rules.digest(token), now, None
    row.save()
    record("directory.rotated", row, by=by, data={"overlap_hours": overlap_hours})
    return token


@action("login.manage")
def close_directory(*, directory: Directory, reason: str, by: Actor) -> None:
    """Stop a directory; the people it brought stay as they are."""
    if not reason.strip():
        raise UserError("请填写停用原因")
    row = _locked(directory)
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    record("directory.closed", row, by=by, data={"reason": reason.strip()})


def _taken(directory: Directory, user_name: str, but: Member | None = None) -> bool:
    rows = Member.objects.filter(directory=directory, folded=user_name.casefold()[:200])
    return rows.exclude(pk=but.pk).exists() if but is not None else rows.exists()


def _username(directory: Directory, user_name: str, uid: str) -> str:
    """An account's name that shows whose it is; where the directory's does not fit, one of ours."""
    wanted = f"{directory.department.slug}.{user_name.casefold()}"
    fits = len(wanted) <= 40 and wanted.replace(".", "").replace("-", "").replace("_", "").isalnum()
    if fits and wanted.isascii() and not get_user_model().objects.filter(username=wanted).exists():
        return wanted
    return f"{directory.department.slug}.m{uid[:10]}"


@action(None)
def add_member(
    *,
    directory: Directory,
    user_name: str,
    name: str,
    active: bool | None,
    data: dict[str, Any],
    by: Actor,
) -> Member:
    """Bring a person in, with an account of his own and no roles; raises NameTaken.

    The account has a password that nobody knows: the department's administrator sets the first.
    """
    row, active = _locked(directory), active is not False
    if _taken(row, user_name):
        raise NameTaken("目录账号已存在")
    member = Member(
        directory=row,
        uid=secrets.token_hex(16),
        user_name=user_name[:200],
        folded=user_name.casefold()[:200],
        data=data,
        active=active,
    )
    member.username = _username(row, user_name, member.uid)
    identity.create_account(row.department, name, member.username, [], by=by)
    member.save()
    _mark(row)
    record(
        "member.added",
        member,
        by=by,
        data={"department": row.department.ref, "active": active},
        personal={"name": name},
    )
    if not active:
        _take_out(member, by, "目录标记为离岗")
    return member


def _mark(directory: Directory) -> None:
    directory.used_at = timezone.now()
    directory.save(update_fields=["used_at"])


@action(None)
def change_member(
    *,
    member: Member,
    user_name: str,
    name: str,
    active: bool | None,
    data: dict[str, Any],
    by: Actor,
    version: int | None = None,
) -> Member:
    """Write a person anew; who is no longer active is taken out at once. NameTaken, NewerVersion.

    A directory that says nothing of `active` leaves it as it was: silence lets nobody in again.
    """
    _locked(member.directory)
    row = (
        Member.objects.select_for_update().select_related("directory__department").get(pk=member.pk)
    )
    if version is not None and row.version != version:
        raise NewerVersion("该人员已被更改，请重新读取")
    if _taken(row.directory, user_name, row):
        raise NameTaken("目录账号已存在")
    was = row.active
    active = was if active is None else active
    row.user_name, row.folded = user_name[:200], user_name.casefold()[:200]
    row.data, row.active = data, active
    row.version, row.changed_at = row.version + 1, timezone.now()
    row.save()
    _mark(row.directory)
    account = get_user_model().objects.filter(username=row.username).first()
    party = getattr(account, "party", None)
    if party is not None and party.name != name:
        party.name = name[:200]
        party.save(update_fields=["name"])
    record("member.changed", row, by=by, data={"active": active}, personal={"name": name})
    if was and not active:
        _take_out(row, by, "目录标记为离岗")
    elif active and not was and account is not None:
        identity.enable_account(account, by=by)
    return row


@action(None)
def remove_member(*, member: Member, by: Actor, version: int | None = None) -> None:
    """Take a person out for good: roles, logins, entries to systems; the account keeps its history."""
    _locked(member.directory)
    row = (
        Member.objects.select_for_update().select_related("directory__department").get(pk=member.pk)
    )
    if version is not None and row.version != version:
        raise NewerVersion("该人员已被更改，请重新读取")
    _take_out(row, by, "目录中已删除")
    record("member.removed", row, by=by, data={"department": row.directory.department.ref})
    _mark(row.directory)
    row.delete()


def _take_out(member: Member, by: Actor, why: str) -> None:
    """Roles in this department, open logins and entries end in this very transaction."""
    account = get_user_model().objects.filter(username=member.username).first()
    party: Party | None = getattr(account, "party", None)
    if account is None or party is None:
        return
    department = member.directory.department
    for post in list(party.memberships.filter(department=department)):
        identity.remove_role(account, department, post.role, by=by)
    if party.memberships.exists():
        identity.end_seats(account, by=by)
    elif account.is_active:
        identity.disable_account(account, why, by=by)
    end_admissions(Admission.objects.filter(party=party), why=why, by=by)


__all__ = [
    "NameTaken",
    "NewerVersion",
    "actor_of_directory",
    "add_member",
    "change_member",
    "close_directory",
    "open_directory",
    "remove_member",
    "rotate_token",
]
