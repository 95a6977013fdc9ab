"""Changed rows into a department's MariaDB and PostgreSQL; masking a file of many rows.

Ours is the whole way of a subscription: the net change is worked out from the lake's history, the
right is asked for, every person named is put on record piece by piece ahead of the rows, the rows
are merged by key into a table that holds twice as many, and the position is written in the same
transaction. The peer is a bare bulk load of the same rows from a CSV that is ready, into an empty table with the same primary key,
by the server's own fastest statement (LOAD DATA LOCAL INFILE, COPY). Sorting the recorded people into
their index, which the job does after the hand-over, is told beside it. The changes are four updates
to one insert, at random keys. Masking compares a CSV of the same portion with four masked columns
and without; both sides' best of three, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TARGET, MASKING = 2.0, 1.3
BASE = 2
"""The dataset holds so many times the changed rows."""
COLUMNS = ("citizen_number", "name", "phone", "address", "town", "amount", "changed")
ITEMS = [
    {"name": "citizen_number", "title": "公民身份号码", "element": "citizen_number", "key": True},
    {"name": "name", "title": "姓名", "element": "person_name"},
    {"name": "phone", "title": "联系电话", "type": "C", "format": "an..20"},
    {"name": "address", "title": "住址", "type": "C", "format": "an..200"},
    {"name": "town", "title": "镇街", "type": "C", "format": "an..6"},
    {"name": "amount", "title": "金额", "type": "N", "format": "n..12,2"},
    {"name": "changed", "title": "变更日期", "type": "D", "format": "YYYYMMDD"},
]
MASKS = {"citizen_number": "citizen_number", "name": "name", "phone": "phone", "address": "address"}


def rows_sql(keys: str, salt: int) -> str:
    """SQL of invented people for a relation `keys` with a column k."""
    return (
        "SELECT '3299' || lpad(CAST(k AS VARCHAR), 14, '0') AS citizen_number, "
        f"'王' || (hash(k + {salt}) % 9973) AS name, "
        "'139' || lpad(CAST(hash(k) % 100000000 AS VARCHAR), 8, '0') AS phone, "
        "'江苏省连云港市海州区幸福路' || (k % 3000) || '号' AS address, "
        "'3207' || lpad(CAST(hash(k) % 90 + 10 AS VARCHAR), 2, '0') AS town, "
        f"CAST((hash(k * 31 + {salt}) % 10000000) / 100.0 AS DECIMAL(12,2)) AS amount, "
        f"DATE '2026-01-01' + CAST(hash(k + {salt}) % 300 AS INTEGER) AS changed FROM {keys}"
    )


def day_sql(count: int, day: int) -> str:
    """SQL of a day's changed keys: four fifths in the table, one fifth new."""
    size, old, new = count * BASE, count * 4 // 5, count // 5
    spread = size // old
    return (
        f"(SELECT i * {spread} + CAST(hash(i + {day}) % {spread} AS BIGINT) AS k "
        f"FROM range({old}) r(i) UNION ALL SELECT {size} + {new} * {day} + i AS k "
        f"FROM range({new}) r(i))"
    )


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[int]:
    """A MariaDB as a package leaves it, but for a buffer that holds the table; its port."""
    from lianyun.project.mariadb import mariadb

    sizes = ("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M", "--general-log=0")
    with mariadb(folder, *sizes) as server:
        with server.connect(autocommit=True) as con, con.cursor() as cursor:
            cursor.execute("CREATE DATABASE hz CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'bench'")
            cursor.execute("GRANT ALL ON hz.* TO writer@'127.0.0.1'")
        yield server.port


def load_mariadb(port: int, file: Path) -> float:
    """A bare LOAD DATA of a ready CSV into an empty table with the same key; seconds."""
    import pymysql

    con = pymysql.connect(
        host="127.0.0.1", port=port, user="writer", password="bench", database="hz",
        charset="utf8mb4", local_infile=True,
    )  # fmt: skip
    with con, con.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare")
        cursor.execute("CREATE TABLE bare LIKE people_b")
        begun = time.perf_counter()
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE bare CHARACTER SET utf8mb4 "
            "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\n'"
        )
        con.commit()
        took = time.perf_counter() - begun
        cursor.execute("DROP TABLE bare")
    return took


def load_postgres(url: str, file: Path) -> float:
    """A bare COPY of a ready CSV into an empty table with the same key; seconds."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP TABLE IF EXISTS bare")
        con.execute("CREATE TABLE bare (LIKE people_b INCLUDING INDEXES)")
        begun = time.perf_counter()
        with (
            file.open("rb") as opened,
            con.cursor() as cursor,
            cursor.copy("COPY bare FROM STDIN (FORMAT csv)") as copy,
        ):
            while piece := opened.read(1 << 20):
                copy.write(piece)
        took = time.perf_counter() - begun
        con.execute("DROP TABLE bare")
    return took


def fill(lake: Any, batch: str, keys: str, salt: int, mode: str) -> None:
    """One batch into the dataset by the lake's own load."""
    from lianyun.lake.check import ItemCheck
    from lianyun.lake.land import from_parquet
    from lianyun.lake.merge import DatasetSpec, load

    spec = DatasetSpec(
        "people_b",
        tuple(
            ItemCheck(i["name"], i["name"], i.get("type", "C"), i.get("format", "an..60"))
            for i in ITEMS
        ),
        ("citizen_number",),
    )
    with tempfile.TemporaryDirectory() as folder, lake.connect() as con:
        file = Path(folder) / "rows.parquet"
        listed = ", ".join(f"CAST({c} AS VARCHAR) AS {c}" for c in COLUMNS)
        con.execute(f"COPY (SELECT {listed} FROM ({rows_sql(keys, salt)})) TO '{file}'")
        load(lake, spec, from_parquet(file), mode, batch)


def timed(name: str, work: Callable[[], Any], told: dict[str, list[float]]) -> Any:
    """Do something and keep how long it took under a name."""
    begun = time.perf_counter()
    out = work()
    told.setdefault(name, []).append(time.perf_counter() - begun)
    return out


def dataset() -> Any:
    """The catalogued dataset, owned by the police."""
    from lianyun.capabilities.catalogue import api as catalogue
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.install import install
    from lianyun.kernel.models import Party, Resource

    install(by=SYSTEM)
    made = catalogue.register_dataset(
        provider=Party.objects.get(slug="ga"),
        content={
            "name": "people_b",
            "title": "人员",
            "code": "101001/900009",
            "level": 3,
            "cycle": "每日",
            "items": ITEMS,
        },
        by=SYSTEM,
    )
    Resource.objects.filter(pk=made.pk).update(state=Resource.PUBLISHED)
    return Resource.objects.get(pk=made.pk)


def subscribe(resource: Any, kind: str, location: str, credentials: dict[str, str]) -> Any:
    """A subscription of the housing fund under a grant of its own."""
    from lianyun.capabilities.delivery import api as delivery
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Party

    given = grants.issue(
        kind="data",
        to=Party.objects.get(slug="gjj"),
        resource=resource,
        terms={"fields": list(COLUMNS), "purpose": "测试", "method": "批量交换"},
        by=SYSTEM,
    )
    return delivery.open_subscription(
        grant=given,
        kind=kind,
        location=location,
        credentials=credentials,
        vouched=True,
        by=SYSTEM,
    )


def sorted_in() -> None:
    """What the job does once the receiver has its rows."""
    from lianyun.capabilities.audit import api as audit

    audit.sort_people()


def carried(row: Any) -> None:
    """One carrying, which must have brought something."""
    from lianyun.capabilities.delivery import api as delivery
    from lianyun.kernel.access import SYSTEM

    if not delivery.carry(code=row.code, by=SYSTEM):
        row.refresh_from_db()
        raise SystemExit(row.error)


def deliver(lake: Any, resource: Any, count: int, rounds: int, folder: Path, url: str, port: int):
    """Each receiver and its peer, day after day; the best of each and the ratio."""
    fill(lake, "base", f"(SELECT i AS k FROM range({count * BASE}) r(i))", 0, "full")
    rows = {
        "mariadb": subscribe(
            resource,
            "mysql",
            f"mysql://127.0.0.1:{port}/hz",
            {"user": "writer", "password": "bench"},
        ),
        "postgresql": subscribe(
            resource, "postgresql", url.replace("lianyun@", ""), {"user": "lianyun"}
        ),
    }
    told: dict[str, list[float]] = {}
    for name, row in rows.items():
        timed(f"{name} first", lambda row=row: carried(row), told)
        sorted_in()
    file = folder / "same.csv"
    for day in range(1, rounds + 1):
        fill(lake, f"day{day}", day_sql(count, day), day, "incremental")
        with lake.connect() as con:
            same = rows_sql(day_sql(count, day), day)
            con.execute(
                f"COPY (FROM ({same}) ORDER BY hash(citizen_number)) TO '{file}' (HEADER false)"
            )
        told.setdefault("bare mariadb", []).append(load_mariadb(port, file))
        timed("mariadb", lambda: carried(rows["mariadb"]), told)
        timed("mariadb after", sorted_in, told)
        told.setdefault("bare postgresql", []).append(load_postgres(url, file))
        timed("postgresql", lambda: carried(rows["postgresql"]), told)
        timed("postgresql after", sorted_in, told)
        file.unlink()
    for row in rows.values():
        last = row.deliveries.order_by("-id").first()
        assert last.upserts + last.deletes >= count * 0.999, (last.upserts, last.deletes)
    out = {}
    for name in rows:
        ours, bare = min(told[name]), min(told[f"bare {name}"])
        out[name] = {
            "changed": count,
            "first_seconds": round(told[f"{name} first"][0], 2),
            "seconds": round(ours, 2),
            "bare_seconds": round(bare, 2),
            "ratio": round(ours / bare, 2),
            "index_after_seconds": round(min(told[f"{name} after"]), 2),
        }
    return out


def masking(rounds: int, folder: Path) -> dict[str, Any]:
    """A CSV of the same rows with four masked columns and without; the best of each."""
    from lianyun.capabilities.delivery.adapters import Portion, taking, write_csv

    told: dict[str, list[float]] = {}
    file, rows = folder / "out.csv", 0
    for _ in range(rounds):
        for name, masks in (("plain", {}), ("masked", MASKS)):
            with taking(Portion("people_b", COLUMNS, masks, secret="s")) as taken:
                assert taken is not None
                rows, sql = taken.upserts, f"SELECT {', '.join(COLUMNS)} FROM ({taken.rows})"
                timed(name, lambda t=taken, s=sql: write_csv(t, s, file, lambda: None), told)
            file.unlink()
    plain, masked = min(told["plain"]), min(told["masked"])
    return {
        "rows": rows,
        "plain_seconds": round(plain, 2),
        "masked_seconds": round(masked, 2),
        "ratio": round(masked / plain, 2),
    }


def child(count: int, rounds: int) -> dict[str, Any]:
    """Everything at one size in a home of its own; called in a process of its own."""
    from lianyun.project import postgres

    folder = Path(tempfile.mkdtemp(prefix="lianyun-bench-"))
    own = postgres.Server(folder / "own", durable=True)
    theirs = postgres.Server(folder / "theirs", durable=True)
    try:
        os.environ.update(
            LIANYUN_HOME=str(folder),
            LIANYUN_LAKE=str(folder / "lake"),
            LIANYUN_DATABASE_URL=own.start(dies_with_parent=True),
            DJANGO_SETTINGS_MODULE="lianyun.project.settings",
        )
        os.environ["LIANYUN_LAKE_CATALOGUE"] = os.environ["LIANYUN_DATABASE_URL"]
        url = theirs.start(dies_with_parent=True)
        subprocess.run(
            [sys.executable, "-m", "lianyun.project.schema"], check=True, stdout=subprocess.DEVNULL
        )
        import django

        django.setup()
        from lianyun.capabilities.collection import api as collection

        (folder / "mariadb").mkdir()
        with receiving(folder / "mariadb") as port:
            told = deliver(collection.lake(), dataset(), count, rounds, folder, url, port)
        told["masking"] = masking(3, folder)
        return told
    finally:
        own.stop()
        theirs.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Print each size's figures and how the ratios grow; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    given = os.environ.get("LIANYUN_BENCH_DELIVERY", "125000,500000")
    parser.add_argument("--sizes", default=given, help="changed rows, comma between")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", type=int, default=0)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.child, asked.rounds)))
        return 0
    failed = False
    for size in [int(s) for s in asked.sizes.split(",")]:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(size), "--rounds", str(asked.rounds)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        print(json.dumps({"size": size, **told}, ensure_ascii=False), flush=True)
        failed = told["masking"]["ratio"] > MASKING or any(
            told[k]["ratio"] > TARGET for k in ("mariadb", "postgresql")
        )
    print(f"目标：交付 ≤ {TARGET} 倍，脱敏 ≤ {MASKING} 倍：{'未达到' if failed else '达到'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
