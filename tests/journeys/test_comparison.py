"""Comparison as it is lived: run, finding, case, confirmed, recovered, counted; and who sees whom."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
RULE = "deceased_destitute"
DEAD = "320703194003070013"
NAME = "孙大民"
PHONE = {"width": 375, "height": 800}
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _number(place: int) -> str:
    body = f"320703195{place % 10}0101{place:03d}"[:17]
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


def _people() -> None:
    from django.db import transaction

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in (
        ("mz", "王民政", "mz.data", "data_officer"),
        ("mz", "李民政", "mz.other", "data_officer"),
        ("rs", "赵人社", "rs.data", "data_officer"),
        ("sjj", "孙运营", "sjj.run", "bureau_operator"),
        ("sjj", "钱市长", "sjj.lead", "leader"),
    ):
        create_account(
            department(slug),
            name,
            username,
            [role],
            password=PASSWORD,
            must_change=False,
            by=SYSTEM,
        )
    with transaction.atomic():
        sync_declared(by=SYSTEM)


def _load(dataset: str, batch: str, rows: list[dict[str, Any]]) -> None:
    from lianyun.capabilities.collection import api as collection
    from lianyun.kernel.models import Resource
    from lianyun.lake.land import from_rows
    from lianyun.lake.merge import load

    spec = collection.dataset_spec(Resource.objects.get(name=dataset))
    values = [[row.get(item.name) for item in spec.items] for row in rows]
    source = from_rows([item.title for item in spec.items], list(enumerate(values, 2)))
    assert load(collection.lake(), spec, source, "full", batch).rejected == 0


def _rows() -> None:
    people = [(DEAD, NAME), *((_number(n), f"周健{'甲乙丙丁戊'[n % 5]}") for n in range(3, 15))]
    _load(
        "mz_destitute",
        "b1",
        [
            {
                "record_number": f"TK{number[-8:]}{month}",
                "citizen_number": number,
                "name": name,
                "relief_amount": "900",
                "paid_month": f"2026{month:02d}",
                "paid_on": f"2026-{month:02d}-10",
                "town_code": "320703001",
            }
            for number, name in people
            for month in range(3, 9)
        ],
    )
    _load(
        "wj_deaths",
        "b2",
        [
            {
                "record_number": f"SW{number[-8:]}",
                "citizen_number": number,
                "name": name,
                "sex": "1",
                "death_date": "2026-04-01",
                "issued_on": "2026-04-02",
            }
            for number, name in (people[0], people[1], people[2])
        ],
    )


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[str]:
    """The product served over the module's database and a lake of its own, with a worker."""
    from django.db import connections
    from django.test import override_settings
    from pytest_django.live_server_helper import LiveServer

    from lianyun.project import worker
    from lianyun.project.testing import create_database, drop_database

    catalogue_name = f"lake_{secrets.token_hex(6)}"
    catalogue = create_database(catalogue_name)
    folder = str(tmp_path_factory.mktemp("lake"))
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.3):
            worker.drain()
            connections.close_all()

    with override_settings(LAKE_CATALOGUE_URL=catalogue, LAKE=folder):
        _people()
        _rows()
        connections.close_all()
        server = LiveServer("127.0.0.1")
        hand = threading.Thread(target=work, daemon=True)
        hand.start()
        yield str(server.url)
        stop.set()
        hand.join(30)
        server.stop()
        connections.close_all()
    drop_database(catalogue_name)


def enter(tab: Any, city: str, username: str, path: str) -> None:
    """Sign in as somebody else."""
    tab.context.clear_cookies()
    tab.goto(f"{city}/login/?next={path}")
    tab.fill("#id_username", username)
    tab.fill("#id_password", PASSWORD)
    tab.click("main button[type=submit]")
    tab.wait_for_url(f"**{path}")


def press(tab: Any, text: str) -> None:
    """Press a button, and say yes where the page asks again."""
    button = tab.locator(f"main button:has-text('{text}')").first
    asks = button.get_attribute("data-confirm") is not None
    with tab.expect_navigation():
        button.click()
        if asks:
            tab.click("#confirm-yes")
    tab.wait_for_load_state("load")


def picture(tab: Any, name: str) -> None:
    """The page fits a phone; keep pictures of it where the environment asks for them."""
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


def test_from_run_to_recovered(city: str, tab: Any, accessible: Callable[[Any], None]) -> None:
    rule = f"/workbench/comparison/rules/{RULE}/"
    enter(tab, city, "sjj.run", "/workbench/comparison/")
    assert "死亡后仍发放特困供养金" in words(tab)
    accessible(tab)
    tab.goto(city + rule)
    assert "还没有比对过" in words(tab)
    press(tab, "现在比对")
    # The bar asks for the page anew when the run has ended.
    tab.locator("main", has_text="新增 3").wait_for(timeout=90_000)
    tab.wait_for_load_state("load")
    assert "新增 3" in words(tab)
    tab.click("summary:has-text('查看语句')")
    assert "SELECT" in words(tab)
    accessible(tab)
    picture(tab, "rule")

    tab.goto(f"{city}/workbench/comparison/findings/")
    assert "孙**" not in words(tab)
    accessible(tab)
    picture(tab, "findings")
    tab.check("[data-pick-all]")
    press(tab, "立案交办")
    assert "已立案 3 件" in tab.content()
    tab.locator("main td a").first.click()
    tab.wait_for_load_state("load")
    assert "当事人信息由承办部门查看" in words(tab)
    accessible(tab)
    picture(tab, "finding-bureau")

    enter(tab, city, "mz.data", "/workbench/comparison/findings/")
    row = tab.locator("main tr", has_text="孙**")
    path = re.sub(r"^https?://[^/]+", "", row.locator("a").first.get_attribute("href") or "")
    tab.goto(city + path)
    text = words(tab)
    assert "剩余 10 个工作日" in text
    assert "两边姓名（名称）一致" in text
    assert DEAD not in text
    assert NAME not in text
    accessible(tab)
    picture(tab, "finding")
    tab.click("summary:has-text('查看明文')")
    tab.fill("#id_purpose", "入户核实")
    press(tab, "显示明文")
    assert DEAD in words(tab)
    accessible(tab)

    other = tab.context.browser.new_context(locale="zh-CN").new_page()
    other.goto(f"{city}/login/?next={path}")
    other.fill("#id_username", "mz.other")
    other.fill("#id_password", PASSWORD)
    other.click("main button[type=submit]")
    other.wait_for_url(f"**{path}")

    tab.goto(city + path)
    tab.fill("#amount", "3600")
    tab.fill("#note", "入户核实，四月一日去世")
    press(tab, "属实")
    press(tab, "需追缴")

    other.fill("#note", "我认为不实")
    with other.expect_navigation():
        other.locator("main button:has-text('不属实')").click()
    assert "已由王民政" in str(other.locator("main").inner_text())
    other.context.close()

    tab.fill("#amount", "3600")
    press(tab, "已全部追缴")
    text = words(tab)
    assert "属实，已办结" in text
    accessible(tab)
    picture(tab, "finding-closed")

    enter(tab, city, "rs.data", "/workbench/comparison/findings/")
    assert "没有符合条件的发现" in words(tab)
    accessible(tab)

    enter(tab, city, "sjj.lead", "/workbench/comparison/")
    tab.wait_for_load_state("load")
    line = tab.locator("main tr", has_text="死亡后仍发放特困供养金").inner_text()
    assert "3,600" in line
    accessible(tab)
    picture(tab, "home")
    tab.goto(f"{city}/workbench/")
    assert "比对追缴金额" in words(tab)
    accessible(tab)
    picture(tab, "workbench")
