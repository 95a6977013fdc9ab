"""A bureau, a department, their administrators and an officer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.utils import timezone

from lianyun.capabilities.identity.models import User
from lianyun.kernel.access import Actor, Membership, actor_of
from lianyun.kernel.party import Party

PASSWORD = "Haizhou-2026"


def person(name: str, username: str, department: Party, *roles: str) -> User:
    party = Party.objects.create(kind=Party.PERSON, name=name)
    for role in roles:
        Membership.objects.create(party=party, department=department, role=role)
    user = User(username=username, party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    return user


@dataclass
class House:
    bureau: Party
    office: Party
    other: Party
    admin: User
    local: User
    officer: User

    def actor(self, user: User) -> Actor:
        assert user.party is not None
        return actor_of(user.party)


@pytest.fixture
def house(db: None) -> House:
    bureau = Party.objects.create(kind=Party.DEPARTMENT, slug="t-bureau", name="测试大数据局")
    office = Party.objects.create(kind=Party.DEPARTMENT, slug="t-office", name="测试公安局")
    other = Party.objects.create(kind=Party.DEPARTMENT, slug="t-other", name="测试民政局")
    return House(
        bureau,
        office,
        other,
        person("周系统", "zhou.sys", bureau, "system_admin"),
        person("吴管理", "wu.admin", office, "department_admin"),
        person("郑专员", "zheng.data", office, "data_officer"),
    )
