"""Crashes: a worker killed anywhere, two at once, a storm of updates: each change takes effect once."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from lianyun.project import testing

PRELUDE = """
import json, sys, os, signal, threading, django
django.setup()
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.delivery import actions, api
from lianyun.capabilities.delivery.actions import parcels
from lianyun.capabilities.delivery.models import Delivery, Subscription
from lianyun.capabilities.delivery.tests.conftest import ITEMS, SPEC, TITLES, person
from lianyun.capabilities.audit.models import CallRecord
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Party, Resource
from lianyun.lake.land import from_rows
from lianyun.lake.merge import load
from lianyun.lake import portion
portion.PIECE_ROWS = 1000
def fill(batch, rows, mode="full"):
    load(collection.lake(), SPEC, from_rows(TITLES, list(enumerate(rows, 2))), mode, batch,
         allow_shrink=True)
def carry():
    Subscription.objects.update(next_at=None)
    return api.carry(code=Subscription.objects.get().code, by=SYSTEM)
def told():
    row = Subscription.objects.get()
    print(json.dumps({"position": row.position, "error": row.error, "number": row.number,
        "deliveries": [d.standing for d in row.deliveries.order_by("id")],
        "records": CallRecord.objects.filter(channel="delivery").count()}), flush=True)
"""
SETUP = """
made = catalogue.register_dataset(
    provider=Party.objects.get(slug="ga"),
    content={"name": "people_d", "title": "测试人员", "code": "101001/900007", "level": 3,
             "cycle": "每日", "items": ITEMS}, by=SYSTEM)
Resource.objects.filter(pk=made.pk).update(state=Resource.PUBLISHED)
given = grants.issue(kind="data", to=Party.objects.get(slug="gjj"), resource=made, by=SYSTEM,
    terms={"fields": ["citizen_number", "name"], "purpose": "测试", "method": "批量交换"})
api.open_subscription(grant=given, kind=KIND, location=PLACE, vouched=True, by=SYSTEM,
    credentials={"user": "lianyun"})
fill("b1", [person(n) for n in range(3000)])
carry()
told()
"""
IN_THE_MIDDLE = """
fill("b2", [person(n, name="新") for n in range(3000)])
before = parcels.still_of
def still_of(grant):
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)
    return dies
parcels.still_of = still_of
carry()
"""
UNPROVEN = """
from lianyun.capabilities.audit.api import Unproven
from lianyun.capabilities.delivery.actions import recording
fill("b4", [person(n, name="四") for n in range(3000)])
whole, pieces = recording._note, []
def note(*given):
    pieces.append(given)
    if len(pieces) == 2:
        raise Unproven("存证中断")
    return whole(*given)
recording._note = note
assert carry() == 0
told()
"""
BEFORE_NOTING = """
fill("b3", [person(n, name="更新") for n in range(2999)])
def settle(**_):
    os.kill(os.getpid(), signal.SIGKILL)
parcels.settle = settle
carry()
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database, a lake and a receiver that only processes of this test know."""
    tag = secrets.token_hex(4)
    names = [f"crash_{tag}", f"crash_lake_{tag}", f"crash_receiver_{tag}"]
    env = {
        **os.environ,
        "LIANYUN_DATABASE_URL": testing.create_database(names[0], testing.installed_database()),
        "LIANYUN_LAKE_CATALOGUE": testing.create_database(names[1]),
        "LIANYUN_LAKE": str(tmp_path / "lake"),
        "LIANYUN_HOME": str(tmp_path / "home"),
        "LIANYUN_OUTBOX": str(tmp_path / "outbox"),
        "RECEIVER": testing.create_database(names[2]),
    }
    (tmp_path / "lake").mkdir()
    yield env
    for name in names:
        testing.drop_database(name)


def run(house: dict[str, str], script: str, *, killed: bool = False) -> Any:
    """What a script prints as JSON before it ends, or before it is killed, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], env=house, capture_output=True, text=True
    )
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
    said = done.stdout.strip().splitlines()
    return json.loads(said[-1]) if said else None


def place(house: dict[str, str]) -> str:
    """The receiver's database as a location: a socket's folder, so it must be vouched for."""
    parts = urlsplit(house["RECEIVER"])
    return f"postgresql://{parts.path}?host={parse_qs(parts.query)['host'][0]}"


def begin(house: dict[str, str], kind: str, where: str, then: str = "") -> None:
    """A first delivery, and in the same process what kills it, if anything."""
    script = f"KIND, PLACE = {kind!r}, {where!r}" + SETUP + then
    assert run(house, script, killed=bool(then))["error"] == ""


def held(house: dict[str, str]) -> tuple[int, int, str]:
    """Rows, names there are, and the position, as the receiver sees them."""
    with psycopg.connect(house["RECEIVER"]) as con:
        row = con.execute("SELECT count(*), count(DISTINCT name) FROM people_d").fetchone()
        at = con.execute("SELECT position FROM _lianyun_position").fetchone()
    assert row is not None
    assert at is not None
    return row[0], row[1], at[0]


def test_killed_in_the_middle_and_before_noting(house: dict[str, str]) -> None:
    begin(house, "postgresql", place(house), IN_THE_MIDDLE)
    assert held(house) == (3000, 3000, "b1")  # nothing of the second took effect
    after = run(house, "carry(); told()" + BEFORE_NOTING, killed=True)
    kept = after.pop("records")
    # Two for what came first, three for the pieces of the second, and what the killed one had put
    # on record of them: a piece is recorded beside the sending and leaves only after it.
    assert 5 <= kept <= 8
    assert (after["position"], after["error"]) == ("b2", "")
    assert held(house) == (2999, 1, "b3")  # the receiver has the third, we do not know yet
    after = run(house, "carry(); told(); assert carry() == 0")
    assert after == {
        "position": "b3",
        "error": "",
        "number": 3,
        "deliveries": ["delivered"] * 3,
        "records": kept + 3,
    }
    # A piece whose people cannot be put on record takes all of its parcel back.
    assert run(house, UNPROVEN)["error"]
    assert held(house) == (2999, 1, "b3")
    assert run(house, "carry(); told()")["error"] == ""
    assert held(house) == (3000, 1, "b4")


@pytest.mark.slow
def test_killed_while_writing_a_parcel_into_a_folder(house: dict[str, str]) -> None:
    begin(house, "folder", "gjj", IN_THE_MIDDLE)
    folder = Path(house["LIANYUN_OUTBOX"]) / "gjj"
    assert not list(folder.glob("*00000002*"))
    run(house, BEFORE_NOTING.replace('"b3"', '"b2b"'), killed=True)
    mark = next(folder.glob("*00000002.done"))
    written = mark.stat().st_mtime_ns
    after = run(house, "carry(); told()")
    assert mark.stat().st_mtime_ns == written
    assert after["error"] == ""
    assert after["deliveries"][:2] == ["delivered", "delivered"]


@pytest.mark.slow
def test_two_workers_at_once_and_a_storm_of_updates(house: dict[str, str]) -> None:
    begin(house, "postgresql", place(house))
    storm = """
for n in range(8):
    fill(f"s{n:02d}", [person(n, name=f"第{n}次"), person(9000 + n)], "incremental")
print(json.dumps(1))
"""
    worker = """
import time
until = time.monotonic() + 60
while time.monotonic() < until:
    carry()
    if Subscription.objects.get().position == "s07":
        break
print(json.dumps(1))
"""
    wrong: list[BaseException] = []

    def side(script: str) -> None:
        try:
            run(house, script)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=side, args=[s]) for s in (storm, worker, worker)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    after = run(house, "carry(); told()")
    assert (after["position"], after["error"]) == ("s07", "")
    assert set(after["deliveries"]) == {"delivered"}
    with psycopg.connect(house["RECEIVER"]) as con:
        count = con.execute("SELECT count(*) FROM people_d").fetchone()
        names = con.execute("SELECT name FROM people_d WHERE name LIKE '第%'").fetchall()
    assert count == (3008,)
    assert len(names) == 8
