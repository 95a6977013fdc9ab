"""A hall that is open day and night, citizens who are proven, clerks of the hall."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from lianyun.capabilities.counters.models import Hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, actor_of
from lianyun.kernel.models import Party

ITEM = "freight_permit"
NUMBERS = (
    "320703199003070016",
    "320703198811110034",
    "320703194001010017",
)


def open_hall(code: str = "city") -> Hall:
    """The declared hall, open all day on every day: no test leans on the hour at which it runs."""
    Hall.objects.filter(code=code).update(days="daily", hours=[["00:00", "24:00"]], closed=[])
    return Hall.objects.select_related("department").get(code=code)


def person(number: str, name: str, level: int = identity.PERSON) -> Actor:
    """A citizen known at a level."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = level
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


@pytest.fixture
def hall(city: None) -> Hall:
    """The city's hall, open."""
    return open_hall()


@pytest.fixture
def citizen(hall: Hall) -> Actor:
    """Zhang."""
    return person(NUMBERS[0], "张三丰")


@pytest.fixture
def clerk(officer: Callable[..., Actor]) -> Actor:
    """A clerk of the hall's windows."""
    return officer("zwb", "window_clerk")


@pytest.fixture
def day(hall: Hall) -> dt.date:
    """A day that is far enough to be booked and cancelled."""
    from django.utils import timezone

    return timezone.localdate() + dt.timedelta(days=3)
