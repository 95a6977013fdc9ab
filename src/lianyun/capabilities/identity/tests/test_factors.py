"""Second factors: demanded by the policy, good once, never a way around the lock."""

from __future__ import annotations

import base64
import datetime as dt
import re
import time
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.identity import actions, adapters, queries, rules
from lianyun.capabilities.identity.models import Cover, Factor
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Membership, UserError, roles
from lianyun.kernel.event import Event

from .conftest import PASSWORD, House, person
from .test_views import log_in


@pytest.fixture
def strict(settings: Any) -> None:
    settings.ACCESS_POLICY = "standard"


def totp_of(user: Any, ahead: int = 0) -> str:
    """What the authenticator shows; `ahead` steps later, for a code that was not used yet."""
    factor = user.factors.get(kind=rules.TOTP)
    secret = bytes.fromhex(adapters.unseal(factor.secret, adapters.FACTOR_USE))
    return rules.totp(secret, int(time.time() // rules.STEP_SECONDS) + ahead)


def enrol(house: House) -> list[str]:
    by = house.actor(house.officer)
    actions.begin_totp(house.officer, by=by)
    return actions.confirm_totp(house.officer, totp_of(house.officer, -1), "手机", by=by)


def test_who_holds_a_post_must_register_a_factor_first(house: House, strict: None) -> None:
    client = log_in("wu.admin")
    assert client.get("/workbench/accounts/")["Location"] == reverse("identity:factors")
    page = client.get(reverse("identity:factors")).content.decode()
    assert "登记第二因素后才能办理业务" in page
    # No way round by an address outside the workbench: the posts themselves are withheld.
    assert "管理账号" not in client.get("/").content.decode()
    shown = client.get(reverse("identity:add_totp")).content.decode()
    assert "data:image/svg+xml" in shown
    wrong = client.post(reverse("identity:add_totp"), {"code": "000000"})
    assert wrong.status_code == 400
    done = client.post(reverse("identity:add_totp"), {"code": totp_of(house.local)})
    assert len(re.findall(r"<li>([A-Z2-9]{5}-[A-Z2-9]{5})</li>", done.content.decode())) == 10
    assert client.get("/workbench/accounts/").status_code == 200
    secret = house.local.factors.get().secret
    assert secret.startswith("v1."), "kept encrypted"


def test_the_second_step(house: House) -> None:
    codes = enrol(house)
    client = Client()
    form = {"username": "zheng.data", "password": PASSWORD, "next": "/workbench/account/"}
    assert client.post("/login/", form)["Location"] == reverse("identity:second")
    assert client.get("/workbench/account/").status_code == 302, "half a login is none"
    second = reverse("identity:second")
    assert client.post(second, {"kind": "totp", "answer": "000000"}).status_code == 401
    code = totp_of(house.officer)
    answer = client.post(second, {"kind": "totp", "answer": code})
    assert answer["Location"] == "/workbench/account/"
    assert client.get("/workbench/account/").status_code == 200
    # Neither a code nor a recovery code is good twice.
    other = Client()
    other.post("/login/", form)
    assert other.post(second, {"kind": "totp", "answer": code}).status_code == 401
    assert other.post(second, {"kind": "recovery", "answer": codes[0]}).status_code == 302
    third = Client()
    third.post("/login/", form)
    assert third.post(second, {"kind": "recovery", "answer": codes[0]}).status_code == 401


def test_the_right_password_forgives_no_wrong_second_factor(house: House) -> None:
    enrol(house)
    second = reverse("identity:second")
    for _ in range(rules.FAILURES):
        client = Client()
        client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
        client.post(second, {"kind": "totp", "answer": "000000"})
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) is None
    house.officer.refresh_from_db()
    assert house.officer.locked


def test_a_half_open_door_closes(house: House) -> None:
    enrol(house)
    client = Client()
    client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    session = client.session
    half = session["half"]
    session["half"] = {**half, "at": half["at"] - rules.SECOND_MINUTES * 60 - 1}
    session.save()
    late = client.post(
        reverse("identity:second"), {"kind": "totp", "answer": totp_of(house.officer)}
    )
    assert late["Location"] == "/login/"


@pytest.mark.parametrize(
    "answer",
    ["", "null", "[]", "{}", '{"id":"x"}', '{"rawId":"AA","response":{}}', "{" * 500, "[" * 19_000],
)
def test_what_is_no_assertion_proves_nothing(house: House, answer: str) -> None:
    Factor.objects.create(
        user=house.officer,
        kind=rules.KEY,
        title="密钥",
        # An all-zero authenticator with a P-256 key: its signatures are never right.
        secret=base64.b64encode(
            bytes(16)
            + b"\x00\x01A"
            + bytes.fromhex("a5010203262001215820")
            + bytes(32)
            + bytes.fromhex("225820")
            + bytes(32)
        ).decode(),
        credential="QQ",
        confirmed_at=house.officer.created_at,
    )
    client = Client(headers={"host": "localhost"})
    client.post("/login/", {"username": "zheng.data", "password": PASSWORD})
    page = client.get(reverse("identity:second"))
    assert "key-options" in page.content.decode()
    told = client.post(reverse("identity:second"), {"kind": "key", "answer": answer})
    assert told.status_code == 401


def test_the_last_factor_stays_where_one_is_demanded(house: House, strict: None) -> None:
    enrol(house)
    by, factor = house.actor(house.officer), house.officer.factors.get()
    with pytest.raises(UserError, match="密码"):
        actions.remove_factor(house.officer, factor.pk, "wrong", by=by)
    with pytest.raises(UserError, match="至少保留"):
        actions.remove_factor(house.officer, factor.pk, PASSWORD, by=by)
    with pytest.raises(UserError, match="自己"):
        actions.remove_factor(house.officer, factor.pk, PASSWORD, by=house.actor(house.local))


def test_a_lost_factor_is_reset_by_the_security_administrator(house: House) -> None:
    enrol(house)
    guard = person("冯安全", "feng.safe", house.bureau, "security_admin")
    client = log_in("feng.safe")
    page = reverse("identity:secure")
    assert "zheng.data" in client.get(page).content.decode()
    form = {"do": "reset", "username": "zheng.data", "reason": ""}
    assert client.post(page, form).status_code == 400
    assert client.post(page, {**form, "reason": "手机遗失"}).status_code == 302
    assert not house.officer.factors.exists()
    event = Event.objects.get(kind="factors.reset")
    assert event.by == house.actor(guard).ref
    assert log_in("wu.admin").get(page).status_code == 403


def test_the_demonstration_policy_is_for_sample_cities(
    house: House, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lianyun.kernel import packs

    assert "演示环境" in Client().get("/login/").content.decode()
    real = packs.mapping
    city = {**real("core", "city.yaml"), "sample": False}
    monkeypatch.setattr(packs, "mapping", lambda p, f: city if f == "city.yaml" else real(p, f))
    assert queries.access_policy(ANONYMOUS)["name"] == "standard"
    with pytest.raises(UserError, match="真实城市"):
        actions.choose_policy("demonstration", by=SYSTEM)
    assert "演示账号" not in Client().get("/login/").content.decode()
    assert log_in("wu.admin").get("/workbench/accounts/").status_code == 302


def test_the_chosen_policy_holds_at_once(house: House) -> None:
    client = log_in("wu.admin")
    assert client.get("/workbench/accounts/").status_code == 200
    actions.choose_policy("standard", by=SYSTEM)
    assert client.get("/workbench/accounts/").status_code == 302


# ---- three administrators, leave cover --------------------------------------------------------


def test_the_three_administrators_share_no_power() -> None:
    """Only the register of seals is read by two of them: one keeps it, the other audits it."""
    three = [roles()[r].permissions - {"dashboard.read"} for r in sorted(rules.EXCLUSIVE)]
    shared = {p for one in range(3) for other in range(one) for p in three[one] & three[other]}
    assert shared <= {"seals.read"}


def test_the_database_refuses_two_of_the_three(house: House) -> None:
    assert house.admin.party is not None
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(
            party=house.admin.party, department=house.office, role="audit_admin"
        )


def test_leave_is_covered_and_ends(house: House) -> None:
    other = person("孙同事", "sun.peer", house.office, "share_head")
    today = dt.date.today()  # noqa: DTZ011
    week = today + dt.timedelta(days=6)
    by = house.actor(house.local)
    made = actions.cover_leave(house.officer, other, today, week, "年休假", by=by)
    assert house.actor(other).may("catalogue.edit", house.office)
    assert [c.roles for c in made] == [["data_officer"]]
    post = Membership.objects.get(party=other.party, role="data_officer")
    assert (post.since, post.until) == (today, week)
    actions.end_cover(Cover.objects.get(), by=by)
    assert not house.actor(other).may("catalogue.edit", house.office)
    assert house.actor(other).may("sharing.approve", house.office), "own posts stay"
    # Of two in one post each may stand in for the other: what was claimed comes with it.
    same = person("李同岗", "li.peer", house.office, "data_officer")
    (cover,) = actions.cover_leave(house.officer, same, today, week, "年休假", by=by)
    assert cover.roles == []
    actions.end_cover(cover, by=by)
    assert house.actor(same).may("catalogue.edit", house.office), "his own post stays"
    with pytest.raises(UserError, match="最长"):
        actions.cover_leave(
            house.officer, other, today, today + dt.timedelta(days=90), "病假", by=by
        )
    with pytest.raises(UserError, match="自己"):
        actions.cover_leave(house.local, other, today, week, "年休假", by=by)


def test_cover_joins_no_two_administrators(house: House) -> None:
    guard = person("冯安全", "feng.safe", house.bureau, "security_admin")
    second = person("陈系统", "chen.sys", house.bureau, "system_admin")
    today = dt.date.today()  # noqa: DTZ011
    with pytest.raises(UserError, match="三员分立"):
        actions.cover_leave(house.admin, guard, today, today, "年休假", by=house.actor(second))
