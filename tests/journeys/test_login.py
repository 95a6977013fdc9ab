"""One login: a person enters a department's own system with the city account, and everything ends with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demo import department_system, national_platform
from lianyun.project.testing import fits

PHONE = {"width": 375, "height": 812}


def test_a_persons_way_into_a_departments_system(
    site: str, tab: Any, accessible: Callable[[Any], None], tmp_path: Any, settings: Any
) -> None:
    from playwright.sync_api import expect

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.login import actions
    from lianyun.capabilities.login.models import Admission
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.event import Event
    from lianyun.kernel.party import department

    identity.create_account(
        department("sjj"), "平台运营", "sjj.ops", ["bureau_operator"],
        password="Haizhou-2026", must_change=False, by=SYSTEM,
    )  # fmt: skip
    identity.create_account(
        department("sjj"), "安全管理员", "sjj.secure", ["security_admin"],
        password="Haizhou-2026", must_change=False, by=SYSTEM,
    )  # fmt: skip
    told = {"issuer": site, "client_id": "", "secret": "", "port": 0}
    system = department_system.serve(told)

    # The bureau registers the system; the secret is shown once.
    def enter(path: str = "", username: str = "sjj.ops") -> None:
        if path:
            tab.goto(f"{site}{path}")
        tab.fill("#id_username", username)
        tab.fill("#id_password", "Haizhou-2026")
        tab.click("main button[type=submit]")

    enter("/workbench/login/systems/new/")
    expect(tab.locator("h1")).to_contain_text("登记系统")
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.screenshot(path=str(tmp_path / "new-375.png"), full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.fill("#id_name", "困难群众救助系统")
    tab.select_option("#id_department", label="连云港市民政局")
    tab.fill("#id_purpose", "办理临时救助")
    tab.fill("#id_redirect_uris", "http://relief.example/x")
    tab.click("main button[type=submit]")
    expect(tab.locator("main")).to_contain_text("地址须使用 https")
    tab.fill("#id_redirect_uris", f"{system.own}/callback")
    tab.fill("#id_logout_uris", system.own)
    tab.fill("#id_backchannel_uri", f"{system.own}/backchannel")
    tab.select_option("#id_level", "0")
    tab.fill("#id_why_profile", "称呼您")
    tab.click("main button[type=submit]")
    told["client_id"] = tab.locator("#client-id").inner_text()
    told["secret"] = tab.locator("#secret").inner_text()
    accessible(tab)

    # A person comes from the system, logs in at the city, is shown what goes where, and refuses.
    tab.context.clear_cookies()
    tab.goto(system.own)
    tab.click("#login")
    enter()
    expect(tab.locator("h1")).to_contain_text("用城市账号登录“困难群众救助系统”")
    accessible(tab)
    tab.screenshot(path=str(tmp_path / "consent-1280.png"), full_page=True)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.screenshot(path=str(tmp_path / "consent-375.png"), full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.click("button[value=refuse]")
    expect(tab.locator("#refused")).to_be_visible()
    tab.goto(system.own)
    tab.click("#login")
    tab.click("button[value=agree]")
    expect(tab.locator("#who")).to_have_text("您好，平台运营")

    # Withdrawn on 我的授权: the system is told and forgets the person.
    tab.goto(f"{site}/my/authorizations/")
    expect(tab.locator("main")).to_contain_text("已提供：姓名")
    accessible(tab)
    tab.screenshot(path=str(tmp_path / "mine-1280.png"), full_page=True)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.screenshot(path=str(tmp_path / "mine-375.png"), full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.click("main button.danger")
    tab.click("dialog button.danger, dialog button.primary")
    expect(tab.locator("main")).to_contain_text("还没有授权任何系统")
    actions.tell_logout(Event.objects.filter(kind="admission.ended").latest("id"))
    assert Admission.objects.latest("id").logout_told_at is not None
    tab.goto(system.own)
    expect(tab.locator("#login")).to_be_visible()
    tab.goto(f"{site}/workbench/login/directories/")
    accessible(tab)
    tab.screenshot(path=str(tmp_path / "directories-1280.png"), full_page=True)

    def look(name: str) -> None:
        accessible(tab)
        for size, word in ((PHONE, "375"), ({"width": 1280, "height": 900}, "1280")):
            tab.set_viewport_size(size)
            assert fits(tab), f"{tab.url} scrolls sideways at {word}"
            tab.screenshot(path=str(tmp_path / f"{name}-{word}.png"), full_page=True)

    # What the bureau sees of the system, and the security administrator of the keys.
    tab.goto(f"{site}/workbench/login/systems/{told['client_id']}/")
    expect(tab.locator("h1")).to_contain_text("困难群众救助系统")
    look("system")
    tab.context.clear_cookies()
    enter("/login/?next=/workbench/login/keys/", "sjj.secure")
    expect(tab.locator("main")).to_contain_text("正在签名")
    look("keys")

    # A person comes by the national platform's stand-in.
    platform = national_platform.serve(
        {
            "port": 0, "client_id": "city", "secret": "s3cret",
            "redirect_uri": f"{site}/login/national/back/",
            "people": [{"name": "张三丰", "number": "320703199003070016", "level": "LEVEL3"}],
        }
    )  # fmt: skip
    settings.NATIONAL_ISSUER = platform.issuer
    settings.NATIONAL_CLIENT_ID, settings.NATIONAL_CLIENT_SECRET = "city", "s3cret"
    tab.context.clear_cookies()
    tab.goto(f"{site}/login/")
    look("login-national")
    tab.get_by_role("link", name="用国家政务服务平台账号登录").click()
    expect(tab.locator("body")).to_contain_text("模拟数据")
    tab.click("#person-0")
    expect(tab.locator("main")).to_contain_text("模拟核验")
    platform.shutdown()
    platform.server_close()
    system.shutdown()
    system.server_close()
