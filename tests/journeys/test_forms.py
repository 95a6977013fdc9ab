"""A citizen fills in one form on a phone: known values, errors, rows, a picture, a pen, corrections."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.capabilities.forms.tests.test_rules import png
from lianyun.project.testing import fits

NUMBER = "320703199003070016"
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def draft(city_database: None) -> str:
    """A draft of 企业开办, of a citizen with an account; what the city knows stands in it."""
    from lianyun.capabilities.forms import api
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM, actor_of

    user = identity.create_personal_account("张三丰", "kaiban", password="Haizhou-2026", by=SYSTEM)
    party = user.party
    assert party is not None
    citizen = actor_of(party)
    made = api.open_draft(
        ["company_opening"], party, subject="item:company_opening", once="journey",
        back_to="/", next_to="/", by=citizen,
    )  # fmt: skip
    known = {
        "name": api.Filled("张三丰", "实名信息"),
        "citizen_number": api.Filled(NUMBER, "实名信息"),
        "phone": api.Filled("13900001111", "公安局 人口库", "2026-11-02"),
    }
    api.fill(made, known, by=citizen)
    return made.code


def _next(tab: Any) -> None:
    with tab.expect_navigation():
        tab.get_by_role("button", name="保存并继续").last.click()


def _look(tab: Any, accessible: Callable[[Any], None], name: str) -> None:
    accessible(tab)
    assert fits(tab), f"{name} is wider than a phone"
    if folder := os.environ.get("LIANYUN_PICTURES"):
        tab.screenshot(path=str(Path(folder) / f"{name}-375.png"), full_page=True)
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.screenshot(path=str(Path(folder) / f"{name}-1280.png"), full_page=True)
        tab.set_viewport_size(PHONE)


def test_a_company_is_opened_on_a_phone(
    draft: str, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from playwright.sync_api import expect

    tab.set_viewport_size(PHONE)
    sign_in(tab, "kaiban", f"/forms/{draft}/")
    expect(tab.locator("h1")).to_have_text("拟设企业")
    tab.fill("#entity_name", "山海")
    _next(tab)
    expect(tab.locator("#errors")).to_be_focused()
    expect(tab.locator("#errors")).to_contain_text("名称要写完整")
    _look(tab, accessible, "errors")
    tab.locator("#errors a").first.click()
    expect(tab.locator("#entity_name")).to_be_focused()
    tab.fill("#entity_name", "连云港山海商贸有限公司")
    assert not tab.locator("#capital_due_on").count()
    tab.locator("input[name=entity_type][value='1130']").check()
    expect(tab.locator("#capital_due_on")).to_be_visible()  # asked because of what was chosen
    tab.fill("#capital_due_on", "2030-01-01")
    tab.select_option("#industry_section", index=1)
    tab.fill("#business_scope", "日用百货销售")
    tab.fill("#registered_capital", "100")
    _next(tab)

    expect(tab.locator("h1")).to_have_text("住所")
    tab.select_option("#town_code", index=1)
    tab.fill("#business_address", "苍梧路6号")
    tab.goto(f"{site}/")  # left without saving
    tab.goto(f"{site}/forms/{draft}/premises/")
    expect(tab.locator("#business_address")).to_have_value("苍梧路6号")
    expect(tab.get_by_text("还没有保存的内容")).to_be_visible()
    with tab.expect_response(f"{site}/forms/{draft}/premises/"):
        tab.locator("input[name=premises_right][value=rent]").check()
    expect(tab.locator("#premises_proof")).to_be_visible()
    with tab.expect_navigation():
        tab.set_input_files(
            "#premises_proof",
            {"name": "../../x.exe", "mimeType": "image/png", "buffer": png(60, 40)},
        )
    expect(tab.locator(".files img")).to_have_js_property("naturalWidth", 60)
    _look(tab, accessible, "premises")
    _next(tab)

    expect(tab.locator("h1")).to_have_text("法定代表人")
    expect(tab.locator("#name")).to_have_text("张三丰")
    expect(tab.locator("#phone-source")).to_contain_text("来自 公安局 人口库，2026-11-02")
    tab.locator("input[name=representative_self][value=yes]").check()
    tab.fill("#phone", "13900002222")
    _look(tab, accessible, "known")
    _next(tab)

    expect(tab.locator("h1")).to_have_text("股东（投资人）")
    tab.get_by_role("button", name="添加一位股东").click()
    expect(tab.locator("#row-" + tab.locator("input[name=shareholders-1-_id]").input_value()))
    for n, (kind, share) in enumerate((("person", "60"), ("person", "30"))):
        box = tab.locator("fieldset.group").nth(n)
        box.locator(f"input[value={kind}]").check()
        expect(tab.locator(f"#shareholders-{n}-holder_number")).to_be_visible()
        tab.fill(f"#shareholders-{n}-holder_name", "张三丰")
        tab.fill(f"#shareholders-{n}-holder_number", NUMBER)
        tab.fill(f"#shareholders-{n}-amount", share)
        tab.fill(f"#shareholders-{n}-ratio", share)
    _next(tab)
    expect(tab.locator("#errors")).to_contain_text("出资比例合计应为 100%，现在合计 90")
    tab.fill("#shareholders-1-ratio", "40")
    _look(tab, accessible, "rows")
    _next(tab)

    expect(tab.locator("h1")).to_have_text("主要人员")
    tab.fill("#director", "张三丰")
    tab.fill("#finance_name", "李四")
    tab.fill("#finance_phone", "13900003333")
    _next(tab)
    tab.locator("input[name=wanted][value=seal]").check()
    expect(tab.locator("#seals")).to_be_visible()
    tab.locator("input[name=seals][value=company]").check()
    _next(tab)

    expect(tab.locator("h1")).to_have_text("章程与签名")
    with tab.expect_navigation():
        tab.set_input_files(
            "#articles",
            {"name": "章程.pdf", "mimeType": "text/html", "buffer": b"%PDF-1.7\n.\n%%EOF\n"},
        )
    tab.locator("#truth").check()
    canvas = tab.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + 30, box["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 150, box["y"] + 80, steps=4)
    tab.mouse.up()
    _look(tab, accessible, "sign")
    _next(tab)

    expect(tab.locator("h1")).to_have_text("核对填写的内容")
    expect(tab.get_by_text("的记录与此不同")).to_be_visible()
    _look(tab, accessible, "check")
    tab.locator("#premises").get_by_role("link", name="修改").click()
    tab.fill("#business_address", "苍梧路8号")
    _next(tab)
    expect(tab.locator("h1")).to_have_text("核对填写的内容")
    expect(tab.locator("#premises")).to_contain_text("苍梧路8号")
    with tab.expect_navigation():
        tab.get_by_role("button", name="内容无误，继续").click()
    assert tab.url == f"{site}/"
