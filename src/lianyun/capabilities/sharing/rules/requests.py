"""Requests: what a request must say, what may be granted, who may stop it (Order 809 art. 20–29)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

UNCONDITIONAL, CONDITIONAL, FORBIDDEN = 1, 2, 3
SHARE_TYPES = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
METHODS = ("服务接口", "批量交换", "文件下载")
OPERATIONS = {
    "query": "查询（按条件取一条或几条）",
    "range": "范围查询（分页取一批）",
    "verify": "核验（只答一致或不一致，可用不可见）",
    "statistics": "统计（只给汇总数）",
    "feed": "批量交换（随更新推送到本部门库）",
    "file": "文件下载",
    "federated": "联邦查询（不集中存放，调用时查源库）",
}
"""What a grant may allow, in the words a department uses."""

BY_METHOD = {"服务接口": ("query",), "批量交换": ("feed",), "文件下载": ("file",)}
SIGNATURES = {"none": "不要求", "required": "每次请求须签名"}
MOST_CALLS = 1_000_000
MOST_PER_SECOND = 1_000
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
    operations: tuple[str, ...] = ()
    calls_per_second: int = 10
    networks: tuple[str, ...] = ()
    signature: str = "none"

    @property
    def allowed_operations(self) -> tuple[str, ...]:
        """The operations asked for; where none is named, what the method of sharing means."""
        return self.operations or BY_METHOD.get(self.method, ())

    def as_data(self) -> dict[str, Any]:
        """As it is kept with the case."""
        data = asdict(self)
        data["until"] = self.until.isoformat()
        data["fields"], data["plain"] = list(self.fields), list(self.plain)
        data["scope"] = {k: list(v) for k, v in self.scope.items()}
        data["operations"], data["networks"] = list(self.allowed_operations), list(self.networks)
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
            operations=tuple(data.get("operations", ())),
            calls_per_second=int(data.get("calls_per_second", 10)),
            networks=tuple(data.get("networks", ())),
            signature=data.get("signature", "none"),
        )


def method_of(operations: Iterable[str]) -> str:
    """The method of sharing in the law's words (art. 22) that these operations amount to."""
    asked = set(operations)
    if asked - {"feed", "file"} or not asked:
        return METHODS[0]
    return METHODS[1] if "feed" in asked else METHODS[2]


def network_problem(text: str) -> str:
    """Why a text is no network (CIDR or one address), or nothing."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"“{text}”不是网段或地址，应如 10.1.2.0/24"
    if network.prefixlen == 0:
        return "不能填写全部网络（0.0.0.0/0）；不限制请留空"
    return ""


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
    if not 1 <= request.calls_per_second <= MOST_PER_SECOND:
        out["calls_per_second"] = f"每秒调用次数应在 1 至 {MOST_PER_SECOND:,} 之间"
    if request.operations == ("none",):
        out["operations"] = "请至少保留一种使用方式"
    elif strange := set(request.operations) - set(OPERATIONS):
        out["operations"] = f"没有这种使用方式：{'、'.join(sorted(strange))}"
    elif not request.allowed_operations:
        out["operations"] = "请至少选择一种使用方式"
    if request.signature not in SIGNATURES:
        out["signature"] = "请求签名应为不要求或须签名"
    wrong = [w for w in map(network_problem, request.networks) if w]
    if wrong:
        out["networks"] = "；".join(wrong)
    elif len(request.networks) > 50:
        out["networks"] = "网段不超过 50 个"
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
    second = min(
        asked.calls_per_second, int(allowed.get("calls_per_second") or asked.calls_per_second)
    )
    wanted = asked.allowed_operations
    operations = tuple(o for o in wanted if o in set(allowed.get("operations", wanted)))
    stricter = "required" in (asked.signature, allowed.get("signature"))
    return replace(
        asked,
        fields=fields,
        until=until,
        plain=plain,
        method=method_of(operations) if operations else asked.method,
        calls_per_day=calls,
        operations=operations or ("none",),
        calls_per_second=second,
        signature="required" if stricter else "none",
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
        "method": method_of(granted.allowed_operations),
        "operations": list(granted.allowed_operations),
        "calls_per_day": granted.calls_per_day,
        "calls_per_second": granted.calls_per_second,
        "networks": list(granted.networks),
        "signature": granted.signature,
        "disposal": disposal or "使用目的实现后删除所取得的数据，并向提供部门确认",
        "keep_records_years": 3,
    }


def renewal(terms: Mapping[str, Any], today: dt.date) -> Request:
    """A grant's terms as the beginning of a new request, a year long from the day it is filled in."""
    fields = tuple(terms.get("fields") or ())
    masks = terms.get("masks") or {}
    named: list[str] = list(terms.get("operations") or ())
    operations = tuple(named) or BY_METHOD.get(str(terms.get("method")), ())
    return Request(
        basis=terms.get("basis", ""),
        scene=terms.get("scene", ""),
        purpose=terms.get("purpose", ""),
        fields=fields,
        until=today + dt.timedelta(days=365),
        plain=tuple(f for f in fields if f not in masks),
        scope={k: tuple(v) for k, v in (terms.get("scope") or {}).items()},
        method=method_of(operations),
        calls_per_day=int(terms.get("calls_per_day") or 1000),
        operations=operations,
        calls_per_second=int(terms.get("calls_per_second") or 10),
        networks=tuple(terms.get("networks") or ()),
        signature=terms.get("signature", "none"),
    )


def answer_word(step: str, outcome: str, end: str) -> str:
    """What a step of a request tells the applicant, in a word; nothing where it tells nothing."""
    if step == "approve" and outcome == "agree":
        return "同意共享"
    return {"refused": "不同意共享", "delivered": "已开通"}.get(end, "")
