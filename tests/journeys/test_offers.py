"""A mother agrees to be told, sees why, files by one press, switches off; her firm claims; officers see numbers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.offers.tests.conftest import FIRM, MOTHER, SECOND, agent, approve, pour
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
OFFICERS = (
    ("rs", "人社负责", "rs.head", "share_head"),
    ("rs", "人社专员", "rs.clerk", "data_officer"),
    ("sjj", "运营", "sjj.run", "bureau_operator"),
)


@pytest.fixture(scope="module")
def city(city_database: None, own_lake: None) -> Any:
    """A mother with a login who acts for two firms, officers, two rules that speak, one that waits."""
    from django.utils import timezone

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.offers.tests.conftest import person
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    pour()
    if items.find("newborn_registration") is None:
        items.sync_declared(by=SYSTEM)
    for slug, title, username, role in OFFICERS:
        identity.create_account(
            department(slug), title, username, [role], password=PASSWORD, must_change=False,
            by=SYSTEM,
        )  # fmt: skip
    mother = person(MOTHER, "张三丰")
    account = identity.account_of(mother)
    assert account is not None
    assert mother.party is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    audit.link_person(party=mother.party, citizen_number=MOTHER, by=SYSTEM)
    user = User(username="zhang", party=mother.party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    firms = [agent(mother, SECOND, "海州某厂"), agent(mother, FIRM, "连云港某某公司")]
    approve("offer_newborn", "new_firm_start")
    return firms


def test_told_why_filed_by_one_press_switched_off(
    city: Any, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from lianyun.capabilities.offers.models import Claim, Offer, Rule

    def look(name: str, *, axe: bool = True) -> None:
        if axe:
            accessible(tab)
        folder = os.environ.get("LIANYUN_PICTURES")
        for size, word in ((PHONE, "375"), (DESK, "1280")):
            tab.set_viewport_size(size)
            assert fits(tab), f"{tab.url} scrolls sideways at {word}"
            if folder:
                tab.screenshot(path=f"{folder}/offers-{name}-{word}.png", full_page=True)

    def press(name: str) -> None:
        button = tab.locator("main").get_by_role("button", name=name).first
        asks = button.get_attribute("data-confirm") is not None
        with tab.expect_navigation():
            button.click()
            if asks:
                tab.locator("dialog[open] button.primary, dialog[open] button.danger").first.click()

    # A policy goes live: signed by its head, agreed to by whose registers it reads, reviewed.
    case = Rule.objects.get(code="stable_jobs").case
    assert case is not None
    sign_in(tab, "rs.head", f"/workbench/offers/cases/{case.code}/")
    look("approval")
    press("同意提出")
    from lianyun.capabilities.offers import api
    from lianyun.kernel.access import SYSTEM

    case.refresh_from_db()
    while (step := api.step_for(SYSTEM, case)) is not None:
        outcome = "approve" if step.step == "review" else "agree"
        api.work_rule(case, step.step, outcome, note="对企业没有不利", by=SYSTEM)
        case.refresh_from_db()
    assert Rule.objects.get(code="stable_jobs").speaks

    # Off by default; the page says what would be read; then why, on whose record.
    sign_in(tab, "zhang", "/my/offers/")
    assert "出生医学证明" in tab.content()
    look("off")
    press("同意并开启")
    main = tab.locator("main")
    assert "依据：" in main.inner_text()
    look("on")
    offer = Offer.objects.get()
    press("去办理")
    assert "/newborn_registration/" in tab.url
    offer.refresh_from_db()
    assert offer.opened_at is not None
    tab.goto(f"{site}/seen/")
    assert "主动服务" in tab.content()
    tab.goto(f"{site}/my/offers/")
    press("关闭主动服务")
    assert not Offer.objects.exists()
    assert tab.locator("main .badge", has_text="已关闭").count()

    # The firm: what it meets, what it misses by how much, claimed by one press.
    tab.goto(f"{site}/my/acting/")
    with tab.expect_navigation():
        tab.locator("main li", has_text="海州某厂").get_by_role("button").click()
    tab.goto(f"{site}/my/policies/")
    look("policies")
    press("一键申领")
    claim = Claim.objects.get()
    assert tab.locator("main .badge", has_text="已申领").count()
    tab.locator("main a", has_text="数据有误").first.click()
    tab.fill("main input[name=expected]", "41")
    tab.fill("main textarea[name=told]", "十一月又招一人，社保已缴")
    press("提出校核")
    assert "提出的校核" in main.inner_text()
    look("claimed", axe=False)
    tab.goto(f"{site}/policies/")
    look("public", axe=False)

    assert claim.case is not None
    sign_in(tab, "rs.clerk", f"/workbench/offers/cases/{claim.case.code}/")
    look("claim", axe=False)
    press("已拨付")
    tab.goto(f"{site}/workbench/policies/stable_jobs/")
    look("policy", axe=False)
    sign_in(tab, "sjj.run", "/workbench/offers/")
    assert "少于 5" in tab.locator("main").inner_text()
    assert "张三丰" not in tab.content()
    look("rules", axe=False)
    tab.goto(f"{site}/workbench/offers/rules/offer_newborn/")
    look("rule")


def test_two_at_once_do_not_overdraw(city: Any) -> None:
    from django.db import connections

    from lianyun.capabilities.offers import actions
    from lianyun.capabilities.offers.models import Budget, Claim
    from lianyun.kernel.access import UserError

    small = city[1]
    Budget.objects.filter(policy="new_firm_start").update(total=300_000)
    outcomes: list[Any] = []

    def press() -> None:
        try:
            outcomes.append(actions.claim("new_firm_start", by=small).pk)
        except UserError as wrong:
            outcomes.append(str(wrong))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Claim.objects.filter(policy="new_firm_start").count() == 1
    assert len(set(outcomes)) == 1
    budget = Budget.objects.get(policy="new_firm_start")
    assert (budget.reserved, budget.left) == (300_000, 0)
