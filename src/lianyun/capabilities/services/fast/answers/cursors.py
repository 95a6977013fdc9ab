"""Cursor: where a page ended, sealed so that nobody can read, forge or use it for another question."""

from __future__ import annotations

import base64
import hashlib
import os
import time

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..calls import Refused

GOOD_SECONDS = 24 * 3600
_VERSION = b"\x01"


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hashlib.blake2b(key, digest_size=32, person=b"lianyun cursor").digest())


def seal(key: bytes, question: str, values: list[str | None]) -> str:
    """A cursor after the row with these ordering values, good for this question alone."""
    nonce = os.urandom(12)
    body = orjson.dumps([int(time.time()), *values])
    sealed = _cipher(key).encrypt(nonce, body, _VERSION + question.encode())
    return base64.urlsafe_b64encode(_VERSION + nonce + sealed).rstrip(b"=").decode()


def unseal(key: bytes, question: str, cursor: str) -> list[str | None]:
    """The ordering values of a cursor; raises Refused where it is forged, stale or another's."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if raw[:1] != _VERSION:
            raise ValueError
        body = _cipher(key).decrypt(raw[1:13], raw[13:], _VERSION + question.encode())
        made, *values = orjson.loads(body)
    except (ValueError, InvalidTag) as wrong:
        raise Refused(409, "bad_request", "游标 cursor 无效，或不属于这次查询") from wrong
    if time.time() - made > GOOD_SECONDS:
        raise Refused(409, "bad_request", "游标 cursor 已过期，请从第一页重新查询")
    return list(values)


__all__ = ["GOOD_SECONDS", "seal", "unseal"]
