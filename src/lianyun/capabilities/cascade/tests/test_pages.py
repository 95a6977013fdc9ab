"""Pages of cascade: who may open what, and what they say where there is nothing yet."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.cascade import actions, queries, rules
from lianyun.capabilities.cascade.models import Link
from lianyun.capabilities.identity.models import User
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Denied, Membership, UserError
from lianyun.kernel.party import Party, department

pytestmark = pytest.mark.django_db
READ = ("home", "entries", "transfers", "list")
MANAGE = ("identity", "invite", "join")


@pytest.fixture
def bureau(city: None) -> Party:
    return department("sjj")


def signed_in(desk: Party, role: str) -> Client:
    person = Party.objects.create(kind=Party.PERSON, name=role)
    Membership.objects.create(party=person, department=desk, role=role)
    user = User.objects.create(username=role.replace("_", "."), party=person)
    browser = Client()
    browser.force_login(user)
    return browser


def named() -> None:
    actions.identify(
        code="320700", name="连云港市", level="city", address="http://127.0.0.1:1", by=SYSTEM
    )


def test_pages_ask_for_their_permission(bureau: Party) -> None:
    operator, officer = signed_in(bureau, "system_admin"), signed_in(bureau, "data_officer")
    for name in READ:
        assert Client().get(reverse(f"cascade:{name}")).status_code == 302
        assert operator.get(reverse(f"cascade:{name}")).status_code == 200, name
        assert officer.get(reverse(f"cascade:{name}")).status_code == 200, name
    for name in MANAGE:
        assert operator.get(reverse(f"cascade:{name}")).status_code == 200, name
        assert officer.get(reverse(f"cascade:{name}")).status_code == 403, name
    assert officer.get(reverse("cascade:offers")).status_code == 200
    assert "还没有上级目录" in officer.get(reverse("cascade:offers")).content.decode()
    for name, given in (("link", "320707"), ("offer", 1), ("case", "x"), ("transfer", "x")):
        assert officer.get(reverse(f"cascade:{name}", args=[given])).status_code == 404, name


def test_nobody_manages_without_the_permission() -> None:
    with pytest.raises(Denied):
        queries.links(ANONYMOUS)
    with pytest.raises(Denied):
        actions.invite(code="320707", name="赣榆区", level="county", by=ANONYMOUS)


def test_a_one_time_code_is_shown_once_and_kept_sealed(bureau: Party) -> None:
    named()
    operator = signed_in(bureau, "system_admin")
    page = operator.post(
        reverse("cascade:invite"), {"code": "320707", "name": "赣榆区", "level": "county"}
    ).content.decode()
    link = Link.objects.get()
    shown = page.split('id="invitation">')[1].split("<")[0]
    assert len(shown) == 24
    assert shown not in link.invitation
    again = operator.get(reverse("cascade:link", args=["320707"])).content.decode()
    assert shown not in again
    assert "待接入" in again


def admitted(proof_of: str) -> tuple[int, dict[str, Any]]:
    """An enrolment by a lower node that knows this code."""
    import json

    from lianyun.capabilities.cascade.adapters import keys

    pair = keys.new_pair("ecdsa-p256-sha256")
    node = {"code": "320707", "name": "赣榆区", "level": "county", "address": "http://h:1"}
    inner = json.dumps({"node": {**node, "public": pair.public}})
    signature = keys.Signer(pair.kid, pair.secret).sign(inner.encode())
    told = {
        "request": inner,
        "proof": rules.proof(proof_of, inner.encode()),
        "signature": signature,
    }
    return actions.admit(json.dumps(told).encode())


def test_guessing_a_code_voids_it() -> None:
    named()
    _, code = actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    for _ in range(rules.INVITATION_TRIES):
        assert admitted("2222-2222-2222-2222-2222")[0] == 403
    assert admitted(code)[0] == 403
    _, code = actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    status, answer = admitted(code)
    assert status == 200
    assert rules.same(answer["proof"], rules.proof(code, answer["answer"].encode()))
    assert admitted(code)[0] == 403
    assert not Link.objects.get().enabled


def test_an_operator_says_where_a_node_is_called(bureau: Party) -> None:
    named()
    operator, officer = signed_in(bureau, "system_admin"), signed_in(bureau, "data_officer")
    _, code = actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    admitted(code)
    page = reverse("cascade:link", args=["320707"])

    def stands() -> tuple[str, str]:
        row = Link.objects.get()
        return row.address, row.proposed

    def press(verb: str, browser: Client = operator, **given: str) -> int:
        where = reverse("cascade:change_link", args=["320707", verb])
        return browser.post(where, given).status_code

    assert stands() == ("", "http://h:1")
    assert "自称的地址" in operator.get(page).content.decode()
    # Enabled without the address: the other side may call, this one does not.
    assert press("confirm") == 302
    assert stands() == ("", "http://h:1")
    assert actions.converse("320707", force=True) == ""
    assert "对方的新地址" in operator.get(page).content.decode()
    assert press("address", officer, address="http://h:1") == 403
    assert press("address", address="http://other:1") == 400
    assert press("address", address="http://h:1") == 302
    assert stands() == ("http://h:1", "")
    assert press("move", address="http://user@inside/") == 400
    assert press("move", address="http://h:2") == 302
    assert stands() == ("http://h:2", "")
    Link.objects.update(proposed="http://h:3")
    assert press("keep-address", address="http://h:3") == 302
    assert stands() == ("http://h:2", "")


def test_an_expired_code_is_refused() -> None:
    from django.utils import timezone

    named()
    link, code = actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    Link.objects.filter(pk=link.pk).update(invited_until=timezone.now())
    assert admitted(code)[0] == 403
    _, code = actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    actions.cancel_invitation(link=link, by=SYSTEM)
    assert admitted(code)[0] == 403


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b'{"request": 1}', b'{"request": "{}"}']
)
def test_malformed_enrolments_are_turned_away(body: bytes) -> None:
    named()
    assert actions.admit(body)[0] == 400


def test_a_node_with_links_keeps_its_code() -> None:
    named()
    actions.invite(code="320707", name="赣榆区", level="county", by=SYSTEM)
    with pytest.raises(UserError):
        actions.identify(
            code="320800", name="淮安市", level="city", address="http://127.0.0.1:1", by=SYSTEM
        )
