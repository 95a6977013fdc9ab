"""Together: readers beside a writer, a writer killed at any moment, a full disk, a lost database."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lianyun.lake import merge
from lianyun.lake.check import ItemCheck
from lianyun.lake.land import Source, from_rows
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake, LakeError, table_columns

from .test_shelves import hang_up

SPEC = DatasetSpec("crowd", (ItemCheck("id", "编号", "N"), ItemCheck("v", "值")), ("id",))
READERS = 10


def source(rows: int, value: str) -> Source:
    return from_rows(["编号", "值"], [(n + 2, [str(n), value]) for n in range(rows)])


def child(work: Callable[[], int]) -> int:
    """Runs `work` in a process of its own; its exit code is what work returns, 99 if it raises."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def values(lake: Lake) -> dict[str, int]:
    """How many rows hold each value; empty where the table is not there."""
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "trusted", "crowd"):
            return {}
        return dict(con.execute("SELECT v, count(*) FROM lake.trusted.crowd GROUP BY v").fetchall())


def test_ten_readers_see_whole_batches_only(lake: Lake, tmp_path: Path) -> None:
    rows = 1500
    load(lake, SPEC, source(rows, "0"), "full", "b0")

    def read() -> int:
        """0: every look showed one whole batch, never an older one than before, and two at least."""
        seen: list[int] = []
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = values(lake)
            if list(found.values()) != [rows]:
                return 1
            seen.append(int(next(iter(found))))
            (tmp_path / str(os.getpid())).touch()
            if seen[-1] < max(seen):
                return 2
            if seen[-1] >= 5:
                return 0 if len(set(seen)) > 1 else 3
        return 4

    readers = [child(read) for _ in range(READERS)]
    deadline = time.monotonic() + 60
    while any(not (tmp_path / str(pid)).exists() for pid in readers):
        assert time.monotonic() < deadline, "a reader never had its first look"
        time.sleep(0.05)
    for turn in range(1, 6):
        load(lake, SPEC, source(rows, str(turn)), "full", f"b{turn}")
    assert [ended(pid) for pid in readers] == [0] * READERS


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 24))]
)
def test_killed_at_a_random_moment(lake: Lake, seed: int) -> None:
    """Old or new, never half; and the same batch run again ends right, without a row twice."""
    rows = 4000
    dice = random.Random(seed)
    load(lake, SPEC, source(rows, "old"), "full", "b1")
    begun = time.monotonic()
    load(lake, SPEC, source(rows, "old"), "full", "b2")
    usual = time.monotonic() - begun

    def work() -> int:
        load(lake, SPEC, source(rows + 100, "new"), "full", "b3")
        return 0

    pid = child(work)
    time.sleep(dice.uniform(0.05, 1.6) * usual)
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    time.sleep(0.3)  # what the database had received, it may still commit
    committed = merge.outcome_of(lake, "b3") is not None
    assert values(lake) == ({"new": rows + 100} if committed else {"old": rows})
    done = load(lake, SPEC, source(rows + 100, "new"), "full", "b3", wait=30)
    assert done.repeated == committed
    assert (done.landed, done.accepted, done.updated) == (rows + 100, rows + 100, rows)
    assert values(lake) == {"new": rows + 100}
    with lake.connect(read_only=True) as con:
        landed = con.execute("SELECT count(*) FROM lake.raw.crowd WHERE _batch = 'b3'").fetchone()
    assert landed == (rows + 100,)


def test_a_full_disk_is_told_and_loses_nothing(lake: Lake) -> None:
    load(lake, SPEC, source(10, "old"), "full", "b1")

    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            wide = [(n + 2, [str(n), os.urandom(20).hex()]) for n in range(20_000)]
            load(lake, SPEC, from_rows(["编号", "值"], wide), "incremental", "b2")
        except LakeError as error:
            return 0 if "磁盘空间不足" in str(error) else 1
        return 2

    assert ended(child(work)) == 0
    assert values(lake) == {"old": 10}
    assert merge.outcome_of(lake, "b2") is None
    assert load(lake, SPEC, source(20, "new"), "incremental", "b2").accepted == 20


def test_a_database_lost_in_the_middle_is_told_and_loses_nothing(lake: Lake) -> None:
    load(lake, SPEC, source(10, "old"), "full", "b1")
    told: list[str] = []

    def cut(fraction: float, message: str) -> None:
        if "开始检查" in message and not told:
            told.append(message)
            hang_up(lake.dsn)

    with pytest.raises(LakeError, match="与数据库的连接中断"):
        load(lake, SPEC, source(20, "new"), "incremental", "b2", cut)
    assert told
    assert values(lake) == {"old": 10}
    assert load(lake, SPEC, source(20, "new"), "incremental", "b2").accepted == 20
