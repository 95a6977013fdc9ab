"""Golden records: a library from three departments' tables, against the same join written by hand.

``python benchmarks/golden.py [--people N] [--changes SHARE …]`` fills three tables of the lake (the
police's residents, social insurance, medical insurance: 92, 64 and 96 % of N people, twelve fields
in common) and builds the library. The peer is one SQL statement over the same tables of the same
lake in the same DuckDB: two full joins, COALESCE by authority, written to a lake table; it keeps no
provenance, no dates, no conflicts and no counts. Then a share of the rows changes and the library
is brought up to date from the batches alone. Every side runs in a process of its own; the peer and
ours take turns, best of two. Targets: at most 1.5 times the peer, 1 GB of memory.
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

TARGET_RATIO = 1.5
TARGET_BYTES = 1_000_000_000
SOURCES = {
    "residents": (0.92, "name sex birth nationality address town phone"),
    "insured": (0.64, "name sex birth phone unit residence status"),
    "medical": (0.96, "name sex birth nationality phone residence medical"),
}
COLUMNS = {
    "name": "VARCHAR",
    "sex": "VARCHAR",
    "birth": "DATE",
    "nationality": "VARCHAR",
    "address": "VARCHAR",
    "town": "VARCHAR",
    "phone": "VARCHAR",
    "unit": "VARCHAR",
    "residence": "VARCHAR",
    "status": "VARCHAR",
    "medical": "VARCHAR",
}
ORDER = {
    "name": "residents insured medical",
    "sex": "residents insured medical",
    "birth": "residents insured medical",
    "nationality": "residents medical",
    "address": "residents",
    "town": "residents",
    "phone": "insured medical residents",
    "unit": "insured",
    "residence": "medical insured",
    "status": "insured",
    "medical": "medical",
}


def place(folder: str, dsn: str) -> Any:
    """The lake of this run."""
    from lianyun.lake.shelves import Lake

    return Lake(dsn, f"{folder}/lake")


def spec() -> Any:
    """The library: each field from its authority."""
    from lianyun.lake.link import FieldSource, LibraryField, LibrarySpec

    return LibrarySpec(
        "people",
        "id",
        tuple(
            LibraryField(
                name,
                name,
                tuple(FieldSource(d, name, date="updated") for d in order.split()),
            )
            for name, order in ORDER.items()
        ),
    )


def value(column: str, source: str) -> str:
    """SQL of a column's value for person `i`; one in 500 differs from the other departments'."""
    odd = f"(hash(i, '{column}{source}') % 500 = 0)"
    return {
        "name": f"'王' || chr(20000 + (hash(i) % 3000)::INT) || CASE WHEN {odd} THEN '丽' ELSE '' END",
        "sex": "CASE WHEN i % 2 = 0 THEN '1' ELSE '2' END",
        "birth": "DATE '1940-01-01' + (hash(i, 'b') % 28000)::INT",
        "nationality": "CASE WHEN i % 50 = 0 THEN '03' ELSE '01' END",
        "address": "'连云港市海州区朝阳中路' || (i % 9000) || '号' || (i % 40) || '幢' || (i % 900) || '室'",
        "town": "'3207060' || lpad((i % 90)::VARCHAR, 2, '0')",
        "phone": f"CASE WHEN {odd} THEN NULL ELSE '129' || lpad((hash(i, CASE WHEN hash(i, 'q{source}') % 50 = 0 THEN '{source}' ELSE '' END) % 20000000)::VARCHAR, 8, '0') END",
        "unit": "'连云港' || (i % 40000) || '有限公司'",
        "residence": f"'连云港市连云区海棠路' || (i % 7000) || '号' || (hash(i, CASE WHEN {odd} THEN '{source}' ELSE '' END) % 30) || '室'",
        "status": "(1 + i % 3)::VARCHAR",
        "medical": "(1 + i % 4)::VARCHAR",
    }[column]


def rows(source: str, where: str, batch: str, day: str, people: int) -> str:
    """SQL of a source's rows as a batch leaves them in trusted."""
    columns = SOURCES[source][1].split()
    listed = ", ".join(f"{value(c, source)} AS {c}" for c in columns)
    return (
        f"SELECT '320703' || lpad(i::VARCHAR, 12, '0') AS id, {listed}, TIMESTAMP '{day}' AS updated, "
        f"'{batch}' AS _batch, i AS _line, TIMESTAMP '{day}' AS _loaded_at "
        f"FROM (SELECT (hash(r) % {4 * people})::BIGINT * 1000 + r % 1000 AS i, r FROM range({people}) t(r)) "
        f"WHERE {where}"
    )


def fill(lake: Any, people: int) -> None:
    """The three tables as full loads left them, with their entries in the ledger."""
    from lianyun.lake.shelves import LEDGER, Column, ensure_table

    with lake.connect() as con:
        for source, (share, columns) in SOURCES.items():
            kept = f"hash(r, '{source}') % 1000 < {int(share * 1000)}"
            batch = f"20260101-{source}-000001"
            named = [Column("id"), *(Column(c, COLUMNS[c]) for c in columns.split())]
            system = [
                Column("updated", "TIMESTAMP"),
                Column("_batch"),
                Column("_line", "BIGINT"),
                Column("_loaded_at", "TIMESTAMP"),
            ]
            con.execute("BEGIN")
            ensure_table(con, "trusted", source, [*named, *system])
            ensure_table(
                con, "changes", source, [Column("_change_batch"), Column("_op"), *named, *system]
            )
            con.execute(
                f"INSERT INTO lake.trusted.{source} BY NAME "
                + rows(source, kept, batch, "2026-01-01", people)
            )
            con.execute(
                f"INSERT INTO {LEDGER} VALUES (?, ?, 'full', ?, now()::TIMESTAMP)",
                [batch, source, json.dumps({"key": ["id"]})],
            )
            con.execute("COMMIT")


def change(lake: Any, share: float, batch: str, day: str) -> int:
    """A share of each source's people anew: moved phones and homes, and a few deletions."""
    from lianyun.lake.shelves import LEDGER

    total = 0
    with lake.connect() as con:
        for source, (_, columns) in SOURCES.items():
            names = ["id", *columns.split(), "updated", "_batch", "_line", "_loaded_at"]
            listed = ", ".join(names)
            con.execute("BEGIN")
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE day AS SELECT rowid AS rid, {listed} "
                f"FROM lake.trusted.{source} WHERE hash(id, '{batch}') % 100000 < {int(share * 100000)}"
            )
            con.execute(
                f"INSERT INTO lake.changes.{source} (_change_batch, _op, {listed}) SELECT '{batch}', "
                f"CASE WHEN rid % 20 = 0 THEN 'delete' ELSE 'update' END, {listed} FROM day"
            )
            con.execute(f"DELETE FROM lake.trusted.{source} WHERE rowid IN (SELECT rid FROM day)")
            fresh = {
                "phone": "'129' || lpad((hash(id, _batch) % 20000000)::VARCHAR, 8, '0') AS phone",
                "updated": f"TIMESTAMP '{day}' AS updated",
                "_batch": f"'{batch}' AS _batch",
            }
            con.execute(
                f"INSERT INTO lake.trusted.{source} ({listed}) SELECT "
                f"{', '.join(fresh.get(n, n) for n in names)} FROM day WHERE rid % 20 <> 0"
            )
            con.execute(
                f"INSERT INTO {LEDGER} VALUES (?, ?, 'incremental', ?, now()::TIMESTAMP)",
                [f"{batch}-{source}", source, json.dumps({"key": ["id"]})],
            )
            total += int((con.execute("SELECT count(*) FROM day").fetchone() or (0,))[0])
            con.execute("COMMIT")
    return total


def peer(lake: Any) -> int:
    """The join by hand, into a table of the lake."""
    picked = ", ".join(
        f"coalesce({', '.join(f'{d}.{name}' for d in order.split())}) AS {name}"
        for name, order in ORDER.items()
    )
    with lake.connect() as con:
        con.execute(
            f"CREATE OR REPLACE TABLE lake.library.bare AS SELECT "
            f"coalesce(residents.id, insured.id, medical.id) AS id, {picked} "
            "FROM lake.trusted.residents FULL JOIN lake.trusted.insured ON residents.id = insured.id "
            "FULL JOIN lake.trusted.medical ON coalesce(residents.id, insured.id) = medical.id"
        )
        row = con.execute("SELECT count(*) FROM lake.library.bare").fetchone()
    return int(row[0]) if row else 0


def side(args: argparse.Namespace) -> dict[str, Any]:
    """One side in this process."""
    from lianyun.lake.link import golden

    lake = place(args.folder, args.dsn)
    with (
        lake.connect() as con
    ):  # opening a city's lake, and what Python loads once, is not measured
        con.execute(
            "SELECT max(outcome) FROM lake.ledger.batches WHERE batch <> ?", [""]
        ).fetchall()
    if args.side == "fill":
        fill(lake, args.people)
        return {}
    if args.side == "drop":
        with lake.connect() as con:
            con.execute("DROP TABLE IF EXISTS lake.library.people")
        return {}
    if args.side == "change":
        return {"changed": change(lake, args.share, args.batch, args.day)}
    begun = time.perf_counter()
    if args.side == "peer":
        entities, made = peer(lake), None
    else:
        made = golden(lake, spec(), args.name, since=[args.batch] if args.batch else None)
        entities = made.entities
    seconds = time.perf_counter() - begun
    found = {"seconds": seconds, "entities": entities}
    if made is not None:
        found |= {"conflicts": made.conflicts, "touched": made.touched, "updated": made.updated}
        found |= {"whole": made.whole, "deleted": made.deleted}
    return found


def child(*arguments: str) -> dict[str, Any]:
    """Runs one side in a fresh process and returns its figures."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """Measures both sides, then a day's changes; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description="三个部门 → 一人一条")
    parser.add_argument("--people", type=int, default=int(os.environ.get("GOLDEN_PEOPLE", 500_000)))
    parser.add_argument("--changes", type=float, nargs="*", default=[0.001, 0.01])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=("fill", "drop", "change", "peer", "ours"))
    parser.add_argument("--share", type=float)
    for name in ("folder", "dsn", "batch", "day", "name"):
        parser.add_argument(f"--{name}", default="")
    args = parser.parse_args()
    if args.side:
        made = side(args)
        made["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(made))
        return 0
    from lianyun.project import postgres

    with tempfile.TemporaryDirectory(prefix="golden-") as folder, postgres.temporary() as server:
        at = ("--folder", folder, "--dsn", server.url("postgres"), "--people", str(args.people))
        child("--side", "fill", *at)
        bare: dict[str, Any] = {}
        ours: dict[str, Any] = {}
        for turn in range(args.turns):
            one = child("--side", "peer", *at)
            bare = one if not bare or one["seconds"] < bare["seconds"] else bare
            child("--side", "drop", *at)
            one = child("--side", "ours", "--name", f"full{turn}", *at)
            ours = one if not ours or one["seconds"] < ours["seconds"] else ours
        days = []
        for number, share in enumerate(args.changes):
            batch, day = f"d{number}", f"2026-02-{number + 1:02}"
            told = child(
                *("--side", "change", "--batch", batch, "--day", day, "--share", str(share)), *at
            )
            one = child("--side", "ours", "--name", f"day{number}", "--batch", batch, *at)
            days.append(
                {
                    "share": share,
                    "changed": told["changed"],
                    "touched": one["touched"],
                    "seconds": round(one["seconds"], 2),
                    "of_full": round(one["seconds"] / ours["seconds"], 2),
                    "peak_mb": round(one["peak_bytes"] / 1e6),
                    "whole": one["whole"],
                }
            )
    result = {
        "people": args.people,
        "entities": ours["entities"],
        "conflicts": ours["conflicts"],
        "join_seconds": round(bare["seconds"], 2),
        "join_peak_mb": round(bare["peak_bytes"] / 1e6),
        "library_seconds": round(ours["seconds"], 2),
        "library_peak_mb": round(ours["peak_bytes"] / 1e6),
        "ratio": round(ours["seconds"] / bare["seconds"], 2),
        "days": days,
    }
    print(f"{'人数':>10} {'手写联接 秒':>8} {'建库 秒':>8} {'倍数':>6} {'峰值 MB':>8} {'冲突':>8}")
    print(
        f"{result['entities']:>12} {result['join_seconds']:>12} {result['library_seconds']:>10} "
        f"{result['ratio']:>8} {result['library_peak_mb']:>10} {result['conflicts']:>10}"
    )
    for one in days:
        print(
            f"变更 {one['share']:.1%}：{one['touched']} 人，{one['seconds']} 秒，"
            f"为全量的 {one['of_full']:.0%}，峰值 {one['peak_mb']} MB"
        )
    good = result["ratio"] <= TARGET_RATIO and result["library_peak_mb"] * 1e6 <= TARGET_BYTES
    good = good and bare["entities"] == ours["entities"] and not any(d["whole"] for d in days)
    print(json.dumps({"benchmark": "golden", "target_met": good, "results": [result]}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
