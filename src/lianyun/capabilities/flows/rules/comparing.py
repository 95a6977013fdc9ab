"""Comparing: how two versions of decision tables differ: columns, rows, cells."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lianyun.decision import Table

from .words import cell_words, policy_of

SAME, ADDED, REMOVED, CHANGED, GAP = "", "added", "removed", "changed", "gap"
WORDS = {ADDED: "新增", REMOVED: "去掉", CHANGED: "修改"}
MOST_PAIRS = 40_000
_AROUND = 1
"""Unchanged rows shown on each side of a changed one."""


@dataclass(frozen=True)
class Cell:
    """One cell: its column's title, what stands in it, and what stood there before where it differs."""

    label: str
    text: str
    before: str = ""
    then: bool = False
    changed: bool = False


@dataclass(frozen=True)
class Row:
    """One rule: its number before and now (0: none), what became of it, its cells and its note."""

    kind: str
    was: int
    number: int
    cells: tuple[Cell, ...] = ()
    note: Cell = Cell("依据与说明", "")
    left_out: int = 0

    @property
    def word(self) -> str:
        """What became of it, in a word."""
        return WORDS.get(self.kind, "")


@dataclass(frozen=True)
class TableChange:
    """One table of two versions: what is told of it as a whole, its columns, and its rows."""

    title: str
    words: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[Row, ...]


_Line = tuple[tuple[str, ...], tuple[str, ...], str]


def compare_tables(before: Sequence[Table], now: Sequence[Table]) -> list[TableChange]:
    """Every table that is not the same in both, those of `now` in their order, then those that went."""
    old = {t.name: t for t in before}
    if len(before) == len(now) == 1:  # one table is the same one under whatever name
        old = {now[0].name: before[0]}
    names = {t.name for t in now}
    out = [_compared(old.get(t.name), t) for t in now]
    out += [_compared(t, None) for t in old.values() if t.name not in names]
    return [c for c in out if c is not None]


def _compared(before: Table | None, now: Table | None) -> TableChange | None:
    shown = now or before
    assert shown is not None
    words = []
    if before is None or now is None:
        words.append("新增的决策表" if before is None else "去掉的决策表")
    else:
        if before.title != now.title:
            words.append(f"名称由“{before.title}”改为“{now.title}”")
        if before.policy != now.policy:
            words.append(f"命中策略由“{policy_of(before)}”改为“{policy_of(now)}”")
        words += _columns(before, now)
    rows = tuple(_rows(before, now, shown))
    if not words and all(r.kind in (SAME, GAP) for r in rows):
        return None
    return TableChange(
        shown.title,
        tuple(words),
        tuple(c.title for c in shown.inputs),
        tuple(o.title or o.name for o in shown.outputs),
        rows,
    )


def _columns(before: Table, now: Table) -> Iterator[str]:
    for noun, old, new in (
        ("条件", _asked(before), _asked(now)),
        ("结果", _given(before), _given(now)),
    ):
        for key in new.keys() - old.keys():
            yield f"新增{noun}列“{new[key][0]}”"
        for key in old.keys() - new.keys():
            yield f"去掉{noun}列“{old[key][0]}”"
        for key in [k for k in new if k in old and old[k] != new[k]]:
            was, told = ("，".join(filter(None, v)) for v in (old[key], new[key]))
            yield f"{noun}列“{old[key][0]}”由“{was}”改为“{told}”"


def _asked(table: Table) -> dict[str, tuple[str, str, str]]:
    return {c.expression: (c.title, c.type, c.values) for c in table.inputs}


def _given(table: Table) -> dict[str, tuple[str, str, str]]:
    return {o.name: (o.title or o.name, o.type, "、".join(o.values)) for o in table.outputs}


def _lines(table: Table | None, shown: Table) -> list[_Line]:
    """A table's rules in the columns of the one that is shown; a column it lacks is any value."""
    if table is None:
        return []
    asked = {c.expression: n for n, c in enumerate(table.inputs)}
    given = {o.name: n for n, o in enumerate(table.outputs)}
    return [
        (
            tuple(
                r.tests[asked[c.expression]] if c.expression in asked else "-" for c in shown.inputs
            ),
            tuple(r.results[given[o.name]] if o.name in given else "" for o in shown.outputs),
            "；".join(r.notes),
        )
        for r in table.rules
    ]


def _rows(before: Table | None, now: Table | None, shown: Table) -> Iterator[Row]:
    old, new = _lines(before, shown), _lines(now, shown)
    found: list[Row] = []
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for tag, a, b, c, d in codes:
        if tag == "equal":
            found += [
                _row(SAME, shown, None, new[c + n], a + n + 1, c + n + 1) for n in range(b - a)
            ]
            continue
        for was, number in _pairs(old[a:b], new[c:d]):
            if was is None:
                assert number is not None
                found.append(_row(ADDED, shown, None, new[c + number], 0, c + number + 1))
            elif number is None:
                found.append(_row(REMOVED, shown, None, old[a + was], a + was + 1, 0))
            else:
                one, other = old[a + was], new[c + number]
                found.append(_row(CHANGED, shown, one, other, a + was + 1, c + number + 1))
    near = [
        any(r.kind for r in found[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(found))
    ]
    left = 0
    for row, wanted in zip(found, near, strict=True):
        if not wanted:
            left += 1
            continue
        if left:
            yield Row(GAP, 0, 0, left_out=left)
            left = 0
        yield row
    if left:
        yield Row(GAP, 0, 0, left_out=left)


def _alike(one: _Line, other: _Line) -> int:
    """How many cells and notes two rows share, a note counting as two."""
    cells = zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True)
    return sum(a == b and a not in ("", "-") for a, b in cells) + 2 * (one[2] == other[2] != "")


def _pairs(old: list[_Line], new: list[_Line]) -> list[tuple[int | None, int | None]]:
    """Which old row became which new one, in their order: those most alike; None: gone, or new."""
    if len(old) * len(new) > MOST_PAIRS:
        both = min(len(old), len(new))
        out: list[tuple[int | None, int | None]] = [(n, n) for n in range(both)]
        return out + [(n, None) for n in range(both, len(old))] + [(None, n) for n in range(both, len(new))]  # fmt: skip
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            met = _alike(old[i], new[j])
            best[i][j] = max(
                best[i + 1][j], best[i][j + 1], (met + best[i + 1][j + 1]) if met else 0
            )
    out, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        met = _alike(old[i], new[j]) if i < len(old) and j < len(new) else 0
        if met and best[i][j] == met + best[i + 1][j + 1]:
            out.append((i, j))
            i, j = i + 1, j + 1
        elif i < len(old) and (j == len(new) or best[i][j] == best[i + 1][j]):
            out.append((i, None))
            i += 1
        else:
            out.append((None, j))
            j += 1
    return out


def _row(kind: str, shown: Table, old: _Line | None, new: _Line, was: int, number: int) -> Row:
    labels = [(c.title, "", False) for c in shown.inputs]
    labels += [(o.title or o.name, o.name, True) for o in shown.outputs]
    texts = (*new[0], *new[1])
    befores = (*old[0], *old[1]) if old is not None else texts
    cells = tuple(
        Cell(label, cell_words(text, name), cell_words(before, name), then, before != text)
        for (label, name, then), text, before in zip(labels, texts, befores, strict=True)
    )
    note = Cell(
        "依据与说明", new[2], old[2] if old else "", changed=old is not None and old[2] != new[2]
    )
    return Row(kind, was, number, cells, note)


__all__ = ["Cell", "Row", "TableChange", "compare_tables"]
