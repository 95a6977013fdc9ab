"""Adapters: the vault under this installation's key file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings

from lianyun.kernel.secret import key_file
from lianyun.trust.vault import Vault, new_key


@cache
def _vault(path: Path) -> Vault:
    return Vault(key_file(path, new_key))


def vault() -> Vault:
    """The vault under HOME/vault.key, which the first to come makes (mode 0600)."""
    return _vault(Path(settings.HOME) / "vault.key")


def encrypt(data: bytes, use: str) -> str:
    """A secret as a text for a database column; `use` (`"delivery.password"`) is bound in."""
    return vault().encrypt(data, use)


def decrypt(text: str, use: str) -> bytes:
    """What `encrypt` was given for this use; raises lianyun.trust.vault.VaultError."""
    return vault().decrypt(text, use)


__all__ = ["decrypt", "encrypt", "vault"]
