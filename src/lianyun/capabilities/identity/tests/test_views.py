"""Login as a browser sees it: constant answers, safe addresses, limited sessions."""

from __future__ import annotations

import re
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from lianyun.capabilities.identity import rules
from lianyun.capabilities.identity.models import Seat
from lianyun.kernel.event import Event

from .conftest import PASSWORD, House


def log_in(username: str = "zheng.data", password: str = PASSWORD, **extra: str) -> Client:
    client = Client()
    answer = client.post("/login/", {"username": username, "password": password, **extra})
    assert answer.status_code == 302, answer.content.decode()[:400]
    return client


def test_every_failure_reads_alike(house: House) -> None:
    bodies = set()
    for username in ("zheng.data", "nobody"):
        page = Client().post("/login/", {"username": username, "password": "wrong"})
        assert page.status_code == 401
        text = page.content.decode().replace(username, "X")
        bodies.add(re.sub(r'value="[\w-]{40,}"|"X-CSRFToken": "[^"]+"', "", text))
    assert len(bodies) == 1
    assert rules.REFUSED in bodies.pop()


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "\\\\evil"]
)
def test_login_leads_nowhere_else(house: House, wanted: str) -> None:
    answer = Client().post(
        "/login/", {"username": "zheng.data", "password": PASSWORD, "next": wanted}
    )
    assert answer["Location"] == "/workbench/"


def test_login_leads_back(house: House) -> None:
    answer = Client().get("/workbench/account/?a=1")
    assert answer["Location"] == "/login/?next=%2Fworkbench%2Faccount%2F%3Fa%3D1"
    answer = Client().post(
        "/login/",
        {"username": "zheng.data", "password": PASSWORD, "next": "/workbench/account/?a=1"},
    )
    assert answer["Location"] == "/workbench/account/?a=1"


def test_forms_need_their_token(house: House) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    assert answer.status_code == 403
    assert "页面已过期" in answer.content.decode()


def test_the_session_key_changes_at_login(house: House) -> None:
    client = Client()
    client.get("/login/")
    session = client.session
    session["x"] = 1
    session.save()
    before = session.session_key
    client.cookies["lianyun_session"] = before
    client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    assert client.session.session_key != before


def test_a_fourth_login_ends_the_first(house: House) -> None:
    clients = [log_in() for _ in range(rules.SEATS + 1)]
    assert clients[0].get("/workbench/account/").status_code == 302
    assert [c.get("/workbench/account/").status_code for c in clients[1:]] == [200] * rules.SEATS
    assert Seat.objects.filter(user=house.officer).count() == rules.SEATS


def test_half_an_hour_of_sleep_ends_a_session(house: House) -> None:
    client = log_in()
    session = client.session
    session["seen"] = time.time() - 31 * 60
    session.save()
    answer = client.get("/workbench/account/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")


def test_other_sessions_can_be_ended(house: House) -> None:
    here, there = log_in(), log_in()
    assert "结束其他登录" in here.get("/workbench/account/").content.decode()
    here.post(reverse("identity:end_own_seats"))
    assert here.get("/workbench/account/").status_code == 200
    assert there.get("/workbench/account/").status_code == 302


def test_logout_is_by_post_and_final(house: House) -> None:
    client = log_in()
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/workbench/account/").status_code == 302
    assert not Seat.objects.filter(user=house.officer).exists()


def test_a_first_password_must_be_changed(house: House) -> None:
    house.officer.must_change = True
    house.officer.save()
    client = log_in()
    assert client.get("/workbench/account/")["Location"] == "/workbench/account/password/"
    form = {"old": PASSWORD, "new": "Ganyu-2027x", "again": "Ganyu-2027x"}
    assert client.post("/workbench/account/password/", form).status_code == 302
    assert client.get("/workbench/account/").status_code == 200
    assert Seat.objects.filter(user=house.officer).count() == 1


def test_an_old_password_must_be_changed(house: House) -> None:
    import datetime as dt

    house.officer.password_set_at -= rules.PASSWORD_LIFE + dt.timedelta(days=1)  # type: ignore[operator]
    house.officer.save()
    assert log_in().get("/workbench/account/").status_code == 302


def test_the_own_posts_only(house: House) -> None:
    client = log_in()
    answer = client.post(reverse("identity:choose_post"), {"department": house.other.pk})
    assert answer.status_code == 400
    assert "没有任职" in answer.content.decode()


def test_administration_end_to_end(house: House) -> None:
    client = log_in("wu.admin")
    page = client.get("/workbench/accounts/")
    assert "郑专员" in page.content.decode()
    assert "周系统" not in page.content.decode()
    form = {
        "name": "孙新",
        "username": "sun.xin",
        "department": house.office.pk,
        "role_names": ["data_officer"],
        "once": "t1",
    }
    made = client.post("/workbench/accounts/new/", form)
    first = re.search(r'data-copy="([^"]+)"', made.content.decode())
    assert first is not None
    again = client.post("/workbench/accounts/new/", {**form, "username": "sun.er"})
    assert again.status_code == 302, "the same page sent twice makes one account"
    new = log_in("sun.xin", first.group(1))
    assert new.get("/workbench/")["Location"] == "/workbench/account/password/"

    detail = reverse("identity:detail", args=["sun.xin"])
    assert client.get(detail).status_code == 200
    standing = reverse("identity:standing", args=["sun.xin"])
    assert client.post(standing, {"do": "disable", "reason": ""}).status_code == 400
    assert client.post(standing, {"do": "disable", "reason": "调离"}).status_code == 302
    assert new.get("/workbench/account/password/").status_code == 302
    assert client.post(standing, {"do": "enable"}).status_code == 302
    reset = client.post(standing, {"do": "reset", "once": "t2"})
    assert "初始密码" in reset.content.decode()


def test_an_officer_may_not_administer(house: House) -> None:
    client = log_in()
    for path in (
        "/workbench/accounts/",
        "/workbench/accounts/new/",
        "/workbench/security/accounts/",
    ):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "权限" in answer.content.decode()


def test_an_administrator_reaches_no_other_department(house: House) -> None:
    client = log_in("wu.admin")
    assert client.get(reverse("identity:detail", args=["zhou.sys"])).status_code == 403
    roles = reverse("identity:roles", args=["zheng.data"])
    wrong = {"department": house.other.pk, "role": "data_officer"}
    assert client.post(roles, wrong).status_code == 400
    assert client.post(roles, {"department": house.office.pk, "role": "leader"}).status_code == 400


# ---- threats (docs/security/identity.md) -------------------------------------------------------


def test_a_busy_session_ends_after_eight_hours(house: House) -> None:
    client = log_in()
    session = client.session
    session["began"] = time.time() - rules.ABSOLUTE.total_seconds() - 1
    session.save()
    assert client.get("/workbench/account/").status_code == 302


def test_a_stolen_cookie_in_another_browser_ends_the_session(house: House) -> None:
    owner, thief = log_in(), Client(headers={"user-agent": "curl/8"})
    thief.cookies["lianyun_session"] = owner.cookies["lianyun_session"].value
    assert thief.get("/workbench/account/").status_code == 302
    assert owner.get("/workbench/account/").status_code == 302, "the owner enters anew and is told"
    assert Event.objects.filter(kind="session.suspected").count() == 1


def test_a_planted_session_is_not_the_one_that_enters(house: House) -> None:
    house.officer.factors.create(
        kind="totp", title="x", secret="v1.", confirmed_at=house.officer.created_at
    )
    client = Client()
    client.get("/register/")
    session = client.session
    session["planted"] = 1
    session.save()
    client.cookies["lianyun_session"] = before = session.session_key
    client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    assert client.session.session_key != before
    assert "planted" not in client.session


def test_a_new_device_is_told_and_can_be_disowned(house: House) -> None:
    first = log_in()
    log_in()
    page = first.get("/workbench/account/").content.decode()
    assert "刚刚在新设备" in page
    device = house.officer.devices.get(told_at=None)
    away = first.post(reverse("identity:judge_device"), {"device": device.pk, "mine": "0"})
    assert away["Location"] == "/workbench/account/password/"
    house.officer.refresh_from_db()
    assert house.officer.must_change
    assert Seat.objects.filter(user=house.officer).count() == 1


def test_a_login_reads_and_writes_each_thing_once(house: House) -> None:
    log_in(), log_in()
    with CaptureQueriesContext(connection) as asked:
        client = log_in()
    words = [q["sql"].split(maxsplit=1)[0] for q in asked.captured_queries]
    assert len([w for w in words if w not in ("SAVEPOINT", "RELEASE")]) <= 22, words
    sessions = [q["sql"] for q in asked.captured_queries if 'INTO "django_session"' in q["sql"]]
    assert len(sessions) == 1, "written once, with its seat"
    assert client.get("/workbench/account/").status_code == 200
    with CaptureQueriesContext(connection) as asked:
        client.get("/my/messages/")
    who = [q for q in asked.captured_queries if "identity_user" in q["sql"]]
    assert len(who) == 1, "who asks is read in one statement"


def test_a_known_device_is_no_news(house: House) -> None:
    client = log_in()
    client.post("/logout/")
    client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    assert house.officer.devices.count() == 1


def test_guesses_at_many_accounts_from_one_address_are_limited(house: House) -> None:
    from lianyun.capabilities.identity.actions import limits

    for _ in range(100):
        limits.count("login_failures_per_address", "127.0.0.1")
    refused = Client().post("/login/", {"username": "zheng.data", "password": PASSWORD})
    assert refused.status_code == 401
    assert rules.REFUSED in refused.content.decode()


def test_a_level_that_is_missing_leads_to_the_way(house: House) -> None:
    from lianyun.capabilities.identity import api
    from lianyun.ui.pages import signed_in

    @signed_in
    def view(request):  # type: ignore[no-untyped-def]
        api.require_level(request, api.PERSON)

    client = log_in()
    request = client.get("/workbench/account/").wsgi_request
    request.path = "/my/licences/"
    request.path_info = "/my/licences/"
    page = view(request)
    assert page.status_code == 403
    assert "/my/identity/?need=3&amp;next=%2Fmy%2Flicences%2F" in page.content.decode()
