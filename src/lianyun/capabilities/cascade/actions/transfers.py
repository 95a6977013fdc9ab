"""Transfer actions: rows go up as declared uploads and come down under grants, in chunks, landed like any batch."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Batch, Grant, Party, Resource
from lianyun.lake import land

from .. import rules
from ..adapters import rows, wire
from ..models import Ask, Flow, Link, Mirror, Transfer
from . import requests
from .doors import caller_for, reserve_stamp
from .outbox import note_crossing, post, this_node, wake

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event

log = logging.getLogger("lianyun.cascade")
OPEN = (Transfer.PREPARING, Transfer.MOVING)


# ---- arrangements ------------------------------------------------------------------------


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
def send_flow(*, flow: Flow, by: Actor) -> Transfer:
    """Begin to send a dataset's rows as they now stand; one at a time for each arrangement."""
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
            # One is under way: what has changed meanwhile goes with the next.
            wake("send", str(flow.pk), seconds=60, flow=flow.pk)


# ---- the sending side --------------------------------------------------------------------


def _cut(transfer: Transfer) -> rows.Cut:
    """Exactly what may leave. What a grant does not name, or lies in another area, is not read."""
    resource, grant = transfer.resource, transfer.grant
    items = collection.content(resource).get("items") or []
    if grant is None:
        have = rows.columns_of(resource.name)
        return rows.Cut(tuple(i["name"] for i in items if i["name"] in have), {}, None, {})
    column = rules.area_column(items)
    if not column:
        raise UserError("该数据没有行政区划数据项，无法限定为下级辖区，不能回流")
    terms = grant.terms
    return rows.Cut(
        columns=tuple(terms["fields"]),
        masks={k: v for k, v in (terms.get("masks") or {}).items() if v},
        area=(column, rules.area_prefix(transfer.link.code)),
        scope={k: tuple(v) for k, v in (terms.get("scope") or {}).items()},
    )


def _prepare(transfer: Transfer) -> None:
    """Write the chunks and tell the other node what is to come."""
    cut = _cut(transfer)
    chunks = rows.write_chunks(transfer.code, transfer.resource.name, cut)
    manifest = {
        "columns": list(cut.columns),
        "rows": sum(c["rows"] for c in chunks),
        "bytes": sum(c["bytes"] for c in chunks),
        "chunks": chunks,
        "area": cut.area[1] if cut.area else "",
    }
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage != Transfer.PREPARING:
            transfer.refresh_from_db()
            return
        row.manifest, row.stage = manifest, Transfer.MOVING
        row.save(update_fields=["manifest", "stage"])
        body: dict[str, Any] = {
            "transfer": row.code,
            "kind": row.kind,
            "dataset": row.resource.code,
            **manifest,
        }
        if transfer.grant is not None:
            body["grant"] = transfer.grant.code
        post(transfer.link, "transfer.opened", f"transfer:{row.code}", body)
    transfer.refresh_from_db()


def fail_transfer(transfer: Transfer, error: str) -> None:
    """End a transfer with the reason; its files go."""
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage in (Transfer.DONE, Transfer.FAILED):
            return
        row.stage, row.error, row.ended_at = Transfer.FAILED, error[:500], timezone.now()
        row.save(update_fields=["stage", "error", "ended_at"])
        record("transfer.failed", row, by=SYSTEM, data={"error": row.error})
    rows.drop(transfer.code, transfer.sending)


def carry_transfer(code: str) -> None:
    """Send what the other node does not have yet; safe to call again after whatever broke it off."""
    transfer = (
        Transfer.objects.select_related("link__own_key", "resource__owner", "grant")
        .filter(code=code, sending=True, stage__in=OPEN)
        .first()
    )
    if transfer is None or not transfer.link.enabled:
        return
    if transfer.grant is not None and not transfer.grant.in_force():
        fail_transfer(transfer, "授权已暂停、撤回或到期，停止传送")
        return
    try:
        if transfer.stage == Transfer.PREPARING:
            _prepare(transfer)
    except UserError as error:
        fail_transfer(transfer, str(error))
        return
    try:
        _push(transfer)
    except UserError as error:
        fail_transfer(transfer, str(error))
    except wire.WireError as error:
        if error.code == "unknown_transfer":
            # The announcement is not there yet, or the other node has refused it: talk first.
            wake("converse", transfer.link.code, link=transfer.link.code)
            wake("carry", f"{code}:later", seconds=5, code=code)
            return
        Transfer.objects.filter(pk=transfer.pk).update(error=str(error)[:500])
        wake("carry", f"{code}:later", seconds=rules.wait_seconds(2), code=code)


def _push(transfer: Transfer) -> None:
    link = transfer.link
    caller = caller_for(link, timeout=60.0)

    def ask(method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        return wire.call(caller, method, path, body, reserve_stamp(link))

    told = ask("GET", f"transfers/{transfer.code}")
    missing = [int(n) for n in told["missing"]]
    total = len(transfer.chunks)
    for sent, number in enumerate(missing):
        if transfer.grant is not None:
            transfer.grant.refresh_from_db()
            if not transfer.grant.in_force():
                raise UserError("授权已暂停、撤回或到期，停止传送")
        Transfer.objects.filter(pk=transfer.pk).update(done=total - len(missing) + sent, error="")
        ask(
            "PUT",
            f"transfers/{transfer.code}/chunks/{number}",
            rows.read_chunk(transfer.code, number),
        )
    Transfer.objects.filter(pk=transfer.pk, stage=Transfer.MOVING).update(
        done=total, stage=Transfer.LANDING, error=""
    )


def take_verdict(link: Link, body: dict[str, Any]) -> None:
    """The other node landed our rows: landed = accepted + rejected, and why rows were rejected."""
    transfer = _own(link, str(body["transfer"]), sending=True)
    landed, accepted, rejected = (int(body[k]) for k in ("landed", "accepted", "rejected"))
    if landed != accepted + rejected:
        raise UserError("对方的入湖结果不平：到达数不等于接收数加拒收数")
    if transfer.stage == Transfer.DONE:
        return
    transfer.verdict = {
        k: body.get(k)
        for k in (
            "batch",
            "landed",
            "accepted",
            "rejected",
            "inserted",
            "updated",
            "deleted",
            "rejects",
        )
    }
    transfer.stage, transfer.done, transfer.ended_at = (
        Transfer.DONE,
        len(transfer.chunks),
        timezone.now(),
    )
    transfer.error = ""
    transfer.save()
    _on_record(transfer)
    record(
        "transfer.finished",
        transfer,
        by=SYSTEM,
        data={"landed": landed, "accepted": accepted, "rejected": rejected},
    )
    rows.drop(transfer.code, True)


def take_refusal(link: Link, body: dict[str, Any]) -> None:
    """The other node does not take this transfer, or could not land it."""
    fail_transfer(
        _own(link, str(body["transfer"]), sending=True), f"对方：{body.get('reason', '')}"
    )


def _own(link: Link, code: str, *, sending: bool) -> Transfer:
    found = (
        Transfer.objects.select_related("resource", "grant", "link")
        .filter(link=link, code=code, sending=sending)
        .first()
    )
    if found is None:
        raise UserError(f"没有编号为 {code} 的传送")
    return found


def _on_record(transfer: Transfer) -> None:
    """Both nodes keep the same crossing, and an exchange record that can be proven."""
    manifest = rules.canonical(transfer.manifest)
    seconds = (timezone.now() - transfer.began_at).total_seconds()
    count = int(transfer.manifest.get("rows") or 0)
    number = audit.record_exchange(
        channel="cascade",
        grant_code=transfer.grant.code if transfer.grant else "",
        resource=transfer.resource.name,
        operation="feed",
        version=0,
        by=SYSTEM,
        purpose=f"级联{transfer.get_kind_display()}：{transfer.link.name}",
        case_code=transfer.code,
        request=transfer.code.encode(),
        response_digest=hashlib.sha256(manifest).digest(),
        rows=count,
        micros=int(seconds * 1_000_000),
        outcome="ok" if count else "empty",
    )
    note_crossing(
        transfer.link,
        transfer.code,
        transfer.get_kind_display(),
        transfer.resource.title,
        sending=transfer.sending,
        rows=count,
        record=number,
    )


# ---- the receiving side ------------------------------------------------------------------


def take_opening(link: Link, body: dict[str, Any]) -> None:
    """Rows are announced: taken where they belong to an entry or a grant of this link, else refused."""
    code, kind = str(body["transfer"]), str(body["kind"])
    if not rules.good_transfer(code, link.code):
        raise UserError("传送编号不合规范")
    if Transfer.objects.filter(code=code).exists():
        return
    try:
        resource, grant = _place(link, kind, body)
        manifest = _checked_manifest(body)
    except UserError as refused:
        post(
            link,
            "transfer.refused",
            f"transfer:{code}",
            {"transfer": code, "reason": str(refused)},
        )
        record("transfer.refused", link, by=SYSTEM, data={"transfer": code, "reason": str(refused)})
        return
    made = Transfer.objects.create(
        code=code,
        link=link,
        kind=kind,
        sending=False,
        resource=resource,
        grant=grant,
        manifest=manifest,
        stage=Transfer.MOVING if manifest["chunks"] else Transfer.LANDING,
        by_name=link.name,
    )
    record(
        "transfer.begun",
        made,
        by=SYSTEM,
        data={"resource": resource.name, "from": link.code, "kind": kind},
    )
    if not manifest["chunks"]:
        wake("land", code, code=code)


def _place(link: Link, kind: str, body: dict[str, Any]) -> tuple[Resource, Grant | None]:
    """The dataset that takes these rows; raises UserError where there is none of this link's."""
    if kind == Transfer.UPLOAD and link.side == rules.LOWER:
        mirror = Mirror.objects.filter(link=link, code=str(body["dataset"])).first()
        if mirror is None or mirror.resource is None or mirror.withdrawn:
            raise UserError("上级目录中没有收录该数据，请先发布目录并由上级处理冲突")
        return mirror.resource, None
    if kind == Transfer.RETURN and link.side == rules.UPPER:
        ask = (
            Ask.objects.select_related("grant", "target")
            .filter(link=link, told__grant=str(body.get("grant") or ""))
            .first()
        )
        if ask is None or ask.grant is None or ask.target is None:
            raise UserError("没有对应的授权")
        if ask.grant.state != Grant.ACTIVE:
            raise UserError(f"授权当前为“{ask.grant.get_state_display()}”，不接收")
        granted = set(ask.grant.terms.get("fields") or ())
        if extra := set(body["columns"]) - granted:
            raise UserError(f"包含授权之外的数据项：{'、'.join(sorted(extra))}")
        return ask.target, ask.grant
    raise UserError("传送方向不符合两个节点的上下级关系")


def _checked_manifest(body: dict[str, Any]) -> dict[str, Any]:
    chunks: list[dict[str, Any]] = [
        {
            "n": int(c["n"]),
            "rows": int(c["rows"]),
            "bytes": int(c["bytes"]),
            "sha256": str(c["sha256"]),
        }
        for c in body["chunks"]
    ]
    good = all(
        c["n"] == at and 0 < c["bytes"] <= rules.MOST_CHUNK_BYTES and len(str(c["sha256"])) == 64
        for at, c in enumerate(chunks)
    )
    if not good or sum(int(c["rows"]) for c in chunks) != int(body["rows"]):
        raise UserError("传送清单有误：块号、大小或行数不符")
    return {
        "columns": [str(c) for c in body["columns"]],
        "rows": int(body["rows"]),
        "bytes": sum(int(c["bytes"]) for c in chunks),
        "chunks": chunks,
        "area": str(body.get("area") or ""),
    }


def missing_chunks(link: Link, code: str) -> dict[str, Any] | None:
    """What of a transfer has not arrived yet; None where this link has no such transfer."""
    found = Transfer.objects.filter(link=link, code=code, sending=False).first()
    if found is None:
        return None
    if found.stage != Transfer.MOVING:
        return {"stage": found.stage, "missing": []}
    have = rows.have_chunks(code)
    missing = [n for n in range(len(found.chunks)) if n not in have]
    return {"stage": found.stage, "missing": missing}


def receive_chunk(link: Link, code: str, number: int, body: bytes) -> str:
    """Keep one chunk; returns the protocol's word for what is wrong, or "". Again changes nothing."""
    found = Transfer.objects.filter(link=link, code=code, sending=False).first()
    if found is None:
        return "unknown_transfer"
    if found.stage != Transfer.MOVING:
        return ""
    if not 0 <= number < len(found.chunks):
        return "malformed"
    listed = found.chunks[number]
    if len(body) != listed["bytes"] or rules.digest(body) != listed["sha256"]:
        return "bad_chunk"
    rows.keep_chunk(code, number, body)
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=found.pk)
        have = rows.have_chunks(code)
        row.done = len(have)
        whole = row.stage == Transfer.MOVING and row.done == len(row.chunks)
        if whole:
            row.stage = Transfer.LANDING
        row.save(update_fields=["done", "stage"])
        if whole:
            wake("land", code, code=code)
    return ""


@action(None)
def _begin_landing(*, transfer: Transfer, by: Actor) -> Batch:
    """Open the batch of a transfer and tie it to it, in one transaction."""
    row = Transfer.objects.select_for_update().get(pk=transfer.pk)
    batch = collection.begin_file(
        dataset=transfer.resource.name,
        label=f"cascade:{transfer.code}",
        mode="full",
        by=by,
    )
    row.batch = transfer.batch = batch.code
    row.save(update_fields=["batch"])
    return batch


def land_transfer(code: str) -> None:
    """Load what has arrived as an ordinary batch and tell the sender the verdict.

    Safe to call again after a kill: a batch that had committed is only told, one that died is begun
    anew, and rows are merged by key, so the effect is once.
    """
    transfer = (
        Transfer.objects.select_related("link__party", "resource__owner", "grant")
        .filter(code=code, sending=False, stage=Transfer.LANDING)
        .first()
    )
    if transfer is None:
        return
    if transfer.grant is not None and transfer.grant.state != Grant.ACTIVE:
        _refuse(transfer, f"授权当前为“{transfer.grant.get_state_display()}”，未入湖")
        return
    batch = Batch.objects.select_related("resource__owner").filter(code=transfer.batch).first()
    if batch is not None and batch.state == Batch.FAILED:
        if not _died(batch):
            _refuse(transfer, batch.message)
            return
        batch = None
    if batch is None:
        batch = _begin_landing(transfer=transfer, by=SYSTEM)
    count = len(transfer.chunks)
    columns = list(transfer.manifest["columns"])

    def source() -> land.Source:
        if not count:
            return land.from_rows(columns, [])
        return land.open_file(rows.joined(code, count))

    done = collection.carry(batch, source, by=SYSTEM, allow_shrink=True)
    if done.state == Batch.FAILED:
        _refuse(transfer, done.message)
        return
    if done.state == Batch.SUCCEEDED:
        _landed(transfer, done)


def _died(batch: Batch) -> bool:
    """Whether a batch failed because its process was gone, not because of its rows."""
    return "进程中断" in batch.message


def _refuse(transfer: Transfer, reason: str) -> None:
    with transaction.atomic():
        post(
            transfer.link,
            "transfer.refused",
            f"transfer:{transfer.code}",
            {"transfer": transfer.code, "reason": reason[:500]},
        )
        fail_transfer(transfer, reason)


def _landed(transfer: Transfer, batch: Batch) -> None:
    told = collection.rejected(batch, SYSTEM, limit=rules.REJECTS_TOLD) if batch.rejected else []
    verdict = {
        **collection.figures(batch),
        "rejects": [
            {"line": r.line, "reasons": r.reasons, "values": r.values, "text": r.text} for r in told
        ],
    }
    verdict = json.loads(json.dumps(verdict, default=str))
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage == Transfer.DONE:
            return
        row.stage, row.verdict, row.ended_at = Transfer.DONE, verdict, timezone.now()
        row.error = ""
        row.save()
        # What the sender's rows hold goes back to the sender alone; a return's rows are its own.
        post(
            transfer.link,
            "transfer.landed",
            f"transfer:{transfer.code}",
            {"transfer": transfer.code, **verdict},
        )
        _on_record(transfer)
        record(
            "transfer.finished",
            transfer,
            by=SYSTEM,
            data={k: verdict[k] for k in ("landed", "accepted", "rejected")},
        )
    rows.drop(transfer.code, False)
    ask = Ask.objects.select_related("grant", "target").filter(target=transfer.resource).first()
    if ask is not None:
        problem = requests.open_service(ask)
        if problem:
            log.info("no service for %s: %s", transfer.resource.name, problem)


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


__all__ = [
    "arrange_upload",
    "carry_transfer",
    "fail_transfer",
    "land_transfer",
    "missing_chunks",
    "on_batch_finished",
    "receive_chunk",
    "send_due",
    "send_flow",
    "stop_flow",
    "take_opening",
    "take_refusal",
    "take_verdict",
]
