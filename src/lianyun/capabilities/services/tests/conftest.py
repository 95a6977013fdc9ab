"""A department's dataset in a lake, with officers who may make services of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import adapters
from lianyun.kernel.models import Resource
from lianyun.lake.check import ItemCheck
from lianyun.lake.land import from_rows
from lianyun.lake.merge import DatasetSpec, Outcome, load

TOWNS = ("320703001", "320703002", "320705001")


@pytest.fixture
def city(transactional_db: None) -> None:
    """All packs installed, their datasets catalogued."""


def people(first: int, last: int, town: str = "") -> list[tuple[str, str, str, str]]:
    """Invented people as text."""
    return [
        (f"3299{n:014d}", f"张{n}", str(n % 2 + 1), town or TOWNS[n % 3])
        for n in range(first, last)
    ]


Fill = Callable[..., Outcome]


@pytest.fixture
def residents(city: None, fresh_lake: Any) -> Resource:
    """户籍人口信息, catalogued, its lake still empty."""
    return Resource.objects.get(name="ga_residents")


@pytest.fixture
def fill(residents: Resource) -> Fill:
    """Loads people into the dataset as a batch: (number, name, sex, town)."""
    names = [i.name for i in catalogue.items_of(residents)]
    spec = DatasetSpec(
        "ga_residents", tuple(ItemCheck(n, n, format="an..200") for n in names), ("citizen_number",)
    )

    def load_rows(batch: str, rows: list[tuple[str, ...]], mode: str = "incremental") -> Outcome:
        titles = ("citizen_number", "name", "sex", "town_code")
        return load(adapters.lake(), spec, from_rows(titles, list(enumerate(rows, 2))), mode, batch)

    return load_rows
