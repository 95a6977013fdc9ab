"""Command: `python -m demo` writes the sample city's sources into a folder and a PostgreSQL."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from pathlib import Path

from .generate import LAST_DAY, generate


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, generate, and report progress (text, or one JSON object a line)."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="示范城市：生成各部门的数据源（模拟数据）"
    )
    parser.add_argument("--people", type=int, default=20_000, help="居民人数")
    parser.add_argument("--seed", type=int, default=1, help="随机种子")
    parser.add_argument("--out", type=Path, required=True, help="文件写到哪个目录")
    parser.add_argument("--postgres-dsn", required=True, help="各部门前置库所在的 PostgreSQL")
    parser.add_argument(
        "--day", type=int, default=1, choices=range(1, LAST_DAY + 1), help="第几天的数据"
    )
    parser.add_argument(
        "--as-of", type=dt.date.fromisoformat, default=None, help="以哪一天为今天（缺省为当日）"
    )
    parser.add_argument("--json-progress", action="store_true", help="逐行输出 JSON 进度")
    options = parser.parse_args(arguments)
    if options.people < 500:
        parser.error("居民人数至少为 500")
    as_of = options.as_of
    if as_of is None and options.day > 1 and (options.out / "truth.json").exists():
        # The next day follows the first delivery, whenever that was.
        as_of = dt.date.fromisoformat(
            json.loads((options.out / "truth.json").read_text("utf-8"))["as_of"]
        )
    as_of = as_of or dt.datetime.now(dt.timezone(dt.timedelta(hours=8))).date()
    started = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        if options.json_progress:
            print(
                json.dumps(
                    {"fraction": round(fraction, 3), "message": message}, ensure_ascii=False
                ),
                flush=True,
            )
        elif sys.stderr.isatty():
            print(f"\r{fraction:4.0%} {message:<40}", end="", file=sys.stderr, flush=True)

    truth = generate(
        options.people,
        options.seed,
        options.out,
        options.postgres_dsn,
        as_of,
        options.day,
        progress,
    )
    summary = {
        "done": True, "people": options.people, "datasets": len(truth["datasets"]), "rows": truth["rows"],
        "catalogue": truth.get("catalogue"), "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    print(
        json.dumps(summary, ensure_ascii=False) if options.json_progress else f"\n{summary}",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
