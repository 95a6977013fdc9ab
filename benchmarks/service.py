"""Service: one row by key with grant, masking and call record, against five peers.

``python benchmarks/service.py [--rows N] [--seconds S]`` fills a table, then sends look-ups of
random keys over 32 connections on the loopback, in turns, to its peers and to the product's own
door (credential, grant, quota, masks, journal, chained call record), each with one worker:

- a bare ASGI application with the same driver that looks the row up only, and one that runs the
  product's very statement (grant and row);
- a plain Django view with the same duties in CKAN's datastore style (credential, right, row, mask,
  log row), served by granian with eight threads;
- Datasette over an SQLite copy of the same rows (row only: it knows no grants, masks or records).

PostgREST's published figure (2,068 requests a second on two virtual cores) is printed beside them
as a quotation. Targets: half of the same statement, 2 x the Django view, 3 x Datasette, p99 at most
50 ms at 32 connections, no error at 1,000 connections, and every answered call in the record when
the server has ended.
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

from service_peers import NAMES

CONNECTIONS = 32
TARGET = 0.5
TARGETS = {"django": 2.0, "datasette": 3.0}
MOST_P99_MS = 50.0
HERE = Path(__file__).resolve().parent
QUOTED_POSTGREST = 2068
MANY = 1000


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
            f"GET {path}{'&' if '?' in path else '?'}citizen_number={key} HTTP/1.1\r\nHost: t\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"unexpected answer: {head[:200]!r}")
        low = head.lower()
        if b"transfer-encoding: chunked" in low:
            while await reader.readuntil(b"\r\n") != b"0\r\n":
                pass
            await reader.readuntil(b"\r\n")
        else:
            at = low.index(b"content-length: ") + 16
            await reader.readexactly(int(head[at : head.index(b"\r", at)]))
        took.append(time.perf_counter() - begun)
    writer.close()
    return took


async def _load(
    port: int, path: str, token: str, keys: list[str], seconds: float, connections: int
) -> list[float]:
    until = time.perf_counter() + seconds
    parts = await asyncio.gather(
        *(_one(port, path, token, keys, until) for _ in range(connections))
    )
    return sorted(t for part in parts for t in part)


def load_child(arguments: argparse.Namespace) -> None:
    """Warm up, then measure; prints figures as JSON. A process of its own, like a real caller."""
    keys = json.loads(Path(arguments.keys).read_text())
    port, path, token = arguments.port, arguments.path, os.environ["BENCH_TOKEN"]
    many = arguments.connections
    warm = asyncio.run(_load(port, path, token, keys, 1.0, min(many, CONNECTIONS)))
    took = asyncio.run(_load(port, path, token, keys, arguments.seconds, many))
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
        cursor.execute(
            "CREATE TABLE bench_log (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), "
            "client text, key_hash text, rows int)"
        )
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


def served(app: str, env: dict[str, str]) -> Any:
    """An ASGI application ("module:name") under one worker; a context that gives its port."""
    port = _free_port()
    return _running([*_granian(port), "--interface=asgi", app], port, env)


def _granian(port: int) -> list[str]:
    granian = [sys.executable, "-m", "granian", "--host=127.0.0.1", f"--port={port}"]
    return [*granian, "--workers=1", "--no-ws", "--log-level=warning", "--backlog=2048"]


def _served(side: str, env: dict[str, str], copy: Path) -> Any:
    """One side's server with one worker; a context that gives its port."""
    port = _free_port()
    granian = _granian(port)
    command = {
        "bare": [*granian, "--interface=asgi", "service_peers:bare"],
        "same": [*granian, "--interface=asgi", "service_peers:same"],
        "ours": [*granian, "--interface=asgi", "lianyun.project.asgi:app"],
        "django": [*granian, "--interface=wsgi", "--blocking-threads=8", "service_peers:plain"],
        "datasette": [
            *(sys.executable, "-m", "datasette", "serve", str(copy), f"--port={port}"),
            *("--setting", "default_facet_size", "1", "--setting", "suggest_facets", "off"),
        ],
    }[side]
    env = {**env, "BENCH_SIDE": "plain"} if side == "django" else env
    return _running(command, port, env)


@contextlib.contextmanager
def _running(command: list[str], port: int, env: dict[str, str]) -> Any:
    process = subprocess.Popen(
        command, env=env, cwd=HERE, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
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


def _sqlite_copy(url: str, path: Path) -> None:
    """The same rows for Datasette, with the same key."""
    import sqlite3

    import psycopg

    with psycopg.connect(url) as pg, sqlite3.connect(path) as lite:
        lite.execute(f"CREATE TABLE people ({', '.join(NAMES)}, PRIMARY KEY (citizen_number))")
        cursor = pg.execute(f"SELECT {', '.join(f'{n}::text' for n in NAMES)} FROM served.people")
        marks = ", ".join("?" for _ in NAMES)
        lite.executemany(f"INSERT INTO people VALUES ({marks})", cursor)


PATHS = {
    "bare": "/",
    "same": "/",
    "ours": "/api/data/people",
    "django": "/api/3/action/datastore_search",
    "datasette": "/people/people.json?_shape=array&_nocount=1&_nofacet=1&_nosuggest=1",
}


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
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help=argparse.SUPPRESS)
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
        copy = Path(home) / "people.db"
        _sqlite_copy(url, copy)
        best: dict[str, dict[str, float]] = {}
        answered = 0

        def measure(side: str, port: int, connections: int) -> dict[str, float]:
            command = [sys.executable, str(HERE / "service.py"), "--load"]
            command += ["--port", str(port), "--path", PATHS[side], "--keys", str(keys)]
            command += ["--seconds", str(arguments.seconds), "--connections", str(connections)]
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{side}: {done.stderr[-1000:]}")
            return dict(json.loads(done.stdout))

        for turn in range(arguments.rounds):
            # The order turns, so that no side always runs on a warm or a tired machine.
            at = turn % len(PATHS)
            for side in [*list(PATHS)[at:], *list(PATHS)[:at]]:
                with _served(side, env, copy) as port:
                    mark = "&" if "?" in PATHS[side] else "?"
                    probe = urllib.request.Request(
                        f"http://127.0.0.1:{port}{PATHS[side]}{mark}citizen_number={stage['keys'][0]}",
                        headers={"Authorization": f"Bearer {stage['token']}"},
                    )
                    shown = urllib.request.urlopen(probe, timeout=30).read()
                    assert (b"*" in shown) == (side in ("ours", "django")), (side, shown)
                    found = measure(side, port, CONNECTIONS)
                    if side == "ours":
                        answered += 1 + int(found["calls"])
                if side not in best or found["per_second"] > best[side]["per_second"]:
                    best[side] = found
        with _served("ours", env, copy) as port:
            many = measure("ours", port, MANY)
            answered += int(many["calls"])
        recorded = _recorded(url)
        left = len(list((Path(home) / "calls").glob("*.calls")))
    titles = {
        "bare": "裸应用，只查一行",
        "same": "裸应用，同一语句",
        "django": "Django 视图（CKAN 式，同样职责）",
        "datasette": "Datasette（只查一行）",
        "ours": "本产品",
    }
    print(f"{'':<24} {'次/秒':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for side, title in titles.items():
        found = best[side]
        print(
            f"{title:<24} {found['per_second']:>9.0f} {found['p50_ms']:>8.1f} "
            f"{found['p99_ms']:>8.1f}"
        )
    print(
        f"{f'本产品，{MANY} 个连接':<24} {many['per_second']:>9.0f} {many['p50_ms']:>8.1f} "
        f"{many['p99_ms']:>8.1f}（无一出错）"
    )
    print(f"{'PostgREST（其公布值，未实测）':<20} {QUOTED_POSTGREST:>9}")
    ours = best["ours"]["per_second"]
    ratios = {side: ours / best[side]["per_second"] for side in best if side != "ours"}
    print("本产品为：" + "，".join(f"{titles[s]} 的 {r:.2f} 倍" for s, r in ratios.items()))
    whole = recorded == answered and left == 0
    met = (
        ratios["same"] >= TARGET
        and all(ratios[side] >= least for side, least in TARGETS.items())
        and best["ours"]["p99_ms"] <= MOST_P99_MS
        and whole
    )
    result = {
        "benchmark": "service",
        "target_met": met,
        "ratio": round(ratios["same"], 3),
        "ratio_to_row_only": round(ratios["bare"], 3),
        "ratio_to_django": round(ratios["django"], 2),
        "ratio_to_datasette": round(ratios["datasette"], 2),
        "quoted_postgrest": QUOTED_POSTGREST,
        "connections": CONNECTIONS,
        "answered": answered,
        "recorded": recorded,
        "many": {"connections": MANY, **{n: round(v, 2) for n, v in many.items()}},
        "results": {k: {n: round(v, 2) for n, v in f.items()} for k, f in best.items()},
    }
    print(json.dumps(result, ensure_ascii=False))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
