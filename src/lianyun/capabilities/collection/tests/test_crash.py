"""Crashes: a worker killed in the middle leaves nothing half-visible and may be run again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lianyun.project import testing

ROWS = 30_000
PRELUDE = """
import json, sys, datetime as dt, django
django.setup()
from lianyun.capabilities.collection import actions, api, queries
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Batch
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database and a lake that only processes of this test know, as an environment."""
    tag = secrets.token_hex(4)
    names = [f"crash_{tag}", f"crash_lake_{tag}"]
    env = {
        **os.environ,
        "LIANYUN_DATABASE_URL": testing.create_database(names[0], testing.installed_database()),
        "LIANYUN_LAKE_CATALOGUE": testing.create_database(names[1]),
        "LIANYUN_LAKE": str(tmp_path / "lake"),
        "LIANYUN_HOME": str(tmp_path / "home"),
    }
    (tmp_path / "lake").mkdir()
    yield env
    for name in names:
        testing.drop_database(name)


def run(house: dict[str, str], script: str) -> list[Any]:
    """What a script prints as lines of JSON, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], env=house, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.strip().splitlines()]


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file large enough to be killed in."""
    path = tmp_path / "big.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write("编号,名称,金额\n")
        out.writelines(f"K{i:08d},名称{i},{i}.5\n" for i in range(ROWS))
    return path


SETUP = """
path = {path!r}
told = api.infer(path, register="big", by=SYSTEM)
api.register_source(dataset="big", name="big-file", kind="csv", location=path, by=SYSTEM)
from lianyun.capabilities.collection.models import Source
batch = actions.begin_source(source=Source.objects.get(), by=SYSTEM)
code = batch.code
"""
SWEEP = """
actions.GRACE = dt.timedelta(0)
closed = actions.reconcile(by=SYSTEM)
print(json.dumps([[b.state, b.message, b.landed] for b in closed] + [queries.total_rows("big")]))
"""
AGAIN = """
print(json.dumps(api.load_source("big-file", by=SYSTEM) | {"total": queries.total_rows("big")}))
"""


DIES = """
def dies(fraction, message):
    import os, signal
    if fraction > 0.8:
        os.kill(os.getpid(), signal.SIGKILL)
actions._progress = lambda batch: dies
actions.carry_queued(code, by=SYSTEM)
"""


def killed(house: dict[str, str], script: str) -> None:
    """Run a script that is killed with signal 9 before its end."""
    died = subprocess.run([sys.executable, "-c", PRELUDE + script], env=house)
    assert died.returncode == -signal.SIGKILL


def test_killed_in_the_middle(house: dict[str, str], big: Path) -> None:
    killed(house, SETUP.format(path=str(big)) + DIES)
    swept, _, told = run(house, SWEEP + AGAIN + AGAIN)
    (state, message, landed), total = swept
    assert state == "failed"
    assert "中断" in message
    assert (landed, total) == (0, 0)
    assert (told["landed"], told["unchanged"], told["total"]) == (ROWS, ROWS, ROWS)


COMMITTED = """
def dies(**kw):
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
actions.close = dies
actions.carry_queued(code, by=SYSTEM)
"""


def test_killed_between_the_lake_and_the_verdict(house: dict[str, str], big: Path) -> None:
    killed(house, SETUP.format(path=str(big)) + COMMITTED)
    ((state, message, landed), total), again = run(house, SWEEP + SWEEP)
    assert (state, message, landed, total) == ("succeeded", "", ROWS, ROWS)
    assert again == [ROWS]
