"""A residence permit is about to end: renewed on a phone in one sitting, same number, in the wallet at once."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from lianyun.capabilities.hall.tests.conftest import PERSON, fill, person
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
NUMBER, ADDRESS = "320700JZ2025000001", "海州区郁洲路 8 号 2 幢 301 室"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def city(city_database: None, own_lake: None) -> None:
    """Zhang, registered as living here, with a permit that ends in ten days."""
    from django.utils import timezone

    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.access import SYSTEM

    if items.find("residence_permit_renewal") is None:
        items.sync_declared(by=SYSTEM)
    today = timezone.localdate()
    fill(
        "trusted",
        "ga_floating",
        {
            "citizen_number": PERSON, "name": "张三丰", "residence_address": ADDRESS,
            "update_time": "2026-11-02 08:00:00", "_batch": "b1", "_line": "1",
            "_loaded_at": "2026-11-02 08:00:00",
        },
    )  # fmt: skip
    actor = person(PERSON, "张三丰")
    user = User(username="zhang", party=actor.party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    begins = today - dt.timedelta(days=355)
    licences.issue(
        "residence_permit",
        actor.party,
        {
            "name": "张三丰", "citizen_number": PERSON, "licence_number": NUMBER,
            "residence_address": ADDRESS, "issued_on": begins, "valid_from": begins,
            "valid_to": today + dt.timedelta(days=10),
        },
        once="permit-of-zhang",
        by=SYSTEM,
    )  # fmt: skip


def _look(tab: Any, accessible: Callable[[Any], None], name: str) -> None:
    """Whole on a phone and on a desk, readable by all; pictures where a folder is named."""
    folder = os.environ.get("LIANYUN_PICTURES")
    for size, word in ((DESK, "1280"), (PHONE, "375")):
        tab.set_viewport_size(size)
        assert fits(tab), f"{tab.url} scrolls sideways at {word}"
        if folder:
            tab.screenshot(path=f"{folder}/residence-{name}-{word}.png", full_page=True)
    accessible(tab)


def _press(tab: Any, name: str) -> None:
    with tab.expect_navigation():
        tab.locator("main").get_by_role("button", name=name, exact=True).first.click()


def test_a_permit_is_renewed_from_application_to_wallet(
    city: None, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from django.utils import timezone

    from lianyun.capabilities.desk import actions as desk
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.licences.models import Licence
    from lianyun.kernel.models import Event

    tab.set_viewport_size(PHONE)
    sign_in(tab, "zhang", "/my/cases/apply/residence_permit_renewal/")
    _press(tab, "下一步")
    _press(tab, "全部同意，继续")
    # The permit fills the form in: nothing of it is typed.
    tab.fill("input[name=phone]", "13812345678")
    _press(tab, "保存并继续")
    expect(tab.locator("main")).to_contain_text(NUMBER)
    expect(tab.locator("main")).to_contain_text(ADDRESS)
    tab.check("input[name=still_there][value=yes]")
    _look(tab, accessible, "form")
    _press(tab, "保存并继续")
    tab.check("input[name=truth]")
    tab.fill("input[name=signed]", "张三丰")
    _press(tab, "保存并继续")
    row = Application.objects.get()
    tab.goto(f"{site}/my/cases/{row.code}/materials/")
    for material in ("residence_permit", "still_here"):
        expect(tab.locator(f"#m-{material}")).to_contain_text("免提交")
    tab.get_by_role("link", name="下一步：核对并提交").click()
    tab.check("#true")
    _press(tab, "提交申请")
    row.refresh_from_db()
    assert row.case is not None
    desk.on_case_decided(Event.objects.get(subject=row.case.ref, kind="case.decided"))

    tab.goto(f"{site}/my/cases/{row.code}/")
    expect(tab.locator("main")).to_contain_text("准予")
    _look(tab, accessible, "result")
    tab.goto(f"{site}/my/licences/")
    expect(tab.locator(".wallet li")).to_have_count(1)
    old, new = Licence.objects.order_by("id")
    end = timezone.localdate() + dt.timedelta(days=10 + 365)
    assert (new.number, new.replaces, new.ends_on, new.begins_on) == (
        NUMBER, old, end, old.begins_on,
    )  # fmt: skip
    assert old.ending == "replaced"
    row.refresh_from_db()
    assert row.result == new.identifier
    tab.goto(f"{site}/my/licences/{new.identifier}/")
    expect(tab.locator("main")).to_contain_text(NUMBER)
    expect(tab.locator("main")).to_contain_text(f"{end.year}年{end.month:02d}月{end.day:02d}日")
    _look(tab, accessible, "wallet")
