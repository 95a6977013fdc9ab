"""Rule: what is told as missing, how a decision reads, which lamp burns, which cases are alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GREEN, YELLOW, RED, PAUSED, UNTIMED = "green", "yellow", "red", "paused", "untimed"
LAMPS = {
    RED: "红灯（已逾期）",
    YELLOW: "黄灯（临近期限）",
    GREEN: "绿灯（期限内）",
    PAUSED: "中止（不计时）",
    UNTIMED: "不限时",
}
TONES = {RED: "red", YELLOW: "amber", GREEN: "green", PAUSED: "grey", UNTIMED: "grey"}

GRANTED, REFUSED, NOT_ACCEPTED, PARTLY = "granted", "refused", "not_accepted", "opened_partly"
RESULTS = {
    GRANTED: ("准予", "green"),
    REFUSED: ("不予", "red"),
    NOT_ACCEPTED: ("不予受理", "red"),
    PARTLY: ("部分办成", "amber"),
    "withdrawn": ("申请人撤回", "grey"),
    "lapsed": ("逾期终止", "red"),
}
LONGEST_LIST = 30


class BadList(ValueError):
    """A list of what is missing that nobody could follow; the message is for the officer."""


def lamp(left: int | None, *, paused: bool, yellow: int) -> str:
    """The lamp of a step with `left` working days; yellow at or below `yellow`, red below zero."""
    if paused:
        return PAUSED
    if left is None:
        return UNTIMED
    return RED if left < 0 else YELLOW if left <= yellow else GREEN


def lamp_words(left: int | None, *, paused: bool) -> str:
    """How far the day is, in words."""
    if paused:
        return "中止"
    if left is None:
        return "不限时"
    if left < 0:
        return f"逾期 {-left} 个工作日"
    return "今日到期" if left == 0 else f"剩 {left} 个工作日"


def missing(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The list of what is to be handed in: which material, what exactly; told once, so all at once.

    Raises BadList for an empty list and for an entry that does not say what to do.
    """
    out: list[dict[str, str]] = []
    for entry in entries:
        name = str(entry.get("name") or "").strip()
        what = str(entry.get("what") or "").strip()
        if not name and not what:
            continue
        if not name or not what:
            raise BadList("每一项都要写明材料名称和需要补正的内容")
        out.append(
            {
                "material": str(entry.get("material") or "")[:60],
                "name": name[:100],
                "what": what[:300],
            }
        )
    if not out:
        raise BadList("请列出需要补正的全部内容：补正只能告知一次（行政许可法第三十二条）")
    if len(out) > LONGEST_LIST:
        raise BadList(f"一次最多列出 {LONGEST_LIST} 项")
    return out


def in_words(entries: Sequence[Mapping[str, str]]) -> str:
    """The list as one sentence for the ledger and the message."""
    return "；".join(f"{e['name']}：{e['what']}" for e in entries)


def decision(
    result: str,
    *,
    reason: str = "",
    basis: str = "",
    remedy: str = "",
    on: dt.date,
    by: str,
    rule: str = "",
) -> dict[str, Any]:
    """What the person is told of a decision: result, reason, ground in law, remedy, the rule if one decided."""
    return {
        "result": result,
        "title": RESULTS[result][0],
        "reason": reason.strip(),
        "basis": basis,
        "remedy": remedy if result != GRANTED else "",
        "on": on.isoformat(),
        "by": by,
        "by_rule": bool(rule),
        "rule": rule,
    }


@dataclass(frozen=True)
class Verdict:
    """What a decision table said of an application: its result, which rules spoke, and why."""

    result: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    table: str = ""
    version: int = 0

    @property
    def decides(self) -> bool:
        """Only a favourable verdict is final: an unfavourable one is a proposal to an officer.

        个人信息保护法 art. 24: nobody has to bear a grave decision that only a machine has made.
        """
        return self.result == GRANTED

    @property
    def words(self) -> str:
        """The rule as the applicant reads it."""
        named = "、".join(self.rules)
        return f"{self.table} 第 {named} 条：{self.reason}" if named else ""


@dataclass(frozen=True)
class Figures:
    """How many applications stand where, and how those that ended did."""

    total: int = 0
    open: int = 0
    paused: int = 0
    closed: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)
    title: str = ""
    whole: int = 0
    """Ended ones whose record is complete: applicant, department, day, decision."""

    @property
    def decided(self) -> int:
        """Ended by a decision of ours; what the applicant withdrew is none."""
        return sum(self.ended.get(k, 0) for k in (GRANTED, REFUSED, NOT_ACCEPTED, PARTLY))

    @property
    def granted(self) -> int:
        """Ended as it was asked for."""
        return self.ended.get(GRANTED, 0)

    @property
    def whole_rate(self) -> float | None:
        """办件合格率: the complete records among those that ended, 0 to 1; None where none did."""
        return self.whole / self.closed if self.closed else None

    @property
    def pass_rate(self) -> float | None:
        """The granted part of what was decided, 0 to 1; None where nothing was."""
        return self.granted / self.decided if self.decided else None


def happened(kind: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """(what, more) of an event that its step's title alone would not tell; None for all others."""
    title = str(data.get("title") or "")
    match kind:
        case "case.claimed":
            return f"认领：{title}", ""
        case "case.handed_over":
            return f"转交给{data.get('to_name', '')}：{title}", str(data.get("reason") or "")
        case "case.urged":
            return f"催办：{title}", str(data.get("note") or "")
        case "application.stood_in":
            return f"代{data.get('absent_name', '')}办理：{title}", ""
        case "case.extended":
            more = f"{data.get('article', '')}：{data.get('reason', '')}"
            return f"期限延长 {data.get('days')} 个工作日", more
    return None


def alike(keys: Sequence[tuple[str, str]]) -> bool:
    """Whether cases (item, step) may be decided together."""
    return len(set(keys)) == 1


def joint(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Departments' opinions as one: who agrees, under which conditions, who does not and why."""
    agree = [a for a in answers if a.get("outcome") == "agree"]
    refuse = [a for a in answers if a.get("outcome") == "refuse"]
    lines = [
        f"{a['department']}：同意" + (f"，{a['note']}" if a.get("note") else "") for a in agree
    ]
    lines += [f"{a['department']}：不同意，{a.get('note', '')}" for a in refuse]
    return {
        "agree": len(agree),
        "refuse": len(refuse),
        "all": bool(agree) and not refuse,
        "text": "；".join(lines),
    }


def licence_elements(
    names: Sequence[str],
    answers: Mapping[str, Any],
    mapping: Mapping[str, str],
    *,
    holder: tuple[str, str],
    until: tuple[str, int | None],
    today: dt.date,
) -> dict[str, Any]:
    """The elements of a licence from a form's answers: by the item's mapping, else by the same name.

    `holder` names the elements of the holder's name and number, which are the applicant's where the
    form names nobody else (as a sale does its buyer); `until` the element of the last day and for how many days it is valid.
    """
    out: dict[str, Any] = {}
    for name in names:
        value = answers.get(mapping.get(name, name))
        if value not in (None, "", []):
            out[name] = value
    for name, told in zip(holder, ("applicant_name", "applicant_number"), strict=True):
        if name and answers.get(told) and (name not in mapping or not out.get(name)):
            out[name] = answers[told]
    last, days = until
    if last and days and last not in out:
        out[last] = (today + dt.timedelta(days=days - 1)).isoformat()
    return out


def renewed_until(last: dt.date, today: dt.date, days: int) -> dt.date:
    """The last day of a licence that is renewed: from its own end, or from today where that is over."""
    if last >= today:
        return last + dt.timedelta(days=days)
    return today + dt.timedelta(days=days - 1)


def too_early(last: dt.date, today: dt.date, early: int | None) -> bool:
    """Whether a licence may not be renewed yet: more than `early` days are left."""
    return early is not None and (last - today).days > early


__all__ = [
    "GRANTED",
    "GREEN",
    "LAMPS",
    "NOT_ACCEPTED",
    "PARTLY",
    "PAUSED",
    "RED",
    "REFUSED",
    "RESULTS",
    "TONES",
    "UNTIMED",
    "YELLOW",
    "BadList",
    "Figures",
    "Verdict",
    "alike",
    "decision",
    "happened",
    "in_words",
    "joint",
    "lamp",
    "lamp_words",
    "licence_elements",
    "missing",
    "renewed_until",
    "too_early",
]
