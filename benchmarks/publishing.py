"""Publishing: one more of 1,071 services, while calls to the others go on.

``python benchmarks/publishing.py [--services N] [--rows N] [--new N] [--seconds S]`` makes N services
over served tables of their own and keeps eight callers asking them through the product's own door;
meanwhile it publishes new ones, each from rows in the lake: copied, indexed, catalogued, with its
test environment. The first publication of a fresh process opens the lake and is told apart: the
worker that publishes lives long. The peer does the least that any way must do with the same rows: COPY and one
index. Targets: at most one second for each publication, no call fails, none waits over a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SECOND = 1.0
CALLERS = 8


def _stage(services: int, rows: int, new: int) -> tuple[list[tuple[str, str]], list[int]]:
    """Services with their grants, and datasets in the lake that have none yet; (name, token) and ids."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "lianyun.project.settings"
    django.setup()
    from django.db import connection, transaction

    from lianyun.capabilities.catalogue import api as catalogue
    from lianyun.capabilities.services import actions, adapters, rules
    from lianyun.capabilities.services.models import Service
    from lianyun.kernel import grant as grants
    from lianyun.kernel import install
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Party, Resource
    from lianyun.lake.shelves import Column, ensure_table, quote
    from lianyun.project import schema

    schema.bring_up_to_date(connection)
    install.install(by=SYSTEM)
    catalogue.sync_declared(by=SYSTEM)
    owner = Party.objects.filter(kind="department")[0]
    to = Party.objects.filter(kind="department")[1]
    columns = [vars(rules.Field(n, n)) for n in ("id", "name", "town")]
    tokens = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS served")
        for n in range(services):
            name = f"made_{n}"
            source = Resource.objects.create(
                code=f"B/{n}", name=name, kind="dataset", title=name, owner=owner
            )
            made = Resource.objects.create(
                code=f"SV/B/{n}", name=f"{name}_query", kind="service", title=name, owner=owner
            )
            cursor.execute(
                f"CREATE TABLE served.{name} (id text PRIMARY KEY, name text, town text)"
            )
            cursor.execute(
                f"INSERT INTO served.{name} SELECT i::text, 'n' || i, 't' FROM generate_series(1, 50) i"
            )
            Service.objects.create(
                resource=made,
                source=source,
                table=f"served.{name}",
                lookups=[["id"]],
                columns=columns,
            )
            if n % max(1, services // 40) == 0:
                grant = grants.issue(
                    kind="data",
                    to=to,
                    resource=source,
                    terms={"fields": ["id", "name"], "purpose": "性能", "calls_per_day": 0},
                    by=SYSTEM,
                )
                client = actions.issue_client(grant=grant, by=SYSTEM)
                tokens.append((name, actions.collect_secret(client=client, by=SYSTEM)))
    fresh = []
    for resource in Resource.objects.filter(kind="dataset").exclude(name__startswith="made_"):
        key = resource.data.get("key") or []
        items = list(catalogue.items_of(resource))
        if not key or len(fresh) == new:
            continue
        with adapters.lake().connect() as con:
            ensure_table(
                con, "trusted", resource.name, [*(Column(i.name) for i in items), Column("_batch")]
            )
            values = ", ".join(f"'{i.name}' || n" for i in items)
            con.execute(
                f"INSERT INTO lake.trusted.{quote(resource.name)} "
                f"SELECT {values}, 'b' FROM range({rows}) t(n)"
            )
        fresh.append(resource.pk)
    connection.close()
    return tokens, fresh


def _publish(ids: list[int], took: list[float], pause: float) -> None:
    """Publish the new ones, one after another."""
    from django.db import connection

    from lianyun.capabilities.services import actions
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource

    for pk in ids:
        source = Resource.objects.get(pk=pk)
        begun = time.perf_counter()
        actions.open_service(source=source, by=SYSTEM)
        took.append(time.perf_counter() - begun)
        time.sleep(pause)
    connection.close()


async def _call(tokens: list[tuple[str, str]], until: threading.Event) -> tuple[list[float], int]:
    """Eight callers over the product's application, in this loop as in one worker."""
    import httpx

    from lianyun.capabilities.services import fast

    waits: list[float] = []
    failed = 0

    async def caller(number: int) -> None:
        nonlocal failed
        transport = httpx.ASGITransport(app=fast.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
            at = number
            while not until.is_set():
                name, token = tokens[at % len(tokens)]
                at += CALLERS + 1
                begun = time.perf_counter()
                answer = await http.get(
                    f"/api/data/{name}/{at % 50 + 1}", headers={"Authorization": f"Bearer {token}"}
                )
                waits.append(time.perf_counter() - begun)
                failed += answer.status_code != 200

    await asyncio.gather(*(caller(n) for n in range(CALLERS)))
    await fast.shutdown()
    return waits, failed


def _peer(url: str, rows: int, times: int) -> float:
    """COPY of as many rows of 20 columns, and one index: seconds, the median."""
    import psycopg

    took = []
    with psycopg.connect(url, autocommit=True) as pg:
        columns = ", ".join(f"c{n} text" for n in range(20))
        for turn in range(times):
            begun = time.perf_counter()
            pg.execute(f"CREATE TABLE peer_{turn} ({columns})".encode())
            with pg.cursor() as cursor, cursor.copy(f"COPY peer_{turn} FROM STDIN") as copy:
                for n in range(rows):
                    copy.write_row([f"value{n}"] * 20)
            pg.execute(f"CREATE UNIQUE INDEX ON peer_{turn} (c0)".encode())
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


def main() -> int:
    """Stage, publish while others call, print, and say whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1071)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--new", type=int, default=10)
    parser.add_argument("--pause", type=float, default=0.2)
    arguments = parser.parse_args()
    from lianyun.project import postgres

    with tempfile.TemporaryDirectory(prefix="publishing-") as home:
        server = postgres.Server(Path(home) / "server", durable=True)
        server.start(dies_with_parent=True)
        try:
            import psycopg

            with psycopg.connect(server.url("postgres"), autocommit=True) as pg:
                for name in ("bench", "lake"):
                    pg.execute(f"CREATE DATABASE {name}".encode())
            url = server.url("bench")
            os.environ.update(
                LIANYUN_HOME=home,
                LIANYUN_DATABASE_URL=url,
                LIANYUN_LAKE_CATALOGUE=server.url("lake"),
                LIANYUN_LAKE=str(Path(home) / "lake"),
            )
            tokens, fresh = _stage(arguments.services, arguments.rows, arguments.new + 1)
            took: list[float] = []
            done = threading.Event()

            def work() -> None:
                try:
                    _publish(fresh, took, arguments.pause)
                finally:
                    done.set()

            thread = threading.Thread(target=work)
            thread.start()
            waits, failed = asyncio.run(_call(tokens, done))
            thread.join()
            peer = _peer(url, arguments.rows, 5)
        finally:
            server.stop()
    waits.sort()
    first, took = took[0], took[1:]
    middle = statistics.median(took)
    print(f"已有服务 {arguments.services} 个，新发布 {len(took)} 个（各 {arguments.rows} 行）")
    print(
        f"{'发布一个':<14} 中位 {middle:.3f} 秒　最长 {max(took):.3f} 秒　进程的第一个 {first:.3f} 秒"
    )
    print(f"{'裸 COPY 加索引':<12} 中位 {peer:.3f} 秒　比值 {middle / peer:.1f}")
    print(
        f"{'其间的调用':<13} {len(waits)} 次　失败 {failed} 次　"
        f"p99 {waits[int(len(waits) * 0.99)]:.3f} 秒　最长 {waits[-1]:.3f} 秒"
    )
    met = max(took) <= SECOND and not failed and waits[-1] <= SECOND and len(took) > 0
    result: dict[str, Any] = {
        "benchmark": "publishing",
        "target_met": met,
        "services": arguments.services,
        "published": len(took),
        "median_s": round(middle, 3),
        "longest_s": round(max(took), 3),
        "first_of_process_s": round(first, 3),
        "ratio_to_copy_and_index": round(middle / peer, 2),
        "calls": len(waits),
        "failed": failed,
        "longest_call_s": round(waits[-1], 3),
    }
    print(json.dumps(result, ensure_ascii=False))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
