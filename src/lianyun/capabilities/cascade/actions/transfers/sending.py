"""Sending: what the other node does not have is cut, told, pushed in chunks, and its verdict taken.

The position to which a receiver has been brought is what the last transfer that it landed says
(`upto`); the next one holds the changes since. Rows that leave what a receiver may see, its area
included, are deletions for it.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.event import record
from lianyun.lake.portion import Portion, Taken

from ... import rules
from ...adapters import rows, wire
from ...models import Flow, Link, Transfer
from ..doors import caller_for, reserve_stamp
from ..outbox import post, wake
from . import flows
from .ending import fail_transfer, note_landed, transfer_of

log = logging.getLogger("lianyun.cascade")
OPEN = (Transfer.PREPARING, Transfer.MOVING)
WHOLE, CHANGES = "transfer.opened", "changes.opened"
_TOLD = ("batch", "landed", "accepted", "rejected", "inserted", "updated", "deleted", "rejects")


def portion_of(transfer: Transfer) -> Portion:
    """Exactly what may leave. What a grant does not name, or lies in another area, is not read."""
    resource, grant = transfer.resource, transfer.grant
    items = collection.content(resource).get("items") or []
    people = tuple(i["name"] for i in items if i.get("check") == "citizen_number")
    if grant is None:
        have = rows.columns_of(resource.name)
        return Portion(
            resource.name, tuple(i["name"] for i in items if i["name"] in have), people=people
        )
    column = rules.area_column(items)
    if not column:
        raise UserError("该数据没有行政区划数据项，无法限定为下级辖区，不能回流")
    terms = grant.terms
    return Portion(
        resource.name,
        tuple(terms["fields"]),
        masks={k: v for k, v in (terms.get("masks") or {}).items() if v and v != "none"},
        scope={k: tuple(v) for k, v in (terms.get("scope") or {}).items()},
        people=people,
        secret=grant.code,
        within={column: rules.area_prefix(transfer.link.code)},
    )


def _position(transfer: Transfer) -> tuple[str, str]:
    """Up to which batch the other node has these rows, and in which shape."""
    if transfer.manifest.get("whole"):
        return "", ""
    last = (
        Transfer.objects.filter(
            link=transfer.link,
            resource=transfer.resource,
            grant=transfer.grant,
            sending=True,
            stage=Transfer.DONE,
        )
        .order_by("-id")
        .first()
    )
    told = last.manifest if last else {}
    return str(told.get("upto") or ""), str(told.get("shape") or "")


def prepare(transfer: Transfer) -> None:
    """Write the chunks, put the exchange on record, and tell the other node what is to come."""
    portion = portion_of(transfer)
    since, shape = _position(transfer)

    def before(taken: Taken) -> None:
        _record_leaving(transfer, taken)

    written = rows.write_chunks(transfer.code, portion, since, shape, before=before)
    if written is None:
        _nothing_new(transfer, since, shape)
        return
    told: dict[str, Any] = {
        "columns": list(written.columns),
        "key": list(written.key),
        "since": written.since,
        "upto": written.upto,
        "rows": written.rows,
        "gone": written.gone,
        "bytes": sum(c["bytes"] for c in written.chunks),
        "chunks": written.chunks,
        "area": next(iter(portion.within.values()), ""),
    }
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage == Transfer.PREPARING:
            row.manifest = {**row.manifest, **told, "shape": written.shape}
            row.stage = Transfer.MOVING
            row.save(update_fields=["manifest", "stage"])
            body = {
                "transfer": row.code,
                "kind": row.kind,
                "dataset": row.resource.code,
                **told,
            }
            if transfer.grant is not None:
                body["grant"] = transfer.grant.code
            post(
                transfer.link,
                CHANGES if written.since else WHOLE,
                f"transfer:{row.code}",
                body,
            )
    transfer.refresh_from_db()


def _record_leaving(transfer: Transfer, taken: Taken) -> None:
    """The exchange goes on record with whom it names before anything leaves, once for an attempt."""
    if transfer.manifest.get("recorded_upto") == taken.upto:
        return
    grant = transfer.grant
    party = transfer.link.party
    asked = {"transfer": transfer.code, "since": taken.since, "upto": taken.upto}
    count = taken.upserts + taken.deletes
    number = audit.record_exchange(
        channel="cascade",
        grant_code=grant.code if grant else "",
        resource=transfer.resource.name,
        operation="feed",
        version=0,
        by=Actor(party=party, department=grant.grantee if grant else party),
        people=taken.persons(),
        purpose=str((grant.terms.get("purpose") if grant else "") or "")
        or f"级联{transfer.get_kind_display()}：{transfer.link.name}",
        case_code=transfer.code,
        request=rules.canonical(asked),
        rows=count,
        micros=0,
        outcome="ok" if count else "empty",
    )
    transfer.manifest = {
        **transfer.manifest,
        "record": str(number),
        "recorded_upto": taken.upto,
    }
    transfer.save(update_fields=["manifest"])


def _nothing_new(transfer: Transfer, since: str, shape: str) -> None:
    """The other node has all of it: nothing is told, and the position stays."""
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage == Transfer.PREPARING:
            row.stage, row.ended_at = Transfer.DONE, timezone.now()
            row.manifest = {"since": since, "upto": since, "shape": shape, "rows": 0, "chunks": []}
            row.verdict = {"landed": 0, "accepted": 0, "rejected": 0}
            row.save(update_fields=["stage", "ended_at", "manifest", "verdict"])
            record("transfer.finished", row, by=SYSTEM, data={"landed": 0})
    rows.drop(transfer.code, True)
    transfer.refresh_from_db()


def carry_transfer(code: str) -> None:
    """Send what the other node does not have yet; safe to call again after whatever broke it off."""
    transfer = (
        Transfer.objects.select_related(
            "link__own_key", "link__party", "resource__owner", "grant__grantee"
        )
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
            prepare(transfer)
        if transfer.stage in OPEN:
            _push(transfer)
    except audit.Unproven as closed:
        # No exchange without its proof; the rows wait until the sealer is back.
        Transfer.objects.filter(pk=transfer.pk).update(error=str(closed)[:500])
        wake("carry", f"{code}:later", seconds=60, code=code)
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
    transfer = transfer_of(link, str(body["transfer"]), sending=True)
    landed, accepted, rejected = (int(body[k]) for k in ("landed", "accepted", "rejected"))
    if landed != accepted + rejected:
        raise UserError("对方的入湖结果不平：到达数不等于接收数加拒收数")
    if transfer.stage == Transfer.DONE:
        return
    transfer.verdict = {k: body.get(k) for k in _TOLD}
    transfer.stage, transfer.done, transfer.ended_at = (
        Transfer.DONE,
        len(transfer.chunks),
        timezone.now(),
    )
    transfer.error = ""
    transfer.save()
    note_landed(transfer, str(transfer.manifest.get("record") or ""))
    record(
        "transfer.finished",
        transfer,
        by=SYSTEM,
        data={"landed": landed, "accepted": accepted, "rejected": rejected},
    )
    rows.drop(transfer.code, True)


def take_refusal(link: Link, body: dict[str, Any]) -> None:
    """The other node does not take this transfer, or could not land it.

    Where it stands elsewhere than we thought (a backup, a batch taken back), it is sent everything.
    """
    transfer = transfer_of(link, str(body["transfer"]), sending=True)
    if transfer.stage in (Transfer.DONE, Transfer.FAILED):
        return
    lost = body.get("code") == "position" and bool(transfer.manifest.get("since"))
    fail_transfer(transfer, f"对方：{body.get('reason', '')}")
    flow = Flow.objects.filter(link=link, resource=transfer.resource, grant=transfer.grant).first()
    if lost and flow is not None:
        try:
            flows.send_flow(flow=flow, whole=True, by=SYSTEM)
        except UserError as error:
            log.info("no whole transfer after %s: %s", transfer.code, error)


__all__ = ["carry_transfer", "portion_of", "prepare", "take_refusal", "take_verdict"]
