"""Showing: a code that lives a minute and works once, a clerk who asks, a holder who agrees, a link that gives once."""

from __future__ import annotations

import datetime as dt
import secrets

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import ANONYMOUS, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..models import Licence, Showing
from ..queries import kinds, licences
from .limits import spend

CODE_SECONDS = 60
ANSWER_MINUTES = 5
SEE_MINUTES = 15
HOURS = (1, 24, 72)


def _hash(code: str) -> str:
    return audit.keyed_hash(f"licence-code:{code}")


def _in_force(licence: Licence) -> Licence:
    if not licence.grant.in_force():
        raise UserError("证照当前不在有效状态，不能出示")
    return licence


@action(None)
def show(licence: Licence, *, by: Actor) -> str:
    """A new show code for a licence in the wallet; the one before it stops working at once."""
    spend("show", by.ref)
    row = _in_force(licences.held_one(by, licence.identifier))
    now = timezone.now()
    code = secrets.token_urlsafe(16)
    Showing.objects.filter(licence=row, way=Showing.SHOW, asked_at=None, expires_at__gt=now).update(
        expires_at=now
    )
    made = Showing.objects.create(
        licence=row,
        holder=row.grant.grantee,
        way=Showing.SHOW,
        code_hash=_hash(code),
        expires_at=now + dt.timedelta(seconds=CODE_SECONDS),
    )
    record("licence.shown", row, by=by, data={"showing": made.pk})
    return code


def ask(code: str, *, purpose: str, wanted: list[str], by: Actor) -> Showing:
    """As `_ask`, each try counted: also one that is refused, whose transaction leaves nothing."""
    spend("scan", by.ref)
    return _ask(code, purpose=purpose, wanted=wanted, by=by)


@action("licences.verify")
def _ask(code: str, *, purpose: str, wanted: list[str], by: Actor) -> Showing:
    """A clerk scanned a show code and asks for some elements; the holder is to agree on the phone.

    Raises UserError: a code that is used, older than a minute or none at all; each is named.
    """
    if not 2 <= len(purpose.strip()) <= 200:
        raise UserError("请写明核验用途")
    if by.party is None or by.department is None:
        raise UserError("只有部门工作人员可以扫码核验")
    row = (
        Showing.objects.select_for_update()
        .filter(way=Showing.SHOW, code_hash=_hash(code.strip()[-40:]))
        .first()
    )
    now = timezone.now()
    if row is None:
        raise UserError("这不是本平台的亮证码，请持证人重新出示")
    if row.asked_at is not None:
        raise UserError("这个亮证码已经用过，请持证人刷新后重新出示")
    if row.expires_at <= now:
        raise UserError("亮证码已过期（每分钟更换），请持证人刷新后重新出示")
    licence = Licence.objects.select_related("grant").get(pk=row.licence_id)
    _in_force(licence)
    licences.check_choices(licence, wanted)
    row.asked_at, row.asker, row.department = now, by.party, by.department
    row.purpose, row.wanted = purpose.strip(), list(wanted)
    row.expires_at = now + dt.timedelta(minutes=ANSWER_MINUTES)
    row.save()
    record("licence.asked", licence, by=by, data={"showing": row.pk, "items": wanted})
    return row


@action(None)
def answer(showing: Showing, *, agreed: bool, by: Actor) -> Showing:
    """The holder's word; only the holder's (or who acts for the holder), only while it is asked."""
    row = Showing.objects.select_for_update(of=("self",)).get(pk=showing.pk)
    licence = licences.held_one(by, row.licence.identifier)
    now = timezone.now()
    if row.answered_at is not None:
        raise UserError("这次核验已经答复")
    if not row.waits(now):
        raise UserError("这次核验已超过时限，请重新出示亮证码")
    row.answered_at, row.agreed = now, agreed
    row.expires_at = now + dt.timedelta(minutes=SEE_MINUTES)
    row.save(update_fields=["answered_at", "agreed", "expires_at"])
    record(
        "licence.consented" if agreed else "licence.refused",
        licence,
        by=by,
        data={"showing": row.pk, "items": row.wanted},
    )
    return row


@action("licences.verify")
def see(showing: Showing, *, by: Actor) -> list[tuple[str, str]]:
    """What the holder agreed to show, to the clerk who asked; on record before it is shown."""
    row = Showing.objects.select_for_update(of=("self",)).get(pk=showing.pk)
    if by.party is None or row.asker_id != by.party.pk or not row.agreed:
        raise UserError("持证人没有同意，不能查看")
    now = timezone.now()
    if row.expires_at <= now:
        raise UserError("查看时限已过，请持证人重新出示")
    licence = Licence.objects.select_related("grant").get(pk=row.licence_id)
    _in_force(licence)
    if row.seen_at is None:
        row.seen_at = now
        row.save(update_fields=["seen_at"])
    told = licences.elements(licence)
    kind = kinds.kind(licence.kind)
    audit.record_reading(
        by=by,
        resource=f"电子证照·{kind.title}",
        people=[told[kind.holder_number]],
        purpose=row.purpose,
        channel="workbench",
    )
    record("licence.seen", licence, by=by, data={"showing": row.pk, "items": row.wanted})
    return licences.wanted_pairs(licence, row.wanted)


@action(None)
def give(
    licence: Licence, *, purpose: str, recipient: str, wanted: list[str], hours: int, by: Actor
) -> str:
    """A code by which one recipient sees chosen elements once, for a purpose, within some hours."""
    spend("show", by.ref)
    row = _in_force(licences.held_one(by, licence.identifier))
    if not 2 <= len(purpose.strip()) <= 200 or not 2 <= len(recipient.strip()) <= 100:
        raise UserError("请写明用途和提供给谁")
    if hours not in HOURS:
        raise UserError("请选择有效时间")
    if not wanted:
        raise UserError("请至少选择一项内容")
    licences.check_choices(row, wanted)
    code = secrets.token_urlsafe(16)
    made = Showing.objects.create(
        licence=row,
        holder=row.grant.grantee,
        way=Showing.GIVE,
        code_hash=_hash(code),
        expires_at=timezone.now() + dt.timedelta(hours=hours),
        purpose=purpose.strip(),
        recipient=recipient.strip(),
        wanted=list(wanted),
        answered_at=timezone.now(),
        agreed=True,
    )
    record("licence.given", row, by=by, data={"showing": made.pk, "items": wanted})
    return code


@action(None)
def take_back(showing: Showing, *, by: Actor) -> None:
    """End a given link before anybody opened it; only for the holder or who acts for the holder."""
    row = Showing.objects.select_for_update(of=("self",)).get(pk=showing.pk)
    licences.held_one(by, row.licence.identifier)
    now = timezone.now()
    if row.way != Showing.GIVE or row.seen_at is not None:
        raise UserError("对方已经查看过，不能收回")
    if row.expires_at > now:
        row.expires_at, row.agreed = now, False
        row.save(update_fields=["expires_at", "agreed"])
    record("licence.taken_back", row.licence, by=by, data={"showing": row.pk})


def take(code: str, *, address: str, by: Actor) -> tuple[Licence, list[tuple[str, str]], Showing]:
    """As `_take`, each try of an address counted, also one that is refused."""
    spend("given", address)
    return _take(code, address=address, by=by)


@action(None)
def _take(code: str, *, address: str, by: Actor) -> tuple[Licence, list[tuple[str, str]], Showing]:
    """What was given by this code, to the first who takes it; UserError for used, late and unknown ones.

    The answer for these three is the same, so that trying codes tells nothing.
    """
    row = (
        Showing.objects.select_for_update()
        .filter(
            way=Showing.GIVE, code_hash=_hash(code), seen_at=None, expires_at__gt=timezone.now()
        )
        .first()
    )
    if row is None:
        raise UserError("链接无效、已被查看过或已过期，请持证人重新提供")
    licence = Licence.objects.select_related("grant__grantor", "grant__grantee").get(
        pk=row.licence_id
    )
    _in_force(licence)
    row.seen_at = timezone.now()
    row.save(update_fields=["seen_at"])
    told, kind = licences.elements(licence), kinds.kind(licence.kind)
    audit.record_reading(
        by=by if by.known else ANONYMOUS,
        resource=f"电子证照·{kind.title}",
        people=[told[kind.holder_number]],
        purpose=f"持证人提供给{row.recipient}：{row.purpose}",
        channel="workbench",
    )
    record("licence.taken", licence, by=by, data={"showing": row.pk}, personal={"address": address})
    return licence, licences.wanted_pairs(licence, row.wanted), row


__all__ = [
    "ANSWER_MINUTES",
    "CODE_SECONDS",
    "HOURS",
    "answer",
    "ask",
    "give",
    "see",
    "show",
    "take",
    "take_back",
]
