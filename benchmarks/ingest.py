"""Ingest: a CSV file to a checked, queryable dataset, against a bare DuckDB COPY of the same file.

``python benchmarks/ingest.py [--rows N]`` writes its own CSV (about 450 bytes a row, 16 columns,
one row in a thousand wrong) into a temporary folder at a quarter of N and at N rows. Each side
runs in a process of its own; peak memory is that process's. Target: at most 3 times the peer's
time and 1 GB of memory at N rows, with landed = accepted + rejected.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HEADER = (
    "身份证号,姓名,性别,出生日期,民族,区划,地址,单位代码,单位,注册资金,登记时间,"
    "经营范围,备注,联系电话,状态,序号\n"
)
WORDS = (
    "连云港市海州区",
    "朝阳中路",
    "幸福小区",
    "苍梧绿园",
    "生产销售",
    "技术服务",
    "食品经营",
    "建筑材料",
    "道路货物运输",
    "农副产品",
    "新能源设备",
    "港口物流仓储",
)
TARGET_RATIO = 3.0
TARGET_BYTES = 1_000_000_000


def write_csv(path: Path, rows: int, seed: int = 1) -> None:
    """Writes `rows` rows of an enterprise register with its owners, deterministic by seed."""
    from lianyun.lake.digits import (
        CITIZEN_DIGITS,
        CITIZEN_WEIGHTS,
        CREDIT_ALPHABET,
        CREDIT_WEIGHTS,
    )

    dice = random.Random(seed)
    people, firms = [], []
    for _ in range(20_000):
        born = f"{dice.randint(1940, 2005)}{dice.randint(1, 12):02}{dice.randint(1, 28):02}"
        first = f"32070{dice.choice('367')}{born}{dice.randint(0, 999):03}"
        total = sum(int(d) * w for d, w in zip(first, CITIZEN_WEIGHTS, strict=True))
        day = f"{born[:4]}-{born[4:6]}-{born[6:]}"
        people.append((first + CITIZEN_DIGITS[total % 11], day, first[:6]))
        code = "91320703MA" + "".join(dice.choices(CREDIT_ALPHABET, k=7))
        total = sum(CREDIT_ALPHABET.index(c) * w for c, w in zip(code, CREDIT_WEIGHTS, strict=True))
        firms.append(code + CREDIT_ALPHABET[(31 - total % 31) % 31])
    scopes = ["；".join(dice.choices(WORDS, k=9)) for _ in range(5_000)]
    places = ["江苏省" + "".join(dice.choices(WORDS, k=3)) for _ in range(5_000)]
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for index in range(rows):
            number, born, region = people[int(dice.random() * 20_000)]
            if index % 1000 == 999:
                number = number[:-1] + "Q"
            scope = scopes[int(dice.random() * 5_000)]
            place = places[int(dice.random() * 5_000)]
            other = scopes[(index * 7) % 5_000]
            file.write(
                f"{number},王{index % 97}明,{1 + index % 2},{born},01,{region},"
                f'"{place}{index % 300}号",{firms[index % 20_000]},连云港{place[3:9]}有限公司,'
                f"{index * 37 % 99999999 / 100:.2f},2024-0{1 + index % 9}-1{index % 10} 08:2{index % 10}:30,"
                f"{scope},{other[:20]},1{3_000_000_000 + index * 7919 % 6_999_999_999},存续,{index}\n"
            )


def peer(csv: str, folder: str) -> dict[str, Any]:
    """A bare DuckDB: COPY the file to Parquet, nothing checked."""
    import duckdb

    begun = time.perf_counter()
    con = duckdb.connect(config={"threads": 2})
    con.execute(f"COPY (FROM '{csv}') TO '{folder}/bare.parquet'")
    return {"seconds": time.perf_counter() - begun}


def lake(csv: str, folder: str, dsn: str) -> dict[str, Any]:
    """The lake: land, check every item, merge, reject, publish the snapshot."""
    from lianyun.lake.check import ItemCheck, RowRule
    from lianyun.lake.land import open_file
    from lianyun.lake.merge import DatasetSpec, load
    from lianyun.lake.shelves import Lake

    regions = ("320703", "320706", "320707", "320722", "320723", "320724")
    nations = tuple(f"{n:02}" for n in range(1, 57))
    items = (
        ItemCheck("citizen_number", "身份证号", check="citizen_number", required=True),
        ItemCheck("name", "姓名", format="an..50", required=True),
        ItemCheck("sex", "性别", format="an1", domain=("0", "1", "2", "9")),
        ItemCheck("birth_date", "出生日期", "D"),
        ItemCheck("nationality", "民族", domain=nations),
        ItemCheck("region", "区划", check="region", domain=regions, format="n6"),
        ItemCheck("address", "地址", format="an..100"),
        ItemCheck("credit_code", "单位代码", check="credit_code"),
        ItemCheck("firm", "单位", format="an..100"),
        ItemCheck("capital", "注册资金", "Y", "n..17,2"),
        ItemCheck("registered_at", "登记时间", "T"),
        ItemCheck("scope", "经营范围", format="an..4000"),
        ItemCheck("remarks", "备注", format="an..200"),
        ItemCheck("phone", "联系电话", format="n..11"),
        ItemCheck("state", "状态", domain=("存续", "注销", "吊销")),
        ItemCheck("serial", "序号", "N", "n..10", required=True),
    )
    sql = "birth_date IS NULL OR strftime(birth_date, '%Y%m%d') = citizen_number[7:14]"
    spec = DatasetSpec(
        "register",
        items,
        ("serial",),
        rules=(
            RowRule("born", "出生日期与身份证号一致", sql),
            RowRule("rich", "注册资金超过一百万", "capital < 1000000", "warn"),
        ),
    )
    place = Lake(dsn, f"{folder}/lake")
    with place.connect():  # a city's lake is there already; making its catalogue is not measured
        pass
    begun = time.perf_counter()
    outcome = load(place, spec, open_file(csv), "full", "bench")
    return {**outcome.as_dict(), "rules": None, "seconds": time.perf_counter() - begun}


def child(arguments: list[str]) -> dict[str, Any]:
    """Runs one side in a fresh process and returns its figures."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """Measures both sides at two sizes, best of two runs each; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description="文件 → 已检查、可查询的数据集")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--side", choices=("peer", "lake"))
    parser.add_argument("--csv")
    parser.add_argument("--folder")
    parser.add_argument("--dsn")
    args = parser.parse_args()
    if args.side:
        made = (
            peer(args.csv, args.folder)
            if args.side == "peer"
            else lake(args.csv, args.folder, args.dsn)
        )
        used = resource.getrusage(resource.RUSAGE_SELF)
        made["peak_bytes"] = used.ru_maxrss * 1024
        made["cpu_seconds"] = used.ru_utime + used.ru_stime
        print(json.dumps(made, default=str))
        return 0
    import psycopg

    from lianyun.project import postgres

    results = []
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder, postgres.temporary() as server:
        for rows in (max(args.rows // 4, 1000), args.rows):
            csv = Path(folder) / f"{rows}.csv"
            write_csv(csv, rows)
            bare: dict[str, Any] = {}
            ours: dict[str, Any] = {}
            for turn in range(2):
                one = child(["--side", "peer", "--csv", str(csv), "--folder", folder])
                bare = one if not bare or one["seconds"] < bare["seconds"] else bare
                with psycopg.connect(server.url("postgres"), autocommit=True) as con:
                    con.execute(f"CREATE DATABASE lake_{rows}_{turn}".encode())
                place = f"{folder}/{rows}_{turn}"
                dsn = server.url(f"lake_{rows}_{turn}")
                one = child(["--side", "lake", "--csv", str(csv), "--folder", place, "--dsn", dsn])
                ours = one if not ours or one["seconds"] < ours["seconds"] else ours
            results.append(
                {
                    "rows": rows,
                    "csv_mb": round(csv.stat().st_size / 1e6, 1),
                    "copy_seconds": round(bare["seconds"], 2),
                    "copy_cpu_seconds": round(bare["cpu_seconds"], 2),
                    "copy_peak_mb": round(bare["peak_bytes"] / 1e6),
                    "lake_seconds": round(ours["seconds"], 2),
                    "lake_cpu_seconds": round(ours["cpu_seconds"], 2),
                    "lake_peak_mb": round(ours["peak_bytes"] / 1e6),
                    "ratio": round(ours["seconds"] / bare["seconds"], 2),
                    "landed": ours["landed"],
                    "accepted": ours["accepted"],
                    "rejected": ours["rejected"],
                }
            )
            csv.unlink()
    print(
        f"{'行数':>10} {'MB':>7} {'COPY 秒':>9} {'入湖 秒':>9} {'倍数':>6} {'峰值 MB':>8} {'拒收':>6}"
    )
    for r in results:
        print(
            f"{r['rows']:>12} {r['csv_mb']:>7} {r['copy_seconds']:>11} {r['lake_seconds']:>11} "
            f"{r['ratio']:>8} {r['lake_peak_mb']:>10} {r['rejected']:>8}"
        )
    last = results[-1]
    good = last["ratio"] <= TARGET_RATIO and last["lake_peak_mb"] * 1e6 <= TARGET_BYTES
    balanced = all(r["landed"] == r["accepted"] + r["rejected"] == r["rows"] for r in results)
    print(json.dumps({"benchmark": "ingest", "target_met": good and balanced, "results": results}))
    return 0 if good and balanced else 1


if __name__ == "__main__":
    sys.exit(main())
