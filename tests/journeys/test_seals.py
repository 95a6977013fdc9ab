"""A seal as it is lived: asked for, approved, made, set on a permit, checked by a citizen, stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
OFFICERS = (
    ("scjg", "陈保管", "scjg.seal", "seal_keeper"),
    ("scjg", "刘局长", "scjg.head", "share_head"),
    ("sjj", "孙运营", "sjj.run", "bureau_operator"),
    ("sjj", "吴制章", "sjj.make", "seal_maker"),
    ("sjj", "郑安全", "sjj.safe", "security_admin"),
)


@pytest.fixture(scope="module")
def officers(city_database: None) -> None:
    """Everybody whom a seal passes."""
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in OFFICERS:
        create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip


def _permit() -> bytes:
    """One page by pyHanko's writer: the permit that is to be sealed."""
    from io import BytesIO

    from pyhanko.pdf_utils import generic, writer

    made = writer.PdfFileWriter()
    page = writer.PageObject(
        contents=made.add_object(generic.StreamObject(stream_data=b"0 0 10 10 re f")),
        media_box=generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))),
    )
    made.insert_page(page)
    out = BytesIO()
    made.write(out)
    return out.getvalue()


def _look(tab: Any, accessible: Callable[[Any], None]) -> None:
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size(DESK)


def test_a_seals_life(
    site: str, officers: None, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    file = tmp_path / "许可证.pdf"
    file.write_bytes(_permit())

    sign_in(tab, "scjg.seal", "/workbench/seals/")
    tab.wait_for_selector("text=还没有电子印章")
    tab.click("text=申请印章")
    tab.fill("#id_title", "市市场监督管理局证照专用章")
    tab.fill("#id_below", "证照专用章")
    tab.fill("#id_reason", "依法出具电子证照")
    _look(tab, accessible)
    tab.click("form.form button.primary")
    tab.wait_for_selector("h2:has-text('图样')")
    assert tab.locator(".seal-draft svg").count() == 1
    case = tab.url

    for username, button in (
        ("scjg.head", "同意申请"),
        ("sjj.run", "核准制作"),
        ("sjj.make", "制作并启用"),
    ):
        sign_in(tab, username, case.removeprefix(site))
        if button == "核准制作":
            _look(tab, accessible)
        tab.click(f"button:has-text('{button}')")
        tab.wait_for_selector("text=已办理")

    sign_in(tab, "scjg.seal", "/workbench/seals/")
    tab.wait_for_selector(".seal-card")
    _look(tab, accessible)
    tab.click(".seal-card a")
    tab.click("a.btn:has-text('用印')")
    tab.set_input_files("input[type=file]", str(file))
    tab.fill("#id_purpose", "核发食品经营许可证")
    _look(tab, accessible)
    with tab.expect_download() as caught:
        tab.click("form.form button.primary")
    sealed = tmp_path / "sealed.pdf"
    caught.value.save_as(sealed)
    tab.goto(f"{site}/workbench/seals/uses/")
    tab.wait_for_selector("text=核发食品经营许可证")
    _look(tab, accessible)

    def told(content: bytes) -> str:
        given = tmp_path / "given.pdf"
        given.write_bytes(content)
        tab.goto(f"{site}/seals/check/")
        tab.set_input_files("input[type=file]", str(given))
        tab.click("form.form button.primary")
        tab.wait_for_selector("h2:has-text('检验结果')")
        return str(tab.inner_text("main"))

    assert "文件完好，印章真实有效" in told(sealed.read_bytes())
    assert tab.locator(".seal-small svg").count() == 1
    _look(tab, accessible)
    assert "被改动过" in told(sealed.read_bytes().replace(b"/MediaBox", b"/CropBox "))

    tab.goto(f"{site}/workbench/seals/")
    tab.click(".seal-card a")
    tab.click("summary:has-text('停用这枚印章')")
    tab.locator("form[action$='/stop/'] textarea").fill("机构改革，换用新章")
    tab.select_option("form[action$='/stop/'] select", "ended")
    _look(tab, accessible)
    tab.locator("form[action$='/stop/'] button[type=submit]").click()
    tab.wait_for_selector("text=印章已停用")
    after = told(sealed.read_bytes())
    assert "文件完好，印章真实有效" in after
    assert "仍然有效" in after

    sign_in(tab, "sjj.safe", "/workbench/seals/authority/")
    tab.wait_for_selector("text=换成本市的根证书")
    _look(tab, accessible)
