"""Factors: second factors registered, asked for, lost and replaced; the access policy chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import check_password
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import adapters, queries, rules
from ..models import Factor, Policy, RecoveryCode, User
from .sessions import department_of, end_all_sessions, failed_once

MOST = 5
"""So many second factors may a login have."""


def _own(user: User, by: Actor) -> None:
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能管理自己的第二因素")


@action(None)
def begin_totp(user: User, *, by: Actor) -> bytes:
    """A new authenticator secret, waiting for its first right code; a former waiting one is dropped."""
    _own(user, by)
    if user.factors.exclude(confirmed_at=None).count() >= MOST:
        raise UserError(f"最多登记 {MOST} 个第二因素")
    user.factors.filter(kind=rules.TOTP, confirmed_at=None).delete()
    secret = rules.new_secret()
    Factor.objects.create(
        user=user,
        kind=rules.TOTP,
        title="动态口令",
        secret=adapters.seal(secret.hex(), adapters.FACTOR_USE),
    )
    record("factor.begun", user, by=by, data={"kind": rules.TOTP})
    return secret


@action(None)
def confirm_totp(user: User, code: str, title: str, *, by: Actor) -> list[str]:
    """Take the waiting authenticator into use; returns fresh recovery codes with the first factor."""
    _own(user, by)
    User.objects.select_for_update().get(pk=user.pk)
    factor = user.factors.filter(kind=rules.TOTP, confirmed_at=None).first()
    if factor is None:
        raise UserError("请重新扫描二维码")
    step = rules.step_of(code, _secret(factor), time.time(), factor.counter)
    if step is None:
        raise UserError("口令不正确：请核对手机时间，输入当前显示的 6 位数字")
    factor.counter, factor.confirmed_at = step, timezone.now()
    factor.title = title.strip()[:60] or "动态口令"
    factor.save()
    return _added(user, factor, by)


@action(None)
def add_key(
    user: User, state: Any, answer: Mapping[str, Any], title: str, host: str, *, by: Actor
) -> list[str]:
    """Take a security key into use; returns fresh recovery codes with the first factor."""
    _own(user, by)
    if user.factors.exclude(confirmed_at=None).count() >= MOST:
        raise UserError(f"最多登记 {MOST} 个第二因素")
    try:
        credential, key, counter = adapters.registered_key(host, state, answer)
    except adapters.BadKey as wrong:
        raise UserError("安全密钥没有登记成功，请再试一次") from wrong
    if Factor.objects.filter(credential=credential).exists():
        raise UserError("这个安全密钥已经登记过")
    factor = Factor.objects.create(
        user=user,
        kind=rules.KEY,
        title=title.strip()[:60] or "安全密钥",
        secret=key,
        credential=credential,
        counter=counter,
        confirmed_at=timezone.now(),
    )
    return _added(user, factor, by)


def _added(user: User, factor: Factor, by: Actor) -> list[str]:
    first = not user.recovery_codes.filter(used_at=None).exists()
    record("factor.added", user, by=by, data={"kind": factor.kind, "note": factor.title})
    return _fresh_codes(user) if first else []


def _fresh_codes(user: User) -> list[str]:
    user.recovery_codes.all().delete()
    codes = [rules.recovery_code() for _ in range(rules.RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, digest=rules.recovery_digest(user.username, code)) for code in codes
    )
    return codes


@action(None)
def renew_codes(user: User, password: str, *, by: Actor) -> list[str]:
    """Ten new recovery codes; the old ones are void."""
    _own(user, by)
    if not check_password(password, user.password):
        raise UserError("密码不正确")
    codes = _fresh_codes(user)
    record("recovery_codes.renewed", user, by=by)
    return codes


@action(None)
def remove_factor(user: User, factor: int, password: str, *, by: Actor) -> None:
    """Take a factor out of use; the last one stays where the policy demands one."""
    _own(user, by)
    if not check_password(password, user.password):
        raise UserError("密码不正确")
    User.objects.select_for_update().get(pk=user.pk)
    found = user.factors.filter(pk=factor).exclude(confirmed_at=None).first()
    if found is None:
        raise UserError("这个第二因素已经移除")
    left = user.factors.exclude(confirmed_at=None).exclude(pk=found.pk).exists()
    if not left and queries.must_have_second(by, user):
        raise UserError("至少保留一个第二因素：请先登记新的，再移除这一个")
    found.delete()
    if not left:
        user.recovery_codes.all().delete()
    record("factor.removed", user, by=by, data={"kind": found.kind, "note": found.title})


@action("identity.secure", department=department_of)
def reset_factors(user: User, reason: str, *, by: Actor) -> None:
    """Drop all second factors of somebody who lost them; recorded, all sessions end."""
    if by.party is not None and user.party_id == by.party.pk:
        raise UserError("不能重置自己的第二因素，请由另一位安全管理员办理")
    if not reason.strip():
        raise UserError("请填写重置原因，例如“手机遗失，已当面核对本人”")
    user.factors.all().delete()
    user.recovery_codes.all().delete()
    end_all_sessions(user)
    record("factors.reset", user, by=by, data={"reason": reason.strip()[:200]})


@action(None)
def pass_second(
    user: User, kind: str, answer: Any, *, by: Actor, state: Any = None, host: str = ""
) -> bool:
    """Check the second factor after the password; every failure counts towards the lock.

    `kind` is totp | key | recovery; `answer` the code, or the browser's assertion for a key.
    """
    user = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    if user.locked or not user.is_active or user.party is None:
        record("session.refused", user, by=by, data={"why": "locked"})
        return False
    checks = {"totp": _totp_right, "key": _key_right, "recovery": _recovery_right}
    if kind not in checks or not checks[kind](user, answer, state, host):
        failed_once(user, f"second:{kind if kind in checks else '?'}", by)
        return False
    user.failed, user.locked_until = 0, None
    user.save(update_fields=["failed", "locked_until"])
    record("session.opened", user, by=actor_of(user.party), data={"factor": kind})
    return True


def _secret(factor: Factor) -> bytes:
    return bytes.fromhex(adapters.unseal(factor.secret, adapters.FACTOR_USE))


def _totp_right(user: User, answer: Any, state: Any, host: str) -> bool:
    for factor in user.factors.filter(kind=rules.TOTP).exclude(confirmed_at=None):
        step = rules.step_of(str(answer), _secret(factor), time.time(), factor.counter)
        if step is not None:
            factor.counter, factor.used_at = step, timezone.now()
            factor.save(update_fields=["counter", "used_at"])
            return True
    return False


def _key_right(user: User, answer: Any, state: Any, host: str) -> bool:
    factors = list(user.factors.filter(kind=rules.KEY).exclude(confirmed_at=None))
    if not factors or not isinstance(answer, Mapping) or state is None:
        return False
    try:
        credential, counter = adapters.asserted_key(
            host, state, [f.secret for f in factors], answer
        )
    except adapters.BadKey:
        return False
    factor = next(f for f in factors if f.credential == credential)
    # A counter that does not grow means that the key has a copy (WebAuthn, 6.1.1).
    if (counter or factor.counter) and counter <= factor.counter:
        return False
    factor.counter, factor.used_at = counter, timezone.now()
    factor.save(update_fields=["counter", "used_at"])
    return True


def _recovery_right(user: User, answer: Any, state: Any, host: str) -> bool:
    digest = rules.recovery_digest(user.username, str(answer))
    return (
        user.recovery_codes.filter(digest=digest, used_at=None).update(used_at=timezone.now()) == 1
    )


@action("identity.secure")
def choose_policy(name: str, *, by: Actor) -> None:
    """Choose the installation's access policy; `demonstration` only in a sample city."""
    if name not in {p["name"] for p in queries.policies()}:
        raise UserError("没有这项登录策略")
    if name == "demonstration" and not queries.sample_city():
        raise UserError("真实城市不能选用演示环境的登录策略")
    Policy.objects.create(name=name, chosen_by=by.ref)
    record("policy.chosen", "system:access", by=by, data={"note": name})
