"""Passwords of persons: a first one only right after the platform's login, a forgotten one by two things."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.identity import actions, queries
from lianyun.capabilities.identity.models import Account, User
from lianyun.capabilities.identity.views.entry import ENTERED
from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.kernel.event import Event

from .conftest import House, person
from .test_persons import NUMBER, OTHER, PASSWORD, citizen

PHONE, NEW = "13812345678", "Ganyu-2027x"


def inside(user: User, entered: float) -> Client:
    """A browser that a platform let in, which said when he gave his secret there."""
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["way"], session[ENTERED] = "platform", entered
    session.save()
    return browser


@pytest.fixture
def bare(db: None) -> User:
    """An account without a password, as a platform opens it."""
    user, _ = citizen(PHONE)
    user.password = make_password(None)
    user.save()
    return user


def test_who_has_no_password_shows_that_he_is_there(bare: User) -> None:
    form = {"new": NEW, "again": NEW}
    for entered in (0.0, time.time() - 3600):
        stale = inside(bare, entered)
        assert "请先在国家平台重新登录" in stale.get(reverse("identity:password")).content.decode()
        assert stale.post(reverse("identity:password"), form).status_code == 400
        assert stale.post(reverse("identity:erase"), {"do": "erase"}).status_code == 400
        told = actions.send_code("13900000009", "phone", address="10.0.0.1", by=ANONYMOUS)
        session = stale.session
        session["new_phone"] = {"phone": "13900000009", "shown": told}
        session.save()
        code = re.search(r"\d{6}", told)
        assert code is not None
        done = stale.post(reverse("identity:phone"), {"code": code.group()})
        assert done.status_code == 400
        assert Account.objects.get(party=bare.party).erase_on is None
    bare.refresh_from_db()
    assert not bare.has_usable_password()
    fresh = inside(bare, time.time() - 60)
    assert fresh.post(reverse("identity:password"), form).status_code == 302
    bare.refresh_from_db()
    assert bare.check_password(NEW)
    # From now on the old password is asked, however fresh the login is.
    assert fresh.post(reverse("identity:password"), form).status_code == 400
    with pytest.raises(UserError, match="已有密码"):
        actions.set_first_password(
            bare, "Lianyun-2028x", fresh=True, by=actions.persons.actor_of(bare.party)  # type: ignore[arg-type]
        )  # fmt: skip


def test_a_fresh_login_closes_the_account_too(bare: User) -> None:
    fresh = inside(bare, time.time() - 60)
    assert fresh.post(reverse("identity:erase"), {"do": "erase"}).status_code == 302
    assert Account.objects.get(party=bare.party).erase_on is not None


def recover(phone: str, number: str, password: str = NEW) -> bool:
    return actions.recover_password(phone, number, password, address="10.0.0.2", by=ANONYMOUS)


def test_a_forgotten_password_needs_telephone_and_number(house: House) -> None:
    user, _ = citizen(PHONE)
    assert recover(PHONE, OTHER) is False  # who has the telephone only
    assert recover("13800000009", NUMBER) is False  # who knows the number only
    with pytest.raises(UserError, match="至少"):
        recover(PHONE, NUMBER, "short")
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    officer = person("孙专员", "sun.data", house.office, "data_officer")
    assert officer.party is not None
    own = Account.objects.get(party=user.party)
    Account.objects.create(party=officer.party, phone_hash="f" * 32, claim_hash=own.claim_hash)
    Account.objects.filter(party=user.party).update(phone_hash="e" * 32)
    Account.objects.filter(party=officer.party).update(phone_hash=own.phone_hash)
    assert recover(PHONE, NUMBER) is False  # an officer goes to the administrator
    Account.objects.filter(party=officer.party).update(phone_hash=None)
    Account.objects.filter(party=user.party).update(phone_hash=own.phone_hash)
    assert recover(PHONE, NUMBER) is True
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert Event.objects.filter(kind="password.recovered", subject=user.ref).count() == 1
    assert not any(NUMBER in f"{e.data}{e.personal}" for e in Event.objects.all())
    assert not recover(PHONE, OTHER)
    assert not recover(PHONE, OTHER)
    with pytest.raises(UserError, match="次数过多"):
        recover(PHONE, OTHER)


def test_in_the_browser_a_forgotten_password_logs_nobody_in(db: None) -> None:
    user, _ = citizen(PHONE)
    owner = Client()
    owner.post("/login/", {"username": PHONE, "password": PASSWORD})
    browser, page = Client(), reverse("identity:forgotten")
    browser.post(page, {"step": "phone", "phone": PHONE})
    code = re.search(r"验证码 (\d{6})", browser.get(page).content.decode())
    assert code is not None
    form = {"code": code.group(1), "number": NUMBER, "password": "short"}
    assert browser.post(page, form).status_code == 400  # judged before the code is spent
    done = browser.post(page, {**form, "password": NEW})
    assert done["Location"] == reverse("identity:login")
    assert "_auth_user_id" not in browser.session
    assert owner.get(reverse("identity:mine")).status_code == 302, "other sessions ended"
    # An unknown telephone is answered like a wrong number.
    other = Client()
    other.post(page, {"step": "phone", "phone": "13700000000"})
    code = re.search(r"验证码 (\d{6})", other.get(page).content.decode())
    assert code is not None
    said = other.post(page, {"code": code.group(1), "number": NUMBER, "password": NEW})
    assert actions.UNFIT in said.content.decode()
    assert queries.user_named(PHONE) == user
