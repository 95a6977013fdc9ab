"""Fixtures: people and benefits of two departments, loaded; officers with and without a grant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.element import citizen_check_digit
from lianyun.kernel.models import Membership, Party, Resource

Officer = Callable[[str, str], Actor]


def number(n: int) -> str:
    """A valid citizen number."""
    first = f"32070319900101{n:03d}"
    return first + citizen_check_digit(first)


NUMBERS = [number(n) for n in range(100, 112)]


def _dataset(slug: str, code: str, name: str, title: str, items: list[dict[str, Any]]) -> None:
    catalogue.register_dataset(
        provider=Party.objects.get(slug=slug),
        content={
            "code": code,
            "name": name,
            "title": title,
            "class": code.partition("/")[0],
            "summary": title,
            "format": "数据库",
            "share": {"type": 2, "conditions": "依申请", "basis": "", "method": "服务接口"},
            "open": {"open": False, "conditions": ""},
            "cycle": "每日",
            "level": 3,
            "key": ["citizen_number"],
            "items": items,
        },
        by=SYSTEM,
    )


@pytest.fixture
def city(db: None, fresh_lake: Any, tmp_path: Path) -> None:
    """Twelve people with the police, benefits of seven of them with civil affairs."""
    key = {"name": "citizen_number", "element": "citizen_number", "required": True, "key": True}
    _dataset(
        "ga",
        "101001/900001",
        "people",
        "测试人员",
        [
            {**key, "title": "公民身份号码"},
            {"name": "name", "title": "姓名", "element": "person_name"},
            {"name": "town", "title": "镇街", "type": "C", "format": "an..20"},
            {"name": "born", "title": "出生日期", "element": "birth_date"},
        ],
    )
    _dataset(
        "mz",
        "101001/900002",
        "benefits",
        "测试补贴",
        [
            {**key, "title": "公民身份号码"},
            {"name": "amount", "title": "金额", "type": "N", "format": "n..10,2"},
        ],
    )
    people = "".join(
        f"{n},王小{i},{'海州' if i < 9 else '连云'},1990-01-01\n" for i, n in enumerate(NUMBERS)
    )
    money = "".join(f"{n},{100 + i}\n" for i, n in enumerate(NUMBERS[:7]))
    for name, head, rows in (
        ("people", "公民身份号码,姓名,镇街,出生日期\n", people),
        ("benefits", "公民身份号码,金额\n", money),
    ):
        path = tmp_path / f"{name}.csv"
        path.write_text(head + rows, "utf-8")
        assert collection.load(name, path, by=SYSTEM)["rejected"] == 0


@pytest.fixture
def officer(city: None) -> Officer:
    """Makes an officer of a department with a role."""

    def make(slug: str, role: str = "data_officer") -> Actor:
        person = Party.objects.create(kind=Party.PERSON, name=f"{slug}专员")
        Membership.objects.create(party=person, department=Party.objects.get(slug=slug), role=role)
        return actor_of(person)

    return make


@pytest.fixture
def give(city: None) -> Callable[..., Any]:
    """Gives a department a grant on a dataset."""

    def make(slug: str, name: str, fields: list[str], masks: dict[str, str], **terms: Any) -> Any:
        return grants.issue(
            kind="data",
            to=Party.objects.get(slug=slug),
            resource=Resource.objects.get(name=name),
            terms={"fields": fields, "masks": masks, "purpose": "核对", **terms},
            valid_to=timezone.now() + dt.timedelta(days=30),
            by=SYSTEM,
        )

    return make
