"""The vault gives back what it was given, for the same use and key only."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.trust.vault import Vault, VaultError, new_key


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=20))
def test_comes_back(data: bytes, use: str) -> None:
    vault = Vault(new_key())
    text = vault.encrypt(data, use)
    assert text.isascii()
    assert vault.decrypt(text, use) == data
    with pytest.raises(VaultError):
        vault.decrypt(text, use + "x")
    with pytest.raises(VaultError):
        Vault(new_key()).decrypt(text, use)


def test_every_changed_character_is_seen() -> None:
    vault = Vault(new_key())
    text = vault.encrypt("数据库口令".encode(), "delivery.password")
    assert vault.encrypt("数据库口令".encode(), "delivery.password") != text
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        with pytest.raises(VaultError):
            vault.decrypt(text[:at] + other + text[at + 1 :], "delivery.password")


def test_no_short_keys() -> None:
    with pytest.raises(VaultError):
        Vault(b"short")
