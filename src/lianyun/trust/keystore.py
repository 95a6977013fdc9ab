"""Key store: keys that sign where they are kept: encrypted in a vault, or in hardware by PKCS#11.

No store gives a private key out. A key is known by its label; what it signs with is its own affair.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from . import der
from .issuing import Key
from .signatures import ECDSA, BadKey, PrivateKey, PublicKey, from_raw, new_key, private_key


class StoreError(Exception):
    """The store cannot be reached, or has no such key; the message is Chinese."""


class KeyStore(Protocol):
    """Where keys live. `name` stands beside each key, so that stores may change."""

    name: str

    def make(self, label: str, algorithm: str) -> PublicKey:
        """A new key under a label that is not taken; raises StoreError, BadKey."""

    def key(self, label: str, public: PublicKey) -> Key:
        """The key with this label; it is looked for when it signs."""


@dataclass(frozen=True)
class _Held:
    """A key that signs through a function of its store."""

    public: PublicKey
    through: Callable[[bytes], bytes]

    def sign(self, data: bytes) -> bytes:
        """The signature over the data, DER."""
        return self.through(data)


class SoftwareStore:
    """Keys as PKCS#8, encrypted by the caller's vault before they are kept anywhere.

    `keep(label, secret)` writes and `load(label)` reads the encrypted text; a key is open in this
    process's memory only from its first signature on.
    """

    name = "software"

    def __init__(
        self,
        encrypt: Callable[[bytes], str],
        decrypt: Callable[[str], bytes],
        keep: Callable[[str, str], None],
        load: Callable[[str], str],
    ) -> None:
        self._encrypt, self._decrypt, self._keep, self._load = encrypt, decrypt, keep, load
        self._opened = lru_cache(maxsize=512)(self._open)

    def _open(self, label: str) -> PrivateKey:
        return private_key(self._decrypt(self._load(label)).decode())

    def make(self, label: str, algorithm: str) -> PublicKey:
        """A new key, kept encrypted."""
        made = new_key(algorithm)
        self._keep(label, self._encrypt(made.pem.encode()))
        return made.public

    def key(self, label: str, public: PublicKey) -> Key:
        """The key with this label."""

        def through(data: bytes) -> bytes:
            opened = self._opened(label)
            if opened.public != public:
                raise StoreError("密钥库中的密钥与证书不符")
            return opened.sign(data)

        return _Held(public, through)


class Pkcs11Store:
    """Keys in a token (HSM, UKey, SoftHSM): made there as not extractable, used there (ECDSA P-256).

    One session a process, behind a lock: tokens differ in what they bear at once.
    """

    name = "pkcs11"

    def __init__(self, module: str, token: str, pin: str) -> None:
        self._module, self._token, self._pin = module, token, pin
        self._lock = threading.Lock()
        self._session: Any = None

    def _open(self) -> Any:
        if self._session is None:
            import pkcs11

            try:
                found = pkcs11.lib(self._module).get_token(token_label=self._token)
                try:
                    self._session = found.open(rw=True, user_pin=self._pin)
                except pkcs11.UserAlreadyLoggedIn:
                    # A login holds for the whole process, also for a session opened anew.
                    self._session = found.open(rw=True)
            except (pkcs11.PKCS11Error, RuntimeError, OSError) as wrong:
                raise StoreError(f"密码设备无法使用（{type(wrong).__name__}）") from wrong
        return self._session

    def make(self, label: str, algorithm: str) -> PublicKey:
        """A new key in the token; raises BadKey for SM2, which PKCS#11 does not name."""
        if algorithm != ECDSA:
            raise BadKey("密码设备（PKCS#11）只支持 ECDSA P-256 密钥")
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        with self._lock:
            session = self._open()
            try:
                parameters = session.create_domain_parameters(
                    pkcs11.KeyType.EC,
                    {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
                    local=True,
                )
                public, _ = parameters.generate_keypair(
                    store=True,
                    label=label,
                    private_template={
                        pkcs11.Attribute.SENSITIVE: True,
                        pkcs11.Attribute.EXTRACTABLE: False,
                    },
                )
                point = bytes(public[pkcs11.Attribute.EC_POINT])
            except pkcs11.PKCS11Error as wrong:
                raise StoreError(f"密码设备不能生成密钥（{type(wrong).__name__}）") from wrong
        whole = der.read(point).expect(der.OCTET_STRING).content
        return PublicKey(ECDSA, whole[1:])

    def key(self, label: str, public: PublicKey) -> Key:
        """The key with this label."""

        def through(data: bytes) -> bytes:
            import pkcs11

            with self._lock:
                session = self._open()
                try:
                    held = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
                    raw = held.sign(hashlib.sha256(data).digest(), mechanism=pkcs11.Mechanism.ECDSA)
                except pkcs11.PKCS11Error as wrong:
                    # A token pulled out and put back wants a new session.
                    self._session = None
                    raise StoreError(f"密码设备不能签名（{type(wrong).__name__}）") from wrong
            return from_raw(bytes(raw))

        return _Held(public, through)


__all__ = ["KeyStore", "Pkcs11Store", "SoftwareStore", "StoreError"]
