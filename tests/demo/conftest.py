"""Sample city: one small city for all tests of the demo, in a database of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.generate import generate
from lianyun.project.testing import server_url

AS_OF = dt.date(2026, 11, 20)
PEOPLE, SEED = 1500, 7


@dataclass(frozen=True)
class Sample:
    """A generated city: its folder, its database and what is known to be wrong in it."""

    folder: Path
    dsn: str
    truth: dict[str, Any]


def _quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction <= 1
    assert message


@pytest.fixture(scope="session")
def make_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Sample]]:
    """Generate the same city into a fresh folder and database of the given name."""
    made: list[str] = []

    def make(name: str, day: int = 1, into: Sample | None = None) -> Sample:
        if into is None:
            database = f"demo_{name}"
            with psycopg.connect(server_url("postgres"), autocommit=True) as db:
                db.execute(f"DROP DATABASE IF EXISTS {database}")
                db.execute(f"CREATE DATABASE {database}")
            made.append(database)
            folder, dsn = tmp_path_factory.mktemp(name), server_url(database)
        else:
            folder, dsn = into.folder, into.dsn
        return Sample(folder, dsn, generate(PEOPLE, SEED, folder, dsn, AS_OF, day, _quiet))

    yield make
    with psycopg.connect(server_url("postgres"), autocommit=True) as db:
        for database in made:
            db.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture(scope="session")
def sample(make_city: Callable[..., Sample]) -> Sample:
    """The city as first delivered."""
    return make_city("first")
