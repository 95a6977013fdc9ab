"""Offered: the packages that people find by everyday words and life events, and what follows in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lianyun.capabilities.catalogue.api import words
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.items import api as items
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Party

from .. import adapters
from ..rules import plan as planning
from ..rules.package import Package, faults


@dataclass(frozen=True)
class Tile:
    """One package in a list."""

    package: Package
    count: int
    lead: str
    departments: int
    life: tuple[str, ...]


def _items(package: Package) -> dict[str, Any]:
    found = {m.item: items.find(m.item) for m in package.members}
    return {code: item for code, item in found.items() if item is not None}


def offered(viewer: Actor, code: str) -> tuple[Package, dict[str, Any]] | None:
    """A package and its items as published today; None where it is not offered."""
    package = adapters.declared().get(code)
    if package is None:
        return None
    known = _items(package)
    whole = all(
        m.item in known and known[m.item].online and known[m.item].form for m in package.members
    )
    return (package, known) if whole else None


def plan(viewer: Actor, code: str, given: Mapping[str, Any]) -> planning.Plan | None:
    """What follows from these answers in a package; None where it is not offered."""
    found = offered(viewer, code)
    if found is None:
        return None
    return planning.plan(
        *found, given, holds=adapters.holds, asks=lambda item, told: items.questions(item, told)
    )


def tiles(viewer: Actor, audience: str = "", life: str = "") -> list[Tile]:
    """The packages that are offered, those asked for most first."""
    out = []
    names = department_names(viewer)
    events = adapters.names_of("life_event")
    for package in sorted(adapters.declared().values(), key=lambda p: (-p.hot, p.code)):
        if (audience and package.audience != audience) or (life and life not in package.life):
            continue
        found = offered(viewer, package.code)
        if found is None:
            continue
        out.append(
            Tile(
                package,
                len(package.members),
                names.get(package.lead, ""),
                len({i.department for i in found[1].values()}),
                tuple(events[c] for c in package.life if c in events),
            )
        )
    return out


def search(viewer: Actor, text: str, audience: str = "", life: str = "") -> list[Tile]:
    """The packages for what somebody typed: by their own words first, then by the items they hold."""
    rows = tiles(viewer, audience, life)
    folded = words.fold(text)[:80].strip()
    if not folded:
        return rows
    found = {line.code for line in items.search(text, viewer=viewer).lines}
    scored = [(_score(t, folded, found), n, t) for n, t in enumerate(rows)]
    return [t for score, _, t in sorted(scored, key=lambda s: (-s[0], s[1])) if score]


def _score(tile: Tile, folded: str, found: Iterable[str]) -> int:
    package = tile.package
    own = [words.fold(w) for w in (package.name, *package.keywords, *tile.life)]
    if any(folded in w or (len(w) > 1 and w in folded) for w in own):
        return 100
    pieces = [p for p in words.pieces(folded) if len(p) > 1]
    hits = sum(any(p in w for w in own) for p in pieces)
    return hits * 10 + len({m.item for m in package.members} & set(found))


def department_names(viewer: Actor) -> dict[str, str]:
    """Departments' short names by slug; they are public."""
    rows = Party.objects.filter(kind=Party.DEPARTMENT).exclude(slug=None)
    return {str(p.slug): p.short or p.name for p in rows}


@dataclass(frozen=True)
class Sum:
    """What asking once spares: forms, questions and materials of the items apart and together."""

    items: int
    departments: int
    forms: int
    fields_apart: int
    fields: int
    materials_apart: int
    materials: int
    may_be_free: int


def spared(viewer: Actor, parts: Iterable[planning.Part]) -> Sum:
    """The counts for the items that follow; a material needed by several is counted once together."""
    chosen = list(parts)
    names = [p.item.form for p in chosen]
    one = forms.merged(list(dict.fromkeys(names))) if names else None
    apart = [_fields(forms.form(name)) for name in names]
    wanted = [m for p in chosen for m in items.materials(p.item, p.answers)]
    once = {(m.id, m.name): m for m in wanted}
    return Sum(
        len(chosen),
        len({p.item.department for p in chosen}),
        len(names),
        sum(apart),
        _fields(one) if one else 0,
        len(wanted),
        len(once),
        sum(1 for m in once.values() if m.free),
    )


def _fields(form: Any) -> int:
    return sum(len(part.fields) for part in form.parts)


def wanted(viewer: Actor, parts: Iterable[planning.Part]) -> list[tuple[Any, list[str], list[str]]]:
    """Each material that follows, once, with the items that need it and those whose results stand for it."""
    out: dict[tuple[str, str], tuple[Any, list[str], list[str]]] = {}
    chosen = list(parts)
    names = {p.member.item: p.item.name for p in chosen}
    for part in chosen:
        for material in items.materials(part.item, part.answers):
            row = out.setdefault((material.id, material.name), (material, [], []))
            row[1].append(part.item.name)
            if giver := part.brings.get(material.id):
                row[2].append(names[giver])
    return list(out.values())


def check(viewer: Actor) -> dict[str, list[str]]:
    """What is wrong with the declared packages, by code; the unreadable ones under an empty code."""
    return _checked(None)


def declared_faults() -> list[str]:
    """What is wrong with packages held against the packs' own items, without a database."""
    told = _checked(items.declared_items())
    return [f"套餐 {code}：{f}" if code else f for code, found in told.items() for f in found]


def _checked(known: Mapping[str, Any] | None) -> dict[str, list[str]]:
    departments = frozenset(row["slug"] for row in packs.table("core", "departments.csv"))
    life = frozenset(adapters.names_of("life_event"))
    out = {"": list(adapters.unreadable())} if adapters.unreadable() else {}
    for package in adapters.declared().values():
        found = _items(package) if known is None else known
        wrong = list(faults(package, found, departments, life))
        wrong += _unmergeable(package, found)
        if wrong:
            out[package.code] = wrong
    return out


def _unmergeable(package: Package, known: Mapping[str, Any]) -> list[str]:
    """Why the items' forms cannot be one."""
    names = [known[m.item].form for m in package.members if m.item in known]
    try:
        forms.merged(list(dict.fromkeys(names)))
    except (UserError, forms.BadForm) as error:
        return [f"各事项的表单不能合并：{error}"]
    return []


__all__ = [
    "Sum",
    "Tile",
    "check",
    "declared_faults",
    "department_names",
    "offered",
    "plan",
    "search",
    "spared",
    "tiles",
    "wanted",
]
