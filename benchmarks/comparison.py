"""Comparison: two departments' tables compared by a declared rule, against the bare join by hand.

``python benchmarks/comparison.py [--rows N] [--kinds …]`` fills two tables of the lake with N rows each
(N keys of eighteen digits, amounts, names, towns, addresses, days; one row in a thousand is a finding) and runs a
rule of each kind. The peer is the one hand-written join over the same tables of the same lake in the
same DuckDB that lists what a desk must see: keys, both amounts, names, towns, addresses and days of
both sides, into a table of the lake. It has no confidence, no identity, no settling with what was
found before; ours has. A second peer, leaner than any use, yields keys and amounts only; the ratio to
it is shown and is no target. Every side runs in a process of its own; they take turns, best of two; a
quarter of the rows shows the growth. The second run of a rule, which finds everything unchanged, is
shown as well. Targets (from 5 M rows a side): at most 1.3 times
the bare join, memory of 1 GB or that of the join, growth at most 1.3 times the join's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

TARGET_RATIO = 1.3
TARGET_ROWS = 5_000_000
"""Rows a side from which the ratio is judged: a run's own transaction costs some 0.3 s at any size."""
TARGET_BYTES = 1_000_000_000
KINDS = ("differs", "missing", "after")
_TOLD = ", ".join(
    f"{side}.{c} AS {side}_{c}" for side in "lr" for c in ("name", "town", "address", "day")
)
_LEFT = ", ".join(f"l.{c} AS l_{c}" for c in ("name", "town", "address", "day"))
PEERS = {
    "differs": (
        f"SELECT l.id, l.amount AS la, r.amount AS ra, {_TOLD} FROM lake.trusted.paid l "
        "JOIN lake.trusted.told r ON l.id = r.id "
        "WHERE l.amount - r.amount > greatest(10, 0.1 * greatest(l.amount, r.amount))"
    ),
    "missing": (
        f"SELECT l.id, l.amount AS la, {_LEFT} FROM lake.trusted.paid l "
        "LEFT JOIN lake.trusted.told r ON l.id = r.id WHERE r.id IS NULL"
    ),
    "after": (
        f"SELECT l.id, l.amount AS la, {_TOLD} FROM lake.trusted.paid l "
        "JOIN lake.trusted.told r ON l.id = r.id WHERE l.day > r.day + INTERVAL 30 DAY"
    ),
}
LEAN = {
    "differs": (
        "SELECT l.id, l.amount AS la, r.amount AS ra FROM lake.trusted.paid l JOIN lake.trusted.told r "
        "ON l.id = r.id WHERE l.amount - r.amount > greatest(10, 0.1 * greatest(l.amount, r.amount))"
    ),
    "missing": (
        "SELECT l.id, l.amount AS la FROM lake.trusted.paid l LEFT JOIN lake.trusted.told r "
        "ON l.id = r.id WHERE r.id IS NULL"
    ),
    "after": (
        "SELECT l.id, sum(l.amount) AS la, count(*) AS n, min(r.day) AS e FROM lake.trusted.paid l "
        "JOIN lake.trusted.told r ON l.id = r.id WHERE l.day > r.day + INTERVAL 30 DAY GROUP BY l.id"
    ),
}


def place(folder: str, dsn: str) -> Any:
    """The lake of this run."""
    from lianyun.lake.shelves import Lake

    return Lake(dsn, f"{folder}/lake")


def rule(kind: str) -> Any:
    """The rule of a kind, as a pack would declare it."""
    from lianyun.lake.compare import Rule, Side

    sides = [
        Side(
            table,
            ("id",),
            amount="amount",
            date="day",
            name="name",
            town="town",
            show=("name", "town", "address"),
            single=True,
        )
        for table in ("paid", "told")
    ]
    return Rule(f"rule_{kind}", kind, *sides, absolute=10, relative=0.1, grace=30, amount="left")


def fill(lake: Any, rows: int) -> None:
    """Both tables as full loads left them; the right one in another order, one row in 1,000 lost."""
    shape = (
        "SELECT '3207' || lpad(i::VARCHAR, 14, '0') AS id, {amount}::DECIMAL(12,2) AS amount, "
        "'王' || chr(20000 + (hash(i) % 3000)::INT) AS name, '32070600' || (i % 9) AS town, "
        "'连云港市海州区朝阳中路' || (i % 9000) || '号' || (i % 900) || '室' AS address, "
        "{day} AS day, '{batch}' AS _batch, i AS _line, TIMESTAMP '2026-01-02' AS _loaded_at "
        "FROM (SELECT {order} AS i FROM range({rows}) t(r)) {where}"
    )
    with lake.connect() as con:
        for table, amount, day, order, where in (
            ("paid", "100 + i % 900", "DATE '2026-01-01' + (i % 28)::INT", "r", ""),
            (
                "told",
                "CASE WHEN hash(i) % 1000 = 1 THEN 20 ELSE 100 + i % 900 END",
                "CASE WHEN hash(i) % 1000 = 2 THEN DATE '2025-06-01' ELSE DATE '2026-06-01' END",
                f"(r * 7919) % {rows}",
                "WHERE hash(i) % 1000 <> 3",
            ),
        ):
            query = shape.format(
                amount=amount, day=day, order=order, where=where, rows=rows, batch=table
            )
            con.execute(f"CREATE TABLE lake.trusted.{table} AS {query}")


def side(args: argparse.Namespace) -> dict[str, Any]:
    """One side in this process."""
    from lianyun.lake.compare import compare

    lake = place(args.folder, args.dsn)
    with lake.connect() as con:  # opening a city's lake is not measured
        con.execute("SELECT count(*) FROM lake.ledger.batches").fetchall()
        if args.side in ("peer", "lean", "drop"):
            con.execute(f"DROP TABLE IF EXISTS lake.library.bare_{args.kind}")
        if args.side == "drop":
            con.execute(f"DROP TABLE IF EXISTS lake.findings.rule_{args.kind}")
    if args.side == "drop":
        return {}
    if args.side == "fill":
        fill(lake, args.rows)
        return {}
    begun, cpu = time.perf_counter(), time.process_time()
    if args.side in ("peer", "lean"):
        query = (PEERS if args.side == "peer" else LEAN)[args.kind]
        with lake.connect() as con:
            con.execute(f"CREATE TABLE lake.library.bare_{args.kind} AS {query}")
            row = con.execute(f"SELECT count(*) FROM lake.library.bare_{args.kind}").fetchone()
        found = int(row[0]) if row else 0
    else:
        found = compare(lake, rule(args.kind), args.name).found
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "found": found}


def child(*arguments: str) -> dict[str, Any]:
    """Runs one side in a fresh process and returns its figures."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def best(found: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """The quicker of two turns, with the greater memory."""
    if not found:
        return one
    quick = one if one["seconds"] < found["seconds"] else found
    return {**quick, "peak_bytes": max(one["peak_bytes"], found["peak_bytes"])}


def measure(rows: int, kinds: list[str], turns: int) -> list[dict[str, Any]]:
    """Both sides of each kind over tables of `rows` rows."""
    from lianyun.project import postgres

    out = []
    with tempfile.TemporaryDirectory(prefix="compare-") as folder, postgres.temporary() as server:
        at = ("--folder", folder, "--dsn", server.url("postgres"), "--rows", str(rows))
        child("--side", "fill", *at)
        for kind in kinds:
            bare: dict[str, Any] = {}
            lean: dict[str, Any] = {}
            ours: dict[str, Any] = {}
            for turn in range(turns):
                child("--side", "drop", "--kind", kind, *at)
                bare = best(bare, child("--side", "peer", "--kind", kind, *at))
                lean = best(lean, child("--side", "lean", "--kind", kind, *at))
                name = f"{kind}{turn}"
                ours = best(ours, child("--side", "ours", "--kind", kind, "--name", name, *at))
            again = child("--side", "ours", "--kind", kind, "--name", f"{kind}again", *at)
            out.append(
                {
                    "rows": rows,
                    "kind": kind,
                    "found": ours["found"],
                    "same": bare["found"] == ours["found"] == again["found"],
                    "join_seconds": round(bare["seconds"], 2),
                    "seconds": round(ours["seconds"], 2),
                    "ratio": round(ours["seconds"] / bare["seconds"], 2),
                    "lean_ratio": round(ours["seconds"] / lean["seconds"], 2),
                    "cpu_ratio": round(ours["cpu"] / bare["cpu"], 2),
                    "again_seconds": round(again["seconds"], 2),
                    "join_peak_mb": round(bare["peak_bytes"] / 1e6),
                    "peak_mb": round(ours["peak_bytes"] / 1e6),
                }
            )
    return out


def main() -> int:
    """Measures each kind at a quarter of the rows and at all of them; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="两个部门的数据比对")
    parser.add_argument("--rows", type=int, default=int(os.environ.get("COMPARE_ROWS", 1_000_000)))
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=("fill", "drop", "peer", "lean", "ours"))
    parser.add_argument("--kind", choices=KINDS)
    for name in ("folder", "dsn", "name"):
        parser.add_argument(f"--{name}", default="")
    args = parser.parse_args()
    if args.side:
        made = side(args)
        made["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(made))
        return 0
    results = [
        one for rows in (args.rows // 4, args.rows) for one in measure(rows, args.kinds, args.turns)
    ]
    print(
        "| 每边行数 | 规则 | 发现 | 裸联接 秒 | 比对 秒 | 倍数 | CPU 倍数 | 再比一次 秒 | 峰值 MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for r in results:
        print(
            f"| {r['rows']:,} | {r['kind']} | {r['found']:,} | {r['join_seconds']} | {r['seconds']} "
            f"| {r['ratio']} | {r['cpu_ratio']} | {r['lean_ratio']} | {r['again_seconds']} | {r['peak_mb']} |"
        )
    growth = {}
    for kind in args.kinds:
        small, large = (r for r in results if r["kind"] == kind)
        join = large["join_seconds"] / max(small["join_seconds"], 0.01)
        growth[kind] = round(large["seconds"] / max(small["seconds"], 0.01) / join, 2)
    at_size = [r for r in results if r["rows"] == args.rows]
    good = all(
        (r["ratio"] <= TARGET_RATIO or args.rows < TARGET_ROWS)
        and r["peak_mb"] * 1e6 <= max(TARGET_BYTES, 1.1e6 * r["join_peak_mb"])
        and r["same"]
        for r in at_size
    ) and (args.rows < TARGET_ROWS or all(value <= 1.3 for value in growth.values()))
    told = {"benchmark": "comparison", "target_met": good, "growth": growth, "results": results}
    print(json.dumps(told))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
