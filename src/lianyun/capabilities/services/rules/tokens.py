"""Access token: a credential for minutes (RFC 6749, 4.4), which any worker can check without asking.

It names the client and is authenticated by a key of the installation; it is no right of its own:
every call under it asks the grant again, and it ends with the secret or certificate it was got by.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from .calls import BadCall

LIFETIME_SECONDS = 600
PREFIX = "lya_"
_TOKEN = re.compile(r"lya_([ct][0-9a-f]{16})\.([0-9a-f]{8})\.([0-9a-f]{16})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class AccessToken:
    """A token whose authenticity is proven: whose, until when, and got by what (`origin`)."""

    client_id: str
    expires: int
    origin: str


def origin_of(proof: str) -> str:
    """A short name of the secret's hash or the certificate's thumbprint by which a token was got."""
    return hashlib.blake2b(proof.encode(), digest_size=8).hexdigest()


def _mac(key: bytes, head: str) -> str:
    made = hmac.digest(key, head.encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def new_token(key: bytes, client_id: str, origin: str, *, now: float | None = None) -> str:
    """A token for LIFETIME_SECONDS from now."""
    expires = int(time.time() if now is None else now) + LIFETIME_SECONDS
    head = f"{PREFIX}{client_id[2]}{client_id[4:]}.{expires:08x}.{origin}"
    return f"{head}.{_mac(key, head)}"


def read_token(key: bytes, header: str) -> AccessToken | None:
    """The token of an `Authorization` value; None where it is something else; raises BadCall
    where it is forged. Whether its time is over is for `good_token`."""
    scheme, _, text = header.partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text.startswith(PREFIX):
        return None
    found = _TOKEN.fullmatch(text)
    if found is None or not hmac.compare_digest(_mac(key, text[: text.rindex(".")]), found[4]):
        raise BadCall("令牌无效")
    return AccessToken(f"ly{found[1][0]}_{found[1][1:]}", int(found[2], 16), found[3])


def good_token(token: AccessToken, proofs: Iterable[str], *, now: float | None = None) -> bool:
    """Whether the token's time is not over and what it was got by still stands."""
    if (time.time() if now is None else now) >= token.expires:
        return False
    return any(hmac.compare_digest(origin_of(proof), token.origin) for proof in proofs if proof)


__all__ = [
    "LIFETIME_SECONDS",
    "PREFIX",
    "AccessToken",
    "good_token",
    "new_token",
    "origin_of",
    "read_token",
]
