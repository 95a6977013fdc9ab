"""A city with a register of inhabitants and a list of visits that has no numbers."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pyarrow as pa
import pytest

from lianyun.capabilities.linkage import adapters
from lianyun.kernel.element import citizen_check_digit

NAME = "hardship_residents"
SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴徐孙", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"


def number(born: dt.date, serial: int) -> str:
    """A citizen number of a birthday."""
    first = f"320706{born:%Y%m%d}{serial % 1000:03d}"
    return first + citizen_check_digit(first)


def fill(dataset: str, rows: list[dict[str, Any]]) -> None:
    """Put rows into the lake as trusted rows."""
    table = pa.Table.from_pylist(rows)
    with adapters.lake().connect() as con:
        con.register("rows_of_test", table)
        con.execute(f"CREATE OR REPLACE TABLE lake.trusted.{dataset} AS SELECT * FROM rows_of_test")
        con.unregister("rows_of_test")


@pytest.fixture
def sources(city: None, fresh_lake: Any) -> None:
    """1,200 inhabitants; 120 visits: most written well, some by sound, some doubtful."""
    draw = random.Random(5)
    residents, visits = [], []
    for i in range(1200):
        born = dt.date(1940, 1, 1) + dt.timedelta(draw.randrange(25000))
        name = draw.choice(SURNAMES) + draw.choice(GIVEN) + draw.choice(GIVEN)
        phone = f"129{draw.randrange(10**8):08d}"
        street = f"海州区新浦街道市化社区解放中路{draw.randrange(300)}号"
        door = f"{street}{draw.randrange(20)}幢{draw.randrange(4)}单元{draw.randrange(100, 999)}室"
        sex = draw.choice("12")
        residents.append(
            {
                "citizen_number": number(born, i), "name": name, "sex": sex, "birth_date": born,
                "phone": phone, "registered_address": "江苏省连云港市" + door,
            }
        )  # fmt: skip
        if i % 10 == 0:
            visits.append(
                {
                    "record_number": f"ZF{i:06d}",
                    "name": name.replace("伟", "玮").replace("静", "婧") if i % 20 == 0 else name,
                    "sex": sex,
                    "birth_date": None if i % 40 == 0 else born,
                    "phone": None if i % 30 == 0 or i % 80 == 0 else phone,
                    # Some live elsewhere by now: only name and sex are left to go by.
                    "residence_address": f"灌云县伊山镇川星村{i}号" if i % 80 == 0 else door,
                }
            )
    fill("ga_residents", residents)
    fill("mz_hardship_visits", visits)
