"""System: a department's application that people enter with their city account, and its secrets."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

GRANTS = {
    "authorization_code": "人员登录",
    "refresh_token": "登录期间续期",
    "client_credentials": "系统之间调用",
}
OVERLAP_HOURS = 24
"""How long a former secret stays good after a rotation, unless the officer says otherwise."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_ADDRESSES = 10


class BadAddress(Exception):
    """An address that must not be registered; the message says why, in Chinese."""


def address_problem(address: str) -> str:
    """Why a system must not be sent people or messages to this address, or an empty text.

    Whole and exact: https (http on this machine only), no fragment, no user name, no wildcard
    (RFC 9700, 2.1 and 4.1).
    """
    if len(address) > 400 or not address.isascii() or any(c in address for c in " \t\r\n\\*"):
        return "地址不能含空格、反斜杠、星号或中文，且不超过 400 个字符"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "地址不完整"
    if not host or parts.scheme not in {"http", "https"}:
        return "请填写以 https:// 开头的完整地址"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "地址须使用 https（本机测试除外）"
    if "#" in address or parts.username is not None or parts.password is not None:
        return "地址不能含 # 或账号密码"
    if "/../" in parts.path or parts.path.endswith("/.."):
        return "地址不能含 ../"
    return ""


def addresses(text: str, *, least: int = 0) -> list[str]:
    """The addresses of a text, one a line, each once; raises BadAddress."""
    found = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    for address in found:
        problem = address_problem(address)
        if problem:
            raise BadAddress(f"{address}：{problem}")
    if len(found) < least:
        raise BadAddress("请至少填写一个地址")
    if len(found) > MOST_ADDRESSES:
        raise BadAddress(f"最多 {MOST_ADDRESSES} 个地址")
    return found


def origin_of(address: str) -> str:
    """Scheme, host and port of an address, for a content security policy."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def new_client_id() -> str:
    """An open name of a system: letters and digits only, so that every encoding leaves it alone."""
    return f"lys{secrets.token_hex(8)}"


def new_secret() -> str:
    """256 random bits. Nobody guesses them, so that a fast hash protects them well enough."""
    return secrets.token_hex(32)


def digest(secret: str) -> str:
    """SHA-256 of a long random text, hex: what is kept instead of it."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def good_secret(given: str, kept: Iterable[str]) -> bool:
    """Whether a secret is one of those whose digests are kept; takes the same time for each."""
    made = digest(given)
    found = [hmac.compare_digest(made, one) for one in kept if one]
    return any(found)


__all__ = [
    "GRANTS",
    "OVERLAP_HOURS",
    "BadAddress",
    "address_problem",
    "addresses",
    "digest",
    "good_secret",
    "new_client_id",
    "new_secret",
    "origin_of",
]
