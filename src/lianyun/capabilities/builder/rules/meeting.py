"""Meeting: what stands when two have written on one base: three ways, entry by entry."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str, ...]
"""Where in a part: keys, and of entries of a list what they are known by (`#2`: by their position)."""

GRID, WHOLE = "@grid", "@whole"
_ONE_THING = ("use", "bpmn", "dmn")
_COLUMNS, _ROWS = ("inputs", "outputs"), "rules"
_BY = ("id", "name", "standard", "q", "title")
_ORDERED = {"options", "outcomes"}
_MADE = re.compile(r"(?:q|m|s|part|o|e|x)\d+")
"""Identifiers that the editor makes by counting: two who add something both count to the same."""


class _Gone:
    """Nothing stands here."""


GONE = _Gone()


@dataclass(frozen=True)
class Met:
    """A part after two saves: what stands, and the places of which both said something else."""

    part: dict[str, Any]
    clashes: tuple[Place, ...] = ()


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same; the order of keys counts only where people see it."""
    return _said(one) == _said(other)


def _said(value: Any, key: str = "") -> str:
    if value is GONE:
        return ""
    return json.dumps(_sorted(value, key), ensure_ascii=False, default=str)


def _sorted(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        pairs = [[k, _sorted(v, str(k))] for k, v in value.items()]
        return {"{}": pairs if key in _ORDERED else sorted(pairs, key=lambda pair: str(pair[0]))}
    if isinstance(value, list):
        return [_sorted(v, "") for v in value]
    return value


def known_by(entry: Any) -> str:
    """What an entry of a list is known by; empty where it has no name of its own."""
    if isinstance(entry, Mapping):
        for key in _BY:
            if entry.get(key):
                return str(entry[key])
    return ""


def _named(value: Any) -> dict[str, Any] | None:
    """A list's entries by what they are known by; None where they cannot be told apart."""
    if value is GONE:
        return {}
    if not isinstance(value, list):
        return None
    out = {known_by(entry): entry for entry in value}
    return out if "" not in out and len(out) == len(value) else None


def met(
    base: Mapping[str, Any],
    theirs: Mapping[str, Any],
    mine: Mapping[str, Any],
    keys: Iterable[str] | None = None,
) -> Met:
    """What stands when `mine` was written on `base` and `theirs` was saved meanwhile.

    `keys` are those that stood on the page; others stay theirs. What only one changed is taken;
    what both changed differently is a clash and stays theirs. The columns of a table and its cells
    belong together: where one changed the columns, the table is one thing.
    """
    if any(not same(v.get(k), theirs.get(k)) for v in (base, mine) for k in _ONE_THING):
        # Taken from elsewhere or made here: never half of the one and half of the other.
        if same(mine, base) or same(mine, theirs):
            return Met(dict(theirs))
        return Met(dict(mine)) if same(theirs, base) else Met(dict(theirs), ((WHOLE,),))
    if not all(same(v.get(k), theirs.get(k)) for v in (base, mine) for k in _COLUMNS):
        base, theirs, mine = folded(base), folded(theirs), folded(mine)
        keys = None if keys is None else [*keys, GRID]
    scope = set(keys) if keys is not None else {*base, *theirs, *mine}
    meeting = _Meeting(_idents(theirs) | _idents(mine))
    out: dict[str, Any] = {}
    for key in dict.fromkeys([*theirs, *mine]):
        if key not in scope:
            if key in theirs:
                out[key] = theirs[key]
            continue
        before, now, told = (v.get(key, GONE) for v in (base, theirs, mine))
        found = meeting.three(before, now, told, (key,))
        if found is not GONE:
            out[key] = found
    return Met(unfolded(out), tuple(meeting.clashes))


def folded(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part with its table's columns and rows as one thing."""
    grid = {k: part[k] for k in (*_COLUMNS, _ROWS) if k in part}
    out = {k: v for k, v in part.items() if k not in grid}
    return {**out, GRID: [grid]} if grid else out


def unfolded(part: Mapping[str, Any]) -> dict[str, Any]:
    """The other way of `folded`."""
    out = {k: v for k, v in part.items() if k != GRID}
    return {**out, **(part[GRID][0] if part.get(GRID) else {})}


def _idents(value: Any) -> set[str]:
    """Every identifier in a part."""
    if isinstance(value, Mapping):
        own = {str(value["id"])} if value.get("id") else set()
        return own.union(*map(_idents, value.values())) if value else own
    if isinstance(value, list):
        return set[str]().union(*map(_idents, value))
    return set()


class _Meeting:
    """One merge: the places in which both said something else."""

    def __init__(self, idents: set[str]) -> None:
        self.idents, self.clashes = idents, list[Place]()

    def three(self, before: Any, now: Any, told: Any, at: Place) -> Any:
        """What stands of one value; GONE where nothing does."""
        if same(told, before) or same(told, now):
            return now
        if same(now, before):
            return told
        if GONE not in (before, now, told) and all(
            isinstance(v, Mapping) for v in (before, now, told)
        ):
            return self._keys(before, now, told, at)
        one, two, three = _named(before), _named(now), _named(told)
        known = one is not None and two is not None and three is not None
        if known and GONE not in (now, told):
            return self._entries(one or {}, two or {}, three or {}, at)
        rows = [v for v in (before, now, told) if isinstance(v, list)]
        if at == (_ROWS,) and len(rows) == 3 and len({len(v) for v in rows}) == 1:
            each = zip(before, now, told, strict=True)
            return [self.three(a, b, c, (*at, f"#{n}")) for n, (a, b, c) in enumerate(each)]
        self.clashes.append(at)
        return now

    def _keys(self, before: Any, now: Any, told: Any, at: Place) -> dict[str, Any]:
        out = {}
        for key in _order(list(before), list(now), list(told)):
            a, b, c = (v.get(key, GONE) for v in (before, now, told))
            found = self.three(a, b, c, (*at, key))
            if found is not GONE:
                out[key] = found
        return out

    def _entries(self, before: Any, now: Any, told: Any, at: Place) -> list[Any]:
        told, out = dict(told), {}
        for name in [n for n in told if n in now and n not in before]:
            if _MADE.fullmatch(name) and not same(now[name], told[name]):
                self._rename(told, name)
        for name in _order(list(before), list(now), list(told)):
            a, b, c = (v.get(name, GONE) for v in (before, now, told))
            found = self.three(a, b, c, (*at, name))
            if found is not GONE:
                out[name] = found
        return list(out.values())

    def _rename(self, told: dict[str, Any], name: str) -> None:
        """Both added something and counted to the same identifier: mine counts on."""
        stem, number = name.rstrip("0123456789"), 1
        while f"{stem}{number}" in self.idents:
            number += 1
        fresh = f"{stem}{number}"
        self.idents.add(fresh)
        entries = {(fresh if n == name else n): e for n, e in told.items()}
        entries[fresh] = {**entries[fresh], "id": fresh}
        told.clear()
        told.update(entries)


def _order(before: list[str], now: list[str], told: list[str]) -> list[str]:
    """All names in the order of whoever changed it (mine where both did); new ones after their neighbour."""
    mine = [n for n in told if n in before and n in now]
    moved = mine != [n for n in before if n in told and n in now]
    first, second = (told, now) if moved else (now, told)
    out = list(first)
    for at, name in enumerate(second):
        if name not in out:
            near = next((out.index(n) + 1 for n in reversed(second[:at]) if n in out), 0)
            out.insert(near, name)
    return out


# ---- one place -----------------------------------------------------------------------------------


def value_at(part: Any, place: Place) -> Any:
    """What stands at a place of a part; GONE where nothing does."""
    if place == (WHOLE,):
        return part
    here: Any = folded(part) if place[0] == GRID else part
    for step in place:
        if isinstance(here, Mapping):
            here = here.get(step, GONE)
        elif isinstance(here, list):
            at = _position(here, step)
            here = here[at] if at is not None else GONE
        else:
            return GONE
    return here


def _position(entries: list[Any], step: str) -> int | None:
    if step.startswith("#"):
        number = int(step[1:])
        return number if number < len(entries) else None
    return next((n for n, e in enumerate(entries) if known_by(e) == step), None)


def chosen(
    now: Mapping[str, Any], mine: Mapping[str, Any], places: Iterable[Place]
) -> dict[str, Any]:
    """What stands now, with mine at these places; an entry that has gone meanwhile comes back whole."""
    out: dict[str, Any] = copy.deepcopy(dict(now))
    for place in places:
        if place == (WHOLE,):
            out = copy.deepcopy(dict(mine))
            continue
        if place[0] == GRID:
            out = {**folded(out), GRID: folded(mine).get(GRID)}
            out = unfolded(out)
            continue
        kept = place
        while len(kept) > 1 and value_at(out, kept[:-1]) is GONE:
            kept = kept[:-1]
        _put(out, kept, copy.deepcopy(value_at(mine, kept)))
    return out


def _put(part: dict[str, Any], place: Place, value: Any) -> None:
    here = value_at(part, place[:-1]) if len(place) > 1 else part
    step = place[-1]
    if isinstance(here, dict):
        if value is GONE:
            here.pop(step, None)
        else:
            here[step] = value
    elif isinstance(here, list):
        at = _position(here, step)
        if value is GONE:
            if at is not None:
                here.pop(at)
        elif at is None:
            here.append(value)
        else:
            here[at] = value


__all__ = ["GONE", "GRID", "WHOLE", "Met", "Place", "chosen", "known_by", "met", "same", "value_at"]
