"""Peers of the data service: bare applications with the same driver, and a plain Django view.

The Django view does what CKAN's datastore does for a private resource, with the same duties as the
product: it looks the caller's key up, asks for the right, reads the row, cuts and masks it and
writes a log row, each by the ORM or one statement over a kept connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from typing import Any

NAMES = ("citizen_number", "name", "sex", "birth_date", "address", "phone")
ROW = (
    "SELECT citizen_number, name, sex, birth_date, address, phone "
    "FROM served.people WHERE citizen_number = {}"
)

_pools: dict[int, Any] = {}


async def _pool() -> Any:
    import asyncpg

    loop = id(asyncio.get_running_loop())
    if loop not in _pools:

        async def nothing(_: Any) -> None:
            """As in the product: giving a connection back costs no trip."""

        _pools[loop] = await asyncpg.create_pool(
            os.environ["LIANYUN_DATABASE_URL"], min_size=2, max_size=8, reset=nothing
        )
    return _pools[loop]


async def _answer(send: Any, body: bytes) -> None:
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Look the row up by key and give it as JSON: nothing else."""
    import orjson

    if scope["type"] != "http":
        return
    key = scope["query_string"].partition(b"=")[2].decode()
    row = await (await _pool()).fetchrow(ROW.format("$1"), key)
    await _answer(send, orjson.dumps(dict(row.items()) if row else None))


async def same(scope: Any, receive: Any, send: Any) -> None:
    """Run the product's statement (grant in force, and the row) and give the row as JSON."""
    import orjson

    if scope["type"] != "http":
        return
    key = scope["query_string"].partition(b"=")[2].decode()
    statement = os.environ["BENCH_STATEMENT"]
    rows = await (await _pool()).fetch(statement, int(os.environ["BENCH_GRANT"]), key)
    await _answer(send, orjson.dumps(dict(rows[0].items()) if rows else None))


def _django() -> Any:
    """A Django application of one view with its own small settings."""
    from urllib.parse import urlsplit

    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.db import connection
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    url = urlsplit(os.environ["LIANYUN_DATABASE_URL"])

    def mask(name: str, value: Any) -> Any:
        text = str(value) if value is not None else ""
        if name == "citizen_number":
            return text[:3] + "*" * (len(text) - 7) + text[-4:]
        if name == "name":
            return text[:1] + "*" * (len(text) - 1)
        if name == "phone":
            return text[:3] + "****" + text[-4:]
        return text[:6] + "****" if name == "address" else value

    def search(request: HttpRequest) -> JsonResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        client_id, _, secret = token.partition(".")
        key = request.GET.get("citizen_number", "")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT secret_hash, grant_id FROM services_client WHERE client_id = %s",
                [client_id],
            )
            found = cursor.fetchone()
            hashed = hashlib.blake2b(secret.encode(), digest_size=32).hexdigest()
            if found is None or found[0] != hashed:
                return JsonResponse({"success": False}, status=401)
            cursor.execute(
                "SELECT terms FROM kernel_grant WHERE id = %s AND state = 'active' "
                "AND valid_from <= now() AND (valid_to IS NULL OR now() < valid_to)",
                [found[1]],
            )
            right = cursor.fetchone()
            if right is None:
                return JsonResponse({"success": False}, status=403)
            fields = set(json.loads(right[0])["fields"])
            cursor.execute(ROW.format("%s"), [key])
            rows = [
                {n: mask(n, v) for n, v in zip(NAMES, row, strict=True) if n in fields}
                for row in cursor.fetchall()
            ]
            cursor.execute(
                "INSERT INTO bench_log (client, key_hash, rows) VALUES (%s, %s, %s)",
                [client_id, hashlib.sha256(key.encode()).hexdigest(), len(rows)],
            )
        return JsonResponse({"success": True, "result": {"records": rows, "total": len(rows)}})

    settings.configure(
        SECRET_KEY="bench",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": url.path.lstrip("/").partition("?")[0],
                "USER": url.username,
                "PASSWORD": url.password or "",
                "HOST": url.hostname or _socket(url.query),
                "PORT": url.port or "",
                "CONN_MAX_AGE": None,
            }
        },
    )
    globals()["urlpatterns"] = [path("api/3/action/datastore_search", search)]
    return get_wsgi_application()


def _socket(query: str) -> str:
    from urllib.parse import parse_qs

    return parse_qs(query).get("host", [""])[0]


if os.environ.get("BENCH_SIDE") == "plain":
    plain = _django()
