"""Systems: registered with an address and a key, given items by grants, tried, paused, closed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant, Party

from .. import adapters, queries, rules
from ..models import System

OVERLAP = 7 * 86400
"""Seconds for which the former key is still believed, so that a change needs no appointed minute."""


def _checked(name: str, address: str, silent_hours: int) -> tuple[str, str]:
    if not name.strip():
        raise UserError("请填写系统名称")
    if not 1 <= silent_hours <= 720:
        raise UserError("最长静默时间应为 1 至 720 小时")
    try:
        rules.parts_of(address)
    except ValueError as wrong:
        raise UserError(str(wrong)) from wrong
    return name.strip()[:200], address.strip().rstrip("/")


@action("relay.manage")
def register_system(
    *,
    department: Party,
    name: str,
    address: str,
    contact: str = "",
    silent_hours: int = 24,
    simulated: bool = False,
    vouched: bool = False,
    by: Actor,
) -> tuple[System, str]:
    """Register a department's system; returns it and the signing key, which is shown once.

    `vouched` is for the operator of the machine: the address is then not held against the list.
    """
    by.require("relay.manage", department)
    if vouched and not by.everything:
        raise Denied("只有平台运维可以登记名单外的地址")
    name, address = _checked(name, address, silent_hours)
    code, key = rules.new_code(), rules.new_key()
    party = Party.objects.create(kind=Party.SYSTEM, name=name, slug=code.lower(), parent=department)
    row = System.objects.create(
        code=code,
        party=party,
        department=department,
        address=address,
        key=adapters.sealed_keys(key),
        contact=contact.strip()[:100],
        silent_hours=silent_hours,
        simulated=simulated,
        vouched=vouched,
    )
    record(
        "relay_system.registered", row, by=by,
        data={"name": name, "department": department.ref, "address": address},
    )  # fmt: skip
    return row, key


def _locked(system: System, by: Actor) -> System:
    row = (
        System.objects.select_for_update(of=("self",))
        .select_related("party", "department")
        .get(pk=system.pk)
    )
    by.require("relay.manage", row.department)
    if row.closed_at is not None:
        raise UserError("该系统已停用")
    return row


@action("relay.manage")
def change_system(
    *, system: System, name: str, address: str, contact: str, silent_hours: int, by: Actor
) -> None:
    """Change what is registered; what waits is tried at the new address at once."""
    row = _locked(system, by)
    name, address = _checked(name, address, silent_hours)
    moved = address != row.address
    row.party.name = name
    row.party.save(update_fields=["name"])
    row.vouched = row.vouched and (not moved or by.everything)
    row.address, row.contact, row.silent_hours = address, contact.strip()[:100], silent_hours
    row.attempts, row.next_at, row.error = 0, None, ""
    row.save()
    record(
        "relay_system.changed", row, by=by,
        data={"name": name, "address": address, "silent_hours": silent_hours},
    )  # fmt: skip


@action("relay.manage")
def rotate_key(*, system: System, by: Actor) -> str:
    """A new signing key, shown once; the former one is believed for seven more days."""
    row = _locked(system, by)
    key = rules.new_key()
    row.key = adapters.sealed_keys(key, adapters.keys_of(row.key)[0], time.time() + OVERLAP)
    row.save(update_fields=["key"])
    record("relay_system.rotated", row, by=by)
    return key


@action("relay.manage")
def pause_system(*, system: System, paused: bool, by: Actor) -> None:
    """Send nothing for a while, or go on; what is to be sent waits and is not lost."""
    row = _locked(system, by)
    row.paused, row.attempts, row.next_at, row.error = paused, 0, None, ""
    row.save(update_fields=["paused", "attempts", "next_at", "error"])
    record("relay_system.paused" if paused else "relay_system.resumed", row, by=by)


@action("relay.manage")
def close_system(*, system: System, reason: str, by: Actor) -> None:
    """End a system: its grants are revoked, its key is forgotten. Refused while cases are with it."""
    row = _locked(system, by)
    if not reason.strip():
        raise UserError("请写明停用的原因")
    left = row.handovers.filter(ended_at=None).count()
    if left:
        raise UserError(f"还有 {left} 件办件在该系统办理，请先办结或转由审批台办理")
    for grant in Grant.objects.filter(kind=queries.GRANT, grantee=row.party, state=Grant.ACTIVE):
        grants.revoke(grant, reason=f"系统停用：{reason.strip()}", by=by)
    row.closed_at, row.key = timezone.now(), ""
    row.save(update_fields=["closed_at", "key"])
    row.party.active = False
    row.party.save(update_fields=["active"])
    record("relay_system.closed", row, by=by, data={"reason": reason.strip()})


@action("relay.manage")
def allow_item(
    *, system: System, item: str, fields: Sequence[str], materials: Sequence[str], by: Actor
) -> Grant:
    """Give an item to a system, with the answers and materials that it needs for it; a new grant
    takes the place of the former one. Raises UserError where the item is not handed over."""
    row = _locked(system, by)
    found = items.find(item)
    if found is None or found.department != row.department.slug:
        raise UserError("只能选择本部门的事项")
    if "relay" not in found.path:
        raise UserError("这个事项的办理流程不转部门系统，请先在事项中选择“部门自建系统办理”")
    unknown = set(fields) - set(queries.fields_of(item)) | set(materials) - set(
        queries.materials_of(item)
    )
    if unknown:
        raise UserError(f"事项中没有：{'、'.join(sorted(unknown))}")
    for former in Grant.objects.filter(
        kind=queries.GRANT, grantee=row.party, state=Grant.ACTIVE, terms__item=item
    ):
        grants.revoke(former, reason="授权内容已调整", by=by)
    return grants.issue(
        kind=queries.GRANT,
        to=row.party,
        grantor=row.department,
        terms={
            "item": item,
            "fields": list(fields),
            "materials": list(materials),
            "purpose": f"由部门系统办理“{found.name}”",
        },
        by=by,
    )


@action("relay.manage")
def forbid_item(*, system: System, grant: Grant, reason: str, by: Actor) -> None:
    """Take an item back from a system: nothing more of it leaves from now on."""
    row = _locked(system, by)
    if grant.grantee_id != row.party_id or grant.kind != queries.GRANT:
        raise Denied("这不是该系统的授权")
    if not reason.strip():
        raise UserError("请写明收回的原因")
    grants.revoke(grant, reason=reason.strip(), by=by)


@action("relay.manage")
def test_system(*, system: System, by: Actor) -> tuple[bool, str]:
    """Try a system with a signed message that changes nothing; whether it took it, and a sentence."""
    row = _locked(system, by)
    body = b'{"kind":"test"}'
    try:
        adapters.call(queries.place(row), "POST", "/messages", f"test-{adapters.nonce()}", body)
        good, words = True, "连接成功，对方接受了签名"
    except adapters.WireError as wrong:
        good, words = False, str(wrong)
    if good:
        row.attempts, row.next_at, row.error, row.reached_at = 0, None, "", timezone.now()
        row.save(update_fields=["attempts", "next_at", "error", "reached_at"])
    record("relay_system.tested", row, by=by, data={"ok": good, "message": words})
    return good, words
