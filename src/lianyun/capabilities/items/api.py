"""Api: what sibling capabilities may use of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.kernel.access import ANONYMOUS, Actor

from . import queries
from .actions import import_items, sync_declared
from .queries import Found, Home, Line, Narrow
from .queries.around import holds, pack_faults
from .rules import narrow as _narrowing
from .rules.checks import Finding, closing
from .rules.item import (
    ENTITY,
    GROUNDS,
    INSTANT,
    PERSON,
    PROMISED,
    BadItem,
    Ground,
    Item,
    Material,
    Option,
    Result,
    Situation,
)
from .rules.narrow import Notice


def find(code: str, version: int | None = None) -> Item | None:
    """The item as published today, None where it may not be asked for (any more).

    With `version` the item as it stood then, whatever became of it: a case keeps `item.version`.
    """
    return queries.find(ANONYMOUS, code, version)


def search(
    text: str = "",
    *,
    audience: str = "",
    department: str = "",
    theme: str = "",
    life: str = "",
    reach: str = "",
    page: int = 1,
    viewer: Actor = ANONYMOUS,
) -> Found:
    """Published items for everyday words; `audience` person or entity, `reach` city … village."""
    narrow = Narrow(audience=audience, department=department, theme=theme, life=life, reach=reach)
    return queries.search(viewer, text, narrow, page)


def home(audience: str = PERSON) -> Home:
    """What the hall's first page shows: counts, themes, life events, what is asked most."""
    return queries.home(ANONYMOUS, audience)


def questions(item: Item, answers: Mapping[str, Any]) -> tuple[Situation, ...]:
    """The situations that these answers leave to be asked (answered ones included), in order."""
    return _narrowing.asked(item, answers, holds)


def answers_of(item: Item, given: Mapping[str, Any]) -> dict[str, str]:
    """The answers among `given` that this item asks for and offers; all else is dropped."""
    return _narrowing.cleaned(item, given, holds)


def open_questions(item: Item, answers: Mapping[str, Any]) -> tuple[Situation, ...]:
    """The situations that still lack an answer."""
    return _narrowing.open_questions(item, answers, holds)


def materials(item: Item, answers: Mapping[str, Any]) -> tuple[Material, ...]:
    """The materials that these answers ask for."""
    return _narrowing.materials(item, answers, holds)


def notice(item: Item, answers: Mapping[str, Any]) -> Notice:
    """一次告知: everything that the applicant must know, at once."""
    return _narrowing.notice(item, answers, holds)


__all__ = [
    "ENTITY",
    "GROUNDS",
    "INSTANT",
    "PERSON",
    "PROMISED",
    "BadItem",
    "Finding",
    "Found",
    "Ground",
    "Home",
    "Item",
    "Line",
    "Material",
    "Narrow",
    "Notice",
    "Option",
    "Result",
    "Situation",
    "answers_of",
    "closing",
    "find",
    "home",
    "import_items",
    "materials",
    "notice",
    "open_questions",
    "pack_faults",
    "questions",
    "search",
    "sync_declared",
]
