"""Actions: open and refresh services, give out, change and close credentials."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import resource as resources
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Batch, Event, Grant, Resource

from . import adapters, queries, rules
from .models import Client, Service, Usage

OVERLAP_HOURS = 24
"""How long a former secret stays good after a rotation."""


@action(None)
def open_service(*, source: Resource, by: Actor) -> Service:
    """Publish a dataset or library by key and make its query service; again = refresh.

    Called by the action that delivers a grant, which has asked for the permission. Raises UserError
    where there is nothing to publish yet.
    """
    fields = queries.fields(by, source)
    key = queries.key_of(by, source)
    lookups = rules.lookups_of(key, fields)
    if not lookups:
        raise UserError(f"“{source.title}”没有声明主键，无法生成查询服务")
    published = adapters.publish(source.kind, source.name, [f.name for f in fields], lookups)
    made, _ = resources.register(
        code=f"SV/{source.code}"[:80],
        name=f"{source.name}_query"[:63],
        kind=Resource.SERVICE,
        title=f"{source.title}查询服务",
        owner=source.owner,
        level=source.level,
        terms=source.terms,
        data={"source": source.ref, "lookups": lookups},
    )
    columns = [vars(f) for f in fields if f.name in published.columns]
    service, _ = Service.objects.update_or_create(
        source=source,
        defaults={
            "resource": made,
            "table": published.table,
            "lookups": [way for way in lookups if set(way) <= set(published.columns)],
            "columns": columns,
            "rows": published.rows,
            "published_at": timezone.now(),
        },
    )
    snapshot = {"columns": columns, "lookups": lookups}
    last = made.versions.order_by("-number").first()
    if last is None or last.snapshot != snapshot:
        resources.publish(made, snapshot, by=by)
    catalogue.register_lineage(
        origin=made.ref,
        edges=[(source.ref, source.title, made.ref, made.title, "按关键字查询")],
        by=by,
    )
    record("service.published", made, by=by, data={"source": source.ref, "rows": published.rows})
    return service


@action("services.manage")
def refresh_service(*, service: Service, by: Actor) -> Service:
    """Publish a service's data anew by hand."""
    return open_service(source=service.source, by=by)


def on_batch_finished(event: Event) -> None:
    """A dataset has new rows: bring its service's table up to date. A second call changes nothing."""
    batch = Batch.objects.filter(code=event.subject.removeprefix("batch:")).first()
    if batch is not None and not any(
        batch.outcome.get(k, 1) for k in ("inserted", "updated", "deleted")
    ):
        return
    _refresh(str(event.data.get("resource", "")))


def on_library_built(event: Event) -> None:
    """A library was merged anew: bring its service's table up to date."""
    _refresh(str(event.data.get("resource", "")))


def _refresh(name: str) -> None:
    service = Service.objects.select_related("source").filter(source__name=name).first()
    if service is not None:
        open_service(source=service.source, by=SYSTEM)


@action(None)
def issue_client(*, grant: Grant, by: Actor) -> Client:
    """Make the credential of a grant; its secret comes into being when the grantee collects it."""
    client, new = Client.objects.get_or_create(
        grant=grant, defaults={"client_id": rules.new_client_id()}
    )
    if new:
        record("client.issued", client, by=by, case=grant.case_id, data={"grant": grant.code})
    else:
        record("client.confirmed", client, by=by, data={"grant": grant.code})
    return client


def _locked(client: Client, by: Actor) -> Client:
    row = (
        Client.objects.select_for_update(of=("self",))
        .select_related("grant__grantee")
        .get(pk=client.pk)
    )
    by.require("services.use", row.grant.grantee)
    if row.closed_at is not None:
        raise UserError("凭证已注销")
    return row


@action("services.use")
def collect_secret(*, client: Client, by: Actor) -> str:
    """Hand the secret over, once, to the department that holds the grant: `client_id.secret`."""
    row = _locked(client, by)
    if row.collected_at is not None:
        raise UserError("密钥只显示一次，已经领取过；如已遗失，请更换密钥")
    if not row.grant.in_force():
        raise UserError("授权已不在有效状态，不能领取密钥")
    secret = rules.new_secret()
    row.secret_hash, row.collected_at = rules.secret_hash(secret), timezone.now()
    row.save(update_fields=["secret_hash", "collected_at"])
    record("client.collected", row, by=by, case=row.grant.case_id, data={"grant": row.grant.code})
    return f"{row.client_id}.{secret}"


@action("services.use")
def rotate_secret(*, client: Client, by: Actor, overlap_hours: int = OVERLAP_HOURS) -> str:
    """A new secret, shown once; the former one stays good for `overlap_hours` (0 to 168)."""
    if not 0 <= overlap_hours <= 168:
        raise UserError("新旧密钥并用时间应在 0 至 168 小时之间")
    row = _locked(client, by)
    if row.collected_at is None:
        raise UserError("密钥尚未领取，无需更换")
    secret = rules.new_secret()
    row.former_hash = row.secret_hash
    row.former_until = timezone.now() + dt.timedelta(hours=overlap_hours)
    row.secret_hash, row.rotated_at = rules.secret_hash(secret), timezone.now()
    row.save(update_fields=["former_hash", "former_until", "secret_hash", "rotated_at"])
    record("client.rotated", row, by=by, data={"overlap_hours": overlap_hours})
    return f"{row.client_id}.{secret}"


@action("services.use")
def close_client(*, client: Client, reason: str, by: Actor) -> None:
    """End a credential for good, for instance when its secret has leaked."""
    row = _locked(client, by)
    if not reason.strip():
        raise UserError("注销凭证须写明原因")
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    record("client.closed", row, by=by, data={"reason": reason})


def tell_uses() -> None:
    """Tell collection how often each dataset was called, so that a dead one can be named."""
    for row in Usage.objects.exclude(used=F("told")).select_related("grant__resource"):
        with transaction.atomic():
            locked = Usage.objects.select_for_update(of=("self",)).get(pk=row.pk)
            more = locked.used - locked.told
            if more > 0 and row.grant.resource is not None:
                collection.note_use(row.grant.resource.name, "service", more)
                Usage.objects.filter(pk=row.pk).update(told=F("told") + more)
