"""Rule: what messages say, what a late or contrary one may still do, when a system has been silent too long."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

PROTOCOL = "lianyun-relay-1"
MESSAGE = "relay"
"""The message for which a path waits (`wait: {message: relay}`)."""

# What we send.
HANDED, SUPPLEMENTED, CLOSED, TEST = "case.handed", "case.supplemented", "case.closed", "test"
LETTERS = {
    HANDED: "转办申请",
    SUPPLEMENTED: "送达申请人的补正",
    CLOSED: "告知不再需要办理",
}

# What we take.
PROGRESS, SUPPLEMENT, SUSPENDED, RESUMED, RESULT = (
    "progress", "supplement", "suspended", "resumed", "result",
)  # fmt: skip
KINDS = {
    PROGRESS: "办理进展",
    SUPPLEMENT: "一次告知补正",
    SUSPENDED: "中止计时",
    RESUMED: "恢复计时",
    RESULT: "办理结果",
}
GRANTED, REFUSED, BACK = "granted", "refused", "back"
OUTCOMES = {GRANTED: "准予", REFUSED: "不予"}
ENDS = {
    **OUTCOMES,
    BACK: "转由审批台办理",
    "withdrawn": "申请已撤回",
    "settled": "由工作人员登记结果",
}

# What became of a message.
TAKEN, LATE, CONFLICT, STUCK = "taken", "late", "conflict", "stuck"
EFFECTS = {
    TAKEN: ("已采用", "green"),
    LATE: ("迟到，留存备查", "grey"),
    CONFLICT: ("与已有结果不一致", "red"),
    STUCK: ("未能执行", "red"),
}
ATTEMPTS = 8
"""So many refusals that may pass before a letter is a dead one; nobody being there never makes it one."""
MOST_BODY = 1024 * 1024
MOST_ITEMS = 30
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

ERRORS = {
    "unknown_system": (401, "没有这个系统，或者它已停用"),
    "bad_signature": (401, "签名无效，或者签名时间与平台相差超过五分钟"),
    "malformed": (422, "消息不符合接口约定"),
    "too_large": (413, "消息超过 1 MB"),
    "unknown_case": (404, "没有转办给本系统的这个办件"),
    "unknown_file": (404, "没有这份材料，或者授权中不包含它"),
    "number_reused": (409, "这个消息号已用于内容不同的消息"),
    "supplement_once": (422, "补正只能一次告知，本办件已经告知过（行政许可法第三十二条）"),
    "closed": (403, "办理已经结束，或者授权已停止"),
}


class BadMessage(ValueError):
    """A message that does not say what it must; the text (Chinese) says what is wrong."""


@dataclass(frozen=True)
class Said:
    """One message of a department's system, checked: `body` holds only what its kind knows."""

    number: str
    kind: str
    case: str
    at: dt.datetime
    own_number: str
    body: Mapping[str, Any]

    @property
    def words(self) -> str:
        """The message in one line for people."""
        match self.kind:
            case "progress":
                return "：".join(filter(None, (self.body["title"], self.body["note"])))
            case "supplement":
                return "；".join(f"{e['name']}：{e['what']}" for e in self.body["items"])
            case "suspended":
                return str(self.body["reason"])
            case "result":
                return "：".join(
                    filter(None, (OUTCOMES[self.body["outcome"]], self.body["reason"]))
                )
        return KINDS[self.kind]


def _text(told: Mapping[str, Any], name: str, most: int, *, needed: bool = False) -> str:
    value = told.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise BadMessage(f"“{name}”应为文字")
    value = " ".join(value.split())
    if needed and not value:
        raise BadMessage(f"缺少“{name}”")
    if len(value) > most:
        raise BadMessage(f"“{name}”最长 {most} 字")
    return value


def read(told: Any) -> Said:
    """A message as it came (JSON), checked; raises BadMessage."""
    if not isinstance(told, dict):
        raise BadMessage("消息应为一个 JSON 对象")
    number, kind = _text(told, "number", 64, needed=True), _text(told, "kind", 20, needed=True)
    if not _NUMBER.fullmatch(number):
        raise BadMessage("“number”只能用字母、数字和 . _ : -，最长 64 位")
    if kind not in KINDS:
        raise BadMessage(f"“kind”应为 {'、'.join(KINDS)} 之一")
    try:
        at = dt.datetime.fromisoformat(_text(told, "at", 40, needed=True))
    except ValueError as error:
        raise BadMessage("“at”应为带时区的时间，如 2026-01-05T09:30:00+08:00") from error
    if at.tzinfo is None:
        raise BadMessage("“at”应带时区，如 2026-01-05T09:30:00+08:00")
    said = {
        PROGRESS: _progress,
        SUPPLEMENT: _supplement,
        SUSPENDED: _suspended,
        RESUMED: lambda _: {},
        RESULT: _result,
    }[kind](told)
    case = _text(told, "case", 64, needed=True)
    return Said(number, kind, case, at, _text(told, "own_number", 64), said)


def _progress(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"title": _text(told, "title", 60, needed=True), "note": _text(told, "note", 300)}


def _supplement(told: Mapping[str, Any]) -> dict[str, Any]:
    entries = told.get("items")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_ITEMS:
        raise BadMessage(f"“items”应列出需要补正的全部内容（1 至 {MOST_ITEMS} 项）")
    out = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise BadMessage("“items”的每一项应为对象")
        out.append(
            {
                "material": _text(entry, "material", 60),
                "name": _text(entry, "name", 100, needed=True),
                "what": _text(entry, "what", 300, needed=True),
            }
        )
    return {"items": out, "note": _text(told, "note", 300)}


def _suspended(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cause": _text(told, "cause", 20, needed=True),
        "reason": _text(told, "reason", 300, needed=True),
    }


def _result(told: Mapping[str, Any]) -> dict[str, Any]:
    outcome = _text(told, "outcome", 20, needed=True)
    if outcome not in OUTCOMES:
        raise BadMessage(f"“outcome”应为 {'、'.join(OUTCOMES)} 之一")
    reason = _text(told, "reason", 500, needed=outcome == REFUSED)
    licence = told.get("licence") or {}
    elements = licence.get("elements") if isinstance(licence, dict) else None
    if elements is not None and not isinstance(elements, dict):
        raise BadMessage("“licence.elements”应为对象")
    kept = {}
    for name, value in (elements or {}).items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise BadMessage(f"证照内容“{name}”应为文字或数字")
        kept[str(name)[:60]] = value if not isinstance(value, str) else value[:500]
    return {
        "outcome": outcome,
        "reason": reason,
        "basis": _text(told, "basis", 300),
        "decided_by": _text(told, "decided_by", 60),
        "elements": kept,
    }


@dataclass(frozen=True)
class Standing:
    """Where a handed-over case stands when a message comes."""

    outcome: str = ""
    """How it ended; "" while it runs."""
    clock_at: dt.datetime | None = None
    """When the newest suspension or resumption that was taken was said."""
    supplemented: bool = False
    """Whether the applicant was told before what is missing."""


def judge(said: Said, standing: Standing) -> str:
    """What a message may still do: TAKEN, LATE or CONFLICT; raises BadMessage("supplement_once").

    The order of the sender's own clock decides between suspension and resumption, never the order
    of arrival; nothing undoes a result.
    """
    if standing.outcome:
        if said.kind != RESULT or said.body["outcome"] == standing.outcome:
            return LATE
        return CONFLICT
    clocked = said.kind in (SUSPENDED, RESUMED)
    if clocked and standing.clock_at is not None and said.at < standing.clock_at:
        return LATE
    if said.kind == SUPPLEMENT and standing.supplemented:
        raise BadMessage("supplement_once")
    return TAKEN


# ---- silence ---------------------------------------------------------------------------------

GREEN, YELLOW, RED, GREY = "green", "amber", "red", "grey"


def silence(heard: dt.datetime, now: dt.datetime, hours: int) -> tuple[str, str]:
    """How long a case has been without a word, and the lamp: yellow after `hours`, red after three times."""
    gone = int((now - heard).total_seconds() // 3600)
    words = f"{gone // 24} 天没有消息" if gone >= 48 else f"{gone} 小时没有消息"
    if gone >= 3 * hours:
        return words, RED
    if gone >= hours:
        return words, YELLOW
    return "有消息" if gone < 1 else words, GREEN


def ask_again(hours: int) -> dt.timedelta:
    """How often a silent case is asked after: a quarter of the time it may be silent, at least hourly."""
    return dt.timedelta(hours=max(hours / 4, 1))


def lamp(
    *, closed: bool, paused: bool, error: str, dead: int, lamps: Iterable[str]
) -> tuple[str, str]:
    """The words and the lamp of a whole system."""
    if closed:
        return "已停用", GREY
    if dead:
        return f"{dead} 件待处理", RED
    if error:
        return "连接不上，自动重试", RED
    if paused:
        return "暂停转办", GREY
    worst = max(lamps, key=[GREEN, YELLOW, RED].index, default=GREEN)
    return {GREEN: "正常", YELLOW: "有办件较久没有消息", RED: "有办件长时间没有消息"}[worst], worst


# ---- numbers, keys, addresses ----------------------------------------------------------------


def new_code() -> str:
    """A system's code."""
    return f"XT-{secrets.token_hex(4)}"


def new_key() -> str:
    """A signing key of 256 bits."""
    return secrets.token_urlsafe(32)


def parts_of(address: str) -> SplitResult:
    """An address taken apart; raises ValueError (Chinese) where it is no http(s) address of a host."""
    try:
        parts = urlsplit(address.strip())
        _ = parts.port
    except ValueError as error:
        raise ValueError("地址不完整，请写成 https://主机:端口/路径") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("地址应以 https:// 或 http:// 开头，并写明主机名")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("地址中不能带用户名、密码或查询参数")
    return parts


def signed_path(method: str, path: str) -> bytes:
    """What is signed in place of a body where there is none."""
    return f"{method} {path}".encode()


def chosen(given: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, Any]:
    """The entries that a grant allows; nothing allowed is nothing given."""
    return {k: given[k] for k in allowed if k in given}
