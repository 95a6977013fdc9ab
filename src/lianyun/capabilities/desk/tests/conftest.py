"""An applicant, an application on its way, the officers of a department."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Case, Party
from lianyun.kernel.party import department

Officer = Callable[..., Actor]
Opens = Callable[..., Case]


@pytest.fixture
def approver(officer: Officer) -> Actor:
    return officer("ga", "approver", name="赵审查")


@pytest.fixture
def head(officer: Officer) -> Actor:
    return officer("ga", "approval_head", name="钱负责")


@pytest.fixture
def opens(city: None) -> Opens:
    """Opens an application as the hall does: `opens(path, item)`."""
    citizen = Party.objects.create(kind="person", name="张三丰")

    def make(
        path: str = "item_promised", item: str = "no_such_item", slug: str = "ga", **data: Any
    ) -> Case:
        return cases.open_case(
            path,
            title="测试事项",
            subject=f"item:{item}",
            applicant=citizen,
            department=department(slug),
            data={
                "item": item,
                "item_name": "测试事项",
                "promised_days": 3,
                "legal_days": 20,
                "facts": {},
                "materials": [{"id": "photo", "name": "照片", "ground": "upload"}],
                **data,
            },
            by=SYSTEM,
        )  # fmt: skip

    return make
