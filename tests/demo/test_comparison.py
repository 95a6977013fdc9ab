"""Comparison over the sample city: what was planted is found, what only looks so is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo import comparison as planted
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import install, packs
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Resource
from lianyun.lake import compare, land, merge
from lianyun.lake.shelves import Lake

from .conftest import Sample


@pytest.fixture
def collected(db: None, fresh_lake: Any, sample: Sample) -> Lake:
    """Every dataset that a rule reads, collected from the departments' sources as they are."""
    install.install(by=SYSTEM)
    catalogue.sync_declared(by=SYSTEM)
    entries = {e["dataset"]: e for e in json.loads((sample.folder / "sources.json").read_text())}
    lake = collection.lake()
    for name in sorted(planted.KEPT):
        entry = entries[name]
        if entry["kind"] == "postgresql":
            source = land.from_postgres(sample.dsn, entry["table"])
        elif entry["kind"] == "sqlite":
            source = land.from_sqlite(sample.folder / entry["location"], entry["table"])
        else:
            source = land.open_file(
                sample.folder / entry["location"], entry["options"].get("sheet")
            )
        spec = collection.dataset_spec(Resource.objects.get(name=name), entry["watermark"] or "")
        merge.load(lake, spec, source, entry["mode"], f"b-{name}")
    return lake


@pytest.mark.django_db
def test_found_is_what_was_planted(collected: Lake, sample: Sample) -> None:
    truth = sample.truth["comparison"]
    rules = packs.declarations("comparisons")
    assert {r.name for r in rules} == set(truth)
    kinds = 0
    held: dict[str, int] = {}
    for declared in rules:
        made = compare.compare(collected, compare.read(declared.data), f"c-{declared.name}")
        stands = compare.identities(collected, declared.name)
        found = {(key, period) for key, period, standing, _, _ in stands if standing == "found"}
        assert found == {tuple(k) for k in truth[declared.name]["keys"]}, declared.name
        kinds += bool(found)
        for doubt, number in made.doubts.items():
            held[doubt] = held.get(doubt, 0) + number
    assert kinds >= 6, "most rules have something to find even in a small city"
    # The innocent are there, and those that cannot be told apart yet are held back, not accused.
    assert sum(sum(t["look_alikes"].values()) for t in truth.values()) > 50
    assert held
