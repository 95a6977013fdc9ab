"""Receipt by credential: whoever made a call takes the receipt of it with the same credential."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from django.db import connection

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import ANONYMOUS, UserError

from .calls import Call, Refused, Reply
from .credentials import identify

if TYPE_CHECKING:
    from .plane import Plane

RECEIPTS_PATH = b"/api/receipts/"


def _receipt(uid: str, client: str) -> dict[str, Any]:
    """In a thread: Django's connections are not for event loops."""
    try:
        return audit.receipt(ANONYMOUS, uid, client=client)
    finally:
        connection.close()


async def give_receipt(plane: Plane, call: Call) -> Reply:
    """The receipt of the call whose number ends the address; 404 while it has no seal yet.

    Also under a grant that has ended: what was exchanged stays provable.
    """
    call.operation = "receipt"
    right = await identify(plane, call)
    plane.turnstile.take(plane.turnstile.receipts, right.client_id)
    if call.method not in ("GET", "HEAD"):
        refused = Refused(405, "bad_request", "取回执只接受 GET 请求")
        refused.headers = [(b"allow", b"GET, HEAD")]
        raise refused
    uid = call.path[len(RECEIPTS_PATH) :].decode("latin-1")
    if not (uid.isascii() and uid.isalnum() and len(uid) <= 40):
        raise Refused(400, "bad_request", "调用编号有误")
    try:
        found = await asyncio.to_thread(_receipt, uid, right.client_id)
    except UserError as wrong:
        raise Refused(404, "empty", str(wrong)) from wrong
    return Reply(200, orjson.dumps(found))


__all__ = ["RECEIPTS_PATH", "give_receipt"]
