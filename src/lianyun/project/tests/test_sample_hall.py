"""The sample city's applications: a village clerk files for an old man, once."""

from __future__ import annotations

from typing import Any

from lianyun.capabilities.hall.tests.conftest import pour
from lianyun.project import sample_hall


def test_the_sample_city_files_for_its_old_people(
    city: None, fresh_lake: Any, officer: Any
) -> None:
    pour()
    clerk = officer("zwb", "village_clerk")
    told = sample_hall.apply_all(lambda _: clerk, lambda *_: None)
    assert told["filed"] == 1, told
    assert told["freed"] > 0
    assert sample_hall.apply_all(lambda _: clerk, lambda *_: None)["filed"] == 0
