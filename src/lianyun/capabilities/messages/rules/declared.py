"""Declared: the kinds of message that packs declare (packs/*/messages.yaml), read and held to their limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lianyun.decision.closed import BadExpression, check_expression, evaluate

from . import words

INBOX, MAIL, SMS = "inbox", "mail", "sms"
CHANNELS = {INBOX: "消息中心", MAIL: "电子邮件", SMS: "短信"}
"""The ways, in the order in which pages show them."""
OUTER = (MAIL, SMS)
"""Ways that leave the house: what goes there is read by whoever holds the telephone."""

URGENT, NORMAL, LOW = "urgent", "normal", "low"
URGENCIES = {URGENT: "紧急", NORMAL: "一般", LOW: "可汇总"}

APPLICANT, DESK, GRANTEE, NAMED, ACCOUNT, HOLDERS, NEAR = (
    "applicant", "desk", "grantee", "named", "account", "holders", "near",
)  # fmt: skip
AUDIENCES = {
    APPLICANT: "办件的申请人（单位的代办人、孩子的监护人）",
    DESK: "正在办理的岗位",
    GRANTEE: "被授权的单位或个人",
    NAMED: "事件写明的人或部门",
    ACCOUNT: "账号本人",
    HOLDERS: "有这项权限的人",
    NEAR: "快要叫到号的人",
}
"""Whom an event may be told to; each is found in rows that the kernel or one sibling keeps."""
BY_JOB = {"work_waits", "data_read"}
"""Kinds that no event begins: a daily job tells them, under these keys."""

_KEYS = {
    "key", "title", "group", "event", "when", "to", "permission", "urgency", "channels", "offered",
    "legal", "basis", "facts", "words", "link", "pack",
}  # fmt: skip


class BadKind(Exception):
    """A declared kind that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True)
class Kind:
    """One kind of message: what it hears of, whom it tells, by which ways, in which words.

    `channels` are on until the person switches them off, `offered` are off until switched on. A
    `legal` one is a notice that the law demands: it cannot be switched off, nor held to a limit.
    """

    key: str
    title: str
    group: str
    events: tuple[str, ...]
    to: str
    head: str
    text: str
    when: str = ""
    permission: str = ""
    urgency: str = NORMAL
    channels: tuple[str, ...] = (INBOX,)
    offered: tuple[str, ...] = ()
    legal: bool = False
    basis: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    link: str = ""

    @property
    def ways(self) -> tuple[str, ...]:
        """Every way by which it may go, in the order of pages."""
        return tuple(c for c in CHANNELS if c in self.channels or c in self.offered)

    def goes(self, channel: str, chosen: bool | None) -> bool:
        """Whether it goes by a way, given what the person chose (None: nothing)."""
        if channel not in self.ways:
            return False
        if self.legal and channel in self.channels:
            return True
        return (channel in self.channels) if chosen is None else chosen

    def may_switch(self, channel: str) -> bool:
        """Whether the person may switch this way on or off."""
        return channel in self.ways and not (self.legal and channel in self.channels)

    @property
    def for_officers(self) -> bool:
        """Whether it is told to people in their posts, not to citizens and firms."""
        return bool(self.permission) or self.to in (DESK, HOLDERS)

    def fits(self, facts: Mapping[str, Any]) -> bool:
        """Whether its condition holds; a condition that cannot be computed does not."""
        if not self.when:
            return True
        try:
            return bool(evaluate(self.when, dict(facts)))
        except BadExpression:
            return False


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Kind], list[str]]:
    """(kinds by key, faults in words): a kind with a fault is left out."""
    kinds: dict[str, Kind] = {}
    faults: list[str] = []
    for entry in entries:
        where = f"{entry.get('pack', '?')}/messages.yaml：{entry.get('key') or '?'}"
        try:
            kind = one(entry)
        except BadKind as wrong:
            faults.append(f"{where}：{wrong}")
            continue
        if kind.key in kinds:
            faults.append(f"{where}：重复")
            continue
        kinds[kind.key] = kind
    return kinds, faults


def one(entry: Mapping[str, Any]) -> Kind:
    """One declared kind; raises BadKind."""
    if unknown := set(entry) - _KEYS:
        raise BadKind(f"不认识 {'、'.join(sorted(unknown))}")
    told = entry.get("words")
    if not isinstance(told, Mapping) or set(told) != {"title", "text"}:
        raise BadKind("words 应有 title 和 text")
    kind = Kind(
        key=str(entry.get("key") or ""),
        title=str(entry.get("title") or ""),
        group=str(entry.get("group") or ""),
        events=_several(entry.get("event")),
        to=str(entry.get("to") or ""),
        head=str(told["title"]),
        text=str(told["text"]),
        when=str(entry.get("when") or ""),
        permission=str(entry.get("permission") or ""),
        urgency=str(entry.get("urgency") or NORMAL),
        channels=tuple(entry.get("channels") or (INBOX,)),
        offered=tuple(entry.get("offered") or ()),
        legal=bool(entry.get("legal", False)),
        basis=str(entry.get("basis") or ""),
        facts={str(k): str(v) for k, v in (entry.get("facts") or {}).items()},
        link=str(entry.get("link") or ""),
    )
    _check(kind)
    return kind


def _several(told: Any) -> tuple[str, ...]:
    return tuple(str(t) for t in (told if isinstance(told, list) else [told] if told else []))


def _check(kind: Kind) -> None:
    if not (kind.key.isidentifier() and kind.key.isascii() and kind.title and kind.group):
        raise BadKind("key、title、group 都要写")
    if bool(kind.events) == (kind.key in BY_JOB):
        raise BadKind("没有写 event" if not kind.events else "由每日任务产生，不写 event")
    if kind.to not in AUDIENCES:
        raise BadKind(f"to 应是 {'、'.join(AUDIENCES)} 之一")
    if kind.to == HOLDERS and not kind.permission:
        raise BadKind("to: holders 要写 permission")
    if kind.urgency not in URGENCIES:
        raise BadKind(f"urgency 应是 {'、'.join(URGENCIES)} 之一")
    ways = [*kind.channels, *kind.offered]
    if set(ways) - set(CHANNELS) or len(ways) != len(set(ways)):
        raise BadKind(f"channels、offered 只能各写一次 {'、'.join(CHANNELS)}")
    if kind.urgency == LOW and SMS in ways:
        raise BadKind("可汇总的消息不发短信")
    if kind.legal and (INBOX not in kind.channels or not kind.basis):
        raise BadKind("法定告知必须进消息中心，并写明 basis")
    if kind.when:
        try:
            check_expression(kind.when)
        except BadExpression as wrong:
            raise BadKind(str(wrong)) from wrong
    known = words.OUTSIDE | words.INSIDE | set(kind.facts)
    for what, text, allowed in (
        ("title", kind.head, words.OUTSIDE),
        ("text", kind.text, known),
        ("link", kind.link, words.OUTSIDE | words.INSIDE | set(kind.facts)),
    ):
        try:
            used = words.names(text)
        except words.BadWords as wrong:
            raise BadKind(f"{what}：{wrong}") from wrong
        if left := used - allowed:
            raise BadKind(
                f"{what} 里不能用 {'、'.join(sorted(left))}"
                + ("（标题会出现在短信和邮件里）" if what == "title" else "")
            )


def by_event(kinds: Mapping[str, Kind]) -> dict[str, list[Kind]]:
    """The kinds that hear of each kind of event."""
    out: dict[str, list[Kind]] = {}
    for kind in kinds.values():
        for event in kind.events:
            out.setdefault(event, []).append(kind)
    return out


__all__ = [
    "ACCOUNT",
    "APPLICANT",
    "AUDIENCES",
    "BY_JOB",
    "CHANNELS",
    "DESK",
    "GRANTEE",
    "HOLDERS",
    "INBOX",
    "LOW",
    "MAIL",
    "NAMED",
    "NEAR",
    "NORMAL",
    "OUTER",
    "SMS",
    "URGENCIES",
    "URGENT",
    "BadKind",
    "Kind",
    "by_event",
    "one",
    "read",
]
