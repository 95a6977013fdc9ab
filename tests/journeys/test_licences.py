"""A licence as it is lived: drawn up, issued, shown at a counter, verified, changed by a forger, expired, ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
NUMBER = "320703199003070016"
PHONE = {"width": 375, "height": 800}
OFFICERS = (
    ("ga", "赵拟制", "ga.draw", "data_officer"),
    ("ga", "钱审核", "ga.head", "share_head"),
    ("mz", "王窗口", "mz.clerk", "data_officer"),
)


@pytest.fixture(scope="module")
def people(city_database: None) -> None:
    """Officers, the police's seal, a proven citizen with an account and a licence that has run out."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.actions.officers import set_password
    from lianyun.capabilities.licences import api as licences
    from lianyun.capabilities.seals import api as seals
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in OFFICERS:
        identity.create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    police = department("ga")
    case = seals.request_seal(
        department=police,
        kind="organ",
        title="市公安局证照专用章",
        name=police.name,
        below="证照专用章",
        automatic=list(seals.AUTOMATIC),
        reason="依法出具电子证照",
        by=SYSTEM,
    )
    while (item := case.items.filter(done_at=None).first()) is not None:
        case = seals.do_step(item=item, outcome=item.declared.outcomes[0].name, by=SYSTEM)
    party = identity.party_of_number(NUMBER, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    citizen = get_user_model()(username="zhangsan", party=party)
    set_password(citizen, PASSWORD)
    citizen.save()
    licences.issue(
        "driving_licence",
        party,
        {
            "name": "张三丰",
            "citizen_number": NUMBER,
            "driving_class": "C1",
            "first_issued_on": "2010-05-20",
            "file_number": "320700123456",
            "valid_from": "2010-05-20",
            "valid_to": (dt.date.today() - dt.timedelta(days=1)).isoformat(),  # noqa: DTZ011
        },
        once="driver",
        by=SYSTEM,
    )


def test_a_licences_life(
    site: str,
    people: None,
    chromium: Any,
    tab: Any,
    sign_in: Any,
    accessible: Callable[[Any], None],
    tmp_path: Path,
) -> None:
    # Two officers: one draws up, the other issues.
    sign_in(tab, "ga.draw", "/workbench/licences/new/residence_permit/")
    for field, value in {
        "name": "张三丰",
        "citizen_number": NUMBER,
        "licence_number": "3207032026000012",
        "residence_address": "海州区苍梧路6号2幢301室",
        "issuing_authority": "新东派出所",
        "issued_on": "2026-05-20",
        "valid_from": "2026-05-20",
        "valid_to": (dt.date.today() + dt.timedelta(days=20)).isoformat(),  # noqa: DTZ011
        "why": "窗口受理 2026-0520",
    }.items():
        tab.fill(f"#id_{field}", value)
    accessible(tab)
    tab.click("text=提交审核")
    tab.wait_for_selector("text=拟制人不能审核自己拟制的证照")
    case = tab.url.removeprefix(site)
    sign_in(tab, "ga.head", case)
    accessible(tab)
    tab.click("button:has-text('同意签发')")
    tab.click("a:has-text('查看证照')")
    tab.wait_for_selector("h2:has-text('证照要素')")
    accessible(tab)
    desk = tab.url

    # The citizen's phone, a browser of its own.
    context = chromium.new_context(
        locale="zh-CN", timezone_id="Asia/Shanghai", viewport=PHONE, reduced_motion="reduce"
    )
    phone = context.new_page()
    phone.set_default_timeout(20_000)
    sign_in(phone, "zhangsan", "/my/licences/")
    phone.wait_for_selector("h2:has-text('即将到期')")
    wallet = phone.inner_text("main")
    assert "居住证" in wallet
    assert "已过期" in wallet
    assert NUMBER not in wallet
    assert phone.locator("footer a:has-text('登录')").count() == 0
    accessible(phone)
    assert fits(phone)
    phone.click(".wallet a:has-text('居住证')")
    phone.wait_for_selector("text=苍梧路6号")
    assert fits(phone)
    held = phone.url
    with phone.expect_download() as caught:
        phone.click("text=下载证照文件")
    file = tmp_path / "licence.pdf"
    caught.value.save_as(file)
    phone.click("a:has-text('亮证')")
    phone.wait_for_selector(".show-code svg")
    assert fits(phone)
    code = phone.inner_text(".show-code .mono")

    # The counter scans, the citizen agrees on the phone, the clerk sees what was asked for.
    sign_in(tab, "mz.clerk", f"/workbench/licences/counter/?code={code}")
    tab.fill("#id_purpose", "老年优待办理")
    tab.check("text=已满 18 周岁")
    accessible(tab)
    tab.click("text=请持证人同意")
    tab.wait_for_selector("text=等待同意")
    phone.wait_for_selector("h2:has-text('请求查看')")
    accessible(phone)
    phone.click("text=同意出示")
    phone.wait_for_selector("text=已同意出示")
    assert fits(phone)
    tab.wait_for_selector("text=持证人已同意")
    shown = tab.inner_text("main")
    assert "是" in shown
    assert "苍梧路" not in shown
    accessible(tab)

    # Everybody verifies the file; a changed byte is named.
    def told(content: bytes) -> str:
        given = tmp_path / "given.pdf"
        given.write_bytes(content)
        tab.goto(f"{site}/verify/")
        tab.set_input_files("#file", str(given))
        tab.click("button:has-text('核验文件')")
        tab.wait_for_selector("main section h2")
        return str(tab.inner_text("main"))

    whole = file.read_bytes()
    assert "证照真实、有效" in told(whole)
    accessible(tab)
    middle = whole.index(b"stream") + 200
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    assert "文件被改动过，不可采信" in told(changed)

    # Revoked, it is named at once, on the page and in the wallet.
    sign_in(tab, "ga.head", desk.removeprefix(site))
    tab.select_option("#what", "annulled")
    tab.fill("#reason", "持证人迁出本市")
    tab.click("button:has-text('确定处置')")
    tab.click("dialog[open] button[value=yes]")
    tab.wait_for_selector("text=已登记")
    assert "证照已注销" in told(whole)
    phone.goto(held)
    phone.wait_for_selector("text=已注销")
    assert phone.locator("a:has-text('亮证')").count() == 0
    context.close()
