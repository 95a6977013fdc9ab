"""A city with one citizen who holds a driving licence, her car in the register, and a stranger."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.hall import actions
from lianyun.capabilities.hall.models import Application
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.licences import api as licences
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Party
from lianyun.lake.shelves import Column, ensure_table, quote

PERSON, STRANGER, OLD_MAN = "320703199003070016", "320703198811110034", "320703194001010017"
PLATE, ITEM = "苏G12345", "freight_permit"
ANSWERS = {"vehicle": "own", "route": "ring", "goods": "common"}


def fill(schema: str, table: str, *rows: dict[str, Any]) -> None:
    """Rows of a table of the lake, all columns text."""
    with collection.lake().connect() as con:
        names = list(dict.fromkeys(n for row in rows for n in row))
        typed = [Column(n) for n in names]
        ensure_table(con, schema, table, typed)
        for row in rows:
            marks = ", ".join("?" for _ in names)
            con.execute(
                f"INSERT INTO lake.{schema}.{quote(table)} ({', '.join(map(quote, names))}) "
                f"VALUES ({marks})",
                [row.get(n) for n in names],
            )


def person(number: str, name: str, level: int = identity.PERSON) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = level
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


def pour() -> None:
    """The item published, the population library and the register of cars filled."""
    if items.find(ITEM) is None:
        items.sync_declared(by=SYSTEM)
    libraries.sync_libraries(by=SYSTEM)
    fill(
        "trusted",
        "ga_residents",
        *(
            {
                "citizen_number": number,
                "name": name,
                "household_number": f"H{number[-4:]}",
                "registered_address": "海州区某路 1 号",
                "phone": "13812345678",
                "update_time": "2026-11-02 08:00:00",
                "_batch": "b1",
                "_line": "1",
                "_loaded_at": "2026-11-02 08:00:00",
            }
            for number, name in ((PERSON, "张三丰"), (STRANGER, "李四"), (OLD_MAN, "赵大爷"))
        ),
    )
    fill(
        "trusted",
        "ga_vehicles",
        *(
            {
                "plate_number": plate,
                "plate_type": "01",
                "vehicle_type": "H11",
                "owner_name": name,
                "owner_number": number,
                "update_time": "2026-11-01 08:00:00",
                "_batch": "b1",
                "_line": "1",
                "_loaded_at": "2026-11-01 08:00:00",
            }
            for plate, name, number in ((PLATE, "张三丰", PERSON), ("苏G99999", "李四", STRANGER))
        ),
    )
    libraries.build_library(name="population", by=SYSTEM)


def give_licence(actor: Actor) -> None:
    """A driving licence of Zhang's."""
    licences.issue(
        "driving_licence",
        actor.party,
        {
            "name": "张三丰",
            "citizen_number": PERSON,
            "driving_class": "B2",
            "first_issued_on": dt.date(2015, 3, 1),
            "file_number": "320700012345",
            "valid_from": dt.date(2021, 3, 1),
            "valid_to": dt.date(2031, 2, 28),
        },
        once="licence-of-zhang",
        by=SYSTEM,
    )


@pytest.fixture
def hall(city: None, fresh_lake: Any) -> None:
    """The sources poured into a lake of the test's own."""
    pour()


@pytest.fixture
def citizen(hall: None) -> Actor:
    """Zhang, who holds a driving licence."""
    actor = person(PERSON, "张三丰")
    give_licence(actor)
    return actor


@pytest.fixture
def begun(citizen: Actor) -> Application:
    """An application that Zhang has begun."""
    assert citizen.party is not None
    return actions.begin(ITEM, applicant=citizen.party, answers=ANSWERS, by=citizen)
