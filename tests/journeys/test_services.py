"""Data services as an officer makes them: designed without code, tried with invented rows, verified, counted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from tests.journeys.test_sharing import PHONE, City, city, enter, picture, press

__all__ = ["city"]


def tick(tab: Any, name: str, *values: str) -> None:
    """Tick these boxes of a group and no others."""
    for box in tab.locator(f"[name='{name}']").all():
        box.set_checked(box.get_attribute("value") in values)


def fits_a_phone(tab: Any) -> None:
    """No sideways scroll at 375 pixels."""
    tab.set_viewport_size(PHONE)
    wide = tab.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= PHONE["width"], f"{tab.url} is {wide} wide"
    tab.set_viewport_size({"width": 1280, "height": 900})


def begin(tab: Any, city: City, kind: str) -> None:
    """Open the builder for the residents and choose a kind."""
    tab.goto(f"{city.url}/workbench/services/new/?source=ga_residents")
    tab.check(f"[name='kind'][value='{kind}']")


def test_an_officer_makes_three_services(
    city: City, tab: Any, accessible: Callable[[Any], None]
) -> None:
    enter(tab, city, "ga.data", "/workbench/services/new/")
    accessible(tab)
    tab.select_option("#source", "ga_residents")
    press(tab, "下一步")
    accessible(tab)
    fits_a_phone(tab)

    # A query: what is wrong is told, a preview shows the masks, then it is published.
    tick(tab, "lookups")
    press(tab, "发布")
    assert "请至少选择一个查询条件" in tab.locator("main").inner_text()
    tick(tab, "fields_", "citizen_number", "name", "sex", "birth_date", "town_code")
    tick(tab, "lookups", "citizen_number", "town_code")
    tick(tab, "ranges", "birth_date")
    assert tab.locator("[name='values']").first.is_hidden()
    press(tab, "预览")
    shown = tab.locator("#preview").inner_text()
    assert "模拟数据" in shown
    assert "*" in shown
    accessible(tab)
    picture(tab, "services-build")
    press(tab, "发布")
    assert "已发布" in tab.content()
    accessible(tab)
    fits_a_phone(tab)

    # The test environment answers with invented rows, page by page.
    press(tab, "领取测试凭证")
    token = tab.locator("#trial").inner_text().strip()
    assert re.fullmatch(r"lyt_[0-9a-f]{16}\.[\w-]{43}", token)
    tab.select_option("#try-way", "")
    tab.fill("#from-birth_date", "1960-01-01")
    tab.fill("#try-limit", "2")
    tab.click("[data-try] button.primary")
    tab.wait_for_selector("#answer[data-status='200']")
    first = tab.locator("#answer").inner_text()
    assert "模拟数据" in first
    with tab.expect_response("**/api/data/ga_residents*") as second:
        tab.click("[data-next]")
    assert second.value.status == 200
    assert json.loads(first.split("\n", 1)[1])["rows"] != second.value.json()["rows"]
    accessible(tab)
    picture(tab, "services-query")
    asked = httpx.get(
        f"{city.url}/api/data/ga_residents",
        params={"birth_date.from": "1960-01-01", "limit": 3},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert asked.json()["count"] == 3

    # A verification says three words only.
    begin(tab, city, "verify")
    tick(tab, "lookups", "citizen_number")
    tick(tab, "values", "name", "birth_date")
    press(tab, "发布")
    assert "核验服务" in tab.locator("h1").inner_text()
    accessible(tab)
    press(tab, "领取测试凭证")
    known = tab.locator("details li").first.text_content()
    number = re.findall(r"3299\d{13}[\dX]", known)[0]
    tab.fill("#try-citizen_number", number)
    tab.fill("#value-name", "没有此名")
    tab.click("[data-try] button.primary")
    tab.wait_for_selector("#answer[data-status='200']")
    said = json.loads(tab.locator("#answer").inner_text().split("\n", 1)[1])
    assert said == {"resource": "ga_residents", "result": "不一致", "simulated": "模拟数据"}
    picture(tab, "services-verify")
    fits_a_phone(tab)

    # Statistics name no small group.
    begin(tab, city, "statistics")
    tick(tab, "by", "sex")
    press(tab, "发布")
    assert "统计服务" in tab.locator("h1").inner_text()
    press(tab, "领取测试凭证")
    tab.click("[data-try] button.primary")
    tab.wait_for_selector("#answer[data-status='200']")
    counted = json.loads(tab.locator("#answer").inner_text().split("\n", 1)[1])
    assert counted["smallest_group"] == 5
    assert all(g["count"] >= 5 for g in counted["groups"])
    accessible(tab)
    picture(tab, "services-statistics")
    fits_a_phone(tab)

    # A smaller service must be a new version; the old one can then be given an end.
    begin(tab, city, "query")
    tick(tab, "fields_", "citizen_number", "name")
    tick(tab, "lookups", "citizen_number")
    press(tab, "发布")
    assert "请发布为新版本" in tab.locator("main").inner_text()
    tab.check("[name='new_version']")
    press(tab, "发布")
    assert "第 2 版" in tab.content()
    tab.goto(f"{city.url}/workbench/services/ga_residents/?kind=query&version=1")
    tab.fill("#end-on", "2099-01-01")
    press(tab, "告知并停止")
    assert "本版本将停止" in tab.locator("main").inner_text()
    accessible(tab)
    tab.goto(f"{city.url}/workbench/services/")
    accessible(tab)
    picture(tab, "services-list")
    fits_a_phone(tab)


def test_another_department_designs_only_its_own(city: City, tab: Any) -> None:
    enter(tab, city, "mz.data", "/workbench/services/new/")
    offered = [o.get_attribute("value") for o in tab.locator("#source option").all()]
    assert "ga_residents" not in offered
    assert any(o and o.startswith("mz_") for o in offered)
