"""What happened reaches a citizen on a telephone; the bureau sees a mail that failed and sends it again."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Keep

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}


class Sink(Keep):
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def handle_message(self, message: Any) -> None:
        self.kept.append(message.get_payload(decode=True).decode())


@pytest.fixture(scope="module")
def citizen(city_database: None) -> Any:
    """Zhang, who can log in and be reached; and two officers of the bureau."""
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.adapters import MAIL_USE, PHONE_USE, seal
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for username, role in (("sjj.run", "bureau_operator"), ("sjj.look", "leader")):
        identity.create_account(
            department("sjj"), "王运营", username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    party = identity.party_of_number(PERSON, name="张三丰")
    party.data = {**party.data, "citizen_hash": identity.number_hash(PERSON)}
    party.save(update_fields=["data"])
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.phone_sealed = seal("13812345678", PHONE_USE)
    account.mail_sealed = seal("san@example.cn", MAIL_USE)
    account.save()
    user = User(username="zhangsanfeng", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    return party


def _look(tab: Any, accessible: Callable[[Any], None], name: str, size: dict[str, int]) -> None:
    accessible(tab)
    folder = os.environ.get("LIANYUN_PICTURES")
    for each in (DESK, PHONE) if folder else (size,):
        tab.set_viewport_size(each)
        assert fits(tab), name
        if folder:
            tab.screenshot(path=Path(folder) / f"{name}_{each['width']}.png", full_page=True)
    tab.set_viewport_size(size)


def test_a_citizen_hears_and_chooses_and_the_bureau_sends_again(
    citizen: Any, tab: Any, sign_in: Any, site: str, accessible: Any, settings: Any
) -> None:
    from django.utils import timezone
    from playwright.sync_api import expect

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.messages import actions
    from lianyun.kernel import case as cases
    from lianyun.kernel import event
    from lianyun.kernel.access import SYSTEM, Actor
    from lianyun.kernel.party import department

    # The police look into a register and send an application back; the mail server is away.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    ga = department("ga")
    officer = Actor(None, ga, everything=True)
    audit.record_reading(by=officer, resource="library.population", people=[PERSON], purpose="核验")
    audit.seal_calls()
    case = cases.open_case(
        "item_promised",
        title="货车通行证",
        subject="item:freight",
        applicant=citizen,
        department=ga,
        data={"item": "freight", "item_name": "货车通行证", "promised_days": 3},
        by=SYSTEM,
    )
    wanted = {"supplement": {"items": [{"material": "x", "name": "行驶证", "what": "副页"}]}}
    cases.step(case.items.get(), "supplement", note="缺副页", data=wanted, by=SYSTEM)
    event.record("application.sent_back", case, by=SYSTEM, case=case, data={"note": "缺行驶证副页"})
    event.seal()
    actions.take(by=SYSTEM)
    assert actions.tell_readings(timezone.localdate(), by=SYSTEM) == 1
    assert actions.send_due(by=SYSTEM)["failed"] == 1

    # On the telephone: the number in the header, the message, where it leads, what became of it.
    tab.set_viewport_size(PHONE)
    sign_in(tab, "zhangsanfeng", "/my/")
    home = tab.locator("section", has=tab.get_by_role("heading", name="消息"))
    expect(home).to_contain_text("需要补正材料")
    _look(tab, accessible, "messages_home", PHONE)
    header = tab.get_by_role("link", name="消息 2 条未读")
    expect(header).to_be_visible()
    header.click()
    expect(tab.locator("h1")).to_have_text("消息")
    _look(tab, accessible, "messages_inbox", PHONE)
    tab.get_by_role("link", name="“货车通行证”需要补正材料").click()
    main = tab.locator("main")
    expect(main).to_contain_text("缺行驶证副页")
    expect(main).to_contain_text("模拟数据：未真正发送")
    expect(main).to_contain_text("待重试")
    _look(tab, accessible, "messages_message", PHONE)
    tab.get_by_role("link", name="返回消息").click()
    tab.get_by_role("link", name="1 次对您数据的查询").click()
    expect(main).to_contain_text("共 1 次")
    tab.get_by_role("link", name="查看详情").click()
    expect(tab.locator("main")).to_contain_text("核验")
    tab.goto(f"{site}/my/messages/settings/")
    _look(tab, accessible, "messages_settings", PHONE)
    assert tab.locator("input[value='case_returned:sms']").is_disabled()
    tab.uncheck("input[value='data_read:inbox']")
    tab.check("input[value='data_read:mail']")
    tab.get_by_role("button", name="保存").click()
    expect(tab.get_by_text("已保存，改动 2 项")).to_be_visible()
    assert tab.locator("input[value='data_read:mail']").is_checked()
    assert not tab.locator("input[value='data_read:inbox']").is_checked()

    # The bureau: who only looks sees no button; the operator sends again, and it arrives.
    tab.set_viewport_size(DESK)
    sign_in(tab, "sjj.look", "/workbench/messages/")
    expect(tab.locator("main")).to_contain_text("按类别")
    assert tab.get_by_role("button", name="重新发送").count() == 0
    sign_in(tab, "sjj.run", "/workbench/messages/?how=failed")
    expect(tab.locator("main")).to_contain_text("邮件暂时发不出去")
    assert "张三丰" not in tab.locator("main").inner_text()
    _look(tab, accessible, "messages_desk", DESK)
    tab.check("input[name=pick]")
    tab.get_by_role("button", name="重新发送").click()
    expect(tab.get_by_text("1 条已重新排队")).to_be_visible()
    sink = Sink()
    server = Controller(sink, hostname="127.0.0.1", port=port)
    server.start()
    try:
        assert actions.send_due(by=SYSTEM) == {"sent": 1}
    finally:
        server.stop()
    (body,) = sink.kept
    assert "“货车通行证”需要补正材料" in body
    for secret in ("张三丰", PERSON, "副页"):
        assert secret not in body
    tab.goto(f"{site}/workbench/messages/?how=sent")
    expect(tab.locator("main")).to_contain_text("s***@example.cn")
