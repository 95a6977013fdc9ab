"""Folding: one spelling for what different hands wrote differently: names, addresses, numbers.

Folded forms are for comparing only and are never shown. Variant and traditional characters fold to
the standard one (an old system that knew GB 2312 only could not write the others), a minority's
name to one of its usual transliterations, Chinese numerals before 号, 幢, 室 to digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_TABLES = Path(__file__).parent / "spelling"
_DOTS = "·・•‧∙⋅．.。､、-—－_ 　\t'’`"
_COMPOUND = (
    "欧阳",
    "司马",
    "诸葛",
    "上官",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "宇文",
    "长孙",
    "司徒",
    "夏侯",
    "东方",
    "端木",
    "独孤",
    "南宫",
    "西门",
    "轩辕",
    "百里",
)
_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
NUMERAL = "零〇一二两三四五六七八九十百千"
_COUNTED = re.compile(f"([{NUMERAL}]+)(?=号|栋|幢|座|楼|单元|室|组|弄|户|层|房)")
UNEVEN = f"[０-９Ａ-Ｚａ-ｚ（）－＃—\\s　]|[{NUMERAL}]+(号|栋|幢|座|楼|单元|室|组|弄|户|房)|[0-9][-#][0-9]|栋|座|号楼|#"
"""What an address must contain (RE2) to need `address`; all others are in their usual form."""


def _table(file: str) -> list[tuple[str, str]]:
    lines = (_TABLES / file).read_text("utf-8").splitlines()
    return [(a, b) for a, _, b in (x.partition(",") for x in lines if x and x[0] != "#")]


@cache
def variants() -> dict[int, str]:
    """Variant, traditional and full-width characters to the standard one; dots and blanks vanish."""
    table = {ord(a): b for a, b in _table("variants.csv")}
    table |= {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xFF01, 0xFF5F)}
    # Compatibility ideographs, which look like others and sort elsewhere.
    table |= {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xF900, 0xFAFF)}
    return table | {ord(c): "" for c in _DOTS}


@cache
def _transliterations() -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    table = dict(_table("transliterations.csv"))
    longest = sorted(table, key=len, reverse=True)
    words = frozenset(table) | frozenset(table.values())
    return re.compile("|".join(map(re.escape, longest))), table, words


class _Readings(dict[int, str]):
    """Character → its commonest reading without tones, looked up when first met."""

    def __init__(self, told: dict[int, str]) -> None:
        super().__init__()
        self.told = told

    def __missing__(self, code: int) -> str:
        reading = self.told.get(code)
        if reading is None:
            found = chr(code)
        else:
            plain = unicodedata.normalize("NFD", reading.partition(",")[0])
            kept = plain.replace("u\u0308", "v")
            found = "".join(c for c in kept if not unicodedata.combining(c))
        self[code] = found
        return found


@cache
def _readings() -> dict[int, str]:
    """All readings that pypinyin knows."""
    from pypinyin.pinyin_dict import pinyin_dict

    return _Readings(pinyin_dict)


def name(text: str) -> str:
    """A person's name folded; a minority's name in its canonical transliteration.

    Only names of four characters or more, names with a dot, or names made of one listed word are
    taken for transliterated; compound surnames are not.
    """
    plain = text.translate(variants()).upper()
    pattern, table, words = _transliterations()
    if len(plain) < 4 and plain not in words:
        return plain
    if plain.startswith(_COMPOUND) and not any(c in text for c in "·・•‧∙⋅．."):
        return plain
    return pattern.sub(lambda m: table[m.group()], plain)


def pinyin(folded: str) -> str:
    """The reading of a folded name without tones, for homophones (陈晨 and 陈辰 are chenchen)."""
    return folded.translate(_readings())


def numeral(text: str) -> int:
    """A Chinese numeral below ten thousand; positional ones (一二〇三) are read digit by digit."""
    if not any(c in _UNITS for c in text):
        return int("".join(str(_DIGITS[c]) for c in text))
    total, last = 0, 0
    for c in text:
        if c in _UNITS:
            total += (last or (0 if total else 1)) * _UNITS[c]
            last = 0
        else:
            last = _DIGITS[c]
    return total + last


def address(text: str) -> str:
    """An address with half-width digits, Arabic numbers, 幢 for every word for a building."""
    plain = unicodedata.normalize("NFKC", text).translate(variants_kept())
    plain = _COUNTED.sub(lambda m: str(numeral(m.group(1))), plain)
    plain = re.sub(r"(\d+)(?:号楼|栋|座|#楼?)", r"\1幢", plain)
    plain = re.sub(r"(\d+)幢?-(\d+)(?:单元)?-(\d+)室?$", r"\1幢\2单元\3室", plain)
    return re.sub(r"(\d+)幢-(\d+)室?$", r"\1幢\2室", plain)


@cache
def variants_kept() -> dict[int, str]:
    """As `variants`, but hyphens stay: in an address they part building, unit and room."""
    table = {c: t for c, t in variants().items() if chr(c) not in "-—－_.．"}
    return table | {ord("—"): "-", ord("－"): "-"}


ORG_PLACE = r"^(中国)?(江苏省?)?(连云港市?)?(海州区|连云区|赣榆区|东海县|灌云县|灌南县)?"
ORG_FORM = (
    r"(股份有限责任公司|集团股份有限公司|股份有限公司|有限责任公司|集团有限公司|有限公司|总公司|分公司|公司|集团"
    r"|专业合作社|合作社|经营部|商行|个体工商户)+$"
)
_PLACE, _FORM = re.compile(ORG_PLACE), re.compile(ORG_FORM)


def organisation(text: str) -> str:
    """An organisation's name folded: brackets even, variants standard."""
    return unicodedata.normalize("NFKC", text).translate(variants()).upper()


def organisation_core(folded: str) -> str:
    """What is left of a folded name without place and legal form: brand and trade."""
    bare = _PLACE.sub("", re.sub(r"[()]", "", folded))
    return _FORM.sub("", bare) or folded


def many(values: Iterable[str | None], kind: str) -> list[tuple[str, str]]:
    """Folded value and second form (reading, core) of each distinct value of a kind."""
    if kind == "person_name":
        return [(n, pinyin(n)) for n in (name(v or "") for v in values)]
    if kind == "org_name":
        return [(n, organisation_core(n)) for n in (organisation(v or "") for v in values)]
    return [(address(v or ""), "") for v in values]
