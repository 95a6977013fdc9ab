"""A case goes to a department's own system and comes back, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.relay import actions, adapters, queries
from lianyun.capabilities.relay.models import Handover, Letter, Message, System
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Grant
from lianyun.project import testing

from .conftest import ROOT, Stand, free_port

Opens = Callable[..., Case]


def carry(system: System) -> int:
    """What the worker does in a minute."""
    actions.move_on(by=SYSTEM)
    System.objects.filter(pk=system.pk).update(next_at=None)
    return actions.carry(code=system.code, by=SYSTEM)


def silent(system: System) -> None:
    """Two days have passed without a word."""
    Handover.objects.filter(system=system).update(
        heard_at=timezone.now() - dt.timedelta(days=2), asked_at=None
    )


def message(row: Handover, kind: str, at: str = "2026-03-02T09:00:00+08:00", **told: Any) -> Any:
    number = told.pop("number", secrets.token_hex(6))
    base = {"number": number, "kind": kind, "case": row.number, "at": at}
    status, answer = actions.take_in(row.system, base | told)
    assert status == 200
    return answer


def handed(system: System, opens: Opens) -> tuple[Case, Handover]:
    case = opens()
    assert carry(system) == 1
    return case, Handover.objects.get(case=case, ended_at=None)


def words(case: Case) -> list[str]:
    return [e.data.get("title", "") or e.kind for e in timeline(case)]


def test_there_and_back_though_every_answer_is_lost(
    stand: Stand, system: System, opens: Opens
) -> None:
    stand.behave(lose=True, auto="granted")
    case = opens()
    assert carry(system) == 0
    letter = Letter.objects.get(handover__case=case)
    assert (letter.attempts, letter.taken_at, letter.dead_at) == (1, None, None)
    assert len(letter.recorded) > 10  # on record before it left
    assert "张三丰" not in letter.sealed
    stand.behave(lose=False)
    assert carry(system) == 1
    row = Handover.objects.get(case=case)
    assert row.own_number.startswith("GJJ")
    assert stand.rows(f"SELECT times FROM letters WHERE number = '{letter.number}'") == [(2,)]
    assert stand.rows(f"SELECT count(*) FROM cases WHERE number = '{row.number}'") == [(1,)]
    # It cannot call us: what it has said is asked for.
    silent(system)
    assert carry(system) == 0
    case.refresh_from_db()
    assert (case.state, case.outcome) == ("closed", "granted")
    assert case.data["resolution"]["result"] == "granted"
    told = words(case)
    assert "转办申请：公积金业务系统（模拟数据）" in told
    assert "公积金业务系统（模拟数据）：已登记" in told
    assert Message.objects.filter(handover=row, pulled=True).count() == 3
    assert Letter.objects.get(pk=letter.pk).sealed == ""
    actions.ask_after(row=row, by=SYSTEM)  # asked again everything is known
    assert Message.objects.filter(handover=row).count() == 3


def test_down_for_a_week_loses_nothing(stand: Stand, system: System, opens: Opens) -> None:
    good = system.address
    System.objects.filter(pk=system.pk).update(address=f"http://127.0.0.1:{free_port()}/relay")
    two = [opens(), opens()]
    for _ in range(12):
        assert carry(system) == 0
    system.refresh_from_db()
    assert system.attempts == 12
    assert system.next_at is not None
    assert "连接不上" in system.error
    assert queries.dead_letters(SYSTEM) == []
    assert actions.carry(code=system.code, by=SYSTEM) == 0  # it rests
    (line,) = queries.lines(SYSTEM, [system])
    assert (line.waiting, line.tone) == (2, "red")
    System.objects.filter(pk=system.pk).update(address=good)
    stand.behave(away=True)
    assert carry(system) == 0  # 503 is no refusal either
    stand.behave(away=False)
    assert carry(system) == 2
    assert Handover.objects.filter(case__in=two, taken_at__isnull=False).count() == 2
    system.refresh_from_db()
    assert (system.attempts, system.error) == (0, "")


def test_late_repeated_and_contrary_messages(stand: Stand, system: System, opens: Opens) -> None:
    case, row = handed(system, opens)
    result = {"kind": "result", "outcome": "granted", "at": "2026-03-03T09:00:00+08:00"}
    assert message(row, number="r1", **result)["effect"] == "taken"
    again = message(row, number="r1", **result)
    assert again["repeated"] is True
    with pytest.raises(actions.Refused) as refused:
        message(row, "progress", number="r1", title="别的内容")
    assert refused.value.status == 409
    assert message(row, "progress", title="审核中")["effect"] == "late"
    items = [{"name": "合同", "what": "缺页"}]
    assert message(row, "supplement", items=items)["effect"] == "late"
    contrary = message(row, "result", number="r2", outcome="refused", reason="不符合条件")
    assert contrary["effect"] == "conflict"
    case.refresh_from_db()
    assert case.outcome == "granted"
    (stuck,) = queries.unsettled(SYSTEM)
    with pytest.raises(UserError, match="理由"):
        actions.settle_message(message=stuck, reason="", by=SYSTEM)
    actions.settle_message(message=stuck, reason="已与对方核对，以准予为准", by=SYSTEM)
    assert queries.unsettled(SYSTEM) == []
    assert [m.said.kind for m in queries.messages(SYSTEM, row)].count("result") == 2
    # Withdrawn a moment ago: a result changes nothing, though the system was not told yet.
    gone, held = handed(system, opens)
    cases.withdraw(gone, "不办了", by=SYSTEM)
    assert message(held, "result", outcome="granted")["effect"] == "conflict"
    gone.refresh_from_db()
    assert gone.outcome == "withdrawn"
    assert "resolution" not in gone.data
    # Before the first letter is known to have arrived its system may speak of the case.
    other = opens()
    actions.move_on(by=SYSTEM)
    early = Handover.objects.get(case=other)
    message(early, "progress", title="已登记")
    early.refresh_from_db()
    assert early.taken_at is not None


def test_what_is_missing_is_handed_in_and_goes_out(
    stand: Stand, system: System, opens: Opens
) -> None:
    case, row = handed(system, opens)
    items = [{"name": "合同", "what": "缺第二页"}]
    assert message(row, "supplement", items=items)["effect"] == "taken"
    with pytest.raises(actions.Refused) as refused:
        message(row, "supplement", items=items)
    assert refused.value.code == "supplement_once"
    case.refresh_from_db()
    assert case.data["supplement"]["items"][0]["what"] == "缺第二页"
    step = case.items.get(step="system_supplement", done_at=None)
    cases.step(step, "submit", data={"supplement": {"answered": "已补第二页"}}, by=SYSTEM)
    assert carry(system) == 1
    sent = Letter.objects.filter(handover=row).order_by("-id")[0]
    assert sent.kind == "case.supplemented"
    assert json.loads(adapters.unseal(sent.sealed))["note"] == "已补第二页"
    message(row, "result", outcome="refused", reason="不符合条件")
    case.refresh_from_db()
    assert (case.state, case.outcome) == ("closed", "refused")
    assert "行政复议" in case.data["resolution"]["remedy"]
    # Decided without waiting for what it had asked for: nobody is left with a needless to-do.
    second, other = handed(system, opens)
    message(other, "supplement", items=items)
    message(other, "result", outcome="granted")
    second.refresh_from_db()
    assert (second.state, second.outcome) == ("closed", "granted")


def test_pauses_follow_the_systems_own_clock(stand: Stand, system: System, opens: Opens) -> None:
    case, row = handed(system, opens)
    pause = {"cause": "experts", "reason": "专家评审"}
    message(row, "resumed", "2026-03-02T12:00:00+08:00")
    assert message(row, "suspended", "2026-03-02T11:00:00+08:00", **pause)["effect"] == "late"
    case.refresh_from_db()
    assert case.state == "open"
    message(row, "suspended", "2026-03-03T11:00:00+08:00", **pause)
    case.refresh_from_db()
    assert case.state == "suspended"
    assert "第四十五条" in case.pauses.get().article
    stuck = message(row, "suspended", "2026-03-03T12:00:00+08:00", cause="holiday", reason="放假")
    assert stuck["effect"] == "stuck"
    message(row, "result", "2026-03-04T11:00:00+08:00", outcome="granted")
    case.refresh_from_db()
    assert (case.state, case.outcome) == ("closed", "granted")


def test_what_is_refused_waits_for_a_person(
    stand: Stand, system: System, opens: Opens, officer: Any
) -> None:
    right = system.key
    System.objects.filter(pk=system.pk).update(key=adapters.sealed_keys("another key"))
    case = opens()
    assert carry(system) == 0
    (dead,) = queries.dead_letters(SYSTEM)
    assert "签名" in dead.error
    clerk, head = officer("gjj", "approver"), officer("gjj", "approval_head")
    with pytest.raises(Denied):
        actions.retry_letter(letter=dead, by=clerk)
    with pytest.raises(Denied):
        actions.retry_letter(letter=dead, by=officer("ga", "approval_head"))
    System.objects.filter(pk=system.pk).update(key=right)
    actions.retry_letter(letter=dead, by=head)
    assert carry(system) == 1
    # A right that was taken back stops what has not left.
    second = opens()
    actions.move_on(by=SYSTEM)
    given = Grant.objects.get(kind="relay", state="active")
    grants.revoke(given, reason="收回", by=SYSTEM)
    assert carry(system) == 0
    (dead,) = queries.dead_letters(SYSTEM)
    assert (dead.attempts, dead.recorded) == (0, "")
    actions.skip_letter(letter=dead, reason="改由审批台办理", by=head)
    row = Handover.objects.get(case=second)
    actions.answer_instead(row=row, outcome="back", reason="授权已收回", by=head)
    assert second.items.filter(step="review", done_at=None).exists()
    # Nobody is granted the item now: it goes to the desk by itself.
    third = opens()
    actions.move_on(by=SYSTEM)
    assert third.items.filter(step="review", done_at=None).exists()
    # An applicant who withdraws: the system is told.
    cases.withdraw(case, "不办了", by=SYSTEM)
    carry(system)
    assert Letter.objects.filter(handover__case=case, kind="case.closed", taken_at__isnull=False)


def test_the_door_lets_in_who_has_signed(
    stand: Stand, system: System, opens: Opens, client: Client
) -> None:
    _, row = handed(system, opens)
    told = {"number": "d1", "kind": "progress", "case": row.number, "title": "审核中",
            "at": "2026-03-02T09:00:00+08:00"}  # fmt: skip
    (key,) = adapters.keys_of(system.key)

    def post(
        body: bytes, number: str = "d1", secret: str = key, ago: int = 0, code: str = ""
    ) -> Any:
        return client.post(
            "/api/relay/v1/messages", body, content_type="application/json",
            headers={
                "X-Lianyun-System": code or system.code,
                "Idempotency-Key": number,
                "X-Lianyun-Signature": adapters.signature(secret, int(time.time()) - ago, number, body),
            },
        )  # fmt: skip

    body = json.dumps(told).encode()
    assert post(body, code="XT-none").status_code == 401
    assert post(body, secret="guessed").status_code == 401
    assert post(body, ago=400).status_code == 401
    assert post(body, number="d2").json()["error"] == "malformed"
    assert post(b"{").status_code == 422
    assert post(json.dumps({**told, "case": "none"}).encode()).status_code == 404
    assert post(b" " * (1024 * 1024 + 1)).status_code == 413
    assert not Message.objects.exists()
    assert post(body).json()["effect"] == "taken"
    assert post(body).json()["repeated"] is True
    fresh = actions.rotate_key(system=system, by=SYSTEM)
    for secret in (fresh, key):  # the former one is believed for a week
        assert post(body, secret=secret).status_code == 200
    path = f"/api/relay/v1/cases/{row.number}"
    headers = {
        "X-Lianyun-System": system.code,
        "Idempotency-Key": "n1",
        "X-Lianyun-Signature": adapters.signature(
            fresh, int(time.time()), "n1", f"GET {path}".encode()
        ),
    }
    assert client.get(path, headers=headers).json()["messages"][0]["number"] == "d1"
    assert client.get(f"{path}/files/x", headers=headers).status_code == 401  # another path
    assert client.get("/api/relay/v1/openapi.json").json()["openapi"] == "3.1.0"


def test_a_loopback_address_must_be_the_operators(city: None) -> None:
    from lianyun.kernel.party import department

    made, _ = actions.register_system(
        department=department("gjj"), name="甲", address="http://127.0.0.1:9/x", by=SYSTEM
    )
    good, why = actions.test_system(system=made, by=SYSTEM)
    assert not good
    assert adapters.HOSTS in why
    with pytest.raises(Denied):
        actions.register_system(
            department=department("gjj"), name="乙", address="http://127.0.0.1:9/x", vouched=True,
            by=queries.acting(made),
        )  # fmt: skip


# ---- kill -9 between sending and noting ------------------------------------------------------

PRELUDE = """
import json, sys, django
django.setup()
from pathlib import Path
from lianyun.capabilities.relay import actions
from lianyun.capabilities.relay.models import Letter, System
from lianyun.capabilities.relay.tests import conftest
from lianyun.kernel.access import SYSTEM
"""
SEND = """
stand = conftest.Stand(Path(sys.argv[1]), sys.argv[2], None)
system = conftest.know(stand)
conftest.open_case()
stand.behave(slow=60)
actions.move_on(by=SYSTEM)
print("sending", flush=True)
actions.carry(code=system.code, by=SYSTEM)
"""


@pytest.fixture
def other_city(lianyun_database: None, django_db_blocker: Any) -> Iterator[str]:
    """A database that this process shares with another one; its URL."""
    from django.db import connections

    name = f"relay_{secrets.token_hex(4)}"
    url = testing.create_database(name, testing.installed_database())
    default = connections.settings["default"]
    before = default["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        default["NAME"] = connections["default"].settings_dict["NAME"] = name
        yield url
        connections.close_all()
        default["NAME"] = connections["default"].settings_dict["NAME"] = before
    testing.drop_database(name)


@pytest.mark.slow
def test_killed_between_sending_and_noting(stand: Stand, other_city: str, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "LIANYUN_DATABASE_URL": other_city,
        "LIANYUN_HOME": os.environ["LIANYUN_HOME"],  # the same key of the vault
        "PYTHONPATH": str(ROOT),
    }
    stand.forget()
    args = [str(stand.file), stand.address]
    ours = subprocess.Popen([sys.executable, "-c", PRELUDE + SEND, *args], env=env)
    end = time.monotonic() + 60
    while not stand.rows("SELECT number FROM letters"):
        assert ours.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    ours.send_signal(signal.SIGKILL)  # it has the case; nobody here knows
    assert ours.wait(10) == -signal.SIGKILL
    stand.behave(slow=0)
    letter = Letter.objects.get()
    assert (letter.attempts, letter.taken_at) == (1, None)
    assert actions.carry(code=System.objects.get().code, by=SYSTEM) == 1
    letter.refresh_from_db()
    assert letter.attempts == 2
    own = letter.handover.own_number
    assert stand.rows("SELECT own FROM cases") == [(own,)]
    assert stand.rows("SELECT times FROM letters") == [(2,)]
