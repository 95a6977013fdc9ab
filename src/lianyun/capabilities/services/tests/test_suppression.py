"""Suppression: whoever holds every table that a service gives cannot work a small group out."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.capabilities.services.rules.suppression import Cell, Key, hidden

LEAST = 5


@st.composite
def tables(draw: st.DrawFn) -> dict[Key, int]:
    """Counts over two or three dimensions of two to four values."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=2, max_size=3))
    keys = list(product(*([chr(97 + v) for v in range(size)] for size in sizes)))
    counts = draw(
        st.lists(
            st.one_of(st.integers(0, 9), st.integers(5, 400)),
            min_size=len(keys),
            max_size=len(keys),
        )
    )
    return {k: c for k, c in zip(keys, counts, strict=True) if c}


def margin(table: dict[Key, int], axes: tuple[int, ...]) -> dict[Key, int]:
    """A coarser table."""
    out: dict[Key, int] = defaultdict(int)
    for key, count in table.items():
        out[tuple(key[a] for a in axes)] += count
    return dict(out)


def told(table: dict[Key, int], axes: tuple[int, ...]) -> dict[Key, int]:
    """What the service gives when asked by these dimensions."""
    short = margin(table, axes)
    gone = hidden({k: Cell(c, c) for k, c in short.items()}, LEAST)
    return {k: c for k, c in short.items() if k not in gone}


@settings(max_examples=150, deadline=None)
@given(tables())
def test_no_small_group_follows_from_all_that_is_told(table: dict[Key, int]) -> None:
    if not table:
        return
    width = len(next(iter(table)))
    values = [sorted({k[a] for k in table}) for a in range(width)]
    # The attacker does not know which groups exist: each combination is an unknown.
    unknown = list(product(*values))
    place = {k: n for n, k in enumerate(unknown)}
    lines, small = [], []
    for size in range(width + 1):
        for axes in combinations(range(width), size):
            given_ = told(table, axes)
            for key, count in margin(table, axes).items():
                row = np.zeros(len(unknown))
                for cell in unknown:
                    if tuple(cell[a] for a in axes) == key:
                        row[place[cell]] = 1
                if key in given_:
                    lines.append(row)
                    assert count >= LEAST
                elif count < LEAST:
                    small.append((key, row))
    known = np.array(lines) if lines else np.zeros((0, len(unknown)))
    rank = np.linalg.matrix_rank(known) if len(known) else 0
    for key, row in small:
        assert np.linalg.matrix_rank(np.vstack([known, row])) > rank, (key, table)


def test_two_alone_hide_one_more() -> None:
    cells = {("A",): Cell(100, 100), ("B",): Cell(60, 60), ("C",): Cell(2, 2)}
    assert hidden(cells, LEAST) == {("B",), ("C",)}


def test_many_rows_of_few_people_are_a_small_group() -> None:
    cells = {("A",): Cell(100, 2), ("B",): Cell(60, 60), ("D",): Cell(90, 90)}
    assert ("A",) in hidden(cells, LEAST)


def test_nothing_small_nothing_hidden() -> None:
    assert hidden({("A",): Cell(9, 9), ("B",): Cell(7, 7)}, LEAST) == set()
    assert hidden({}, LEAST) == set()
