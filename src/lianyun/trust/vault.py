"""Vault: secrets at rest, readable only with this installation's key file and for the use they were kept for."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK = "v1."


class VaultError(Exception):
    """A text that this vault did not write, that was changed, or that was kept for another use."""


def new_key() -> bytes:
    """The content of a key file: 256 random bits."""
    return os.urandom(KEY_BYTES)


class Vault:
    """AES-256-GCM under a key drawn from the key file for each use (HKDF-SHA-256, RFC 5869).

    The use (`"delivery.password"`) is bound in, so a text kept for one use opens for no other. Many
    processes may share a vault: nonces are 96 random bits, good for 2^32 texts of one use.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise VaultError("the key file is too short")
        self._key = key
        self._ciphers: dict[str, AESGCM] = {}

    def _cipher(self, use: str) -> AESGCM:
        found = self._ciphers.get(use)
        if found is None:
            derive = HKDF(
                algorithm=hashes.SHA256(), length=32, salt=None, info=f"lianyun {use}".encode()
            )
            found = self._ciphers[use] = AESGCM(derive.derive(self._key))
        return found

    def encrypt(self, data: bytes, use: str) -> str:
        """The data as a text for a database column or a file: ASCII, `v1.` and base64url."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(use).encrypt(nonce, data, use.encode())
        return _MARK + base64.urlsafe_b64encode(sealed).decode()

    def decrypt(self, text: str, use: str) -> bytes:
        """What `encrypt` was given for the same use; raises VaultError on anything else."""
        if not text.startswith(_MARK):
            raise VaultError("not a text of this vault")
        try:
            sealed = base64.b64decode(text[len(_MARK) :].encode(), altchars=b"-_", validate=True)
            # One text for one content: the unused bits of the last character must be zero.
            if _MARK + base64.urlsafe_b64encode(sealed).decode() != text:
                raise VaultError("not a text of this vault")
            return self._cipher(use).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], use.encode()
            )
        except (InvalidTag, ValueError) as wrong:
            raise VaultError("a text of another vault or use, or changed") from wrong


__all__ = ["Vault", "VaultError", "new_key"]
