"""Caller: who calls, as the request's headers say and the stored hashes prove."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import rules
from .calls import Call, Header, Refused

if TYPE_CHECKING:
    from .plane import Plane
    from .rights import Right


async def identify(plane: Plane, call: Call) -> Right:
    """The right under which a call is made; sets the call's right and purpose.

    Raises Refused. A caller without a known credential is counted as a stranger; one whose
    credential is known but not proven is refused with the right set, so that it goes on record.
    """
    try:
        token, purpose = _headers(call.headers)
        client_id, secret = rules.split_token(token)
    except (Refused, rules.BadCall) as wrong:
        plane.records.meet_stranger(call.source, "")
        if isinstance(wrong, Refused):
            raise
        raise Refused(401, "unauthorized", str(wrong)) from wrong
    right = await plane.rights.right(client_id)
    if right is None:
        plane.records.meet_stranger(call.source, client_id)
        raise Refused(401, "unauthorized", "凭证无效")
    call.right = right
    call.purpose = purpose or right.purpose
    if right.closed or not good_secret(right, secret):
        raise Refused(401, "unauthorized", "凭证无效或已更换")
    return right


def good_secret(right: Right, secret: str) -> bool:
    """Whether the secret is the present one, or the former one within the overlap."""
    given = rules.secret_hash(secret)
    if right.hashes[0] and hmac.compare_digest(given, right.hashes[0]):
        return True
    return bool(
        right.hashes[1]
        and right.former_until
        and dt.datetime.now(dt.UTC) < right.former_until
        and hmac.compare_digest(given, right.hashes[1])
    )


def _headers(headers: Iterable[Header]) -> tuple[str, str]:
    """Authorization and purpose; a second one of either is refused, whatever it says."""
    token: bytes | None = None
    purpose: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            if token is not None:
                raise Refused(400, "bad_request", "请求头 Authorization 重复")
            token = value
        elif name == b"x-purpose":
            if purpose is not None:
                raise Refused(400, "bad_request", "请求头 X-Purpose 重复")
            purpose = value
    if token is None:
        raise Refused(
            401, "unauthorized", "缺少凭证", "请在请求头 Authorization 中给出 Bearer 凭证号.密钥"
        )
    said = ""
    if purpose:
        try:
            said = rules.decoded(purpose[:900], "请求头 X-Purpose")
        except rules.BadCall as wrong:
            raise Refused(400, "bad_request", str(wrong)) from wrong
    return token.decode("latin-1"), said


__all__ = ["good_secret", "identify"]
