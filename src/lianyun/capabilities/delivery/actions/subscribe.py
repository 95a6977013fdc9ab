"""Subscribing: where a grant's data are brought, tried before it is kept; stops, starts, dead letters."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Grant, Resource

from .. import adapters, queries, rules
from ..models import Delivery, Download, Subscription
from ..rules import ReceiverError
from .parcels import queue


def _checked(
    kind: str, location: str, options: Mapping[str, Any], *, vouched: bool = False
) -> dict[str, Any]:
    """Options that may be kept; raises UserError with what is wrong."""
    if kind not in rules.KINDS:
        raise UserError("请选择接收方式")
    kept = {k: v for k, v in options.items() if v not in ("", None)}
    if kept.get("table"):
        problem = rules.table_problem(str(kept["table"]))
        if problem:
            raise UserError(problem)
    if kind in rules.FILES and str(kept.get("format") or "csv") not in rules.FORMATS:
        raise UserError("文件格式应为 CSV 或 Parquet")
    if kind != rules.PULL and not location.strip():
        raise UserError("请填写接收地址")
    try:
        if kind not in (rules.PULL, rules.FOLDER):
            rules.split_location(location, vouched=vouched)
    except ReceiverError as error:
        raise UserError(str(error)) from error
    return kept


def _own_folder(grant: Grant, kind: str, location: str) -> None:
    """Refuse a folder of the outbox that another department reads or writes; raises UserError."""
    if kind != rules.FOLDER:
        return
    others = Subscription.objects.filter(kind=rules.FOLDER).exclude(grant__grantee=grant.grantee)
    if any(rules.inside(location.strip(), x) for x in others.values_list("location", flat=True)):
        raise UserError("该文件夹已由其他部门使用，请换一个")


@action("delivery.use")
def open_subscription(
    *,
    grant: Grant,
    kind: str,
    location: str = "",
    options: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str] | None = None,
    by: Actor,
    vouched: bool = False,
) -> Subscription:
    """Set up a receiver for a grant that allows batch exchange; its first parcel is everything.

    `vouched` is for the operator of the machine: the address is then not held against the list.
    Raises UserError where the grant does not allow it or something is missing.
    """
    by.require("delivery.use", grant.grantee)
    if not grant.in_force() or not queries.allows(grant, "feed"):
        raise UserError("该授权不允许批量交换，或已暂停、到期")
    if vouched and not by.everything:
        raise Denied("只有平台运维可以登记名单外的地址")
    kept = _checked(kind, location, options or {}, vouched=vouched)
    _own_folder(grant, kind, location)
    row = Subscription.objects.create(
        code=f"DY-{timezone.localdate():%Y%m%d}-{secrets.token_hex(4)}",
        grant=grant,
        kind=kind,
        location=location.strip(),
        options=kept,
        secret=adapters.sealed(credentials or {}),
        salt=adapters.sealed_salt(secrets.token_hex(16)),
        vouched=vouched,
    )
    record(
        "subscription.opened",
        row,
        by=by,
        case=grant.case_id,
        data={"grant": grant.code, "kind": kind, "location": row.where},
    )
    if kind != rules.PULL:
        queue(row.code)
    return row


@action("delivery.use")
def change_subscription(
    *,
    row: Subscription,
    kind: str,
    location: str,
    options: Mapping[str, Any],
    credentials: Mapping[str, str],
    by: Actor,
) -> Subscription:
    """Change where and how; empty credentials stay as they are. Another place gets everything anew."""
    by.require("delivery.use", row.grant.grantee)
    kept = _checked(kind, location, options)
    _own_folder(row.grant, kind, location)
    row = Subscription.objects.select_for_update(of=("self",)).get(pk=row.pk)
    moved = (row.kind, row.location, row.options.get("table")) != (
        kind,
        location.strip(),
        kept.get("table"),
    )
    row.kind, row.location, row.options = kind, location.strip(), kept
    if any(credentials.values()):
        held = {} if moved else _held(row)
        row.secret = adapters.sealed({**held, **{k: v for k, v in credentials.items() if v}})
    elif moved:
        row.secret = ""  # a password is not carried to another address
    if moved:
        row.vouched = row.vouched and by.everything
        row.position, row.shape = "", ""
        row.deliveries.filter(finished_at=None).delete()
    row.attempts, row.next_at, row.error = 0, None, ""
    row.save()
    record(
        "subscription.changed",
        row,
        by=by,
        data={"kind": kind, "location": row.where, "moved": moved},
    )
    if kind != rules.PULL:
        queue(row.code)
    return row


def _held(row: Subscription) -> dict[str, str]:
    try:
        return adapters.unsealed(row.secret)
    except ReceiverError:
        return {}


@action("delivery.use")
def test_receiver(*, row: Subscription, by: Actor) -> dict[str, Any]:
    """Try the receiver: {ok, message, fingerprint}; a server key seen for the first time is shown."""
    by.require("delivery.use", row.grant.grantee)
    told: dict[str, Any] = {"ok": True, "message": "", "fingerprint": ""}
    try:
        if row.kind == rules.PULL:
            told["message"] = "接口拉取由接收方主动调用，凭证在“我的调用凭证”中领取"
        else:
            receiver = adapters.open_receiver(
                row.kind,
                row.location,
                row.options,
                adapters.unsealed(row.secret),
                vouched=row.vouched,
            )
            told["message"] = receiver.test()
    except ReceiverError as error:
        told |= {
            "ok": False,
            "message": str(error),
            "fingerprint": getattr(error, "fingerprint", ""),
        }
    record("subscription.tested", row, by=by, data={"ok": told["ok"]})
    return told


@action("delivery.use")
def pause_subscription(*, row: Subscription, paused: bool, by: Actor) -> None:
    """Stop taking for a while, or go on; what happened meanwhile comes as one net change."""
    by.require("delivery.use", row.grant.grantee)
    Subscription.objects.filter(pk=row.pk).update(paused=paused, attempts=0, next_at=None, error="")
    record("subscription.paused" if paused else "subscription.resumed", row, by=by)
    if not paused:
        queue(row.code)


@action("delivery.use")
def run_now(*, row: Subscription, by: Actor) -> bool:
    """Look at a subscription at once, whatever its pause; False where a worker has it already."""
    by.require("delivery.use", row.grant.grantee)
    Subscription.objects.filter(pk=row.pk).update(next_at=None)
    record("subscription.asked", row, by=by)
    return queue(row.code)


@action("delivery.use")
def ask_anew(*, row: Subscription, reason: str, by: Actor) -> None:
    """Have everything brought again, for instance after the receiver lost rows."""
    by.require("delivery.use", row.grant.grantee)
    if len(reason.strip()) < 2:
        raise UserError("请写明重新全量的原因")
    Subscription.objects.filter(pk=row.pk).update(anew=True, next_at=None, attempts=0, error="")
    record("subscription.anew", row, by=by, data={"reason": reason.strip()[:500]})
    queue(row.code)


@action("delivery.use")
def close_subscription(*, row: Subscription, reason: str, by: Actor) -> None:
    """End a subscription: the password of the receiver is forgotten, its history stays."""
    by.require("delivery.use", row.grant.grantee)
    if len(reason.strip()) < 2:
        raise UserError("请写明停用的原因")
    Subscription.objects.filter(pk=row.pk).update(paused=True, secret="")
    record("subscription.closed", row, by=by, data={"reason": reason.strip()[:500]})


# ---- dead letters --------------------------------------------------------------------------


def _dead(parcel: Delivery, by: Actor) -> Delivery:
    found = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("subscription__grant__grantee")
        .get(pk=parcel.pk)
    )
    if not queries.may_settle(by, found.subscription):
        raise Denied("只有接收部门和数据主管部门可以处理死信")
    if found.finished_at is not None or found.dead_at is None:
        raise UserError("该死信已处理")
    return found


@action("delivery.read")
def retry_dead(*, parcel: Delivery, by: Actor) -> None:
    """Try a dead letter again from where it stopped."""
    found = _dead(parcel, by)
    row = found.subscription
    Subscription.objects.filter(pk=row.pk).update(attempts=0, next_at=None, error="")
    if found.upto:
        found.dead_at = None
        found.save(update_fields=["dead_at"])
    else:
        found.delete()
    record("delivery.retried", row, by=by, data={"number": found.number})
    queue(row.code)


@action("delivery.read")
def skip_dead(*, parcel: Delivery, reason: str, by: Actor) -> None:
    """Leave a parcel out for good, with who decided so and why; the next change goes on after it."""
    if len(reason.strip()) < 5:
        raise UserError("请写明跳过的理由（不少于 5 个字）")
    found = _dead(parcel, by)
    row = found.subscription
    if not found.upto:
        raise UserError("还没有连上接收方，没有可以跳过的内容；请先排除连接问题再重试")
    if found.full:
        raise UserError("首次全量不能跳过；请排除问题后重试，或停用该订阅")
    found.finished_at, found.skipped_by = timezone.now(), by.name[:120]
    found.reason = reason.strip()[:500]
    found.save(update_fields=["finished_at", "skipped_by", "reason"])
    Subscription.objects.filter(pk=row.pk).update(
        position=found.upto, number=found.number, attempts=0, next_at=None, error=""
    )
    record(
        "delivery.skipped",
        row,
        by=by,
        case=row.grant.case_id,
        data={
            "number": found.number,
            "since": found.since,
            "upto": found.upto,
            "upserts": found.upserts,
            "deletes": found.deletes,
            "reason": found.reason,
        },
    )
    queue(row.code)


# ---- what others did -----------------------------------------------------------------------


def _grant_of(event: Event) -> Grant | None:
    return (
        Grant.objects.select_related("resource", "grantee")
        .filter(code=event.subject.removeprefix("grant:"))
        .first()
    )


def on_granted(event: Event) -> None:
    """A grant that allows batch exchange can be used at once: by pulling, until a receiver is set up."""
    grant = _grant_of(event)
    if grant is None or not queries.allows(grant, "feed"):
        return
    if not Subscription.objects.filter(grant=grant).exists():
        open_subscription(grant=grant, kind=rules.PULL, by=SYSTEM)
        services.issue_client(grant=grant, by=SYSTEM)


def on_resumed(event: Event) -> None:
    """A right goes on: what happened meanwhile is brought."""
    grant = _grant_of(event)
    if grant is not None:
        for row in Subscription.objects.filter(grant=grant).exclude(kind=rules.PULL):
            queue(row.code)


def on_stopped(event: Event) -> None:
    """A right ended or rests: no file may be fetched any more, and for good no password is kept."""
    grant = _grant_of(event)
    if grant is None:
        return
    for file in Download.objects.filter(grant=grant).exclude(expires_at=None):
        queries.path_of(file).unlink(missing_ok=True)
        Download.objects.filter(pk=file.pk).update(expires_at=timezone.now())
    if grant.state == Grant.REVOKED:
        Subscription.objects.filter(grant=grant).update(secret="")


def on_new_data(event: Event) -> None:
    """A dataset or library has changed: its receivers are brought up to date."""
    name = str(event.data.get("resource", ""))
    resource = Resource.objects.filter(name=name).first()
    if resource is None:
        return
    rows = Subscription.objects.filter(
        grant__resource=resource, grant__state=Grant.ACTIVE, paused=False
    )
    for row in rows.exclude(kind=rules.PULL):
        queue(row.code)
