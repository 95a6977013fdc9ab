"""One-time codes: TOTP (RFC 6238, SHA-1, six digits, 30 s) and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""A clock may be one step (30 s) off, RFC 6238 section 5.2."""

RECOVERY_CODES = 10
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

TOTP, KEY = "totp", "key"
FACTORS = {TOTP: "动态口令", KEY: "安全密钥"}


def new_secret() -> bytes:
    """160 random bits (RFC 4226 section 4)."""
    return secrets.token_bytes(20)


def totp(secret: bytes, step: int) -> str:
    """The code of one step (RFC 4226 section 5.3 over the step's number)."""
    value = hmac.new(secret, struct.pack(">Q", step), hashlib.sha1).digest()
    at = value[-1] & 0x0F
    number = struct.unpack(">I", value[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(code: str, secret: bytes, now: float, used: int) -> int | None:
    """The step for which a code is right at this epoch second, or None.

    Steps up to `used` are spent: a code that was seen cannot be played again.
    """
    text = "".join(code.split())
    if not (text.isascii() and text.isdigit() and len(text) == DIGITS):
        return None
    here = int(now // STEP_SECONDS)
    found = None
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp(secret, step), text) and step > used:
            found = step
    return found


def readable(secret: bytes) -> str:
    """A secret as people type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def provisioning(secret: bytes, account: str, issuer: str) -> str:
    """The address that an authenticator reads from the QR code."""
    label = quote(f"{issuer}:{account}")
    facts = {
        "secret": base64.b32encode(secret).decode().rstrip("="),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_SECONDS,
    }
    return f"otpauth://totp/{label}?{urlencode(facts, quote_via=quote)}"


def recovery_code() -> str:
    """Fifty random bits as ten letters and digits that cannot be mistaken."""
    text = "".join(secrets.choice(_LETTERS) for _ in range(10))
    return f"{text[:5]}-{text[5:]}"


def recovery_digest(salt: str, code: str) -> str:
    """How a recovery code is kept; `salt` is the account's. Blanks, hyphens and case do not matter."""
    plain = "".join(c for c in code.upper() if c.isalnum())
    return hashlib.sha256(f"{salt}:{plain}".encode()).hexdigest()


__all__ = [
    "DIGITS",
    "DRIFT_STEPS",
    "FACTORS",
    "KEY",
    "RECOVERY_CODES",
    "STEP_SECONDS",
    "TOTP",
    "new_secret",
    "provisioning",
    "readable",
    "recovery_code",
    "recovery_digest",
    "step_of",
    "totp",
]
