"""Linking: a library brought up to date from its batches alone is the library built anew."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lianyun.lake import link
from lianyun.lake.check import ItemCheck
from lianyun.lake.land import Source, from_rows
from lianyun.lake.link import (
    FieldSource,
    LibraryField,
    LibrarySpec,
    conflicts,
    golden,
    last_building,
    provenance,
)
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake

KEYS = [f"K{n:02}" for n in range(24)]
POLICE = DatasetSpec(
    "police",
    (ItemCheck("id", "号码"), ItemCheck("name", "姓名"), ItemCheck("home", "住址")),
    ("id",),
)
INSURED = DatasetSpec(
    "insured",
    (
        ItemCheck("id", "号码"),
        ItemCheck("name", "姓名"),
        ItemCheck("home", "住址"),
        ItemCheck("seen", "日期", "D"),
    ),
    ("id",),
)
# several rows for one person, and the person of a row may change
VISITS = DatasetSpec(
    "visits",
    (
        ItemCheck("number", "流水号"),
        ItemCheck("person", "号码"),
        ItemCheck("home", "住址"),
        ItemCheck("phone", "电话"),
        ItemCheck("seen", "日期", "D"),
    ),
    ("number",),
)
SPEC = LibrarySpec(
    "folk",
    "id",
    (
        LibraryField(
            "name",
            "姓名",
            (FieldSource("police", "name"), FieldSource("insured", "name", date="seen")),
        ),
        LibraryField(
            "home",
            "住址",
            (
                FieldSource("insured", "home", date="seen"),
                FieldSource("visits", "home", "person", "seen"),
                FieldSource("police", "home"),
            ),
            "latest",
        ),
        LibraryField("phone", "电话", (FieldSource("visits", "phone", "person", "seen"),)),
    ),
)


def rows(spec: DatasetSpec, values: dict[str, list[str]]) -> Source:
    """A source of a dataset's rows by key."""
    titles = [item.title for item in spec.items]
    return from_rows(titles, [(n, [k, *v]) for n, (k, v) in enumerate(sorted(values.items()), 2)])


def draw(dice: random.Random, spec: DatasetSpec) -> list[str]:
    """A row's values after its key; often empty, often the same as another department's."""
    home = dice.choice(["", "朝阳路1号", "海棠路2号", 'He said "hi"\\'])
    day = dice.choice(["", "2025-01-01", "2025-03-01", "2025-06-01"])
    if spec is VISITS:
        return [dice.choice(KEYS), home, dice.choice(["", "1", "2"]), day]
    name = dice.choice(["", "安", "安", "伯"])
    return [name, home, day] if spec is INSURED else [name, home]


def state(lake: Lake, name: str) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """A library's rows with provenance, its counts and its contradictions, without its stamps."""
    with lake.connect() as con:
        made = last_building(con, name)
        assert made is not None
        cursor = con.execute(f"SELECT * FROM lake.library.{name}")
        names = [d[0] for d in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    told = {
        r["id"]: {
            "values": {n: r[n] for n in made.names},
            "from": provenance(made, r),
            "all": {k: v for k, v in r.items() if k not in ("_batch", "_updated_at")},
        }
        for r in found
    }
    assert len(told) == len(found)
    quarrels = [
        {k: v for k, v in c.items() if k != "batch"} for c in conflicts(lake, name, limit=1000)
    ]
    counts = {"fields": made.fields, "entities": made.entities, "conflicts": made.conflicts}
    assert made.conflicts == len(quarrels)
    return told, counts, quarrels


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_from_batches_alone_as_from_everything(lake: Lake, seed: int) -> None:
    dice = random.Random(seed)
    specs = {s.name: s for s in (POLICE, INSURED, VISITS)}
    held: dict[str, dict[str, list[str]]] = {name: {} for name in specs}
    for name, spec in specs.items():
        keys = KEYS if spec is not VISITS else [f"V{n}" for n in range(40)]
        held[name] = {k: draw(dice, spec) for k in keys if dice.random() < 0.7}
        load(lake, spec, rows(spec, held[name]), "full", f"{name}-0")
    golden(lake, SPEC, "g0")
    for step in range(1, 7):
        since = []
        for name in dice.sample(sorted(specs), dice.randint(1, 3)):
            spec, mine = specs[name], held[name]
            for turn in range(dice.randint(1, 2)):
                keys = KEYS if spec is not VISITS else [f"V{n}" for n in range(40)]
                for key in dice.sample(keys, 4):
                    if key in mine and dice.random() < 0.4:
                        del mine[key]
                    else:
                        mine[key] = draw(dice, spec)
                batch = f"{name}-{step}-{turn}"
                load(lake, spec, rows(spec, mine), "full", batch, allow_shrink=True)
                since.append(batch)
        made = golden(lake, SPEC, f"g{step}", since=since)
        assert not made.whole
        assert 0 < made.touched < len(KEYS)
        assert made.inserted + made.updated + made.unchanged == made.entities
        partly = state(lake, "folk")
        again = golden(lake, SPEC, f"whole{step}")
        assert again.whole
        assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
        assert state(lake, "folk") == partly
        with lake.connect() as con:
            con.execute("DROP TABLE lake.library.folk")
        golden(lake, SPEC, f"new{step}")
        assert state(lake, "folk") == partly


def test_another_declaration_makes_the_library_anew(lake: Lake) -> None:
    load(lake, POLICE, rows(POLICE, {"K1": ["安", ""], "K2": ["伯", "路"]}), "full", "p1")
    narrow = LibrarySpec("folk", "id", SPEC.fields[:1])
    assert golden(lake, narrow, "g1").inserted == 2
    # a source that had no table yet changes what the library is made from
    load(lake, INSURED, rows(INSURED, {"K2": ["波", "", ""], "K3": ["安", "", ""]}), "full", "i1")
    grown = golden(lake, narrow, "g2", since=["i1"])
    assert (grown.whole, grown.inserted, grown.conflicts) == (True, 3, 1)
    wide = golden(lake, SPEC, "g3", since=[])
    assert (wide.whole, wide.entities) == (True, 3)
    assert not golden(lake, SPEC, "g4", since=[]).whole


def test_an_untouched_row_keeps_its_stamp(lake: Lake) -> None:
    load(lake, POLICE, rows(POLICE, {"K1": ["安", ""], "K2": ["伯", ""]}), "full", "p1")
    golden(lake, SPEC, "g1")
    # the same value in a new batch moves the date, not the stamp; K2 is not even looked at
    load(lake, INSURED, rows(INSURED, {"K1": ["安", "", "2025-01-01"]}), "incremental", "i1")
    golden(lake, SPEC, "g2")
    load(lake, INSURED, rows(INSURED, {"K1": ["安", "", "2025-02-01"]}), "incremental", "i2")
    made = golden(lake, SPEC, "g3", since=["i2"])
    assert (made.touched, made.updated, made.unchanged) == (1, 0, 2)
    assert made.freshness["insured"] == "2025-02-01"
    with lake.connect() as con:
        stamps = dict(con.execute("SELECT id, _batch FROM lake.library.folk").fetchall())
    assert stamps == {"K1": "g2", "K2": "g2"}


def test_conflicts_are_narrowed(lake: Lake) -> None:
    load(lake, POLICE, rows(POLICE, {"K1": ["安", ""], "K2": ["伯", "甲"]}), "full", "p1")
    values = {"K1": ["鞍", "", ""], "K2": ["伯", "乙", "2099-01-01"]}
    load(lake, INSURED, rows(INSURED, values), "full", "i1")
    golden(lake, SPEC, "g1")

    def told(**narrow: Any) -> list[tuple[str, str]]:
        return [(c["entity"], c["field"]) for c in conflicts(lake, "folk", **narrow)]

    assert told() == [("K1", "name"), ("K2", "home")]
    assert told(field="home") == [("K2", "home")]
    assert told(entity="K1", dataset="police") == [("K1", "name")]
    assert told(dataset="visits") == []
    assert told(offset=1) == [("K2", "home")]
    assert conflicts(lake, "folk", field="home")[0]["chosen"] == "乙"
    assert conflicts(lake, "nothing") == []


def test_shares_make_the_same_library(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(5)
    for spec in (POLICE, INSURED, VISITS):
        keys = KEYS if spec is not VISITS else [f"V{n}" for n in range(40)]
        load(lake, spec, rows(spec, {k: draw(dice, spec) for k in keys}), "full", spec.name)
    golden(lake, SPEC, "g1")
    at_once = state(lake, "folk")
    with lake.connect() as con:
        con.execute("DROP TABLE lake.library.folk")
    monkeypatch.setattr(link, "SHARE_BYTES", 5_000)
    golden(lake, SPEC, "g2")
    assert state(lake, "folk") == at_once
