"""Lake fixtures: a fresh lake for a test, and one dataset to load into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lianyun.lake.check import ItemCheck, RowRule
from lianyun.lake.land import Source, from_rows
from lianyun.lake.merge import DatasetSpec
from lianyun.lake.shelves import Lake

ANNA = "360426199101010071"
BORIS = "371001198010082394"
CARLA = "440882199102104190"


@pytest.fixture
def lake(lake_dsn: str, tmp_path: Path) -> Lake:
    """An empty lake of the test's own."""
    return Lake(lake_dsn, str(tmp_path / "lake"), memory_limit="300MB")


@pytest.fixture
def people() -> DatasetSpec:
    """A small dataset keyed by citizen number."""
    return DatasetSpec(
        "people",
        (
            ItemCheck("id", "公民身份号码", check="citizen_number", aliases=("身份证号",)),
            ItemCheck("name", "姓名", format="an..10"),
            ItemCheck("amount", "金额", "Y", "n..10,2"),
            ItemCheck("born", "出生日期", "D"),
        ),
        ("id",),
        rules=(RowRule("much", "金额过大", "amount < 1000", "warn"),),
    )


@pytest.fixture
def rows() -> Callable[..., Source]:
    """Makes a source of rows under the dataset's titles, from line 2 on."""

    def make(*values: Sequence[Any], columns: Sequence[str] | None = None) -> Source:
        titles = columns or ("公民身份号码", "姓名", "金额", "出生日期")
        return from_rows(titles, list(enumerate(values, 2)))

    return make
