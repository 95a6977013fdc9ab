"""Seals: who may have which seal, what a use must say, and how a stop is worded."""

from __future__ import annotations

import datetime as dt
import re

ORGAN, PERSONAL = "organ", "personal"
KINDS = [(ORGAN, "单位印章"), (PERSONAL, "个人名章")]

SOFTWARE, PKCS11 = "software", "pkcs11"
STORES = {SOFTWARE: "软件密钥库（静态加密）", PKCS11: "密码设备（PKCS#11）"}

STOPS = {
    "key_compromise": "密钥泄露或者可能泄露",
    "ended": "机构撤并、改名或者不再使用",
    "superseded": "换发新章",
}
"""Why a seal is stopped for good: reasons of RFC 5280, 5.3.1, in plain words."""

AUTOMATIC = {
    "licences.issue": "电子证照签发",
    "licences.change": "电子证照变更与注销",
    "licences.copy": "电子证照加注件",
    "documents": "业务系统批量出具文书",
}
"""Uses that an organ may allow once on its application; each single use is still recorded."""

MOST_BYTES = 20 * 1024 * 1024
MOST_FILES = 50
LONGEST_PURPOSE = 200
_DIGEST = re.compile(r"[0-9a-f]{64}")

STATES = {"active": "使用中", "suspended": "挂失停用", "revoked": "已停用"}
TONES = {"active": "green", "suspended": "amber", "revoked": "red"}


def use_fault(purpose: str, digest: str) -> str:
    """What is missing for a use to be recorded; empty if nothing."""
    if not purpose.strip():
        return "用印须写明用途"
    if len(purpose) > LONGEST_PURPOSE:
        return f"用途不超过 {LONGEST_PURPOSE} 字"
    if not _DIGEST.fullmatch(digest):
        return "用印须登记文件摘要（SHA-256）"
    return ""


def withdrawn_from(now: dt.datetime) -> dt.datetime:
    """From when a stop counts: the next whole second, since lists and answers know no fractions.

    A seal set in the same second before the stop keeps its worth; none can be set after it.
    """
    whole = now.replace(microsecond=0)
    return whole if whole == now else whole + dt.timedelta(seconds=1)


def may_use(automatic: list[str], use: str, permitted: bool) -> bool:
    """Whether a use is allowed: by the user's own permission, or once for all on the application."""
    return permitted or use in automatic


HANDS = {
    "consent": "审定",
    "approve": "核准",
    "make": "制作",
}
"""The steps of an application after asking; each is another person's (四人各司其职)."""


def hand_fault(person: str, before: dict[str, str]) -> str:
    """Why a person may not take the next step: he took one before; empty if he may.

    `before`: what was done (in words), by person; persons are told apart by their refs. Whoever asks,
    consents, approves and makes are four people, so that no one, and no two, make a seal.
    """
    done = before.get(person)
    return f"您已经办理这枚印章的“{done}”环节，须由另一位工作人员办理" if done else ""


def place(text: str) -> tuple[int, float, float] | None:
    """Page (from 1; 0: the last), x and y in millimetres from the lower left; None if unreadable."""
    parts = text.split(",")
    try:
        page, x, y = int(parts[0]), float(parts[1]), float(parts[2])
    except (ValueError, IndexError):
        return None
    return (page, x, y) if 0 <= page <= 2000 and 0 <= x <= 2000 and 0 <= y <= 2000 else None
