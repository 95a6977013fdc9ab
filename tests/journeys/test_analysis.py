"""An officer asks the data: a guided question, its chart and file; one taken back; one refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
COUNTIES = {"320703": 30, "320706": 18, "320707": 9, "320722": 2}
BUILDER = "/workbench/analysis/"


def number(n: int) -> str:
    from lianyun.kernel.element import citizen_check_digit

    first = f"3207031985{n // 28 % 12 + 1:02d}{n % 28 + 1:02d}{n % 1000:03d}"
    return first + citizen_check_digit(first)


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, str]:
    """A data officer of the police and one of education; all committed."""
    from django.db import transaction

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    with transaction.atomic():
        sync_declared(by=SYSTEM)
    for slug, name, username in (("ga", "严专员", "ask.police"), ("jy", "金专员", "ask.school")):
        create_account(
            department(slug),
            name,
            username,
            ["data_officer"],
            password=PASSWORD,
            must_change=False,
            by=SYSTEM,
        )
    return {"police": "ask.police", "school": "ask.school"}


@pytest.fixture
def residents(people: dict[str, str], fresh_lake: Any, tmp_path: Path) -> None:
    """The register of residents, loaded: some counties with many people, one with two."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.kernel.access import SYSTEM

    rows, n = [], 0
    for county, many in COUNTIES.items():
        for _ in range(many):
            n += 1
            who = number(n)
            birth = f"{who[6:10]}-{who[10:12]}-{who[12:14]}"
            rows.append(f"{who},王小{n},1,{birth},H{n:04d},{county},2026-11-01 08:00:00\n")
    file = tmp_path / "residents.csv"
    head = "公民身份号码,姓名,性别,出生日期,户号,行政区划代码,更新时间\n"
    file.write_text(head + "".join(rows), "utf-8")
    told = collection.load("ga_residents", file, by=SYSTEM)
    assert told["accepted"] == sum(COUNTIES.values()), told


def look(tab: Any, name: str, accessible: Callable[[Any], None]) -> None:
    """A page must fit desk and phone and be accessible; pictures go to LIANYUN_SHOTS if set."""
    folder = os.environ.get("LIANYUN_SHOTS")
    for size, suffix in ((PHONE, "phone"), (DESK, "desk")):
        tab.set_viewport_size(size)
        tab.wait_for_timeout(400)
        if folder:
            tab.screenshot(path=f"{folder}/{name}-{suffix}.png", full_page=True)
        assert fits(tab), f"{name} scrolls sideways ({suffix})"
    accessible(tab)


def chosen(tab: Any, selector: str, value: str) -> None:
    """Choose in a list and wait for the builder to come back."""
    with tab.expect_response(lambda r: r.url.endswith(BUILDER) and r.request.method == "POST"):
        tab.select_option(selector, value)
    tab.wait_for_timeout(150)


def test_from_a_guided_question_to_a_file(
    site: str,
    people: dict[str, str],
    residents: None,
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["police"], BUILDER)
    chosen(tab, "#b-base", "ga_residents")
    chosen(tab, "#b-g0", "a.region_code")
    chosen(tab, "#b-m0", "people")
    tab.fill("#b-purpose", "人口分布分析")
    look(tab, "builder", accessible)
    with tab.expect_navigation():
        tab.click("button[value=run]")
    tab.wait_for_selector("[data-chart] svg, [data-chart] canvas")
    table = tab.locator("section:has(h2:text-is('结果')) table").inner_text()
    assert "连云区（320703）" in table
    assert "30" in table
    assert "320722" not in table, "two people are no statistics"
    look(tab, "answer", accessible)
    with tab.expect_download() as told:
        tab.click("a:has-text('CSV')")
    text = Path(told.value.path()).read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert text.decode("utf-8-sig").splitlines()[1] == "320703,30"
    tab.click("summary:has-text('保存这个查询')")
    tab.fill("#id_title", "各县区人数")
    tab.select_option("#id_sharing", "city")
    with tab.expect_navigation():
        tab.click("form[action$='keep/'] button")
    assert "各县区人数" in tab.locator("main").inner_text()
    look(tab, "questions", accessible)
    # A colleague of another department may open it, yet reads nothing that is not his.
    sign_in(tab, people["school"], "/workbench/analysis/questions/")
    with tab.expect_navigation():
        tab.click("a:has-text('各县区人数')")
    tab.fill("#q-purpose", "看一看")
    with tab.expect_navigation():
        tab.click("main form button.primary")
    assert "没有权限读取" in tab.locator("main").inner_text()
    accessible(tab)


@pytest.mark.slow
def test_a_question_taken_back_and_one_refused(
    site: str,
    people: dict[str, str],
    residents: None,
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["police"], "/workbench/analysis/sql/")
    look(tab, "editor", accessible)
    tab.fill("#id_sql", "SELECT * FROM rs_insured")
    tab.fill("#id_purpose", "试验")
    with tab.expect_navigation():
        tab.click("main form button.primary")
    assert "没有权限读取" in tab.locator("main").inner_text()
    cross = ", ".join(f"ga_residents t{n}" for n in range(5))
    tab.fill("#id_sql", f"SELECT sum(length(t0.region_code || t4.sex)) AS n FROM {cross}")
    with tab.expect_navigation(wait_until="load"):
        tab.click("main form button.primary")
    # So many pairs are weighed first: the page asks before it begins.
    tab.wait_for_selector("h2:has-text('这次查询比较大')", timeout=60_000)
    look(tab, "confirm", accessible)
    with tab.expect_navigation(wait_until="load"):
        tab.click("button:has-text('确认执行')")
    tab.wait_for_selector("[role=progressbar]")
    look(tab, "running", accessible)
    with tab.expect_navigation(wait_until="load"):
        tab.click("button:has-text('取消查询')")
    tab.wait_for_selector("text=查询已取消", timeout=30_000)
    tab.goto(f"{site}/workbench/analysis/history/")
    assert "已取消" in tab.locator("main").inner_text()
    look(tab, "history", accessible)
