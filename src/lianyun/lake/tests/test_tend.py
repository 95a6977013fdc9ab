"""Tending: what calls for it, that it changes no row, and that a load never waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from lianyun.lake import merge, tend
from lianyun.lake.land import Source
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Busy, Lake

from .conftest import ANNA, BORIS


def of(lake: Lake, schema: str, name: str) -> tend.Table:
    return next(t for t in tend.tables(lake) if (t.schema, t.name) == (schema, name))


def test_many_small_files_become_one(
    lake: Lake, people: DatasetSpec, rows: Callable[..., Source]
) -> None:
    for day in range(tend.MANY_SMALL):
        person = (ANNA, "安娜", str(day), "1991-01-01")
        load(lake, people, rows(person, (BORIS, "鲍里斯", "1", "1980-10-08")), "full", f"b{day}")
    before = merge.read(lake, "people")
    held = sorted(map(str, before))
    assert of(lake, "changes", "people").files == tend.MANY_SMALL - 1
    assert of(lake, "raw", "people").due
    done, left = tend.tend(lake, keep="0 seconds")
    assert "raw.people" in done
    assert left == []
    assert of(lake, "raw", "people").files == 1
    assert not of(lake, "raw", "people").due
    assert sorted(map(str, merge.read(lake, "people"))) == held
    assert len(merge.batches(lake, "people")) == tend.MANY_SMALL


@pytest.mark.slow
def test_tending_waits_for_nobody_and_lets_go(lake: Lake) -> None:
    """A load that comes while a table is tended gets it within a second or two."""
    with lake.connect() as con:
        con.execute(
            "CREATE TABLE lake.trusted.big AS SELECT range AS id, hash(range) AS h, "
            "repeat(CAST(hash(range) AS VARCHAR), 8) AS t FROM range(3000000)"
        )
        con.execute("DELETE FROM lake.trusted.big WHERE id % 3 = 0")
    with lake.writer("dataset.big"):
        assert tend.tend_table(lake, "trusted", "big") is False
    result: list[bool] = []
    worker = threading.Thread(target=lambda: result.append(tend.tend_table(lake, "trusted", "big")))
    worker.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with lake.writer("dataset.big", timeout=0, yielding=True):
                time.sleep(0.02)
        except Busy:
            break
    with lake.writer("dataset.big", timeout=60), lake.connect() as con:
        con.execute("INSERT INTO lake.trusted.big VALUES (-1, 0, 'x')")
    worker.join(60)
    assert result == [False]
    assert of(lake, "trusted", "big").deleted == 1_000_000
    assert tend.tend_table(lake, "trusted", "big")
    assert of(lake, "trusted", "big").deleted == 0
    with lake.connect(read_only=True) as con:
        row = con.execute("SELECT count(*), min(id) FROM lake.trusted.big").fetchone()
    assert row == (2_000_001, -1)


@pytest.mark.parametrize("keep", ["0 seconds"])
def test_forgetting_leaves_what_is_there(
    lake: Lake, people: DatasetSpec, rows: Callable[..., Source], keep: str
) -> None:
    load(lake, people, rows((ANNA, "安娜", "1", "1991-01-01")), "full", "b1")
    tend.forget(lake, keep)
    assert [row["id"] for row in merge.read(lake, "people")] == [ANNA]
