"""A catalogue entry's life: drawn up, sent back, signed, reviewed, found by another department; and an import."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import expect

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
TITLE = "殡葬服务机构名录"


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, str]:
    """A data officer and the head of civil affairs, the bureau's catalogue desk, a police officer."""
    from django.db import transaction

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    with transaction.atomic():
        sync_declared(by=SYSTEM)
    for slug, name, username, role in (
        ("mz", "何专员", "cat.data", "data_officer"),
        ("mz", "吕局长", "cat.head", "share_head"),
        ("sjj", "施目录", "cat.bureau", "bureau_catalogue"),
        ("ga", "张警官", "cat.other", "data_officer"),
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
    return {k: f"cat.{k}" for k in ("data", "head", "bureau", "other")}


def decide(
    sign_in: Callable[..., None], tab: Any, username: str, outcome: str, note: str = ""
) -> None:
    """Open the newest waiting step of this entry at one's desk and decide it."""
    sign_in(tab, username, "/workbench/catalogue/review/")
    with tab.expect_navigation():
        tab.locator(f"a:has-text('{TITLE}')").first.click()
    if note:
        tab.fill("#note", note)
    with tab.expect_navigation():
        tab.click(f"button[value={outcome}]")


def test_from_draft_to_publication(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["data"], "/workbench/catalogue/new/")
    accessible(tab)
    tab.fill("#f-title", TITLE)
    tab.select_option("#f-class", "307001")
    tab.fill("#f-conditions", "限行政机关履行职责使用")
    tab.click("text=增加一项")
    row = tab.locator("#item-rows tr").last
    row.locator("[name=item-element]").fill("entity_name")
    row.locator("[name=item-element]").press("Tab")
    expect(row.locator("[name=item-title]")).to_have_value("单位名称")
    with tab.expect_navigation():
        tab.click("button[name=stay]")
    assert "没有填写摘要" in tab.locator("main").inner_text()
    accessible(tab)
    tab.fill("#f-summary", "经审批设立的殡葬服务机构。")
    with tab.expect_navigation():
        tab.click("button[name=submit]")
    assert "正在审核" in tab.locator("main").inner_text()
    here = tab.url

    decide(sign_in, tab, people["head"], "return", "请补充机构地址")
    sign_in(tab, people["data"], here.removeprefix(site))
    assert "请补充机构地址" in tab.locator("main").inner_text()
    tab.click("text=提交审核")
    with tab.expect_navigation():
        tab.click("#confirm-yes")

    decide(sign_in, tab, people["head"], "agree")
    sign_in(tab, people["other"], "/workbench/catalogue/?q=殯葬服務機構")
    assert TITLE not in tab.locator("#results").inner_text()
    decide(sign_in, tab, people["bureau"], "agree")
    decide(sign_in, tab, people["bureau"], "agree")

    sign_in(tab, people["other"], "/workbench/catalogue/")
    tab.fill("#cat-q", "殯葬服務機構")
    tab.wait_for_selector(f"#results h2 a:has-text('{TITLE}')")
    assert "q=" in tab.url
    accessible(tab)
    with tab.expect_navigation():
        tab.click("#results h2 a")
    for tab_name in ("信息项", "版本", "血缘", "共享授权"):
        with tab.expect_navigation():
            tab.click(f"nav.tabs a:has-text('{tab_name}')")
        accessible(tab)
    assert tab.locator("text=申请共享").count() >= 1


def test_an_import_says_what_is_wrong_and_takes_the_rest(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    from lianyun.capabilities.catalogue.jobs import run_import

    sign_in(tab, people["bureau"], "/workbench/catalogue/import/")
    accessible(tab)
    with tab.expect_download() as waiting:
        tab.click("text=导出现有目录")
    body = waiting.value.path().read_bytes()
    book = openpyxl.load_workbook(io.BytesIO(body))
    book["资源"]["N2"] = "每小时"
    out = io.BytesIO()
    book.save(out)
    tab.set_input_files(
        "#file", {"name": "全市目录.xlsx", "mimeType": "", "buffer": out.getvalue()}
    )
    tab.click("text=开始导入")
    tab.wait_for_load_state("load")
    assert tab.locator("[role=progressbar]").count() == 1
    run_import(tab.url.rstrip("/").rpartition("/")[2])
    tab.wait_for_selector("text=下载问题清单")
    shown = tab.locator("main").inner_text()
    assert "每小时" in shown
    assert "更新周期" in shown
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "",
        "overview/",
        "review/",
        "import/",
        "elements/",
        "codes/",
        "resources/ga_residents/?tab=lineage",
    ],
)
def test_pages_fit_a_phone(
    path: str,
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    tab.set_viewport_size(PHONE)
    sign_in(tab, people["bureau"], f"/workbench/catalogue/{path}")
    assert fits(tab)
    accessible(tab)
