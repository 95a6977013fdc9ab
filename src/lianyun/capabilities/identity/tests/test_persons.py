"""Persons: nobody blocks or learns a number, a counter proves, accounts merge and end."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.identity import actions, api, queries, rules
from lianyun.capabilities.identity.models import Account, Agency, User
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, UserError, actor_of
from lianyun.kernel.event import Event

from .conftest import House, person

NUMBER = "320703199003070016"
OTHER = "320703198811110034"
PASSWORD = "Haizhou-2026"


def citizen(phone: str, name: str = "张三丰", number: str = NUMBER) -> tuple[User, Actor]:
    user = actions.register(phone, name, number, PASSWORD, address="10.0.0.1", by=ANONYMOUS)
    assert user.party is not None
    return user, actor_of(user.party)


def clerk(house: House) -> Actor:
    return house.actor(person("何窗口", "he.counter", house.office, "counter_clerk"))


def prove(actor: Actor, by: Actor, name: str = "张三丰", number: str = NUMBER) -> Account:
    visit = actions.go_to_counter(by=actor)
    return actions.confirm_at_counter(visit.code, name, number, "居民身份证", True, by=by)


def again(actor: Actor) -> Actor:
    assert actor.party is not None
    return actor_of(type(actor.party).objects.get(pk=actor.party.pk))


def test_registration_in_the_browser(db: None) -> None:
    client, page = Client(), reverse("identity:register")
    assert client.post(page, {"step": "phone", "phone": "123"}).status_code == 400
    client.post(page, {"step": "phone", "phone": "13812345678"})
    shown = client.get(page).content.decode()
    assert "模拟短信" in shown
    assert "13812345678" not in shown
    code = re.search(r"验证码 (\d{6})", shown)
    assert code is not None
    form = {
        "code": code.group(1),
        "name": "张三丰",
        "number": NUMBER,
        "password": PASSWORD,
        "agreed": "on",
    }
    assert client.post(page, {**form, "code": "000000"}).status_code == 400
    assert client.post(page, form)["Location"] == reverse("identity:mine")
    mine = client.get(reverse("identity:mine")).content.decode()
    assert NUMBER not in mine
    assert "320***********0016" in mine
    again_in = Client().post("/login/", {"username": "13812345678", "password": PASSWORD})
    assert again_in["Location"] == reverse("identity:mine")
    account = Account.objects.get()
    assert NUMBER not in account.claim_sealed + account.phone_sealed
    assert account.number_hash is None, "what is only declared is nobody's"
    assert not any(NUMBER in f"{e.data}{e.personal}" for e in Event.objects.all())


def test_a_code_is_good_once_and_few_times_wrong(db: None) -> None:
    text = actions.send_code("13812345678", "register", address="10.0.0.1", by=ANONYMOUS)
    code = re.search(r"\d{6}", text)
    assert code is not None
    right = code.group()
    assert actions.check_code("13812345678", "phone", right, by=ANONYMOUS) is False
    assert actions.check_code("13912345678", "register", right, by=ANONYMOUS) is False
    assert actions.check_code("13812345678", "register", right, by=ANONYMOUS) is True
    assert actions.check_code("13812345678", "register", right, by=ANONYMOUS) is False
    text = actions.send_code("13812345678", "register", address="10.0.0.1", by=ANONYMOUS)
    right = re.search(r"\d{6}", text).group()  # type: ignore[union-attr]
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(5):
        assert not actions.check_code("13812345678", "register", wrong, by=ANONYMOUS)
    assert not actions.check_code("13812345678", "register", right, by=ANONYMOUS)
    for _ in range(3):
        actions.send_code("13812345678", "register", address="10.0.0.1", by=ANONYMOUS)
    with pytest.raises(UserError, match="次数过多"):
        actions.send_code("13812345678", "register", address="10.0.0.1", by=ANONYMOUS)


def test_registering_tells_nothing_about_a_number(house: House) -> None:
    """A held, a declared and an unknown number are registered alike."""
    api.party_of_number(NUMBER, name="张三丰")
    _, actor = citizen("13800000001")
    prove(actor, clerk(house))
    for phone, number in (("13800000002", NUMBER), ("13800000003", OTHER)):
        made, _ = citizen(phone, "王五", number)
        assert made.party is not None
        assert api.level_of(made) == rules.SELF


def test_children_are_registered_by_their_guardians(db: None) -> None:
    with pytest.raises(UserError, match="监护人"):
        citizen("13800000001", "小宝", "320703201801010018")


def test_the_counter_makes_the_number_ones_own(house: House) -> None:
    by = clerk(house)
    register = api.party_of_number(NUMBER, name="张三丰")
    _, thief = citizen("13800000009")
    user, owner = citizen("13800000001")
    Account.objects.filter(party=thief.party).update(level=rules.ELEMENTS)
    visit = actions.go_to_counter(by=owner)
    with pytest.raises(UserError, match="不一致"):
        actions.confirm_at_counter(visit.code, "张三丰", OTHER, "居民身份证", True, by=by)
    with pytest.raises(UserError, match="比对"):
        actions.confirm_at_counter(visit.code, "张三丰", NUMBER, "居民身份证", False, by=by)
    account = actions.confirm_at_counter(visit.code, "张三丰", NUMBER, "居民身份证", True, by=by)
    # The holder whom a register knew now has the login; the declared account was merged into it.
    assert account.party == register
    user.refresh_from_db()
    assert user.party == register
    assert api.level_of(user) == rules.PERSON
    assert api.party_of_number(NUMBER) == register
    assert Account.objects.get(party=owner.party).merged_into == account
    # Who only declared the number lost it, whatever his level was.
    lost = Account.objects.get(party=thief.party)
    assert (lost.level, lost.claim_hash) == (rules.SELF, None)
    with pytest.raises(UserError, match="到窗码"):
        actions.confirm_at_counter(visit.code, "张三丰", NUMBER, "居民身份证", True, by=by)
    assert queries.user_named(NUMBER) == user
    event = Event.objects.get(kind="identity.proved")
    assert event.by == by.ref
    assert NUMBER not in str(event.data)


def test_an_officer_proves_neither_himself_nor_officers(house: House) -> None:
    by = clerk(house)
    assert by.party is not None
    Account.objects.create(party=by.party, level=rules.SELF)
    visit = actions.go_to_counter(by=by)
    with pytest.raises(UserError, match="本人"):
        actions.confirm_at_counter(visit.code, "何窗口", NUMBER, "居民身份证", True, by=by)
    # A forged "proof" cannot carry an officer's posts to a citizen's login.
    assert house.officer.party is not None
    Account.objects.create(
        party=house.officer.party, level=rules.PERSON, number_hash=api.number_hash(NUMBER)
    )
    _, fake = citizen("13800000001")
    with pytest.raises(UserError, match="工作人员账号"):
        prove(fake, by)


def test_a_changed_number_still_finds_the_person(house: House) -> None:
    by = clerk(house)
    _, actor = citizen("13800000001")
    account = prove(actor, by)
    visit = actions.go_to_counter(by=again(actor))
    actions.change_number(visit.code, OTHER, "连公户更〔2026〕1号", True, by=by)
    assert api.party_of_number(NUMBER) == api.party_of_number(OTHER) == account.party
    account.refresh_from_db()
    assert api.number_of(account.party) == OTHER
    visit = actions.go_to_counter(by=again(actor))
    with pytest.raises(UserError, match="不能变更为"):
        actions.change_number(visit.code, NUMBER, "连公户更〔2026〕2号", True, by=by)


def test_an_agent_accepts_and_has_only_his_scope(house: House) -> None:
    by = clerk(house)
    _, boss = citizen("13800000001")
    _, agent = citizen("13800000002", "李四", OTHER)
    prove(boss, by)
    firm = api.party_of_credit_code("91110000600037341L", name="甲公司")
    today = dt.date.today()  # noqa: DTZ011
    week = today + dt.timedelta(days=7)
    give = ("李四", OTHER, ["apply", "follow"], today, week)
    with pytest.raises(UserError, match="法定代表人"):
        actions.appoint_agent(firm.pk, *give, by=again(boss))
    Agency.objects.create(
        kind=rules.REPRESENTATIVE,
        principal=firm,
        agent=boss.party,
        since=today,
        accepted_at=dt.datetime.now(dt.UTC),
    )
    offer = actions.appoint_agent(firm.pk, *give, by=again(boss))
    assert OTHER not in offer.invited_mask
    with pytest.raises(UserError, match="实人核验"):
        actions.accept_agency(offer.pk, by=agent)
    prove(agent, by, "李四", OTHER)
    with pytest.raises(UserError, match="撤回或处理过"):
        actions.accept_agency(offer.pk, by=again(boss))
    actions.accept_agency(offer.pk, by=again(agent))
    assert agent.party is not None
    assert api.may_act(agent.party, firm, "apply")
    assert not api.may_act(agent.party, firm, "sign")
    actions.end_agency(offer.pk, by=again(boss))
    assert not api.may_act(agent.party, firm, "apply")


def test_erasure_within_its_limit(house: House) -> None:
    user, actor = citizen("13800000001")
    by = actor
    with pytest.raises(UserError, match="密码"):
        actions.ask_erasure(user, "wrong", by=by)
    actions.ask_erasure(user, PASSWORD, by=by)
    actions.keep_account(by=by)
    day = actions.ask_erasure(user, PASSWORD, by=by)
    assert day > dt.date.today()  # noqa: DTZ011
    assert actions.erase_due(by=SYSTEM) == 0
    Account.objects.update(erase_on=dt.date(2026, 1, 1))
    assert actions.erase_due(by=SYSTEM) == 1
    assert not User.objects.filter(pk=user.pk).exists()
    account = Account.objects.get(party=actor.party)
    assert (account.phone_hash, account.claim_sealed, account.level) == (None, "", 0)
    account.party.refresh_from_db()
    assert account.party.name == "已注销用户"
    assert not Event.objects.filter(subject=user.ref).exclude(personal=None).exists()
    officer = house.actor(house.officer)
    assert officer.party is not None
    Account.objects.create(party=officer.party)
    with pytest.raises(UserError, match="管理员"):
        actions.ask_erasure(house.officer, PASSWORD, by=officer)
