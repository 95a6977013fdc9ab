"""Receipt: everything that proves one exchange to somebody outside, in one file."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Resource
from lianyun.trust import certificates, merkle

from .. import adapters, rules
from ..models import CallLink, CallRecord, CallSeal, SigningKey

FORMAT = "lianyun-receipt/1"
_BEFORE, _AFTER = dt.timedelta(seconds=5), dt.timedelta(minutes=3)


def _found(uid: str) -> CallRecord | None:
    rows = CallRecord.objects.filter(uid=uid)
    at = rules.time_of(uid)
    if at is not None:
        # By the index of times: numbers have none of their own.
        near = rows.filter(at__gte=at - _BEFORE, at__lte=at + _AFTER).first()
        if near is not None:
            return near
    return rows.first()


def _may(viewer: Actor, call: CallRecord, client: str) -> bool:
    if client:
        return call.client == client
    if not viewer.may("audit.read"):
        return False
    scope = viewer.departments("audit.read")
    if scope is None or call.department_id in scope:
        return True
    return Resource.objects.filter(name=call.resource, owner_id__in=scope).exists()


def _path(name: str, leaves: list[bytes], index: int) -> dict[str, Any]:
    return {
        "index": index,
        "size": len(leaves),
        "path": [step.hex() for step in merkle.path_of(name, leaves, index)],
    }


def receipt(viewer: Actor, uid: str, *, client: str = "") -> dict[str, Any]:
    """The receipt of the exchange with this number (`X-Call`), as JSON values.

    For who made the call, who owns the data, and the bureau (`audit.read`); with `client`, for
    whoever has shown that credential. Raises UserError where there is none, or not yet.
    """
    call = _found(uid)
    if call is None or not _may(viewer, call, client):
        raise UserError("没有这个编号的调用记录，或您无权查看")
    link = CallLink.objects.get(number=call.link)
    if not link.digest:
        raise UserError("该调用早于逐条存证启用，只能随整个账本核验")
    seal = CallSeal.objects.filter(last_link__gte=link.number).order_by("last_link").first()
    if seal is None:
        raise UserError("该调用尚未签章，请稍后再取回执")
    rows = [
        tuple(row)
        for row in CallRecord.objects.filter(link=link.number).values_list(*rules.COLUMNS)
    ]
    leaves = rules.leaves(rows)
    record = rules.canonical(next(row for row in rows if row[0] == uid))
    links = list(
        CallLink.objects.filter(number__gte=seal.first_link, number__lte=seal.last_link)
        .order_by("number")
        .values_list("hash", flat=True)
    )
    before = CallLink.objects.filter(number=link.number - 1).values_list("hash", flat=True).first()
    text = rules.link_text(
        link.digest, link.number, link.at, link.count, before or rules.GENESIS, link.root
    )
    said = rules.statement_of(seal.note)
    hashed = [merkle.leaf_hash(link.digest, leaf) for leaf in leaves]
    kids = [kid for _, kid, _ in rules.signatures_of(seal.note)]
    pems = SigningKey.objects.filter(kid__in=kids).values_list("kid", "certificate")
    own = SigningKey.objects.filter(use=SigningKey.ROOT).values_list("certificate", flat=True)
    roots = [c for pem in own for c in certificates.load_all(pem)] + adapters.outside_roots()
    return {
        "format": FORMAT,
        "call": uid,
        "columns": list(rules.COLUMNS),
        "record": record.decode(),
        "salt": rules.salt_of(adapters.hash_key(), uid).hex(),
        "record_path": _path(link.digest, hashed, leaves.index(record)),
        "link": text.decode(),
        "link_path": _path(
            said["digest"],
            rules.seal_leaves(said["digest"], links),
            link.number - seal.first_link,
        ),
        "seal": seal.note,
        "token": base64.b64encode(bytes(seal.token)).decode(),
        "certificates": dict(pems),
        "roots": [c.public_bytes(certificates.PEM).decode() for c in roots],
    }


__all__ = ["FORMAT", "receipt"]
