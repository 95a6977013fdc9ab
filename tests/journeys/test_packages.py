"""A child is born: found in everyday words, asked once, filed once, carried on from desk to desk."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from lianyun.capabilities.packages.tests.conftest import NUMBER, fill_in, person, picture, pour
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def city(city_database: None, own_lake: None) -> None:
    """The father with a login, an approver of the police, a leader; the library is built."""
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    pour()
    user = User(
        username="zhang", party=person(NUMBER, "张三丰").party, password_set_at=timezone.now()
    )
    user.set_password(PASSWORD)
    user.save()
    for slug, who, username, role in (
        ("ga", "赵审查", "ga.check", "approver"),
        ("zwb", "钱领导", "zwb.leader", "leader"),
    ):
        identity.create_account(
            department(slug), who, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip


def _look(tab: Any, accessible: Callable[[Any], None], name: str) -> None:
    """Whole on a phone and on a desk, readable by all; pictures where a folder is named."""
    folder = os.environ.get("LIANYUN_PICTURES")
    for size, word in ((PHONE, "375"), (DESK, "1280")):
        tab.set_viewport_size(size)
        assert fits(tab), f"{tab.url} scrolls sideways at {word}"
        if folder:
            tab.screenshot(path=f"{folder}/packages-{name}-{word}.png", full_page=True)
    accessible(tab)


def test_a_child_is_born(
    site: str, city: None, tab: Any, sign_in: Any, accessible: Any, tmp_path: Any
) -> None:
    from lianyun.capabilities.packages import actions
    from lianyun.capabilities.packages.models import Filing
    from lianyun.kernel.access import actor_of
    from lianyun.kernel.models import Event

    tab.goto(f"{site}/hall/packages/?q=生娃")
    expect(tab.locator(".packs li").first).to_contain_text("新生儿出生一件事")
    tab.goto(f"{site}/hall/packages/")
    _look(tab, accessible, "list")
    tab.click("a:has-text('新生儿出生一件事') >> nth=0")
    tab.check("#insure-yes")
    tab.click("button:has-text('看看要办什么')")
    expect(tab.locator(".parts > li").nth(1)).to_contain_text("办成后自动开办")
    _look(tab, accessible, "package")

    sign_in(tab, "zhang", "/my/packages/apply/newborn/")
    for choice in ("follow-father", "married-yes", "insure-yes", "settled-hospital"):
        tab.check(f"#{choice}")
    tab.click("button:has-text('看看要办什么')")
    expect(tab.locator(".parts > li:has-text('生育医疗费用报销')")).to_contain_text("不用办")
    _look(tab, accessible, "apply")
    tab.click("button:has-text('下一步')")
    tab.wait_for_selector("h1:has-text('哪些内容可以由我们去查')")
    _look(tab, accessible, "consent")
    tab.click("button:has-text('全部同意')")
    tab.wait_for_url("**/forms/**")
    filing = Filing.objects.get()
    fill_in(filing, actor_of(filing.applicant))
    tab.goto(f"{site}/my/packages/{filing.code}/materials/")
    photo = tmp_path / "出生证.png"
    photo.write_bytes(picture(7))
    born = tab.locator("#m-birth_certificate")
    expect(born).to_contain_text("用于：新生儿出生登记（报户口）、")
    born.locator("input[type=file]").set_input_files(str(photo))
    born.locator("button:has-text('上传')").click()
    expect(tab.locator("#m-birth_certificate")).to_contain_text("已上传 1 个文件")
    tab.locator("#m-marriage_proof button:has-text('我承诺')").click()
    expect(tab.locator("#m-marriage_proof")).to_contain_text("撤回承诺")
    _look(tab, accessible, "materials")
    tab.click("a:has-text('下一步')")
    tab.wait_for_selector("h1:has-text('核对并提交')")
    _look(tab, accessible, "check")
    tab.check("#true")
    tab.click("button:has-text('一次提交')")
    tab.wait_for_selector("h2:has-text('各事项进展')")
    expect(tab.locator(".parts > li")).to_have_count(4)
    expect(tab.locator(".parts > li:has-text('医疗保险')")).to_contain_text("等待前面的事项")
    filing = Filing.objects.select_related("case").get()
    progress = tab.url

    sign_in(tab, "ga.check", "/workbench/desk/")
    tab.click("a:has-text('〔新生儿出生一件事〕')")
    tab.wait_for_selector("text=属于“新生儿出生一件事”套餐")
    tab.locator("main button:has-text('准予')").first.click()
    tab.wait_for_selector("text=结果：准予")
    tab.click("a:has-text('查看其他部门的进展')")
    expect(tab.locator(".parts > li")).to_have_count(4)
    assert NUMBER not in tab.content()
    assert "张三丰" not in tab.content()
    _look(tab, accessible, "officer")

    for event in Event.objects.filter(kind="case.closed", subject__startswith="case:"):
        actions.on_case_closed(event)  # what the worker does on hearing of it
    sign_in(tab, "zhang", progress.removeprefix(site))
    expect(tab.locator(".parts > li:has-text('医疗保险')")).to_contain_text("办理中")
    expect(tab.locator("section:has(h2:text('办理结果'))")).to_contain_text("新生儿出生登记")
    _look(tab, accessible, "progress")
    tab.goto(f"{site}/my/packages/")
    expect(tab.locator("main li:has-text('新生儿出生一件事')")).to_contain_text("1 个已有结果")
    _look(tab, accessible, "mine")

    sign_in(tab, "zwb.leader", "/workbench/packages/")
    tab.wait_for_selector(f"text={filing.case.code}")
    _look(tab, accessible, "report")


@pytest.mark.slow
def test_a_clerk_files_for_a_father_who_agrees_on_his_phone(
    site: str, city: None, tab: Any, chromium: Any, sign_in: Any, accessible: Any
) -> None:
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.packages.models import Filing
    from lianyun.capabilities.packages.tests.conftest import hand_in
    from lianyun.kernel.access import SYSTEM, actor_of
    from lianyun.kernel.party import department

    identity.create_account(
        department("zwb"), "王村帮", "cun.wang", ["village_clerk"],
        password=PASSWORD, must_change=False, by=SYSTEM,
    )  # fmt: skip
    tab.set_viewport_size(DESK)
    sign_in(tab, "cun.wang", "/workbench/packages/help/?q=生娃")
    _look(tab, accessible, "help")
    tab.click("a:has-text('新生儿出生一件事') >> nth=0")
    tab.fill("#id_name", "张三丰")
    tab.fill("#id_number", NUMBER)
    tab.check("#id_seen")
    tab.click("button:has-text('开始，由本人确认')")
    expect(tab.locator("main")).to_contain_text("请回答下面的问题")
    for choice in ("follow-father", "married-yes", "insure-yes", "settled-hospital"):
        tab.check(f"#{choice}")
    _look(tab, accessible, "help-apply")
    tab.click("button:has-text('开始，由本人确认')")
    expect(tab.locator("main")).to_contain_text("要本人同意的事项")
    _look(tab, accessible, "help-confirm")
    filing = Filing.objects.get(relation="helper")
    tab.goto(f"{site}/my/packages/{filing.code}/consent/")  # not before the person's word
    expect(tab.locator("h1")).to_have_text("本人确认")

    phone = chromium.new_context(locale="zh-CN", viewport=PHONE).new_page()
    sign_in(phone, "zhang", "/my/")
    phone.click("a:has-text('查看确认码')")
    digits = phone.locator("#digits").inner_text()
    _look(phone, accessible, "help-phone")
    phone.context.close()
    tab.fill("#digits", digits)
    tab.click("button:has-text('确认') >> nth=0")
    tab.wait_for_selector("h1:has-text('哪些内容可以由我们去查')")
    tab.click("button:has-text('全部同意')")
    tab.wait_for_url("**/forms/**")
    filing.refresh_from_db()
    clerk = actor_of(filing.by)
    fill_in(filing, clerk)
    tab.goto(f"{site}/my/packages/{filing.code}/materials/")
    hand_in(filing, clerk)
    tab.goto(f"{site}/my/packages/{filing.code}/check/")
    tab.check("#true")
    tab.click("button:has-text('一次提交')")
    expect(tab.locator("main")).to_contain_text("您帮办的套餐")
    expect(tab.locator("main")).to_contain_text("王村帮（帮办人员）")
    expect(tab.locator("main")).not_to_contain_text("查看电子证照")
    _look(tab, accessible, "helped")
