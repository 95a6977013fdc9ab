"""Arrangements: which rows are sent where, and when a transfer of them begins."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party, Resource

from ... import rules
from ...models import Flow, Link, Transfer
from ..outbox import this_node, wake

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event


def _owner(*, resource: Resource, **_: Any) -> Party:
    return resource.owner


def _owner_of_flow(*, flow: Flow, **_: Any) -> Party:
    return flow.resource.owner


@action("cascade.upload", department=_owner)
def arrange_upload(*, resource: Resource, link: Link, auto: bool, by: Actor) -> Flow:
    """Declare that a published dataset of ours is uploaded to an upper node."""
    if link.side != rules.UPPER or not link.enabled:
        raise UserError("只能向已启用的上级节点上传")
    if resource.state != Resource.PUBLISHED or resource.kind != Resource.DATASET:
        raise UserError("只有已发布的数据集可以上传")
    if resource.data.get("origin"):
        raise UserError("来自其他节点的数据不能再上传")
    flow, new = Flow.objects.get_or_create(
        link=link, resource=resource, grant=None, defaults={"auto": auto}
    )
    if not new:
        flow.auto = auto
        flow.save(update_fields=["auto"])
    record(
        "flow.opened" if new else "flow.changed",
        flow,
        by=by,
        data={"resource": resource.name, "auto": auto},
    )
    return flow


@action("cascade.upload", department=_owner_of_flow)
def stop_flow(*, flow: Flow, by: Actor) -> None:
    """Send no more by itself."""
    flow.auto = False
    flow.save(update_fields=["auto"])
    record("flow.changed", flow, by=by, data={"auto": False})


@action(None)
def send_flow(*, flow: Flow, whole: bool = False, by: Actor) -> Transfer:
    """Begin to send what the other node does not have of a dataset; one at a time for each arrangement.

    `whole`: everything, whatever it has.
    """
    row = (
        Flow.objects.select_for_update(of=("self",))
        .select_related("link", "resource__owner", "grant")
        .get(pk=flow.pk)
    )
    if not by.everything:
        by.require("cascade.upload", row.resource.owner)
    node = this_node()
    if node is None or not row.link.enabled:
        raise UserError("与该节点的连接未启用，不能传送")
    if row.grant is not None and not row.grant.in_force():
        raise UserError("授权已不在有效状态，不能传送")
    running = Transfer.objects.filter(
        link=row.link, resource=row.resource, grant=row.grant, sending=True
    ).exclude(stage__in=[Transfer.DONE, Transfer.FAILED])
    if other := running.first():
        raise UserError(f"上一次传送（{other.code}）尚未完成，请等待完成后再传送")
    made = Transfer.objects.create(
        code=f"{node.code}-{timezone.localtime():%Y%m%d%H%M%S}-{secrets.token_hex(4)}",
        link=row.link,
        kind=Transfer.RETURN if row.grant else Transfer.UPLOAD,
        sending=True,
        resource=row.resource,
        grant=row.grant,
        by_name=by.name,
        manifest={"whole": True} if whole else {},
    )
    record(
        "transfer.begun",
        made,
        by=by,
        data={"resource": row.resource.name, "to": row.link.code, "kind": made.kind},
    )
    wake("carry", made.code, code=made.code)
    return made


def on_batch_finished(event: Event) -> None:
    """A dataset has new rows: they are sent wherever that was arranged."""
    name = str(event.data.get("resource") or "")
    flows = Flow.objects.filter(resource__name=name, auto=True, link__enabled=True)
    for flow in flows.select_related("link", "resource__owner", "grant"):
        if flow.grant is not None and not flow.grant.in_force():
            continue
        try:
            send_flow(flow=flow, by=SYSTEM)
        except UserError:
            # One is under way: what has changed meanwhile goes with the next, soon after it.
            wake("send", str(flow.pk), seconds=60, flow=flow.pk)


def send_due(flow: int) -> None:
    """Send an arrangement's rows, or come back where one is still under way."""
    found = Flow.objects.select_related("link", "resource__owner", "grant").filter(pk=flow).first()
    if found is None or not found.auto or not found.link.enabled:
        return
    if found.grant is not None and not found.grant.in_force():
        return
    try:
        send_flow(flow=found, by=SYSTEM)
    except UserError:
        wake("send", f"{flow}:later", seconds=60, flow=flow)
