"""Receiving: rows are announced, arrive in chunks, and land as an ordinary batch, once.

Changes are taken only by a dataset that stands exactly where they begin; else everything is asked for.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Batch, Grant, Resource
from lianyun.lake import land

from ... import rules
from ...adapters import rows
from ...models import Ask, Link, Mirror, Transfer
from .. import requests
from ..outbox import post, wake
from .ending import fail_transfer, note_landed

if TYPE_CHECKING:
    import pyarrow as pa

    from lianyun.kernel.access import Actor

log = logging.getLogger("lianyun.cascade")


class Elsewhere(UserError):
    """The rows begin where the dataset does not stand."""

    def __init__(self) -> None:
        super().__init__(rules.ERRORS["position"])


# ---- announced ---------------------------------------------------------------------------


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
        # An earlier one that broke off is overtaken: its chunks will never come.
        for old in Transfer.objects.filter(
            link=link, resource=resource, grant=grant, sending=False, stage=Transfer.MOVING
        ):
            fail_transfer(old, "被同一数据后来的传送取代")
        landing = Transfer.objects.filter(
            link=link, resource=resource, grant=grant, sending=False, stage=Transfer.LANDING
        )
        if manifest["since"] and not landing.exists():
            _stand(resource, grant, link, manifest)
    except UserError as refused:
        _tell_refusal(link, code, refused)
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


def _tell_refusal(link: Link, code: str, refused: UserError) -> None:
    body = {"transfer": code, "reason": str(refused)[:500]}
    if isinstance(refused, Elsewhere):
        body["code"] = "position"
    post(link, "transfer.refused", f"transfer:{code}", body)


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
        granted = {*(ask.grant.terms.get("fields") or ()), rules.ROW_KEY}
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
            "gone": bool(c.get("gone")),
        }
        for c in body["chunks"]
    ]
    good = all(
        c["n"] == at
        and c["rows"] > 0
        and 0 < c["bytes"] <= rules.MOST_CHUNK_BYTES
        and len(str(c["sha256"])) == 64
        for at, c in enumerate(chunks)
    )
    told = {
        "columns": [str(c) for c in body["columns"]],
        "key": [str(c) for c in body.get("key") or ()],
        "since": str(body.get("since") or ""),
        "upto": str(body.get("upto") or ""),
        "rows": int(body["rows"]),
        "gone": int(body.get("gone") or 0),
        "bytes": sum(int(c["bytes"]) for c in chunks),
        "chunks": chunks,
        "area": str(body.get("area") or ""),
    }
    counts = {gone: sum(c["rows"] for c in chunks if c["gone"] is gone) for gone in (False, True)}
    if not good or counts != {False: told["rows"], True: told["gone"]}:
        raise UserError("传送清单有误：块号、大小或行数不符")
    if told["gone"] and not (told["since"] and told["key"]):
        raise UserError("传送清单有误：只有变更传送才能删除行，且须给出主键")
    return told


def _stand(resource: Resource, grant: Grant | None, link: Link, manifest: dict[str, Any]) -> None:
    """Raises Elsewhere where the dataset does not stand where these changes begin.

    It stands where the last transfer that landed brought it, as long as no other batch has changed
    it since, and its rows are told apart by the same key.
    """
    landed = Transfer.objects.filter(
        link=link, resource=resource, grant=grant, sending=False, stage=Transfer.DONE
    ).order_by("-id")
    last = landed.first()
    loaded = landed.exclude(batch="").first()
    newest = Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED).order_by("-id").first()
    if (
        last is None
        or loaded is None
        or newest is None
        or newest.code != loaded.batch
        or last.manifest.get("upto") != manifest["since"]
        or sorted(collection.dataset_spec(resource).key) != sorted(manifest["key"])
    ):
        raise Elsewhere


# ---- chunks ------------------------------------------------------------------------------


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


# ---- landing -----------------------------------------------------------------------------


@action(None)
def _begin_landing(*, transfer: Transfer, by: Actor) -> Batch:
    """Open the batch of a transfer and tie it to it, in one transaction."""
    row = Transfer.objects.select_for_update().get(pk=transfer.pk)
    batch = collection.begin_file(
        dataset=transfer.resource.name,
        label=f"cascade:{transfer.code}",
        mode="incremental" if transfer.manifest.get("since") else "full",
        by=by,
    )
    row.batch = transfer.batch = batch.code
    row.save(update_fields=["batch"])
    return batch


def land_transfer(code: str) -> None:
    """Load what has arrived as an ordinary batch and tell the sender the verdict.

    Safe to call again after a kill: a batch that had committed is only told, one that died is begun
    anew, and rows are merged by key, so the effect is once. What arrived earlier lands earlier.
    """
    transfer = (
        Transfer.objects.select_related("link__party", "resource__owner", "grant")
        .filter(code=code, sending=False, stage=Transfer.LANDING)
        .first()
    )
    if transfer is None:
        return
    earlier = Transfer.objects.filter(
        resource=transfer.resource, sending=False, stage=Transfer.LANDING, pk__lt=transfer.pk
    )
    if earlier.exists():
        wake("land", str(earlier.earliest("pk").code), code=earlier.earliest("pk").code)
        wake("land", f"{code}:later", seconds=2, code=code)
        return
    if transfer.grant is not None and transfer.grant.state != Grant.ACTIVE:
        _refuse(transfer, UserError(f"授权当前为“{transfer.grant.get_state_display()}”，未入湖"))
        return
    batch = Batch.objects.select_related("resource__owner").filter(code=transfer.batch).first()
    if batch is not None and batch.state == Batch.FAILED:
        if not _died(batch):
            _refuse(transfer, UserError(batch.message))
            return
        batch = None
    changes = bool(transfer.manifest.get("since"))
    if batch is None:
        try:
            if changes:
                _stand(transfer.resource, transfer.grant, transfer.link, transfer.manifest)
        except Elsewhere as elsewhere:
            _refuse(transfer, elsewhere)
            return
        if changes and not transfer.chunks:
            # Nothing changed that this node may see: only the position moves.
            _landed(transfer, None)
            return
        batch = _begin_landing(transfer=transfer, by=SYSTEM)
    coming = [c["n"] for c in transfer.chunks if not c.get("gone")]
    leaving = [c["n"] for c in transfer.chunks if c.get("gone")]
    columns, key = list(transfer.manifest["columns"]), list(transfer.manifest.get("key") or ())

    def source() -> land.Source:
        if not coming:
            return land.from_rows(columns, [])
        return land.open_file(rows.joined(code, coming))

    def gone() -> pa.Table | None:
        return rows.gone_keys(code, leaving, key) if leaving else None

    done = collection.carry(batch, source, by=SYSTEM, allow_shrink=True, gone=gone)
    if done.state == Batch.FAILED:
        _refuse(transfer, UserError(done.message))
        return
    if done.state == Batch.SUCCEEDED:
        _landed(transfer, done)


def _died(batch: Batch) -> bool:
    """Whether a batch failed because its process was gone, not because of its rows."""
    return "进程中断" in batch.message


def _refuse(transfer: Transfer, reason: UserError) -> None:
    with transaction.atomic():
        _tell_refusal(transfer.link, transfer.code, reason)
        fail_transfer(transfer, str(reason))


def _landed(transfer: Transfer, batch: Batch | None) -> None:
    verdict: dict[str, Any] = dict.fromkeys(
        ("landed", "accepted", "rejected", "inserted", "updated", "deleted"), 0
    )
    verdict["rejects"] = []
    if batch is not None:
        told = (
            collection.rejected(batch, SYSTEM, limit=rules.REJECTS_TOLD) if batch.rejected else []
        )
        verdict |= collection.figures(batch)
        verdict["rejects"] = [
            {"line": r.line, "reasons": r.reasons, "values": r.values, "text": r.text} for r in told
        ]
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
        note_landed(transfer, _record_coming(transfer) if batch is not None else "")
        record(
            "transfer.finished",
            transfer,
            by=SYSTEM,
            data={k: verdict[k] for k in ("landed", "accepted", "rejected")},
        )
    rows.drop(transfer.code, False)
    ask = Ask.objects.select_related("grant", "target").filter(target=transfer.resource).first()
    if ask is not None and batch is not None:
        problem = requests.open_service(ask)
        if problem:
            log.info("no service for %s: %s", transfer.resource.name, problem)


def _record_coming(transfer: Transfer) -> str:
    """The receiver's own record of the exchange, with the digest of what came."""
    manifest = transfer.manifest
    count = int(manifest.get("rows") or 0) + int(manifest.get("gone") or 0)
    seconds = (timezone.now() - transfer.began_at).total_seconds()
    return audit.record_exchange(
        channel="cascade",
        grant_code=transfer.grant.code if transfer.grant else "",
        resource=transfer.resource.name,
        operation="feed",
        version=0,
        by=SYSTEM,
        purpose=f"级联{transfer.get_kind_display()}：{transfer.link.name}",
        case_code=transfer.code,
        request=transfer.code.encode(),
        response_digest=hashlib.sha256(rules.canonical(manifest)).digest(),
        rows=count,
        micros=int(seconds * 1_000_000),
        outcome="ok" if count else "empty",
    )


__all__ = ["land_transfer", "missing_chunks", "receive_chunk", "take_opening"]
