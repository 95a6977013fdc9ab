"""The vault gives back what it was given, for the same use and key only."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.trust.vault import AES, CIPHERS, SM4, Vault, VaultError, new_key


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=20), st.sampled_from(CIPHERS))
def test_comes_back(data: bytes, use: str, cipher: str) -> None:
    vault = Vault(new_key(), cipher)
    text = vault.encrypt(data, use)
    assert text.isascii()
    assert vault.decrypt(text, use) == data
    with pytest.raises(VaultError):
        vault.decrypt(text, use + "x")
    with pytest.raises(VaultError):
        Vault(new_key()).decrypt(text, use)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_changed_character_is_seen(cipher: str) -> None:
    vault = Vault(new_key(), cipher)
    text = vault.encrypt("数据库口令".encode(), "delivery.password")
    assert vault.encrypt("数据库口令".encode(), "delivery.password") != text
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        with pytest.raises(VaultError):
            vault.decrypt(text[:at] + other + text[at + 1 :], "delivery.password")


def test_no_short_keys() -> None:
    with pytest.raises(VaultError):
        Vault(b"short")
    with pytest.raises(VaultError):
        Vault(new_key(), "des")


def test_what_the_former_cipher_wrote_stays_readable() -> None:
    """Algorithm agility at rest: AES before, SM4 after, and the mark cannot be exchanged."""
    key = new_key()
    old = Vault(key, AES).encrypt(b"secret", "seals.key")
    new = Vault(key, SM4).encrypt(b"secret", "seals.key")
    assert (old[:3], new[:3]) == ("v1.", "s1.")
    for cipher in CIPHERS:
        assert Vault(key, cipher).decrypt(old, "seals.key") == b"secret"
        assert Vault(key, cipher).decrypt(new, "seals.key") == b"secret"
    for text in ("s1." + old[3:], "v1." + new[3:], "s1.", "s1.AAAA"):
        with pytest.raises(VaultError):
            Vault(key).decrypt(text, "seals.key")


def test_the_standards_sm4_values_and_openssl() -> None:
    """GB/T 32907-2016, annex A: example 1, and example 2 (the same text a million times over)."""
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    at = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()
    text = at.update(key)
    assert text.hex() == "681edf34d206965e86b3e94f536e4246"
    for _ in range(999_999):
        text = at.update(text)
    assert text.hex() == "595298c7c6fd271f0402f804c33d3f66"
    said = subprocess.run(
        ["openssl", "enc", "-sm4-ecb", "-K", key.hex(), "-nopad"],
        input=key, capture_output=True, check=True,
    )  # fmt: skip
    assert said.stdout.hex() == "681edf34d206965e86b3e94f536e4246"
