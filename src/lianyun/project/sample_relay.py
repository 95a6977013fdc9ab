"""Sample relay: the registry's own system (模拟数据) beside the city, two applications through it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PORT = 8092
ITEM = "mortgage_registration"
NAME = "不动产登记系统（模拟数据）"


def _file(home: Path) -> Path:
    return home / "demo" / "approval-system.json"


def _write(file: Path, told: dict[str, Any]) -> None:
    """For its owner's eyes only: it holds a signing key; whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    fresh.replace(file)


@contextlib.contextmanager
def approval_system(home: Path) -> Iterator[None]:
    """The department's system as a process of its own, as long as the city is served."""
    root, file = Path(__file__).resolve().parents[3], _file(home)
    if not file.exists() or not (root / "demo").is_dir():
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.approval_system", str(file)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def hand_over(home: Path, officer: Callable[[str], Any]) -> dict[str, Any]:
    """Register the system, give it an item, send two applications to it: one decided, one under way.

    The city is not served yet: what the system has to say is asked for, as after a night without
    a line between the two.
    """
    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.relay import api as relay
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department
    from lianyun.project.supervisor import host, port

    own, file = f"http://127.0.0.1:{PORT}", _file(home)
    told: dict[str, Any] = {"address": own, "sent": 0, "back": 0}
    item = items.find(ITEM)
    if item is None or file.exists():
        return told
    system, key = relay.register_system(
        department=department(item.department), name=NAME, address=f"{own}/relay", contact="模拟",
        simulated=True, vouched=True, by=SYSTEM,
    )  # fmt: skip
    relay.allow_item(
        system=system,
        item=ITEM,
        fields=["name", "citizen_number", "reason"],
        materials=[m.id for m in item.materials],
        by=officer("yunying"),
    )
    behaviour = {
        "port": PORT, "city": "", "code": system.code, "key": key, "title": NAME, "prefix": "BDC",
        "state": str(home / "demo" / "approval-system.sqlite"), "auto": "granted",
    }  # fmt: skip
    _write(file, behaviour)
    with approval_system(home):
        end = time.monotonic() + 5
        while not relay.test_system(system=system, by=SYSTEM)[0] and time.monotonic() < end:
            time.sleep(0.05)
        audit.seal_calls()
        for auto in ("granted", "registered"):
            _write(file, {**behaviour, "auto": auto})
            case = _accepted(officer)
            if case is None:
                break
            relay.move_on(by=SYSTEM)
            told["sent"] += relay.carry(code=system.code, by=SYSTEM)
            row = relay.of_case(SYSTEM, case.code)
            if row is not None:
                relay.ask_after(row=row, by=SYSTEM)
                told["back"] += relay.of_case(SYSTEM, case.code).ended_at is not None  # type: ignore[union-attr]
    # From now on its officer decides on its own page, and it calls the city.
    _write(file, {**behaviour, "auto": "", "city": f"http://{host()}:{port()}"})
    return told


def _accepted(officer: Callable[[str], Any]) -> Any:
    """An application of the sample city's citizen, accepted at the window; None where there is no citizen."""
    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import Denied, UserError, actor_of
    from lianyun.project import sample_hall, sample_identity

    citizen = identity.party_of_phone(sample_identity.PHONE)
    if citizen is None:
        return None
    by = actor_of(citizen)
    try:
        made = hall.begin(ITEM, applicant=citizen, answers={}, by=by)
        sample_hall._finish(made, by, 5)
    except (UserError, Denied):  # what this citizen lacks stays a draft, as in life
        return None
    case = type(made).objects.get(pk=made.pk).case
    assert case is not None
    item = case.items.get(step="receive", done_at=None)
    desk.work(item, "accept", by=officer("zwb.zonghe"))
    return case


__all__ = ["approval_system", "hand_over"]
