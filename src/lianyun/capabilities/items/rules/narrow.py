"""Narrow: answers to situations choose the questions and the materials; the notice says all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .item import Item, Material, Situation

Holds = Callable[[str, dict[str, Any]], Any]
"""Evaluates a closed expression over the answers; the kernel's `evaluate`."""


def _is(expression: str, answers: Mapping[str, Any], holds: Holds) -> bool:
    return not expression or bool(holds(expression, dict(answers)))


def asked(item: Item, answers: Mapping[str, Any], holds: Holds) -> tuple[Situation, ...]:
    """The questions that these answers leave to be asked, in their order."""
    given = cleaned(item, answers, holds)
    return tuple(s for s in item.situations if _is(s.when, given, holds))


def cleaned(item: Item, answers: Mapping[str, Any], holds: Holds) -> dict[str, str]:
    """Answers to questions that this item asks, with options that it offers; all else is dropped."""
    out: dict[str, str] = {}
    for situation in item.situations:
        answer = str(answers.get(situation.id) or "")
        if situation.title_of(answer) and _is(situation.when, out, holds):
            out[situation.id] = answer
    return out


def open_questions(item: Item, answers: Mapping[str, Any], holds: Holds) -> tuple[Situation, ...]:
    """The questions that still lack an answer."""
    given = cleaned(item, answers, holds)
    return tuple(s for s in asked(item, given, holds) if s.id not in given)


def materials(item: Item, answers: Mapping[str, Any], holds: Holds) -> tuple[Material, ...]:
    """The materials that these answers ask for; with a question open, what depends on it is left out."""
    given = cleaned(item, answers, holds)
    return tuple(m for m in item.materials if _is(m.when, given, holds))


def depends(item: Item, answers: Mapping[str, Any], holds: Holds) -> tuple[Material, ...]:
    """The materials that answers still missing may ask for."""
    if not open_questions(item, answers, holds):
        return ()
    now = {m.id for m in materials(item, answers, holds)}
    return tuple(m for m in item.materials if m.when and m.id not in now)


@dataclass(frozen=True)
class Notice:
    """一次告知: everything that the applicant must know, told at once (优化营商环境条例 art. 19 spirit)."""

    item: Item
    answers: tuple[tuple[str, str], ...]
    open: tuple[Situation, ...]
    materials: tuple[Material, ...]
    maybe: tuple[Material, ...]

    @property
    def freed(self) -> int:
        """How many materials may be met without being handed in."""
        return sum(m.free for m in self.materials)


def notice(item: Item, answers: Mapping[str, Any], holds: Holds) -> Notice:
    """The notice for these answers."""
    given = cleaned(item, answers, holds)
    return Notice(
        item,
        tuple(
            (item.situation(ident).question, item.situation(ident).title_of(answer))
            for ident, answer in given.items()
        ),
        open_questions(item, given, holds),
        materials(item, given, holds),
        depends(item, given, holds),
    )
