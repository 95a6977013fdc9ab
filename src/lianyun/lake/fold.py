"""Folding: one spelling for what different hands wrote differently: names, addresses, numbers.

Folded forms are for comparing only and are never shown. Variant and traditional characters fold to
the standard one (an old system that knew GB 2312 only could not write the others), a minority's
name to one of its usual transliterations, Chinese numerals before 号, 幢, 室 to digits.

`teach` gives DuckDB the same functions over whole columns. Names, which nearly all differ, are
folded there on the code points of an Arrow array, and only what needs more than a character for a
character is handed to `name`; firms and uneven addresses are folded value by value.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

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
_LONG = 4  # characters from which a name may be a transliterated one
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
    if len(plain) < _LONG and plain not in words:
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


# ---- whole columns ---------------------------------------------------------------------------

_GONE, _MORE = (
    0x110000,
    0x110001,
)  # beyond Unicode: a character that vanishes, one that becomes several
_REMEMBERED = 1 << 16


@cache
def _folds() -> Any:
    """For each code point the folded one in upper case, or `_GONE`, or `_MORE`."""
    table = np.arange(_GONE, dtype=np.uint32)
    cased = chain(range(0x3000), range(0xA000, 0xAC00), range(0xF900, 0x20000))
    for code, text in ({c: chr(c) for c in cased} | variants()).items():
        upper = text.upper()
        table[code] = ord(upper) if len(upper) == 1 else _MORE if upper else _GONE
    return table


def _codes(texts: pa.Array) -> tuple[Any, Any]:
    """The code points of an array of strings without NULL, and where each string's begin (n + 1)."""
    count = len(texts)
    if not count:
        return np.empty(0, np.uint32), np.zeros(1, np.int64)
    _, offset_bytes, data = texts.buffers()
    offsets = np.frombuffer(offset_bytes, np.int32)[texts.offset : texts.offset + count + 1]
    raw = bytes(memoryview(data or b"")[offsets[0] : offsets[-1]])
    begins = (np.frombuffer(raw, np.uint8) & 0xC0) != 0x80
    counted = np.concatenate(([0], np.cumsum(begins)))
    return np.frombuffer(raw.decode().encode("utf-32-le"), np.uint32), counted[offsets - offsets[0]]


def _texts(codes: Any, bounds: Any) -> pa.Array:
    """The array of strings whose code points lie within `bounds`: the reverse of `_codes`."""
    size = 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF).astype(np.int64)
    ends = np.concatenate(([0], np.cumsum(size)))[bounds].astype(np.int32)
    data = codes.astype("<u4").tobytes().decode("utf-32-le").encode()
    return pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(ends), pa.py_buffer(data))


@cache
def _short_words() -> pa.Array:
    """The transliterated names that are shorter than those looked at for their length."""
    return pa.array(sorted(w for w in _transliterations()[2] if len(w) < _LONG), pa.string())


def names(texts: pa.Array) -> pa.Array:
    """`name` of every value of a column of strings."""
    codes, bounds = _codes(texts)
    folded = _folds()[codes]
    kept = folded != _GONE
    after = np.concatenate(([0], np.cumsum(kept)))[bounds]
    odd = np.diff(after) >= _LONG
    several = np.flatnonzero(folded == _MORE)
    odd[np.searchsorted(bounds, several, side="right") - 1] = True
    folded[folded == _MORE] = ord("?")
    plain = _texts(folded[kept], after)
    whole = compute.is_in(plain, value_set=_short_words())
    odd |= whole.to_numpy(zero_copy_only=False)
    if not odd.any():
        return plain
    mask = pa.array(odd)
    told = [name(text) for text in texts.filter(mask).to_pylist()]
    return compute.replace_with_mask(plain, mask, pa.array(told, pa.string()))


class _Sounds:
    """Readings of characters as an Arrow array that grows, and each character's place in it."""

    def __init__(self) -> None:
        self.places = np.full(_GONE, -1, np.int32)
        self.said: list[str] = []
        self.array = pa.array(self.said, pa.string())
        self.growing = threading.Lock()

    def of(self, codes: Any) -> pa.Array:
        """The reading of each code point."""
        found = self.places[codes]
        if len(codes) and found.min() < 0:
            with self.growing:
                for code in np.unique(codes[self.places[codes] < 0]):
                    self.said.append(_readings()[int(code)])
                    self.places[code] = len(self.said) - 1
                self.array = pa.array(self.said, pa.string())
            found = self.places[codes]
        return self.array.take(pa.array(found))


@cache
def _sounds() -> _Sounds:
    return _Sounds()


def readings(folded: pa.Array) -> pa.Array:
    """`pinyin` of every value of a column of folded names."""
    codes, bounds = _codes(folded)
    each = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), _sounds().of(codes))
    return compute.binary_join(each, "")


def _names_with_readings(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    given = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    folded = names(compute.fill_null(given.cast(pa.string()), ""))
    return pa.StructArray.from_arrays([folded, readings(folded)], ["a", "b"])


def _each(function: Callable[[str], Any], kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """A function over a column from one over a value; what it said last it remembers."""
    remembered = lru_cache(_REMEMBERED)(function)

    def column(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
        return pa.array([None if v is None else remembered(v) for v in texts.to_pylist()], kind)

    return column


def _firm(text: str) -> dict[str, str]:
    folded = organisation(text)
    return {"a": folded, "b": organisation_core(folded)}


_PAIR = pa.struct([("a", pa.string()), ("b", pa.string())])


def teach(con: duckdb.DuckDBPyConnection) -> None:
    """Makes `folded_name` and `folded_firm` (a: folded, b: reading or core) and `folded_address`
    known to a DuckDB; a name that is NULL folds to an empty one, the others to NULL."""
    pair = "STRUCT(a VARCHAR, b VARCHAR)"
    for known, function, kind in (
        ("folded_name", _names_with_readings, pair),
        ("folded_firm", _each(_firm, _PAIR), pair),
        ("folded_address", _each(address, pa.string()), "VARCHAR"),
    ):
        con.create_function(  # type: ignore[call-overload]
            known, function, ["VARCHAR"], kind, type="arrow", null_handling="special"
        )
