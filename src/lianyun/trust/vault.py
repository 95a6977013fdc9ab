"""Vault: secrets at rest, readable only with this installation's key file and for the use they were kept for."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
AES, SM4 = "aes-256-gcm", "sm4-gcm"
CIPHERS = (AES, SM4)
_MARKS = {AES: "v1.", SM4: "s1."}


class VaultError(Exception):
    """A text that this vault did not write, that was changed, or that was kept for another use."""


def new_key() -> bytes:
    """The content of a key file: 256 random bits."""
    return os.urandom(KEY_BYTES)


class _Sm4:
    """SM4 (GB/T 32907-2016) in GCM, as AESGCM offers AES."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        """The data and their tag; `bound` is authenticated with them."""
        at = Cipher(algorithms.SM4(self._key), modes.GCM(nonce)).encryptor()
        at.authenticate_additional_data(bound)
        return at.update(data) + at.finalize() + at.tag

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """What `encrypt` was given; raises InvalidTag."""
        if len(sealed) < _TAG_BYTES:
            raise InvalidTag
        data, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        at = Cipher(algorithms.SM4(self._key), modes.GCM(nonce, tag)).decryptor()
        at.authenticate_additional_data(bound)
        return at.update(data) + at.finalize()


class Vault:
    """AES-256-GCM under a key drawn from the key file for each use (HKDF-SHA-256, RFC 5869).

    With `cipher="sm4-gcm"` new texts are written with SM4; each text's mark says how it was made,
    so that a vault opens what it wrote before its cipher was changed.

    The use (`"delivery.password"`) is bound in, so a text kept for one use opens for no other. Many
    processes may share a vault: nonces are 96 random bits, good for 2^32 texts of one use.
    """

    def __init__(self, key: bytes, cipher: str = AES) -> None:
        if len(key) < KEY_BYTES:
            raise VaultError("the key file is too short")
        if cipher not in CIPHERS:
            raise VaultError(f"no such cipher: {cipher}")
        self._key = key
        self._writes = cipher
        self._ciphers: dict[tuple[str, str], AESGCM | _Sm4] = {}

    def _cipher(self, kind: str, use: str) -> AESGCM | _Sm4:
        found = self._ciphers.get((kind, use))
        if found is None:
            # A key for one cipher is no key for the other.
            about = f"lianyun {use}" if kind == AES else f"lianyun {kind} {use}"
            derive = HKDF(
                algorithm=hashes.SHA256(),
                length=32 if kind == AES else 16,
                salt=None,
                info=about.encode(),
            )
            key = derive.derive(self._key)
            found = self._ciphers[kind, use] = AESGCM(key) if kind == AES else _Sm4(key)
        return found

    def encrypt(self, data: bytes, use: str) -> str:
        """The data as a text for a database column or a file: ASCII, a mark and base64url."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(self._writes, use).encrypt(nonce, data, use.encode())
        return _MARKS[self._writes] + base64.urlsafe_b64encode(sealed).decode()

    def decrypt(self, text: str, use: str) -> bytes:
        """What `encrypt` was given for the same use; raises VaultError on anything else."""
        kind = next((k for k, mark in _MARKS.items() if text.startswith(mark)), None)
        if kind is None:
            raise VaultError("not a text of this vault")
        mark = _MARKS[kind]
        try:
            sealed = base64.b64decode(text[len(mark) :].encode(), altchars=b"-_", validate=True)
            # One text for one content: the unused bits of the last character must be zero.
            if mark + base64.urlsafe_b64encode(sealed).decode() != text:
                raise VaultError("not a text of this vault")
            return self._cipher(kind, use).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], use.encode()
            )
        except (InvalidTag, ValueError) as wrong:
            raise VaultError("a text of another vault or use, or changed") from wrong


__all__ = ["AES", "CIPHERS", "SM4", "Vault", "VaultError", "new_key"]
