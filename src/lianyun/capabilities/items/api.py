"""Api: what sibling capabilities may use of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor

from . import queries
from .actions import import_items, publish_content, resume_item, retire_item, sync_declared
from .queries import Found, Home, Line, Narrow
from .queries.around import declared_items, holds, pack_faults
from .rules import narrow as _narrowing
from .rules.checks import ERROR, Finding, closing
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


def read(content: Mapping[str, Any], viewer: Actor = ANONYMOUS) -> Item:
    """The item of a declaration that is nowhere published; raises BadItem and what its shape raises."""
    return queries.read_content(viewer, content)


def faults_of(content: Mapping[str, Any], *, more: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Everything wrong with a declaration, by the checks of packs' items.

    `more` adds what will exist once it is published: names under forms, licences, decisions, paths.
    """
    return queries.faults_with(ANONYMOUS, content, more)


def code_names(code_list: str) -> dict[str, str]:
    """Code → name of a code list of the items' elements (item_type, person_theme …)."""
    return queries.names_of(code_list)


def standard_materials() -> dict[str, dict[str, Any]]:
    """The standard materials of all packs by id."""
    return queries.standard_materials()


def declared_by_pack(code: str) -> bool:
    """Whether a pack declares this item."""
    return queries.declared_by_pack(code)


def listed(code: str) -> bool:
    """Whether the list has this item, published or not."""
    return queries.exists(SYSTEM, code)


def publish_item(content: Mapping[str, Any], *, note: str, by: Actor) -> int:
    """Make this the item's next version (permission items.review); returns its number. UserError."""
    return publish_content(content=content, note=note, by=by).version


def retire(code: str, reason: str, *, by: Actor) -> None:
    """Stop offering an item; cases under way go on. Raises UserError."""
    retire_item(listing=queries.look_up(by, code), reason=reason, by=by)


def resume(code: str, *, by: Actor) -> None:
    """Offer a retired item again. Raises UserError."""
    resume_item(listing=queries.look_up(by, code), by=by)


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
    "ERROR",
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
    "code_names",
    "declared_by_pack",
    "declared_items",
    "faults_of",
    "find",
    "home",
    "import_items",
    "listed",
    "materials",
    "notice",
    "open_questions",
    "pack_faults",
    "publish_item",
    "questions",
    "read",
    "resume",
    "retire",
    "search",
    "standard_materials",
    "sync_declared",
]
