"""Benchmarks: each figure of the README has its script here, with its peer in the same run.

``python benchmarks/run.py [NAME …]`` runs ``bench_NAME.py`` of this folder, all of them without a
name. A script prints its figures and its peer's, and ends with 1 where it misses its target.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Every benchmark's name."""
    return sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))


def run(name: str) -> int:
    """Run one benchmark in a process and a state folder of its own; returns its exit code."""
    print(f"== {name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lianyun-bench-") as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LIANYUN_")}
        return subprocess.run(
            [sys.executable, str(HERE / f"bench_{name}.py")],
            env={**kept, "LIANYUN_HOME": home},
            cwd=HERE.parent,
        ).returncode


def main() -> int:
    """Run what was asked for; 1 if a benchmark failed."""
    wanted = sys.argv[1:] or names()
    unknown = [name for name in wanted if name not in names()]
    if unknown:
        print(f"没有 {'、'.join(unknown)}；有 {'、'.join(names())}", file=sys.stderr)
        return 2
    about = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    print(json.dumps(about, ensure_ascii=False), flush=True)
    codes = [run(name) for name in wanted]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
