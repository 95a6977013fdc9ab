"""Merge: what lands is accepted or rejected, a batch is whole or absent, and again is safe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lianyun.lake import merge, tend
from lianyun.lake.check import ItemCheck
from lianyun.lake.infer import infer
from lianyun.lake.land import Source, from_rows, open_file
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Busy, Lake, LakeError, as_of

from .conftest import ANNA, BORIS, CARLA

Rows = Callable[..., Source]


def table(lake: Lake, name: str = "people") -> dict[str, tuple[Any, ...]]:
    with lake.connect(read_only=True) as con:
        found = con.execute(f"SELECT id, name, amount FROM lake.trusted.{name}").fetchall()
    return {r[0]: (r[1], None if r[2] is None else str(r[2])) for r in found}


def test_a_dataset_lives_through_its_batches(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    told: list[float] = []
    first = load(
        lake,
        people,
        rows((ANNA, "安", "1.50", "19910101"), (BORIS, "伯", "2000", ""), ("x", "丙", "1", "")),
        "full",
        "b1",
        lambda fraction, message: told.append(fraction),
    )
    assert (first.landed, first.accepted, first.rejected) == (3, 2, 1)
    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    assert first.rules["much"] == {"failed": 0, "warned": 1}
    assert first.rules["id.format"] == {"failed": 1, "warned": 0}
    assert told == sorted(told)
    assert told[-1] == 1.0

    again = load(lake, people, rows((ANNA, "别的", "9", "")), "full", "b1")
    assert again.repeated
    assert again.snapshot == first.snapshot
    assert table(lake)[ANNA] == ("安", "1.50")

    second = load(
        lake,
        people,
        rows((ANNA, "安", "1.5", "1991-01-01"), (BORIS, "伯", "3", ""), (CARLA, "嘉", "4", "")),
        "incremental",
        "b2",
    )
    assert (second.inserted, second.updated, second.unchanged, second.rejected) == (0, 1, 1, 1)
    assert second.snapshot > first.snapshot
    with lake.connect(read_only=True) as con:
        old = as_of("trusted", "people", snapshot=first.snapshot)
        assert con.execute(f"SELECT amount FROM {old} WHERE id = '{BORIS}'").fetchone() == (2000,)

    third = load(lake, people, rows((ANNA, "安", "1.50", "1991/1/1")), "full", "b3")
    assert (third.unchanged, third.deleted) == (1, 1)
    assert set(table(lake)) == {ANNA}

    seen = {
        b: sorted(
            (r["op"], (r["after"] or r["before"])["id"])
            for r in merge.changes(lake, "people", b).to_pylist()
        )
        for b in ("b1", "b2", "b3")
    }
    assert seen == {
        "b1": [("insert", ANNA), ("insert", BORIS)],
        "b2": [("update", BORIS)],
        "b3": [("delete", BORIS)],
    }
    (update,) = merge.changes(lake, "people", "b2").to_pylist()
    assert (str(update["before"]["amount"]), str(update["after"]["amount"])) == ("2000.00", "3.00")
    assert [o.batch for o in merge.batches(lake, "people")] == ["b1", "b2", "b3"]


def test_what_the_source_has_no_more_goes_in_the_same_batch(
    lake: Lake, people: DatasetSpec, rows: Rows
) -> None:
    dora = "440882199102104195"

    def gone(*keys: str) -> pa.Table:
        return pa.table({"id": list(keys)})

    first = rows((ANNA, "安", "1", ""), (BORIS, "伯", "2", ""))
    load(lake, people, first, "incremental", "b1", gone=gone(dora))
    done = load(
        lake,
        people,
        rows((ANNA, "安", "3", ""), (dora, "嘉", "4", "")),
        "incremental",
        "b2",
        # What comes again in the same breath stays; what was never there is no matter.
        gone=gone(BORIS, dora, "nobody"),
    )
    assert (done.landed, done.inserted, done.updated, done.deleted) == (2, 1, 1, 1)
    assert set(table(lake)) == {ANNA, dora}
    ops = merge.changes(lake, "people", "b2").column("op").to_pylist()
    assert sorted(ops) == ["delete", "insert", "update"]
    only = load(lake, people, rows(), "incremental", "b3", gone=gone(ANNA))
    assert (only.landed, only.deleted) == (0, 1)
    assert set(table(lake)) == {dora}
    for mode, keys in (("full", gone(dora)), ("incremental", pa.table({"name": ["嘉"]}))):
        with pytest.raises(LakeError, match="主键"):
            load(lake, people, rows(), mode, "b4", gone=keys)


def test_a_shrunken_full_load_is_refused(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    load(lake, people, rows((ANNA, "安", "1", ""), (BORIS, "伯", "2", "")), "full", "b1")
    with pytest.raises(merge.ShrinkRefused):
        load(lake, people, rows(), "full", "b2")
    with pytest.raises(merge.ShrinkRefused):
        load(lake, people, rows(("360426199101010072", "新", "1", "")), "full", "b3")
    assert merge.outcome_of(lake, "b2") is None
    assert len(table(lake)) == 2
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT count(*) FROM lake.raw.people").fetchone() == (2,)
    done = load(lake, people, rows((ANNA, "安", "1", "")), "full", "b4", allow_shrink=True)
    assert done.deleted == 1


def test_a_rejected_row_does_not_delete_what_is_known(
    lake: Lake, people: DatasetSpec, rows: Rows
) -> None:
    load(lake, people, rows((ANNA, "安", "1", ""), (BORIS, "伯", "2", "")), "full", "b1")
    done = load(lake, people, rows((ANNA, "安", "坏", ""), (BORIS, "伯", "2", "")), "full", "b2")
    assert (done.rejected, done.deleted, done.unchanged) == (1, 0, 1)
    assert table(lake)[ANNA] == ("安", "1.00")


def test_twins_in_one_batch(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    done = load(
        lake,
        people,
        rows(
            (ANNA, "安", "1", ""),
            (ANNA, "安", "1.0", ""),
            (BORIS, "伯", "2", ""),
            (BORIS, "伯", "3", ""),
        ),
        "full",
        "b1",
    )
    assert (done.inserted, done.unchanged, done.rejected) == (1, 1, 2)
    found = merge.rejects(lake, "people", "b1")
    assert [(r["line"], r["codes"]) for r in found] == [
        (4, ["row.duplicate_key"]),
        (5, ["row.duplicate_key"]),
    ]
    assert "第 4、5 行" in found[0]["reasons"][0]
    assert found[0]["raw"]["金额"] == "2"


def test_with_a_watermark_the_newest_twin_wins(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    spec = replace(people, watermark="born")
    done = load(
        lake,
        spec,
        rows((ANNA, "新", "1", "2024-02-01"), (ANNA, "旧", "1", "2024-01-01")),
        "incremental",
        "b1",
    )
    assert (done.inserted, done.unchanged, done.rejected) == (1, 1, 0)
    assert done.watermark == "2024-02-01"
    assert table(lake)[ANNA][0] == "新"


def test_keyless_and_append(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    keyless = replace(people, name="loose", key=())
    first = load(lake, keyless, rows((ANNA, "安", "1", ""), (ANNA, "安", "1", "")), "full", "k1")
    assert (first.inserted, first.unchanged) == (1, 1)
    second = load(lake, keyless, rows((ANNA, "安", "1", ""), (BORIS, "伯", "1", "")), "full", "k2")
    assert (second.inserted, second.unchanged, second.deleted) == (1, 1, 0)
    events = replace(people, name="events")
    for batch in ("e1", "e2"):
        done = load(lake, events, rows((ANNA, "安", "1", "")), "append", batch)
        assert done.inserted == 1
    assert len(merge.changes(lake, "events", "e2")) == 1


def test_contracts(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    wide = ("公民身份号码", "姓名", "金额", "出生日期", "手机号码", "是否在册")
    source = rows((ANNA, "安", "1", "", "139", ""), (BORIS, "伯", "2", "", "", ""), columns=wide)

    def run(contract: str) -> merge.Outcome:
        spec = replace(people, name=f"c_{contract}", contract=contract)
        load(lake, spec, rows((ANNA, "安", "1", "")), "incremental", f"{contract}.1")
        return load(lake, spec, source, "incremental", f"{contract}.2")

    evolved = run("evolve")
    assert evolved.columns_added == ("mobile", "shi_fou_zai_ce")
    assert (evolved.updated, evolved.inserted) == (1, 1)
    ignored = run("discard_value")
    assert ignored.columns_ignored == ("手机号码", "是否在册")
    assert (ignored.unchanged, ignored.inserted) == (1, 1)
    dropped = run("discard_row")
    assert (dropped.rejected, dropped.inserted) == (1, 1)
    assert (
        "出现未登记的列" in merge.rejects(lake, "c_discard_row", "discard_row.2")[0]["reasons"][0]
    )
    with pytest.raises(merge.ContractBroken, match="多出列：手机号码、是否在册"):
        run("freeze")
    with pytest.raises(merge.ContractBroken, match="缺少主键列"):
        load(lake, people, rows(("安",), columns=["姓名"]), "full", "x")
    narrow = load(lake, people, rows((ANNA, "安"), columns=["身份证号", "姓名"]), "full", "y")
    assert narrow.columns_missing == ("金额", "出生日期")


def test_corrected_rows_are_sent_again(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    load(lake, people, rows((ANNA, "安", "一", ""), ("bad", "伯", "2", "")), "full", "b1")
    bad = merge.rejects(lake, "people", "b1")
    assert len(bad) == 2
    fixed = [(bad[0]["line"], {**bad[0]["raw"], "金额": "1"}), (bad[1]["line"], bad[1]["raw"])]
    done = merge.resend(lake, people, "b1", fixed, "b2")
    assert (done.accepted, done.rejected) == (1, 1)
    state = {r["line"]: r["corrected_by"] for r in merge.rejects(lake, "people", "b1")}
    assert state == {2: "b2", 3: None}


def test_names_are_never_sql(lake: Lake, people: DatasetSpec) -> None:
    for name in ('x"; DROP TABLE y; --', "大写", "Big", "", "a" * 61, "lake.raw"):
        with pytest.raises(LakeError):
            replace(people, name=name)
        with pytest.raises(LakeError):
            merge.rejects(lake, name)
    hostile = '\'); DROP TABLE x; -- "列"'
    spec = DatasetSpec("hostile", (ItemCheck("a", hostile),), ("a",))
    done = load(
        lake,
        spec,
        from_rows([hostile, 'b"'], [(1, ("'; --", '"'))]),
        "full",
        "h'1".replace("'", "_"),
    )
    assert done.inserted == 1
    with pytest.raises(LakeError):
        load(lake, spec, from_rows([hostile], [(1, ("x",))]), "full", "x'; DROP")


def test_two_loads_of_one_table_at_once(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    outcomes: list[merge.Outcome] = []

    def run(batch: str, who: str) -> None:
        source = rows((who, "名", "1", ""), (CARLA, "坏", "1", ""))
        outcomes.append(load(lake, people, source, "incremental", batch))

    threads = [
        threading.Thread(target=run, args=(f"t{i}", w)) for i, w in enumerate((ANNA, BORIS, ANNA))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(o.batch for o in outcomes) == ["t0", "t1", "t2"]
    assert sum(o.inserted for o in outcomes) == 2
    assert set(table(lake)) == {ANNA, BORIS}
    with lake.writer("dataset.people"), pytest.raises(Busy):
        load(lake, people, rows((ANNA, "名", "1", "")), "incremental", "t9", wait=0.2)


CHILD = """
    import sys, time
    from lianyun.lake.check import ItemCheck
    from lianyun.lake.land import open_file
    from lianyun.lake.merge import DatasetSpec, load
    from lianyun.lake.shelves import Lake
    lake = Lake(sys.argv[1], sys.argv[2], memory_limit="300MB")
    spec = DatasetSpec("big", (ItemCheck("n", "编号", "N"), ItemCheck("t", "文字")), ("n",))
    def tell(fraction, message):
        print(fraction, flush=True)
        if fraction >= float(sys.argv[4]):
            time.sleep(60)
    load(lake, spec, open_file(sys.argv[3]), "full", "k1", tell)
"""


@pytest.mark.parametrize("moment", [0.55, 0.95])
def test_killed_in_the_middle(lake: Lake, tmp_path: Path, moment: float) -> None:
    path = tmp_path / "a.csv"
    lines = [f"{n},{'连云港' * 5}{n}" for n in range(20_000)]
    path.write_text("\n".join(["编号,文字", *lines]), encoding="utf-8")
    script = textwrap.dedent(CHILD)
    child = subprocess.Popen(
        [sys.executable, "-c", script, lake.dsn, lake.folder, str(path), str(moment)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if float(line) >= moment:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with lake.connect(read_only=True) as con:
        tables = con.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'big'"
        ).fetchone()
        assert tables == (0,)
    assert merge.outcome_of(lake, "k1") is None
    written = list(Path(lake.folder).rglob("*.parquet"))
    assert written
    spec = DatasetSpec("big", (ItemCheck("n", "编号", "N"), ItemCheck("t", "文字")), ("n",))
    begun = time.monotonic()
    done = load(lake, spec, open_file(path), "full", "k1")
    assert time.monotonic() - begun < 60
    assert (done.landed, done.accepted, done.inserted) == (20_000, 20_000, 20_000)
    assert len(lake.orphans(older_than="0 seconds")) >= len(written)
    assert merge.profile(lake, "big")["rows"] == 20_000
    assert tend.tend_table(lake, "trusted", "big")
    tend.forget(lake, "0 seconds")
    assert merge.profile(lake, "big")["rows"] == 20_000


def test_a_load_that_fails_leaves_nothing(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    source = rows((ANNA, "安", "1", ""))

    def broken(_: Source) -> Any:
        yield next(iter(source.start(source)))
        raise OSError("网络中断")

    with pytest.raises(Exception, match="网络中断"):
        load(lake, people, replace(source, start=broken), "full", "b1")
    assert merge.outcome_of(lake, "b1") is None
    assert load(lake, people, source, "full", "b1").inserted == 1


def test_infer_then_load(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "册.csv"
    head = "身份证号,姓名,登记日期,注册资金（万元）,区划代码,备注"
    body = [
        f"{ANNA if n % 2 else BORIS},名{n},2024/1/{n % 28 + 1},{n}.50,320706,第{n}行"
        for n in range(60)
    ]
    path.write_bytes("\r\n".join([head, *body]).encode("gb18030"))
    proposed = {p.title: p for p in infer(path)}
    assert (proposed["身份证号"].name, proposed["身份证号"].check) == (
        "citizen_number",
        "citizen_number",
    )
    assert proposed["登记日期"].type == "D"
    assert proposed["注册资金（万元）"].type == "Y"
    assert proposed["区划代码"].check == "region"
    items = tuple(p.item() for p in proposed.values())
    key = tuple(p.name for p in proposed.values() if p.key)
    done = load(lake, DatasetSpec("register", items, key), open_file(path), "full", "i1")
    assert (done.accepted, done.rejected) == (60, 0)


def test_items_may_have_any_name(lake: Lake, rows: Callable[..., Source]) -> None:
    """Names that the merge might use for itself are an item's own."""
    names = ["h", "ok", "k0", "mark", "rid", "op", "line", "met", "s", "t", "winner"]
    spec = DatasetSpec("odd", tuple(ItemCheck(n, n.upper()) for n in names), ("k0",))
    titles = tuple(n.upper() for n in names)
    load(lake, spec, rows(tuple("1" * len(names)), columns=titles), "incremental", "b1")
    again = rows(tuple("11" + "2" * (len(names) - 2)), tuple("3" * len(names)), columns=titles)
    done = load(lake, spec, again, "incremental", "b2")
    assert (done.inserted, done.updated) == (2, 0)
    changed = ("2", "2", "1", *"2" * (len(names) - 3))
    done = load(lake, spec, rows(changed, columns=titles), "full", "b3", allow_shrink=True)
    assert (done.inserted, done.updated, done.deleted) == (0, 1, 2)
    (left,) = merge.read(lake, "odd")
    assert tuple(left[n] for n in names) == changed
    before = [row["before"] for row in merge.changes(lake, "odd", "b3").to_pylist()]
    assert sorted(b["h"] for b in before) == ["1", "1", "3"]


def test_two_columns_that_change_alike_are_a_change(lake: Lake, rows: Rows) -> None:
    """A row whose columns go together from one value to another is not the same row."""
    spec = DatasetSpec("twins", tuple(ItemCheck(n, n.upper()) for n in ("id", "a", "b")), ("id",))
    load(lake, spec, rows(("1", "x", "x"), columns=("ID", "A", "B")), "incremental", "b1")
    done = load(lake, spec, rows(("1", "y", "y"), columns=("ID", "A", "B")), "incremental", "b2")
    assert (done.updated, done.unchanged) == (1, 0)
    done = load(lake, spec, rows(("1", "y", "x"), columns=("ID", "A", "B")), "incremental", "b3")
    assert (done.updated, done.unchanged) == (1, 0)
