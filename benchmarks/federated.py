"""Federated: answers from departments' own databases, against the bare driver and DuckDB's scanners.

``python benchmarks/federated.py [--rows N] [--calls N]`` fills a PostgreSQL and a MariaDB, then asks
each for one row by key, in turns, on warm connections: by the bare driver, by `lake.federate`
(columns and limit pushed down, breaker, time-outs, bounded connections), and by DuckDB's scanner
(ATTACH, the same condition pushed down). Then a join of a central table with both, in one request:
written by hand with two drivers and a dict, and by `lake.federate` (asked side by side, joined in
DuckDB). Every answer is compared with the driver's. Targets: a look-up costs at most 1 ms more than
the bare driver's, a join at most 10 ms more than by hand; and a server that hangs is left after the
time allowed, which a scanner does not do (it waits until the server moves again; not measured here).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LOOK_UP_MS, JOIN_MS = 1.0, 10.0


def key(i: int) -> str:
    """The i-th person's number."""
    return f"320700{i:012d}"


@contextlib.contextmanager
def servers(rows: int) -> Iterator[tuple[str, str]]:
    """A PostgreSQL and a MariaDB with `rows` people each; their URLs."""
    import psycopg

    from lianyun.project import postgres
    from lianyun.project.mariadb import mariadb

    with tempfile.TemporaryDirectory(prefix="lianyun-bench-") as home:
        Path(home).chmod(0o755)
        server = postgres.Server(Path(home) / "pg", durable=False)
        url = server.start(dies_with_parent=True)
        place = Path(home) / "mariadb"
        place.mkdir()
        try:
            with psycopg.connect(url, autocommit=True) as con:
                for table in ("people", "centre"):
                    con.execute(
                        f"CREATE TABLE {table} (id varchar(18) PRIMARY KEY, name text, born date,"
                        " region text, pay numeric(12,2))".encode()
                    )
                    con.execute(
                        f"INSERT INTO {table} SELECT '320700' || lpad(i::text, 12, '0'), '人' || i,"
                        " date '1960-01-01' + i % 20000, '32070' || i % 9, i * 1.25"
                        f" FROM generate_series(0, {rows - 1}) i".encode()
                    )
                con.execute("VACUUM ANALYZE")
            with mariadb(place) as other:
                con = other.connect()
                with con.cursor() as cursor:
                    cursor.execute("CREATE DATABASE rs CHARACTER SET utf8mb4")
                    cursor.execute(
                        "CREATE TABLE rs.insured (person varchar(18) PRIMARY KEY, unit varchar(50))"
                    )
                    for at in range(0, rows, 20_000):
                        cursor.executemany(
                            "INSERT INTO rs.insured VALUES (%s, %s)",
                            [(key(i), f"单位{i % 97}") for i in range(at, min(at + 20_000, rows))],
                        )
                con.commit()
                con.close()
                yield url, f"mysql://root@localhost/rs?unix_socket={other.path}"
        finally:
            server.stop()


def timed(ways: dict[str, Callable[[str], Any]], keys: list[str]) -> dict[str, float]:
    """Median milliseconds of each way over the keys, the ways in turns; all must agree."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for one in keys[:20]:
        for ask in ways.values():
            ask(one)
    for one in keys:
        answers = []
        for name, ask in ways.items():
            began = time.perf_counter()
            answers.append(ask(one))
            took[name].append((time.perf_counter() - began) * 1000)
        if any(a != answers[0] for a in answers):
            raise SystemExit(f"答案不一致：{answers}")
    return {name: statistics.median(values) for name, values in took.items()}


def measure(rows: int, calls: int) -> bool:
    """Print one size's figures; whether the targets are met."""
    import psycopg
    import pymysql

    from lianyun.lake.federate import Condition, Federation, Part, Place, Question
    from lianyun.lake.shelves import literal, load_extension, open_duckdb

    draw = random.Random(7)
    with servers(rows) as (pg_url, my_url):
        keys = [key(draw.randrange(rows)) for _ in range(calls)]
        socket = my_url.split("unix_socket=")[1]
        pg = psycopg.connect(pg_url, autocommit=True)
        my = pymysql.connect(
            unix_socket=socket, user="root", database="rs", charset="utf8mb4", autocommit=True
        )
        police, pay = Place("ga", "公安", pg_url), Place("rs", "人社", my_url)
        centre = Place("centre", "人口库", pg_url)
        federation = Federation()
        duck = open_duckdb()
        load_extension(duck, "postgres_scanner")
        load_extension(duck, "mysql_scanner")
        duck.execute(f"ATTACH {literal(pg_url)} AS pg (TYPE postgres, READ_ONLY)")
        duck.execute(
            f"CREATE TEMPORARY SECRET s (TYPE mysql, SOCKET {literal(socket)}, USER 'root',"
            " DATABASE 'rs')"
        )
        duck.execute("ATTACH '' AS my (TYPE mysql, READ_ONLY, SECRET s)")

        def by_psycopg(one: str) -> Any:
            return pg.execute("SELECT id, name FROM people WHERE id = %s", [one]).fetchall()

        def by_pymysql(one: str) -> Any:
            with my.cursor() as cursor:
                cursor.execute("SELECT person, unit FROM insured WHERE person = %s", [one])
                return list(cursor.fetchall())

        def federated(place: Place, table: str, *columns: str) -> Callable[[str], Any]:
            def ask(one: str) -> Any:
                question = Question(place, table, columns, (Condition(columns[0], "=", one),), 100)
                return federation.answer(question).rows

            return ask

        def scanned(table: str, *columns: str) -> Callable[[str], Any]:
            sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {columns[0]} = ? LIMIT 100"
            return lambda one: duck.execute(sql, [one]).fetchall()

        parts = [
            Part(centre, "centre", ("id",)),
            Part(police, "people", ("name",), "id", "id"),
            Part(pay, "insured", ("unit",), "person", "id"),
        ]
        outputs = [(0, "id", "id"), (0, "region", "region"), (1, "name", "name"), (2, "unit", "u")]

        def joined(one: str) -> Any:
            return federation.join(parts, [Condition("id", "=", one)], outputs).rows

        def by_hand(one: str) -> Any:
            first = pg.execute("SELECT id, region FROM centre WHERE id = %s", [one]).fetchall()
            names = dict(pg.execute("SELECT id, name FROM people WHERE id = %s", [one]).fetchall())
            units = dict(by_pymysql(one))
            return [(*row, names.get(row[0]), units.get(row[0])) for row in first]

        good = True
        for title, ways in (
            (
                "PostgreSQL 按键查一行",
                {
                    "psycopg": by_psycopg,
                    "federate": federated(police, "people", "id", "name"),
                    "scanner": scanned("pg.people", "id", "name"),
                },
            ),
            (
                "MariaDB 按键查一行",
                {
                    "pymysql": by_pymysql,
                    "federate": federated(pay, "insured", "person", "unit"),
                    "scanner": scanned("my.rs.insured", "person", "unit"),
                },
            ),
        ):
            took = timed(ways, keys)
            peer = next(iter(took))
            more = took["federate"] - took[peer]
            good &= more <= LOOK_UP_MS
            print(
                f"{rows:>9,} 行  {title}：{peer} {took[peer]:.2f} ms，federate"
                f" {took['federate']:.2f} ms（多 {more:.2f} ms），DuckDB 扫描器"
                f" {took['scanner']:.2f} ms（{took['scanner'] / took['federate']:.0f} 倍）",
                flush=True,
            )
        took = timed({"hand": by_hand, "federate": joined}, keys)
        more = took["federate"] - took["hand"]
        good &= more <= JOIN_MS
        print(
            f"{rows:>9,} 行  中心库与两个部门库连接：手写 {took['hand']:.2f} ms，federate"
            f" {took['federate']:.2f} ms（多 {more:.2f} ms）",
            flush=True,
        )
        federation.close()
        duck.close()
        pg.close()
        my.close()
    return good


def main() -> int:
    """Measure at one tenth of the size and at the size; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=int(os.environ.get("ROWS", "200000")))
    parser.add_argument("--calls", type=int, default=300)
    told = parser.parse_args()
    if not shutil.which("mariadbd"):
        print("没有安装 mariadb-server", file=sys.stderr)
        return 1
    met = [measure(rows, told.calls) for rows in (told.rows // 10, told.rows)]
    print(f"目标：查一行至多比驱动多 {LOOK_UP_MS} ms，连接至多比手写多 {JOIN_MS} ms")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
