"""A city with a young father whom the population library knows, and officers of three departments."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.packages import api
from lianyun.capabilities.packages.models import Filing
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Party
from lianyun.lake.shelves import Column, ensure_table

NUMBER, STRANGER = "320703199003070016", "320703198811110034"
ANSWERS = {"follow": "father", "married": "yes", "insure": "yes", "settled": "no"}
TOLD = {
    "phone": "13812345678",
    "residence_address": "海州区某路 1 号",
    "birth_certificate": "S320000001",
    "newborn_name": "张小满",
    "sex": "1",
    "birth_time": "2026-11-01T08:30",
    "nationality": "01",
    "mother_name": "李四",
    "mother_number": STRANGER,
    "registered_address": "海州区某路 1 号",
    "legal_representative": "张三丰",
    "business_address": "海州区某路 2 号",
    "truth": "1",
    "signed": "张三丰",
}


def person(number: str, name: str) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


def pour() -> None:
    """The items published, the population library filled with one man."""
    if items.find("newborn_registration") is None:
        items.sync_declared(by=SYSTEM)
    libraries.sync_libraries(by=SYSTEM)
    row = {
        "citizen_number": NUMBER,
        "name": "张三丰",
        "household_number": "H0016",
        "registered_address": "海州区某路 1 号",
        "phone": "13812345678",
        "update_time": "2026-11-02 08:00:00",
        "_batch": "b1",
        "_line": "1",
        "_loaded_at": "2026-11-02 08:00:00",
    }
    with collection.lake().connect() as con:
        ensure_table(con, "trusted", "ga_residents", [Column(n) for n in row])
        marks = ", ".join("?" for _ in row)
        con.execute(
            f"INSERT INTO lake.trusted.ga_residents ({', '.join(row)}) VALUES ({marks})",
            list(row.values()),
        )
    libraries.build_library(name="population", by=SYSTEM)


def picture(shade: int = 0) -> bytes:
    """A whole picture of one dot; another shade is another picture."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, shade, 255, 255]))),
        (b"IEND", b""),
    ):
        mark = struct.pack(">I", zlib.crc32(kind + data))
        out += struct.pack(">I", len(data)) + kind + data + mark
    return out


def fill_in(filing: Filing, by: Actor) -> None:
    """Fill the merged form's parts as its pages would; what is known already is left alone."""
    draft = forms.draft_of(filing.draft, by)
    known = forms.answers(draft, by)
    for part in forms.merged(draft.forms).parts:
        posted = {
            f.id: [str(known.get(f.id) or TOLD.get(f.id, ""))]
            for f in part.fields
            if f.id in known or f.id in TOLD
        }
        saved = forms.save_part(draft, part.id, posted, 0, by=by)
        assert saved.good, (part.id, saved.errors)


def hand_in(filing: Filing, by: Actor) -> None:
    """Hand in what is still asked for, each material once."""
    for shade, one in enumerate(api.materials(filing, by)):
        if one.lacking:
            api.hand_in(filing, one.id, f"{one.name}.png", picture(shade), by=by)


@pytest.fixture
def father(city: None, fresh_lake: Any) -> Actor:
    """Zhang, whose child was born."""
    pour()
    return person(NUMBER, "张三丰")


@pytest.fixture
def ready(father: Actor) -> Filing:
    """Zhang's package with form and materials complete, not yet filed."""
    assert father.party is not None
    made = api.begin("newborn", applicant=father.party, answers=ANSWERS, by=father)
    api.consent(made, keys=["library:population"], by=father)
    made = Filing.objects.get(pk=made.pk)
    fill_in(made, father)
    api.carry(made, by=father)
    api.verify(made, by=father)
    hand_in(made, father)
    return made


def case_of(filing: Filing, item: str) -> Any:
    """The case of one item of a filing; None where it is not opened."""
    (found,) = [a for a in hall.of_bundle(filing.ref, SYSTEM) if a.item == item]
    return found.case
