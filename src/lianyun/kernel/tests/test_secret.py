"""Key files: made once, read by all, for their owner only."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lianyun.kernel.secret import key_file


def test_many_who_come_at_once_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.key"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: key_file(path, lambda: secrets.token_bytes(32)), range(40)))
    assert len(found) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["a.key"]
