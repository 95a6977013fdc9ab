"""The pure rules of accounts."""

import datetime as dt

import pytest

from lianyun.capabilities.identity import rules

NOW = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)


def test_the_fifth_failure_locks_for_a_quarter_of_an_hour() -> None:
    failed, locked = 0, None
    for _ in range(4):
        failed, locked = rules.after_failure(failed, locked, NOW)
        assert locked is None
    failed, locked = rules.after_failure(failed, locked, NOW)
    assert failed == 5
    assert locked == NOW + dt.timedelta(minutes=15)
    assert rules.is_locked(locked, NOW + dt.timedelta(minutes=14, seconds=59))
    assert not rules.is_locked(locked, NOW + dt.timedelta(minutes=15))


def test_after_a_lock_the_count_begins_anew() -> None:
    locked = NOW - dt.timedelta(seconds=1)
    assert rules.after_failure(5, locked, NOW) == (1, None)


@pytest.mark.parametrize(
    ("password", "fine"),
    [
        ("Haizhou-2026", True),
        ("haizhou2026", False),
        ("Short-1", False),
        ("HAIZHOU-2026", True),
        ("Aaab-haizhou1", True),
        ("Haiiii-zhou12", False),
        ("海州-Haizhou1", True),
        ("Wang.ming-2026", False),
        ("A1-" + "x" * 130, False),
    ],
)
def test_passwords(password: str, fine: bool) -> None:
    assert (rules.password_problems(password, "wang.ming") == []) is fine


@pytest.mark.parametrize(
    ("name", "fine"),
    [("wang.ming", True), ("w2", False), ("Wang", False), ("王明", False), ("a" * 41, False)],
)
def test_user_names(name: str, fine: bool) -> None:
    assert (rules.username_problem(name) == "") is fine


def test_the_oldest_sessions_make_room() -> None:
    began = [("b", NOW), ("a", NOW - dt.timedelta(hours=2)), ("c", NOW - dt.timedelta(hours=1))]
    assert rules.surplus(began) == ["a"]
    assert rules.surplus(began[:2]) == []


def test_three_administrators_are_three_people() -> None:
    assert rules.role_conflict(["system_admin"], "audit_admin")
    assert not rules.role_conflict(["data_officer"], "audit_admin")
    assert not rules.role_conflict(["audit_admin"], "audit_admin")


def test_idle_sessions() -> None:
    assert rules.is_idle(None, 100.0)
    assert not rules.is_idle(100.0, 100.0 + 30 * 60)
    assert rules.is_idle(100.0, 101.0 + 30 * 60)


def test_devices_have_names() -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0"
    assert rules.device_name(agent) == "Edge · Windows"
    assert rules.device_name("") == "浏览器 · 未知系统"
