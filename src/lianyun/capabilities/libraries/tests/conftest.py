"""A city with its libraries, officers, and two sources that do not agree about one person."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.libraries import adapters, api
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Resource
from lianyun.lake.shelves import Column, ensure_table

PERSON = "320703199003070016"
OTHER = "320703198811110034"


@pytest.fixture
def city(db: None) -> None:
    """Datasets and libraries catalogued."""
    api.sync_libraries(by=SYSTEM)


def fill(dataset: str, rows: list[dict[str, Any]], batch: str) -> None:
    """Put rows of a dataset into the lake as a batch leaves them."""
    with adapters.lake().connect() as con:
        names = [i.name for i in catalogue.items_of(Resource.objects.get(name=dataset))]
        typed = [Column(n, "TIMESTAMP" if n == "update_time" else "VARCHAR") for n in names]
        system = [Column("_batch"), Column("_line", "BIGINT"), Column("_loaded_at", "TIMESTAMP")]
        ensure_table(con, "trusted", dataset, [*typed, *system])
        for line, row in enumerate(rows, 1):
            full = {**row, "_batch": batch, "_line": line, "_loaded_at": "2026-11-01 08:00:00"}
            names_, marks = ", ".join(full), ", ".join("?" for _ in full)
            con.execute(
                f"INSERT INTO lake.trusted.{dataset} ({names_}) VALUES ({marks})",
                list(full.values()),
            )


@pytest.fixture
def sources(city: None, fresh_lake: Any) -> None:
    """Police and social insurance know two persons; they disagree about a name and a phone."""
    fill(
        "ga_residents",
        [
            {
                "citizen_number": PERSON,
                "name": "张三丰",
                "phone": "13811111111",
                "update_time": "2025-01-01",
            },
            {"citizen_number": OTHER, "name": "李四", "update_time": "2025-01-01"},
        ],
        "b1",
    )
    fill(
        "rs_insured",
        [
            {
                "citizen_number": PERSON,
                "name": "张三峰",
                "phone": "13922222222",
                "update_time": "2026-06-01",
            }
        ],
        "b2",
    )
