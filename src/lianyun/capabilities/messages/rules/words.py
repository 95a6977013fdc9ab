"""Words: declared texts with closed placeholders, filled in with facts; what may leave the house."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

OUTSIDE = frozenset(
    {
        "item", "department", "until", "day", "slot", "hall", "resource", "licence", "result",
        "days", "count", "waiting", "near", "overdue", "ahead", "label", "window", "round", "step",
    }
)  # fmt: skip
"""Facts that name a matter and a day, never a person: the only ones that a text or a mail may hold."""
INSIDE = frozenset(
    {"case", "case_title", "application", "capability", "subject", "reason", "note", "said"}
)
"""Facts that stay behind the login."""

_PART = re.compile(r"\[\[(.*?)\]\]")
_NUMBERS = re.compile(r"(?<![0-9A-Za-z])(?:1[3-9]\d{9}|\d{15}|\d{17}[\dXx])(?![0-9A-Za-z])")
_STOPS = re.compile(r"[。；，、]+。")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}).*)?")


class BadWords(Exception):
    """A text whose placeholders are not of the closed language."""


def names(text: str) -> set[str]:
    """The facts that a text asks for: `{item}` and nothing else; raises BadWords."""
    found = set()
    for part in (text, *_PART.findall(text)):
        try:
            for _, name, spec, conversion in Formatter().parse(part):
                if name is None:
                    continue
                if spec or conversion or not (name.isidentifier() and name.isascii()):
                    raise BadWords(f"占位符“{{{name}}}”写法有误")
                found.add(name)
        except ValueError as wrong:
            raise BadWords("花括号不成对") from wrong
    return found


def fill(text: str, facts: Mapping[str, Any]) -> str:
    """A text with its facts; a part in [[ ]] is left out where one of its facts is not known."""

    def part(found: re.Match[str]) -> str:
        inner = found.group(1)
        return inner if all(shown(facts.get(n)) for n in names(inner)) else ""

    whole = _PART.sub(part, text)
    told = whole.format_map({n: shown(facts.get(n)) for n in names(whole)})
    return _STOPS.sub("。", told)


def shown(value: Any) -> str:
    """A fact as words: a day is 2026年11月23日, a list is joined, nothing is ''."""
    if value is None or value is False:
        return ""
    if isinstance(value, list | tuple):
        return "、".join(shown(v) for v in value)
    text = str(value).strip()
    if day := _DAY.fullmatch(text):
        year, month, number, clock = day.groups()
        return f"{year}年{int(month)}月{int(number)}日" + (f" {clock}" if clock else "")
    return text


def scrubbed(text: str) -> str:
    """A text without telephone and citizen numbers, whatever a fact brought in."""
    return _NUMBERS.sub(lambda m: m.group()[:3] + "****", text)


def masked(name: str) -> str:
    """How a text or a mail calls a person: the family name and stars; nobody is ''."""
    name = name.strip()
    return name[:1] + "*" * min(max(len(name) - 1, 0), 2) if name else ""


def text_message(head: str, city: str, site: str) -> str:
    """What goes to a telephone: the matter and where to log in; at most 200 characters."""
    tail = f"，请登录查看：{site}/my/messages/" if site else f"，请登录{city}数字政府查看"
    sign = f"【{city}数字政府】"
    return sign + scrubbed(head)[: 200 - len(sign) - len(tail)] + tail


def mail(heads: list[str], name: str, city: str, site: str) -> tuple[str, str]:
    """(subject, body) of a mail about one matter, or of a digest of several."""
    told = [scrubbed(h) for h in heads]
    subject = told[0] if len(told) == 1 else f"您有 {len(told)} 条消息"
    where = f"{site}/my/messages/" if site else f"{city}数字政府“消息”"
    lines = [f"{masked(name)}，您好：" if name else "您好：", ""]
    lines += [f"· {t}" for t in told] if len(told) > 1 else [f"{told[0]}。"]
    lines += [
        "",
        f"详情请登录查看：{where}",
        f"不想再收到这类邮件，可在“消息—接收设置”中关闭（法定告知除外）。{city}数字政府自动发送，请勿回复。",
    ]
    return f"【{city}数字政府】{subject}"[:150], "\n".join(lines)


__all__ = [
    "INSIDE",
    "OUTSIDE",
    "BadWords",
    "fill",
    "mail",
    "masked",
    "names",
    "scrubbed",
    "shown",
    "text_message",
]
