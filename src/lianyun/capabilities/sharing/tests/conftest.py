"""Two departments, a bureau, their officers, and a dataset with rows in a lake."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import adapters
from lianyun.kernel.models import Resource
from lianyun.lake.shelves import Column, ensure_table

PERSON = "320703199003070016"


@pytest.fixture
def residents(city: None, fresh_lake: Any) -> Resource:
    """户籍人口信息 with one person in the lake."""
    with adapters.lake().connect() as con:
        resource = Resource.objects.get(name="ga_residents")
        names = [i.name for i in catalogue.items_of(resource)]
        ensure_table(
            con, "trusted", "ga_residents", [*(Column(n) for n in names), Column("_batch")]
        )
        con.execute(
            "INSERT INTO lake.trusted.ga_residents (citizen_number, name, sex, phone, town_code) "
            f"VALUES ('{PERSON}', '张三丰', '1', '13812345678', '320703001')"
        )
    return resource
