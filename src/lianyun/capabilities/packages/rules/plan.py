"""Plan: which items follow from the answers and why, what is asked, and what may begin when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .package import ItemLike, Member, Package, names_in

Holds = Callable[[str, dict[str, Any]], Any]
"""Evaluates a closed expression over answers."""
Asks = Callable[[Any, Mapping[str, str]], Sequence[Any]]
"""The situations that an item asks under these answers (answered ones included)."""

MUST, MAYBE, NOT = "must", "maybe", "not"


@dataclass(frozen=True)
class Asked:
    """One question as a page draws it: the package's own, or an item's that the package leaves open."""

    id: str
    question: str
    options: tuple[Any, ...]
    help: str
    answer: str
    item: str = ""


@dataclass(frozen=True)
class Part:
    """One item of a package under some answers: whether it follows, why, and what it waits for."""

    member: Member
    item: Any
    follows: str
    answers: Mapping[str, str]
    after: tuple[str, ...]
    brings: Mapping[str, str]

    @property
    def why(self) -> str:
        """Why it is (not) among what is to be done, in words."""
        if self.follows == NOT:
            return "按您的回答，不需要办"
        return self.member.why


@dataclass(frozen=True)
class Plan:
    """A package under some answers."""

    package: Package
    given: Mapping[str, str]
    questions: tuple[Asked, ...]
    parts: tuple[Part, ...]

    @property
    def chosen(self) -> tuple[Part, ...]:
        """What follows from the answers, in an order in which it can be done."""
        return tuple(p for p in self.parts if p.follows == MUST)

    @property
    def open(self) -> tuple[Asked, ...]:
        """The questions that still lack an answer."""
        return tuple(q for q in self.questions if not q.answer)

    @property
    def answered(self) -> dict[str, str]:
        """The answers that count: to questions that are asked, with options that are offered."""
        return {q.id: q.answer for q in self.questions if q.answer}


def key(item: str, situation: str) -> str:
    """The name of an item's own situation among a package's questions."""
    return f"{item}__{situation}"


def plan(
    package: Package,
    items: Mapping[str, ItemLike],
    given: Mapping[str, Any],
    *,
    holds: Holds,
    asks: Asks,
) -> Plan:
    """What follows from these answers; with a question open, what depends on it may still follow."""
    answers: dict[str, str] = {}
    questions: list[Asked] = []
    for q in package.questions:
        if q.when and not holds(q.when, dict(answers)):
            continue
        answer = str(given.get(q.id) or "")
        if not q.title_of(answer):
            answer = ""
        else:
            answers[q.id] = answer
        questions.append(Asked(q.id, q.question, q.options, q.help, answer))
    unsure = {q.id for q in questions if not q.answer}
    parts: list[Part] = []
    for member in _ordered(package.members):
        item = items[member.item]
        follows = _follows(member, answers, unsure, package, holds)
        own: dict[str, str] = {}
        if follows == MUST:
            own, asked = _situations(member, item, answers, unsure, given, asks)
            questions += asked
        parts.append(Part(member, item, follows, own, (), {}))
    chosen = {p.member.item for p in parts if p.follows == MUST}
    whole = tuple(
        replace(
            p,
            after=tuple(a for a in p.member.after if a in chosen),
            brings={m: giver for m, giver in p.member.brings if giver in chosen},
        )
        for p in parts
    )
    return Plan(package, dict(given), tuple(questions), whole)


def _follows(
    member: Member, answers: dict[str, str], unsure: set[str], package: Package, holds: Holds
) -> str:
    if not member.when:
        return MUST
    hangs = _hangs(names_in(member.when), package)
    if hangs & unsure:
        return MAYBE
    return MUST if holds(member.when, dict(answers)) else NOT


def _hangs(names: set[str], package: Package) -> set[str]:
    """The questions on which an answer hangs, by way of their own conditions too."""
    found, left = set[str](), set(names)
    conditions = {q.id: q.when for q in package.questions}
    while left:
        name = left.pop()
        found.add(name)
        left |= names_in(conditions.get(name, "")) - found
    return found


def _situations(
    member: Member,
    item: Any,
    answers: Mapping[str, str],
    unsure: set[str],
    given: Mapping[str, Any],
    asks: Asks,
) -> tuple[dict[str, str], list[Asked]]:
    """The item's situations answered from the package, and those that are left to be asked.

    While the package's own question is open (`unsure`) it is not asked a second time.
    """
    told = dict(member.answers)
    out: dict[str, str] = {}
    asked: list[Asked] = []
    done: set[str] = set()
    while new := [s for s in asks(item, out) if s.id not in done]:
        for situation in new:
            done.add(situation.id)
            said = told.get(situation.id, f"= {situation.id}")
            source = said[1:].strip() if said.startswith("=") else ""
            if source in unsure:
                continue
            answer = answers.get(source, "") if source else said
            if not situation.title_of(answer):
                name = key(member.item, situation.id)
                answer = str(given.get(name) or "")
                answer = answer if situation.title_of(answer) else ""
                asked.append(
                    Asked(
                        name,
                        situation.question,
                        situation.options,
                        situation.help,
                        answer,
                        item.name,
                    )
                )
            if answer:
                out[situation.id] = answer
    return out, asked


def _ordered(members: Sequence[Member]) -> list[Member]:
    """Members so that none stands before one it waits for, else as they are declared."""
    out: list[Member] = []
    left = list(members)
    while left:
        names = {m.item for m in left}
        ready = next(m for m in left if not names & set(m.after))
        out.append(ready)
        left.remove(ready)
    return out


# ---- on its way ----------------------------------------------------------------------------

GOOD = ("granted", "opened_partly")
"""Outcomes of items' paths that let what waits for them begin."""
WAITS, OPEN, DONE, FAILED, ENDED = "waits", "open", "done", "failed", "ended"
ALL, SOME, NONE, BACK = "all", "some", "none", "withdrawn"


@dataclass(frozen=True)
class Step:
    """One item of a package that was filed: where it stands, and what it waits for."""

    item: str
    name: str
    after: tuple[str, ...]
    alone: bool
    stands: str


@dataclass(frozen=True)
class Move:
    """What is to be done with a waiting step: open it, or end it with the reason."""

    item: str
    begin: bool
    why: str = ""


def stands(*, filed: bool, closed: bool, outcome: str, ended: bool) -> str:
    """Where a step stands."""
    if ended:
        return ENDED
    if not filed:
        return WAITS
    if not closed:
        return OPEN
    return DONE if outcome in GOOD else FAILED


def moves(steps: Sequence[Step]) -> list[Move]:
    """What may happen now: each waiting step whose forerunners have all come to an end."""
    by_item = {s.item: s for s in steps}
    out = []
    for step in steps:
        if step.stands != WAITS:
            continue
        before = [by_item[a] for a in step.after if a in by_item]
        bad = [b for b in before if b.stands in (FAILED, ENDED)]
        if bad and not step.alone:
            told = "、".join(f"“{b.name}”" for b in bad)
            out.append(Move(step.item, False, f"要先办成的{told}没有办成，这一项没有开办"))
        elif all(b.stands in (DONE, FAILED, ENDED) for b in before):
            out.append(Move(step.item, True))
    return out


def outcome(steps: Sequence[Step]) -> str | None:
    """How a package has ended; None while something is under way."""
    if any(s.stands in (WAITS, OPEN) for s in steps):
        return None
    done = sum(s.stands == DONE for s in steps)
    if done == len(steps):
        return ALL
    return SOME if done else NONE


__all__ = [
    "ALL",
    "BACK",
    "DONE",
    "ENDED",
    "FAILED",
    "GOOD",
    "MAYBE",
    "MUST",
    "NONE",
    "NOT",
    "OPEN",
    "SOME",
    "WAITS",
    "Asked",
    "Move",
    "Part",
    "Plan",
    "Step",
    "key",
    "moves",
    "outcome",
    "plan",
    "stands",
]
