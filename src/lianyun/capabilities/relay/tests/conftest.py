"""A department's system in a process of its own, a city that knows it, and cases that go there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lianyun.capabilities.items import api as items
from lianyun.capabilities.relay import actions
from lianyun.capabilities.relay.models import System
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Case, Party
from lianyun.kernel.party import department

ROOT = Path(__file__).resolve().parents[5]
ITEM = "housing_fund_purchase"
FIELDS = ["name", "fund_account", "withdraw_amount"]


@dataclass
class Stand:
    """The stand-in, its file and its address."""

    file: Path
    address: str
    process: subprocess.Popen[str]

    def behave(self, **how: Any) -> None:
        """Change how it behaves from now on."""
        told = json.loads(self.file.read_text("utf-8"))
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(told | how), "utf-8")
        fresh.replace(self.file)

    def rows(self, statement: str) -> list[Any]:
        """What it has in its own store."""
        import sqlite3

        with sqlite3.connect(json.loads(self.file.read_text("utf-8"))["state"]) as store:
            return store.execute(statement).fetchall()

    def forget(self) -> None:
        """Another test is another city, which gives the same numbers again."""
        for table in ("cases", "letters", "messages"):
            self.rows(f"DELETE FROM {table}")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(folder: Path) -> Stand:
    """The stand-in as a real process."""
    port, file = free_port(), folder / "system.json"
    told = {
        "port": port, "city": "", "code": "", "key": "", "title": "公积金业务系统", "prefix": "GJJ",
        "state": str(folder / "system.sqlite"), "auto": "",
    }  # fmt: skip
    file.write_text(json.dumps(told), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.approval_system", str(file)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "模拟数据" in process.stdout.readline()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=5)
            break
        except httpx.HTTPError:
            time.sleep(0.05)
    return Stand(file, f"http://127.0.0.1:{port}/relay", process)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = start(tmp_path_factory.mktemp("approval"))
    yield made
    made.process.terminate()
    made.process.wait(10)


def know(stand: Stand) -> System:
    """The city registers the system and gives it one item."""
    stand.forget()
    if items.find(ITEM) is None:
        items.sync_declared(by=SYSTEM)
    system, key = actions.register_system(
        department=department("gjj"), name="公积金业务系统（模拟数据）", address=stand.address,
        simulated=True, vouched=True, by=SYSTEM,
    )  # fmt: skip
    actions.allow_item(system=system, item=ITEM, fields=FIELDS, materials=[], by=SYSTEM)
    stand.behave(code=system.code, key=key, auto="", slow=0, lose=False, away=False, city="")
    return system


@pytest.fixture
def system(city: None, stand: Stand) -> System:
    return know(stand)


def open_case(**more: Any) -> Case:
    """An application that was accepted and waits for the department's system."""
    citizen = Party.objects.create(kind="person", name="张三丰")
    case = cases.open_case(
        "item_relayed",
        title="购房提取住房公积金",
        subject=f"item:{ITEM}",
        applicant=citizen,
        department=department("gjj"),
        data={"item": ITEM, "item_name": "购房提取住房公积金", "promised_days": 2, **more},
        by=SYSTEM,
    )
    cases.step(case.items.get(step="receive"), "accept", by=SYSTEM)
    return case


@pytest.fixture
def opens(system: System) -> Callable[..., Case]:
    return open_case
