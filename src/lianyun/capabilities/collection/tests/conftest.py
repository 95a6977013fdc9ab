"""Fixtures: departments, a dataset of the test's own, an officer, a lake and an inbox."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from lianyun.kernel import resource as kernel_resource
from lianyun.kernel.access import Actor, actor_of
from lianyun.kernel.models import Membership, Party, Resource

ITEMS = [
    {
        "name": "citizen_number",
        "title": "公民身份号码",
        "element": "citizen_number",
        "required": True,
    },
    {"name": "name", "title": "姓名", "element": "person_name", "required": True},
    {"name": "sex", "title": "性别", "element": "sex"},
    {"name": "birth_date", "title": "出生日期", "element": "birth_date"},
    {"name": "amount", "title": "金额", "type": "N", "format": "n..10,2"},
    {"name": "updated", "title": "更新时间", "type": "T", "format": ""},
]
RULES = [
    {
        "code": "people_birth",
        "title": "出生日期与身份号码一致",
        "sql": "birth_date IS NULL OR strftime(birth_date, '%Y%m%d') = citizen_number[7:14]",
        "severity": "reject",
    },
    {
        "code": "people_amount",
        "title": "金额不为负",
        "sql": "amount IS NULL OR amount >= 0",
        "severity": "warn",
    },
]


@pytest.fixture
def city(db: None, fresh_lake: Any) -> None:
    """Departments, elements and code lists, and an empty lake."""


@pytest.fixture
def people(city: None) -> Resource:
    """A dataset of the police with a key, two rules and a daily cycle."""
    made, _ = kernel_resource.register(
        code="101001/900001",
        name="people",
        kind=Resource.DATASET,
        title="测试人员",
        owner=Party.objects.get(slug="ga"),
        level=3,
        terms={"cycle": "每日"},
        data={"items": ITEMS, "key": ["citizen_number"], "rules": RULES, "contract": "evolve"},
    )
    return made


@pytest.fixture
def officer(city: None) -> Actor:
    """A data officer of the police."""
    return make_officer("ga", "data_officer")


def make_officer(slug: str, role: str) -> Actor:
    """A person who holds a role in a department."""
    person = Party.objects.create(kind=Party.PERSON, name=f"{slug} 专员")
    Membership.objects.create(party=person, department=Party.objects.get(slug=slug), role=role)
    return actor_of(person)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of rows into the test's folder."""

    def make(text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return make


def client_of(actor: Actor) -> Client:
    """A browser in which this person is logged in."""
    users: Any = get_user_model().objects
    user = users.create(username=f"u{actor.party.pk}", party=actor.party)
    client = Client()
    client.force_login(user)
    session = client.session
    session["seen"] = time.time()
    session.save()
    return client


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark that needs a MariaDB server."""
    config.addinivalue_line("markers", "mariadb: needs mariadbd (apt: mariadb-server)")
