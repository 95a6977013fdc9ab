"""Keys: a node's key pairs and what is signed with them; secrets rest in the installation's vault."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from lianyun.kernel.secret import key_file
from lianyun.trust import signatures
from lianyun.trust.vault import Vault
from lianyun.trust.vault import new_key as new_vault_key

ALGORITHMS = signatures.TITLES
_USE_KEY, _USE_INVITATION = "cascade.key", "cascade.invitation"


@dataclass(frozen=True)
class Pair:
    """A fresh key pair: its fingerprint, the public half (PEM) and the sealed secret half."""

    kid: str
    algorithm: str
    public: str
    secret: str


def _vault() -> Vault:
    return Vault(key_file(Path(settings.HOME) / "vault.key", new_vault_key), settings.VAULT_CIPHER)


def fingerprint(public: str) -> str:
    """SHA-256 over the DER of a public key, hex; raises ValueError for anything else."""
    return signatures.public_key(public).kid


def new_pair(algorithm: str) -> Pair:
    """Draw a key pair: ECDSA P-256 / SHA-256 or SM2 / SM3."""
    key = signatures.new_key(algorithm)
    sealed = _vault().encrypt(key.pem.encode(), _USE_KEY)
    return Pair(key.public.kid, algorithm, key.public.pem, sealed)


class Signer:
    """Signs with one key pair of this node."""

    def __init__(self, kid: str, secret: str) -> None:
        self.kid = kid
        self._key = signatures.private_key(_vault().decrypt(secret, _USE_KEY).decode())

    def sign(self, data: bytes) -> str:
        """The signature as base64 of its DER."""
        return base64.b64encode(self._key.sign(data)).decode()


@lru_cache(maxsize=64)
def _public(pem: str) -> signatures.PublicKey:
    return signatures.public_key(pem)


def verified(public: str, data: bytes, signature: str) -> bool:
    """Whether a signature over these bytes was made with the secret half of this public key."""
    try:
        raw = base64.b64decode(signature, validate=True)
        return _public(public).verify(data, raw)
    except ValueError:
        return False


def seal_invitation(code: str) -> str:
    """A one-time code as it is kept until it is used."""
    return _vault().encrypt(code.encode(), _USE_INVITATION)


def open_invitation(text: str) -> str:
    """The one-time code again."""
    return _vault().decrypt(text, _USE_INVITATION).decode()
