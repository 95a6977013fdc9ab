"""The shell as people use it: find, sign in, work, on a screen and on a phone, with and without a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, str]:
    """An officer of the bureau, an administrator and a data officer of the police; all committed."""
    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    bureau, police = department("sjj"), department("ga")
    for desk, name, username, roles in (
        (bureau, "周运营", "shell.bureau", ["bureau_operator", "bureau_catalogue"]),
        (police, "吴管理", "shell.admin", ["department_admin"]),
        (police, "郑专员", "shell.data", ["data_officer"]),
    ):
        create_account(desk, name, username, roles, password=PASSWORD, must_change=False, by=SYSTEM)
    from django.db import transaction

    with transaction.atomic():
        sync_declared(by=SYSTEM)
    return {"bureau": "shell.bureau", "admin": "shell.admin", "data": "shell.data"}


def test_a_citizen_finds_an_entry(
    site: str, people: dict[str, str], tab: Any, accessible: Callable[[Any], None]
) -> None:
    tab.goto(f"{site}/")
    assert tab.locator("[data-chart] svg").count() >= 1
    accessible(tab)
    tab.fill("#q", "結婚登記")
    with tab.expect_navigation():
        tab.press("#q", "Enter")
    accessible(tab)
    with tab.expect_navigation():
        tab.click("text=结婚登记信息")
    assert tab.locator("h1").inner_text() == "结婚登记信息"
    assert "信息项" in tab.locator("main").inner_text()
    accessible(tab)
    for path in ("/departments/", "/help/"):
        tab.goto(f"{site}{path}")
        accessible(tab)


@pytest.mark.parametrize("path", ["/", "/catalogue/", "/departments/", "/help/", "/login/"])
def test_public_pages_fit_a_phone(
    path: str, site: str, people: dict[str, str], tab: Any, accessible: Callable[[Any], None]
) -> None:
    tab.set_viewport_size(PHONE)
    tab.goto(f"{site}{path}")
    assert fits(tab)
    accessible(tab)
    tab.context.add_cookies([{"name": "display", "value": "elder.contrast", "url": site}])
    tab.goto(f"{site}{path}")
    assert fits(tab), "长者版 must not scroll sideways either"
    accessible(tab)


def test_the_elders_version_is_larger_and_stays(
    site: str, people: dict[str, str], tab: Any
) -> None:
    tab.goto(f"{site}/")
    size = "parseFloat(getComputedStyle(document.querySelector('main')).fontSize)"
    before = tab.evaluate(size)
    with tab.expect_navigation():
        tab.click("text=长者版")
    assert tab.evaluate(size) >= before * 1.2
    tab.goto(f"{site}/help/")
    assert tab.evaluate(size) >= before * 1.2
    with tab.expect_navigation():
        tab.click("text=标准版")
    assert tab.evaluate(size) == before


def test_the_keyboard_alone_leads_to_the_content(
    site: str, people: dict[str, str], tab: Any
) -> None:
    tab.goto(f"{site}/")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "跳到主要内容"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"


def test_an_officer_signs_in_and_sees_the_own_menu(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["data"], "/workbench/catalogue/")
    assert tab.url == f"{site}/workbench/catalogue/"
    menu = tab.locator("#side").inner_text()
    assert "数据目录" in menu
    assert "账号管理" not in menu
    with tab.expect_navigation():
        tab.click("#side >> text=工作台首页")
    assert "郑专员" in tab.locator("h1").inner_text()
    accessible(tab)
    tab.click(".usermenu summary")
    with tab.expect_navigation():
        tab.click("text=我的账号")
    assert "本机" in tab.locator("main").inner_text()
    accessible(tab)
    tab.click(".usermenu summary")
    with tab.expect_navigation():
        tab.click("text=退出登录")
    assert "已安全退出" in tab.locator("#toasts").inner_text()
    tab.goto(f"{site}/workbench/")
    assert "/login/" in tab.url


def test_an_administrator_opens_an_account_and_its_owner_changes_the_password(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["admin"], "/workbench/accounts/")
    accessible(tab)
    with tab.expect_navigation():
        tab.click("text=新建账号")
    accessible(tab)
    with tab.expect_navigation():
        tab.click("text=建立账号")
    assert "请填写姓名" in tab.locator(".errors").inner_text()
    assert tab.evaluate("document.activeElement.classList.contains('errors')")
    accessible(tab)
    tab.fill("#id_name", "孙新")
    tab.fill("#id_username", "shell.sun")
    tab.check("text=数据专员")
    with tab.expect_navigation():
        tab.click("text=建立账号")
    first = tab.locator("[data-copy]").get_attribute("data-copy")
    accessible(tab)
    with tab.expect_navigation():
        tab.click("text=查看账号")
    accessible(tab)

    other = tab.context.browser.new_context(locale="zh-CN")
    new = other.new_page()
    sign_in(new, "shell.sun", password=first)
    assert "修改密码" in new.locator("h1").inner_text()
    new.fill("#id_old", first)
    new.fill("#id_new", "Ganyu-2027x")
    new.fill("#id_again", "Ganyu-2027x")
    with new.expect_navigation():
        new.click("main button[type=submit]")
    assert "密码已修改" in new.locator("#toasts").inner_text()

    tab.fill("#reason", "调离本部门")
    tab.click("text=停用账号")
    assert "立即下线" in tab.locator("#confirm-text").inner_text()
    tab.click("#confirm >> text=取消")
    assert "有效" in tab.locator("h1").inner_text()
    tab.click("text=停用账号")
    tab.click("#confirm-yes")
    tab.wait_for_selector("h1 >> text=已停用")
    new.goto(f"{site}/workbench/")
    assert "/login/" in new.url
    other.close()


def test_every_component_is_accessible_and_drawn(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["bureau"], "/workbench/style/")
    tab.locator("[data-chart] svg").nth(5).wait_for()
    # The drawn map gives way once the live one stands.
    tab.wait_for_selector(".map.live svg[style*=hidden]", state="attached")
    accessible(tab)
    tab.goto(f"{site}/workbench/style/?errors=1")
    accessible(tab)
    tab.set_viewport_size(PHONE)
    tab.goto(f"{site}/workbench/style/")
    assert fits(tab)
    accessible(tab)
    tab.click("[aria-controls=side]")
    assert tab.locator("#side >> text=组件样式").count() == 0
    tab.wait_for_selector("#side >> text=数据目录", state="visible")
    accessible(tab)
    tab.keyboard.press("Escape")
    tab.wait_for_selector("#side >> text=数据目录", state="hidden")


def test_a_list_narrows_without_loading_the_page_anew(
    site: str, people: dict[str, str], tab: Any, sign_in: Callable[..., None]
) -> None:
    sign_in(tab, people["bureau"], "/workbench/style/")
    tab.evaluate("window.same = true")
    tab.locator("#table-t-q").press_sequentially("目录 47", delay=20)
    tab.wait_for_selector("#table-t >> text=共 1 条")
    assert tab.evaluate("window.same"), "only the table was replaced"
    assert tab.evaluate("document.activeElement.id") == "table-t-q"
    assert "q=" in tab.url
    tab.click("#table-t >> text=清除")
    tab.wait_for_selector("#table-t >> text=共 47 条")
    tab.click("#table-t th >> text=行数")
    tab.wait_for_selector("#table-t th[aria-sort=ascending]")
    tab.click("#table-t >> text=下一页")
    tab.wait_for_selector("#table-t >> text=第 9–16 条")
    with tab.expect_download() as waiting:
        tab.click("#table-t >> text=CSV")
    assert re.fullmatch(r"示例目录-\d{8}\.csv", waiting.value.suggested_filename)
