"""Accounts: who may open, close and change them, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.identity import actions, queries, rules
from lianyun.capabilities.identity.models import User
from lianyun.kernel.access import ANONYMOUS, Denied, UserError
from lianyun.kernel.event import Event

from .conftest import PASSWORD, House


def test_the_right_password_opens(house: House) -> None:
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) == house.officer
    assert Event.objects.filter(kind="session.opened", subject="account:zheng.data").exists()


def test_five_wrong_ones_lock_even_the_right_one_out(house: House) -> None:
    for _ in range(rules.FAILURES):
        assert actions.enter("zheng.data", "wrong", by=ANONYMOUS) is None
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) is None
    house.officer.refresh_from_db()
    assert house.officer.locked
    assert Event.objects.filter(kind="account.locked").count() == 1


def test_a_good_login_clears_the_count(house: House) -> None:
    for _ in range(rules.FAILURES - 1):
        actions.enter("zheng.data", "wrong", by=ANONYMOUS)
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS)
    house.officer.refresh_from_db()
    assert house.officer.failed == 0


def test_unknown_and_disabled_accounts_are_refused_and_recorded(house: House) -> None:
    house.officer.is_active = False
    house.officer.save()
    assert actions.enter("nobody", PASSWORD, by=ANONYMOUS) is None
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) is None
    assert Event.objects.filter(kind="session.refused").count() == 2


def test_a_department_administrator_opens_accounts_of_the_own_department_only(
    house: House,
) -> None:
    by = house.actor(house.local)
    user, first = actions.create_account(house.office, "孙新", "sun.xin", ["data_officer"], by=by)
    assert user.must_change
    assert user.check_password(first)
    assert not rules.password_problems(first, "sun.xin")
    assert [r.role for r in user.party.memberships.all()] == ["data_officer"]  # type: ignore[union-attr]
    with pytest.raises(Denied):
        actions.create_account(house.other, "李越", "li.yue", ["data_officer"], by=by)
    assert not User.objects.filter(username="li.yue").exists()


def test_city_roles_are_given_by_the_city_administrator_only(house: House) -> None:
    with pytest.raises(UserError, match="全市角色"):
        actions.assign_role(
            house.officer, house.office, "bureau_operator", by=house.actor(house.local)
        )
    actions.assign_role(house.officer, house.bureau, "leader", by=house.actor(house.admin))


def test_nobody_serves_himself(house: House) -> None:
    by = house.actor(house.admin)
    with pytest.raises(UserError, match="自己"):
        actions.assign_role(house.admin, house.bureau, "leader", by=by)
    with pytest.raises(UserError, match="自己"):
        actions.disable_account(house.admin, "试", by=by)
    with pytest.raises(UserError, match="自己"):
        actions.remove_role(house.admin, house.bureau, "system_admin", by=by)


def test_three_administrators(house: House) -> None:
    by = house.actor(house.admin)
    actions.assign_role(house.officer, house.bureau, "audit_admin", by=by)
    with pytest.raises(UserError, match="三员分立"):
        actions.assign_role(house.officer, house.bureau, "security_admin", by=by)


def test_former_passwords_do_not_come_back(house: House) -> None:
    user, by = house.officer, house.actor(house.officer)
    actions.change_password(user, PASSWORD, "Ganyu-2027x", by=by)
    with pytest.raises(UserError, match="最近"):
        actions.change_password(user, "Ganyu-2027x", PASSWORD, by=by)
    with pytest.raises(UserError, match="原密码"):
        actions.change_password(user, "wrong", "Lianyun-2028", by=by)
    with pytest.raises(UserError, match="自己"):
        actions.change_password(user, "x", "Lianyun-2028", by=house.actor(house.local))


def test_queries_show_only_the_own_department(house: House) -> None:
    local = house.actor(house.local)
    assert {u.username for u in queries.accounts(local)} == {"wu.admin", "zheng.data"}
    with pytest.raises(Denied):
        queries.account(local, "zhou.sys")
    assert queries.accounts(house.actor(house.officer)).count() == 0
    assert "system_admin" not in dict(queries.assignable_roles(local))


def test_names_stand_in_the_forgettable_part_of_the_ledger(house: House) -> None:
    actions.create_account(
        house.office, "孙新", "sun.xin", ["data_officer"], by=house.actor(house.local)
    )
    event = Event.objects.get(kind="account.created")
    assert "孙新" not in str(event.data)
    assert event.personal == {"name": "孙新"}


def test_a_password_kept_by_other_parameters_is_kept_anew(house: House, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "lianyun.project.passwords.Passwords",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    assert house.officer.password.startswith("md5$")
    assert actions.enter("zheng.data", "wrong", by=ANONYMOUS) is None
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) == house.officer
    house.officer.refresh_from_db()
    assert house.officer.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert actions.enter("zheng.data", PASSWORD, by=ANONYMOUS) == house.officer
