"""Twelve rules over a large table: in one scan, against SQL by hand and two well-known tools.

Ours compiles items and rules and counts every check's failures in one scan of the lake's table.
The first peer is the same twelve conditions as one SQL statement written by hand over the same
table. The others are pointblank (on Polars, its fastest) and Great Expectations (on pandas), given
the same rows in memory, their reading not counted (ours reads the lake's files); they are installed
into a folder of their own for the measurement, at a size that fits in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TARGET_HAND, TARGET_TOOLS = 1.5, 5.0
TOWNS = [f"3207{n:02}" for n in range(3, 30)]

ROWS = """
SELECT i AS id,
  CASE WHEN i % 1000 = 1 THEN NULL ELSE '王' || (hash(i) % 9973) END AS name,
  CASE WHEN i % 500 = 2 THEN '7' ELSE CAST(hash(i) % 3 AS VARCHAR) END AS sex,
  CASE WHEN i % 700 = 3 THEN '999999' ELSE '3207' || lpad(CAST(hash(i) % 27 + 3 AS VARCHAR), 2, '0') END AS town,
  CAST((hash(i * 7) % 10000000) / 100.0 - CASE WHEN i % 900 = 4 THEN 200000 ELSE 0 END AS DECIMAL(12,2)) AS amount,
  CAST(hash(i * 3) % 120 AS BIGINT) AS age,
  DATE '1950-01-01' + CAST(hash(i) % 25000 AS INTEGER) AS born,
  DATE '2020-01-01' + CAST(hash(i + 1) % 2500 AS INTEGER) AS started,
  DATE '2020-01-01' + CAST(hash(i + 1) % 2500 + CASE WHEN i % 800 = 5 THEN -9 ELSE 30 END AS INTEGER) AS ended,
  '13' || lpad(CAST(hash(i * 5) % 1000000000 AS VARCHAR), 9, '0') || CASE WHEN i % 600 = 6 THEN 'x' ELSE '' END AS phone
FROM range({rows}) r(i)
"""


def spec() -> Any:
    """Items and rules that make twelve checks."""
    from lianyun.lake.check import ItemCheck, RowRule

    items = (
        ItemCheck("id", "编号", "N", "n..12", required=True),
        ItemCheck("name", "姓名", format="an..20", required=True),
        ItemCheck("sex", "性别", domain=("0", "1", "2", "9")),
        ItemCheck("town", "乡镇", domain=tuple(TOWNS)),
        ItemCheck("amount", "金额", "Y", "n..12,2"),
        ItemCheck("age", "年龄", "N"),
        ItemCheck("born", "出生日期", "D"),
        ItemCheck("started", "开始日期", "D"),
        ItemCheck("ended", "结束日期", "D"),
        ItemCheck("phone", "电话", format="n..11"),
    )
    rules = (
        RowRule("paid", "金额不为负", "amount >= 0"),
        RowRule("order", "结束不早于开始", "ended >= started"),
        RowRule("grown", "年龄合理", "age BETWEEN 0 AND 130"),
        RowRule("born_before", "先出生后办事", "born < started"),
    )
    return items, rules


def hand(towns: str) -> str:
    """The same twelve conditions by hand."""
    return f"""SELECT count(*),
      count(*) FILTER (id IS NULL), count(*) FILTER (abs(id) >= 1000000000000),
      count(*) FILTER (name IS NULL), count(*) FILTER (length(name) > 20),
      count(*) FILTER (sex NOT IN ('0', '1', '2', '9')), count(*) FILTER (town NOT IN ({towns})),
      count(*) FILTER (length(phone) > 11), count(*) FILTER (NOT regexp_full_match(phone, '[0-9]+')),
      count(*) FILTER (NOT amount >= 0), count(*) FILTER (NOT ended >= started),
      count(*) FILTER (NOT age BETWEEN 0 AND 130), count(*) FILTER (NOT born < started)
    FROM lake.trusted.checked"""


POINTBLANK = """
import json, sys, time
import polars as pl
import pointblank as pb
rows = pl.read_parquet(sys.argv[1]).with_columns(pl.col("amount").cast(pl.Float64))
towns = json.loads(sys.argv[2])
begun = time.perf_counter()
made = (
    pb.Validate(rows)
    .col_vals_not_null("id").col_vals_lt("id", 1000000000000)
    .col_vals_not_null("name").col_vals_regex("name", "^.{0,20}$", na_pass=True)
    .col_vals_in_set("sex", ["0", "1", "2", "9"]).col_vals_in_set("town", towns)
    .col_vals_regex("phone", "^.{0,11}$").col_vals_regex("phone", "^[0-9]+$")
    .col_vals_ge("amount", 0).col_vals_ge("ended", pb.col("started"))
    .col_vals_between("age", 0, 130).col_vals_lt("born", pb.col("started"))
    .interrogate(collect_extracts=False)
)
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "failed": list(made.n_failed().values())}))
"""

EXPECTATIONS = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
import pandas as pd
import great_expectations as gx
import great_expectations.expectations as gxe
rows = pd.read_parquet(sys.argv[1])
rows["amount"] = rows["amount"].astype(float)
towns = json.loads(sys.argv[2])
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
suite = gx.ExpectationSuite(name="s", expectations=[
    gxe.ExpectColumnValuesToNotBeNull(column="id"),
    gxe.ExpectColumnValuesToBeBetween(column="id", max_value=1000000000000),
    gxe.ExpectColumnValuesToNotBeNull(column="name"),
    gxe.ExpectColumnValueLengthsToBeBetween(column="name", max_value=20),
    gxe.ExpectColumnValuesToBeInSet(column="sex", value_set=["0", "1", "2", "9"]),
    gxe.ExpectColumnValuesToBeInSet(column="town", value_set=towns),
    gxe.ExpectColumnValueLengthsToBeBetween(column="phone", max_value=11),
    gxe.ExpectColumnValuesToMatchRegex(column="phone", regex="^[0-9]+$"),
    gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="ended", column_B="started", or_equal=True),
    gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=130),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="started", column_B="born"),
])
begun = time.perf_counter()
result = batch.get_batch({"dataframe": rows}).validate(suite, result_format="SUMMARY")
seconds = time.perf_counter() - begun
failed = [r.result.get("unexpected_count", 0) for r in result.results]
print(json.dumps({"seconds": seconds, "failed": failed}))
"""


def tool(
    name: str, packages: list[str], script: str, parquet: Path, folder: Path
) -> dict[str, Any]:
    """Installs a tool beside the product, runs its script on the rows; seconds and failures."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    env = folder / name
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(env)], check=True)
    python = env / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
    done = subprocess.run(
        [str(python), "-c", script, str(parquet), json.dumps(TOWNS)],
        capture_output=True,
        text=True,
        env={**os.environ, "GX_ANALYTICS_ENABLED": "false"},
    )
    if done.returncode:
        raise SystemExit(f"{name} did not run:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def listing(rules: int) -> dict[str, float]:
    """Seconds to list so many declared rules, first and again, as the page of rules does."""
    import django

    subprocess.run([sys.executable, "-m", "lianyun.project.schema"], check=True)
    django.setup()
    from lianyun.capabilities.quality import queries
    from lianyun.kernel import packs
    from lianyun.kernel.access import SYSTEM

    with tempfile.TemporaryDirectory(prefix="packs-") as folder:
        root = Path(folder) / "bulk"
        (root / "datasets").mkdir(parents=True)
        (root / "pack.yaml").write_text(
            "name: bulk\ntitle: 大量规则\nneeds: []\ndescription: 测量用\n"
        )
        each = rules // 1000
        for n in range(1000):
            listed = "".join(
                f"- {{code: r{n}_{i}, title: 规则{i}, sql: 'c{i} >= 0', severity: warn}}\n"
                for i in range(each)
            )
            (root / "datasets" / f"d{n}.yaml").write_text(
                f"name: d{n}\ntitle: 数据集{n}\nprovider: ga\nrules:\n{listed}"
            )
        os.environ["LIANYUN_PACKS"] = folder
        for cached in (packs.pack_names, packs.declarations):
            cached.cache_clear()
        times = []
        for _ in range(2):
            begun = time.perf_counter()
            found = len(queries.rule_rows(SYSTEM))
            times.append(round(time.perf_counter() - begun, 3))
    return {"rules": found, "first_seconds": times[0], "again_seconds": times[1]}


def main() -> int:
    """Measures ours against SQL by hand at rising sizes, and against the tools at one."""
    parser = argparse.ArgumentParser(description="十二条规则，一遍扫描")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument(
        "--tools", type=int, default=1_000_000, help="rows for the tools, 0 for none"
    )
    parser.add_argument("--list", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.list:
        print(json.dumps(listing(args.list)))
        return 0
    import psycopg

    from lianyun.lake.check import recheck
    from lianyun.lake.shelves import Lake
    from lianyun.project import postgres

    items, rules = spec()
    towns = ", ".join(f"'{t}'" for t in TOWNS)
    results: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    with postgres.temporary() as server, tempfile.TemporaryDirectory(prefix="quality-") as folder:
        with psycopg.connect(server.url("postgres"), autocommit=True) as pg:
            pg.execute(b"CREATE DATABASE rules")
        own = {
            **os.environ,
            "LIANYUN_HOME": folder,
            "LIANYUN_DATABASE_URL": server.url("rules"),
            "DJANGO_SETTINGS_MODULE": "lianyun.project.settings",
        }
        done = subprocess.run(
            [sys.executable, __file__, "--list", "37000"],
            env=own,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        listed = json.loads(done.stdout.strip().splitlines()[-1])
        for rows in args.rows:
            name = f"lake_{rows}"
            with psycopg.connect(server.url("postgres"), autocommit=True) as pg:
                pg.execute(f"CREATE DATABASE {name}".encode())
            lake = Lake(server.url(name), f"{folder}/{name}", memory_limit="1GB")
            with lake.connect() as con:
                con.execute(f"CREATE TABLE lake.trusted.checked AS {ROWS.format(rows=rows)}")
            best: dict[str, float] = {"hand": 1e9, "ours": 1e9}
            for _ in range(3):
                with lake.connect(read_only=True) as con:
                    begun = time.perf_counter()
                    by_hand = con.execute(hand(towns)).fetchone()
                    best["hand"] = min(best["hand"], time.perf_counter() - begun)
                begun = time.perf_counter()
                _, found = recheck(lake, "checked", items, rules, key=("id",))
                best["ours"] = min(best["ours"], time.perf_counter() - begun)
            assert by_hand is not None
            if sorted(found.values()) != sorted(n for n in by_hand[1:] if n):
                raise SystemExit(f"answers differ: {found} and {by_hand}")
            results.append(
                {
                    "rows": rows,
                    "hand_seconds": round(best["hand"], 2),
                    "seconds": round(best["ours"], 2),
                    "ratio": round(best["ours"] / best["hand"], 2),
                    "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                }
            )
            if args.tools and rows == args.tools:
                parquet = Path(folder) / "rows.parquet"
                with lake.connect(read_only=True) as con:
                    con.execute(f"COPY lake.trusted.checked TO '{parquet}'")
                for tool_name, packages, script in (
                    ("pointblank", ["pointblank", "polars"], POINTBLANK),
                    ("great_expectations", ["great_expectations", "pyarrow"], EXPECTATIONS),
                ):
                    seen = tool(tool_name, packages, script, parquet, Path(folder))
                    if sorted(n for n in seen["failed"] if n) != sorted(
                        n for n in by_hand[1:] if n
                    ):
                        raise SystemExit(f"{tool_name} counts otherwise: {seen} and {by_hand}")
                    tools.append(
                        {
                            "tool": tool_name,
                            "seconds": round(seen["seconds"], 2),
                            "times_ours": round(seen["seconds"] / best["ours"], 1),
                        }
                    )
    print(f"{'行数':>12} {'手写 SQL 秒':>12} {'本平台 秒':>10} {'倍数':>6}")
    for r in results:
        print(f"{r['rows']:>12} {r['hand_seconds']:>12} {r['seconds']:>10} {r['ratio']:>6}")
    for t in tools:
        print(f"{t['tool']:>20} {t['seconds']:>8} 秒，为本平台的 {t['times_ours']} 倍")
    print(
        f"列出 {listed['rules']} 条规则：首次 {listed['first_seconds']} 秒，再次 {listed['again_seconds']} 秒"
    )
    met = all(r["ratio"] <= TARGET_HAND for r in results) and listed["again_seconds"] < 1
    met = met and (not tools or max(t["times_ours"] for t in tools) >= TARGET_TOOLS)
    print(
        json.dumps(
            {
                "benchmark": "quality",
                "target_met": met,
                "results": results,
                "tools": tools,
                "listing": listed,
            }
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
