"""Adapters: signing keys in the vault and messages to systems."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from lianyun.capabilities.audit import api as audit

from .. import rules

ALGORITHM = "RS256"
"""What every OpenID Connect client can check (Core 1.0, 15.1)."""
KEY_BITS = 2048
LOGOUT_SECONDS = 5.0
_USE = "login.signing-key"
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class NotTold(Exception):
    """A system did not take a message; the job is tried again."""


@dataclass(frozen=True)
class Pair:
    """A fresh key pair: its thumbprint (RFC 7638), the public half, and the sealed secret half."""

    kid: str
    public: dict[str, Any]
    sealed: str


def new_pair() -> Pair:
    """Draw a signing key pair."""
    key = RSAKey.generate_key(KEY_BITS)
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    return Pair(kid, public, audit.encrypt(key.as_pem(private=True), _USE))


_opened: dict[str, RSAKey] = {}


def secret_key(kid: str, sealed: str) -> RSAKey:
    """The secret half of a key pair; opened once in a process."""
    found = _opened.get(kid)
    if found is None:
        found = _opened[kid] = RSAKey.import_key(audit.decrypt(sealed, _USE))
    return found


def pairwise_subject(client_id: str, party: int) -> str:
    """The name by which a system knows a person, under a key of this installation."""
    return rules.pairwise(audit.hash_key(), client_id, party)


def logout_token(
    key: RSAKey, kid: str, *, issuer: str, client_id: str, subject: str, sid: str
) -> str:
    """A signed word that a login is over (OpenID Connect Back-Channel Logout 1.0, 2.4)."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": client_id,
        "sub": subject,
        "sid": sid,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_urlsafe(16),
        "events": {_EVENT: {}},
    }
    header = {"alg": ALGORITHM, "kid": kid, "typ": "logout+jwt"}
    return jwt.encode(header, claims, key, [ALGORITHM])


def send_logout(address: str, token: str) -> None:
    """Bring a logout token to a system; its answer is not read beyond the status. Raises NotTold."""
    try:
        with httpx.stream(
            "POST",
            address,
            data={"logout_token": token},
            timeout=LOGOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
        ) as answer:
            status = answer.status_code
    except httpx.HTTPError as wrong:
        raise NotTold(f"{address}: {type(wrong).__name__}") from wrong
    if status not in {200, 204}:
        raise NotTold(f"{address}: {status}")


__all__ = [
    "ALGORITHM",
    "NotTold",
    "Pair",
    "logout_token",
    "new_pair",
    "pairwise_subject",
    "secret_key",
    "send_logout",
]
