"""A name is tried by anybody; the register's officers see what was registered and what waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"


def _look(tab: Any, accessible: Callable[[Any], None], folder: Path, name: str) -> None:
    accessible(tab)
    tab.screenshot(path=str(folder / f"{name}-1280.png"), full_page=True)
    tab.set_viewport_size({"width": 375, "height": 800})
    assert fits(tab)
    tab.screenshot(path=str(folder / f"{name}-375.png"), full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.slow
def test_a_name_is_tried_and_a_waiting_firm_is_seen(
    site: str, fresh_lake: Any, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.registration.models import Firm
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    identity.create_account(
        department("scjg"), "冯负责", "scjg.head", ["approval_head"],
        password=PASSWORD, must_change=False, by=SYSTEM,
    )  # fmt: skip
    tab.goto(f"{site}/names/")
    tab.fill("#name", "中国山海商贸")
    tab.click("main button:has-text('查询')")
    expect(tab.locator("main")).to_contain_text("不能使用")
    expect(tab.locator("main")).to_contain_text("组织形式")
    _look(tab, accessible, tmp_path, "names")
    tab.fill("#name", "连云港云台山茶业有限公司")
    tab.click("main button:has-text('查询')")
    expect(tab.locator("main")).to_contain_text("没有发现问题")

    case = cases.open_case(
        "company_opening", title="企业开办", subject="item:company_opening",
        department=department("scjg"), data={"item": "company_opening"}, by=SYSTEM,
    )  # fmt: skip
    Firm.objects.create(
        case=case, name="连云港云台山茶业有限公司", region="320703", trouble="“连云港云台山茶业有限公司”已经登记"
    )  # fmt: skip
    sign_in(tab, "scjg.head", "/workbench/registration/")
    expect(tab.locator("main")).to_contain_text("待处理")
    _look(tab, accessible, tmp_path, "list")
    tab.click("a:has-text('连云港云台山茶业有限公司')")
    expect(tab.locator("main")).to_contain_text("尚未赋码")
    _look(tab, accessible, tmp_path, "detail")
