"""Credential: an open identifier and a long random secret, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets

from .calls import BadCall

TRIAL = "lyt_"
"""How the open identifier of a test credential begins."""
_TOKEN = re.compile(r"(ly[ct]_[0-9a-f]{16})\.([A-Za-z0-9_-]{43,86})")


def new_client_id() -> str:
    """An open identifier of a credential."""
    return f"lyc_{secrets.token_hex(8)}"


def new_trial_id() -> str:
    """An open identifier of a test credential."""
    return f"{TRIAL}{secrets.token_hex(8)}"


def new_secret() -> str:
    """A secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """The stored form of a secret: BLAKE2b-256, fast because the secret is long and random."""
    return hashlib.blake2b(secret.encode(), digest_size=32).hexdigest()


def split_token(header: str) -> tuple[str, str]:
    """Client id and secret of an `Authorization` value; raises BadCall."""
    scheme, _, token = header.partition(" ")
    found = _TOKEN.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise BadCall("凭证格式有误，应为 Authorization: Bearer 凭证号.密钥")
    return found[1], found[2]
