"""Invented row: values that look right and belong to nobody, for the test environment and examples."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from .fields import Field, json_type

ROWS = 200
NOWHERE = "329900"
"""A region code of which no number was ever given out (GB/T 2260 has no such prefecture)."""
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英"
_STREETS = ("海棠路", "朝阳路", "解放路", "学院路", "港城大道", "幸福路")

Digits = Mapping[str, Callable[[str], str]]


def invented_rows(
    fields: Sequence[Field],
    key: Sequence[str],
    codes: Mapping[str, Sequence[str]],
    digits: Digits,
    rows: int = ROWS,
) -> list[dict[str, str | None]]:
    """So many rows as text, the same each time; about one value in twenty is empty, never a key's.

    `codes` are the codes of each value domain, `digits` the check digits of citizen numbers
    (`citizen`) and credit codes (`credit`).
    """
    out = []
    for number in range(rows):
        chance = random.Random(f"lianyun {number}")
        row: dict[str, str | None] = {}
        for field in fields:
            value = _value(field, number, chance, codes, digits, field.name in key)
            empty = field.name not in key and not field.check and chance.random() < 0.05
            row[field.name] = None if empty else value
        out.append(row)
    return out


def _length(field: Field) -> int:
    return _longest(field.format)


@lru_cache(1_000)
def _longest(form: str) -> int:
    found = re.search(r"(\d+)(?:,\d+)?(?:\(|$)", form)
    return int(found[1]) if found else 20


def _value(
    field: Field,
    number: int,
    chance: random.Random,
    codes: Mapping[str, Sequence[str]],
    digits: Digits,
    in_key: bool,
) -> str:
    day = dt.date(1955, 1, 1) + dt.timedelta(days=number * 97 + chance.randrange(97))
    if field.check == "citizen_number":
        first = f"{NOWHERE}{day:%Y%m%d}{number % 1000:03d}"
        return first + digits["citizen"](first)
    if field.check == "credit_code":
        first = f"91{NOWHERE}MA{number:07d}"
        return first + digits["credit"](first)
    if field.type == "D":
        recent = dt.date(2015, 1, 1) + dt.timedelta(days=number * 19 % 3650)
        return (day if "birth" in field.name or "born" in field.name else recent).isoformat()
    if field.type == "T":
        start = dt.datetime.combine(dt.date(2020, 1, 1), dt.time(8))
        return (start + dt.timedelta(hours=number * 37)).isoformat()
    if field.type == "L":
        return str(chance.random() < 0.5).lower()
    listed = codes.get(field.domain) if field.domain else None
    if listed:
        return listed[(number if in_key else chance.randrange(len(listed))) % len(listed)]
    kind = json_type(field)
    if kind == "integer" or (field.type == "N" and "," not in field.format):
        most = 10 ** min(_length(field), 4)
        return str(number + 1 if in_key else chance.randrange(1, most))
    if kind == "number" or field.type == "N":
        return f"{chance.randrange(100, 1_000_000) / 100:.2f}"
    return _text(field, number, chance)[: _length(field)]


def _text(field: Field, number: int, chance: random.Random) -> str:
    if field.mask == "name":
        return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.randint(1, 2)))
    if field.mask == "phone":
        return f"100{number:08d}"
    if field.mask == "address":
        return f"江苏省连云港市模拟区{chance.choice(_STREETS)}{number + 1}号"
    if field.mask == "account":
        return f"62009999{number:010d}"
    if re.fullmatch(r"(an|a|n)(\.\.)?\d+", field.format) and _length(field) <= 20:
        return f"{number + 1:0{min(_length(field), 8)}d}"
    return f"模拟{field.title}{number + 1}"


__all__ = ["NOWHERE", "ROWS", "invented_rows"]
