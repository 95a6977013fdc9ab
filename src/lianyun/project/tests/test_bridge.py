"""Bridge and connection: whole answers, streams, half a form; a connection that has died is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from lianyun.project.bridge import EAGER, Bridge


def ask(
    application: Callable[..., Iterable[bytes]], *parts: bytes, length: int | None = None
) -> list[Any]:
    """What the bridge says to one POST of these parts."""
    said: list[Any] = []
    size = sum(map(len, parts)) if length is None else length
    waiting = [
        {"type": "http.request", "body": part, "more_body": n + 1 < len(parts)}
        for n, part in enumerate(parts)
    ]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/x", "query_string": b"",
        "headers": [(b"content-length", str(size).encode())],
    }  # fmt: skip
    bridge = Bridge(application, 1)
    try:
        asyncio.run(bridge(scope, receive, send))
    finally:
        bridge.executor.shutdown()
    return said


class Answer:
    """What Django gives a server, as far as the bridge looks at it."""

    def __init__(self, chunks: Iterable[bytes], streaming: bool) -> None:
        self.chunks, self.streaming, self.closed = chunks, streaming, False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed = True


def test_an_answer_comes_whole_and_a_stream_piece_by_piece() -> None:
    made: list[Answer] = []

    def application(environ: Any, start: Any) -> Answer:
        body = environ["wsgi.input"].read()
        streams = body.startswith(b"stream")
        start("201 Created", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1")])
        made.append(Answer([body, b"!"], streams))
        return made[-1]

    head, body = ask(application, b"one", b"two")
    assert (head["status"], head["headers"][1]) == (201, (b"set-cookie", b"a=1"))
    assert body == {"type": "http.response.body", "body": b"onetwo!"}
    told = ask(application, b"stream")
    assert [m.get("body") for m in told] == [None, b"stream", b"!", b""]
    assert [m.get("more_body") for m in told] == [None, True, True, None]
    large = ask(application, b"x" * (EAGER + 1))  # read by the view, as it comes
    assert len(large[1]["body"]) == EAGER + 2
    assert all(answer.closed for answer in made)


def test_half_a_form_is_none() -> None:
    def application(environ: Any, start: Any) -> list[bytes]:
        raise AssertionError("a view must not see half a form")

    assert ask(application, b"half", length=400) == []


@pytest.mark.django_db
def test_a_connection_that_died_is_seen_without_a_question() -> None:
    connection.ensure_connection()
    assert connection.is_usable()
    asked: list[str] = []
    with connection.execute_wrapper(lambda run, sql, *more: asked.append(sql) or run(sql, *more)):
        assert connection.is_usable()
    assert asked == []
    other = connection.copy()
    other.connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        number = cursor.fetchone()[0]
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
    assert not other.is_usable()
    other.close()
