"""A portion: whoever applies its upserts and deletions always holds what he may have, nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lianyun.lake.check import ItemCheck
from lianyun.lake.land import Source, from_rows
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.portion import OPAQUE, Portion, Taken, positions, take
from lianyun.lake.shelves import Lake, LakeError

SPEC = DatasetSpec(
    "town", (ItemCheck("id", "编号"), ItemCheck("area", "区"), ItemCheck("name", "名")), ("id",)
)
BAG = DatasetSpec("bag", (ItemCheck("area", "区"), ItemCheck("name", "名")))
Row = tuple[str, ...]


def source(titles: list[str], rows: list[Row]) -> Source:
    return from_rows(titles, [(n, list(row)) for n, row in enumerate(rows, 2)])


def apply(held: dict[Row, dict[str, Any]], taken: Taken) -> int:
    """The receiver's rows by key after a portion; returns how many rows it was told of."""
    if taken.full:
        held.clear()
    told = 0
    if taken.gone:
        for batch in taken.batches(taken.gone, 3):
            for row in batch.to_pylist():
                assert held.pop(tuple(row.values())) is not None
                told += 1
    if taken.full:
        for batch in taken.batches(taken.ordered, 3):
            for row in batch.to_pylist():
                held[tuple(row[k] for k in taken.keys)] = row
                told += 1
    last: Row = ()
    for piece in taken.pieces:
        counts = []
        for sql, known in ((piece.come, False), (piece.changed, True)):
            rows = [row for batch in taken.batches(sql, 3) for row in batch.to_pylist()]
            counts.append(len(rows))
            for row in rows:
                key = tuple(row[k] for k in taken.keys)
                assert (key in held) is known
                assert key > last  # in the order of the key, piece after piece
                held[key] = row
        assert counts == [piece.newcomers, piece.others]
        told += sum(counts)
        last = max(
            (tuple(row[k] for k in taken.keys) for row in _rows(taken, piece.rows)), default=last
        )
    assert told == taken.upserts + taken.deletes
    assert _rows(taken, taken.ordered) == _rows(
        taken, f"FROM ({taken.rows}) ORDER BY {', '.join(taken.keys)}"
    )
    by_piece = taken.persons_by_piece() if not taken.full else []
    named = [set(people) for people in by_piece]
    assert taken.full or set().union(*named) == set(taken.persons())
    if taken.natural and taken.portion.people == taken.keys:
        for piece, people in zip(taken.pieces, named, strict=True):
            assert {row[taken.keys[0]] for row in _rows(taken, piece.rows)} <= people
    return told


def _rows(taken: Taken, sql: str) -> list[dict[str, Any]]:
    return [row for batch in taken.batches(sql, 3) for row in batch.to_pylist()]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of a few rows come in several pieces."""
    monkeypatch.setattr("lianyun.lake.portion.PIECE_ROWS", 4)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
@pytest.mark.parametrize("opaque", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_receiver_always_holds_its_scope(lake: Lake, seed: int, opaque: bool) -> None:
    dice = random.Random(seed)
    masks = {"name": "name", **({"id": "account"} if opaque else {})}
    portion = Portion("town", ("id", "name"), masks, {"area": ("1", "2")}, secret="s")
    state: dict[str, Row] = {}
    held: dict[Row, dict[str, Any]] = {}
    since, shape = "", ""
    for day in range(14):
        for _ in range(dice.randrange(1, 12)):
            number = f"k{dice.randrange(25)}"
            if dice.random() < 0.3:
                state.pop(number, None)
            else:
                state[number] = (number, str(dice.randrange(4)), f"人{dice.randrange(3)}")
        rows = list(state.values()) or [("k0", "1", "人0")]
        state = {r[0]: r for r in rows}
        load(lake, SPEC, source(["编号", "区", "名"], rows), "full", f"b{day}", allow_shrink=True)
        if dice.random() < 0.4:
            continue  # the receiver is away
        while True:
            with take(lake, portion, since, most=dice.choice([1, 5, 1000]), shape=shape) as taken:
                if taken is None:
                    break
                apply(held, taken)
                since, shape = taken.upto, taken.shape
                assert taken.natural is not opaque
        wanted = sorted(
            ("****" + r[0][-4:] if opaque else r[0], r[2][0] + "*" * (len(r[2]) - 1))
            for r in state.values()
            if r[1] in "12"
        )
        assert sorted((r["id"], r["name"]) for r in held.values()) == wanted


def test_what_the_receiver_may_not_see_is_not_mentioned(lake: Lake) -> None:
    portion = Portion("town", ("id", "name"), {}, {"area": ("1", "2")}, people=("id",))
    titles = ["编号", "区", "名"]
    load(
        lake,
        SPEC,
        source(titles, [("a", "1", "甲"), ("b", "3", "乙"), ("c", "1", "丙")]),
        "full",
        "b0",
    )
    load(
        lake,
        SPEC,
        source(titles, [("a", "2", "甲"), ("b", "1", "乙"), ("c", "3", "丙")]),
        "full",
        "b1",
    )
    with take(lake, portion, "b0") as taken:
        assert taken is not None
        assert (taken.upserts, taken.deletes) == (1, 1)  # a moved inside the scope: no news
        assert sorted(taken.persons()) == ["b", "c"]
        held: dict[Row, dict[str, Any]] = {("a",): {}, ("c",): {}}
        apply(held, taken)
        assert set(held) == {("a",), ("b",)}
    with take(lake, portion, "b1") as nothing:
        assert nothing is None
    assert positions(lake, portion) == ["b0", "b1"]


def test_rows_without_a_key_are_told_apart_without_telling_anything(lake: Lake) -> None:
    titles = ["区", "名"]
    rows = [("1", "甲"), ("1", "甲"), ("2", "乙")]
    load(lake, BAG, source(titles, rows), "full", "b0")
    portion = Portion("bag", ("name",), secret="one")
    held: dict[Row, dict[str, Any]] = {}
    with take(lake, portion) as taken:
        assert taken is not None
        assert taken.keys == (OPAQUE,)
        apply(held, taken)
        shape = taken.shape
    assert sorted(r["name"] for r in held.values()) == ["乙", "甲"]
    load(lake, BAG, source(titles, [("1", "甲"), ("3", "丙")]), "full", "b1", allow_shrink=True)
    with take(lake, portion, "b0", shape=shape) as taken:
        assert taken is not None
        apply(held, taken)
    assert sorted(r["name"] for r in held.values()) == ["丙", "甲"]
    with take(lake, Portion("bag", ("name",), secret="two")) as taken:
        assert taken is not None
        other = {row[OPAQUE] for b in taken.batches(taken.rows) for row in b.to_pylist()}
    assert not other & {key[0] for key in held}


def test_another_shape_or_an_unknown_position_gives_all_anew(lake: Lake) -> None:
    titles = ["编号", "区", "名"]
    load(lake, SPEC, source(titles, [("a", "1", "甲")]), "full", "b0")
    load(lake, SPEC, source(titles, [("a", "1", "乙")]), "full", "b1")
    narrow = Portion("town", ("id",))
    with take(lake, Portion("town", ("id", "name")), "b0") as wide:
        assert wide is not None
        assert not wide.full
    with take(lake, narrow, "b0", shape=wide.shape) as taken:
        assert taken is not None
        assert taken.full
    with take(lake, narrow, "b1", shape=wide.shape) as taken:
        assert taken is not None
        assert taken.full
    with take(lake, narrow, "lost") as taken:
        assert taken is not None
        assert (taken.full, taken.upto) == (True, "b1")
    with take(lake, narrow, "", "b0") as taken:
        assert taken is not None
        assert taken.upto == "b0"
    with take(lake, Portion("town", ("id",), scope={"gone": ("1",)})) as taken:
        assert taken is not None
        assert taken.upserts == 0
    with pytest.raises(LakeError), take(lake, Portion("nobody", ("id",))):
        pass


def test_an_area_is_the_beginning_of_a_code(lake: Lake) -> None:
    portion = Portion("town", ("id", "area"), within={"area": "32"})

    def stand(rows: list[Row], batch: str) -> None:
        load(lake, SPEC, source(["编号", "区", "名"], rows), "full", batch, allow_shrink=True)

    stand([("a", "3201", "甲"), ("b", "3301", "乙"), ("c", "3202", "丙")], "b1")
    held: dict[Row, dict[str, Any]] = {}
    with take(lake, portion) as taken:
        assert taken is not None
        apply(held, taken)
    assert sorted(held) == [("a",), ("c",)]
    # One leaves the area, one comes into it, one moves within it, one has no area any more.
    stand([("a", "3301", "甲"), ("b", "3201", "乙"), ("c", "3209", "丙"), ("d", "", "丁")], "b2")
    with take(lake, portion, "b1", shape=taken.shape) as later:
        assert later is not None
        assert (later.full, later.upserts, later.deletes) == (False, 2, 1)
        apply(held, later)
    assert {k: r["area"] for (k,), r in held.items()} == {"b": "3201", "c": "3209"}
    # Another area asks for all anew; a column that is not there gives nothing.
    with take(
        lake, Portion("town", ("id", "area"), within={"area": "33"}), "b2", shape=later.shape
    ) as anew:
        assert anew is not None
        assert (anew.full, anew.upserts) == (True, 1)
    with take(lake, Portion("town", ("id",), within={"gone": "32"})) as none:
        assert none is not None
        assert none.upserts == 0


@pytest.mark.slow
def test_pieces_of_a_large_change_name_their_own_people(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where several threads scan: who stands in a piece is among its people, in order."""
    monkeypatch.setattr("lianyun.lake.portion.PIECE_ROWS", 100_000)
    titles, count = ["编号", "区", "名"], 350_000
    for day, name in enumerate(("甲", "乙")):
        rows = [(f"k{(n * 7919) % count:07d}", "1", name) for n in range(count)]
        load(lake, SPEC, source(titles, rows), "full", f"b{day}")
    portion = Portion("town", ("id", "name"), {}, {}, people=("id",))
    with take(lake, portion, "b0") as taken:
        assert taken is not None
        assert [p.others for p in taken.pieces] == [100_000] * 3 + [50_000]
        held: dict[Row, dict[str, Any]] = {(f"k{n:07d}",): {} for n in range(count)}
        apply(held, taken)
