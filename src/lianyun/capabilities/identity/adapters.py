"""Adapters: the vault for numbers, the installation's keyed hash."""

from __future__ import annotations

from lianyun.capabilities.audit import api as audit

NUMBER_USE, PHONE_USE, FACTOR_USE = "identity.number", "identity.phone", "identity.factor"


def number_hash(number: str) -> str:
    """The keyed hash of a citizen number, 32 hex digits, the same throughout this installation.

    It is the hash by which readings are recorded, so that a person finds who read about him.
    """
    return audit.keyed_hash(number)


def phone_hash(phone: str) -> str:
    """The keyed hash of a telephone number; differs from that of a citizen number of equal digits."""
    return audit.keyed_hash(f"phone:{phone}")


def seal(text: str, use: str) -> str:
    """A number as the database keeps it."""
    return audit.encrypt(text.encode(), use)


def unseal(text: str, use: str) -> str:
    """What `seal` was given; raises lianyun.trust.vault.VaultError."""
    return audit.decrypt(text, use).decode()


__all__ = ["FACTOR_USE", "NUMBER_USE", "PHONE_USE", "number_hash", "phone_hash", "seal", "unseal"]
