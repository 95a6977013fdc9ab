"""Sessions: written once a request, never another's, and whom they speak of read in one statement."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from lianyun.kernel.access import Membership, actor_of
from lianyun.kernel.party import Party
from lianyun.project.sessions import SessionStore

pytestmark = pytest.mark.django_db


def rows() -> int:
    return Session.objects.count()


def test_a_session_is_written_once_and_only_where_something_is_new() -> None:
    def written(session: SessionStore) -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            session.save()
        words = [q["sql"].split(maxsplit=1)[0] for q in seen.captured_queries]
        return [w for w in words if w not in ("SAVEPOINT", "RELEASE")]

    before = rows()
    session = SessionStore()
    session["a"] = {"deep": [1]}
    assert written(session) == ["INSERT"]
    assert written(session) == []
    session["a"]["deep"].append(2)
    assert written(session) == ["UPDATE"]
    assert rows() == before + 1
    assert SessionStore(session.session_key)["a"] == {"deep": [1, 2]}


def test_a_new_key_carries_the_content_and_the_old_row_goes() -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    old = session.session_key
    session.cycle_key()
    session.save()
    assert session.session_key != old
    assert SessionStore(session.session_key)["a"] == 1
    assert not Session.objects.filter(session_key=old).exists()


def test_a_key_that_nobody_gave_out_is_not_taken_up() -> None:
    for planted in (SessionStore("p" * 32), SessionStore("p" * 32)):
        before = rows()
        planted.save()
        assert planted.session_key != "p" * 32
        assert rows() == before + 1
        planted["a"] = 1
        planted.save()
        assert SessionStore(planted.session_key)["a"] == 1
    assert not Session.objects.filter(session_key="p" * 32).exists()


def test_a_session_that_was_ended_meanwhile_does_not_come_back() -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    here = SessionStore(session.session_key)
    here["b"] = 2
    Session.objects.filter(session_key=session.session_key).delete()
    with pytest.raises(UpdateError):
        here.save()
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_flushing_forgets_everything() -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    old = session.session_key
    session.flush()
    session["b"] = 2
    session.save()
    assert session.session_key != old
    assert dict(SessionStore(session.session_key).items()) == {"b": 2}
    assert not Session.objects.filter(session_key=old).exists()


@pytest.fixture
def officer(db: None) -> Any:
    from lianyun.capabilities.identity.models import User

    person = Party.objects.create(kind=Party.PERSON, name="郑专员")
    for slug, role in (("mz", "data_officer"), ("ga", "leader"), ("mz", "leader")):
        desk = Party.objects.get(kind=Party.DEPARTMENT, slug=slug)
        Membership.objects.create(party=person, department=desk, role=role)
    return User.objects.create(username="zheng", party=person)


def asked(user: Any) -> HttpRequest:
    client = Client()
    client.force_login(user)
    request = HttpRequest()
    request.session = SessionStore(client.cookies["lianyun_session"].value)
    return request


def test_whom_a_session_speaks_of_is_read_with_his_posts(
    officer: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = asked(officer)
    with django_assert_num_queries(2):  # the session, and who it is
        user: Any = get_user(request)
        actor = actor_of(user.party)
        assert user.party.memberships.exists()
    plain = actor_of(Party.objects.get(pk=officer.party.pk))
    assert (actor.roles, actor.held, actor.department) == (
        plain.roles,
        plain.held,
        plain.department,
    )
    assert actor.party == plain.party
    assert user == officer
    assert user.party.data == {}
    assert user.former == []


def test_a_post_that_ended_gives_nothing_at_the_next_request(officer: Any) -> None:
    request = asked(officer)
    user: Any = get_user(request)
    assert actor_of(user.party).roles
    Membership.objects.filter(party=officer.party).delete()
    user = get_user(request)
    assert actor_of(user.party).roles == ()


def test_a_closed_account_is_nobody(officer: Any) -> None:
    request = asked(officer)
    officer.is_active = False
    officer.save()
    assert not get_user(request).is_authenticated
