"""Rules of sharing: what a request must say, what may be granted, who may stop it (Order 809 art. 20–29)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

UNCONDITIONAL, CONDITIONAL, FORBIDDEN = 1, 2, 3
SHARE_TYPES = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
METHODS = ("服务接口", "批量交换", "文件下载")
MOST_CALLS = 1_000_000
LONGEST_YEARS = 5
MOST_EXTENSION_DAYS = 10
"""Working days, by article 21."""

ANSWER_STEPS = ("answer_unconditional", "answer_conditional", "approve", "approve_refusal")


@dataclass(frozen=True)
class Request:
    """What a department asks for: legal basis, scene, scope, method, time (art. 20)."""

    basis: str
    scene: str
    purpose: str
    fields: tuple[str, ...]
    until: dt.date
    plain: tuple[str, ...] = ()
    plain_reason: str = ""
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    method: str = METHODS[0]
    calls_per_day: int = 1000

    def as_data(self) -> dict[str, Any]:
        """As it is kept with the case."""
        data = asdict(self)
        data["until"] = self.until.isoformat()
        data["fields"], data["plain"] = list(self.fields), list(self.plain)
        data["scope"] = {k: list(v) for k, v in self.scope.items()}
        return data

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Request:
        """Back from what was kept."""
        return cls(
            basis=data.get("basis", ""),
            scene=data.get("scene", ""),
            purpose=data.get("purpose", ""),
            fields=tuple(data.get("fields", ())),
            until=dt.date.fromisoformat(data["until"]),
            plain=tuple(data.get("plain", ())),
            plain_reason=data.get("plain_reason", ""),
            scope={k: tuple(v) for k, v in (data.get("scope") or {}).items()},
            method=data.get("method", METHODS[0]),
            calls_per_day=int(data.get("calls_per_day", 0)),
        )


def problems(request: Request, known: Iterable[str], today: dt.date) -> dict[str, str]:
    """What is wrong with a request, by field, in Chinese; all of it at once."""
    names = set(known)
    out: dict[str, str] = {}
    for name, title, least in (
        ("basis", "使用依据", 5),
        ("scene", "使用场景", 5),
        ("purpose", "用途", 2),
    ):
        text = getattr(request, name).strip()
        if len(text) < least:
            out[name] = f"请写明{title}（不少于 {least} 个字）"
        elif len(text) > 1000:
            out[name] = f"{title}不超过 1000 个字"
    if not request.fields:
        out["fields"] = "请至少选择一个数据项"
    elif strange := set(request.fields) - names:
        out["fields"] = f"数据项不存在：{'、'.join(sorted(strange))}"
    if set(request.plain) - set(request.fields):
        out["plain"] = "明文使用的数据项必须在所选数据项之内"
    elif request.plain and len(request.plain_reason.strip()) < 5:
        out["plain_reason"] = "要求不脱敏时必须说明理由"
    if strange := set(request.scope) - names:
        out["scope"] = f"限定范围的数据项不存在：{'、'.join(sorted(strange))}"
    elif any(not values for values in request.scope.values()):
        out["scope"] = "限定范围须写明取值"
    if request.method not in METHODS:
        out["method"] = "共享方式应为服务接口、批量交换或文件下载"
    if request.until <= today:
        out["until"] = "使用时限必须晚于今天"
    elif request.until > today.replace(year=today.year + LONGEST_YEARS, day=min(today.day, 28)):
        out["until"] = f"使用时限最长 {LONGEST_YEARS} 年，到期可以再申请"
    if not 1 <= request.calls_per_day <= MOST_CALLS:
        out["calls_per_day"] = f"每日调用次数应在 1 至 {MOST_CALLS:,} 之间"
    return out


def share_of(terms: Mapping[str, Any]) -> Mapping[str, Any]:
    """The share part of a resource's terms, however the catalogue nests it."""
    inner = terms.get("share")
    return inner if isinstance(inner, Mapping) else terms


def share_type(terms: Mapping[str, Any]) -> int:
    """1 unconditional, 2 conditional, 3 not shared; what says nothing is conditional."""
    share = share_of(terms)
    value = share.get("type") or share.get("share_type") or CONDITIONAL
    return int(value)


def narrowed(asked: Request, allowed: Mapping[str, Any]) -> Request:
    """The request as the provider would grant it: never wider than what was asked."""
    fields = tuple(f for f in asked.fields if f in set(allowed.get("fields", asked.fields)))
    plain = tuple(
        f for f in asked.plain if f in fields and f in set(allowed.get("plain", asked.plain))
    )
    until = asked.until
    if allowed.get("until"):
        until = min(until, dt.date.fromisoformat(allowed["until"]))
    calls = min(asked.calls_per_day, int(allowed.get("calls_per_day") or asked.calls_per_day))
    return Request(
        basis=asked.basis,
        scene=asked.scene,
        purpose=asked.purpose,
        fields=fields,
        until=until,
        plain=plain,
        plain_reason=asked.plain_reason,
        scope=asked.scope,
        method=asked.method,
        calls_per_day=calls,
    )


def grant_terms(granted: Request, masks: Mapping[str, str], disposal: str) -> dict[str, Any]:
    """The terms of the grant: fields, masks, scope, purpose, calls per day, duties."""
    return {
        "fields": list(granted.fields),
        "masks": {n: m for n, m in masks.items() if n in granted.fields},
        "scope": {k: list(v) for k, v in granted.scope.items()},
        "purpose": granted.purpose,
        "scene": granted.scene,
        "basis": granted.basis,
        "method": granted.method,
        "calls_per_day": granted.calls_per_day,
        "disposal": disposal or "使用目的实现后删除所取得的数据，并向提供部门确认",
        "keep_records_years": 3,
    }


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
    for key, value in evidence.items():
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
