"""A city with two families in the registers, three schools, and a round that may be walked to its end."""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.enrolment import actions
from lianyun.capabilities.enrolment.models import Registration, Round
from lianyun.capabilities.enrolment.rules import calendar
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Agency
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.element import citizen_number_ok
from lianyun.kernel.models import Party
from lianyun.lake.shelves import Column, ensure_table, quote

START = dt.datetime(2026, 6, 1, 1, tzinfo=dt.UTC)
DAYS = dict(zip((d.key for d in calendar.DAYS), (0, 10, 15, 40, 41, 50, 60, 70), strict=True))
MOTHER = "320703199003070024"
SCHOOLS = (
    ("3207000001", "海州实验小学", 1, ["320706001"]),
    ("3207000002", "连云小学", 1, []),
    ("3207000003", "云山小学", 0, []),
)
AT = dt.datetime(2026, 5, 30, 8)  # noqa: DTZ001 - registers write local time


def number_of(body: str) -> str:
    """A citizen number with its check digit."""
    return next(body + c for c in "0123456789X" if citizen_number_ok(body + c))


CHILD, TWIN = number_of("32070620200315001"), number_of("32070620200315003")
OLD, UNBORN = number_of("32070620100315001"), number_of("32070620250315001")


def fill(table: str, *rows: Mapping[str, Any]) -> None:
    """Rows of a register of the lake."""
    kinds = {str: "VARCHAR", dt.date: "DATE", dt.datetime: "TIMESTAMP", int: "BIGINT"}
    whole = [{"_batch": "b1", "_line": "1", "_loaded_at": AT, "update_time": AT, **r} for r in rows]
    names = list(whole[0])
    with collection.lake().connect() as con:
        ensure_table(con, "trusted", table, [Column(n, kinds[type(whole[0][n])]) for n in names])
        marks = ", ".join("?" for _ in names)
        for row in whole:
            con.execute(
                f"INSERT INTO lake.trusted.{quote(table)} ({', '.join(map(quote, names))})"
                f" VALUES ({marks})",
                [row[n] for n in names],
            )


def pour() -> None:
    """What the registers hold: the mother insured and at home, her children registered."""
    if items.find("points_enrolment") is None:
        items.sync_declared(by=SYSTEM)
    fill(
        "ga_residents",
        *(
            {"citizen_number": n, "name": name, "household_number": "H1", "town_code": "320706001"}
            for n, name in ((CHILD, "张小满"), (TWIN, "张小暑"), (OLD, "张大寒"))
        ),
    )
    fill("rs_insured", {
        "citizen_number": MOTHER, "name": "张三丰", "insurance_type": "110", "insurance_status": "1",
        "insured_on": dt.date(2021, 3, 1),
    })  # fmt: skip
    fill("rs_contributions", *(
        {"citizen_number": MOTHER, "report_month": f"20260{m}"} for m in range(1, 6)
    ))  # fmt: skip
    fill("zr_properties", {
        "citizen_number": MOTHER, "property_certificate": "苏1", "property_use": "10",
        "registered_on": dt.date(2018, 3, 1),
    })  # fmt: skip
    fill("ga_floating", {
        "citizen_number": "x", "name": "x", "moved_in_on": dt.date(2018, 3, 1), "town_code": "x",
    })  # fmt: skip
    fill("ga_residence_permits", {
        "citizen_number": "x", "name": "x", "licence_number": "1", "valid_to": dt.date(2030, 1, 1),
    })  # fmt: skip
    fill("rs_skills", {"citizen_number": "x", "name": "x", "skill_level": "3"})


def person(number: str, name: str) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


def guard(guardian: Actor, number: str, name: str) -> Party:
    """A child of whom somebody is the guardian."""
    child = identity.party_of_number(number, name=name)
    assert guardian.party is not None
    Agency.objects.get_or_create(
        kind="guardian",
        principal=child,
        agent=guardian.party,
        ended_at=None,
        defaults={
            "scope": ["apply", "follow"],
            "since": dt.date(2021, 1, 1),
            "accepted_at": timezone.now(),
        },
    )
    return child


@contextmanager
def on_day(days: float) -> Iterator[None]:
    """So many days after the round's start."""
    with time_machine.travel(START + dt.timedelta(days=days), tick=True):
        yield


def plan(clerk: Actor, *, days: Mapping[str, int] = DAYS, schools: Any = SCHOOLS) -> Round:
    """A round as the clerk plans it."""
    told = {k: START + dt.timedelta(days=n) for k, n in days.items()}
    return actions.make_round(
        "primary_points", year=2026, title="", days=told, schools=schools, by=clerk
    )


def approved(clerk: Actor, head: Actor, **told: Any) -> Round:
    """A round that another person has approved."""
    found = plan(clerk, **told)
    actions.move(found, "prepare", "submit", by=clerk)
    actions.move(found, "approve", "approve", by=head)
    return Round.objects.get(pk=found.pk)


def picture() -> bytes:
    """A whole picture of one dot."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, 9, 255, 255]))),
        (b"IEND", b""),
    ):
        mark = struct.pack(">I", zlib.crc32(kind + data))
        out += struct.pack(">I", len(data)) + kind + data + mark
    return out


def walk_hall(row: Registration, by: Actor, *, paper: bool = False, keys: Any = None) -> None:
    """Consent, form and materials as the hall's pages do them."""
    application = next(iter(hall.of_bundle(row.ref, by)))
    every = [f"{a['kind']}:{a['name']}" for a in application.asked]
    assert actions.consent(row, keys=every if keys is None else keys, by=by) == []
    application = next(iter(hall.of_bundle(row.ref, by)))
    fill_form(application.draft, by)
    hall.verify(application, by=by)
    for one in hall.materials(application, by):
        if one.required and not one.met:
            hall.hand_in(application, one.id, (f"{one.id}.png", picture()), by=by)
    if paper:
        hall.hand_in(application, "honours", ("honours.png", picture()), by=by)


def fill_form(code: str, by: Actor) -> None:
    """The rest of the form; what is known already is left alone."""
    told = {"phone": "13812345678", "child_relation": "mother", "truth": "1", "signed": "张三丰"}
    draft = forms.draft_of(code, by)
    known = forms.answers(draft, by)
    for part in forms.form("points_enrolment").parts:
        posted = {
            f.id: [str(known.get(f.id) or told.get(f.id, ""))]
            for f in part.fields
            if f.id in known or f.id in told
        }
        saved = forms.save_part(draft, part.id, posted, 0, by=by)
        assert saved.good, saved.errors


def at_counter(found: Round, by: Actor, count: int, *, first: int = 1) -> None:
    """So many families that came in person; the registers know nothing of them."""
    entries = [
        actions.registering.Entry(
            number_of(f"32070619900101{n:03d}"), f"家长{n}", number_of(f"32070620200101{n:03d}"), f"孩子{n}"
        )
        for n in range(first, first + count)
    ]  # fmt: skip
    made, refused = actions.register_many(found, entries, seen=True, by=by)
    assert (made, refused) == (count, [])


@pytest.fixture
def clerk(officer: Any) -> Actor:
    """Who plans, checks and allots."""
    return officer("jy", "enrolment_clerk", name="招生干部")


@pytest.fixture
def head(officer: Any) -> Actor:
    """Who signs."""
    return officer("jy", "enrolment_head", name="招生负责人")


@pytest.fixture
def mother(city: None, fresh_lake: Any) -> Actor:
    """Zhang, with her children."""
    pour()
    return person(MOTHER, "张三丰")
