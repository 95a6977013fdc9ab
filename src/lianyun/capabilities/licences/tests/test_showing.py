"""Showing: a code that works once within its minute, asks, consents, refusals, and what is on record."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence, Showing
from lianyun.capabilities.licences.queries import licences
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError
from lianyun.kernel.models import Event

from .conftest import PERSON

pytestmark = pytest.mark.django_db


def ask(code: str, by: Actor, wanted: tuple[str, ...] = ()) -> Showing:
    return actions.ask(code, purpose="办理老年优待", wanted=list(wanted), by=by)


def test_the_counter_sees_what_the_holder_agreed_to_and_it_is_on_record(
    permit: Licence, citizen: Actor, clerk: Actor, stranger: Actor
) -> None:
    code = actions.show(permit, by=citizen)
    assert code not in str(Showing.objects.values_list("code_hash", flat=True))
    asked = ask(code, clerk, ("age_over_18",))
    with pytest.raises(UserError, match="没有同意"):
        actions.see(asked, by=clerk)
    with pytest.raises(Denied):
        actions.answer(asked, agreed=True, by=stranger)
    assert [w.pk for w in licences.waiting(citizen)] == [asked.pk]
    actions.answer(asked, agreed=True, by=citizen)
    with pytest.raises(UserError, match="没有同意"):
        actions.see(asked, by=stranger.__class__(stranger.party, clerk.department, (), clerk.held))
    assert actions.see(asked, by=clerk) == [("已满 18 周岁", "是")]
    read = CallRecord.objects.get(resource="电子证照·居住证")
    assert read.key_hash == identity.number_hash(PERSON)
    assert read.purpose == "办理老年优待"
    assert [s.pk for s in licences.looks(citizen)] == [asked.pk]
    kinds = set(Event.objects.filter(subject=permit.ref).values_list("kind", flat=True))
    assert {"licence.shown", "licence.asked", "licence.consented", "licence.seen"} <= kinds


def test_a_replayed_an_old_and_an_unknown_code_are_refused(
    permit: Licence, citizen: Actor, clerk: Actor
) -> None:
    code = actions.show(permit, by=citizen)
    ask(code, clerk)
    with pytest.raises(UserError, match="已经用过"):
        ask(code, clerk)
    first = actions.show(permit, by=citizen)
    second = actions.show(permit, by=citizen)
    with pytest.raises(UserError, match="已过期"):
        ask(first, clerk)
    with (
        time_machine.travel(timezone.now() + dt.timedelta(seconds=61), tick=False),
        pytest.raises(UserError, match="已过期"),
    ):
        ask(second, clerk)
    with pytest.raises(UserError, match="不是本平台"):
        ask("AAAAAAAAAAAAAAAAAAAAAA", clerk)


def test_a_refusal_shows_nothing(permit: Licence, citizen: Actor, clerk: Actor) -> None:
    asked = ask(actions.show(permit, by=citizen), clerk)
    actions.answer(asked, agreed=False, by=citizen)
    with pytest.raises(UserError, match="没有同意"):
        actions.see(asked, by=clerk)
    with pytest.raises(UserError, match="已经答复"):
        actions.answer(asked, agreed=True, by=citizen)


def test_consent_comes_in_time_and_sight_too(permit: Licence, citizen: Actor, clerk: Actor) -> None:
    asked = ask(actions.show(permit, by=citizen), clerk)
    with (
        time_machine.travel(timezone.now() + dt.timedelta(minutes=6), tick=False),
        pytest.raises(UserError, match="超过时限"),
    ):
        actions.answer(asked, agreed=True, by=citizen)
    actions.answer(asked, agreed=True, by=citizen)
    with (
        time_machine.travel(timezone.now() + dt.timedelta(minutes=16), tick=False),
        pytest.raises(UserError, match="时限已过"),
    ):
        actions.see(asked, by=clerk)


def test_others_and_the_dead_are_not_shown(
    permit: Licence, citizen: Actor, stranger: Actor, head: Actor
) -> None:
    with pytest.raises(Denied):
        actions.show(permit, by=stranger)
    assert licences.held(stranger) == []
    assert citizen.party is not None
    with pytest.raises(Denied):
        licences.held(stranger, citizen.party)
    actions.suspend_licence(permit, reason="核查", by=head)
    with pytest.raises(UserError, match="不在有效状态"):
        actions.show(permit, by=citizen)


def test_given_once(permit: Licence, citizen: Actor, client: Client) -> None:
    code = actions.give(
        permit, purpose="租房登记", recipient="某房产中介", wanted=["name", "valid_from"], hours=1,
        by=citizen,
    )  # fmt: skip
    looked = client.get(f"/verify/given/{code}/").content.decode()
    assert "某房产中介" in looked
    assert "张三丰" not in looked  # a link's preview uses nothing up and shows nothing
    told = client.post(f"/verify/given/{code}/").content.decode()
    assert "张三丰" in told
    assert PERSON not in told
    second = client.post(f"/verify/given/{code}/").content.decode()
    unknown = client.post("/verify/given/AAAAAAAAAAAAAAAAAAAAAA/").content.decode()
    assert "张三丰" not in second
    assert second.count("已被查看过") == unknown.count("已被查看过") == 1
    with pytest.raises(UserError, match="证照中没有"):
        actions.give(
            permit, purpose="用途", recipient="某某", wanted=["mother"], hours=1, by=citizen
        )


def test_scans_and_guesses_are_limited(permit: Licence, clerk: Actor) -> None:
    with time_machine.travel(dt.datetime(2026, 11, 22, 3, 0, 1, tzinfo=dt.UTC), tick=False):
        for n in range(actions.limits.LIMITS["scan"]):
            with pytest.raises(UserError, match="不是本平台"):
                ask(f"guess-{n}", clerk)
        with pytest.raises(actions.TooMany):
            ask("guess", clerk)
        for _ in range(actions.limits.LIMITS["given"]):
            with pytest.raises(UserError, match="链接无效"):
                actions.take("guess", address="10.0.0.1", by=ANONYMOUS)
        with pytest.raises(actions.TooMany):
            actions.take("guess", address="10.0.0.1", by=ANONYMOUS)


def test_a_link_is_taken_back_before_it_is_opened(
    permit: Licence, citizen: Actor, stranger: Actor, client: Client
) -> None:
    def give() -> tuple[str, Showing]:
        code = actions.give(
            permit, purpose="租房登记", recipient="某中介", wanted=["name"], hours=1, by=citizen
        )
        return code, Showing.objects.latest("id")

    code, row = give()
    with pytest.raises(Denied):
        actions.take_back(row, by=stranger)
    actions.take_back(row, by=citizen)
    actions.take_back(row, by=citizen)  # pressed twice
    assert "链接无效" in client.get(f"/verify/given/{code}/").content.decode()
    assert "张三丰" not in client.post(f"/verify/given/{code}/").content.decode()
    code, row = give()
    client.post(f"/verify/given/{code}/")
    with pytest.raises(UserError, match="已经查看过"):
        actions.take_back(row, by=citizen)
