"""Words: how a path's steps and a decision table read to people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lianyun.decision import Table
from lianyun.decision.table import POLICIES
from lianyun.decision.way import DECIDE, TIMER, WAIT, Step

POLICY_TITLES = {
    "U": "唯一：只能命中一条规则", "A": "任一：命中多条时结果必须相同",
    "P": "优先：取结果优先级最高的一条", "F": "首条：取最先命中的一条",
    "R": "按规则次序列出所有命中的结果", "O": "按结果优先级列出所有命中的结果",
    "C": "收集所有命中的结果", "C+": "命中结果求和", "C<": "取命中结果的最小值",
    "C>": "取命中结果的最大值", "C#": "命中的条数",
}  # fmt: skip
RESULTS = {"granted": "准予", "refused": "不予", "review": "转人工办理"}
"""What a table's `result` says, as the approval desk understands it."""
_QUOTED = re.compile(r'"([^"]*)"')
ENDS = {"published": ("已发布", "green"), "returned": ("已退回", "red")}
WAITS = ("待审核", "amber")
KINDS = {DECIDE: "决策表判定", WAIT: "等待其他系统答复", TIMER: "等待工作日届满"}
TYPES = {
    "string": "文字", "number": "数", "boolean": "是否", "date": "日期", "time": "时刻",
    "dateTime": "日期时刻", "date and time": "日期时刻", "duration": "时长",
    "dayTimeDuration": "时长", "yearMonthDuration": "年月时长",
}  # fmt: skip


_LIMITS = {"promised_days": "事项的承诺时限", "legal_days": "事项的法定时限"}


def way_of(step: Step) -> str:
    """In one line: what a step is, for how many departments, and what it decides by."""
    parts = [KINDS.get(step.kind, "人工办理")]
    if step.decide:
        own = step.decide.startswith("=")
        parts.append("按事项自己的决策表" if own else f"按 {step.decide}")
    if step.message:
        parts.append(f"消息 {step.message}")
    if step.each:
        parts.append(f"名单 {step.each} 中的每个部门同时办理")
    return "，".join(parts)


def limit_of(step: Step) -> str:
    """A step's working days as people read them."""
    parts = []
    if step.days is not None or step.days_by:
        named = _LIMITS.get(step.days_by or "")
        told = f"{step.days if step.days is not None else step.days_by} 个工作日"
        parts.append(named if named and step.days is None else told)
    elif step.clock:
        parts.append("与同一时限的环节共用")
    if step.fires is not None:
        parts.append(f"满 {step.fires} 个工作日自动继续")
    return "；".join(parts) or "不计时限"


@dataclass(frozen=True)
class Field:
    """One fact that a person may try a decision with."""

    name: str
    title: str
    type: str
    choices: tuple[str, ...] = ()


def fields_of(tables: tuple[Table, ...], inputs: Mapping[str, str]) -> tuple[Field, ...]:
    """The facts that a decision asks for, once each, titled as its columns are."""
    titles = {c.expression: (c.title, c.type, c.values) for t in tables for c in t.inputs}
    found = []
    for name, kind in inputs.items():
        title, typed, allowed = titles.get(name, (name, kind, ""))
        words = tuple(w.strip() for w in allowed.split(",")) if allowed else ()
        quoted = tuple(w.strip('"') for w in words if len(w) > 1 and w[0] == w[-1] == '"')
        choices = quoted if words and len(quoted) == len(words) else ()
        found.append(Field(name, title or name, kind or typed, choices))
    return tuple(found)


def cell_words(text: str, name: str = "") -> str:
    """A cell as people read it: texts without their quotes, what `result` says in Chinese."""
    words = _QUOTED.sub(lambda m: RESULTS.get(m[1], m[1]) if name == "result" else m[1], text)
    return {"-": "不限", "true": "是", "false": "否"}.get(words.strip(), words)


def rows_of(table: Table) -> list[dict[str, Any]]:
    """A table's rules with the title of every cell's column (phones show rows as cards)."""
    return [
        {
            "id": rule.id,
            "tests": [(cell_words(cell), column.title) for cell, column in zip(rule.tests, table.inputs, strict=True)],
            "results": [(cell_words(cell, out.name), out.title) for cell, out in zip(rule.results, table.outputs, strict=True)],
            "notes": rule.notes,
        }
        for rule in table.rules
    ]  # fmt: skip


def policy_of(table: Table) -> str:
    """A hit policy in words."""
    return f"{table.policy}　{POLICY_TITLES.get(table.policy, POLICIES.get(table.policy[:1], ''))}"


def said(value: Any) -> str:
    """An outcome as text."""
    if value is None:
        return "（没有结论）"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list):
        return "、".join(said(v) for v in value) or "（没有命中）"
    return str(value)
