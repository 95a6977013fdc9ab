"""A city with two mothers, an old man and two firms in the libraries, and officers who approve."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Agency
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.offers import api
from lianyun.capabilities.offers.models import Rule
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Party
from lianyun.lake.shelves import Column, ensure_table, quote

TODAY = dt.date.today()  # noqa: DTZ011
OLD, MOTHER, OTHER = "320703194001010017", "320703199003070024", "320703198811110034"
FIRM, SECOND = "91320700MA1TRUWX02", "91320700MA27ABCD6N"
AT = dt.datetime(2026, 11, 2, 8)  # noqa: DTZ001 - registers write local time
SYSTEM_COLUMNS = {"_batch": "b1", "_line": "1", "_loaded_at": AT}


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def fill(table: str, *rows: dict[str, Any]) -> None:
    """Rows of a register of the lake; a column's type follows its first value."""
    kinds = {str: "VARCHAR", dt.date: "DATE", dt.datetime: "TIMESTAMP", int: "BIGINT"}
    rows = tuple({**SYSTEM_COLUMNS, **row} for row in rows)
    names = list(dict.fromkeys(n for row in rows for n in row))
    typed = [
        Column(n, kinds[type(next(r[n] for r in rows if r.get(n) is not None))]) for n in names
    ]
    with collection.lake().connect() as con:
        ensure_table(con, "trusted", table, typed)
        for row in rows:
            con.execute(
                f"INSERT INTO lake.trusted.{quote(table)} ({', '.join(map(quote, names))}) "
                f"VALUES ({', '.join('?' for _ in names)})",
                [row.get(n) for n in names],
            )


def birth(number: str, mother: str, *, batch: str = "b1", days: int = 5) -> None:
    """A birth certificate."""
    fill(
        "wj_births",
        {
            "birth_certificate": number, "mother_number": mother, "father_number": "x",
            "issued_on": ago(days), "_batch": batch,
        },
    )  # fmt: skip


def pour() -> None:
    """Registers and both base libraries."""
    libraries.sync_libraries(by=SYSTEM)
    fill(
        "ga_residents",
        *(
            {
                "citizen_number": number,
                "name": name,
                "birth_date": dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14])),
                "household_number": f"H{number[-4:]}",
                "update_time": AT,
            }
            for number, name in ((OLD, "赵大爷"), (MOTHER, "张三丰"), (OTHER, "李四"))
        ),
    )
    birth("Y1", MOTHER)
    fill(
        "scjg_enterprises",
        *(
            {
                "credit_code": code,
                "entity_name": name,
                "entity_status": "1",
                "industry_section": "C",
                "founded_on": ago(days),
                "update_time": AT,
            }
            for code, name, days in ((FIRM, "连云港某某公司", 100), (SECOND, "海州某厂", 4000))
        ),
    )
    fill(
        "scjg_annual_reports",
        {"credit_code": FIRM, "report_year": "2025", "employee_count": 3, "revenue": 900000},
        {"credit_code": SECOND, "report_year": "2025", "employee_count": 40, "revenue": 5000000},
    )
    fill("fg_credit_lists", {
        "list_number": "h1", "credit_code": "x", "list_type": "黑名单",
        "repaired_on": ago(1), "published_until": ago(1),
    })  # fmt: skip
    for name in ("population", "legal_entity"):
        libraries.build_library(name=name, by=SYSTEM)


def approve(*codes: str) -> None:
    """Declared rules go through their whole approval."""
    api.propose_declared(by=SYSTEM)
    for code in codes:
        case = Rule.objects.get(code=code).case
        assert case is not None
        while (step := api.step_for(SYSTEM, case)) is not None:
            outcome = "approve" if step.step == "review" else "agree"
            api.work_rule(case, step.step, outcome, note="评估无不利影响", by=SYSTEM)
            case.refresh_from_db()


def person(number: str, name: str) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


def agent(actor: Actor, code: str, name: str) -> Actor:
    """The same person acting for a firm."""
    firm = identity.party_of_credit_code(code, name=name)
    assert actor.party is not None
    Agency.objects.create(
        kind="agent", principal=firm, agent=actor.party, scope=["apply", "follow"],
        since=TODAY, accepted_at=timezone.now(),
    )  # fmt: skip
    return Actor(actor.party, behalf=firm)


@pytest.fixture
def poured(city: None, fresh_lake: Any) -> None:
    """The sources poured into a lake of the test's own."""
    pour()
