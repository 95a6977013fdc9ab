"""Linkage: N records of people without numbers, against Splink alone with the same settings.

``python benchmarks/linkage.py [--records N …]`` fills a dataset of N records, a fifth of them written
down a second time by another hand, and looks for duplicates. The peer is Splink itself on records that
are prepared already (folded names, parsed addresses; not measured): the same samples and rules, trained
by Splink's own code, scored, clustered by Splink, pairs written to Parquet. Ours is everything: reading
the lake, preparing, bounding blocks, training (anew in every run; the same model, counted once: ADR
0047), Splink's scoring, entities, and the transaction that keeps pairs and crosswalk. Both in
processes of their own, in turns, best of two, the same memory. Then a block of 65,000 equal keys,
which Splink alone would blow up to two thousand million pairs. Target: at most 1.1 times the peer.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

TARGET_RATIO = 1.10
TARGET_F1 = 0.98
EQUAL = 65_000
EQUAL_SECONDS, EQUAL_PAIRS = 60.0, 20_000_000


def place(args: argparse.Namespace) -> Any:
    """The lake of this run."""
    from lianyun.lake.shelves import Lake

    return Lake(args.dsn, f"{args.folder}/lake", memory_limit="3GB")


def spec(name: str) -> Any:
    """The linkage: a dataset searched for duplicates."""
    from lianyun.lake import match

    kinds = {"name": "person_name", "born": "date", "phone": "phone", "address": "address"}
    return match.read(
        {
            "name": name,
            "left": {"dataset": name, "key": ["id"]},
            "fields": [{"name": n, "kind": k} for n, k in kinds.items()],
            "blocks": [
                ["name", "born.year"], ["name.pinyin", "born.month_day"], ["phone"],
                ["address.door"],
            ],
            "certain": [["name", "born"], ["phone", "born"]],
            "train": [["name", "born.year"], ["phone"]],
            "thresholds": {"merge": 0.95, "review": 0.5},
        }
    )  # fmt: skip


def fill(lake: Any, records: int) -> None:
    """The dataset: four in five records are people, the others some of them again."""
    people = int(records * 0.8)
    surnames = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
    person = f"""SELECT i, substr('{surnames}', 1 + (hash(i, 's') % 30)::INT, 1) || chr(20000 + (hash(i, 'a') % 900)::INT) || chr(21000 + (hash(i, 'b') % 900)::INT) AS name,
      DATE '1940-01-01' + (hash(i, 'd') % 28000)::INT AS born, '139' || lpad((hash(i, 'p') % 100000000)::VARCHAR, 8, '0') AS phone,
      '江苏省连云港市海州区新浦街道市化社区' || (hash(i, 'w') % 4000) || '巷' AS lane,
      (hash(i, 'n') % 300) || '号花园' || (hash(i, 'u') % 40) || '幢' || (hash(i, 'v') % 4) || '单元' || (hash(i, 'r') % 900) || '室' AS door FROM range({people}) r(i)"""
    with lake.connect() as con:
        con.execute(f"""CREATE OR REPLACE TABLE lake.trusted.people AS
          WITH person AS ({person})
          SELECT 'r' || i AS id, name, born, phone, lane || door AS address FROM person
          UNION ALL SELECT 'd' || i, CASE WHEN hash(i, 'en') % 10 = 0 THEN substr(name, 1, 1) || '小' || substr(name, 3) WHEN hash(i, 'en') % 10 = 1 THEN replace(replace(replace(name, '张', '張'), '陈', '陳'), '刘', '劉') ELSE name END,
            CASE WHEN hash(i, 'eb') % 10 = 0 THEN born + 10 ELSE born END,
            CASE WHEN hash(i, 'ep') % 10 < 2 THEN NULL ELSE phone END,
            CASE WHEN hash(i, 'ea') % 10 < 4 THEN substr(lane, 8) || door ELSE lane || door END
          FROM person WHERE i % 4 = 0""")
        con.execute(f"""CREATE OR REPLACE TABLE lake.trusted.equal AS SELECT i AS id, '王秀英' AS name, DATE '1960-01-01' + (i % 20000)::INT AS born,
          '13900000000' AS phone, '海州区新浦街道解放中路' || (i % 977) || '号' AS address FROM range({EQUAL}) r(i)""")


def peer(lake: Any, folder: str) -> dict[str, Any]:
    """Splink alone on prepared records."""
    from splink import DuckDBAPI, Linker

    from lianyun.lake import match

    logging.getLogger("splink").setLevel(logging.ERROR)
    one = spec("people")
    with lake.private() as con:
        match.prepare(con, one)
        rules = {r: [match._columns(r)] for r in (*one.blocks, *one.certain, *one.train)}
        begun = time.perf_counter()
        api = DuckDBAPI(con)
        linker = Linker(api.register("side0"), match.settings(one, rules), log_level=logging.ERROR)
        match.train(linker, one, rules)
        found = linker.inference.predict(
            threshold_match_probability=one.review, warning_mode="never"
        )
        groups = linker.clustering.cluster_pairwise_predictions_at_threshold(found, one.merge)
        con.execute(f"COPY {found.physical_name} TO '{folder}/peer.parquet' (FORMAT parquet)")
        con.execute(f"COPY {groups.physical_name} TO '{folder}/groups.parquet' (FORMAT parquet)")
        seconds = time.perf_counter() - begun
        pairs = con.execute(f"SELECT count(*) FROM {found.physical_name}").fetchone()
    return {"seconds": seconds, "pairs": int(pairs[0])}


def ours(lake: Any, dataset: str, code: str) -> dict[str, Any]:
    """The whole linkage; its F1 against what is known."""
    from lianyun.lake import match

    steps: list[tuple[float, str]] = []
    began = time.perf_counter()
    made = match.run(
        lake,
        spec(dataset),
        code,
        tell=lambda _, message: steps.append((time.perf_counter() - began, message)),
    )
    seconds = time.perf_counter() - began
    ends = [at for at, _ in steps[1:]] + [seconds]
    parts = {m: round(end - at, 2) for (at, m), end in zip(steps, ends, strict=True)}
    found = {"seconds": seconds, "pairs": made.pairs, "parts": parts, "left_out": made.left_out}
    if dataset == "people":
        with lake.connect(read_only=True) as con:
            right, given, truth = con.execute(
                "SELECT (SELECT count(*) FROM lake.links.crosswalk a JOIN lake.links.crosswalk b ON a.entity = b.entity AND a.key[1] = 'd' AND b.key = 'r' || a.key[2:]), "
                "(SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM lake.links.crosswalk GROUP BY entity)), "
                "(SELECT count(*) FROM lake.trusted.people WHERE id[1] = 'd')"
            ).fetchone() or (0, 0, 1)
        found["f1"] = 2 * int(right) / (int(given or 0) + int(truth))
    return found


def side(args: argparse.Namespace) -> dict[str, Any]:
    """One side in this process."""
    lake = place(args)
    with lake.connect() as con:
        con.execute("SELECT count(*) FROM lake.ledger.batches").fetchall()
    if args.side == "fill":
        fill(lake, args.records[0])
        return {}
    if args.side == "peer":
        return peer(lake, args.folder)
    return ours(lake, "people" if args.side == "ours" else "equal", args.name)


def child(*arguments: str) -> dict[str, Any]:
    """Runs one side in a fresh process and returns its figures."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def best(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The quicker of two turns."""
    return new if not old or new["seconds"] < old["seconds"] else old


def measure(records: int, turns: int) -> dict[str, Any]:
    """Both sides on N records, then the block of equal keys."""
    from lianyun.project import postgres

    with tempfile.TemporaryDirectory(prefix="linkage-") as folder, postgres.temporary() as server:
        at = ("--folder", folder, "--dsn", server.url("postgres"), "--records", str(records))
        child("--side", "fill", *at)
        bare: dict[str, Any] = {}
        whole: dict[str, Any] = {}
        for turn in range(turns):
            bare = best(bare, child("--side", "peer", *at))
            whole = best(whole, child("--side", "ours", "--name", f"run{turn}", *at))
        equal = child("--side", "equal", "--name", "equal", *at)
    return {
        "records": records,
        "splink_seconds": round(bare["seconds"], 2),
        "splink_peak_mb": round(bare["peak_bytes"] / 1e6),
        "linkage_seconds": round(whole["seconds"], 2),
        "linkage_peak_mb": round(whole["peak_bytes"] / 1e6),
        "ratio": round(whole["seconds"] / bare["seconds"], 2),
        "same_pairs": bare["pairs"] == whole["pairs"],
        "pairs": whole["pairs"],
        "f1": round(whole["f1"], 4),
        "parts": whole["parts"],
        "equal_seconds": round(equal["seconds"], 2),
        "equal_peak_mb": round(equal["peak_bytes"] / 1e6),
        "equal_full_pairs": sum(o["pairs"] for o in equal["left_out"]),
        "equal_compared_at_most": sum(o["compared"] for o in equal["left_out"]),
    }


def main() -> int:
    """Measures each size; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="没有号码的记录 → 同一人")
    default = [int(os.environ.get("LINKAGE_RECORDS", 100_000))]
    parser.add_argument("--records", type=int, nargs="*", default=default)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=("fill", "peer", "ours", "equal"))
    for name in ("folder", "dsn", "name"):
        parser.add_argument(f"--{name}", default="")
    args = parser.parse_args()
    if args.side:
        made = side(args)
        made["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(made, ensure_ascii=False))
        return 0
    results = [measure(records, args.turns) for records in args.records]
    print(f"{'记录':>10} {'Splink 秒':>10} {'关联 秒':>10} {'倍数':>6} {'峰值 MB':>8} {'F1':>8}")
    for r in results:
        print(
            f"{r['records']:>12} {r['splink_seconds']:>10} {r['linkage_seconds']:>12} "
            f"{r['ratio']:>8} {r['linkage_peak_mb']:>10} {r['f1']:>9}"
        )
        print(
            f"{EQUAL:,} 个相同取值：应比 {r['equal_full_pairs']:,} 对，至多比 "
            f"{r['equal_compared_at_most']:,} 对，{r['equal_seconds']} 秒，{r['equal_peak_mb']} MB"
        )
    good = all(
        r["ratio"] <= TARGET_RATIO
        and r["f1"] >= TARGET_F1
        and r["same_pairs"]
        and r["equal_seconds"] <= EQUAL_SECONDS
        and r["equal_compared_at_most"] <= EQUAL_PAIRS
        for r in results
    )
    print(
        json.dumps(
            {"benchmark": "linkage", "target_met": good, "results": results}, ensure_ascii=False
        )
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
