"""Digest: SHA-256 (FIPS 180-4) and SM3 (GB/T 32905-2016) by name."""

from __future__ import annotations

import hashlib
from typing import Literal

from cryptography.hazmat.primitives import hashes

Name = Literal["sha256", "sm3"]
SHA256: Name = "sha256"
SM3: Name = "sm3"
NAMES: tuple[str, ...] = (SHA256, SM3)
TITLES = {SHA256: "SHA-256", SM3: "SM3"}
LENGTH = 32
"""Bytes of a digest of either kind."""

# A Python whose own OpenSSL lacks SM3 takes the one that `cryptography` brings along.
_SM3_AT_HAND = "sm3" in hashlib.algorithms_available


class UnknownDigest(ValueError):
    """A digest that is neither of the two."""


def digest(name: str, data: bytes) -> bytes:
    """The 32 bytes of `data` under the digest of that name; raises UnknownDigest."""
    if name == SHA256:
        return hashlib.sha256(data).digest()
    if name != SM3:
        raise UnknownDigest(name)
    if _SM3_AT_HAND:
        return hashlib.new("sm3", data).digest()
    value = hashes.Hash(hashes.SM3())
    value.update(data)
    return value.finalize()


def hexdigest(name: str, data: bytes) -> str:
    """As `digest`, in hex."""
    return digest(name, data).hex()


__all__ = [
    "LENGTH",
    "NAMES",
    "SHA256",
    "SM3",
    "TITLES",
    "Name",
    "UnknownDigest",
    "digest",
    "hexdigest",
]
