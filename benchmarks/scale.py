"""To the city's size: each heavy step at rising sizes, and the line through them.

Runs the other measurements (a file's load, a day's changes, twelve rules, a library, a comparison)
at each size and fits seconds against rows by least squares; docs/operations/sizing.md reckons from
such lines. Sizes are what disk and time allow; far beyond the largest a line is a guess.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def measure(script: str, *arguments: str) -> list[dict[str, Any]]:
    """One measurement's results; its own targets are its own business here."""
    done = subprocess.run(
        [sys.executable, str(HERE / f"{script}.py"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    if not done.stdout.strip():
        raise SystemExit(f"{script} printed nothing")
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])["results"]
    return found


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Intercept and slope of the least-squares line through (rows, seconds)."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return mean_y - slope * mean_x, slope


def main() -> int:
    """Measures every step at every size; prints the points and the lines."""
    parser = argparse.ArgumentParser(description="规模：各步骤随行数的增长")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000])
    parser.add_argument("--daily", type=int, default=500_000)
    args = parser.parse_args()
    steps: dict[str, list[tuple[int, float, int]]] = {}
    sizes = [str(n) for n in args.rows]

    def put(step: str, rows: int, seconds: float, peak: int) -> None:
        steps.setdefault(step, []).append((rows, seconds, peak))
        print(f"{step}\t{rows:,} 行\t{seconds:.2f} 秒\t峰值 {peak} MB", flush=True)

    for found in measure("ingest", "--rows", sizes[0]):
        put("文件入湖", found["rows"], found["lake_seconds"], found["lake_peak_mb"])
    for found in measure("upsert", "--rows", *sizes, "--changes", str(args.daily)):
        put("每日变更", found["rows"], found["lake_seconds"], found["peak_mb"])
        put("变更流", found["rows"], found["feed_seconds"], found["peak_mb"])
    for found in measure("quality", "--rows", *sizes, "--tools", "0"):
        put("十二条规则", found["rows"], found["seconds"], found["peak_mb"])
    for size in sizes:
        for found in measure("golden", "--people", size, "--turns", "1", "--changes", "0.001"):
            put("建库", found["people"], found["library_seconds"], found["library_peak_mb"])
            for day in found["days"]:
                put("建库（一日变更）", found["people"], day["seconds"], day["peak_mb"])
        for found in measure("comparison", "--rows", size, "--kinds", "differs", "--turns", "1"):
            put("比对", found["rows"], found["seconds"], found["peak_mb"])
    fitted = {}
    print(f"\n{'步骤':<16}{'固定 秒':>10}{'每百万行 秒':>14}")
    for step, points in steps.items():
        base, slope = line([(float(rows), seconds) for rows, seconds, _ in points])
        fitted[step] = {
            "base_seconds": round(base, 2),
            "seconds_per_million": round(slope * 1e6, 3),
            "peak_mb": max(peak for *_, peak in points),
            "points": [(rows, round(seconds, 2)) for rows, seconds, _ in points],
        }
        print(f"{step:<16}{base:>10.2f}{slope * 1e6:>14.3f}")
    print(json.dumps({"benchmark": "scale", "results": fitted}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
