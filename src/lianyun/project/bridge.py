"""Bridge: the WSGI application behind the ASGI server: one hand-over to a thread and one back.

a2wsgi passes body, head and every chunk from thread to thread one by one, which under the
interpreter's lock costs a request a part of its time. Here a small body is there before the thread
begins, and a finished answer comes back whole; only what streams goes piece by piece, in its thread
(where its database connection is).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from a2wsgi.wsgi import Body, build_environ

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[str, str]]

EAGER = 1024 * 1024
"""Bytes of a body that is read before its view runs, and of an answer that is sent whole."""


class Bridge:
    """A WSGI application as an ASGI one, in at most so many threads."""

    def __init__(self, application: Callable[..., Iterable[bytes]], threads: int) -> None:
        self.application = application
        self.executor = ThreadPoolExecutor(threads, "web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        loop = asyncio.get_running_loop()

        async def hear() -> MutableMapping[str, Any]:
            return await receive()  # granian gives a future, and a2wsgi wants a coroutine

        length = _length(scope)
        if 0 <= length <= EAGER:
            told = await _read(receive) if length else b""
            if len(told) < length:
                return  # the visitor left; half a form is none
            body: Any = BytesIO(told)
        else:
            body = Body(loop, hear)  # type: ignore[arg-type]
        environ = build_environ(scope, body)  # type: ignore[arg-type]

        def say(message: MutableMapping[str, Any]) -> None:
            asyncio.run_coroutine_threadsafe(_sent(send, message), loop).result()

        run = contextvars.copy_context().run
        for message in await loop.run_in_executor(self.executor, run, self._answer, environ, say):
            await send(message)

    def _answer(
        self, environ: Any, say: Callable[[MutableMapping[str, Any]], None]
    ) -> list[MutableMapping[str, Any]]:
        """In a thread: the messages of a whole answer; what streams is said at once, and none is left."""
        head: list[MutableMapping[str, Any]] = []
        written: list[bytes] = []
        size = -1

        def start(status: str, headers: Headers, fault: Any = None) -> Callable[[bytes], None]:
            nonlocal size
            told = [(k.strip().lower().encode("latin1"), v.strip()) for k, v in headers]
            size = next((int(v) for k, v in told if k == b"content-length"), -1)
            head[:] = [
                {
                    "type": "http.response.start",
                    "status": int(status.split(" ", 1)[0]),
                    "headers": [(k, v.encode("latin1")) for k, v in told],
                }
            ]
            return written.append

        answer = self.application(environ, start)
        try:
            if not getattr(answer, "streaming", True) or 0 <= size <= EAGER:
                parts = list(answer)
                return [*head, {"type": "http.response.body", "body": b"".join(written + parts)}]
            say(head[0])
            for chunk in answer:
                say({"type": "http.response.body", "body": chunk, "more_body": True})
            say({"type": "http.response.body", "body": b""})
            return []
        finally:
            if (close := getattr(answer, "close", None)) is not None:
                close()


def _length(scope: Scope) -> int:
    """The bytes of a request's body; -1 where they are not known before they have come."""
    found = dict(scope["headers"])
    told = found.get(b"content-length", b"")
    if told.isdigit():
        return int(told)
    return -1 if b"transfer-encoding" in found or scope.get("http_version", "1.1") == "2" else 0


async def _read(receive: Receive) -> bytes:
    """A whole body; what a visitor who left did not send is missing."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _sent(send: Send, message: MutableMapping[str, Any]) -> None:
    await send(message)


__all__ = ["Bridge"]
