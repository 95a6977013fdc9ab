"""Secrets never stand in logs or in the ledger: through a registration, log-ins, resets, an issue, showings."""

from __future__ import annotations

import logging
import re
import time

import pytest
from django.test import Client

from lianyun.capabilities.identity import actions as identity
from lianyun.capabilities.identity import queries, rules
from lianyun.capabilities.licences import actions as licences
from lianyun.kernel import install
from lianyun.kernel.access import ANONYMOUS, SYSTEM, actor_of
from lianyun.kernel.event import Event
from lianyun.kernel.party import department
from lianyun.project.logs import Masked

PHONE, NUMBER, NAME = "13812345678", "320703199003070016", "张三丰"
PASSWORD, NEW, WRONG = "Haizhou-2026", "Ganyu-2027x", "Xugou-Wrong-99"
PERMIT = {
    "name": NAME,
    "citizen_number": NUMBER,
    "licence_number": "3207032026000012",
    "residence_address": "海州区苍梧路6号2幢301室",
    "issuing_authority": "新东派出所",
    "issued_on": "2026-05-20",
    "valid_from": "2026-05-20",
    "valid_to": "2099-01-01",
}


def code_on(browser: Client, path: str, phone: str) -> str:
    browser.post(path, {"step": "phone", "phone": phone})
    found = re.search(r"验证码 (\d{6})", browser.get(path).content.decode())
    assert found is not None
    return found.group(1)


@pytest.mark.django_db
def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    install._departments()
    # What the operator's file gets: every logger at its most talkative, through the filter.
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(Masked())
    secrets = {PASSWORD, NEW, WRONG, NUMBER, PHONE}

    # Registered, entered with a wrong and a right password, recovered.
    browser = Client()
    code = code_on(browser, "/register/", PHONE)
    form = {"code": code, "name": NAME, "number": NUMBER, "password": PASSWORD, "agreed": "on"}
    assert browser.post("/register/", form).status_code == 302
    secrets |= {code, browser.session.session_key or "-"}
    assert browser.post("/my/identity/prove/", {"way": "counter"}).status_code == 302
    assert browser.get("/my/identity/nothing/").status_code == 404
    Client().post("/login/", {"username": PHONE, "password": WRONG})
    stranger = Client()
    code = code_on(stranger, "/login/forgotten/", PHONE)
    secrets.add(code)
    form = {"code": code, "number": NUMBER, "password": NEW}
    assert stranger.post("/login/forgotten/", form).status_code == 302

    # A second factor: its secret, a code of it, the recovery codes; an officer's reset.
    user = queries.user_named(PHONE)
    assert user is not None
    assert user.party is not None
    me = actor_of(user.party)
    seed = identity.begin_totp(user, by=me)
    totp = rules.totp(seed, int(time.time() // rules.STEP_SECONDS))
    spare = identity.confirm_totp(user, totp, "手机", by=me)
    secrets |= {rules.readable(seed), rules.readable(seed).replace(" ", ""), seed.hex(), totp}
    entering = Client()
    entering.post("/login/", {"username": PHONE, "password": NEW})
    entering.post("/login/second/", {"kind": "code", "answer": spare[0]})
    secrets |= {*spare, *(s.replace("-", "") for s in spare)}
    secrets.add(entering.session.session_key or "-")
    officer, first = identity.create_account(
        department("ga"), "赵拟制", "ga.draw", ["data_officer"], by=SYSTEM
    )
    secrets |= {first, identity.reset_password(officer, by=SYSTEM)}

    # A licence issued, shown, given once; the link is opened when the limit is spent (400).
    permit = licences.issue_licence("residence_permit", None, PERMIT, once="p", by=SYSTEM)
    holder = actor_of(type(user.party).objects.get(pk=permit.grant.grantee_id))
    shown = licences.show(permit, by=holder)
    given = licences.give(
        permit, purpose="租房登记", recipient="某中介", wanted=["name"], hours=1, by=holder
    )
    for _ in range(licences.limits.LIMITS["verify"] + 1):
        refused = Client().get(f"/verify/given/{given}/")
    assert refused.status_code == 400
    with pytest.raises(Exception, match="亮证码"):
        licences.ask("wrong", purpose="核验", wanted=[], by=actor_of(officer.party))  # type: ignore[arg-type]
    licences.take(given, address="10.0.0.1", by=ANONYMOUS)
    secrets |= {shown, given}

    told = caplog.text
    assert "/verify/given/" in told, "the log is there, and talks"
    assert sorted(s for s in secrets if s and s in told) == []
    ledger = "\n".join(f"{e.kind} {e.subject} {e.data} {e.personal}" for e in Event.objects.all())
    assert "licence.given" in ledger
    assert sorted(s for s in secrets - {code, totp} if s and s in ledger) == []
