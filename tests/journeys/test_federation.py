"""A police officer makes a federated service on one page, without code, and sees when its source fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from lianyun.project.testing import create_database, drop_database, fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def source(city_database: None) -> Iterator[None]:
    """The police's own database with a table, registered as a source; an officer."""
    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.collection.api import register_source
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    sync_declared(by=SYSTEM)
    create_account(
        department("ga"), "王户政", "ga.data", ["data_officer"],
        password=PASSWORD, must_change=False, by=SYSTEM,
    )  # fmt: skip
    url = create_database("journey_police")
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("CREATE TABLE hj (公民身份号码 text PRIMARY KEY, 姓名 text, 出生日期 date)")
    register_source(
        dataset="ga_residents", name="ga_hj", kind="postgresql", location=url,
        options={"table": "hj"}, mode="full", by=SYSTEM,
    )  # fmt: skip
    yield
    drop_database("journey_police")


def test_a_service_is_made_without_code(
    source: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    sign_in(tab, "ga.data", "/workbench/federation/")
    assert "还没有联邦查询服务" in tab.locator("main").inner_text()
    accessible(tab)
    tab.click("a:has-text('制作')")
    tab.select_option("#id_base", "source:ga_hj")
    accessible(tab)
    tab.click("button:has-text('下一步')")
    tab.wait_for_selector("#id_title")
    tab.fill("#id_title", "户籍实时查询")
    tab.fill("#id_name", "residents_now")
    tab.fill("#id_summary", "按公民身份号码实时查询户籍登记信息")
    tab.check("input[name=fields_0][value=name]")
    tab.check("input[name=fields_0][value=birth_date]")
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size(WIDE)
    tab.click("button:has-text('开通服务')")
    tab.wait_for_selector("h1:has-text('户籍实时查询')")
    text = tab.locator("main").inner_text()
    assert "/api/data/residents_now:federated" in text
    assert "保留姓氏" in text
    assert "正常" in text
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    accessible(tab)


def test_a_source_that_fails_is_told_on_the_page(
    source: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    from lianyun.capabilities.services.fast.answers import federated
    from lianyun.lake.federate import Health

    # As the breaker of a worker tells it.
    federated._tell(Health("source:ga_hj", "市公安局", "open", "连不上", 3, 3, 0))
    sign_in(tab, "ga.data", "/workbench/federation/")
    assert "1 个不可用" in tab.locator("main").inner_text()
    with tab.expect_navigation():
        tab.click("a:has-text('户籍实时查询')")
    assert "不可用：连不上" in tab.locator("main").inner_text()
    accessible(tab)
