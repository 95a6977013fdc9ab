"""Firms: bound by the register's number, laid down online, ended when the register says otherwise."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from lianyun.capabilities.identity import actions, adapters, api, queries, rules
from lianyun.capabilities.identity.models import Account, Agency
from lianyun.capabilities.libraries.api import Plain
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.event import Event

from .conftest import House
from .test_persons import NUMBER, OTHER, PASSWORD, again, citizen, clerk, prove

FIRM, SECOND, UNKNOWN = "91110000600037341L", "91320700MA1XYH0R2B", "91320700MA1XYG7R55"
Register = dict[str, dict[str, Any]]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """What the legal-entity library answers; the library itself has tests of its own."""
    rows: Register = {
        FIRM: {"单位名称": "甲公司", "法定代表人": "张三丰", "法定代表人身份号码": NUMBER},
        SECOND: {"单位名称": "乙公司", "法定代表人": "张三丰"},
    }

    def plain(viewer: Actor, name: str, key: str) -> Plain | None:
        found = rows.get(key)
        return Plain("法人库", {}, found, {}, {}) if found else None

    monkeypatch.setattr(adapters, "_golden", lambda library, key, purpose: rows.get(key))
    monkeypatch.setattr(adapters.libraries, "plain", plain)
    return rows


def test_a_number_decides_and_a_namesake_does_not_pass() -> None:
    said = rules.headship("张三丰", ["h1", "h0"], "张三丰", "h1", "1")
    assert said == rules.BY_NUMBER
    assert rules.headship("张三丰", ["h1", "h0"], "张三丰", "h0", "1") == rules.BY_NUMBER
    assert rules.headship("张三丰", ["h1"], "张三丰", "h2", "1") == rules.OTHER_HEAD
    assert rules.headship("张翠山", ["h1"], "张三丰", "h1", "1") == rules.BY_NUMBER
    assert rules.headship("张三丰", ["h1"], "张三丰", "", "1") == rules.BY_NAME
    assert rules.headship("张三丰", ["h1"], "李四", "", "1") == rules.OTHER_HEAD
    assert rules.headship("张三丰", ["h1"], "", "", "1") == rules.NO_HEAD
    assert rules.headship("张三丰", ["h1"], "张三丰", "h1", "注销") == rules.GONE


def test_a_representative_binds_himself_online_by_number_only(
    house: House, register: Register
) -> None:
    by = clerk(house)
    _, boss = citizen("13800000001")
    with pytest.raises(UserError, match="实人核验"):
        actions.claim_firm(FIRM, by=boss)
    prove(boss, by)
    boss = again(boss)
    # Unknown, another's, one whose register has a name only: one answer.
    assert actions.claim_firm(SECOND, by=boss) is None
    assert actions.claim_firm(UNKNOWN, by=boss) is None
    register[FIRM]["法定代表人身份号码"] = OTHER
    assert actions.claim_firm(FIRM, by=boss) is None
    register[FIRM]["法定代表人身份号码"] = NUMBER
    # What a stand-in said of a face is not enough to dismiss somebody.
    Account.objects.filter(party=boss.party).update(simulated=True)
    with pytest.raises(UserError, match="模拟核验"):
        actions.claim_firm(FIRM, by=boss)
    Account.objects.filter(party=boss.party).update(simulated=False)
    agency = actions.claim_firm(FIRM, by=boss)
    assert agency is not None
    assert agency.basis == rules.HEADSHIPS[rules.BY_NUMBER]
    assert boss.party is not None
    assert api.may_act(boss.party, agency.principal, "sign")
    told = Event.objects.get(kind="agency.accepted")
    assert told.data["ground"] == rules.BY_NUMBER
    assert not any(NUMBER in f"{e.data}{e.personal}" for e in Event.objects.all())


def test_the_counter_looks_at_the_number_too(house: House, register: Register) -> None:
    by = clerk(house)
    _, boss = citizen("13800000001")
    prove(boss, by)
    boss = again(boss)
    register[FIRM]["法定代表人身份号码"] = OTHER
    visit = actions.go_to_counter(by=boss)
    with pytest.raises(UserError, match="不是来访人"):
        actions.bind_representative(visit.code, FIRM, True, by=by)
    agency = actions.bind_representative(visit.code, SECOND, True, by=by)
    assert agency.basis == rules.HEADSHIPS[rules.BY_NAME]
    # What a stand-in said of him does not count at a counter either.
    Account.objects.filter(party=boss.party).update(simulated=True)
    visit = actions.go_to_counter(by=again(boss))
    with pytest.raises(UserError, match="先为来访人办理实人核验"):
        actions.bind_representative(visit.code, SECOND, True, by=by)
    Account.objects.filter(party=boss.party).update(simulated=False)
    # After the police changed his number, the register's old one is still his.
    visit = actions.go_to_counter(by=again(boss))
    actions.change_number(visit.code, "110101199003070011", "连公户更〔2026〕1号", True, by=by)
    register[FIRM]["法定代表人身份号码"] = NUMBER
    assert actions.claim_firm(FIRM, by=again(boss)) is not None


def _firm_with_agent(house: House, register: Register) -> tuple[Actor, Actor, Agency, Agency]:
    by = clerk(house)
    _, boss = citizen("13800000001")
    _, agent = citizen("13800000002", "李四", OTHER)
    prove(boss, by)
    prove(agent, by, "李四", OTHER)
    boss, agent = again(boss), again(agent)
    agency = actions.claim_firm(FIRM, by=boss)
    assert agency is not None
    today = dt.date.today()  # noqa: DTZ011
    week = today + dt.timedelta(days=7)
    offer = actions.appoint_agent(
        agency.principal_id, "李四", OTHER, ["apply"], today, week, by=boss
    )
    return boss, agent, agency, actions.accept_agency(offer.pk, by=agent)


def test_a_representation_is_laid_down_online_and_taken_over_by_the_next(
    house: House, register: Register
) -> None:
    boss, agent, agency, given = _firm_with_agent(house, register)
    with pytest.raises(UserError, match="没有这份委托"):
        actions.end_agency(agency.pk, by=agent)  # an agent does not dismiss who appointed him
    actions.end_agency(agency.pk, by=boss)
    for row in (agency, given):
        row.refresh_from_db()
        assert row.ended_at is not None
    assert "本人在线终止" in agency.basis
    again_bound = actions.claim_firm(FIRM, by=boss)
    assert again_bound is not None
    # The firm's register names somebody else: by binding himself he ends the former.
    register[FIRM] |= {"法定代表人": "李四", "法定代表人身份号码": OTHER}
    taken = actions.claim_firm(FIRM, by=agent)
    assert taken is not None
    again_bound.refresh_from_db()
    assert again_bound.ended_at is not None
    assert [a.agent_id for a in Agency.objects.filter(ended_at=None)] == [agent.party.pk]  # type: ignore[union-attr]


def test_each_night_the_register_is_asked(house: House, register: Register) -> None:
    boss, _, agency, given = _firm_with_agent(house, register)
    assert boss.party is not None
    assert actions.compare_representatives(by=SYSTEM) == 0
    kept = register.pop(FIRM)
    assert actions.compare_representatives(by=SYSTEM) == 0, "a library being rebuilt ends nobody"
    register[FIRM] = {**kept, "法定代表人": "", "法定代表人身份号码": ""}
    assert actions.compare_representatives(by=SYSTEM) == 0
    register[FIRM] = {**kept, "登记状态": "注销"}
    assert actions.compare_representatives(by=SYSTEM) == 1
    agency.refresh_from_db()
    given.refresh_from_db()
    assert "注销" in agency.basis
    assert given.ended_at is not None
    assert not api.may_act(boss.party, agency.principal, "apply")
    assert actions.compare_representatives(by=SYSTEM) == 0


def test_a_register_gone_mad_dismisses_nobody(
    house: House, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    _firm_with_agent(house, register)
    monkeypatch.setattr(actions.agencies, "MOST_ENDED", (0, 0.1))
    register[FIRM]["法定代表人身份号码"] = "110101199003070011"
    assert actions.compare_representatives(by=SYSTEM) == 0
    told = Event.objects.filter(kind="representatives.compared").latest("id")
    assert told.data == {"compared": 1, "contradicted": 1, "halted": True}
    assert queries.representations(SYSTEM)


def test_a_firm_is_entered_by_its_person(house: House, register: Register) -> None:
    boss, *_ = _firm_with_agent(house, register)
    browser = Client()
    page = browser.get("/login/", {"as": "entity"}).content.decode()
    assert "法人登录" in page
    form = {"username": "13800000001", "password": PASSWORD, "next": "/my/acting/?next=/my/"}
    entered = browser.post("/login/?as=entity", form, follow=True)
    assert entered.redirect_chain[-1][0] == "/my/acting/?next=/my/"
    assert "甲公司" in entered.content.decode()
    chosen = Agency.objects.get(agent=boss.party, ended_at=None)
    done = browser.post("/my/acting/", {"agency": chosen.pk, "next": "/my/agencies/"}, follow=True)
    assert "正以 <b>甲公司</b> 的身份办理" in done.content.decode()
