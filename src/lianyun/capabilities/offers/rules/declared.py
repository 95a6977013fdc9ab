"""Declared: a rule that proposes an item to whom it fits, or a policy that pays a firm, as a pack says it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import expressions
from .facts import ENTITY, SUBJECTS, Sheet

OFFER, SUBSIDY = "offer", "subsidy"
KINDS = {OFFER: "主动服务规则", SUBSIDY: "惠企政策"}
_CODE = re.compile(r"[a-z][a-z0-9_]{1,59}")
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BOTH = {"code", "title", "subject", "department", "item", "reason", "basis"}
_KEYS = {
    OFFER: _BOTH | {"page", "answers", "when", "days"},
    SUBSIDY: _BOTH
    | {"number", "text", "address", "budget", "opens", "closes", "conditions", "amount", "most", "instant"},
}  # fmt: skip
LONGEST = 400
"""Days that an offer may stand."""


class BadRule(ValueError):
    """A rule or policy that cannot be used; the message says what is wrong."""


@dataclass(frozen=True)
class Condition:
    """One thing that must hold, in words and as a closed expression; `say` tells who misses it what to do."""

    id: str
    title: str
    when: str
    say: str = ""


@dataclass(frozen=True)
class Declared:
    """A rule or policy. Money is in fen (1/100 yuan); `days` is how long an offer stands.

    A subsidy pays `amount` (an expression in yuan) up to `most`; claims up to `instant` need no
    officer's review. `budget` is the whole of the policy's money.
    """

    kind: str
    code: str
    title: str
    subject: str
    department: str
    reason: str
    basis: str
    conditions: tuple[Condition, ...]
    item: str = ""
    page: str = ""
    answers: tuple[tuple[str, str], ...] = ()
    days: int = 0
    number: str = ""
    text: str = ""
    address: str = ""
    budget: int = 0
    opens: dt.date | None = None
    closes: dt.date | None = None
    amount: str = ""
    most: int = 0
    instant: int = 0

    @property
    def slots(self) -> tuple[str, ...]:
        """The facts that the reason names."""
        return tuple(dict.fromkeys(_SLOT.findall(self.reason)))

    @property
    def facts(self) -> tuple[str, ...]:
        """Every fact that is asked for, those of the conditions first."""
        out: dict[str, None] = {}
        for text in (*(c.when for c in self.conditions), self.amount):
            if text:
                out.update(dict.fromkeys(sorted(expressions.names_in(text) - {"today"})))
        out.update(dict.fromkeys(self.slots))
        return tuple(out)

    @property
    def when(self) -> str:
        """All conditions as one expression."""
        return " and ".join(f"({c.when})" for c in self.conditions)

    def timed(self, sheet: Sheet) -> bool:
        """Whether the mere passing of time may change the answer."""
        names = [*self.facts]
        whole = self.when
        return "today" in expressions.names_in(whole) or any(
            f.of or "today" in f.where for f in sheet.wanted(names).values()
        )

    def open_on(self, day: dt.date) -> bool:
        """Whether claims are taken that day."""
        return (self.opens is None or self.opens <= day) and (
            self.closes is None or day <= self.closes
        )

    def filled(self, shown: Mapping[str, str]) -> str:
        """The reason with the facts as they are shown."""
        return _SLOT.sub(lambda m: shown.get(m.group(1)) or "（没有记录）", self.reason)


def fen(yuan: Any) -> int:
    """Yuan as fen; raises BadRule for what is no amount of money."""
    try:
        return round(float(yuan) * 100)
    except (TypeError, ValueError) as error:
        raise BadRule(f"“{yuan}”不是金额") from error


def yuan(amount: int) -> str:
    """Fen as people read money: 12,000 元, 12,000.50 元."""
    whole, rest = divmod(amount, 100)
    return f"{whole:,}.{rest:02d} 元" if rest else f"{whole:,} 元"


def _day(value: Any, what: str) -> dt.date | None:
    if value in (None, ""):
        return None
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError as error:
        raise BadRule(f"{what}应为 YYYY-MM-DD") from error


def _conditions(kind: str, told: Mapping[str, Any]) -> tuple[Condition, ...]:
    if kind == OFFER:
        if not told.get("when"):
            raise BadRule("缺少 when")
        return (Condition("when", str(told["title"]), str(told["when"])),)
    out = []
    for one in told.get("conditions") or ():
        if strange := sorted(str(k) for k in set(one) - {"id", "title", "when", "say"}):
            raise BadRule(f"条件里不认识的键 {'、'.join(strange)}（有逗号的文字要加引号）")
        for key in ("id", "title", "when"):
            if not one.get(key):
                raise BadRule(f"条件缺少 {key}")
        out.append(
            Condition(
                str(one["id"]), str(one["title"]), str(one["when"]), str(one.get("say") or "")
            )
        )
    if not out:
        raise BadRule("缺少 conditions")
    if len({c.id for c in out}) != len(out):
        raise BadRule("条件的 id 重复")
    return tuple(out)


def read(kind: str, told: Mapping[str, Any], sheets: Mapping[str, Sheet]) -> Declared:
    """A declaration, checked against the facts that exist; raises BadRule, BadFact, BadExpression."""
    code = str(told.get("code") or "")
    if not _CODE.fullmatch(code):
        raise BadRule(f"code“{code}”不合规")
    if strange := sorted(set(told) - _KEYS[kind]):
        raise BadRule(f"{code}：不认识的键 {'、'.join(strange)}")
    subject = str(told.get("subject") or (ENTITY if kind == SUBSIDY else ""))
    if subject not in SUBJECTS or (kind == SUBSIDY and subject != ENTITY):
        raise BadRule(f"{code}：subject 应为 person 或 entity（惠企政策只能是 entity）")
    needed = ("title", "department", "reason", "basis") + (
        ("number", "text", "budget", "amount", "most") if kind == SUBSIDY else ("days",)
    )
    for key in needed:
        if not told.get(key):
            raise BadRule(f"{code}：缺少 {key}")
    page = str(told.get("page") or "")
    if kind == OFFER and bool(told.get("item")) == bool(page):
        raise BadRule(f"{code}：item 和 page 要写一个，且只能写一个")
    if page and (not page.startswith("/") or page.startswith("//")):
        raise BadRule(f"{code}：page 应是本站地址")
    days = int(told.get("days") or 0)
    if kind == OFFER and not 1 <= days <= LONGEST:
        raise BadRule(f"{code}：days 应在 1 到 {LONGEST} 之间")
    made = Declared(
        kind,
        code,
        str(told["title"]),
        subject,
        str(told["department"]),
        str(told["reason"]),
        str(told["basis"]),
        _conditions(kind, told),
        item=str(told.get("item") or ""),
        page=page,
        answers=tuple((str(k), str(v)) for k, v in (told.get("answers") or {}).items()),
        days=days,
        number=str(told.get("number") or ""),
        text=str(told.get("text") or ""),
        address=str(told.get("address") or ""),
        budget=fen(told.get("budget") or 0),
        opens=_day(told.get("opens"), "opens"),
        closes=_day(told.get("closes"), "closes"),
        amount=str(told.get("amount") or ""),
        most=fen(told.get("most") or 0),
        instant=fen(told.get("instant") or 0),
    )
    if made.opens and made.closes and made.closes < made.opens:
        raise BadRule(f"{code}：closes 早于 opens")
    sheet = sheets.get(subject)
    if sheet is None:
        raise BadRule(f"{code}：{SUBJECTS[subject]}没有声明过事实")
    sheet.wanted(made.facts)
    known = dict.fromkeys([*sheet.facts, "today"], "x")
    for text in (*(c.when for c in made.conditions), made.amount):
        if text:
            expressions.to_sql(text, known)
    return made


__all__ = ["KINDS", "OFFER", "SUBSIDY", "BadRule", "Condition", "Declared", "fen", "read", "yuan"]
