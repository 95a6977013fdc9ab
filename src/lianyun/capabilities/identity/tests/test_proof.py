"""The pure rules of codes and proof, by the standards' own vectors where there are any."""

from __future__ import annotations

import datetime as dt

import pytest

from lianyun.capabilities.identity import rules

SECRET = b"12345678901234567890"
TODAY = dt.date(2026, 11, 22)


@pytest.mark.parametrize(
    ("step", "code"),
    # RFC 4226, appendix D; RFC 6238, appendix B (last six of its eight digits).
    [
        *enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922"]),
        (59 // 30, "287082"),
        (1111111109 // 30, "081804"),
        (20000000000 // 30, "353130"),
    ],
)
def test_totp_by_the_rfcs(step: int, code: str) -> None:
    assert rules.totp(SECRET, step) == code


def test_a_code_is_good_once_and_half_a_minute_around() -> None:
    now = 1111111109.0
    step = int(now // 30)
    code = rules.totp(SECRET, step)
    assert rules.step_of(code, SECRET, now, 0) == step
    assert rules.step_of(f"{code[:3]} {code[3:]}", SECRET, now + 30, 0) == step
    assert rules.step_of(code, SECRET, now + 61, 0) is None
    assert rules.step_of(code, SECRET, now, step) is None
    for wrong in ("", "12345", "１２３４５６", "abcdef", code + "0"):
        assert rules.step_of(wrong, SECRET, now, 0) is None


def test_what_an_authenticator_reads() -> None:
    address = rules.provisioning(SECRET, "zhang.san", "连云工作台")
    assert address.startswith("otpauth://totp/")
    assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in address
    assert rules.readable(SECRET).replace(" ", "") == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def test_recovery_codes_are_read_as_people_write_them() -> None:
    code = rules.recovery_code()
    kept = rules.recovery_digest("a", code)
    assert rules.recovery_digest("a", f" {code.lower().replace('-', ' ')} ") == kept
    assert rules.recovery_digest("b", code) != kept


@pytest.mark.parametrize(
    ("born", "age", "adult"),
    [
        (dt.date(2008, 11, 22), 18, dt.date(2026, 11, 22)),
        (dt.date(2008, 11, 23), 17, dt.date(2026, 11, 23)),
        (dt.date(2012, 2, 29), 14, dt.date(2030, 3, 1)),
    ],
)
def test_ages(born: dt.date, age: int, adult: dt.date) -> None:
    assert rules.age_on(born, TODAY) == age
    assert rules.adult_on(born) == adult
    assert rules.age_on(born, adult) == 18


def test_names_are_compared_as_people_write_them() -> None:
    assert rules.same_name("阿依古丽•买买提", "阿依古丽·买买提")
    assert rules.same_name(" 张 三 ", "张三")
    assert not rules.same_name("张三", "张三丰")
    assert not rules.same_name("", "")


def test_a_mandate_has_a_scope_and_an_end() -> None:
    tomorrow = TODAY + dt.timedelta(days=1)
    assert not rules.agency_problem(["apply"], TODAY, tomorrow, TODAY)
    assert rules.agency_problem([], TODAY, tomorrow, TODAY)
    assert rules.agency_problem(["everything"], TODAY, tomorrow, TODAY)
    assert rules.agency_problem(["apply"], TODAY, None, TODAY)
    assert rules.agency_problem(["apply"], tomorrow, TODAY, TODAY)
    assert rules.covers_scope(rules.AGENT, ["apply"], "apply")
    assert not rules.covers_scope(rules.AGENT, ["apply"], "sign")
    assert rules.covers_scope(rules.GUARDIAN, [], "sign")
    standing = rules.agency_standing
    assert standing(True, False, TODAY, TODAY, TODAY) == "active"
    assert standing(True, False, TODAY, TODAY, tomorrow) == "expired"
    assert standing(True, False, tomorrow, None, TODAY) == "future"
    assert standing(False, False, TODAY, None, TODAY) == "waiting"
    assert standing(True, True, TODAY, None, TODAY) == "ended"


def test_a_busy_session_ends_too() -> None:
    assert not rules.is_over(None, 1e9)
    assert not rules.is_over(1e9, 1e9 + 8 * 3600)
    assert rules.is_over(1e9, 1e9 + 8 * 3600 + 1)
