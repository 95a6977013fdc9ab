"""Paths and tables as they are read: an operator looks, tries a rule, and moves a case on."""

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
NEW = """title: 试行流程
basis: 本市约定
steps:
  - {id: take, title: 受理, permission: desk.accept, days: 5, basis: 行政许可法第三十二条}
  - {id: notice, title: 公示, timer: {days: 5}}
"""


@pytest.fixture(scope="module")
def running(city_database: None) -> str:
    """An operator, and a case that runs on the first version of a path that has a second."""
    from django.db import transaction

    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.case import open_case
    from lianyun.kernel.party import department
    from lianyun.kernel.path import compile_path, declare

    for name, username, role in (
        ("孙运营", "sjj.run", "bureau_operator"), ("施目录", "sjj.list", "bureau_catalogue"),
    ):  # fmt: skip
        create_account(
            department("sjj"), name, username, [role],
            password=PASSWORD, must_change=False, by=SYSTEM,
        )  # fmt: skip

    def way(*more: dict[str, Any]) -> str:
        steps = [{"id": "take", "title": "受理", "permission": "desk.accept", "days": 5}, *more]
        return compile_path("trial", "试行流程", steps)

    with transaction.atomic():
        declare("trial", "试行流程", way())
        case = open_case("trial", title="一号办件", department=department("ga"), by=SYSTEM)
        both = [
            [{"id": f"ask_{n}", "title": f"征求意见{n}", "permission": "desk.review"}] for n in "ab"
        ]
        declare("trial", "试行流程", way({"id": "both", "title": "征求", "parallel": both}))
    return str(case.code)


def test_a_path_is_drawn_a_rule_tried_and_a_case_moved(
    running: str, tab: Any, site: str, accessible: Callable[[Any], None], sign_in: Any
) -> None:
    from playwright.sync_api import expect

    def look() -> None:
        accessible(tab)
        folder = os.environ.get("LIANYUN_PICTURES")
        for size in (DESK, PHONE) if folder else (PHONE,):
            tab.set_viewport_size(size)
            assert fits(tab)
            if folder:
                count = len(list(Path(folder).iterdir()))
                tab.screenshot(
                    path=f"{folder}/{count:02}-flows-{size['width']}.png", full_page=True
                )
        tab.set_viewport_size(DESK)

    tab.set_viewport_size(DESK)
    tab.goto(f"{site}/login/?next=/workbench/flows/")
    tab.fill("[name=username]", "sjj.run")
    tab.fill("[name=password]", PASSWORD)
    tab.click("main button[type=submit]")
    expect(tab.locator("h1")).to_contain_text("办理流程")
    look()
    tab.get_by_role("link", name="试行流程").click()
    expect(tab.locator("[data-drawn=yes]")).to_be_visible()
    expect(tab.locator(".flow-drawing .djs-shape").first).to_be_visible()
    expect(tab.locator(".flow-drawing .bjs-powered-by")).to_be_visible()
    look()
    tab.fill("#move-reason", "办理规定修改")
    tab.get_by_role("button", name="迁移到第 2 版").click()
    tab.locator("#confirm-yes").click()
    expect(tab.get_by_text("已迁移 1 件")).to_be_visible()
    expect(tab.get_by_text("仍走旧版本的在办件")).to_have_count(0)

    tab.goto(f"{site}/workbench/flows/decisions/freight_permit/")
    tab.get_by_label("路线").fill("ring")
    tab.get_by_label("核定载质量").fill("8")
    tab.get_by_label("通行时段").fill("night")
    tab.get_by_role("button", name="判定").click()
    expect(tab.locator("tr.flow-hit")).to_have_count(1)
    expect(tab.locator("#try")).to_contain_text("granted")
    look()
    with tab.expect_download() as taken:
        tab.get_by_role("link", name="导出 DMN").click()
    assert taken.value.suggested_filename == "freight_permit-1.dmn"

    tab.goto(f"{site}/workbench/flows/write/?kind=path&key=trial")
    text = NEW.replace("desk.accept", "desk.fly")
    tab.set_input_files(
        "#file", {"name": "trial.yaml", "mimeType": "text/yaml", "buffer": text.encode()}
    )
    tab.get_by_role("button", name="提交审核").click()
    expect(tab.locator("main")).to_contain_text("没有名为 desk.fly 的权限")
    expect(tab.locator("main")).to_contain_text("不能提交")
    look()
    tab.fill("#text", NEW)
    tab.fill("#reason", "增加公示环节")
    tab.get_by_role("button", name="提交审核").click()
    expect(tab.locator("main")).to_contain_text("提交人不能审核自己的修改")
    address = tab.url
    sign_in(tab, "sjj.list", address.removeprefix(site))
    expect(tab.locator("[data-drawn=yes]")).to_have_count(2)
    expect(tab.locator("main")).to_contain_text("与第 2 版的不同")
    look()
    tab.get_by_role("button", name="准予发布").click()
    tab.locator("#confirm-yes").click()
    expect(tab.get_by_text("已发布第 3 版，在办件不变。")).to_be_visible()
    tab.goto(f"{site}/workbench/flows/proposals/")
    expect(tab.locator("main")).to_contain_text("第 3 版")
    look()
