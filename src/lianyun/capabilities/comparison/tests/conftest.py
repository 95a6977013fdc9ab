"""A city where somebody was paid after death, somebody twice, and somebody shares a dead man's number."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.models import Resource
from lianyun.lake.land import from_rows
from lianyun.lake.merge import load

DEAD = "320703194003070013"
LIVING = "320703195011110032"
SLIP = "320703194502010015"


def put(dataset: str, batch: str, *rows: dict[str, Any]) -> None:
    """Load rows of a dataset into the lake as a full batch, through the checks of its catalogue."""
    spec = collection.dataset_spec(Resource.objects.get(name=dataset))
    titles = [item.title for item in spec.items]
    values = [[row.get(item.name) for item in spec.items] for row in rows]
    outcome = load(
        collection.lake(),
        spec,
        from_rows(titles, list(enumerate(values, 2))),
        "full",
        batch,
        allow_shrink=True,
    )
    assert outcome.rejected == 0, outcome


def paid(number: str, name: str, month: int, amount: str = "900") -> dict[str, Any]:
    """One month's support for a destitute person."""
    return {
        "record_number": f"TK{number[-6:]}{month}",
        "citizen_number": number,
        "name": name,
        "support_kind": "分散供养",
        "relief_amount": amount,
        "paid_month": f"2026{month:02d}",
        "paid_on": f"2026-{month:02d}-10",
        "town_code": "320703001",
    }


def died(number: str, name: str, day: str) -> dict[str, Any]:
    """One death certificate."""
    return {
        "record_number": f"SW{number[-8:]}",
        "citizen_number": number,
        "name": name,
        "sex": "1",
        "death_date": day,
        "issued_on": day,
    }


@pytest.fixture
def deaths(city: None, fresh_lake: Any) -> None:
    """孙大民 died in April and is paid until July; 周健在 lives; 吴小误 was entered under a dead number."""
    put(
        "mz_destitute",
        "b1",
        *(paid(DEAD, "孙大民", m) for m in range(3, 8)),
        *(paid(LIVING, "周健在", m) for m in range(3, 8)),
        *(paid(SLIP, "吴小误", m) for m in range(3, 8)),
    )
    put("wj_deaths", "b2", died(DEAD, "孙大民", "2026-04-01"), died(SLIP, "郑故人", "2026-02-01"))
