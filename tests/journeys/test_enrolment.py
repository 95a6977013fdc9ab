"""A mother enters her child on a phone, sees why the points are not more, and what became of her wishes."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from lianyun.capabilities.enrolment.tests.conftest import (
    MOTHER,
    SCHOOLS,
    at_counter,
    fill_form,
    guard,
    number_of,
    person,
    pour,
)
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def city(city_database: None, own_lake: None) -> Any:
    """A mother with a login and a child of the age, officers, a round that is open for an hour more."""
    from django.utils import timezone

    from lianyun.capabilities.enrolment import actions
    from lianyun.capabilities.enrolment.rules import calendar
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import SYSTEM, actor_of
    from lianyun.kernel.party import department

    pour()
    mother = person(MOTHER, "张三丰")
    user = User(username="zhang", party=mother.party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    by = {}
    for slug, who, username, role in (
        ("jy", "招生干部", "jy.clerk", "enrolment_clerk"),
        ("jy", "招生负责人", "jy.head", "enrolment_head"),
        ("rs", "社保复核", "rs.review", "points_reviewer"),
    ):
        identity.create_account(
            department(slug), who, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
        party = User.objects.get(username=username).party
        assert party is not None
        by[username] = actor_of(party)
    now = timezone.now()
    year = timezone.localdate().year
    guard(mother, number_of(f"320706{year - 7}0315001"), "张小满")
    days = {
        d.key: now + dt.timedelta(hours=n)
        for d, n in zip(calendar.DAYS, (-1, 1, 2, 700, 701, 800, 900, 1000), strict=True)
    }
    found = actions.make_round(
        "primary_points", year=year, title="", days=days, schools=SCHOOLS, by=by["jy.clerk"]
    )
    actions.move(found, "prepare", "submit", by=by["jy.clerk"])
    at = type(found).objects.get(pk=found.pk)
    return at, by


def test_a_child_goes_to_school(
    site: str, city: Any, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    import time_machine

    from lianyun.capabilities.enrolment import actions
    from lianyun.capabilities.enrolment.models import Registration
    from lianyun.capabilities.enrolment.queries import own
    from lianyun.kernel.access import actor_of

    found, by = city
    clerk = by["jy.clerk"]

    def look(name: str, *, axe: bool = True) -> None:
        folder = os.environ.get("LIANYUN_PICTURES")
        for size, word in ((DESK, "1280"), (PHONE, "375")):
            tab.set_viewport_size(size)
            assert fits(tab), f"{tab.url} scrolls sideways at {word}"
            if folder:
                tab.screenshot(path=f"{folder}/enrolment-{name}-{word}.png", full_page=True)
        if axe:
            accessible(tab)

    def press(name: str) -> None:
        button = tab.locator("main").get_by_role("button", name=name, exact=True).first
        asks = button.get_attribute("data-confirm") is not None
        with tab.expect_navigation():
            button.click()
            if asks:
                tab.locator("dialog[open] button.primary, dialog[open] button.danger").first.click()

    # Another person signs the plan; whoever made it cannot.
    sign_in(tab, "jy.head", f"/workbench/enrolment/rounds/{found.code}/")
    press("审定，按日程开放登记")
    look("round-open", axe=False)
    at_counter(found, clerk, 3)

    sign_in(tab, "zhang", "/my/enrolment/")
    tab.click("a:has-text('登记孩子')")
    look("begin", axe=False)
    press("下一步")
    tab.wait_for_selector("h1:has-text('哪些内容可以由我们去查')")
    look("consent", axe=False)
    tab.click("button:has-text('全部同意')")
    tab.wait_for_url("**/forms/**")
    row = Registration.objects.get(guardian__name="张三丰")
    mother = actor_of(row.guardian)
    application = own.application_of(mother, row)
    fill_form(application.draft, mother)
    tab.goto(f"{site}/my/cases/{application.code}/materials/")
    tab.click("a:has-text('下一步')")
    tab.wait_for_selector("h1:has-text('核对积分并提交')")
    expect(tab.locator("main")).to_contain_text("为什么不是更多")
    look("check")
    tab.check("#true")
    press("提交登记")
    expect(tab.locator("main")).to_contain_text("公示期满后公布")
    tab.locator("a", has_text="申请复核：社会保险").click()
    tab.fill("#reason", "2016 年 3 月已在本市参保")
    look("review", axe=False)
    press("提交复核")
    expect(tab.locator("main")).to_contain_text("复核办理中")
    look("own-early", axe=False)

    sign_in(tab, "rs.review", "/workbench/enrolment/reviews/")
    tab.click("main a:has-text('积分复核：社会保险')")
    assert "张三丰" not in tab.content()
    assert MOTHER not in tab.content()
    tab.fill("#v_insured_on", "2016-03-01")
    tab.fill("#note", "查实")
    look("review-desk", axe=False)
    press("更正")

    # The weeks go by; what the officers press is the action behind their page.
    hours = dt.timedelta(hours=1)
    start = dt.datetime.now(dt.UTC)
    with time_machine.travel(start + 2 * hours):
        actions.move(found, "register", "close", by=clerk)
        actions.move(found, "check", "publish", by=clerk)
    with time_machine.travel(start + 600 * hours):
        actions.move(found, "object", "rank", by=clerk)
    # The doors of choosing stand open on the day on which this is read.
    type(found).objects.filter(pk=found.pk).update(
        days={**found.days, "choose_until": (start + hours).isoformat()}
    )
    sign_in(tab, "zhang", f"/my/enrolment/{row.code}/")
    tab.click("a:has-text('填报志愿')")
    tab.select_option("#wish1", label="云山小学（0 个学位）")
    tab.select_option("#wish2", label="海州实验小学（1 个学位）")
    look("wishes")
    press("保存志愿")
    expect(tab.locator("main")).to_contain_text("修改志愿")
    with time_machine.travel(start + 702 * hours):
        actions.move(found, "choose", "close", by=clerk)
    sign_in(tab, "jy.clerk", f"/workbench/enrolment/rounds/{found.code}/")
    press("派位")
    expect(tab.locator("main")).to_contain_text("派位预览（还没有公布）")
    look("allotted")
    for name in ("entries", "seats", "days"):
        tab.goto(f"{site}/workbench/enrolment/rounds/{found.code}/{name}/")
        look(name, axe=False)
    tab.goto(f"{site}/workbench/enrolment/new/")
    look("new", axe=False)
    tab.goto(f"{site}/workbench/enrolment/rounds/{found.code}/")
    press("提交审定")
    sign_in(tab, "jy.head", f"/workbench/enrolment/rounds/{found.code}/")
    press("审定并公布结果")

    sign_in(tab, "zhang", f"/my/enrolment/{row.code}/")
    expect(tab.locator("main")).to_contain_text("第 1 名，录取线")
    expect(tab.locator("main")).to_contain_text("这次没有学位")
    look("result")
    press("确认入学")
    expect(tab.locator("main .badge", has_text="已确认入学")).to_have_count(1)
    tab.goto(f"{site}/enrolment/{found.code}/")
    look("plan")
    tab.goto(f"{site}/enrolment/{found.code}/list/")
    assert "张小满" not in tab.content()
    expect(tab.locator("main")).to_contain_text("海州实验小学")
    look("list", axe=False)
    tab.goto(f"{site}/enrolment/{found.code}/lots/")
    found.refresh_from_db()
    assert found.seed in tab.content()
    look("lots", axe=False)
    tab.goto(f"{site}/my/enrolment/")
    look("mine", axe=False)
