"""Acting: in whose name something is done is chosen, seen, recorded with both, and ends with the mandate."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from lianyun.capabilities.identity import actions, api, rules
from lianyun.capabilities.identity.models import Account, Agency
from lianyun.kernel.access import ANONYMOUS, Denied, UserError, actor_of
from lianyun.kernel.event import Event, verify
from lianyun.kernel.party import Party

from .test_persons import PASSWORD, citizen

PHONE = "13800000001"
CHOICE = "/my/acting/"


@pytest.fixture
def firm(db: None) -> Party:
    return api.party_of_credit_code("91110000600037341L", name="海州制管有限公司")


def mandate(agent: Party, firm: Party, kind: str = rules.AGENT, **more: object) -> Agency:
    today = timezone.localdate()
    return Agency.objects.create(
        kind=kind, principal=firm, agent=agent, since=today, until=today, scope=["apply"],
        accepted_at=timezone.now(), **more,
    )  # fmt: skip


def test_acting_for_a_firm(firm: Party) -> None:
    _, actor = citizen(PHONE)
    assert actor.party is not None
    given = mandate(actor.party, firm)
    with pytest.raises(UserError, match="实人核验"):
        actions.begin_acting(given.pk, by=actor)
    Account.objects.filter(party=actor.party).update(level=rules.PERSON)
    browser = Client()
    browser.post("/login/", {"username": PHONE, "password": PASSWORD})
    assert browser.post(CHOICE, {"agency": given.pk + 1}).status_code == 400
    page = browser.post(CHOICE, {"agency": given.pk}, follow=True).content.decode()
    assert "正以 <b>海州制管有限公司</b> 的身份办理" in page
    began = Event.objects.get(kind="acting.began")
    assert began.subject == firm.ref
    # Whatever is done now is on record with both.
    browser.post("/my/identity/prove/", {"way": "counter"})
    event = Event.objects.get(kind="identity.visit_opened")
    assert (event.by, event.data["behalf"]) == (actor.ref, firm.ref)
    assert event.by_name == "张三丰（代海州制管有限公司）"
    assert verify().ok
    # A form that was opened before the change is not sent in another name.
    old = browser.post("/my/identity/prove/", {"way": "counter", "behalf": ""})
    assert old.status_code == 400
    assert "换了办理身份" in old.content.decode()
    assert Event.objects.filter(kind="identity.visit_opened").count() == 1
    # The mandate ends: the next write is not done in one's own name instead.
    Agency.objects.update(ended_at=timezone.now())
    late = browser.post("/my/identity/prove/", {"way": "counter"})
    assert late["Location"] == CHOICE
    assert "已经到期或终止" in browser.get(CHOICE).content.decode()
    assert Event.objects.filter(kind="identity.visit_opened").count() == 1
    assert "正以" not in browser.get("/my/identity/").content.decode()


def test_the_doors_for_siblings(firm: Party) -> None:
    _, actor = citizen(PHONE)
    party = actor.party
    assert party is not None
    ask = RequestFactory().get("/")
    ask.actor = ANONYMOUS  # type: ignore[attr-defined]
    with pytest.raises(Denied):
        api.acting(ask)
    ask.actor = actor  # type: ignore[attr-defined]
    assert api.acting(ask) == party
    ask.actor = type(actor)(party, behalf=firm)  # type: ignore[attr-defined]
    assert api.acting(ask) == firm
    assert api.may_act(actor, party, "sign")
    assert not api.may_act(actor, firm, "apply")
    assert not api.may_act(ANONYMOUS, firm, "apply")
    given = mandate(party, firm)
    assert api.may_act(actor, firm, "apply")
    assert not api.may_act(actor_of(party), firm, "sign")
    # A mandate that is over, not begun, or for a firm that is no more.
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    Agency.objects.update(until=yesterday)
    assert not api.may_act(actor, firm, "apply")
    Agency.objects.update(until=None)
    Party.objects.filter(pk=firm.pk).update(active=False)
    assert not api.may_act(actor, firm, "apply")
    assert given.agent == party


def test_an_officer_who_acts_for_a_firm_has_no_posts(firm: Party, house: object) -> None:
    officer = house.officer  # type: ignore[attr-defined]
    Account.objects.create(party=officer.party, level=rules.PERSON)
    given = mandate(officer.party, firm)
    browser = Client()
    browser.post("/login/", {"username": officer.username, "password": "Haizhou-2026"})
    assert browser.post(CHOICE, {"agency": given.pk}).status_code == 302
    ask = browser.get(CHOICE).wsgi_request
    assert ask.actor.behalf == firm
    assert ask.actor.roles == ()
    assert not ask.actor.held
    browser.post(CHOICE, {"agency": ""})
    assert browser.get(CHOICE).wsgi_request.actor.roles
