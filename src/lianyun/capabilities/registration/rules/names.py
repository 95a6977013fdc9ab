"""Rule: what a firm may be called, which names are too near, how its credit code is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_MARKS = re.compile(r"[\s（）()·.\-—_、，,]+")
BAD, NEAR, GOOD = "bad", "near", "good"
VERDICTS = {
    BAD: ("不能使用", "red"),
    NEAR: ("与已有名称相近，登记机关可能不予登记", "amber"),
    GOOD: ("没有发现问题", "green"),
}


@dataclass(frozen=True)
class Words:
    """What a city declares of names: forms, divisions, words of trades, words that may not stand."""

    forms: tuple[str, ...]
    divisions: tuple[str, ...]
    trades: tuple[str, ...]
    forbidden: tuple[tuple[str, str], ...]
    reserved: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Words:
        """As packs/legal_entity/names.yaml declares them; longest first."""

        def listed(key: str) -> tuple[str, ...]:
            return tuple(sorted(map(str, told.get(key) or ()), key=len, reverse=True))

        def reasons(key: str) -> tuple[tuple[str, str], ...]:
            return tuple(
                (str(word), str(entry["why"]))
                for entry in told.get(key) or ()
                for word in entry["words"]
            )

        return cls(
            listed("forms"), listed("divisions"), listed("trades"), reasons("forbidden"),
            reasons("reserved"),
        )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What was found of a name: the worst of it, the reasons, and the names it comes near to."""

    level: str
    reasons: tuple[str, ...] = ()
    near: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, str]:
        """The verdict in words, and its tone."""
        return VERDICTS[self.level]


def plain(name: str) -> str:
    """A name without marks and spaces."""
    return _MARKS.sub("", name).upper()


def core(name: str, words: Words) -> str:
    """The 字号 of a name: without division, trade and form of organisation."""
    left = plain(name)
    for form in words.forms:
        if left.endswith(form) and len(left) > len(form):
            left = left[: -len(form)]
            break
    for division in words.divisions:
        if left.startswith(division) and len(left) > len(division):
            left = left[len(division) :]
            break
    changed = True
    while changed:
        changed = False
        for trade in words.trades:
            if left.endswith(trade) and len(left) - len(trade) >= 2:
                left, changed = left[: -len(trade)], True
                break
    return left


def faults(name: str, words: Words) -> list[str]:
    """Why a name may not stand by itself (企业名称登记管理规定 art. 6, 11)."""
    bare, out = plain(name), []
    if not 4 <= len(bare) <= 60:
        out.append("名称应为 4 至 60 个字")
    if re.search(r"[^\u4e00-\u9fff0-9A-Z]", bare):
        out.append("名称应使用规范汉字")
    if re.search(r"[A-Z]{2,}|\d{3,}", bare):
        out.append("名称不能使用汉语拼音字母和阿拉伯数字作字号")
    if not any(bare.endswith(form) for form in words.forms):
        out.append("名称应以组织形式结尾，如“有限公司”")
    if len(core(name, words)) < 2:
        out.append("字号应由两个以上汉字组成")
    out += [f"含有“{word}”：{why}" for word, why in words.forbidden if word in bare]
    out += [f"含有“{word}”：{why}" for word, why in words.reserved if word in core(name, words)]
    return out


def apart(one: str, other: str, most: int = 1) -> int:
    """The edit distance of two short texts, at most `most` + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before = list(range(len(other) + 1))
    for at, left in enumerate(one, 1):
        now = [at]
        for place, right in enumerate(other, 1):
            now.append(min(before[place] + 1, now[-1] + 1, before[place - 1] + (left != right)))
        before = now
    return min(before[-1], most + 1)


def judge(name: str, known: Iterable[str], words: Words) -> Verdict:
    """A name held against the rules and against the names that are registered already."""
    wrong, bare, mine = faults(name, words), plain(name), core(name, words)
    near = []
    for other in known:
        if plain(other) == bare:
            wrong.append(f"“{other}”已经登记")
            continue
        theirs = core(other, words)
        if theirs == mine or (len(mine) >= 3 and apart(mine, theirs) <= 1):
            near.append(other)
    near = sorted(set(near))[:20]
    if wrong:
        return Verdict(BAD, tuple(dict.fromkeys(wrong)), tuple(near))
    return Verdict(NEAR if near else GOOD, (), tuple(near))


def organisation_check(body: str) -> str:
    """The check character of an organisation code's first eight (GB 11714-1997)."""
    total = sum(w * _DIGITS.index(c) for w, c in zip(_WEIGHTS, body, strict=True))
    left = 11 - total % 11
    return {10: "X", 11: "0"}.get(left, str(left))


def body_of(region: str, number: int) -> str:
    """The first seventeen characters of a credit code (GB 32100-2015) for the n-th firm of a region.

    9 (市场监管) 1 (企业), the region's six digits, and an organisation code beginning with MA.
    """
    text, value = "", number
    for _ in range(6):
        value, digit = divmod(value, len(_CODE))
        text = _CODE[digit] + text
    organisation = f"MA{text}"
    return f"91{region}{organisation}{organisation_check(organisation)}"
