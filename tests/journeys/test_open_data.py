"""Open data as it is lived: proposed, refused, approved twice, found, downloaded, corrected, updated."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[str]:
    """The product served over the module's city with bus stops open and residents collected."""
    from django.db import connections
    from django.test import override_settings
    from pytest_django.live_server_helper import LiveServer

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.open_data.tests.rows import (
        appoint,
        open_one,
        put,
        residents,
        stops,
    )
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department
    from lianyun.lake import shelves
    from lianyun.project.testing import create_database, drop_database

    name = f"lake_{secrets.token_hex(6)}"
    with override_settings(
        LAKE_CATALOGUE_URL=create_database(name),
        LAKE=str(tmp_path_factory.mktemp("lake")),
        HOME=tmp_path_factory.mktemp("home"),
    ):
        sync_declared(by=SYSTEM)
        for slug, title, username, role in (
            ("ga", "王专员", "ga.data", "data_officer"),
            ("ga", "李负责", "ga.head", "share_head"),
            ("sjj", "赵目录", "sjj.cat", "bureau_catalogue"),
            ("sjj", "孙运营", "sjj.run", "bureau_operator"),
        ):
            create_account(
                department(slug), title, username, [role],
                password=PASSWORD, must_change=False, by=SYSTEM,
            )  # fmt: skip
        put("jt_stops", stops())
        put("ga_residents", residents())
        open_one("jt_stops", appoint)
        connections.close_all()
        server = LiveServer("127.0.0.1")
        yield str(server.url)
        server.stop()
        connections.close_all()
        shelves.close_all()
    drop_database(name)


def enter(tab: Any, city: str, username: str, path: str) -> None:
    """Sign in as somebody else."""
    tab.context.clear_cookies()
    tab.goto(f"{city}/login/?next={path}")
    tab.fill("#id_username", username)
    tab.fill("#id_password", PASSWORD)
    tab.click("main button[type=submit]")
    tab.wait_for_url(f"**{path}")


def look(tab: Any, name: str, accessible: Callable[[Any], None]) -> None:
    """The page is accessible and fits a phone; pictures where the environment asks for them."""
    accessible(tab)
    folder = os.environ.get("LIANYUN_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=f"{folder}/{name}-1280.png", full_page=True)
    tab.set_viewport_size(PHONE)
    time.sleep(0.3)
    assert fits(tab), tab.url
    if folder:
        tab.screenshot(path=f"{folder}/{name}-375.png", full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})


def words(tab: Any) -> str:
    """What the page says."""
    return str(tab.locator("main").inner_text())


def press(tab: Any, text: str) -> None:
    """Press a button of the page that leads on."""
    with tab.expect_navigation():
        tab.locator(f"main button:has-text('{text}')").first.click()
    tab.wait_for_load_state("load")


def test_a_visitor_finds_downloads_and_speaks(
    city: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    tab.goto(f"{city}/open/")
    look(tab, "home", accessible)
    tab.fill("#q", "公交")
    with tab.expect_navigation():
        tab.click("button:has-text('搜索')")
    assert "共 1 个" in words(tab)
    look(tab, "list", accessible)
    with tab.expect_navigation():
        tab.click("a:has-text('公交站点信息')")
    assert "60 行" in words(tab)
    assert "按期" in words(tab)
    assert tab.locator("svg.dots circle").count() == 60
    look(tab, "dataset", accessible)
    with tab.expect_download() as got:
        tab.click(".files a:has-text('CSV')")
    assert Path(got.value.path()).read_bytes().startswith(b"\xef\xbb\xbf")
    press(tab, "★")
    assert "1 人评价" in words(tab)
    tab.goto(f"{city}/open/datasets/jt_stops/correct/")
    look(tab, "correct", accessible)
    tab.fill("#id_key_stop_code", "S00009")
    tab.select_option("#id_item", "stop_name")
    tab.fill("#id_told", "站名已改为海棠路站")
    press(tab, "提交")
    assert "校核编号" in tab.locator("body").inner_text()
    tab.goto(f"{city}/open/requests/new/")
    look(tab, "ask", accessible)
    tab.fill("#id_title", "公共停车场名录")
    tab.fill("#id_told", "希望开放全市公共停车场位置")
    press(tab, "提交")
    assert "正在办理" in words(tab)
    look(tab, "voice", accessible)
    for page in ("developers", "help", "applications", "requests", "keys", "applications/new"):
        tab.goto(f"{city}/open/{page}/")
        look(tab, page.replace("/", "-"), accessible)
    tab.goto(f"{city}/open/keys/")
    tab.fill("#id_title", "课程设计")
    press(tab, "申领")
    assert "ok_" in words(tab)


@pytest.mark.slow
def test_people_are_opened_in_groups_by_three_officers(
    city: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    enter(tab, city, "ga.data", "/workbench/open/")
    tab.goto(f"{city}/workbench/open/new/")
    assert "须先匿名化" in words(tab)
    look(tab, "candidates", accessible)
    tab.goto(f"{city}/workbench/open/new/ga_residents/")
    assert "开放后最小分组" in words(tab)
    look(tab, "propose", accessible)
    tab.select_option("select[name=how_name]", "keep")
    press(tab, "重新测算")
    assert "按当前方案不能开放" in words(tab)
    assert "不得开放" in words(tab)
    tab.select_option("select[name=how_name]", "drop")
    press(tab, "提交审核")
    assert "待审核" in words(tab)
    look(tab, "risk", accessible)
    tab.goto(f"{city}/open/datasets/?q=户籍")
    assert "没有找到" in words(tab)
    for officer, button in (("ga.head", "同意开放"), ("sjj.cat", "准予发布")):
        enter(tab, city, officer, "/workbench/open/")
        look(tab, f"desk-{officer}", accessible)
        with tab.expect_navigation():
            tab.click("main .list a:has-text('户籍人口')")
        press(tab, button)
    _drain()
    tab.context.clear_cookies()
    tab.goto(f"{city}/open/datasets/ga_residents/")
    assert "本数据集已匿名化" in words(tab)
    look(tab, "people", accessible)


def test_the_bureau_answers_the_public(
    city: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    enter(tab, city, "sjj.run", "/workbench/open/voices/")
    assert "公共停车场名录" in words(tab)
    look(tab, "voices", accessible)
    with tab.expect_navigation():
        tab.click("a:has-text('公共停车场名录')")
    look(tab, "voice-desk", accessible)
    tab.fill("#note", "已列入明年开放计划")
    tab.check("#publish")
    press(tab, "采纳")
    tab.goto(f"{city}/open/requests/")
    assert "已列入明年开放计划" in words(tab)


def _drain() -> None:
    """What the worker does, in a thread of its own: the browser's loop forbids it here."""
    import threading

    from django.db import connections

    from lianyun.project import worker

    def work() -> None:
        worker.drain()
        connections.close_all()

    hand = threading.Thread(target=work)
    hand.start()
    hand.join(120)
