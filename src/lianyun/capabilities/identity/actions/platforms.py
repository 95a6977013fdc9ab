"""Platforms: a person comes in from the national platform, which has proven who he is."""

from __future__ import annotations

import secrets

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import adapters, rules
from ..models import Account, Linked, User
from .persons import checked_number, lock_number, prove_person

CLOSED = "这个账号已停用，请到政务服务窗口办理"
OFFICER = "工作人员请用工作账号登录"


@action(None)
def enter_by_platform(
    issuer: str, subject: str, name: str, number: str, level: int, *, simulated: bool, by: Actor
) -> User:
    """The login of whom a trusted platform names, opened where he has none yet.

    At level 3 the number is his by the platform's word: it finds his account here whoever declared
    it. Below, only a link made before finds him, and otherwise an account of that level is opened
    with the number as declared. A level held here is never lowered. Raises UserError for officers,
    closed accounts and malformed numbers; an account that keeps posts is never entered this way.
    """
    plain, name = checked_number(number), name.strip()
    if not name or level < rules.SELF:
        raise UserError("国家平台没有提供姓名或实名等级，请先在那里完成实名")
    level = min(level, rules.PERSON)
    digest, known = adapters.number_hash(plain), audit.keyed_hash(f"{issuer}|{subject}")
    lock_number(known)
    lock_number(digest)
    link = Linked.objects.filter(issuer=issuer, subject=known).select_related("account").first()
    account = link.account if link else None
    held = Account.objects.filter(number_hash=digest).select_related("party").first()
    if level == rules.PERSON and held is not None:
        # The number decides; a link of old may belong to an account that was merged or renumbered.
        account = held
    if account is None:
        account = Account.objects.create(
            party=Party.objects.create(kind=Party.PERSON, name=name),
            claim_hash=digest,
            claim_sealed=adapters.seal(plain, adapters.NUMBER_USE),
        )
    party = account.party
    if party.memberships.exists():
        raise UserError(OFFICER)
    if not party.active:
        raise UserError(CLOSED)
    user = User.objects.filter(party=party).first()
    if user is None:
        user = User(username=f"n{secrets.randbelow(10**10):010d}", party=party)
        user.password = make_password(None)
        user.save()
        record("account.created", user, by=actor_of(party), data={"personal": True})
    if not user.is_active:
        raise UserError(CLOSED)
    if account.level < level:
        if level == rules.PERSON:
            account = prove_person(account, plain, rules.PLATFORM, "", actor_of(party))
        else:
            account.level, account.way = level, rules.PLATFORM
            account.proved_at = timezone.now()
            record("identity.proved", account, by=actor_of(party), data={"level": level})
        account.simulated = simulated
        account.save()
        party.name = name
        party.save(update_fields=["name"])
    if link is None or link.account_id != account.pk:
        Linked.objects.update_or_create(issuer=issuer, subject=known, defaults={"account": account})
        record("platform.linked", account, by=actor_of(party), data={"issuer": issuer})
    Linked.objects.filter(issuer=issuer, subject=known).update(used_at=timezone.now())
    kind = (
        "session.second_asked"
        if user.factors.exclude(confirmed_at=None).exists()
        else "session.opened"
    )
    record(kind, user, by=actor_of(party), data={"way": rules.PLATFORM, "level": level})
    return user


__all__ = ["enter_by_platform"]
