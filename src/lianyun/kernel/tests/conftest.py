"""People and desks for the kernel's tests."""

import pytest

from lianyun.kernel.access import Actor
from lianyun.kernel.party import Party


@pytest.fixture
def giver(db: None) -> Party:
    return Party.objects.create(kind=Party.DEPARTMENT, slug="giver", name="提供局")


@pytest.fixture
def asker(db: None) -> Party:
    return Party.objects.create(kind=Party.DEPARTMENT, slug="asker", name="申请局")


def officer(name: str, department: Party, *permissions: str) -> Actor:
    party = Party.objects.create(kind=Party.PERSON, name=name)
    return Actor(party, department, (), {p: frozenset({department.pk}) for p in permissions})
