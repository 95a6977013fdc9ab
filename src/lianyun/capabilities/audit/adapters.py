"""Adapters: the installation's key files and the roots of time stamps, as the settings name them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cryptography import x509
from django.conf import settings

from lianyun.kernel.secret import key_file
from lianyun.trust import certificates
from lianyun.trust.vault import Vault, new_key

from . import rules


class NoRoots(Exception):
    """The file of trusted roots cannot be read; the message (Chinese) says which."""


@cache
def _vault(path: Path) -> Vault:
    return Vault(key_file(path, new_key), settings.VAULT_CIPHER)


def vault() -> Vault:
    """The vault under HOME/vault.key, which the first to come makes (mode 0600)."""
    return _vault(Path(settings.HOME) / "vault.key")


def encrypt(data: bytes, use: str) -> str:
    """A secret as a text for a database column; `use` (`"delivery.password"`) is bound in."""
    return vault().encrypt(data, use)


def decrypt(text: str, use: str) -> bytes:
    """What `encrypt` was given for this use; raises lianyun.trust.vault.VaultError."""
    return vault().decrypt(text, use)


def hash_key() -> bytes:
    """The key of all keyed hashes of this installation."""
    return rules.derived_key(settings.SECRET_KEY, "keyed-hash")


def keyed_hash(value: str) -> str:
    """The keyed hash of a citizen number or another key, 32 hex digits."""
    return rules.keyed_hash(hash_key(), value)


def outside_roots() -> list[x509.Certificate]:
    """The roots that an outside time-stamping authority may lead to; raises NoRoots."""
    if not settings.TIME_STAMP_ROOTS:
        return []
    try:
        return certificates.load_all(Path(settings.TIME_STAMP_ROOTS).read_text())
    except (OSError, certificates.BadChain) as wrong:
        raise NoRoots(f"时间戳根证书文件无法读取：{settings.TIME_STAMP_ROOTS}") from wrong


__all__ = ["NoRoots", "decrypt", "encrypt", "hash_key", "keyed_hash", "outside_roots", "vault"]
