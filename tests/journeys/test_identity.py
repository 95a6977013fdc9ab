"""Who one is: a citizen registers on a phone and is proven; the clerk enters with two factors."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lianyun.project.testing import create_database, drop_database, fits

PASSWORD = "Haizhou-2026"
PERSON, CHILD, STRANGER = "320703199003070016", "320703201801010018", "320703198811110034"
FIRM = "91110000600037341L"
SECOND_FIRM, WARD, NEW_NUMBER = "91320700MA1XYH0R2B", "320703201506010015", "320703198811110050"
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[None]:
    """A population of three, a firm, and three officers; strict as a real city is."""
    import secrets

    from django.db import transaction
    from django.test import override_settings

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    name = f"lake_{secrets.token_hex(6)}"
    catalogue = create_database(name)
    folder = str(tmp_path_factory.mktemp("lake"))
    with override_settings(LAKE_CATALOGUE_URL=catalogue, LAKE=folder, ACCESS_POLICY="standard"):
        for slug, who, username, role in (
            ("zwb", "何窗口", "id.clerk", "counter_clerk"),
            ("zwb", "蒋窗口", "id.clerk2", "counter_clerk"),
            ("sjj", "周系统", "id.system", "system_admin"),
            ("sjj", "冯安全", "id.secure", "security_admin"),
        ):
            create_account(
                department(slug), who, username, [role],
                password=PASSWORD, must_change=False, by=SYSTEM,
            )  # fmt: skip
        with transaction.atomic():
            sync_declared(by=SYSTEM)
            libraries.sync_libraries(by=SYSTEM)
        household = {"household_number": "H1", "update_time": "2025-01-01"}
        _fill(
            "ga_residents",
            {"citizen_number": PERSON, "name": "张三丰", **household},
            {"citizen_number": CHILD, "name": "张小宝", **household},
            {"citizen_number": STRANGER, "name": "李四", "household_number": "H2"},
            {"citizen_number": WARD, "name": "李小明", "household_number": "H3"},
        )
        _fill(
            "scjg_enterprises",
            {"credit_code": FIRM, "entity_name": "甲公司", "legal_representative": "张三丰"},
            {
                "credit_code": SECOND_FIRM,
                "entity_name": "乙公司",
                "legal_representative": "李四",
                "legal_rep_number": STRANGER,
            },
        )
        for library in ("population", "legal_entity"):
            libraries.build_library(name=library, by=SYSTEM)
        yield
    drop_database(name)


def _fill(dataset: str, *rows: dict[str, Any]) -> None:
    from lianyun.capabilities.catalogue.api import items_of, resource_of
    from lianyun.capabilities.collection import api as collection
    from lianyun.lake.shelves import Column, ensure_table

    with collection.lake().connect() as con:
        names = [i.name for i in items_of(resource_of(dataset))]
        typed = [Column(n, "TIMESTAMP" if n == "update_time" else "VARCHAR") for n in names]
        system = [Column("_batch"), Column("_line", "BIGINT"), Column("_loaded_at", "TIMESTAMP")]
        ensure_table(con, "trusted", dataset, [*typed, *system])
        for line, row in enumerate(rows, 1):
            full = {**row, "_batch": "b1", "_line": line, "_loaded_at": "2026-11-01 08:00:00"}
            marks = ", ".join("?" for _ in full)
            con.execute(
                f"INSERT INTO lake.trusted.{dataset} ({', '.join(full)}) VALUES ({marks})",
                list(full.values()),
            )


def picture(tab: Any, name: str) -> None:
    """Keep what the page looks like, where LIANYUN_PICTURES says."""
    folder = os.environ.get("LIANYUN_PICTURES")
    if folder:
        tab.screenshot(path=f"{folder}/{name}.png", full_page=True)


def press(tab: Any, name: str) -> None:
    """Press a button of the page's body and wait for the page that follows."""
    with tab.expect_navigation():
        tab.locator("main").get_by_role("button", name=name, exact=True).first.click()


def authenticator(secret: str, ahead: int = 0) -> str:
    """What a telephone's authenticator shows for a secret typed by hand."""
    import base64

    from lianyun.capabilities.identity import rules

    plain = secret.replace(" ", "")
    key = base64.b32decode(plain + "=" * (-len(plain) % 8))
    return rules.totp(key, int(time.time() // rules.STEP_SECONDS) + ahead)


def test_a_citizen_is_proven_by_a_clerk_with_two_factors(
    city: None, site: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    from playwright.sync_api import expect

    home = site.replace("127.0.0.1", "localhost")

    def look(page: Any, name: str) -> None:
        accessible(page)
        for size, word in ((PHONE, "375"), ({"width": 1280, "height": 900}, "1280")):
            page.set_viewport_size(size)
            assert fits(page), f"{page.url} scrolls sideways at {word}"
            picture(page, f"{name}-{word}")

    # On a phone: telephone, code, name and number; then the library.
    citizen = tab.context.browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    citizen.goto(f"{home}/register/")
    look(citizen, "register-1")
    citizen.fill("#id_phone", "13812345678")
    press(citizen, "获取验证码")
    code = re.search(r"验证码 (\d{6})", citizen.locator("#text").inner_text())
    assert code is not None
    look(citizen, "register-2")
    for field, text in (
        ("code", code.group(1)),
        ("name", "张三丰"),
        ("number", PERSON),
        ("password", PASSWORD),
    ):
        citizen.fill(f"#id_{field}", text)
    citizen.check("#id_agreed")
    press(citizen, "开通账号")
    assert citizen.url == f"{home}/my/identity/"
    press(citizen, "与人口库核对姓名和号码")
    assert "两要素核验通过" in citizen.content()
    citizen.goto(f"{home}/my/identity/face/")
    look(citizen, "face")
    citizen.goto(f"{home}/my/identity/")
    press(citizen, "到窗口核验：生成到窗码")
    visit = citizen.locator("#visit").inner_text()
    look(citizen, "mine")
    assert PERSON not in citizen.content()

    # The clerk must register a factor before anything else: an authenticator, then a key.
    tab.goto(f"{home}/login/?next=/workbench/counter/identity/")
    look(tab, "login")
    tab.fill("#id_username", "id.clerk")
    tab.fill("#id_password", PASSWORD)
    press(tab, "登 录")
    assert tab.url == f"{home}/workbench/account/factors/"
    look(tab, "factors-none")
    tab.goto(f"{home}/workbench/account/factors/totp/")
    look(tab, "totp")
    tab.fill("#code", authenticator(tab.locator("#secret").inner_text()))
    press(tab, "启用")
    assert tab.locator("#codes li").count() == 10
    look(tab, "codes")
    keys = tab.context.new_cdp_session(tab)
    keys.send("WebAuthn.enable")
    keys.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "usb",
                "hasUserVerification": False,
                "automaticPresenceSimulation": True,
            }
        },
    )
    tab.goto(f"{home}/workbench/account/factors/key/")
    look(tab, "key")
    tab.fill("#title", "工位上的密钥")
    press(tab, "开始登记")
    assert "工位上的密钥" in tab.locator("main").inner_text()
    look(tab, "factors")
    tab.context.clear_cookies()
    tab.goto(f"{home}/login/?next=/workbench/counter/identity/")
    tab.fill("#id_username", "id.clerk")
    tab.fill("#id_password", PASSWORD)
    press(tab, "登 录")
    look(tab, "second")
    press(tab, "使用安全密钥")
    assert tab.url == f"{home}/workbench/counter/identity/"

    # At the counter: the visitor's code, then what stands in the document.
    tab.fill("#code", visit)
    press(tab, "查找")
    assert PERSON not in tab.content()
    look(tab, "counter")
    tab.fill("#id_proof-name", "张三丰")
    tab.fill("#id_proof-number", PERSON)
    tab.check("#id_proof-seen")
    press(tab, "确认核验")
    assert "已通过实人核验" in tab.content()
    citizen.goto(f"{home}/my/identity/")
    assert "实人核验" in citizen.locator(".badge").first.inner_text()
    press(citizen, "生成到窗码（号码变更、法人和监护登记）")
    tab.fill("#code", citizen.locator("#visit").inner_text())
    press(tab, "查找")
    tab.fill("#id_entity-credit_code", FIRM)
    tab.check("#id_entity-seen")
    press(tab, "核对法人库并登记")
    assert "甲公司" in tab.content()

    # She acts for the firm, and for a child of her household.
    citizen.goto(f"{home}/my/agencies/")
    assert "甲公司" in citizen.locator("main").inner_text()
    citizen.fill("#id_child-name", "李四")
    citizen.fill("#id_child-number", CHILD)
    with citizen.expect_navigation():
        citizen.locator("form", has=citizen.locator("#id_child-name")).get_by_role("button").click()
    assert "未能核验" in citizen.locator("main").inner_text()
    citizen.fill("#id_child-name", "张小宝")
    citizen.fill("#id_child-number", CHILD)
    with citizen.expect_navigation():
        citizen.locator("form", has=citizen.locator("#id_child-name")).get_by_role("button").click()
    assert "张小宝" in citizen.locator("main").inner_text()
    look(citizen, "agencies")

    # In the firm's name: chosen once, seen on every page, given up again.
    citizen.goto(f"{home}/my/acting/")
    citizen.locator("main li", has_text="甲公司").get_by_role("button").click()
    expect(citizen.locator(".behalf")).to_contain_text("正以 甲公司 的身份办理")
    look(citizen, "acting")
    citizen.locator(".behalf button").click()
    expect(citizen.locator(".behalf")).to_have_count(0)

    # A certificate for a key of her browser, issued at the counter, proves her anew.
    citizen.goto(f"{home}/my/identity/certificate/")
    press(citizen, "在这台设备上申请")
    press(citizen, "生成到窗码")
    look(citizen, "certificate-waiting")
    tab.fill("#code", citizen.locator("#visit").inner_text())
    press(tab, "查找")
    look(tab, "counter-proven")
    tab.fill("#id_certificate-words", citizen.locator("#words").inner_text())
    tab.check("#id_certificate-seen")
    press(tab, "核对并签发")
    assert "数字证书已签发" in tab.content()
    citizen.reload()
    press(citizen, "用这台设备的证书签名")
    expect(citizen.locator("main")).to_contain_text("当前为数字证书等级")
    look(citizen, "certificate")
    citizen.goto(f"{home}/my/identity/mail/")
    look(citizen, "mail")
    citizen.goto(f"{home}/my/identity/")
    look(citizen, "mine-proven")
    citizen.goto(f"{home}/workbench/account/")
    look(citizen, "account-citizen")
    citizen.context.close()

    # The administrators, each with what is his; they enter by a recovery code.
    for username, path, name in (
        ("id.system", "/workbench/accounts/id.clerk/", "detail"),
        ("id.secure", "/workbench/security/accounts/", "secure"),
    ):
        spare = with_a_factor(username)
        tab.context.clear_cookies()
        tab.goto(f"{home}/login/?next={path}")
        tab.fill("#id_username", username)
        tab.fill("#id_password", PASSWORD)
        press(tab, "登 录")
        tab.click("main summary")
        tab.fill("#recovery", spare)
        press(tab, "使用恢复码")
        assert tab.url == f"{home}{path}"
        look(tab, name)


@pytest.mark.slow
def test_what_changes_in_a_life(
    city: None, site: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    """Two accounts become one, a firm comes and goes, the number changes, a ward, the account's end."""
    from playwright.sync_api import expect

    from lianyun.capabilities.identity import actions
    from lianyun.kernel.access import ANONYMOUS, actor_of
    from lianyun.kernel.party import Party

    home = site.replace("127.0.0.1", "localhost")

    def look(page: Any, name: str) -> None:
        accessible(page)
        for size, word in ((PHONE, "375"), ({"width": 1280, "height": 900}, "1280")):
            page.set_viewport_size(size)
            assert fits(page), f"{page.url} scrolls sideways at {word}"
            picture(page, f"{name}-{word}")

    def enter(page: Any, username: str, path: str = "/my/identity/") -> None:
        page.context.clear_cookies()
        page.goto(f"{home}/login/?next={path}")
        page.fill("#id_username", username)
        page.fill("#id_password", PASSWORD)
        press(page, "登 录")

    def at_the_counter() -> None:
        """The citizen's code, typed by the clerk."""
        citizen.goto(f"{home}/my/identity/")
        citizen.locator("main").get_by_role("button", name=re.compile("生成到窗码")).first.click()
        code = citizen.locator("#visit").inner_text()
        tab.goto(f"{home}/workbench/counter/identity/")
        tab.fill("#code", code)
        press(tab, "查找")

    def submit(page: Any, field: str) -> None:
        with page.expect_navigation():
            page.locator("form", has=page.locator(field)).get_by_role("button").first.click()

    # She registered long ago with a telephone that she has lost, and was proven then.
    spare = with_a_factor("id.clerk2")
    clerk = actor_of(Party.objects.get(account__username="id.clerk2"))
    old = actions.register(
        "13900000011", "李四", STRANGER, PASSWORD, address="10.2.2.2", by=ANONYMOUS
    )
    assert old.party is not None
    visit = actions.go_to_counter(by=actor_of(old.party))
    actions.confirm_at_counter(visit.code, "李四", STRANGER, "居民身份证", True, by=clerk)

    # With a new telephone she opens another account; the counter finds that both are hers.
    actions.register("13900000012", "李四", STRANGER, PASSWORD, address="10.2.2.2", by=ANONYMOUS)
    citizen = tab.context.browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    enter(citizen, "13900000012")
    tab.goto(f"{home}/login/?next=/workbench/counter/identity/")
    tab.fill("#id_username", "id.clerk2")
    tab.fill("#id_password", PASSWORD)
    press(tab, "登 录")
    tab.click("main summary")
    tab.fill("#recovery", spare)
    press(tab, "使用恢复码")
    at_the_counter()
    tab.fill("#id_proof-name", "李四")
    tab.fill("#id_proof-number", STRANGER)
    tab.check("#id_proof-seen")
    press(tab, "确认核验")
    expect(tab.locator("body")).to_contain_text("已通过实人核验")
    expect(tab.locator("body")).to_contain_text("另有账号，已合并")
    citizen.reload()
    assert "/login/" in citizen.url
    enter(citizen, "13900000012")
    expect(citizen.locator("main")).to_contain_text("已核验")
    enter_old = citizen.context.browser.new_context(locale="zh-CN").new_page()
    enter(enter_old, "13900000011")
    expect(enter_old.locator("main")).to_contain_text("不正确")
    enter_old.context.close()

    # Her firm, by the register's number; then the firm enters, in her person.
    citizen.goto(f"{home}/my/agencies/")
    # Online a name proves nobody: this firm's register holds no number.
    citizen.fill("#id_firm-credit_code", FIRM)
    submit(citizen, "#id_firm-credit_code")
    expect(citizen.locator("main")).to_contain_text("没有表明您是这家单位的法定代表人")
    citizen.fill("#id_firm-credit_code", SECOND_FIRM)
    submit(citizen, "#id_firm-credit_code")
    expect(citizen.locator("main")).to_contain_text("登记机关的身份号码与本人一致")
    look(citizen, "agencies-firm")
    citizen.context.clear_cookies()
    citizen.goto(f"{home}/login/")
    citizen.click("main >> text=法人登录")
    expect(citizen.locator("main h2").first).to_have_text("法人登录")
    look(citizen, "login-entity")
    citizen.fill("#id_username", "13900000012")
    citizen.fill("#id_password", PASSWORD)
    press(citizen, "登 录")
    look(citizen, "acting-entity")
    citizen.locator("main li", has_text="乙公司").get_by_role("button").click()
    expect(citizen.locator(".behalf")).to_contain_text("正以 乙公司 的身份办理")
    citizen.locator(".behalf button").click()
    expect(citizen.locator(".behalf")).to_have_count(0)

    # A ward by the committee's paper, ended by another; her number, changed by the police.
    at_the_counter()
    tab.fill("#id_guardian-name", "李小明")
    tab.fill("#id_guardian-number", WARD)
    tab.select_option("#id_guardian-ground", "committee")
    tab.fill("#id_guardian-paper", "新东街道指定监护书〔2026〕3号")
    tab.check("#id_guardian-seen")
    look(tab, "counter-all")
    submit(tab, "#id_guardian-name")
    expect(tab.locator("body")).to_contain_text("已登记监护关系")
    at_the_counter()
    tab.locator("#id_end-agency").select_option(label="李小明（监护人）")
    tab.fill("#id_end-paper", "撤销监护决定〔2026〕1号")
    tab.check("#id_end-seen")
    submit(tab, "#id_end-paper")
    expect(tab.locator("body")).to_contain_text("代理关系已终止")
    at_the_counter()
    tab.fill("#id_number-number", NEW_NUMBER)
    tab.fill("#id_number-basis", "连公户更〔2026〕1号")
    tab.check("#id_number-seen")
    submit(tab, "#id_number-basis")
    expect(tab.locator("body")).to_contain_text("公民身份号码已变更")
    enter(citizen, NEW_NUMBER)
    expect(citizen.locator("main")).to_contain_text("320***********0050")

    # She lays the firm down, looks at her devices, and closes the account: until the day she may return.
    citizen.goto(f"{home}/my/agencies/")
    citizen.locator("main li", has_text="乙公司").get_by_role("button").click()
    citizen.click("dialog[open] button[value=yes]")
    expect(citizen.locator("body")).to_contain_text("代理关系已终止")
    expect(citizen.locator("main")).to_contain_text("还没有代办关系")
    citizen.goto(f"{home}/workbench/account/")
    expect(citizen.locator("main")).to_contain_text("用过的设备")
    look(citizen, "account-devices")
    citizen.goto(f"{home}/login/forgotten/")
    look(citizen, "forgotten")
    citizen.goto(f"{home}/my/identity/")
    citizen.click("main summary:has-text('注销账号')")
    citizen.fill("#pw", PASSWORD)
    citizen.locator("main button[value=erase]").click()
    citizen.click("dialog[open] button[value=yes]")
    expect(citizen.locator("body")).to_contain_text("已受理注销")
    enter(citizen, NEW_NUMBER)
    expect(citizen.locator("main")).to_contain_text("已申请注销")
    look(citizen, "mine-erasing")
    press(citizen, "撤回注销")
    expect(citizen.locator("body")).to_contain_text("注销申请已撤回")
    citizen.context.close()


def with_a_factor(username: str) -> str:
    """Register an authenticator for an officer; one of the recovery codes."""
    from lianyun.capabilities.identity import actions, queries, rules
    from lianyun.kernel.access import ANONYMOUS, actor_of

    user = queries.user_named(username)
    assert user is not None
    assert user.party is not None
    by = actor_of(user.party)
    secret = actions.begin_totp(user, by=by)
    code = rules.totp(secret, int(time.time() // rules.STEP_SECONDS))
    codes = actions.confirm_totp(user, code, "手机", by=by)
    assert not queries.second_kinds(by, user), "only a visitor is asked for the second step"
    assert queries.second_kinds(ANONYMOUS, user)
    return codes[0]


def test_what_the_library_says_is_told_to_nobody_else(city: None) -> None:
    """No such number, another's name, a number that is somebody's: one answer, few tries."""
    from lianyun.capabilities.audit.models import CallRecord
    from lianyun.capabilities.identity import actions, api, rules
    from lianyun.kernel.access import ANONYMOUS, UserError, actor_of

    def enter(phone: str, name: str, number: str) -> Any:
        user = actions.register(phone, name, number, PASSWORD, address="10.1.1.1", by=ANONYMOUS)
        assert user.party is not None
        return actor_of(user.party)

    right = enter("13700000001", "李四", STRANGER)
    assert actions.prove_elements(by=right) is True
    assert api.level_of(right) == rules.ELEMENTS
    said = {
        actions.prove_elements(by=enter(phone, name, number))
        for phone, name, number in (
            ("13700000002", "王五", STRANGER),
            ("13700000003", "李四", STRANGER),
            ("13700000004", "王五", "110101199003070011"),
        )
    }
    assert said == {False}
    assert CallRecord.objects.filter(purpose__startswith="账号实名核验").exists(), (
        "the person sees who asked"
    )
    other = enter("13700000005", "王五", STRANGER)
    for _ in range(3):
        actions.try_proof(address="10.1.1.1", by=other)
    with pytest.raises(UserError, match="次数过多"):
        actions.try_proof(address="10.1.1.1", by=other)
