"""A department with its seal, its officers, a citizen who holds a residence permit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.seals import actions as seals
from lianyun.kernel import install, packs
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Party
from lianyun.kernel.path import compile_path, declare

PERSON = "320703199003070016"
OTHER = "320703198811110034"
PERMIT: dict[str, Any] = {
    "name": "张三丰",
    "citizen_number": PERSON,
    "licence_number": "3207032026000012",
    "residence_address": "江苏省连云港市海州区新东街道苍梧路6号2幢301室",
    "issuing_authority": "新东派出所",
    "issued_on": "2026-05-20",
    "valid_from": "2026-05-20",
}
Officer = Callable[..., Actor]


@pytest.fixture
def city(db: None) -> None:
    """What licences need of the packs: departments and two paths (everything takes seconds)."""
    install._departments()
    for key in ("licence_issue", "seal_request"):
        told = packs.declaration("paths", key).data
        rest = {k: v for k, v in told.items() if k not in ("steps", "key", "title")}
        declare(key, told["title"], compile_path(key, told["title"], told["steps"]), rest)


@pytest.fixture
def police(officer: Officer) -> Actor:
    return officer("ga", "data_officer")


@pytest.fixture
def head(officer: Officer) -> Actor:
    return officer("ga", "share_head")


@pytest.fixture
def permit(police: Actor) -> Licence:
    return actions.issue_licence("residence_permit", None, PERMIT, once="permit", by=police)


def person(number: str, name: str) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


@pytest.fixture
def citizen(permit: Licence) -> Actor:
    return person(PERSON, "张三丰")


@pytest.fixture
def stranger(city: None) -> Actor:
    return person(OTHER, "李四")


@pytest.fixture
def clerk(officer: Officer) -> Actor:
    return officer("mz", "data_officer", name="王民政")


@pytest.fixture
def sealed(city: None) -> Party:
    """The police with a seal that may be set on licences."""
    department = Party.objects.get(kind="department", slug="ga")
    case = seals.request_seal(
        department=department,
        kind="organ",
        title="市公安局证照专用章",
        name="连云港市公安局",
        below="证照专用章",
        automatic=["licences.issue", "licences.copy"],
        reason="依法出具电子证照",
        by=SYSTEM,
    )
    while (item := case.items.filter(done_at=None).first()) is not None:
        case = seals.do_step(item=item, outcome=item.declared.outcomes[0].name, by=SYSTEM)
    return department
