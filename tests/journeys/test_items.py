"""The hall's items as people live them: found on a phone in one's own words, revised at a desk, published."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
SHOTS = os.environ.get("LIANYUN_SHOTS", "")


def shot(tab: Any, name: str) -> None:
    """Keep a picture where LIANYUN_SHOTS names a folder."""
    if SHOTS:
        tab.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, str]:
    """A clerk and the head of the police, and who reviews items for the city."""
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in (
        ("ga", "孙专员", "it.data", "data_officer"),
        ("ga", "钱局长", "it.head", "share_head"),
        ("sjj", "施目录", "it.hall", "bureau_catalogue"),
    ):
        create_account(
            department(slug), name, username, [role],
            password=PASSWORD, must_change=False, by=SYSTEM,
        )  # fmt: skip
    return {k: f"it.{k}" for k in ("data", "head", "hall")}


def test_found_in_ones_own_words_and_told_at_once(
    site: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    tab.set_viewport_size(PHONE)
    tab.goto(f"{site}/hall/")
    accessible(tab)
    assert fits(tab)
    shot(tab, "hall_phone")
    tab.fill("#q", "生孩子怎么报户口")
    tab.press("#q", "Enter")
    expect(tab.locator(".results a").first).to_have_text("新生儿出生登记（报户口）")
    accessible(tab)
    assert fits(tab)
    shot(tab, "search_phone")
    tab.locator(".results a").first.click()
    expect(tab.locator("h1")).to_have_text("新生儿出生登记（报户口）")
    expect(tab.locator("#materials")).to_contain_text("还有问题没有回答")
    expect(tab.locator("#materials")).not_to_contain_text("亲子关系鉴定意见或随父落户声明 必备")
    tab.get_by_label("随父亲").check()
    expect(tab.get_by_label("随父亲")).to_be_checked()
    tab.wait_for_url("**follow=father**")
    tab.get_by_label("未登记").check()
    tab.wait_for_url("**married=no**")
    expect(tab.locator("#materials ol")).to_contain_text("亲子关系鉴定意见或随父落户声明")
    accessible(tab)
    assert fits(tab)
    shot(tab, "item_phone")
    tab.get_by_role("link", name="一次告知单").last.click()
    expect(tab.locator("article")).to_contain_text("父母是否登记结婚？")
    accessible(tab)
    assert fits(tab)
    shot(tab, "notice_phone")
    for path, name in (
        ("/hall/departments/ga/", "storefront"),
        ("/hall/places/", "places"),
        ("/hall/departments/", "departments"),
    ):
        tab.goto(f"{site}{path}")
        accessible(tab)
        assert fits(tab), path
        shot(tab, f"{name}_phone")
    if SHOTS:
        tab.set_viewport_size({"width": 1280, "height": 900})
        for path, name in (
            ("/hall/", "hall"), ("/hall/?for=entity", "hall_entity"), ("/hall/search/?q=公积金", "search"),
            ("/hall/items/freight_permit/?vehicle=firm&route=other", "item"), ("/hall/departments/ga/", "storefront"),
            ("/hall/items/freight_permit/notice/?vehicle=firm&route=other", "notice"),
        ):  # fmt: skip
            tab.goto(f"{site}{path}")
            shot(tab, name)


def test_revised_at_the_desk_and_published_after_two_have_agreed(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    from lianyun.capabilities.items.actions import edit_item
    from lianyun.capabilities.items.models import Listing
    from lianyun.kernel.access import SYSTEM

    sign_in(tab, people["data"], "/workbench/items/?q=货车")
    accessible(tab)
    shot(tab, "list")
    tab.get_by_role("link", name="货车禁区通行证核发").click()
    expect(tab.locator("main")).to_contain_text("检查通过")
    accessible(tab)
    shot(tab, "detail")
    tab.get_by_role("link", name="修订").click()
    tab.fill("#promised_days", "21")
    accessible(tab)
    shot(tab, "edit")
    row = Listing.objects.get(code="freight_permit")  # somebody else is quicker
    content = {**(row.draft or row.content), "hours": "九点到五点"}
    edit_item(listing=row, content=content, by=SYSTEM)
    tab.get_by_role("button", name="保存并提交审核").click()
    expect(tab.get_by_text("您的修改还没有保存")).to_be_visible()
    expect(tab.locator("#promised_days")).to_have_value("21")
    accessible(tab)
    shot(tab, "changed")
    tab.get_by_role("button", name="保存并提交审核").click()
    expect(tab.locator("main .list").first).to_contain_text("超过了法定 20 个工作日")
    tab.fill("#promised_days", "5")
    tab.get_by_role("button", name="保存并提交审核").click()
    expect(tab.locator("main")).to_contain_text("审核中")
    for who in ("head", "hall"):
        sign_in(tab, people[who], "/workbench/items/review/")
        tab.get_by_role("link", name="货车禁区通行证核发（事项修订）").first.click()
        expect(tab.locator("main")).to_contain_text("与已发布版本的不同")
        if who == "head":
            accessible(tab)
            shot(tab, "review")
        tab.locator("button[value=agree]").click()
        tab.wait_for_url("**/workbench/items/review/")
    tab.set_viewport_size(PHONE)
    for path in ("/workbench/items/freight_permit/", "/workbench/items/import/"):
        tab.goto(f"{site}{path}")
        assert fits(tab), path
    tab.goto(f"{site}/hall/items/freight_permit/")
    expect(tab.locator("main")).to_contain_text("5 个工作日")
