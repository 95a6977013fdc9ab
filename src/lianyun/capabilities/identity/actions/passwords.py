"""Passwords of persons: the first one of an account that a platform opened, and a forgotten one made anew."""

from __future__ import annotations

import secrets

from django.contrib.auth.hashers import check_password, make_password

from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import adapters, rules
from ..models import Account, User
from . import limits
from .officers import set_password
from .sessions import end_all_sessions

STALE = "这个账号没有密码：请先用国家政务服务平台重新登录，十分钟内再做这一步"
UNFIT = "未能核对：请核对手机号码、验证码和公民身份号码，或带身份证到政务服务窗口办理"
"""The one answer to whoever may not set a password anew: nobody has the telephone, the number is
another's, or the account is an officer's."""


def check_secret(user: User, password: str, fresh: bool) -> None:
    """Raises UserError unless the password is right, or there is none and a platform just let him in."""
    if user.has_usable_password():
        if not check_password(password, user.password):
            raise UserError("密码不正确")
    elif not fresh:
        raise UserError(STALE)


@action(None)
def set_first_password(user: User, new: str, *, fresh: bool, by: Actor, keep: str = "") -> None:
    """A password for an account that has none; other sessions end.

    `fresh`: the platform says that he gave his secret there within the last minutes, so that whoever
    finds an open browser cannot make the account his own.
    """
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能设置自己的密码")
    if user.has_usable_password():
        raise UserError("这个账号已有密码，请用原密码修改")
    if not fresh:
        raise UserError(STALE)
    set_password(user, new)
    user.must_change = False
    user.save()
    end_all_sessions(user, keep)
    record("password.changed", user, by=by, data={"first": True})


def recover_password(phone: str, number: str, new: str, *, address: str, by: Actor) -> bool:
    """A new password by telephone and citizen number, after the telephone's code was right.

    The telephone alone is not enough: numbers are given to others. False is one answer for
    everything that does not fit; each try is counted, also one that is refused. A second factor
    stays, a lock stays, officers go to their administrator. UserError for a password that will not do.
    """
    if problems := rules.password_problems(new):
        raise UserError("；".join(problems))
    limits.spend("recoveries_per_phone", adapters.phone_hash(phone))
    limits.spend("recoveries_per_address", address)
    return _recover(phone, number, new, by=by)


@action(None)
def _recover(phone: str, number: str, new: str, *, by: Actor) -> bool:
    account = (
        Account.objects.select_for_update(of=("self",))
        .filter(phone_hash=adapters.phone_hash(phone))
        .select_related("party")
        .first()
    )
    user = User.objects.filter(party=account.party, is_active=True).first() if account else None
    told = adapters.number_hash(number.strip().upper())
    held = (account.number_hash or account.claim_hash) if account else None
    same = secrets.compare_digest(held or "-", told)
    if (
        account is None
        or user is None
        or not same
        or not account.party.active
        or account.party.memberships.exists()
    ):
        make_password(new)  # what a right answer costs, a wrong one costs too
        record("identity.refused", account or "account:?", by=by, data={"way": "recovery"})
        return False
    set_password(user, new)
    user.must_change = False
    user.save()
    end_all_sessions(user)
    record("password.recovered", user, by=actor_of(account.party))
    return True


__all__ = ["STALE", "UNFIT", "check_secret", "recover_password", "set_first_password"]
