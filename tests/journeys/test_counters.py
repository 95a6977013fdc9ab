"""A morning in the hall: an appointment on the phone, a number at the kiosk, the clerk, the screen, the rating."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
NUMBER = "320703199003070016"
ITEM = "freight_permit"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
OFFICERS = (
    ("zwb", "周窗口", "zwb.window", "window_clerk"),
    ("zwb", "郑大厅", "zwb.hall", "hall_manager"),
)


@pytest.fixture(scope="module")
def hall(city_database: None) -> Any:
    """The city's hall, open at whatever hour the test runs; a citizen, a clerk, a manager."""
    from django.utils import timezone

    from lianyun.capabilities.counters.models import Hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.items import api as items
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in OFFICERS:
        identity.create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    if items.find(ITEM) is None:
        items.sync_declared(by=SYSTEM)
    party = identity.party_of_number(NUMBER, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    user = User(username="zhangsanfeng", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    Hall.objects.filter(code="city").update(days="daily", hours=[["00:00", "24:00"]])
    return Hall.objects.get(code="city")


def _look(tab: Any, accessible: Callable[[Any], None]) -> None:
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size(DESK)


def test_a_morning_in_the_hall(
    site: str, hall: Any, tab: Any, chromium: Any, sign_in: Any, accessible: Any
) -> None:
    from django.utils import timezone
    from playwright.sync_api import expect

    from lianyun.capabilities.counters import api as counters
    from lianyun.capabilities.counters.models import Booking
    from lianyun.capabilities.ratings.models import Rating
    from lianyun.kernel.access import ANONYMOUS

    # The citizen books on the phone.
    tab.set_viewport_size(PHONE)
    sign_in(tab, "zhangsanfeng", f"/my/appointments/new/{ITEM}/?hall=city")
    day = timezone.localdate() + dt.timedelta(days=2)
    tab.click(f"a[href$='day={day.isoformat()}']")
    tab.wait_for_selector(f"a[aria-current=date][href$='day={day.isoformat()}']")
    assert fits(tab)
    tab.check("input[name=begin][value='600']")
    accessible(tab)
    tab.click("button:has-text('确认预约')")
    code = tab.locator("p.code").inner_text()
    assert fits(tab)
    _look(tab, accessible)
    booking = Booking.objects.get(code=code)

    # The manager registers a terminal; it is enrolled with its one-time code.
    sign_in(tab, "zwb.hall", "/workbench/counters/halls/city/devices/")
    tab.fill("#id_name", "东门 1 号机")
    tab.fill("#id_street", "花果山大道 17 号大厅东门")
    tab.click("button:has-text('登记，生成注册码')")
    one_time = tab.locator("#device-code").inner_text()
    _look(tab, accessible)
    terminal = chromium.new_context(locale="zh-CN", viewport={"width": 1080, "height": 1920})
    kiosk = terminal.new_page()
    kiosk.goto(f"{site}/kiosk/")
    kiosk.fill("#code", one_time)
    kiosk.keyboard.press("Enter")
    kiosk.wait_for_selector("h1:has-text('您要办什么')")
    accessible(kiosk)
    # By keyboard alone: to the tile, through the group, to the queue.
    kiosk.locator("a:has-text('取号')").focus()
    kiosk.keyboard.press("Enter")
    kiosk.wait_for_selector("button.k-queue")
    accessible(kiosk)
    kiosk.locator("button.k-queue[value=B]").focus()
    kiosk.keyboard.press("Enter")
    kiosk.wait_for_selector(".slip .label:has-text('B001')")
    accessible(kiosk)
    kiosk.goto(f"{site}/kiosk/items/{ITEM}/")
    while kiosk.locator("article.k-notice").count() == 0:
        kiosk.locator("button.k-queue").first.click()
        kiosk.wait_for_load_state()
    accessible(kiosk)
    kiosk.goto(f"{site}/kiosk/verify/")
    kiosk.fill("#code", "0" * 32)
    kiosk.keyboard.press("Enter")
    kiosk.wait_for_selector("text=没有查到这本证照")
    kiosk.click("button:has-text('结束')")
    kiosk.wait_for_selector("h1:has-text('您要办什么')")
    # Left half-way: after a minute the terminal warns, then forgets and begins anew.
    kiosk.clock.install()
    kiosk.goto(f"{site}/kiosk/progress/")
    kiosk.fill("#code", "20260101000001")
    kiosk.clock.fast_forward(50_000)
    expect(kiosk.locator("#idle")).to_be_visible()
    kiosk.clock.fast_forward(15_000)
    kiosk.wait_for_selector("h1:has-text('您要办什么')")
    # Whoever comes to the kiosk by the back button finds nothing of the last visit.
    assert kiosk.goto(f"{site}/kiosk/verify/").headers["cache-control"] == "no-store"
    assert kiosk.locator("text=没有查到这本证照").count() == 0

    # The appointment's day has come (as the clerk at the door sees it), the screen hangs on the wall.
    arrived = counters.check_in(
        code, hall, at=booking.slot.starts, device=hall.devices.get(), by=ANONYMOUS
    )
    type(arrived).objects.filter(pk=arrived.pk).update(
        day=timezone.localdate(), place_at=timezone.now(), number=2
    )
    wall = chromium.new_context(locale="zh-CN", viewport={"width": 1920, "height": 1080})
    screen = wall.new_page()
    screen.goto(f"{site}/halls/city/screen/")
    screen.wait_for_selector("#queues li:has-text('公安业务') em:has-text('2 人')")
    accessible(screen)

    # The clerk signs on and calls: the appointment first.
    counter = hall.counters.get(number=4)
    sign_in(tab, "zwb.window", f"/workbench/counters/seat/{counter.pk}/")
    tab.click("button:has-text('上岗')")
    tab.click("button:has-text('叫下一个')")
    tab.wait_for_selector("#held:has-text('B002')")
    _look(tab, accessible)
    expect(screen.locator("#latest .ticket")).to_have_text("B002")
    expect(screen.locator("#latest .to")).to_contain_text("4 号窗口")
    assert "张" not in screen.locator("main").inner_text()
    # The line is lost: the screen says so, and finds its way back.
    wall.set_offline(True)
    expect(screen.locator("#lost")).to_contain_text("连接中断", timeout=10_000)
    wall.set_offline(False)
    expect(screen.locator("#lost")).to_be_hidden(timeout=10_000)

    # The visitor follows it on the phone, the clerk opens an application for him.
    phone = chromium.new_context(locale="zh-CN", viewport=PHONE)
    slip = phone.new_page()
    slip.goto(f"{site}/tickets/{arrived.code}/")
    slip.wait_for_selector("text=请到 4 号窗口")
    assert fits(slip)
    accessible(slip)
    tab.click("button:has-text('来了，开始办理')")
    tab.click("a:has-text('为来访人申请事项')")
    for fieldset in tab.locator("fieldset").all():
        fieldset.locator("input[type=radio]").first.check()
    tab.fill("#id_name", "张三丰")
    tab.fill("#id_number", NUMBER)
    tab.check("#id_seen")
    _look(tab, accessible)
    tab.click("button:has-text('开始，由本人确认')")
    tab.wait_for_selector("h1:has-text('本人确认')")

    # Done: the code to rate with is on both pages; it works once.
    tab.goto(f"{site}/workbench/counters/")
    tab.wait_for_selector("a:has-text('继续办理这份申请')")
    tab.click("button:has-text('办结')")
    tab.wait_for_selector("img[alt='评价码二维码']")
    accessible(tab)
    slip.click("a:has-text('评价这次服务')")
    slip.check("input[name=level][value='1']")
    slip.click("button:has-text('提交评价')")
    slip.wait_for_selector("text=谢谢您的评价")
    assert Rating.objects.get().window.endswith("4 号窗口")

    # The next number, and the figures of the day.
    tab.click("button:has-text('叫下一个')")
    tab.wait_for_selector("#held:has-text('B001')")
    sign_in(tab, "zwb.hall", "/workbench/counters/halls/city/figures/")
    tab.wait_for_selector("text=各窗口办理时间")
    _look(tab, accessible)
    for context in (terminal, wall, phone):
        context.close()


@pytest.mark.slow
def test_a_closed_day_is_told_and_booked_anew(
    site: str, hall: Any, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from django.utils import timezone
    from playwright.sync_api import expect

    from lianyun.capabilities.counters import api as counters
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import actor_of

    day = timezone.localdate() + dt.timedelta(days=2)
    person = identity.party_of_number(NUMBER)
    made = counters.book(hall, ITEM, day, 600, person=person, by=actor_of(person))
    sign_in(tab, "zwb.hall", "/workbench/counters/halls/city/closing/")
    tab.fill("#id_day", day.isoformat())
    tab.fill("#id_reason", "政务网割接")
    tab.click("button:has-text('看看影响多少预约')")
    expect(tab.locator("main")).to_contain_text("这一天有 1 个预约会受影响")
    _look(tab, accessible)
    tab.click("button:has-text('确定停办')")
    expect(tab.locator("main")).to_contain_text("0 个预约改期，1 个取消")
    _look(tab, accessible)

    tab.set_viewport_size(PHONE)
    sign_in(tab, "zhangsanfeng", f"/my/appointments/{made.code}/")
    expect(tab.locator("main")).to_contain_text("政务网割接")
    offered = tab.locator("button[name=slot]")
    expect(offered).to_have_count(3)
    _look(tab, accessible)
    words = offered.nth(1).inner_text()
    offered.nth(1).click()
    expect(tab.locator(".lede")).to_contain_text(words)
    made.refresh_from_db()
    assert made.successor is not None
    tab.goto(f"{site}/my/appointments/{made.code}/")
    expect(tab.locator("main")).to_contain_text("查看新的预约")
