"""History: every former state, every difference, and a batch taken back, whatever came after."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.lake import history, merge, tend
from lianyun.lake.check import ItemCheck
from lianyun.lake.land import Source, from_rows
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake, LakeError

Rows = Callable[..., Source]
State = dict[str, str]

SPEC = DatasetSpec("town", (ItemCheck("id", "编号"), ItemCheck("v", "值")), ("id",))


def source(state: State) -> Source:
    return from_rows(["编号", "值"], [(n, list(row)) for n, row in enumerate(state.items(), 2)])


def states(lake: Lake, codes: list[str]) -> list[State]:
    """The dataset as it stood after each batch."""
    found = []
    with lake.connect(read_only=True) as con:
        for code in codes:
            rows = con.execute(f"SELECT id, v FROM ({history.as_of(con, 'town', batch=code)})")
            listed = rows.fetchall()
            assert len(listed) == len(dict(listed))
            found.append(dict(listed))
    return found


def now(lake: Lake) -> State:
    return {row["id"]: row["v"] for row in merge.read(lake, "town", limit=10_000)}


def apply(state: State, table: Any) -> State:
    """A state with changes (op, before, after) applied; every before must be what was there."""
    made = dict(state)
    for row in table.to_pylist():
        before, after = row["before"], row["after"]
        if before is not None:
            assert made.pop(before["id"]) == before["v"]
        if after is not None:
            made[after["id"]] = after["v"]
        assert (
            row["op"]
            == {
                (True, False): "insert",
                (False, False): "update",
                (False, True): "delete",
            }[before is None, after is None]
        )
    return made


def random_days(lake: Lake, seed: int, days: int) -> tuple[list[str], list[State]]:
    """Loads random full and incremental batches; their codes and the states they left."""
    dice = random.Random(seed)
    state: State = {}
    codes, left = [], []
    for day in range(days):
        part = {
            str(dice.randrange(40)): str(dice.randrange(4)) for _ in range(dice.randrange(1, 15))
        }
        if day and dice.random() < 0.4:
            whole = dict(state) | part
            for gone in dice.sample(sorted(whole), len(whole) // 5):
                del whole[gone]
            load(lake, SPEC, source(whole), "full", f"d{day}", allow_shrink=True)
            state = whole
        else:
            load(lake, SPEC, source(part), "incremental", f"d{day}")
            state = state | part
        codes.append(f"d{day}")
        left.append(dict(state))
    return codes, left


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_former_state_and_every_difference(lake: Lake, seed: int) -> None:
    codes, left = random_days(lake, seed, 9)
    assert states(lake, codes) == left
    assert now(lake) == left[-1]
    for i in range(len(codes)):
        for j in range(i, len(codes)):
            found = history.difference(lake, "town", codes[i], codes[j])
            assert apply(left[i], found) == left[j]
            touched = {
                k for k in left[i].keys() | left[j].keys() if left[i].get(k) != left[j].get(k)
            }
            assert found.num_rows == len(touched)
    state: State = {}
    seen = []
    for done, table in history.feed(lake, "town"):
        state = apply(state, table)
        seen.append(done.batch)
    assert (seen, state) == (codes, left[-1])
    assert [d.batch for d, _ in history.feed(lake, "town", codes[3])] == codes[4:]
    assert list(history.feed(lake, "town", codes[-1])) == []
    # Compaction and forgotten snapshots take nothing away.
    for schema in ("trusted", "changes", "raw"):
        assert tend.tend_table(lake, schema, "town")
    tend.forget(lake, "0 seconds")
    assert states(lake, codes) == left


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_the_last_batch_taken_back_leaves_what_was_before(lake: Lake, seed: int) -> None:
    codes, left = random_days(lake, seed, 5)
    plan = history.preview_undo(lake, "town", codes[-1])
    done = history.take_back(lake, "town", codes[-1], "u1")
    assert now(lake) == left[-2]
    assert (done.deleted, done.updated, done.inserted, done.kept) == (
        plan.removed,
        plan.replaced,
        plan.restored,
        0,
    )
    assert (done.landed, done.accepted, done.rejected) == (0, 0, 0)
    assert history.take_back(lake, "town", codes[-1], "u1").repeated
    with pytest.raises(LakeError, match="已经由“u1”撤回"):
        history.take_back(lake, "town", codes[-1], "u2")
    with pytest.raises(LakeError, match="不能再撤回"):
        history.take_back(lake, "town", "u1", "u2")
    # The taking back is a batch like any other: history and feed go through it.
    assert states(lake, [*codes, "u1"]) == [*left, left[-2]]
    again = load(lake, SPEC, source({"1": "x"}), "incremental", "after")
    assert again.accepted == 1


def test_rows_changed_since_stay(lake: Lake) -> None:
    load(lake, SPEC, source({"1": "a", "2": "a", "3": "a"}), "full", "b1")
    load(lake, SPEC, source({"1": "b", "2": "b", "4": "b"}), "full", "b2")
    load(lake, SPEC, source({"1": "c", "3": "c"}), "incremental", "b3")
    plan = history.preview_undo(lake, "town", "b2")
    assert plan == history.Undone(removed=1, replaced=1, restored=0, kept=2)
    done = history.take_back(lake, "town", "b2", "u")
    assert done.kept == 2
    assert now(lake) == {"1": "c", "2": "a", "3": "c"}


def test_refused_rows_of_a_batch_taken_back_ask_for_nothing(
    lake: Lake, people: DatasetSpec, rows: Rows
) -> None:
    load(lake, people, rows(("12", "无号", "1", "1991-01-01")), "full", "b1")
    assert len(merge.rejects(lake, "people")) == 1
    history.take_back(lake, "people", "b1", "u")
    assert merge.rejects(lake, "people") == []
    assert len(merge.rejects(lake, "people", "b1")) == 1


def test_a_batch_that_is_not_there(lake: Lake) -> None:
    load(lake, SPEC, source({"1": "a"}), "full", "b1")
    with pytest.raises(LakeError, match="没有批次"):
        history.take_back(lake, "town", "b9", "u")
    with pytest.raises(LakeError, match="游标无效"):
        list(history.feed(lake, "town", "b9"))
    with pytest.raises(LakeError, match="没有批次"):
        history.difference(lake, "town", "b1", "b9")
