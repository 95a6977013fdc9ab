"""A day's changes: 400,000 updates and 100,000 inserts at random keys onto a large dataset.

Ours lands the rows as they arrived, checks every item and two rules, keeps rejected rows, writes
before-images for the change feed and commits all of it in one transaction. The peer is the
engine's own `MERGE INTO` of rows that are clean and typed already, on an equal table in the same
lake. Both sides see the same keys; both tables have had one such day before, so that there are
delete files as in life.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TARGET_RATIO = 1.5
UPDATES, INSERTS = 4, 1  # of five changed rows

COLUMNS = "id, name, town, amount, changed"


def rows_sql(keys: str, salt: int) -> str:
    """SQL of clean typed rows for a relation `keys` with a column k; `salt` varies the values."""
    return (
        f"SELECT k AS id, '王' || (hash(k + {salt}) % 9973) AS name, "
        f"'3207' || lpad(CAST(hash(k) % 90 + 10 AS VARCHAR), 2, '0') AS town, "
        f"CAST((hash(k * 31 + {salt}) % 10000000) / 100.0 AS DECIMAL(12,2)) AS amount, "
        f"DATE '2026-01-01' + CAST(hash(k + {salt}) % 300 AS INTEGER) AS changed FROM {keys}"
    )


def day_sql(size: int, count: int, day: int) -> str:
    """SQL of a day's changed keys: four fifths in the table, one fifth new."""
    old, new = count * UPDATES // 5, count * INSERTS // 5
    spread = size // old
    return (
        f"(SELECT i * {spread} + CAST(hash(i + {day}) % {spread} AS BIGINT) AS k FROM range({old}) r(i) "
        f"UNION ALL SELECT {size} + {new} * {day} + i AS k FROM range({new}) r(i))"
    )


def spec() -> Any:
    """The dataset both sides hold."""
    from lianyun.lake.check import ItemCheck, RowRule
    from lianyun.lake.merge import DatasetSpec

    return DatasetSpec(
        "ledger",
        (
            ItemCheck("id", "编号", "N", "n..12", required=True),
            ItemCheck("name", "姓名", format="an..50", required=True),
            ItemCheck("town", "乡镇", format="n6"),
            ItemCheck("amount", "金额", "Y", "n..12,2"),
            ItemCheck("changed", "变更日期", "D"),
        ),
        ("id",),
        rules=(
            RowRule("paid", "金额不为负", "amount >= 0"),
            RowRule("late", "变更日期不晚于 2027 年", "changed < DATE '2027-01-01'", "warn"),
        ),
    )


def prepare(lake: Any, size: int) -> None:
    """Fills both tables with `size` equal rows, as loads would have left them."""
    from lianyun.lake.land import from_rows
    from lianyun.lake.merge import load, row_hash

    names = [c.strip() for c in COLUMNS.split(",")]
    load(lake, spec(), from_rows(["编号", "姓名"], [(2, ["-1", "首行"])]), "full", "first")
    with lake.connect() as con:
        made = rows_sql(f"(SELECT i AS k FROM range({size}) r(i))", 0)
        con.execute(
            f"INSERT INTO lake.trusted.ledger ({COLUMNS}, _batch, _line, _loaded_at, _hash) "
            f"SELECT {COLUMNS}, 'base', id, now()::TIMESTAMP, {row_hash(names)} FROM ({made})"
        )
        con.execute(f"CREATE TABLE lake.trusted.peer AS SELECT {COLUMNS} FROM ({made})")


def ours(lake: Any, folder: Path, size: int, count: int, day: int) -> float:
    """One day by the lake's own load; seconds."""
    from lianyun.lake.land import from_parquet
    from lianyun.lake.merge import load

    with lake.connect() as con:
        # one row in a thousand is dirty: it must be kept aside with its reasons
        con.execute(
            "COPY (SELECT CAST(id AS VARCHAR) AS 编号, "
            "CASE WHEN id % 1000 = 7 THEN '' ELSE name END AS 姓名, town AS 乡镇, "
            "CAST(amount AS VARCHAR) AS 金额, CAST(changed AS VARCHAR) AS 变更日期 "
            f"FROM ({rows_sql(day_sql(size, count, day), day)}) ORDER BY hash(id)) "
            f"TO '{folder}/day.parquet'"
        )
    begun = time.perf_counter()
    done = load(lake, spec(), from_parquet(folder / "day.parquet"), "incremental", f"day{day}")
    seconds = time.perf_counter() - begun
    if done.landed != done.accepted + done.rejected or not done.rejected:
        raise SystemExit(f"rows do not add up: {done}")
    return seconds


def peer(lake: Any, folder: Path, size: int, count: int, day: int) -> float:
    """The same day by the engine's MERGE of clean rows; seconds."""
    with lake.connect() as con:
        con.execute(
            f"COPY (FROM ({rows_sql(day_sql(size, count, day), day)}) ORDER BY hash(id)) "
            f"TO '{folder}/clean.parquet'"
        )
        begun = time.perf_counter()
        con.execute(
            "MERGE INTO lake.trusted.peer p USING "
            f"(FROM '{folder}/clean.parquet') s ON p.id = s.id "
            "WHEN MATCHED THEN UPDATE SET name = s.name, town = s.town, amount = s.amount, "
            f"changed = s.changed WHEN NOT MATCHED THEN INSERT ({COLUMNS}) "
            "VALUES (s.id, s.name, s.town, s.amount, s.changed)"
        )
        return time.perf_counter() - begun


def feed(lake: Any, day: int) -> tuple[float, int]:
    """Seconds to read a day's changes with before and after, and how many there are."""
    from lianyun.lake.merge import changes

    begun = time.perf_counter()
    found = changes(lake, "ledger", f"day{day}")
    return time.perf_counter() - begun, found.num_rows


def child(size: int, count: int, folder: Path, dsn: str) -> dict[str, Any]:
    """Both sides at one size, days in turn; the best of two days each after a first."""
    from lianyun.lake.shelves import Lake

    lake = Lake(dsn, str(folder / "lake"), memory_limit="2GB")
    begun = time.perf_counter()
    prepare(lake, size)
    made = time.perf_counter() - begun
    mine, theirs = [], []
    for day in (1, 2, 3):
        theirs.append(peer(lake, folder, size, count, day))
        mine.append(ours(lake, folder, size, count, day))
    seconds, found = feed(lake, 3)
    with lake.connect() as con:
        equal = con.execute(
            "SELECT (SELECT count(*) FROM lake.trusted.ledger WHERE id >= 0), "
            "(SELECT count(*) FROM lake.trusted.peer)"
        ).fetchone()
    return {
        "rows": size,
        "changes": count,
        "prepare_seconds": round(made, 1),
        "merge_seconds": round(min(theirs[1:]), 2),
        "lake_seconds": round(min(mine[1:]), 2),
        "ratio": round(min(mine[1:]) / min(theirs[1:]), 2),
        "feed_seconds": round(seconds, 2),
        "feed_rows": found,
        "counts": equal,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> int:
    """Measures at rising sizes; 1 if the target is missed at any of them."""
    parser = argparse.ArgumentParser(description="每日增量：50 万行变更并入大表")
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000_000, 8_000_000])
    parser.add_argument("--changes", type=int, default=500_000)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "DSN"))
    args = parser.parse_args()
    if args.child:
        folder, dsn = args.child
        print(json.dumps(child(args.rows[0], args.changes, Path(folder), dsn)))
        return 0
    import psycopg

    from lianyun.project import postgres

    results = []
    with postgres.temporary() as server:
        for size in args.rows:
            with tempfile.TemporaryDirectory(prefix="upsert-") as folder:
                name = f"lake_{size}"
                with psycopg.connect(server.url("postgres"), autocommit=True) as con:
                    con.execute(f"CREATE DATABASE {name}".encode())
                command = [sys.executable, __file__, "--rows", str(size)]
                command += ["--changes", str(args.changes), "--child", folder, server.url(name)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                results.append(json.loads(done.stdout.strip().splitlines()[-1]))
    print(
        f"{'行数':>12} {'MERGE 秒':>10} {'入湖 秒':>10} {'倍数':>8} {'变更流 秒':>10} {'峰值 MB':>10}"
    )
    for r in results:
        print(
            f"{r['rows']:>12} {r['merge_seconds']:>10} {r['lake_seconds']:>10} {r['ratio']:>8} "
            f"{r['feed_seconds']:>10} {r['peak_mb']:>10}"
        )
    growth = {}
    if len(results) > 1:
        first, last = results[0], results[-1]
        growth = {
            "merge_growth": round(last["merge_seconds"] / first["merge_seconds"], 2),
            "lake_growth": round(last["lake_seconds"] / first["lake_seconds"], 2),
        }
    met = all(r["ratio"] <= TARGET_RATIO for r in results)
    print(json.dumps({"benchmark": "upsert", "target_met": met, **growth, "results": results}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
