"""Rules: how long accounts stay open and locked, what a password must be, which roles exclude each other.

Figures follow GB/T 22239-2019 (等级保护 2.0, level 3: identity, lock-out, three separate administrators).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

FAILURES = 5
LOCK = dt.timedelta(minutes=15)
IDLE = dt.timedelta(minutes=30)
SEATS = 3
PASSWORD_LIFE = dt.timedelta(days=90)
REMEMBERED = 5
MINIMUM = 10

REFUSED = "账号或密码不正确，或账号暂不可用。连续输错 5 次将锁定 15 分钟。"
"""The one answer to every failed login: it does not tell whether the account exists."""

EXCLUSIVE = frozenset({"system_admin", "security_admin", "audit_admin"})
"""三员分立: one person holds at most one of these; the database holds it too (kernel.access)."""

ABSOLUTE = dt.timedelta(hours=8)
"""No session lives longer, however busy."""

HALF = "half"
"""Session key: who gave the password, or came by a platform (`way`), and is not in yet."""

FRESH_MINUTES = 10
"""So long after a login at the national platform does it stand in for a password that there is not."""

SECOND_MINUTES = 5
"""So long after the password may the second factor follow."""


def after_failure(
    failed: int, locked_until: dt.datetime | None, now: dt.datetime
) -> tuple[int, dt.datetime | None]:
    """The count and the lock after one more wrong password; an old lock begins a new count."""
    if locked_until is not None and locked_until <= now:
        failed = 0
    failed += 1
    return (failed, now + LOCK) if failed >= FAILURES else (failed, None)


def is_locked(locked_until: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether the lock still holds."""
    return locked_until is not None and now < locked_until


def is_idle(seen: float | None, now: float) -> bool:
    """Whether a session (last seen at this epoch second) has slept too long; never seen is idle."""
    return seen is None or now - seen > IDLE.total_seconds()


def password_expired(changed_at: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether a password is older than it may be."""
    return changed_at is None or now - changed_at > PASSWORD_LIFE


def username_problem(username: str) -> str:
    """What is wrong with a new user name (Chinese), or an empty text."""
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{2,39}", username):
        return "账号须以小写字母开头，由 3–40 位小写字母、数字、点、下划线或短横组成"
    return ""


def password_problems(password: str, username: str = "") -> list[str]:
    """What is wrong with a new password (Chinese); an empty list means it will do."""
    problems = []
    if len(password) < MINIMUM:
        problems.append(f"密码至少 {MINIMUM} 位")
    if len(password) > 128:
        problems.append("密码最多 128 位")
    classes = sum(
        bool(re.search(pattern, password)) for pattern in ("[a-z]", "[A-Z]", r"\d", r"[^A-Za-z0-9]")
    )
    if classes < 3:
        problems.append("密码须含大写字母、小写字母、数字、符号中的三种")
    if username and len(username) >= 3 and username.lower() in password.lower():
        problems.append("密码不能包含账号")
    if re.search(r"(.)\1{3}", password):
        problems.append("密码不能有四个以上相同的连续字符")
    return problems


def surplus(began: list[tuple[str, dt.datetime]], limit: int = SEATS) -> list[str]:
    """Which sessions must end so that one more fits: the oldest first; takes (key, began at)."""
    ordered = sorted(began, key=lambda pair: pair[1])
    return [key for key, _ in ordered[: max(0, len(ordered) - limit + 1)]]


def role_conflict(held: Iterable[str], wanted: str) -> bool:
    """Whether the wanted role must not stand beside those held (三员分立)."""
    return wanted in EXCLUSIVE and bool((set(held) & EXCLUSIVE) - {wanted})


def device_name(agent: str) -> str:
    """A short name of the browser and system that an agent string speaks of."""
    browsers = (
        ("MicroMessenger", "微信"),
        ("Edg/", "Edge"),
        ("QQBrowser", "QQ浏览器"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("HarmonyOS", "鸿蒙"),
        ("Android", "安卓"),
        ("iPhone", "iPhone"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )
    browser = next((name for sign, name in browsers if sign in agent), "浏览器")
    system = next((name for sign, name in systems if sign in agent), "未知系统")
    return f"{browser} · {system}"


def is_fresh(entered: float, now: float) -> bool:
    """Whether somebody entered at this epoch second within the last FRESH_MINUTES; 0: not known."""
    return entered > 0 and now - entered <= FRESH_MINUTES * 60


def is_over(began: float | None, now: float) -> bool:
    """Whether a session (begun at this epoch second) is older than any may be."""
    return began is not None and now - began > ABSOLUTE.total_seconds()


__all__ = [
    "ABSOLUTE",
    "EXCLUSIVE",
    "FAILURES",
    "FRESH_MINUTES",
    "HALF",
    "IDLE",
    "LOCK",
    "MINIMUM",
    "PASSWORD_LIFE",
    "REFUSED",
    "REMEMBERED",
    "SEATS",
    "SECOND_MINUTES",
    "after_failure",
    "device_name",
    "is_fresh",
    "is_idle",
    "is_locked",
    "is_over",
    "password_expired",
    "password_problems",
    "role_conflict",
    "surplus",
    "username_problem",
]
