"""The generated baseline makes the same tables as the migrations do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from lianyun.project import baseline, postgres
from lianyun.project.testing import server_url, template_database


def _dump(url: str) -> list[str]:
    dumped = subprocess.run(
        [str(postgres.binaries() / "pg_dump"), "--schema-only", "--no-owner", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line for line in dumped.splitlines() if not line.startswith(("--", "\\", "COMMENT ON"))]


@pytest.mark.slow  # make check compares them as well
def test_a_database_from_the_baseline_is_that_of_the_migrations(
    empty_database: Callable[[], str],
) -> None:
    url = empty_database()
    baseline.load(url)
    assert baseline.fits()
    assert _dump(url) == _dump(server_url(template_database()))
