"""Engines: the same pipelines on DuckDB, on a standalone Spark cluster and on Sail, on one machine.

``python benchmarks/engines.py [--rows N …] [--engines duckdb,spark,sail]`` fills two departments'
tables with N rows each in a lake of its own (one row in twenty deleted again, so that delete files
have to be read), then builds a golden library, compares the two tables and judges N landed rows
by their checks, on each engine in turn over the same files. Every answer must be DuckDB's. The
cluster is one master and two workers of one core on loopback; a first small pipeline warms it.
There is no target: one machine is what a cluster is slower on. The figures say by how much.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from typing import Any

SETTINGS = ";".join(
    [
        "spark.executor.memory=1g",
        "spark.driver.memory=1g",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.sql.shuffle.partitions=4",
    ]
)


def _fill(lake: Any, rows: int) -> None:
    """Two trusted tables of `rows` rows with keys in common, and raw texts to judge."""
    with lake.connect() as con:
        for name, step in (("register", 1), ("insured", 2)):
            con.execute(
                f"CREATE TABLE lake.trusted.{name} AS SELECT 'P' || lpad(CAST(i * {step} AS VARCHAR),"
                " 10, '0') AS id, '姓名' || i % 9999 AS name, CAST(i % 90000 AS DECIMAL(12,2)) AS money,"
                " DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS since, "
                f"'{name}1' AS _batch, i AS _line, TIMESTAMP '2026-01-01' AS _loaded_at, "
                f"CAST(i AS UBIGINT) AS _hash, CAST(NULL AS VARCHAR) AS _warnings FROM range({rows}) t(i)"
            )
            con.execute(f"DELETE FROM lake.trusted.{name} WHERE _line % 20 = 7")
            con.execute(
                "INSERT INTO lake.ledger.batches VALUES (?, ?, 'full', '{}', now()::TIMESTAMP)",
                [f"{name}1", name],
            )
        con.execute(
            "CREATE TABLE lake.raw.arrived AS SELECT i AS _line, '姓名' || i % 9999 AS name, "
            "CAST(i % 90000 AS VARCHAR) || '.5' AS money, CASE WHEN i % 50 = 0 THEN '2020-13-01' "
            "ELSE CAST(DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS VARCHAR) END AS since, "
            f"CAST(i % 1200 AS VARCHAR) AS n FROM range({rows}) t(i)"
        )


def _library(number: int) -> Any:
    from lianyun.lake import link

    def one(name: str) -> Any:
        sources = tuple(link.FieldSource(d, name) for d in ("register", "insured"))
        return link.LibraryField(name, name, sources)

    return link.LibrarySpec(f"people{number}", "id", (one("name"), one("money"), one("since")))


def _golden(lake: Any, number: int) -> Any:
    from lianyun.lake import link

    made = link.golden(lake, _library(number), f"g{number}")
    return made.entities, made.conflicts, made.fields


def _comparison(lake: Any, number: int) -> Any:
    from lianyun.lake import compare

    rule = compare.Rule(
        f"rule{number}",
        "differs",
        compare.Side("register", ("id",), amount="money", show=("since",)),
        compare.Side("insured", ("id",), amount="money", show=("since",)),
        direction="both",
        absolute=30_000,
    )
    made = compare.compare(lake, rule, f"c{number}")
    return made.found, made.incomplete, made.amount


def _quality(lake: Any, number: int) -> Any:
    from lianyun.lake import engines
    from lianyun.lake.check import ItemCheck, RowRule, compile_checks
    from lianyun.lake.engines import quality

    checks = compile_checks(
        (
            ItemCheck("name", "姓名", format="an..10", required=True),
            ItemCheck("money", "金额", "Y", "n..12,2"),
            ItemCheck("since", "日期", "D"),
            ItemCheck("n", "数量", "I", "n..3"),
        ),
        (RowRule("r", "日期", "since < DATE '2025-01-01'", "warn"),),
    )
    with lake.connect() as con:
        checks.prepare(con)
        con.execute("BEGIN")
        with engines.running(lake, con) as run:
            quality.judge(run, con, checks, "lake.raw.arrived")
            told = con.execute(
                f"SELECT count(*), count(*) FILTER (_ok), count(_warnings) FROM {quality.JUDGED}"
            ).fetchall()
        con.execute("ROLLBACK")
    return told


PIPELINES = {"golden": _golden, "comparison": _comparison, "quality": _quality}


def _dsn(place: str) -> tuple[Any, str]:
    from pathlib import Path

    from lianyun.project import postgres

    server = postgres.Server(Path(place), durable=False)
    return server, server.start(dies_with_parent=True)


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints one JSON line for each size and pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [int(n) for n in os.environ.get("BENCH_ENGINES_ROWS", "200000,800000").split(",")]
    parser.add_argument("--rows", type=int, nargs="+", default=sizes)
    parser.add_argument("--engines", default="duckdb,spark,sail")
    chosen = parser.parse_args(arguments)
    os.environ.update(
        LIANYUN_SPARK_CONF=SETTINGS, LIANYUN_SPARK_FROM="0", SPARK_LOCAL_IP="127.0.0.1"
    )
    from lianyun.lake.engines import cluster, spark
    from lianyun.lake.shelves import Lake

    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="lianyun-bench-") as place,
        contextlib.ExitStack() as on,
    ):
        server, url = _dsn(f"{place}/pg")
        on.callback(server.stop)
        places: dict[str, str] = {}
        for name in chosen.engines.split(","):
            if name == "spark":
                places[name] = on.enter_context(cluster.standalone(memory="1g"))
            elif name == "sail":
                places[name] = on.enter_context(cluster.sail())
            else:
                places[name] = ""
        on.callback(spark.stop)
        number = 0
        for rows in [1000, *chosen.rows]:
            lake = Lake(url, f"{place}/lake{rows}", metadata_schema=f"lake{rows}")
            _fill(lake, rows)
            for pipeline, work in PIPELINES.items():
                took: dict[str, float] = {}
                answers = []
                for name, engine in places.items():
                    os.environ["LIANYUN_ENGINE"] = engine
                    number += 1
                    begun = time.monotonic()
                    answers.append(work(lake, number))
                    took[name] = round(time.monotonic() - begun, 2)
                same = all(answer == answers[0] for answer in answers)
                wrong += not same
                if rows > 1000:
                    base = took.get("duckdb") or next(iter(took.values()))
                    line = {"pipeline": pipeline, "rows": rows, "seconds": took, "same": same}
                    line["ratio"] = {k: round(v / base, 1) for k, v in took.items()}
                    print(json.dumps(line, ensure_ascii=False), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
