"""Check: everything about the house that needs no running city, one line a check."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


CHECKS: list[tuple[str, list[str]]] = [
    ("format", [str(BIN / "ruff"), "format", "--check", "."]),
    ("lint", [str(BIN / "ruff"), "check", "."]),
    ("import contracts", [str(BIN / "lint-imports"), "--no-cache"]),
    ("packs", _python("lianyun.project.cli", "check-packs")),
    (
        "django",
        _python("lianyun.project.cli", "manage", "check", "--fail-level", "WARNING"),
    ),
    (
        "migrations",
        _python("lianyun.project.cli", "manage", "makemigrations", "--check", "--dry-run"),
    ),
    ("baseline", _python("lianyun.project.baseline")),
    ("types", [str(BIN / "mypy")]),
    ("architecture", _python("pytest", "tests/architecture", "-p", "no:cacheprovider")),
]


def main() -> int:
    """Run every check, even after one has failed; returns 1 if any has."""
    import tempfile

    failed = []
    with tempfile.TemporaryDirectory(prefix="lianyun-check-") as home:
        # The checks neither see nor leave anything in the checkout's own state.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LIANYUN_")}
        environment = {**kept, "LIANYUN_HOME": home}
        for name, command in CHECKS:
            began = time.monotonic()
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True
            )
            good = done.returncode == 0
            sys.stdout.write(f"{'✓' if good else '✗'} {name} ({time.monotonic() - began:.1f} s)\n")
            if not good:
                failed.append(name)
                sys.stdout.write(f"{done.stdout[-6000:]}{done.stderr[-3000:]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
