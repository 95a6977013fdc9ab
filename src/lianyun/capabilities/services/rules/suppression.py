"""Suppression: which groups of a table of counts may be told, so that no small one can be worked out.

A cell under the smallest group is suppressed, and with it as many others as keep it from being
had by subtraction: from a total in the same table, or from a coarser table of the same service,
which is decided first and by the same rule (complementary cell suppression as national statistical
offices do it: Willenborg and de Waal, Elements of Statistical Disclosure Control, 2001). A group
that is not told and one that does not exist look alike, so neither may be counted for the caller.

Two missing cells in each line are not enough: lines combine. So each small cell gets a cover: the
corners of a box through it, none of them told. Adding one to its even and taking one from its odd
corners leaves every total as it is, so all that is told fits several values of the cell. A cover
of a coarser table is lifted into each finer one, where its corners stand in one slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, islice, product

Key = tuple[str | None, ...]
Cover = frozenset[Key]
# Boxes looked at for one cell: the first that costs nothing is taken, else the cheapest of these.
TRIED = 500


@dataclass(frozen=True)
class Cell:
    """A group: rows, different people or firms in it, and whether another reason forbids telling it."""

    count: int
    units: int
    barred: bool = False


def hidden(cells: Mapping[Key, Cell], least: int) -> set[Key]:
    """The groups of the finest table that must not be told.

    `cells` are the groups that exist, by their values along each dimension (at most three).
    """
    width = len(next(iter(cells))) if cells else 0
    values = [sorted({k[a] for k in cells}, key=str) for a in range(width)]
    decided: dict[tuple[int, ...], set[Key]] = {}
    covers: dict[tuple[int, ...], list[Cover]] = {}
    for size in range(width + 1):
        for axes in combinations(range(width), size):
            table = _margin(cells, axes)
            within = [values[a] for a in axes]
            gone = {k for k, c in table.items() if c.units < least or c.count < least or c.barred}
            covers[axes] = _covers(table, axes, within, gone, covers)
            gone |= {k for cover in covers[axes] for k in cover if k in table}
            decided[axes] = _decide(table, axes, gone, decided, least)
    return decided[tuple(range(width))] if cells else set()


def _margin(cells: Mapping[Key, Cell], axes: tuple[int, ...]) -> dict[Key, Cell]:
    out: dict[Key, Cell] = {}
    for key, cell in cells.items():
        short = tuple(key[a] for a in axes)
        have = out.get(short)
        # People may stand in several cells: their sum is the most that there can be, which errs
        # only where the total is small, and there each cell is small as well.
        out[short] = (
            cell if have is None else Cell(have.count + cell.count, have.units + cell.units)
        )
    return out


def _covers(
    table: Mapping[Key, Cell],
    axes: tuple[int, ...],
    values: list[list[str | None]],
    small: set[Key],
    coarser: Mapping[tuple[int, ...], list[Cover]],
) -> list[Cover]:
    """The covers of a table: those of the next coarser ones lifted, then one for each bare small cell."""
    gone, covered = set(small), set[Key]()
    out: dict[Cover, None] = {}

    def lost(cover: Cover) -> int:
        return sum(table[k].count for k in cover if k in table and k not in gone)

    def take(choices: Iterable[Cover]) -> None:
        best, least = None, 0
        for one in islice(choices, TRIED):
            cost = lost(one)
            if best is None or cost < least:
                best, least = one, cost
            if not cost:
                break
        assert best is not None
        gone.update(best)
        covered.update(best)
        out[best] = None

    for at in range(len(axes)):
        for cover in coarser[axes[:at] + axes[at + 1 :]]:
            lifted = [frozenset((*k[:at], v, *k[at:]) for k in cover) for v in values[at]]
            if not any(one in out for one in lifted):
                take(lifted)
    for key in sorted(small, key=str):
        if key not in covered:
            # Along an axis of one value there is nothing to move: the coarser table covers that.
            others = [[v for v in vs if v != k] or [k] for vs, k in zip(values, key, strict=True)]
            take(frozenset(product(*zip(key, o, strict=True))) for o in product(*others))
    return list(out)


def _decide(
    table: dict[Key, Cell],
    axes: tuple[int, ...],
    gone: set[Key],
    decided: Mapping[tuple[int, ...], set[Key]],
    least: int,
) -> set[Key]:
    """What the covers hide, and in each line enough that what is missing does not show a small sum."""
    lines: list[tuple[list[Key], bool]] = []
    for at in range(len(axes)):
        rest = axes[:at] + axes[at + 1 :]
        grouped: dict[Key, list[Key]] = defaultdict(list)
        for key in table:
            grouped[key[:at] + key[at + 1 :]].append(key)
        lines += [(keys, short not in decided[rest]) for short, keys in grouped.items()]
    # The only group of a told total gives itself away: it is a poor cover for another one.
    alone = {keys[0] for keys, told in lines if told and len(keys) == 1}
    changed = True
    while changed:
        changed = False
        for keys, told in lines:
            inside = [k for k in keys if k in gone]
            if told and not inside:
                continue
            while _open(inside, told, table, least) and len(inside) < len(keys):
                # The smallest that is still told: least is lost.
                nxt = min(
                    (k for k in keys if k not in gone),
                    key=lambda k: (k in alone, table[k].count, tuple(str(v) for v in k)),
                )
                gone.add(nxt)
                inside.append(nxt)
                changed = True
    return gone


def _open(inside: list[Key], told: bool, table: dict[Key, Cell], least: int) -> bool:
    """Whether what is suppressed in a line could still be worked out.

    Where the line's total is told, at least two cells must be missing and together hold enough;
    where it is not told, one missing cell keeps it from being summed up.
    """
    if not told:
        return not inside
    return len(inside) < 2 or sum(table[k].units for k in inside) < least


__all__ = ["Cell", "Key", "hidden"]
