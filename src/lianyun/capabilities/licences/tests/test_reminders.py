"""Reminders: once for each stage, the last stage only where it is late, to the holder and who acts for him."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.identity.models import Agency
from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.licences.queries import kinds, licences
from lianyun.capabilities.licences.rules import types
from lianyun.kernel.access import SYSTEM, Actor, Denied
from lianyun.kernel.models import Event

from .conftest import OTHER, PERMIT, PERSON

pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, int]]:
    rows = Event.objects.filter(kind="licence.due").order_by("pk")
    return [(row.subject, row.data["stage"]) for row in rows]


def test_a_holder_is_told_once_for_each_stage(
    permit: Licence, citizen: Actor, stranger: Actor, police: Actor, head: Actor
) -> None:
    first, last = kinds.kind("residence_permit").remind
    assert permit.ends_on is not None
    with time_machine.travel(permit.ends_on - dt.timedelta(days=first + 1), tick=False):
        assert actions.tell_due(by=SYSTEM) == 0
    with time_machine.travel(permit.ends_on - dt.timedelta(days=first), tick=False):
        assert licences.due([permit]) == [permit]
        Agency.objects.create(
            kind="agent", principal=permit.grant.grantee, agent=stranger.party,
            since=timezone.localdate(), accepted_at=timezone.now(), scope=["licences"],
        )  # fmt: skip
        assert [actions.tell_due(by=SYSTEM) for _ in range(2)] == [1, 0]
    with time_machine.travel(permit.ends_on - dt.timedelta(days=last), tick=False):
        assert [actions.tell_due(by=SYSTEM) for _ in range(2)] == [1, 0]
    with time_machine.travel(permit.ends_on + dt.timedelta(days=1), tick=False):
        assert actions.tell_due(by=SYSTEM) == 0
    assert told() == [(permit.ref, first), (permit.ref, last)]
    event = Event.objects.filter(kind="licence.due").latest("pk")
    assert event.data["to"] == [citizen.party.ref, stranger.party.ref]  # type: ignore[union-attr]
    assert event.data["until"] == str(permit.ends_on)
    assert event.data["licence_title"] == "居住证"
    assert PERSON not in str(event.data)


def test_who_comes_late_is_told_of_the_last_stage_only_and_nobody_of_a_licence_that_rests(
    police: Actor, head: Actor
) -> None:
    last = kinds.kind("residence_permit").remind[-1]
    made = [
        actions.issue_licence(
            "residence_permit", None,
            {**PERMIT, "licence_number": f"320703202600003{n}", "citizen_number": number},
            once=f"due-{n}", by=police,
        )
        for n, number in enumerate((PERSON, PERSON, OTHER, OTHER))
    ]  # fmt: skip
    late, rests, gone, short = made
    actions.suspend_licence(rests, reason="核查", by=head)
    Licence.objects.filter(pk=gone.pk).update(left_on=timezone.localdate())
    assert late.ends_on is not None
    # A licence for a few days ends when it ends: its whole life is shorter than a stage.
    Licence.objects.filter(pk=short.pk).update(begins_on=late.ends_on - dt.timedelta(days=5))
    with time_machine.travel(late.ends_on - dt.timedelta(days=3), tick=False):
        with pytest.raises(Denied):
            actions.tell_due(by=head)
        assert actions.tell_due(by=SYSTEM) == 1
    assert told() == [(late.ref, last)]


def test_stages_are_declared_falling() -> None:
    for wrong in ([15, 60], [60, 60], [0], ["60"], [400]):
        with pytest.raises(types.BadType, match="remind"):
            kinds.read({**DECLARED, "remind": wrong})
    assert kinds.read(DECLARED).remind == types.REMIND
    assert kinds.read({**DECLARED, "remind": [90, 30]}).remind == (90, 30)


DECLARED = {
    "name": "bee_keeper", "title": "养蜂证", "issuer": "ny", "serial": "009", "holders": ["person"],
    "number": "a", "holder": {"number": "b", "name": "c"}, "dates": {"issued": "d"},
    "elements": [
        {"name": "a", "title": "编号", "type": "C"},
        {"name": "b", "title": "号码", "element": "citizen_number"},
        {"name": "c", "title": "姓名", "element": "person_name"},
        {"name": "d", "title": "发证日期", "element": "issued_on"},
    ],
}  # fmt: skip
