"""Catalogue: import of an Excel file and search, each against a bare PostgreSQL in the same run.

``python benchmarks/catalogue.py [--sizes 1 4 10]`` writes workbooks of 1,071 resources and 12,492
items (and four and ten times as many), imports each with all checks, versions, events and search
vectors, and asks the search for words of one character, of two, of more, common and rare. Peers:
a bare COPY of the same rows into two tables without any index, check or version; and a plain
ILIKE over resource and item names, read and ordered the same way. Targets at size 1: import at
most 20 s, search p99 at most 50 ms. Every side runs in this process, by turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESOURCES, ITEMS = 1071, 12492
TARGET_SECONDS, TARGET_P99_MS = 20.0, 50.0
SUBJECTS = (
    "户籍",
    "婚姻",
    "社保",
    "企业",
    "车辆",
    "房产",
    "教育",
    "医疗",
    "环境",
    "林地",
    "港口",
    "渔业",
    "文化",
    "养老",
    "消防",
)
DEEDS = ("登记", "许可", "备案", "处罚", "检查", "补贴", "缴费", "鉴定", "年报", "统计")
KINDS = ("信息", "名录", "记录", "台账")
WORDS = (
    "婚",
    "人",
    "税",
    "局",
    "婚姻",
    "婚姻登記",
    "信息",
    "登记",
    "企业年报",
    "户籍登记信息",
    "市民政局",
    "港口许可",
    "公民身份号码",
    "10101",
    "hydj",
    "不存在词",
)


def entries(
    size: int, slugs: list[str], classes: list[str], elements: list[tuple[str, str, str, str]]
) -> list[dict[str, Any]]:
    """`size` times a city's catalogue, deterministic."""
    dice = random.Random(7)
    serial: dict[str, int] = {}
    out = []
    count, items_all = RESOURCES * size, ITEMS * size
    for n in range(count):
        category = dice.choice(classes)
        serial[category] = serial.get(category, 0) + 1
        many = items_all // count + (1 if n < items_all % count else 0)
        chosen = dice.sample(elements, many)
        title = f"{dice.choice(SUBJECTS)}{dice.choice(DEEDS)}{dice.choice(KINDS)}"
        out.append(
            {
                "code": f"{category}/{900000 + serial[category]}",
                "name": f"bench_{n}",
                "title": f"{title}之{n}",
                "provider": dice.choice(slugs),
                "summary": f"依职责形成的{title}，第 {n} 号。",
                "class": category,
                "format": "数据库",
                "share": {
                    "type": 2,
                    "conditions": "限履行职责使用",
                    "basis": "",
                    "method": "服务接口",
                },
                "open": {"type": 0, "conditions": ""},
                "cycle": dice.choice(("每日", "每月", "每年")),
                "level": 4,
                "published_on": "2026-01-01",
                "related": [],
                "items": [
                    {
                        "name": c,
                        "title": t,
                        "element": c,
                        "type": k,
                        "format": f,
                        "required": i == 0,
                        "key": i == 0,
                        "note": "",
                    }
                    for i, (c, t, k, f) in enumerate(chosen)
                ],
            }
        )
    return out


def copied(rows: list[dict[str, Any]]) -> float:
    """The peer of the import: the same rows by COPY into two bare tables, one transaction; seconds."""
    from django.db import connection, transaction

    begun = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare_item, bare_resource")
        cursor.execute(
            "CREATE TABLE bare_resource (code text, name text, title text, provider text, body jsonb)"
        )
        cursor.execute(
            "CREATE TABLE bare_item (code text, position int, name text, title text, element text, type text, format text, required bool, key bool, note text)"
        )
        with cursor.copy("COPY bare_resource FROM STDIN") as copy:
            for r in rows:
                rest = {k: v for k, v in r.items() if k != "items"}
                copy.write_row(
                    (
                        r["code"],
                        r["name"],
                        r["title"],
                        r["provider"],
                        json.dumps(rest, ensure_ascii=False),
                    )
                )
        with cursor.copy("COPY bare_item FROM STDIN") as copy:
            for r in rows:
                for at, i in enumerate(r["items"], 1):
                    copy.write_row(
                        (
                            r["code"],
                            at,
                            i["name"],
                            i["title"],
                            i["element"],
                            i["type"],
                            i["format"],
                            i["required"],
                            i["key"],
                            i["note"],
                        )
                    )
    return time.perf_counter() - begun


def timed(ask: Callable[[str], Any], rounds: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds over every word, `rounds` times, in mixed order."""
    words = list(WORDS) * rounds
    random.Random(3).shuffle(words)
    for word in WORDS:
        ask(word)
    took = []
    for word in words:
        begun = time.perf_counter()
        ask(word)
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return statistics.median(took), took[min(int(len(took) * 0.99), len(took) - 1)]


def scan(word: str) -> None:
    """The peer of the search: ILIKE over the bare tables, first page and count."""
    from django.db import connection

    like = f"%{word}%"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.code, r.title, count(*) OVER () FROM bare_resource r WHERE r.title ILIKE %s OR r.code ILIKE %s "
            "OR EXISTS (SELECT FROM bare_item i WHERE i.code = r.code AND i.title ILIKE %s) ORDER BY r.code LIMIT 20",
            [like, like, like],
        )
        cursor.fetchall()


def measure(size: int, rounds: int) -> dict[str, Any]:
    """One size: import and COPY, search and scan."""
    from django.db import connection

    from lianyun.capabilities.catalogue import adapters, api, queries
    from lianyun.capabilities.catalogue.models import CatalogueClass
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Element, Party

    parties = list(Party.objects.filter(kind=Party.DEPARTMENT))
    classes = list(
        CatalogueClass.objects.filter(level__in=["目", "细目"]).values_list("code", flat=True)
    )
    elements = list(Element.objects.order_by("code").values_list("code", "title", "type", "format"))
    rows = entries(size, [p.slug or "" for p in parties], classes, elements)
    book = adapters.workbook(rows, {p.slug or "": (p.code or "", p.name) for p in parties})
    bare = copied(rows)
    begun, cpu = time.perf_counter(), time.process_time()
    report = api.import_catalogue(file=book, file_name="bench.xlsx", by=SYSTEM)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    assert report.created + report.updated == len(rows), report.issues[:3]
    begun = time.perf_counter()
    again = api.import_catalogue(file=book, file_name="bench.xlsx", by=SYSTEM)
    assert again.unchanged == len(rows)
    again_seconds = time.perf_counter() - begun
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bare_resource, bare_item")
    cpu = time.process_time()
    ours = timed(lambda w: queries.search(SYSTEM, queries.Filters(q=w)), rounds)
    asked = len(WORDS) * (rounds + 1)
    search_cpu = (time.process_time() - cpu) * 1000 / asked
    facets = timed(lambda w: queries.facets(SYSTEM, queries.Filters(q=w)), max(rounds // 4, 1))
    peer = timed(scan, rounds)
    return {
        "size": size,
        "resources": len(rows),
        "items": sum(len(r["items"]) for r in rows),
        "file_mb": round(len(book) / 1e6, 2),
        "import_seconds": round(seconds, 2),
        "import_cpu_seconds": round(used, 2),
        "again_seconds": round(again_seconds, 2),
        "copy_seconds": round(bare, 2),
        "search_p50_ms": round(ours[0], 1),
        "search_p99_ms": round(ours[1], 1),
        "search_cpu_ms": round(search_cpu, 2),
        "load_average": round(os.getloadavg()[0], 1),
        "facets_p99_ms": round(facets[1], 1),
        "ilike_p50_ms": round(peer[0], 1),
        "ilike_p99_ms": round(peer[1], 1),
    }


def one(size: int, rounds: int) -> None:
    """One size in this process, whose environment names a fresh database; prints JSON."""
    import subprocess

    subprocess.run([sys.executable, "-m", "lianyun.project.schema"], check=True)
    import django

    django.setup()
    from lianyun.capabilities.catalogue import api
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.install import install

    install(by=SYSTEM)
    api.sync_declared(by=SYSTEM)
    print(json.dumps(measure(size, rounds)))


def main() -> int:
    """Measure every size in a database and a process of its own; 1 if a target is missed at size 1."""
    parser = argparse.ArgumentParser(description="目录导入与检索")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments.rounds)
        return 0
    import subprocess

    import psycopg

    from lianyun.project import postgres

    results = []
    with tempfile.TemporaryDirectory(prefix="catalogue-") as home:
        # A server that waits for its disk, as the product's own does.
        server = postgres.Server(Path(home) / "server", durable=True)
        server.start(dies_with_parent=True)
        try:
            for size in arguments.sizes:
                with psycopg.connect(server.url("postgres"), autocommit=True) as con:
                    con.execute(f"CREATE DATABASE bench_{size}".encode())
                env = {
                    **os.environ,
                    "LIANYUN_HOME": home,
                    "LIANYUN_DATABASE_URL": server.url(f"bench_{size}"),
                    "DJANGO_SETTINGS_MODULE": "lianyun.project.settings",
                }
                command = [sys.executable, __file__, "--one", str(size)]
                command += ["--rounds", str(arguments.rounds)]
                done = subprocess.run(
                    command, env=env, check=True, stdout=subprocess.PIPE, text=True
                )
                results.append(json.loads(done.stdout.strip().splitlines()[-1]))
        finally:
            server.stop()
    print(
        f"{'资源':>8} {'信息项':>8} {'导入 秒':>8} {'重导 秒':>8} {'COPY 秒':>8} {'检索 p50':>9} {'p99 ms':>8} {'ILIKE p50':>10} {'p99 ms':>8}"
    )
    for r in results:
        print(
            f"{r['resources']:>10} {r['items']:>10} {r['import_seconds']:>10} {r['again_seconds']:>10} {r['copy_seconds']:>9} "
            f"{r['search_p50_ms']:>10} {r['search_p99_ms']:>9} {r['ilike_p50_ms']:>10} {r['ilike_p99_ms']:>9}"
        )
    first = min(results, key=lambda r: r["size"])
    good = first["import_seconds"] <= TARGET_SECONDS and first["search_p99_ms"] <= TARGET_P99_MS
    print(json.dumps({"benchmark": "catalogue", "target_met": good, "results": results}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
