"""System: registered, changed, given its secret once, closed, by the data bureau."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import rules
from ..models import Admission, ClientSystem
from .admissions import end_admissions


@dataclass(frozen=True)
class Design:
    """What is registered of a system; addresses as texts, one a line."""

    name: str
    purpose: str
    kind: str = ClientSystem.CONFIDENTIAL
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    redirect_uris: str = ""
    logout_uris: str = ""
    backchannel_uri: str = ""
    scopes: Mapping[str, str] = field(default_factory=dict)
    api_scopes: Iterable[str] = ()
    level: int = 1


def _fill(system: ClientSystem, design: Design) -> None:
    logs_in = "authorization_code" in design.grants
    if not design.name.strip() or not design.purpose.strip():
        raise UserError("请填写系统名称和用途")
    if design.kind not in dict(ClientSystem.KINDS):
        raise UserError("请选择系统类型")
    if not design.grants or set(design.grants) - set(rules.GRANTS):
        raise UserError("请选择接入方式")
    if "refresh_token" in design.grants and not logs_in:
        raise UserError("“登录期间续期”须与“人员登录”一起选择")
    if design.kind == ClientSystem.PUBLIC and "client_credentials" in design.grants:
        raise UserError("没有密钥的系统不能使用“系统之间调用”")
    if set(design.scopes) - set(rules.SCOPES) or any(not w.strip() for w in design.scopes.values()):
        raise UserError("请写明每一类信息的用途")
    wrong = [s for s in design.api_scopes if not re.fullmatch(r"[a-z][a-z0-9_.:-]{1,59}", s)]
    if wrong or set(design.api_scopes) & set(rules.SCOPES):
        raise UserError("接口范围由小写字母、数字和 . : _ - 组成，如 relief.read")
    if design.level not in range(5):
        raise UserError("请选择最低实名等级")
    try:
        system.redirect_uris = rules.addresses(design.redirect_uris, least=int(logs_in))
        system.logout_uris = rules.addresses(design.logout_uris)
        told = rules.addresses(design.backchannel_uri)
    except rules.BadAddress as wrong_address:
        raise UserError(str(wrong_address)) from wrong_address
    if len(told) > 1:
        raise UserError("退出通知地址只能有一个")
    system.backchannel_uri = told[0] if told else ""
    system.purpose, system.kind = design.purpose.strip()[:200], design.kind
    system.grants, system.level = list(design.grants), design.level
    system.scopes = {s: design.scopes[s].strip()[:100] for s in rules.SCOPES if s in design.scopes}
    system.api_scopes = list(dict.fromkeys(design.api_scopes))


def locked(system: ClientSystem) -> ClientSystem:
    """A system for change, held by this transaction; raises UserError where it was closed."""
    row = (
        ClientSystem.objects.select_for_update(of=("self",))
        .select_related("party", "department")
        .get(pk=system.pk)
    )
    if row.closed_at is not None:
        raise UserError("该系统已停用")
    return row


@action("login.manage")
def register_system(*, department: Party, design: Design, by: Actor) -> tuple[ClientSystem, str]:
    """Register a system; returns it and its secret (empty for a public one), which is shown once."""
    system = ClientSystem(department=department, client_id=rules.new_client_id())
    _fill(system, design)
    secret = "" if system.kind == ClientSystem.PUBLIC else rules.new_secret()
    system.secret_hash = rules.digest(secret) if secret else ""
    system.party = Party.objects.create(
        kind=Party.SYSTEM, name=design.name.strip()[:200], slug=system.client_id, parent=department
    )
    system.save()
    record(
        "client_system.registered",
        system,
        by=by,
        data={
            "department": department.ref,
            "scopes": system.scopes,
            "redirect_uris": system.redirect_uris,
            "level": system.level,
        },
    )
    return system, secret


@action("login.manage")
def change_system(*, system: ClientSystem, design: Design, by: Actor) -> None:
    """Change what is registered. Claims asked for anew are shown to everybody before they are told."""
    row = locked(system)
    if design.kind != row.kind:
        raise UserError("系统类型不能更改，请另行登记")
    _fill(row, design)
    row.party.name = design.name.strip()[:200]
    row.party.save(update_fields=["name"])
    row.save()
    record(
        "client_system.changed",
        row,
        by=by,
        data={"scopes": row.scopes, "redirect_uris": row.redirect_uris, "level": row.level},
    )


@action("login.manage")
def rotate_secret(
    *, system: ClientSystem, by: Actor, overlap_hours: int = rules.OVERLAP_HOURS
) -> str:
    """A new secret, shown once; the former one stays good for `overlap_hours` (0 to 168)."""
    if not 0 <= overlap_hours <= 168:
        raise UserError("新旧密钥并用时间应为 0 至 168 小时")
    row = locked(system)
    if row.kind == ClientSystem.PUBLIC:
        raise UserError("该系统没有密钥")
    secret, now = rules.new_secret(), timezone.now()
    row.former_hash, row.former_until = row.secret_hash, now + dt.timedelta(hours=overlap_hours)
    row.secret_hash, row.rotated_at = rules.digest(secret), now
    row.save(update_fields=["former_hash", "former_until", "secret_hash", "rotated_at"])
    record("client_system.rotated", row, by=by, data={"overlap_hours": overlap_hours})
    return secret


@action("login.manage")
def close_system(*, system: ClientSystem, reason: str, by: Actor) -> None:
    """End a system for good: its secret, its tokens, everybody's entries to it."""
    if not reason.strip():
        raise UserError("请填写停用原因")
    row = locked(system)
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    row.party.active = False
    row.party.save(update_fields=["active"])
    end_admissions(Admission.objects.filter(system=row), why="系统停用", by=by)
    record("client_system.closed", row, by=by, data={"reason": reason.strip()})


__all__ = ["Design", "change_system", "close_system", "locked", "register_system", "rotate_secret"]
