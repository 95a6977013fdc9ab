"""Rules: freshness, schedules, and where a source may lie."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from lianyun.capabilities.collection import rules

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


def ago(days: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


@pytest.mark.parametrize(
    ("cycle", "age", "loads", "state"),
    [
        ("每日", 0.5, 5, "fresh"),
        ("每日", 1.5, 5, "due"),
        ("每日", 2.1, 5, "late"),
        ("每日", 2.1, 1, "late"),
        ("每日", 8.1, 1, "dead"),
        ("每日", 8.1, 2, "late"),
        ("实时", 0.9, 9, "fresh"),
        ("实时", 1.1, 9, "late"),
        ("每周", 7.5, 3, "due"),
        ("每旬", 11.5, 3, "late"),
        ("每月", 31.5, 3, "due"),
        ("每季度", 90, 1, "fresh"),
        ("每年", 367.5, 1, "late"),
        ("每年", 500, 1, "late"),
        ("每年", 600, 1, "dead"),
        ("不定期", 4000, 1, "any"),
    ],
)
def test_freshness(cycle: str, age: float, loads: int, state: str) -> None:
    found = rules.freshness(cycle, ago(age), NOW, loads)
    assert found.state == state
    assert found.red == (state in ("late", "dead"))


def test_never_loaded_is_empty_not_late() -> None:
    assert rules.freshness("每日", None, NOW).state == "empty"


def test_a_source_that_stands_still_is_dead() -> None:
    found = rules.freshness("每日", ago(0.1), NOW, 40, newest=ago(200))
    assert found.state == "dead"
    assert "源头停更" in found.words
    assert rules.freshness("每年", ago(0.1), NOW, 40, newest=ago(200)).state == "fresh"
    assert rules.freshness("每年", ago(0.1), NOW, 1, newest=ago(730)).state == "dead"
    behind = rules.freshness("每年", ago(0.1), NOW, 1, newest=ago(400))
    assert (behind.state, behind.red) == ("late", True)


def test_never_read() -> None:
    assert rules.never_read(None, ago(31), NOW)
    assert not rules.never_read(None, ago(29), NOW)
    assert not rules.never_read(ago(300), ago(400), NOW)
    assert not rules.never_read(None, None, NOW)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.169.254", True),
        ("169.254.1.1", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("100.100.100.200", True),
        ("fd00:ec2::254", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("not an address", True),
        ("10.32.7.8", False),
        ("127.0.0.1", False),
        ("59.255.1.1", False),
    ],
)
def test_addresses(address: str, refused: bool) -> None:
    assert bool(rules.address_refused(address)) == refused


def test_hosts_are_named_one_by_one() -> None:
    allowed = ("db.ga.lyg", "127.0.0.1:5433", "*.gov.lyg")
    assert rules.host_allowed("db.ga.lyg", 5432, allowed)
    assert rules.host_allowed("127.0.0.1", 5433, allowed)
    assert not rules.host_allowed("127.0.0.1", 5432, allowed)
    assert rules.host_allowed("api.gov.lyg", None, allowed)
    assert not rules.host_allowed("gov.lyg.evil.example", None, allowed)
    assert not rules.host_allowed("metadata.google.internal", 80, ("metadata.google.internal",))


def test_schedules() -> None:
    after = dt.datetime(2026, 11, 22, 10, 30, tzinfo=dt.UTC)
    assert rules.next_run("0 11 * * *", after) == after.replace(hour=11, minute=0)
    for bad in ("", "0 2 * *", "99 2 * * *", "* * * * * *", "每天"):
        with pytest.raises(rules.BadSchedule):
            rules.next_run(bad, after)


def test_paths_stay_below(tmp_path: Path) -> None:
    assert rules.below(tmp_path / "a" / "b.csv", (tmp_path,))
    assert not rules.below(tmp_path.parent / "b.csv", (tmp_path,))


def test_names() -> None:
    assert rules.table_name("2026-firms list") == "d_2026_firms_list"
    assert rules.good_name("ga_residents")
    assert not rules.good_name("101001/000001")
