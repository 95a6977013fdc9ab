"""Service: one row by key with grant, masking and call record, against a bare ASGI application.

``python benchmarks/service.py [--rows N] [--seconds S]`` fills a table, then sends look-ups of
random keys over 32 connections on the loopback, in turns, to two peers and to the product, each
served by granian with one worker: a bare ASGI application with the same driver that runs the
product's very statement (grant and row), the same that looks up the row only, and the product's
own door (credential, grant, quota, masks, journal, chained call record). Target: at least half
the throughput of the bare application that runs the same statement. Every answered call must stand
in the record when the server has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

CONNECTIONS = 32
TARGET = 0.5
HERE = Path(__file__).resolve().parent
NAMES = ("citizen_number", "name", "sex", "birth_date", "address", "phone")
ROW = (
    "SELECT citizen_number, name, sex, birth_date, address, phone "
    "FROM served.people WHERE citizen_number = $1"
)

# ---- the peers: what a server imports as service:bare and service:same -----------------------

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
    row = await (await _pool()).fetchrow(ROW, key)
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


# ---- the load --------------------------------------------------------------------------------


async def _one(port: int, path: str, token: str, keys: list[str], until: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took: list[float] = []
    pick = random.Random(id(writer))
    while True:
        begun = time.perf_counter()
        if begun >= until:
            break
        key = keys[pick.randrange(len(keys))]
        writer.write(
            f"GET {path}?citizen_number={key} HTTP/1.1\r\nHost: t\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"unexpected answer: {head[:200]!r}")
        at = head.lower().index(b"content-length: ") + 16
        await reader.readexactly(int(head[at : head.index(b"\r", at)]))
        took.append(time.perf_counter() - begun)
    writer.close()
    return took


async def _load(port: int, path: str, token: str, keys: list[str], seconds: float) -> list[float]:
    until = time.perf_counter() + seconds
    parts = await asyncio.gather(
        *(_one(port, path, token, keys, until) for _ in range(CONNECTIONS))
    )
    return sorted(t for part in parts for t in part)


def load_child(arguments: argparse.Namespace) -> None:
    """Warm up, then measure; prints figures as JSON. A process of its own, like a real caller."""
    keys = json.loads(Path(arguments.keys).read_text())
    port, path, token = arguments.port, arguments.path, os.environ["BENCH_TOKEN"]
    warm = asyncio.run(_load(port, path, token, keys, 1.0))
    took = asyncio.run(_load(port, path, token, keys, arguments.seconds))
    print(
        json.dumps(
            {
                "calls": len(warm) + len(took),
                "per_second": len(took) / arguments.seconds,
                "p50_ms": took[len(took) // 2] * 1000,
                "p99_ms": took[int(len(took) * 0.99)] * 1000,
            }
        )
    )


# ---- the stage -------------------------------------------------------------------------------


def _stage(rows: int) -> dict[str, Any]:
    """Tables, a grant, a credential and rows; returns what the sides need to know."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "lianyun.project.settings"
    django.setup()
    from django.db import connection

    from lianyun.capabilities.services import actions, fast, rules
    from lianyun.capabilities.services.fast.answers.rows import Rows
    from lianyun.capabilities.services.models import Service
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.element import citizen_check_digit
    from lianyun.kernel.models import Party, Resource
    from lianyun.project import schema

    schema.bring_up_to_date(connection)
    owner = Party.objects.create(kind="department", slug="from", name="提供部门")
    to = Party.objects.create(kind="department", slug="to", name="使用部门")
    source = Resource.objects.create(
        code="1", name="people", kind="dataset", title="人口", owner=owner
    )
    made = Resource.objects.create(code="2", name="q", kind="service", title="查询", owner=owner)
    masks = {
        "citizen_number": "citizen_number",
        "name": "name",
        "address": "address",
        "phone": "phone",
    }
    columns = [
        rules.Field(n, n, mask=masks.get(n, "none"), check=n if n == "citizen_number" else "")
        for n in NAMES
    ]
    keys = []
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA served")
        cursor.execute(
            "CREATE TABLE served.people (citizen_number text PRIMARY KEY, name text, sex text,"
            " birth_date date, address text, phone text)"
        )
        with cursor.copy("COPY served.people FROM STDIN") as copy:
            for number in range(rows):
                born = dt.date(1940, 1, 1) + dt.timedelta(days=number // 1000 * 7)
                first = f"320703{born:%Y%m%d}{number % 1000:03d}"
                key = first + citizen_check_digit(first)
                address = f"江苏省连云港市海州区幸福路{number % 400}号"
                row = (
                    key,
                    f"王小{number % 97}",
                    str(number % 2 + 1),
                    born,
                    address,
                    f"138{number:08d}",
                )
                if number % 7 == 0:
                    keys.append(key)
                copy.write_row(row)
        cursor.execute("ANALYZE served.people")
    Service.objects.create(
        resource=made,
        source=source,
        table="served.people",
        lookups=[["citizen_number"]],
        columns=[vars(c) for c in columns],
    )
    grant = grants.issue(
        kind="data",
        to=to,
        resource=source,
        terms={
            "fields": list(NAMES),
            "masks": masks,
            "purpose": "性能测试",
            "calls_per_day": 100_000_000,
        },
        by=SYSTEM,
    )
    client = actions.issue_client(grant=grant, by=SYSTEM)
    token = actions.collect_secret(client=client, by=SYSTEM)

    async def statement() -> str:
        plane = fast.Plane()
        await plane.start()
        right = await plane.rights.right(client.client_id)
        await plane.stop()
        assert right is not None
        answer = right.offers["query"][0].answer
        assert isinstance(answer, Rows)
        return answer.statements[0]

    told = asyncio.run(statement())
    connection.close()
    return {"token": token, "keys": keys, "statement": told, "grant": grant.pk}


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def _served(app: str, env: dict[str, str]) -> Any:
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"]
    command += [f"--port={port}", "--workers=1", "--no-ws", "--log-level=warning", app]
    process = subprocess.Popen(command, env=env, cwd=HERE, start_new_session=True)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _recorded(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as con:
        row = con.execute("SELECT count(*) FROM audit_callrecord WHERE outcome = 'ok'").fetchone()
    return int(row[0]) if row else 0


def main() -> int:
    """Stage, measure in turns, print, and say whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--keys", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load_child(arguments)
        return 0
    from lianyun.project import postgres

    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="service-"))
        # A server that waits for its disk, as the product's own does.
        server = postgres.Server(Path(home) / "server", durable=True)
        server.start(dies_with_parent=True)
        stack.callback(server.stop)
        import psycopg

        with psycopg.connect(server.url("postgres"), autocommit=True) as con:
            con.execute("CREATE DATABASE bench")
        url = server.url("bench")
        os.environ.update(LIANYUN_HOME=home, LIANYUN_DATABASE_URL=url)
        stage = _stage(arguments.rows)
        keys = Path(home) / "keys.json"
        keys.write_text(json.dumps(stage["keys"]))
        env = {
            **os.environ,
            "BENCH_TOKEN": stage["token"],
            "BENCH_STATEMENT": stage["statement"],
            "BENCH_GRANT": str(stage["grant"]),
        }
        sides = {
            "bare": ("service:bare", "/"),
            "same": ("service:same", "/"),
            "ours": ("lianyun.project.asgi:app", "/api/data/people"),
        }
        best: dict[str, dict[str, float]] = {}
        answered = 0
        for turn in range(arguments.rounds):
            # The order turns, so that no side always runs on a warm or a tired machine.
            order = list(sides)[turn % 3 :] + list(sides)[: turn % 3]
            for side in order:
                app, path = sides[side]
                with _served(app, env) as port:
                    probe = urllib.request.Request(
                        f"http://127.0.0.1:{port}{path}?citizen_number={stage['keys'][0]}",
                        headers={"Authorization": f"Bearer {stage['token']}"},
                    )
                    shown = urllib.request.urlopen(probe, timeout=30).read()
                    if side == "ours":
                        assert b"*" in shown, shown
                        answered += 1
                    command = [sys.executable, str(HERE / "service.py"), "--load"]
                    command += ["--port", str(port), "--path", path, "--keys", str(keys)]
                    command += ["--seconds", str(arguments.seconds)]
                    done = subprocess.run(
                        command, env=env, check=True, capture_output=True, text=True
                    )
                    found = json.loads(done.stdout)
                if side == "ours":
                    answered += int(found["calls"])
                if side not in best or found["per_second"] > best[side]["per_second"]:
                    best[side] = found
        recorded = _recorded(url)
        left = len(list((Path(home) / "calls").glob("*.calls")))
    titles = {"bare": "裸应用，只查一行", "same": "裸应用，同一语句", "ours": "本产品"}
    print(f"{'':<12} {'次/秒':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for side, found in best.items():
        print(
            f"{titles[side]:<12} {found['per_second']:>9.0f} {found['p50_ms']:>8.1f} "
            f"{found['p99_ms']:>8.1f}"
        )
    ratio = best["ours"]["per_second"] / best["same"]["per_second"]
    to_bare = best["ours"]["per_second"] / best["bare"]["per_second"]
    whole = recorded == answered and left == 0
    result = {
        "benchmark": "service",
        "target_met": ratio >= TARGET and whole,
        "ratio": round(ratio, 3),
        "ratio_to_row_only": round(to_bare, 3),
        "connections": CONNECTIONS,
        "answered": answered,
        "recorded": recorded,
        "results": {k: {n: round(v, 2) for n, v in f.items()} for k, f in best.items()},
    }
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["target_met"] else 1


if __name__ == "__main__":
    sys.exit(main())
