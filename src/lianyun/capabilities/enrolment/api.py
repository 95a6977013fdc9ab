"""Enrolment's door: what packs get wrong, and the whole way of a round for the sample city."""

from __future__ import annotations

from collections.abc import Iterator

from lianyun.kernel.access import ANONYMOUS, Actor
from lianyun.kernel.packs import declaration, declarations

from . import actions
from .actions import (
    allot,
    choose,
    choose_many,
    confirm,
    confirm_many,
    consent,
    decline,
    file,
    make_round,
    move,
    register_many,
)
from .actions.registering import Entry
from .adapters import Listed
from .adapters import registered as _registered
from .models import Registration, Round
from .queries import rounds as _rounds
from .rules.scheme import BadScheme, read


def pack_faults() -> Iterator[str]:
    """What is wrong in the points tables that packs declare, one Chinese line each (for `make check`)."""
    for found in declarations("enrolment"):
        try:
            scheme = read(found.data)
        except BadScheme as error:
            yield f"enrolment/{found.name}：{error}"
            continue
        for fact in scheme.facts.values():
            try:
                items = {i["name"] for i in declaration("datasets", fact.source).data["items"]}
            except KeyError:
                yield f"enrolment/{found.name}：没有数据集 {fact.source}"
                continue
            for column in {
                fact.key,
                fact.column,
                *fact.where,
                *([fact.valid] if fact.valid else []),
            }:
                if column not in items:
                    yield f"enrolment/{found.name}：{fact.source} 中没有信息项 {column}"
        tables = {
            str(t["key"])
            for d in declarations("decisions")
            if d.name == scheme.table
            for t in d.data.get("tables") or ()
        }
        for line in scheme.lines:
            if line.table not in tables:
                yield f"enrolment/{found.name}：积分项 {line.id} 的决策表 {line.table} 不存在"


def round_of(code: str, viewer: Actor = ANONYMOUS) -> Round | None:
    """A round by its code, as the viewer may know it."""
    return _rounds.find(viewer, code)


def phase(found: Round, viewer: Actor) -> str:
    """The step in which a round is (a key of rules.calendar.PHASES)."""
    return _rounds.phase(viewer, found)


def schools(stage: str, region: str = "") -> list[Listed]:
    """Schools of the register that take children of a stage (primary, junior)."""
    return _registered(stage, region)


def entered(found: Round, viewer: Actor) -> list[Registration]:
    """Whoever stands in a round; for who holds enrolment.read of its department."""
    viewer.require(_rounds.READ, found.department)
    return list(_rounds.entered(viewer, found).select_related("child", "guardian"))


def begin(found: Round, child: object, *, by: Actor) -> Registration:
    """Begin to enter one's child; the hall's pages lead on. See actions.begin."""
    return actions.begin(found, child, by=by)  # type: ignore[arg-type]


__all__ = [
    "Entry",
    "Registration",
    "Round",
    "allot",
    "begin",
    "choose",
    "choose_many",
    "confirm",
    "confirm_many",
    "consent",
    "decline",
    "entered",
    "file",
    "make_round",
    "move",
    "pack_faults",
    "phase",
    "register_many",
    "round_of",
    "schools",
]
