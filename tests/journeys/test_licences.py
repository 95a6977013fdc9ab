"""A licence as it is lived: drawn up, issued, shown at a counter, verified, changed by a forger, expired, ended."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
NUMBER = "320703199003070016"
PHONE = {"width": 375, "height": 800}
MOTHER, CHILD = "320703198811110034", "320703201801010018"
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


@pytest.fixture(scope="module")
def family(people: None) -> None:
    """A mother with a child of hers, each with a residence permit; hers ends soon."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.actions.officers import set_password
    from lianyun.capabilities.identity.models import Agency
    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.access import SYSTEM

    today = timezone.localdate()
    party = identity.party_of_number(MOTHER, name="李四")
    child = identity.party_of_number(CHILD, name="李小宝")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    citizen = get_user_model()(username="lisi", party=party)
    set_password(citizen, PASSWORD)
    citizen.save()
    Agency.objects.create(
        kind="guardian", principal=child, agent=party, since=today, accepted_at=timezone.now(),
        scope=["licences"],
    )  # fmt: skip
    for number, name, serial, ends in (
        (MOTHER, "李四", "3207032026000021", today + dt.timedelta(days=20)),
        (CHILD, "李小宝", "3207032026000022", today + dt.timedelta(days=300)),
    ):
        licences.issue(
            "residence_permit",
            None,
            {
                "name": name,
                "citizen_number": number,
                "licence_number": serial,
                "residence_address": "海州区苍梧路6号2幢301室",
                "issuing_authority": "新东派出所",
                "issued_on": "2026-05-20",
                "valid_from": "2026-05-20",
                "valid_to": ends.isoformat(),
            },
            once=serial,
            by=SYSTEM,
        )


def picture(page: Any, name: str) -> None:
    """Keep what the page looks like, where LIANYUN_PICTURES says."""
    folder = os.environ.get("LIANYUN_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_what_a_holder_does_with_it(
    site: str,
    family: None,
    chromium: Any,
    tab: Any,
    sign_in: Any,
    accessible: Callable[[Any], None],
    tmp_path: Path,
) -> None:
    """Given once, taken back, copied for a purpose, downloaded, checked by outsiders without the site."""

    def look(page: Any, name: str) -> None:
        accessible(page)
        before = page.viewport_size
        for size in (PHONE, {"width": 1280, "height": 900}):
            page.set_viewport_size(size)
            assert fits(page), f"{page.url} scrolls sideways at {size['width']}"
            picture(page, f"{name}-{size['width']}")
        page.set_viewport_size(before)

    def saved(page: Any, words: str, name: str) -> Path:
        with page.expect_download() as caught:
            page.click(f"a:has-text('{words}')")
        caught.value.save_as(tmp_path / name)
        return tmp_path / name

    context = chromium.new_context(
        locale="zh-CN", timezone_id="Asia/Shanghai", viewport=PHONE, reduced_motion="reduce"
    )
    phone = context.new_page()
    phone.set_default_timeout(20_000)
    sign_in(phone, "lisi", "/my/licences/")
    wallet = phone.inner_text("main")
    assert "我是监护人" in wallet
    assert "办理延续" in wallet
    look(phone, "wallet")

    # Given once: to one recipient, for one purpose, chosen contents only.
    phone.click(".wallet a:has-text('李四')")
    held = phone.url

    def give(recipient: str) -> str:
        phone.goto(f"{held}give/")
        phone.check("label:has-text('已满 18 周岁')")
        phone.check("label:has-text('姓名')")
        phone.fill("#id_recipient", recipient)
        phone.fill("#id_purpose", "租房登记")
        phone.check("#id_consent")
        phone.click("text=生成一次性链接")
        phone.wait_for_selector(".show-code svg")
        return str(phone.inner_text(".show-code .mono"))

    phone.goto(f"{held}give/")
    look(phone, "give")
    link = give("某房产中介")
    look(phone, "given-link")
    at = link[link.index("/verify/given/") :]
    tab.goto(f"{site}{at}")
    assert "李四" not in tab.inner_text("main")
    tab.click("text=查看（只能一次）")
    tab.wait_for_selector("text=只能查看这一次")
    shown = tab.inner_text("main")
    assert "李四" in shown
    assert MOTHER not in shown
    assert "苍梧路" not in shown
    look(tab, "given-shown")
    tab.goto(f"{site}{at}")
    tab.wait_for_selector("text=已被查看过")
    # A second link is taken back before anybody opens it.
    other = give("另一家中介")
    phone.goto(f"{site}/my/licences/looks/")
    assert "已查看" in phone.inner_text("main")
    look(phone, "looks")
    phone.click("button:has-text('收回')")
    phone.click("dialog[open] button[value=yes]")
    phone.wait_for_selector("text=已收回，没有被查看")
    tab.goto(f"{site}{other[other.index('/verify/given/') :]}")
    tab.wait_for_selector("text=链接无效")

    # A copy bound to its purpose, and the same licence as OFD: both verify, until taken back.
    def told(file: Path) -> str:
        tab.goto(f"{site}/verify/")
        tab.set_input_files("#file", str(file))
        tab.click("button:has-text('核验文件')")
        tab.wait_for_selector("main section[aria-live] h2")
        return str(tab.inner_text("main"))

    phone.goto(f"{held}copy/")
    phone.fill("#id_purpose", "办理子女入学")
    phone.fill("#id_recipient", "市教育局")
    look(phone, "copy")
    phone.click("main button:has-text('制作加注件')")
    phone.wait_for_selector("text=加注件已制作")
    copy = saved(phone, "办理子女入学", "copy.pdf")
    words = told(copy)
    assert "证照真实、有效" in words
    assert "仅限用于“办理子女入学”，提供给“市教育局”" in words
    assert "证照真实、有效" in told(saved(phone, "下载 OFD", "licence.ofd"))
    phone.click("button:has-text('收回')")
    phone.click("dialog[open] button[value=yes]")
    phone.wait_for_selector("text=已收回")
    assert "加注件已被持证人收回" in told(copy)

    # An outsider saves the page once, and later needs no network: the public key alone.
    proof = saved(phone, "只证明已满 18 周岁", "age.sd-jwt")
    tab.goto(f"{site}/verify/offline/")
    look(tab, "offline")
    page = saved(tab, "下载离线核验页", "offline.html")
    lists = [saved(tab, "状态列表 1", "before.jwt")]
    _annul(held.rstrip("/").rpartition("/")[2])
    lists.append(saved(tab, "状态列表 1", "after.jwt"))
    context.set_offline(True)
    outside = context.new_page()
    outside.goto(page.as_uri())

    def judged(text: str, status: Path | None = None) -> str:
        outside.fill("#offline-text", text)
        outside.set_input_files("#offline-list", str(status) if status else [])
        outside.click("button:has-text('核验')")
        outside.wait_for_selector("#offline-result h2")
        words = str(outside.inner_text("#offline-result"))
        outside.evaluate("document.getElementById('offline-result').replaceChildren()")
        return words

    text = proof.read_text()
    good = judged(text)
    assert "通过：签名有效" in good
    assert "已满 18 周岁\n是" in good
    assert "市公安局" in good
    assert "不能排除" in good
    assert "的状态列表：有效" in judged(text, lists[0])
    assert "已失效" in judged(text, lists[1])
    head, body, rest = text.split(".", 2)
    swapped = "A" if body[40] != "A" else "B"
    assert "被改动过" in judged(f"{head}.{body[:40]}{swapped}{body[41:]}.{rest}")
    assert "披露的内容不是签发时的内容" in judged(f"{text}WyJhIiwibmFtZSIsIuW8oCJd~")
    assert "不是完整的凭证" in judged("hello")
    look(outside, "offline-file")
    context.close()


def _annul(identifier: str) -> None:
    """What an officer's press does; the officer's page is walked in the other journey."""
    from lianyun.capabilities.licences import actions
    from lianyun.capabilities.licences.models import Licence
    from lianyun.kernel.access import SYSTEM

    row = Licence.objects.get(identifier=identifier)
    actions.end_licence(row, ending="annulled", reason="本人申请", by=SYSTEM)


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
