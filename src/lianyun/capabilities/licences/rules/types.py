"""Type: what a pack declares of a kind of licence: holders, elements, issuer, validity, layout, register."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

PERSON, ENTITY = "person", "legal_entity"
HOLDERS = {PERSON: "自然人", ENTITY: "法人和其他组织"}
GRADES = {
    "A": "A 级（本平台签发，带电子签章）",
    "B": "B 级（发证机关业务系统）",
    "C": "C 级（发证机关台账）",
    "D": "D 级（持证人提交）",
}
LAYOUTS = ("landscape", "portrait", "card")
FILES = ("pdf", "ofd")
"""The forms of a licence's file; PDF is always one of them."""
REMIND = (60, 15)
"""How many days before its end a holder is told of a licence, where its type says nothing else."""
_NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_SERIAL = re.compile(r"[0-9]{3}")
_NUMBERING = re.compile(r"[^{}]{1,20}\{year\}[^{}]{0,5}\{serial:0[4-8]\}")
_KEYS = {
    "name", "title", "issuer", "serial", "type_code", "holders", "basis", "number", "holder",
    "dates", "years", "trust", "elements", "look", "register", "numbering",
    "files", "remind",
}  # fmt: skip


class BadType(ValueError):
    """A declared type that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True)
class Item:
    """One element of a licence: its name, Chinese title, format, mask; shown on the file unless hidden."""

    name: str
    title: str
    type: str = "C"
    domain: str = ""
    mask: str = "none"
    check: str = ""
    required: bool = False
    wide: bool = False
    hidden: bool = False
    may_lack: bool = False

    @property
    def personal(self) -> bool:
        """Whether it is masked for whoever has no reason to see it."""
        return self.mask not in ("", "none")


@dataclass(frozen=True)
class Register:
    """A department's register from which licences are issued in bulk."""

    dataset: str
    columns: Mapping[str, str]
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class LicenceType:
    """A kind of licence as a pack declares it (`packs/<sector>/licences/<name>.yaml`)."""

    name: str
    title: str
    issuer: str
    serial: str
    holders: tuple[str, ...]
    items: tuple[Item, ...]
    number: str
    holder_number: str
    holder_name: str
    issued: str
    begins: str = ""
    ends: str = ""
    years: int = 0
    trust: str = "C"
    basis: str = ""
    type_code: str = ""
    layout: str = "portrait"
    colour: str = "#8a1c1c"
    heading: str = ""
    register: Register | None = None
    numbering: str = ""
    files: tuple[str, ...] = FILES[:1]
    remind: tuple[int, ...] = REMIND

    def item(self, name: str) -> Item:
        """The element of this name; raises KeyError."""
        for one in self.items:
            if one.name == name:
                return one
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its elements, in the order in which they are printed."""
        return tuple(i.name for i in self.items)

    @property
    def for_people(self) -> bool:
        """Whether natural persons hold it."""
        return PERSON in self.holders

    def code(self, issuer_code: str) -> str:
        """The type's code of 21 characters (GB/T 36904): declared, else the issuer's with its serial."""
        return self.type_code or f"{issuer_code}{self.serial}"


def read(data: Mapping[str, Any], elements: Mapping[str, Mapping[str, Any]]) -> LicenceType:
    """A type from its declaration; `elements` are the packs' data elements by code. Raises BadType."""
    name = str(data.get("name") or "")

    def need(good: object, why: str) -> None:
        if not good:
            raise BadType(f"证照类型 {name or '?'}：{why}")

    need(_NAME.fullmatch(name), "name 应为小写英文")
    unknown = set(data) - _KEYS
    need(not unknown, f"不认识的键 {sorted(unknown)}")
    for key in ("title", "issuer", "serial", "holders", "number", "holder", "dates", "elements"):
        need(data.get(key), f"缺少 {key}")
    need(_SERIAL.fullmatch(str(data["serial"])), "serial 应为三位数字")
    holders = tuple(data["holders"])
    need(set(holders) <= set(HOLDERS), "holders 只能是 person、legal_entity")
    items = tuple(_item(name, entry, elements) for entry in data["elements"])
    names = {i.name for i in items}
    need(len(names) == len(items), "要素名重复")
    holder, dates = dict(data["holder"]), dict(data["dates"])
    named = [data["number"], holder.get("number"), holder.get("name"), dates.get("issued")]
    for one in [*named, *(dates[k] for k in ("from", "to") if dates.get(k))]:
        need(one in names, f"要素 {one} 没有声明")
    look = dict(data.get("look") or {})
    need(look.get("layout", "portrait") in LAYOUTS, f"版式只能是 {'、'.join(LAYOUTS)}")
    need(_COLOUR.fullmatch(str(look.get("colour", "#8a1c1c"))), "colour 应如 #8a1c1c")
    trust = str(data.get("trust") or "C")
    need(trust in GRADES, "可信等级只能是 A、B、C、D")
    numbering = str(data.get("numbering") or "")
    need(not numbering or _NUMBERING.fullmatch(numbering), "numbering 应如 HC{year}{serial:05}")
    files = tuple(data.get("files") or FILES[:1])
    need(files in (FILES[:1], FILES), "files 只能是 [pdf] 或 [pdf, ofd]")
    remind = tuple(data.get("remind") or REMIND)
    falling = all(isinstance(n, int) and 0 < n <= 366 for n in remind)
    falling = falling and remind == tuple(sorted(set(remind), reverse=True))
    need(falling, "remind 应为由大到小的天数，如 [60, 15]")
    register = None
    if told := data.get("register"):
        columns = {n: n for n in names} | dict(told.get("columns") or {})
        unknown = set(columns) - names
        need(not unknown, f"register 中的要素 {sorted(unknown)} 没有声明")
        columns = {n: c for n, c in columns.items() if c}
        register = Register(str(told["dataset"]), columns, dict(told.get("where") or {}))
    return LicenceType(
        name=name,
        title=str(data["title"]),
        issuer=str(data["issuer"]),
        serial=str(data["serial"]),
        holders=holders,
        items=items,
        number=str(data["number"]),
        holder_number=str(holder["number"]),
        holder_name=str(holder["name"]),
        issued=str(dates["issued"]),
        begins=str(dates.get("from") or ""),
        ends=str(dates.get("to") or ""),
        years=int(data.get("years") or 0),
        trust=trust,
        basis=str(data.get("basis") or ""),
        type_code=str(data.get("type_code") or ""),
        layout=str(look.get("layout", "portrait")),
        colour=str(look.get("colour", "#8a1c1c")),
        heading=str(look.get("heading") or data["title"]),
        register=register,
        numbering=numbering,
        files=files,
        remind=remind,
    )


def _item(name: str, entry: Mapping[str, Any], elements: Mapping[str, Mapping[str, Any]]) -> Item:
    known: Mapping[str, Any] = {}
    if entry.get("element"):
        if entry["element"] not in elements:
            raise BadType(f"证照类型 {name}：数据元 {entry['element']} 不存在")
        known = elements[entry["element"]]
    elif not entry.get("type"):
        raise BadType(f"证照类型 {name}：要素 {entry.get('name')} 没有数据元，也没有类型")
    return Item(
        name=str(entry["name"]),
        title=str(entry.get("title") or known.get("title") or entry["name"]),
        type=str(entry.get("type") or known.get("type") or "C"),
        domain=str(known.get("domain") or ""),
        mask=str(entry.get("mask") or known.get("mask") or "none"),
        check=str(known.get("check") or ""),
        required=bool(entry.get("required")),
        may_lack=bool(entry.get("may_lack")),
        wide=bool(entry.get("wide")),
        hidden=bool(entry.get("hidden")),
    )


def cleaned(kind: LicenceType, elements: Mapping[str, Any]) -> dict[str, str]:
    """The elements as texts: dates as 2026-11-22, blanks left out, unknown names left out."""
    out = {}
    for item in kind.items:
        value = elements.get(item.name)
        if isinstance(value, dt.datetime):
            value = value.date() if item.type == "D" else value.strftime("%Y-%m-%d %H:%M")
        text = "" if value is None else str(value).strip()
        if text:
            out[item.name] = text
    return out


def series(kind: LicenceType, today: dt.date) -> str:
    """What all numbers of a type begin with that are given out this year, e.g. `320700HC2026`."""
    return kind.numbering.split("{serial")[0].replace("{year}", str(today.year))


def numbered(kind: LicenceType, today: dt.date, serial: int) -> str:
    """The number of a licence whose type numbers its licences itself (`numbering`)."""
    return kind.numbering.format(year=today.year, serial=serial)


@lru_cache(maxsize=8192)
def date_of(text: str) -> dt.date | None:
    """A date as departments write it (2026-11-22, 20261122, 2026/11/22), or None."""
    digits = re.sub(r"\D", "", text)[:8]
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def after_years(day: dt.date, years: int) -> dt.date:
    """The last day of a validity of whole years: the day before the anniversary (民法典 art. 201)."""
    year = day.year + years
    last = calendar.monthrange(year, day.month)[1]
    return dt.date(year, day.month, min(day.day, last)) - dt.timedelta(days=1)


def next_day(day: dt.date) -> dt.date:
    """The day after; a licence is valid until the end of its last day."""
    return day + dt.timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """From when until when (inclusive) a licence is valid; `ends` None: 长期."""

    issued: dt.date
    begins: dt.date
    ends: dt.date | None


def span(kind: LicenceType, elements: Mapping[str, str], today: dt.date) -> Span:
    """The dates of a licence by its elements and its type's validity."""
    issued = date_of(elements.get(kind.issued, "")) or today
    begins = (date_of(elements.get(kind.begins, "")) if kind.begins else None) or issued
    ends = date_of(elements.get(kind.ends, "")) if kind.ends else None
    if ends is None and kind.years:
        ends = after_years(begins, kind.years)
    return Span(issued, begins, ends)


def complete(kind: LicenceType, elements: Mapping[str, str]) -> bool:
    """Whether every declared element has a value, but those that a rightful licence may lack
    (an adult's guardian): 完整率 counts this."""
    return all(elements.get(i.name) for i in kind.items if not i.may_lack)


def sentence(day: dt.date | None) -> str:
    """A date as licences print it: 2026年11月22日, or 长期."""
    return f"{day.year}年{day.month:02d}月{day.day:02d}日" if day else "长期"


def proofs(kind: LicenceType, elements: Mapping[str, str], today: dt.date) -> dict[str, bool]:
    """What can be shown of a person instead of a date of birth: over 16, 18, 60, 65 today."""
    number = elements.get(kind.holder_number, "")
    born = date_of(number[6:14]) if kind.for_people and len(number) == 18 else None
    if born is None:
        return {}
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return {f"age_over_{limit}": age >= limit for limit in (16, 18, 60, 65)}


PROOFS = {f"age_over_{n}": f"已满 {n} 周岁" for n in (16, 18, 60, 65)}

__all__ = [
    "ENTITY",
    "FILES",
    "GRADES",
    "HOLDERS",
    "PERSON",
    "PROOFS",
    "REMIND",
    "BadType",
    "Item",
    "LicenceType",
    "Register",
    "Span",
    "after_years",
    "cleaned",
    "complete",
    "date_of",
    "next_day",
    "numbered",
    "proofs",
    "read",
    "sentence",
    "series",
    "span",
]
