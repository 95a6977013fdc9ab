"""Kind: what a service may do for a caller, and which operation of a grant allows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import Field

OPERATIONS = {
    "query": "按条件查询",
    "range": "按范围查询",
    "verify": "核验",
    "statistics": "统计",
    "file": "文件下载",
    "feed": "变更推送",
    "federated": "联邦查询",
}
"""What a grant may allow; the keys stand in its terms."""

KINDS = {
    "query": "查询服务",
    "verify": "核验服务",
    "statistics": "统计服务",
    "federated": "联邦查询服务",
}
DESIGNED = ("query", "verify", "statistics")
"""The kinds that a data officer makes from a dataset or library by the builder."""
VERBS = {"query": "", "verify": "verify", "statistics": "statistics", "federated": "federated"}
"""The word after the colon in a service's address."""
OF_METHOD = {"服务接口": "query", "批量交换": "feed", "文件下载": "file"}
RESERVED = frozenset({"limit", "cursor", "by", "measures"})
"""Names of parameters; a column of such a name cannot be a condition."""

SMALLEST_GROUP = 5
MOST_DIMENSIONS = 3
TRIES = 5
RESULTS = {"match": "一致", "differ": "不一致", "unknown": "查无此人"}


def operations_of(terms: Mapping[str, Any]) -> frozenset[str]:
    """The operations that a grant's terms allow; without a list, what its method says."""
    listed = terms.get("operations")
    if listed is not None:
        return frozenset(o for o in listed if o in OPERATIONS)
    return frozenset({OF_METHOD.get(str(terms.get("method") or "服务接口"), "query")})


def trial_terms(services: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a test credential allows: every field of the services under its usual mask, every operation."""
    masks: dict[str, str] = {}
    for service in services:
        listed = service["columns"]
        for column in json.loads(listed) if isinstance(listed, str) else listed:
            masks[column["name"]] = column.get("mask", "none")
    return {
        "fields": list(masks),
        "masks": {n: m for n, m in masks.items() if m != "none"},
        "operations": list(OPERATIONS),
        "purpose": "试用（模拟数据）",
    }


@dataclass(frozen=True)
class Design:
    """What a data officer decides about a service beside its fields and limits."""

    lookups: tuple[tuple[str, ...], ...] = ()
    ranges: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    least: int = 1
    tell: bool = False
    tries: int = TRIES
    by: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    group: int = SMALLEST_GROUP

    def data(self, kind: str) -> dict[str, Any]:
        """What is kept with a service of this kind."""
        if kind == "query":
            return {"ranges": list(self.ranges)}
        if kind == "verify":
            return {
                "values": list(self.values),
                "least": self.least,
                "tell": self.tell,
                "tries": self.tries,
            }
        return {"by": list(self.by), "measures": list(self.measures), "group": self.group}


def rangeable(field: Field) -> bool:
    """Whether a field has an order that people ask by: a date, a time, a number."""
    return field.type in "DT" or (field.type in "NIFB" and not field.check)


def countable(field: Field) -> bool:
    """Whether a field can be summed."""
    return field.type in "NIFB" and not field.check and not field.domain


def groupable(field: Field) -> bool:
    """Whether a field may divide people into groups: no number, name or address of theirs."""
    return field.mask == "none" and not field.check and (bool(field.domain) or field.type in "CL")


def measures_of(
    design: Mapping[str, Any], fields: Iterable[str], masks: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """A statistics service's measures under a grant: those in clear, and those that are masked.

    Masked ones are not summed: a sum is made of the very values that the grant withholds, and the
    sum of masked texts would mean nothing.
    """
    given = set(fields)
    listed = [c for c in design.get("measures", ()) if c in given]
    masked = [c for c in listed if masks.get(c, "none") != "none"]
    return [c for c in listed if c not in masked], masked


def problems(kind: str, design: Design, fields: Iterable[Field]) -> dict[str, str]:
    """What is wrong with a design, by field, in Chinese."""
    known = {f.name: f for f in fields}
    out: dict[str, str] = {}
    if kind not in KINDS:
        return {"kind": "服务类型有误"}
    if kind in ("query", "verify"):
        wanted = [c for way in design.lookups for c in way]
        if not design.lookups:
            out["lookups"] = "请至少选择一个查询条件"
        elif bad := [c for c in wanted if c not in known or c in RESERVED]:
            out["lookups"] = f"不能用作查询条件：{'、'.join(bad)}"
    if kind == "query" and (
        bad := [c for c in design.ranges if c not in known or not rangeable(known[c])]
    ):
        out["ranges"] = f"只有日期和数值可以按范围查询：{'、'.join(bad)}"
    if kind == "verify":
        if not design.values:
            out["values"] = "请至少选择一个可核验的数据项"
        elif bad := [c for c in design.values if c not in known]:
            out["values"] = f"数据项不存在：{'、'.join(bad)}"
        elif not 1 <= design.least <= len(design.values):
            out["least"] = "至少核验的项数应在 1 至可核验项数之间"
        if not 1 <= design.tries <= 100:
            out["tries"] = "同一对象每日不一致次数上限应为 1 至 100"
    if kind == "statistics":
        if not design.by:
            out["by"] = "请至少选择一个分组维度"
        elif bad := [c for c in design.by if c not in known or not groupable(known[c])]:
            out["by"] = f"不能用作分组维度（能识别个人，或不是分类）：{'、'.join(bad)}"
        elif bad := [c for c in design.by if c in RESERVED]:
            out["by"] = f"不能用作分组维度：{'、'.join(bad)}"
        if bad := [c for c in design.measures if c not in known or not countable(known[c])]:
            out["measures"] = f"只有数值可以求和：{'、'.join(bad)}"
        if not 3 <= design.group <= 1000:
            out["group"] = "最小组人数应为 3 至 1000"
    return out


def taken_away(
    kind: str,
    columns: Iterable[Mapping[str, Any]],
    lookups: Iterable[Sequence[str]],
    former: Mapping[str, Any],
    fields: Iterable[str],
    design: Design,
) -> list[str]:
    """What a service gives now and would not give as designed anew: callers rely on it."""
    lost = {c["name"] for c in columns} - set(fields)
    if kind in ("query", "verify"):
        lost |= {"+".join(way) for way in lookups if tuple(way) not in design.lookups}
    after = design.data(kind)
    for part in ("ranges", "values", "by", "measures"):
        lost |= set(former.get(part, ())) - set(after.get(part, ()))
    return sorted(lost)


def asked(listed: str, known: Sequence[str], most: int) -> list[str]:
    """A comma-separated list of known names, each once; raises ValueError with what is wrong."""
    names = [n for n in listed.split(",") if n]
    if len(set(names)) != len(names):
        raise ValueError("有重复")
    if strange := [n for n in names if n not in known]:
        raise ValueError(f"未声明 {'、'.join(strange)}")
    if len(names) > most:
        raise ValueError(f"最多 {most} 个")
    return names


__all__ = [
    "DESIGNED",
    "KINDS",
    "MOST_DIMENSIONS",
    "OPERATIONS",
    "RESERVED",
    "RESULTS",
    "SMALLEST_GROUP",
    "TRIES",
    "VERBS",
    "Design",
    "asked",
    "countable",
    "groupable",
    "measures_of",
    "operations_of",
    "problems",
    "rangeable",
    "taken_away",
    "trial_terms",
]
