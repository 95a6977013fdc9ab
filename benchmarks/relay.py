"""Relay: letters to a department's own system, beside bare httpx posts to the same system.

``python benchmarks/relay.py [--letters N] [--growth K]`` starts the stand-in system (模拟数据) in a process
of its own, lets N applications wait for it, and carries their letters: each attempt noted and on record
as an exchange before it leaves, each answer noted after. The peer posts N signed bodies of the same
size to the same address with one httpx client and keeps nothing. Then K times as many, to see how it
grows. Target: at most 20 ms of processor time a letter in the worker and its database, and no slower
as it grows.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from installation import installation

TARGET_MS = 20.0
ITEM = "housing_fund_purchase"
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def stand_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """The department's system as a process: the file that says how it behaves, its address."""
    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = folder / "system.json"
    told = {
        "port": port, "city": "", "code": "", "key": "", "title": "公积金业务系统", "prefix": "GJJ",
        "state": str(folder / "system.sqlite"), "auto": "",
    }  # fmt: skip
    file.write_text(json.dumps(told), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.approval_system", str(file)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield file, f"http://127.0.0.1:{port}/relay"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(count: int) -> None:
    """So many applications that were accepted and wait for the department's system."""
    from lianyun.capabilities.relay import actions
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Party
    from lianyun.kernel.party import department

    citizen = Party.objects.create(kind="person", name="张三丰")
    for number in range(count):
        case = cases.open_case(
            "item_relayed",
            title=f"购房提取住房公积金 {number}",
            subject=f"item:{ITEM}",
            applicant=citizen,
            department=department("gjj"),
            data={"item": ITEM, "item_name": "购房提取住房公积金", "promised_days": 2},
            by=SYSTEM,
        )
        cases.step(case.items.get(step="receive"), "accept", by=SYSTEM)
    actions.move_on(by=SYSTEM)


def busy() -> float:
    """Processor seconds of this process and of its database connection."""
    import psutil
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    return time.process_time() + sum(backend.cpu_times()[:2])


def ours(system: Any) -> tuple[int, float, float]:
    """All waiting letters carried: how many, seconds, processor seconds."""
    from lianyun.capabilities.relay import actions
    from lianyun.capabilities.relay.models import System
    from lianyun.kernel.access import SYSTEM

    begun, spent, taken = time.perf_counter(), busy(), 0
    while True:
        System.objects.filter(pk=system.pk).update(next_at=None)
        now = actions.carry(code=system.code, by=SYSTEM)
        if not now:
            return taken, time.perf_counter() - begun, busy() - spent
        taken += now


def bare(system: Any, key: str, size: int, count: int) -> tuple[float, float]:
    """As many posts of as many bytes by one client that keeps nothing: seconds, processor seconds."""
    import httpx

    from lianyun.capabilities.relay import adapters, rules

    begun, spent = time.perf_counter(), time.process_time()
    with httpx.Client(trust_env=False) as client:
        for _ in range(count):
            number = adapters.nonce()
            told = {"number": number, "kind": rules.HANDED, "case": number, "item": ITEM}
            body = json.dumps(told).encode()
            body = body[:-1] + b', "more": "' + b"x" * max(size - len(body) - 12, 0) + b'"}'
            headers = {
                "Content-Type": "application/json",
                "X-Lianyun-Protocol": rules.PROTOCOL,
                "X-Lianyun-System": system.code,
                "Idempotency-Key": number,
                "X-Lianyun-Signature": adapters.signature(key, int(time.time()), number, body),
            }
            answer = client.post(f"{system.address}/messages", content=body, headers=headers)
            assert answer.status_code < 300, (answer.status_code, answer.text[:200])
    return time.perf_counter() - begun, time.process_time() - spent


def measure(folder: Path, letters: int, growth: int) -> bool:
    """Carry, post, print; whether the target is met."""
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.relay import actions, adapters
    from lianyun.capabilities.relay.models import Letter
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    items.sync_declared(by=SYSTEM)
    with stand_in(folder) as (file, address):
        system, key = actions.register_system(
            department=department("gjj"), name="公积金业务系统（模拟数据）", address=address,
            simulated=True, vouched=True, by=SYSTEM,
        )  # fmt: skip
        actions.allow_item(
            system=system, item=ITEM, fields=["name", "fund_account"], materials=[], by=SYSTEM
        )
        told = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps({**told, "code": system.code, "key": key}), "utf-8")
        wait_for(3)
        ours(system)
        first, met = 0.0, True
        for count in (letters, letters * growth):
            wait_for(count)
            size = len(adapters.unseal(Letter.objects.exclude(sealed="").latest("pk").sealed))
            taken, seconds, spent = ours(system)
            assert taken == count, (taken, count)
            plain, used = bare(system, key, size, count)
            each, other = 1000 * spent / count, 1000 * used / count
            first = first or each
            print(
                f"转办信件 {count:,} 封（每封 {size:,} 字节）：连云 {1000 * seconds / count:.1f} 毫秒/封"
                f"（处理器 {each:.1f}）   httpx 直接发送 {1000 * plain / count:.1f} 毫秒/封"
                f"（处理器 {other:.1f}）   比 {seconds / plain:.1f}，处理器 {each / other:.1f}",
                flush=True,
            )
            met &= each <= TARGET_MS
        grown = each / first
        print(f"件数增至 {growth} 倍，每封之比 {grown:.2f}；目标每封处理器时间 {TARGET_MS:g} 毫秒")
    return met and grown <= 1.5


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=250)
    parser.add_argument("--growth", type=int, default=4)
    arguments = parser.parse_args()
    with installation() as (home, _):
        met = measure(home, arguments.letters, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
