"""Asked: which sources an application would look into, for which fields and materials; the consent's list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import grounds

LICENCE, LIBRARY, DATASET, EARLIER = "licence", "library", "dataset", "earlier"
EARLIER_KEY = "earlier:"


class GroundLike(Protocol):
    """A ground as items declare it."""

    @property
    def by(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def library(self) -> str: ...
    @property
    def source(self) -> str: ...


class SourceLike(Protocol):
    """Where a form's field is known: kind identity, entity, library, dataset or licence."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def item(self) -> str: ...


class MaterialLike(Protocol):
    """A material as items declare it."""

    @property
    def name(self) -> str: ...
    @property
    def grounds(self) -> tuple[Any, ...]: ...


@dataclass
class Asked:
    """One source: its kind and name, the columns wanted of it, what they fill and what they free."""

    kind: str
    name: str
    columns: list[str] = field(default_factory=list)
    fills: list[str] = field(default_factory=list)
    frees: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The source's name within an application, e.g. library:population."""
        return f"{self.kind}:{self.name}"

    def want(self, columns: Iterable[str] = (), *, fills: str = "", frees: str = "") -> None:
        """Add what is wanted, each once."""
        for listed, values in (
            (self.columns, columns),
            (self.fills, [fills] if fills else []),
            (self.frees, [frees] if frees else []),
        ):
            listed.extend(v for v in values if v not in listed)


def source_of(ground: GroundLike) -> str:
    """The key of the source that a ground needs; empty for a promise."""
    match ground.by:
        case grounds.LICENCE:
            return f"{LICENCE}:{ground.type}"
        case grounds.LIBRARY:
            return f"{LIBRARY}:{ground.library}"
        case grounds.SERVICE:
            return f"{DATASET}:{ground.source}"
        case grounds.EARLIER:
            return EARLIER_KEY
        case _:
            return ""


def origin_of(source: SourceLike) -> str:
    """The key of the source that fills a field; empty for one's own identity."""
    return f"{source.kind}:{source.name}" if source.kind in (LICENCE, LIBRARY, DATASET) else ""


def asked(
    fields: Iterable[tuple[str, Sequence[SourceLike]]], materials: Iterable[MaterialLike]
) -> list[Asked]:
    """The sources of an application, those that fill the form first; `fields` are (title, sources)."""
    found: dict[str, Asked] = {}

    def at(key: str) -> Asked:
        kind, _, name = key.partition(":")
        return found.setdefault(key, Asked(kind, name))

    for title, told in fields:
        for source in told:
            if key := origin_of(source):
                at(key).want([source.item], fills=title)
    for material in materials:
        for ground in material.grounds:
            if key := source_of(ground):
                at(key).want([*ground.match, *ground.need], frees=material.name)
    return list(found.values())


def purpose_of(fills: Sequence[str], frees: Sequence[str]) -> str:
    """What a source is asked for, in words: the fields it fills, the materials it frees."""
    parts = []
    if fills:
        parts.append(f"填写{'、'.join(fills)}")
    if frees:
        parts.append(f"免交{'、'.join(frees)}")
    return "，".join(parts)


__all__ = [
    "DATASET",
    "EARLIER",
    "EARLIER_KEY",
    "LIBRARY",
    "LICENCE",
    "Asked",
    "asked",
    "origin_of",
    "purpose_of",
    "source_of",
]
