"""Identifier: the number of an electronic licence by GB/T 36904-2018, with its check character.

`1.2.156.3005.2 . type (21) . issuer . serial . version (3) . check`: the check character is made by
the hybrid system MOD 37,36 of ISO/IEC 7064 over the parts between the root and itself, without dots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ROOT = "1.2.156.3005.2"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SERIAL_LENGTH = 20
LONGEST = 160
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_TYPE = re.compile(r"[0-9A-Z]{21}")
_ISSUER = re.compile(r"[0-9A-Z]{6,18}")
_SERIAL = re.compile(r"[0-9A-Z]{1,64}")
_VERSION = re.compile(r"[0-9]{3}")


class BadIdentifier(ValueError):
    """Not an identifier of a licence; the message says why, in Chinese."""


@dataclass(frozen=True)
class Identifier:
    """An identifier taken apart."""

    type_code: str
    issuer: str
    serial: str
    version: int

    def __str__(self) -> str:
        parts = (self.type_code, self.issuer, self.serial, f"{self.version:03d}")
        return ".".join((ROOT, *parts, check_character("".join(parts))))

    @property
    def next(self) -> Identifier:
        """The identifier of the next version of the same licence."""
        if self.version >= 999:
            raise BadIdentifier("版本号已用尽，请重新签发")
        return Identifier(self.type_code, self.issuer, self.serial, self.version + 1)


def check_character(text: str) -> str:
    """The check character of digits and capital letters (ISO/IEC 7064, MOD 37,36)."""
    product = 36
    for character in text:
        if character not in _VALUES:
            raise BadIdentifier("证照标识只能由数字和大写字母组成")
        product = (product + _VALUES[character]) % 36 or 36
        product = product * 2 % 37
    return ALPHABET[(37 - product) % 36]


def make(type_code: str, issuer: str, serial: str, version: int = 1) -> Identifier:
    """An identifier of these parts; raises BadIdentifier."""
    for value, form, name in (
        (type_code, _TYPE, "证照类型代码"),
        (issuer, _ISSUER, "颁发机构代码"),
        (serial, _SERIAL, "流水号"),
    ):
        if not form.fullmatch(value):
            raise BadIdentifier(f"{name}“{value}”不符合 GB/T 36904 的格式")
    if not 1 <= version <= 999:
        raise BadIdentifier("版本号应为 1 至 999")
    return Identifier(type_code, issuer, serial, version)


def parse(text: str) -> Identifier:
    """An identifier as it is written; raises BadIdentifier, also for a wrong check character."""
    if len(text) > LONGEST or not text.startswith(f"{ROOT}."):
        raise BadIdentifier("不是电子证照标识")
    parts = text[len(ROOT) + 1 :].split(".")
    if len(parts) != 5 or not _VERSION.fullmatch(parts[3]):
        raise BadIdentifier("电子证照标识的分段有误")
    found = make(parts[0], parts[1], parts[2], int(parts[3]))
    if parts[4] != check_character("".join(parts[:4])):
        raise BadIdentifier("电子证照标识的校验位不正确")
    return found


__all__ = [
    "ALPHABET",
    "SERIAL_LENGTH",
    "BadIdentifier",
    "Identifier",
    "check_character",
    "make",
    "parse",
]
