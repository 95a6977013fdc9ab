"""Sheet: rows written as a file that collection loads."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


def written(rows: Sequence[Mapping[str, str]], path: Path) -> Path:
    """The rows as CSV (UTF-8), readable by this account alone."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return path


__all__ = ["written"]
