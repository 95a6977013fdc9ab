"""Allotment: who comes before whom, and which school each child gets; anybody can recompute both.

Children propose to schools in the order of their wishes and a school keeps those who come first
(Gale and Shapley 1962, deferred acceptance, the children's side). A unit is one child, or brothers
and sisters who want to stay together: it stands where its last member stands. A school keeps a unit
while those before it leave at least one place; so a unit is never parted, the school may go over by
the unit's size less one, and the rule stays substitutable: the result is stable, the best stable one
for every unit, and does not depend on the order in which proposals are looked at (ADR 0043).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LOT_BITS = 64


@dataclass(frozen=True)
class Entrant:
    """One child in the ranking: points in hundredths, declared ties (smaller first), public number."""

    id: int
    number: str
    points: int
    ties: tuple[int, ...] = ()


@dataclass(frozen=True)
class Unit:
    """What is placed as one: the row of its only or first child, all its rows, wishes in order.

    `rank` is the place of its last member in the ranking; `first` the schools where it comes before
    others (it lives in their catchment). At `first` schools rank decides among those who are first.
    """

    id: int
    members: tuple[int, ...]
    rank: int
    wishes: tuple[int, ...]
    first: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """How many places it takes."""
        return len(self.members)


@dataclass(frozen=True)
class Line:
    """Where a school's places ended: how many it took, and the band and rank of the last one.

    `full` says that a further unit would have been turned away; rank 0 where nobody was taken.
    """

    school: int
    places: int
    taken: int
    full: bool
    outside: bool = False
    rank: int = 0


@dataclass(frozen=True)
class Result:
    """Which school each unit got (0: none), where each school ended, and who waits where."""

    schools: Mapping[int, int]
    lines: Mapping[int, Line]
    waits: Mapping[int, Mapping[int, int]] = field(default_factory=dict)


def seed_of(secret: str, digest: str) -> str:
    """The seed of the lots: the secret promised before anybody applied, with the published list.

    Whoever drew the secret did not know the list; whoever is on the list did not know the secret.
    """
    return hashlib.sha256(f"{secret}|{digest}".encode()).hexdigest()


def lot(seed: str, number: str) -> int:
    """A child's lot: the first 64 bits of SHA-256 of ``seed|number``; the smaller comes first."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{number}".encode()).digest()[: LOT_BITS // 8])


def list_digest(entrants: Iterable[Entrant]) -> str:
    """SHA-256 of the list as it is published: one line ``number,points`` a child, by number."""
    lines = sorted(f"{e.number},{e.points / 100:.2f}" for e in entrants)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def ranking(entrants: Sequence[Entrant], seed: str) -> list[Entrant]:
    """Children in order: points, then the declared ties, then the lot (then the number: never needed)."""
    return sorted(entrants, key=lambda e: (-e.points, e.ties, lot(seed, e.number), e.number))


def allot(units: Sequence[Unit], places: Mapping[int, int]) -> Result:
    """Give every unit the best school that keeps it; a school that is no longer there is passed over.

    Deterministic: the same units and places give the same result in whatever order they come.
    """
    outside = max((u.rank for u in units), default=0) + 1
    kept: dict[int, list[tuple[int, int]]] = {s: [] for s in places}
    taken = dict.fromkeys(places, 0)
    sizes, nexts, got = [u.size for u in units], [0] * len(units), [0] * len(units)
    # Those who come first propose first: few are then turned away again. The result is the same.
    waiting = sorted(range(len(units)), key=lambda at: -units[at].rank)
    while waiting:
        at = waiting.pop()
        unit = units[at]
        while nexts[at] < len(unit.wishes):
            school = unit.wishes[nexts[at]]
            nexts[at] += 1
            heap = kept.get(school)
            if heap is None:
                continue
            key = unit.rank if school in unit.first else unit.rank + outside
            room = places[school]
            if taken[school] >= room and (not heap or -heap[0][0] < key):
                continue  # those before it leave no place
            heapq.heappush(heap, (-key, at))
            taken[school] += sizes[at]
            got[at] = school
            while heap and taken[school] - sizes[heap[0][1]] >= room:
                _, gone = heapq.heappop(heap)
                taken[school] -= sizes[gone]
                got[gone] = 0
                if gone != at:
                    waiting.append(gone)
            if got[at]:
                break
    lines = {s: _line(s, places[s], taken[s], kept[s], outside) for s in places}
    schools = {unit.id: got[at] for at, unit in enumerate(units)}
    return Result(schools, lines, _waiting(units, schools, outside))


def _line(school: int, places: int, taken: int, heap: list[tuple[int, int]], outside: int) -> Line:
    if not heap:
        return Line(school, places, 0, taken >= places)
    last = -heap[0][0]
    beyond = last > outside
    return Line(school, places, taken, taken >= places, beyond, last - outside * beyond)


def _waiting(
    units: Sequence[Unit], schools: Mapping[int, int], outside: int
) -> dict[int, dict[int, int]]:
    """The place of each unit without a school on the list of every school it wished for, from 1."""
    lists: dict[int, list[tuple[int, int]]] = {}
    for unit in units:
        if schools[unit.id]:
            continue
        for school in dict.fromkeys(unit.wishes):
            key = unit.rank if school in unit.first else unit.rank + outside
            lists.setdefault(school, []).append((key, unit.id))
    out: dict[int, dict[int, int]] = {}
    for school, listed in lists.items():
        for place, (_, unit_id) in enumerate(sorted(listed), start=1):
            out.setdefault(unit_id, {})[school] = place
    return out


def unstable(
    units: Sequence[Unit], places: Mapping[int, int], schools: Mapping[int, int]
) -> list[tuple[int, int]]:
    """(unit, school) that would both rather have each other; empty for every result of `allot`."""
    outside = max((u.rank for u in units), default=0) + 1

    def key(unit: Unit, school: int) -> int:
        return unit.rank if school in unit.first else unit.rank + outside

    found = []
    for unit in units:
        for school in unit.wishes:
            if school == schools[unit.id]:
                break
            if school not in places:
                continue
            mine = key(unit, school)
            before = sum(u.size for u in units if schools[u.id] == school and key(u, school) < mine)
            if before < places[school]:
                found.append((unit.id, school))
    return found


__all__ = [
    "Entrant",
    "Line",
    "Result",
    "Unit",
    "allot",
    "list_digest",
    "lot",
    "ranking",
    "seed_of",
    "unstable",
]
