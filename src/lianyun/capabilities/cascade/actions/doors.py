"""Doors: who knocks at the node API: signature, addressee, repetition; and the signed answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from .. import rules
from ..adapters import keys, wire
from ..models import Key, Link, Nonce
from .nodes import drop_former_keys
from .outbox import this_node


class Refused(Exception):
    """A request that is not let in; `code` is the protocol's word for why."""

    def __init__(self, status: int, code: str, link: Link | None = None, nonce: str = "") -> None:
        super().__init__(rules.ERRORS[code])
        self.status, self.code = status, code
        self.link, self.nonce = link, nonce


@dataclass(frozen=True)
class Knock:
    """A request that was let in: from which link, under which nonce."""

    link: Link
    nonce: str


def _header(headers: Mapping[str, str], name: str) -> str:
    return str(headers.get(wire.HEADERS[name]) or "")


def let_in(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Knock:
    """Whoever signs with an enrolled node's key, to us, for the first time; raises Refused.

    The order of the questions gives nothing away: only who has the key learns more than that.
    """
    node = this_node()
    sender, nonce = _header(headers, "node"), _header(headers, "nonce")
    stamp = _header(headers, "stamp")
    link = Link.objects.filter(code=sender).exclude(enrolled_at=None).first()
    if node is None or link is None:
        raise Refused(401, "unknown_node")
    if _header(headers, "peer") != node.code:
        raise Refused(421, "wrong_node")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15 and len(nonce) == 32):
        raise Refused(400, "malformed")
    kid = _header(headers, "key")
    public = next((k["public"] for k in link.keys if k["kid"] == kid), None)
    if public is None:
        _count_refusal(link)
        raise Refused(401, "unknown_key")
    text = rules.request_text(method, path, sender, node.code, int(stamp), nonce, body)
    if not keys.verified(public, text, _header(headers, "signature")):
        _count_refusal(link)
        raise Refused(401, "bad_signature")
    try:
        with transaction.atomic():
            row = Link.objects.select_for_update().get(pk=link.pk)
            if rules.stale(int(stamp), row.newest):
                raise Refused(409, "replayed", link, nonce)
            Nonce.objects.create(link=row, nonce=nonce, stamp=int(stamp))
            if int(stamp) > row.newest:
                row.newest = int(stamp)
                row.skew_ms = int(stamp) - _now_ms()
                Nonce.objects.filter(
                    link=row, stamp__lt=row.newest - rules.REPLAY_WINDOW_MS
                ).delete()
            row.last_contact_at = timezone.now()
            row.save(update_fields=["newest", "skew_ms", "last_contact_at"])
            drop_former_keys(row, kid)
    except IntegrityError:
        _count_refusal(link)
        raise Refused(409, "replayed", link, nonce) from None
    except Refused:
        _count_refusal(link)
        raise
    if not row.enabled:
        raise Refused(403, "disabled" if row.reason else "unconfirmed", row, nonce)
    return Knock(row, nonce)


def _count_refusal(link: Link) -> None:
    Link.objects.filter(pk=link.pk).update(refused=F("refused") + 1)


def _now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


def reserve_stamp(link: Link) -> int:
    """The stamp of our next request on this link: never one that was used before."""
    with transaction.atomic():
        row = Link.objects.select_for_update().get(pk=link.pk)
        row.stamp = rules.next_stamp(_now_ms(), row.stamp)
        row.save(update_fields=["stamp"])
        return row.stamp


def signed_answer(
    link: Link | None, nonce: str, status: int, told: dict[str, Any]
) -> tuple[bytes, dict[str, str]]:
    """An answer's bytes and headers; signed where we know whom we answer."""
    body = json.dumps(told, ensure_ascii=False, default=str).encode()
    node = this_node()
    if link is None or node is None or link.own_key_id is None:
        return body, {}
    key = Key.objects.get(pk=link.own_key_id)
    text = rules.answer_text(node.code, link.code, nonce, status, body)
    return body, {
        wire.HEADERS["key"]: key.kid,
        wire.HEADERS["signature"]: keys.Signer(key.kid, key.secret).sign(text),
    }


def caller_for(link: Link, timeout: float = 20.0) -> wire.Caller:
    """What is needed to call the other node of a link."""
    node = this_node()
    assert node is not None
    assert link.own_key is not None
    return wire.Caller(
        node=node.code,
        signer=keys.Signer(link.own_key.kid, link.own_key.secret),
        peer=link.code,
        address=link.address,
        known={k["kid"]: k["public"] for k in link.keys},
        timeout=timeout,
    )
