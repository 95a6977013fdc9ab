"""Matters: what evidence, disposals, needs, return flows and use records must say (art. 19 to 29)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEAST_REASON = 5
"""Characters: a reason shorter than this is none."""

EVIDENCE = {
    "summary": "发现的情况",
    "kind": "类型",
    "text": "证据说明",
    "hours": "时段",
    "calls": "调用次数",
    "keys": "查询对象数",
    "people": "涉及人数",
    "since": "起",
    "until": "止",
    "rule": "判定规则",
    "usual": "平时水平",
    "url": "相关页面",
}
"""What the usual keys of evidence are called on pages."""


def evidence_pairs(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Evidence as (name, value) for a page; lists are joined, an unknown key stands as it is."""
    out = []
    order = list(EVIDENCE)
    placed = sorted(evidence, key=lambda k: order.index(k) if k in EVIDENCE else len(order))
    for key in placed:
        value = evidence[key]
        text = "、".join(map(str, value)) if isinstance(value, list) else str(value)
        out.append((EVIDENCE.get(key, key), text))
    return out


@dataclass(frozen=True)
class Disposed:
    """How received data were disposed of: what was done, by whom, on which day, with what proof."""

    how: str
    who: str
    on: dt.date | None
    copies: str = ""
    attachment: str = ""

    def as_data(self) -> dict[str, Any]:
        """As it is kept with the case."""
        return {**asdict(self), "on": self.on.isoformat() if self.on else ""}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Disposed:
        """From a form or a programme's words; a day that is none is left out."""
        try:
            on = dt.date.fromisoformat(str(data.get("on") or ""))
        except ValueError:
            on = None
        words = {k: str(data.get(k) or "").strip() for k in ("how", "who", "copies", "attachment")}
        return cls(words["how"], words["who"], on, words["copies"], words["attachment"])


def disposal_problems(told: Disposed, today: dt.date) -> dict[str, str]:
    """What is missing in a confirmation of disposal, by field; all of it at once."""
    out: dict[str, str] = {}
    if len(told.how) < LEAST_REASON:
        out["how"] = "请写明数据的处置方式和结果（不少于 5 个字）"
    if not told.who:
        out["who"] = "请写明处置人"
    if told.on is None:
        out["on"] = "请写明处置日期"
    elif told.on > today:
        out["on"] = "处置日期不能晚于今天"
    if len(told.attachment) > 4000:
        out["attachment"] = "附件文字不超过 4000 个字"
    return out


LEAST_CLAIM = 10
"""Characters: a dispute must at least say what happened and what is asked."""


@dataclass(frozen=True)
class Need:
    """Data that a department lacks: which items, for which duty, how often, until when."""

    title: str
    items: tuple[str, ...]
    duty: str
    purpose: str
    basis: str
    cycle: str = ""
    repeated: str = ""

    def as_data(self) -> dict[str, Any]:
        """As it is kept with the case."""
        return {**asdict(self), "items": list(self.items)}


def need_problems(need: Need) -> dict[str, str]:
    """What is missing in a need, by field; all of it at once."""
    out: dict[str, str] = {}
    for name, title, least in (
        ("title", "需要的数据名称", 2),
        ("duty", "用于的事项或业务", 2),
        ("purpose", "用途", 5),
        ("basis", "职责依据", 5),
    ):
        text = getattr(need, name).strip()
        if len(text) < least:
            out[name] = f"请写明{title}（不少于 {least} 个字）"
        elif len(text) > 1000:
            out[name] = f"{title}不超过 1000 个字"
    if not need.items:
        out["items"] = "请列出需要的数据项"
    elif len(need.items) > 200:
        out["items"] = "数据项不超过 200 个"
    return out


@dataclass(frozen=True)
class Returned:
    """Data of the own area that an upper department is asked for: whose, what, which area, for what."""

    upper: str
    title: str
    items: tuple[str, ...]
    areas: tuple[str, ...]
    basis: str
    purpose: str

    def as_data(self) -> dict[str, Any]:
        """As it is kept with the case."""
        return {**asdict(self), "items": list(self.items), "areas": list(self.areas)}


def return_problems(wanted: Returned) -> dict[str, str]:
    """What is missing in a return request, by field; all of it at once."""
    out: dict[str, str] = {}
    for name, title, least in (
        ("upper", "上级部门", 2),
        ("title", "数据名称", 2),
        ("basis", "履职依据", 5),
        ("purpose", "用途", 5),
    ):
        if len(getattr(wanted, name).strip()) < least:
            out[name] = f"请写明{title}（不少于 {least} 个字）"
    if not wanted.items:
        out["items"] = "请列出需要回流的数据项"
    if not wanted.areas:
        out["areas"] = "请填写本行政区域代码，回流只限本区域的数据"
    elif wrong := [a for a in wanted.areas if not (a.isdecimal() and 2 <= len(a) <= 12)]:
        out["areas"] = f"行政区划代码应为 2 至 12 位数字：{'、'.join(wrong)}"
    return out


USE_KINDS = [
    ("scene", "使用场景"),
    ("process", "使用过程"),
    ("effect", "应用成效"),
    ("storage", "存储情况"),
    ("destruction", "销毁情况"),
]
"""What use records tell (art. 29)."""

KEEP_YEARS = 3
"""Years that use records are kept at least (art. 29)."""


def keep_until(written: dt.date, years: int) -> dt.date:
    """The last day on which a record written then must still be there; never under three years."""
    years = max(years, KEEP_YEARS)
    try:
        return written.replace(year=written.year + years)
    except ValueError:  # 29 February
        return dt.date(written.year + years, 3, 1)


def least_kept(today: dt.date) -> dt.date:
    """Records written on this day or later may not be deleted today."""
    try:
        return today.replace(year=today.year - KEEP_YEARS)
    except ValueError:
        return dt.date(today.year - KEEP_YEARS, 2, 28)
