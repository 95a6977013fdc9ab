"""Drawing: how a federated service is put together from tables; pure checks, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NAME = re.compile(r"[a-z][a-z0-9_]{2,40}")
MOST_TABLES = 4
LONGEST_SECONDS = 20
FORBIDDEN = 3
"""Share type 3: not to be shared (政务数据共享条例 art. 14)."""


@dataclass(frozen=True)
class Column:
    """A column of a table as the catalogue knows it: its item's name and title, and where it lies."""

    name: str
    title: str
    column: str
    check: str = ""
    element: str = ""
    type: str = "C"
    key: bool = False
    personal: bool = False
    mask: str = "none"

    @property
    def rangeable(self) -> bool:
        """Whether people ask for spans of it: a date or a time."""
        return self.type in "DT"

    @property
    def identity(self) -> bool:
        """Whether it tells who or what a row speaks of."""
        return self.key or self.check in ("citizen_number", "credit_code")


@dataclass(frozen=True)
class Chosen:
    """One table of a drawing: which of its fields are given, and how it meets the first table."""

    ref: str
    fields: tuple[str, ...]
    key: str = ""
    on: str = ""
    optional: bool = True


@dataclass(frozen=True)
class Drawing:
    """A federated service as an officer draws it up."""

    name: str
    title: str
    summary: str
    tables: tuple[Chosen, ...]
    lookups: tuple[str, ...]
    ranges: tuple[str, ...] = ()
    seconds: int = 5
    calls_per_day: int = 0
    calls_per_second: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)


def problems(drawing: Drawing, known: Mapping[str, Sequence[Column]]) -> dict[str, str]:
    """What is wrong with a drawing, by field, in Chinese; `known` are the columns of each table."""
    out: dict[str, str] = {}
    if not NAME.fullmatch(drawing.name):
        out["name"] = "标识只能用小写字母、数字和下划线，以字母开头，3 至 41 位"
    if not drawing.title.strip():
        out["title"] = "请填写名称"
    if len(drawing.summary.strip()) < 10:
        out["summary"] = "请用至少 10 个字说明这个服务提供什么"
    if not 1 <= len(drawing.tables) <= MOST_TABLES:
        out["tables"] = f"请选择 1 至 {MOST_TABLES} 个表"
        return out
    if len({t.ref for t in drawing.tables}) != len(drawing.tables):
        out["tables"] = "同一个表只能选一次"
    names = [{c.name: c for c in known.get(t.ref, ())} for t in drawing.tables]
    for number, (table, columns) in enumerate(zip(drawing.tables, names, strict=True)):
        if strange := [f for f in table.fields if f not in columns]:
            out[f"fields_{number}"] = f"该表没有这些数据项：{'、'.join(strange)}"
        elif not table.fields:
            out[f"fields_{number}"] = "请至少选择一个数据项"
        if number and (table.key not in columns or table.on not in names[0]):
            out[f"key_{number}"] = "请选择与主表关联的数据项"
    first = names[0]
    if not drawing.lookups:
        out["lookups"] = "请至少选择一个查询条件"
    elif [c for c in drawing.lookups if c not in first]:
        out["lookups"] = "查询条件只能是主表的数据项"
    if [c for c in drawing.ranges if c not in first or not first[c].rangeable]:
        out["ranges"] = "只有主表的日期可以按范围查询"
    if not 1 <= drawing.seconds <= LONGEST_SECONDS:
        out["seconds"] = f"等待时间应为 1 至 {LONGEST_SECONDS} 秒"
    return out


def outputs(
    drawing: Drawing, known: Mapping[str, Sequence[Column]]
) -> dict[str, tuple[int, str, str]]:
    """Every column of the answer: its name → (table's number, item there, column there).

    Where two tables have an item of the same name, the later one gets its table's number behind.
    The conditions are always among them.
    """
    out: dict[str, tuple[int, str, str]] = {}
    for number, table in enumerate(drawing.tables):
        columns = {c.name: c for c in known[table.ref]}
        wanted = list(dict.fromkeys(table.fields))
        if number == 0:
            wanted = list(dict.fromkeys([*drawing.lookups, *wanted, *drawing.ranges]))
        for name in wanted:
            shown = name if name not in out else f"{name}_{number + 1}"
            out[shown] = (number, name, columns[name].column)
    return out


def asked_of(drawing: Drawing, number: int) -> list[str]:
    """The items that a drawing asks of one of its tables: those given, and those it is met or found by."""
    table = drawing.tables[number]
    if number:
        return list(dict.fromkeys([*table.fields, table.key]))
    met = [other.on for other in drawing.tables[1:]]
    return list(dict.fromkeys([*drawing.lookups, *table.fields, *drawing.ranges, *met]))


def partner(columns: Sequence[Column], others: Sequence[Column]) -> tuple[str, str]:
    """The most likely pair of columns on which two tables meet: (here, there); "" where none."""
    for same in ("check", "element"):
        for here in columns:
            for there in others:
                value = getattr(here, same)
                if value and value == getattr(there, same) and (here.identity or there.identity):
                    return here.name, there.name
    return "", ""
