"""Door: the ASGI application of `/api/data/*`, and the start and end of its worker."""

from __future__ import annotations

import asyncio
import logging

from .calls import PROBLEM, Header, Receive, Refused, Reply, Scope, Send, problem
from .plane import Plane

log = logging.getLogger("lianyun.services")

MOST_BODY = 32_768
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")

_planes: dict[int, Plane] = {}


async def plane_here() -> Plane:
    """The plane of this event loop, started at its first call."""
    loop = id(asyncio.get_running_loop())
    plane = _planes.get(loop)
    if plane is None:
        plane = _planes.setdefault(loop, Plane())
    if not plane.ready:
        await plane.start()
    return plane


async def startup() -> None:
    """Make this worker ready (also done by its first call)."""
    await plane_here()


async def shutdown() -> None:
    """Write what is queued and close; whoever runs the server calls it when a worker ends."""
    plane = _planes.pop(id(asyncio.get_running_loop()), None)
    if plane is not None:
        await plane.stop()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of `/api/data/*`."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] != "http":
        return
    extra: list[Header] = []
    try:
        plane = await plane_here()
        body = await _body(receive) if scope["method"] == "POST" else b""
        reply, uid = await plane.answer(scope, body)
        extra.append((b"x-call", uid.encode()))
    except Refused as refused:
        told = problem(refused.status, refused.title, refused.detail)
        reply = Reply(refused.status, told, PROBLEM, refused.headers)
        if refused.status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="lianyun"'))
        elif refused.status == 429:
            extra.append((b"retry-after", str(refused.retry).encode()))
        elif refused.status == 503:
            extra.append((b"retry-after", b"1"))
    except Exception:
        log.exception("a call failed")
        reply = Reply(503, problem(503, "系统繁忙，请稍后再试"), PROBLEM)
        extra.append((b"retry-after", b"1"))
    head = [
        (b"content-type", reply.kind),
        (b"content-length", str(len(reply.body)).encode()),
        _NO_STORE,
        _NO_SNIFF,
        *reply.headers,
        *extra,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    sent = b"" if scope["method"] == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": sent})


async def _body(receive: Receive) -> bytes:
    """The body of a call; raises Refused where it is too long."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "bad_request", "请求不完整")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY:
            raise Refused(413, "bad_request", "请求体过大")
        more = message.get("more_body", False)
    return b"".join(parts)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await startup()
            except Exception:
                # The first call tries again: pages need not wait for data services.
                log.exception("data services cannot start yet")
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return


__all__ = ["app", "plane_here", "shutdown", "startup"]
