"""The doors for sibling capabilities: one number, one person; a level that is asked for."""

from __future__ import annotations

import pytest

from lianyun.capabilities.identity import adapters, api
from lianyun.capabilities.identity.models import Account
from lianyun.kernel.access import ANONYMOUS, UserError, actor_of
from lianyun.kernel.party import Party

NUMBER = "320703199003070016"


def test_one_number_is_one_person(db: None) -> None:
    party = api.party_of_number(NUMBER, name="张三丰")
    assert api.party_of_number(f" {NUMBER.lower()} ", name="张三") == party
    account = api.account_of(party)
    assert account is not None
    assert (account.level, account.number_hash) == (api.REGISTER, api.number_hash(NUMBER))
    assert NUMBER not in account.number_sealed
    assert adapters.unseal(account.number_sealed, adapters.NUMBER_USE) == NUMBER
    assert Account.objects.count() == 1


@pytest.mark.parametrize("number", ["320703199003070017", "", "3207031990030700", "x" * 18])
def test_a_wrong_number_is_nobody(db: None, number: str) -> None:
    with pytest.raises(UserError, match="公民身份号码有误"):
        api.party_of_number(number)
    assert not Party.objects.filter(kind=Party.PERSON).exists()


def test_one_code_is_one_entity(db: None) -> None:
    party = api.party_of_credit_code("91110000600037341L", name="甲公司")
    assert api.party_of_credit_code("91110000600037341l") == party
    assert party.kind == Party.LEGAL_ENTITY
    with pytest.raises(UserError, match="统一社会信用代码有误"):
        api.party_of_credit_code("91110000600037341M")


def test_a_level_is_demanded_and_the_way_told(db: None) -> None:
    party = api.party_of_number(NUMBER, name="张三丰")
    with pytest.raises(api.LevelNeeded) as told:
        api.require_level(actor_of(party), api.ELEMENTS)
    assert told.value.way is not None
    assert told.value.way[1] == "/my/identity/?need=2"
    with pytest.raises(api.LevelNeeded):
        api.require_level(ANONYMOUS, api.SELF)
    Account.objects.update(level=api.PERSON)
    party = Party.objects.get(pk=party.pk)
    assert api.require_level(actor_of(party), api.ELEMENTS).party == party
    assert api.level_of(actor_of(party)) == api.PERSON
