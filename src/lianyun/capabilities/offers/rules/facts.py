"""Fact: one thing that may be known of a person or a firm, declared: from which source, how it is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import expressions

PERSON, ENTITY = "person", "entity"
SUBJECTS = {PERSON: "个人", ENTITY: "企业和其他组织"}
TAKES = {"newest": "max", "first": "min", "sum": "sum", "count": "count"}
SHAPES = ("years", "years_this_year", "months", "days", "days_left")
"""What is made of a date: full years, years this calendar year, full months, days since, days left."""
SCHEMAS = ("library", "trusted")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_SOURCE = re.compile(r"(library|trusted)\.([a-z][a-z0-9_]{0,59})")
_KEYS = {
    "name", "title", "unit", "field", "of", "as", "source", "match", "take", "column", "where",
    "domain",
}  # fmt: skip


class BadFact(ValueError):
    """A declaration that cannot be used; the message says what is wrong."""


@dataclass(frozen=True)
class Fact:
    """One declared fact of a subject.

    `field`: a field of the subject's base library. `source`: rows of another table, found by
    `match` (column there → column of the base library), of which `take` makes one value. `of`: a
    date among the facts, of which `shape` makes a number.
    """

    name: str
    title: str
    unit: str = ""
    field: str = ""
    of: str = ""
    shape: str = ""
    source: str = ""
    match: tuple[tuple[str, str], ...] = ()
    take: str = ""
    column: str = ""
    where: str = ""
    domain: str = ""

    @property
    def schema(self) -> str:
        """The lake's schema of the source: library or trusted."""
        return self.source.partition(".")[0]

    @property
    def table(self) -> str:
        """The source's table: the name of a library or a dataset."""
        return self.source.partition(".")[2]


@dataclass(frozen=True)
class Sheet:
    """All facts of one kind of subject; `library` is the base library, `key` its number."""

    subject: str
    library: str
    key: str
    facts: Mapping[str, Fact]

    def wanted(self, names: Iterable[str]) -> dict[str, Fact]:
        """These facts and those they are made of; raises BadFact for an unknown one."""
        out: dict[str, Fact] = {}
        for name in sorted(set(names) - {"today"}):
            fact = self.facts.get(name)
            if fact is None:
                raise BadFact(f"没有声明“{name}”这一事实")
            if fact.of:
                out[fact.of] = self.facts[fact.of]
            out[name] = fact
        return out

    def tables(self, names: Iterable[str]) -> tuple[str, ...]:
        """The tables (`library.x`, `trusted.y`) that these facts are read from, the base first."""
        found = self.wanted(names)
        return tuple(
            dict.fromkeys(
                [f"library.{self.library}", *(f.source for f in found.values() if f.source)]
            )
        )

    @property
    def titles(self) -> dict[str, str]:
        """The facts' Chinese names; what is made of a date bears the date's."""
        return {
            f.name: f"{self.facts[f.of].title}：{f.title}" if f.of else f.title
            for f in self.facts.values()
        }


def _one(told: Mapping[str, Any]) -> Fact:
    name = str(told.get("name") or "")
    if not _NAME.fullmatch(name) or name == "today":
        raise BadFact(f"事实名称“{name}”不合规")
    if strange := sorted(set(told) - _KEYS):
        raise BadFact(f"{name}：不认识的键 {'、'.join(strange)}")
    source, of, shape = (str(told.get(k) or "") for k in ("source", "of", "as"))
    take = str(told.get("take") or ("newest" if source else ""))
    field = str(told.get("field") or ("" if source or of else name))
    column, where = str(told.get("column") or ""), str(told.get("where") or "")
    if not told.get("title"):
        raise BadFact(f"{name}：缺少 title")
    if sum(map(bool, (source, of, field))) != 1:
        raise BadFact(f"{name}：field、source、of 只能有一个")
    if of and shape not in SHAPES:
        raise BadFact(f"{name}：as 应为 {'、'.join(SHAPES)} 之一")
    if source:
        if not _SOURCE.fullmatch(source):
            raise BadFact(f"{name}：source 应写作 library.库名 或 trusted.数据集")
        if take not in TAKES:
            raise BadFact(f"{name}：take 应为 {'、'.join(TAKES)} 之一")
        if take != "count" and not column:
            raise BadFact(f"{name}：要写 column")
        if not told.get("match"):
            raise BadFact(f"{name}：要写 match")
    if where:
        expressions.names_in(where)
    return Fact(
        name, str(told["title"]), str(told.get("unit") or ""), field, of, shape, source,
        tuple((str(a), str(b)) for a, b in dict(told.get("match") or {}).items()),
        take, column, where, str(told.get("domain") or ""),
    )  # fmt: skip


def sheets(declared: Iterable[Mapping[str, Any]]) -> dict[str, Sheet]:
    """All declared facts by subject, of every pack's `facts/*.yaml`; raises BadFact.

    One file of a subject names its `library` and `key`; the others only add facts.
    """
    base: dict[str, tuple[str, str]] = {}
    found: dict[str, dict[str, Fact]] = {PERSON: {}, ENTITY: {}}
    for one in declared:
        subject = str(one.get("subject") or "")
        if subject not in found:
            raise BadFact(f"subject 应为 person 或 entity，不是“{subject}”")
        if one.get("library"):
            base[subject] = (str(one["library"]), str(one["key"]))
        for told in one.get("facts") or ():
            fact = _one(told)
            if fact.name in found[subject]:
                raise BadFact(f"事实“{fact.name}”声明了两次")
            found[subject][fact.name] = fact
    for subject, facts in found.items():
        for fact in facts.values():
            if fact.of and (fact.of not in facts or facts[fact.of].of):
                raise BadFact(f"{fact.name}：of 应是一个日期类事实")
        if facts and subject not in base:
            raise BadFact(f"{SUBJECTS[subject]}的事实没有写明基础库")
    return {s: Sheet(s, *base[s], facts) for s, facts in found.items() if s in base}


__all__ = ["ENTITY", "PERSON", "SHAPES", "SUBJECTS", "TAKES", "BadFact", "Fact", "Sheet", "sheets"]
