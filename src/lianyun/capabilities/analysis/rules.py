"""Rules: a guided question becomes SQL, tables suggest how to join, an answer suggests a chart; no I/O."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

SHARING = {"own": "仅自己", "department": "本部门", "city": "全市"}
OPS = {
    "eq": "等于",
    "ne": "不等于",
    "gt": "大于",
    "ge": "大于等于",
    "lt": "小于",
    "le": "小于等于",
    "contains": "包含",
    "starts": "开头是",
    "in": "是其中之一",
    "empty": "为空",
    "filled": "不为空",
}
_TEXT_OPS = ("eq", "ne", "contains", "starts", "in", "empty", "filled")
_ORDER_OPS = ("eq", "ne", "gt", "ge", "lt", "le", "in", "empty", "filled")
_SIGNS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
MEASURES = {
    "count": "行数",
    "people": "人数",
    "distinct": "不同值个数",
    "sum": "合计",
    "avg": "平均",
    "min": "最小",
    "max": "最大",
}
BUCKETS = {"": "原值", "year": "按年", "quarter": "按季度", "month": "按月", "day": "按日"}
_BUCKET_SQL = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}
CHARTS = {"bar": "柱状图", "bars": "条形图", "line": "折线图", "donut": "环形图"}
MOST_JOINS = 3
MOST_PARTS = 12
MOST_POINTS = 60
"""Most bars or points that a chart draws."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class BadSpec(ValueError):
    """A guided question that cannot be asked; the message is for the officer."""


@dataclass(frozen=True)
class FieldInfo:
    """A column as the asker sees it: kind is text | number | date | time | bool."""

    name: str
    title: str
    kind: str = "text"
    element: str = ""
    masked: bool = False
    link: bool = False


@dataclass(frozen=True)
class TableInfo:
    """A dataset or library that the asker may read, as the builder offers it."""

    name: str
    title: str
    owner: str
    fields: tuple[FieldInfo, ...]
    personal: bool = False
    guarded: bool = False

    def field(self, name: str) -> FieldInfo | None:
        """The column with this name."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True)
class Suggestion:
    """A way to join another table: its column and ours hold the same data element."""

    table: str
    title: str
    left: str
    right: str
    words: str

    @property
    def value(self) -> str:
        """What the form sends."""
        return f"{self.table}|{self.left}|{self.right}"


def kind_of(letter: str) -> str:
    """The kind of a column from its catalogue type (C N Y D T L M G B I F)."""
    if letter in ("N", "Y", "I", "B", "F"):
        return "number"
    return {"D": "date", "T": "time", "L": "bool"}.get(letter, "text")


_POOR = {"name", "person_name", "sex", "update_time", "nationality", "phone", "address"}
"""Elements that many tables share and that still tell nothing of which rows belong together."""
_GOOD = ("citizen_number", "credit_code", "household_number")


def suggestions(
    tables: Mapping[str, TableInfo], chosen: Sequence[tuple[str, str]]
) -> list[Suggestion]:
    """How other tables may be joined to the chosen ones ((alias, name) pairs), the surest first.

    Columns of the same data element match; masked ones match by their link, and only if both sides
    are masked: a masked number equals no plain one.
    """
    out: list[tuple[int, Suggestion]] = []
    taken = {name for _, name in chosen}
    for alias, name in chosen:
        mine = tables[name]
        for other in tables.values():
            if other.name in taken:
                continue
            for a in mine.fields:
                for b in other.fields:
                    if not a.element or a.element != b.element or a.element in _POOR:
                        continue
                    if a.masked != b.masked or (a.masked and not (a.link and b.link)):
                        continue
                    if a.kind not in ("text", "number") or a.kind != b.kind:
                        continue
                    end = "_link" if a.masked else ""
                    rank = _GOOD.index(a.element) if a.element in _GOOD else len(_GOOD)
                    out.append(
                        (
                            rank,
                            Suggestion(
                                other.name,
                                other.title,
                                f"{alias}.{a.name}{end}",
                                f"{b.name}{end}",
                                f"{mine.title}的{a.title} = {other.title}的{b.title}",
                            ),
                        )
                    )
    out.sort(key=lambda pair: (pair[0], pair[1].title))
    return [s for _, s in out]


# ---- from spec to SQL --------------------------------------------------------------------


def quoted(name: str) -> str:
    """An identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''").replace("\x00", "") + "'"


@dataclass
class Built:
    """A guided question as SQL, with what its chart shows by itself."""

    sql: str
    labels: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


class _Builder:
    """One compilation of a spec: knows the aliases and gives each result column a free name."""

    def __init__(self, tables: Mapping[str, TableInfo], spec: Mapping[str, Any]) -> None:
        self.tables, self.spec = tables, spec
        self.aliases: dict[str, TableInfo] = {}
        self.names: set[str] = set()

    def table(self, name: str) -> TableInfo:
        found = self.tables.get(name)
        if found is None:
            raise BadSpec(f"没有权限读取“{name}”，或它还没有数据")
        return found

    def column(self, path: str) -> tuple[str, FieldInfo]:
        """`a.town` as SQL and its field; raises BadSpec."""
        alias, _, name = str(path).partition(".")
        table = self.aliases.get(alias)
        found = table.field(name) if table else None
        if found is None:
            raise BadSpec(f"没有数据项“{path}”")
        return f"{alias}.{quoted(name)}", found

    def link(self, path: str) -> str:
        """`a.citizen_number_link` (or a plain column) of a join as SQL; raises BadSpec."""
        alias, _, name = str(path).partition(".")
        table = self.aliases.get(alias)
        own = table.field(name) if table else None
        masked = table.field(name.removesuffix("_link")) if table else None
        if own is None and not (name.endswith("_link") and masked is not None and masked.link):
            raise BadSpec(f"没有可关联的数据项“{path}”")
        if own is not None and own.masked:
            raise BadSpec(f"“{own.title}”已脱敏，不能直接关联")
        return f"{alias}.{quoted(name)}"

    def called(self, wanted: str) -> str:
        """A name for a result column that no other has."""
        name, number = wanted, 1
        while name in self.names:
            number += 1
            name = f"{wanted}{number}"
        self.names.add(name)
        return quoted(name)

    def title(self, path: str, found: FieldInfo) -> str:
        alias = str(path).partition(".")[0]
        return (
            found.title if len(self.aliases) == 1 else f"{self.aliases[alias].title}·{found.title}"
        )

    def sources(self) -> str:
        base = self.table(str(self.spec.get("base") or ""))
        self.aliases["a"] = base
        parts = [f"FROM {quoted(base.name)} AS a"]
        joins = list(self.spec.get("joins") or ())
        if len(joins) > MOST_JOINS:
            raise BadSpec(f"最多关联 {MOST_JOINS} 个数据集")
        for number, join in enumerate(joins):
            alias = "bcd"[number]
            other = self.table(str(join.get("table") or ""))
            self.aliases[alias] = other
            left, right = self.link(join.get("left", "")), self.link(f"{alias}.{join.get('right')}")
            kind = "LEFT JOIN" if join.get("kind") == "left" else "JOIN"
            parts.append(f"{kind} {quoted(other.name)} AS {alias} ON {left} = {right}")
        return "\n".join(parts)

    def literal(self, found: FieldInfo, value: str) -> str:
        value = value.strip()
        if found.kind == "number":
            try:
                number = Decimal(value)
            except InvalidOperation as error:
                raise BadSpec(f"“{found.title}”要与数字比较，“{value}”不是数字") from error
            if not number.is_finite() or len(value) > 40:
                raise BadSpec(f"“{found.title}”要与数字比较，“{value[:40]}”不是数字")
            return format(number, "f")
        if found.kind in ("date", "time"):
            try:
                return f"DATE '{dt.date.fromisoformat(value[:10]).isoformat()}'"
            except ValueError as error:
                raise BadSpec(f"“{found.title}”要与日期比较，日期应如 2026-11-22") from error
        if found.kind == "bool":
            return "true" if value in ("1", "是", "true") else "false"
        return text(value)

    def condition(self, told: Mapping[str, Any]) -> str:
        sql, found = self.column(told.get("column", ""))
        op, value = str(told.get("op") or ""), str(told.get("value") or "")
        if op not in ops_of(found):
            raise BadSpec(f"“{found.title}”不能用这种条件")
        if op == "empty":
            return f"{sql} IS NULL"
        if op == "filled":
            return f"{sql} IS NOT NULL"
        if not value.strip():
            raise BadSpec(f"请填写“{found.title}”的比较值")
        if op == "in":
            listed = [v for v in re.split(r"[,，、;；\s]+", value) if v][:200]
            return f"{sql} IN ({', '.join(self.literal(found, v) for v in listed)})"
        if op == "contains":
            return f"contains({sql}, {text(value.strip())})"
        if op == "starts":
            return f"starts_with({sql}, {text(value.strip())})"
        return f"{sql} {_SIGNS[op]} {self.literal(found, value)}"

    def group(self, told: Mapping[str, Any]) -> tuple[str, str]:
        sql, found = self.column(told.get("column", ""))
        if found.masked:
            raise BadSpec(f"“{found.title}”已脱敏，不能用来分组")
        bucket = str(told.get("by") or "")
        title = self.title(told["column"], found)
        if not bucket:
            return sql, self.called(title)
        if found.kind not in ("date", "time") or bucket not in BUCKETS:
            raise BadSpec(f"“{found.title}”不是日期，不能{BUCKETS.get(bucket, '这样分组')}")
        if bucket == "quarter":
            made = f"strftime({sql}, '%Y') || 'Q' || CAST(quarter({sql}) AS VARCHAR)"
        else:
            made = f"strftime({sql}, '{_BUCKET_SQL[bucket]}')"
        return made, self.called(f"{title}（{BUCKETS[bucket][1:]}）")

    def measure(self, told: Mapping[str, Any]) -> tuple[str, str]:
        fn = str(told.get("fn") or "count")
        if fn not in MEASURES:
            raise BadSpec("没有这种统计方式")
        if fn == "count":
            return "count(*)", self.called("行数")
        if fn == "people":
            for alias, table in self.aliases.items():
                for f in table.fields:
                    if f.element == "citizen_number" and (f.link or not f.masked):
                        column = f"{f.name}_link" if f.link else f.name
                        return f"count(DISTINCT {alias}.{quoted(column)})", self.called("人数")
            raise BadSpec("所选数据没有公民身份号码，不能统计人数")
        sql, found = self.column(told.get("column", ""))
        if found.masked and fn != "distinct":
            raise BadSpec(f"“{found.title}”已脱敏，不能这样统计")
        if fn in ("sum", "avg") and found.kind != "number":
            raise BadSpec(f"“{found.title}”不是数值，不能求{MEASURES[fn]}")
        title = f"{self.title(told['column'], found)}{MEASURES[fn]}"
        if fn == "distinct":
            return f"count(DISTINCT {sql})", self.called(title)
        made = f"{fn}({sql})"
        return (f"round({made}, 2)" if fn == "avg" else made), self.called(title)

    def build(self) -> Built:
        sources = self.sources()
        for part in ("filters", "groups", "measures", "columns"):
            if len(self.spec.get(part) or ()) > (200 if part == "columns" else MOST_PARTS):
                raise BadSpec("条件太多，请简化")
        where = [self.condition(f) for f in self.spec.get("filters") or ()]
        groups = [self.group(g) for g in self.spec.get("groups") or ()]
        measures = [self.measure(m) for m in self.spec.get("measures") or ()]
        if groups and not measures:
            measures = [self.measure({"fn": "count"})]
        built = Built("")
        if groups or measures:
            listed = [*groups, *measures]
            built.labels = [n.strip('"') for _, n in groups]
            built.values = [n.strip('"') for _, n in measures]
        else:
            columns = list(self.spec.get("columns") or ()) or [
                f"{alias}.{f.name}" for alias, t in self.aliases.items() for f in t.fields[:8]
            ]
            listed = []
            for path in columns:
                sql, found = self.column(path)
                listed.append((sql, self.called(self.title(path, found))))
        lines = ["SELECT " + ",\n       ".join(f"{sql} AS {name}" for sql, name in listed), sources]
        if where:
            lines.append("WHERE " + "\n  AND ".join(where))
        if groups:
            lines.append("GROUP BY " + ", ".join(str(i) for i in range(1, len(groups) + 1)))
        if groups:
            dated = bool((self.spec.get("groups") or [{}])[0].get("by"))
            lines.append(f"ORDER BY {1 if dated else f'{len(groups) + 1} DESC'}")
        built.sql = "\n".join(lines)
        return built


def ops_of(found: FieldInfo) -> tuple[str, ...]:
    """The conditions that a column may be put under; a masked one only says whether it is there."""
    if found.masked:
        return ("empty", "filled")
    return _TEXT_OPS if found.kind in ("text", "bool") else _ORDER_OPS


def build(tables: Mapping[str, TableInfo], spec: Mapping[str, Any]) -> Built:
    """The SQL of a guided question over what the asker may read; raises BadSpec."""
    return _Builder(tables, spec).build()


# ---- a form's fields to a spec -----------------------------------------------------------


def spec_of(values: Mapping[str, str], many: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A spec from what the builder's form sent; rows without a column are left out."""

    def rows(prefix: str, *names: str) -> list[dict[str, str]]:
        found = []
        for at in range(MOST_PARTS + 1):
            row = {n: str(values.get(f"{prefix}-{at}-{n}") or "") for n in names}
            if row[names[0]]:
                found.append(row)
        return found

    joins = []
    for at in range(MOST_JOINS + 1):
        parts = str(values.get(f"j-{at}-how") or "").split("|")
        if len(parts) == 3:
            joins.append(
                {
                    "table": parts[0],
                    "left": parts[1],
                    "right": parts[2],
                    "kind": "left" if values.get(f"j-{at}-kind") == "left" else "inner",
                }
            )
    return {
        "base": str(values.get("base") or ""),
        "joins": joins,
        "filters": rows("f", "column", "op", "value"),
        "groups": rows("g", "column", "by"),
        "measures": rows("m", "fn", "column"),
        "columns": [str(c) for c in many.get("columns", ())],
    }


def pruned(spec: Mapping[str, Any], tables: Mapping[str, TableInfo]) -> dict[str, Any]:
    """The spec without what no longer fits its tables (after another dataset was chosen)."""
    base = str(spec.get("base") or "")
    if base not in tables:
        return {
            **spec,
            "base": "",
            "joins": [],
            "filters": [],
            "groups": [],
            "measures": [],
            "columns": [],
        }
    aliases = {"a": tables[base]}
    joins: list[dict[str, Any]] = []
    for join in spec.get("joins") or ():
        if join["table"] in tables and len(joins) < MOST_JOINS and join["left"][:1] in aliases:
            aliases["bcd"[len(joins)]] = tables[join["table"]]
            joins.append(join)

    def there(path: str) -> bool:
        alias, _, name = path.partition(".")
        return alias in aliases and aliases[alias].field(name) is not None

    return {
        **spec,
        "joins": joins,
        "filters": [f for f in spec.get("filters") or () if there(f["column"])],
        "groups": [g for g in spec.get("groups") or () if there(g["column"])],
        "measures": [
            m
            for m in spec.get("measures") or ()
            if m["fn"] in ("count", "people") or there(m["column"])
        ],
        "columns": [c for c in spec.get("columns") or () if there(c)],
    }


_PARTS = {"f": "filters", "g": "groups", "m": "measures", "j": "joins"}


def drop(spec: dict[str, Any], do: str) -> None:
    """Take a row out of a spec where the form's button says so: `drop-f-0`."""
    found = re.fullmatch(r"drop-([fgmj])-(\d{1,2})", do)
    if found:
        rows = spec[_PARTS[found[1]]]
        if int(found[2]) < len(rows):
            del rows[int(found[2])]


# ---- a chart for an answer ---------------------------------------------------------------


def chart_of(
    names: Sequence[str], kinds: Mapping[str, str], asked: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Which columns a chart shows: {kind, label, values}; None where no column is a number.

    `kinds` maps a column to number or text; `asked` is what the reader chose, as far as it fits.
    """
    numbers = [n for n in names if kinds.get(n) == "number"]
    texts = [n for n in names if n not in numbers] or list(names[:1])
    if not numbers or not texts or len(names) < 2:
        return None
    label = asked.get("label") if asked.get("label") in names else texts[0]
    numbers = [n for n in numbers if n != label] or numbers
    wanted = [v for v in asked.get("values") or () if v in numbers]
    dated = bool(re.search(r"（(年|月|日|季度)）$|日期|时间", str(label)))
    kind = asked.get("kind") if asked.get("kind") in CHARTS else ("line" if dated else "bar")
    return {"kind": kind, "label": label, "values": wanted or numbers[:3]}


def fingerprint(parts: Iterable[Any]) -> str:
    """A short text that changes with any of the parts: the rights under which an answer was made."""
    import hashlib
    import json

    body = json.dumps(list(parts), ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()[:32]
