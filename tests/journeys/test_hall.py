"""A citizen on a phone: what the city knows is not asked for; filed once; sent back and supplemented."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lianyun.capabilities.hall.tests.conftest import PERSON, PLATE, STRANGER, give_licence, pour
from lianyun.project.testing import create_database, drop_database, fits

PASSWORD = "Haizhou-2026"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[None]:
    """Two citizens with logins; one holds a driving licence and a car; the library is built."""
    from django.test import override_settings
    from django.utils import timezone

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.hall.tests.conftest import person
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import SYSTEM

    name = f"lake_{secrets.token_hex(6)}"
    catalogue = create_database(name)
    folder = str(tmp_path_factory.mktemp("lake"))
    with override_settings(LAKE_CATALOGUE_URL=catalogue, LAKE=folder):
        pour()
        for number, who, username in ((PERSON, "张三丰", "zhang"), (STRANGER, "李四", "lisi")):
            actor = person(number, who)
            user = User(username=username, party=actor.party, password_set_at=timezone.now())
            user.set_password(PASSWORD)
            user.save()
            if number == PERSON:
                assert actor.party is not None
                audit.link_person(party=actor.party, citizen_number=number, by=SYSTEM)
                give_licence(actor)
        yield
    drop_database(name)


def test_what_the_city_knows_is_not_asked_for(
    city: None, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.hall.tests.test_applying import PNG, complete
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM, actor_of

    def look(name: str) -> None:
        accessible(tab)
        folder = os.environ.get("LIANYUN_PICTURES")
        for size, word in ((DESK, "1280"), (PHONE, "375")):
            tab.set_viewport_size(size)
            assert fits(tab), f"{tab.url} scrolls sideways at {word}"
            if folder:
                tab.screenshot(path=f"{folder}/hall-{name}-{word}.png", full_page=True)

    def press(name: str) -> None:
        with tab.expect_navigation():
            tab.locator("main").get_by_role("button", name=name, exact=True).first.click()

    tab.set_viewport_size(PHONE)
    sign_in(tab, "zhang", "/my/cases/apply/freight_permit/")
    for choice in ("vehicle-own", "route-ring", "goods-common"):
        tab.check(f"#{choice}")
    look("apply")
    press("下一步")
    assert tab.get_by_text("机动车登记").count()
    look("consent")
    press("全部同意，继续")
    assert "/forms/" in tab.url
    assert "来自 实名认证信息" in tab.content()
    row = Application.objects.get()
    citizen = actor_of(row.applicant)
    complete(row, citizen)  # the form's own pages have a story of their own
    tab.goto(f"{site}/my/cases/{row.code}/materials/")
    for material in ("driving_licence", "vehicle_licence"):
        assert "免提交" in tab.locator(f"#m-{material}").inner_text()
    look("materials")
    tab.get_by_role("link", name="下一步：核对并提交").click()
    look("check")
    tab.check("#true")
    press("提交申请")
    assert tab.url.endswith("/receipt/")
    row.refresh_from_db()
    assert row.case is not None
    assert tab.locator("#case-code").inner_text() == row.case.code
    look("receipt")
    tab.goto(f"{site}/my/cases/{row.code}/check/")  # pressed again, or come back
    assert tab.url.endswith("/receipt/")

    wanted = {"material": "driving_licence", "name": "机动车驾驶证", "what": "请上传副页"}
    item = row.case.items.get(step="receive", done_at=None)
    told = {"supplement": {"items": [wanted]}}
    cases.step(item, "supplement", note="缺副页", data=told, by=SYSTEM)
    tab.goto(f"{site}/my/")
    look("mine")
    with tab.expect_navigation():
        tab.get_by_role("link", name="补正材料").first.click()
    assert "请上传副页" in tab.content()
    look("supplement")
    picture = {"name": "副页.png", "mimeType": "image/png", "buffer": PNG}
    tab.set_input_files("input[name=file_driving_licence]", picture)
    press("提交补正")
    assert tab.locator("main .badge", has_text="办理中").count()
    look("case")
    tab.goto(f"{site}/seen/")
    assert "货车禁区通行证核发" in tab.content()

    sign_in(tab, "lisi", "/my/cases/")
    for place in ("", "materials/", "receipt/", "supplement/"):
        address = f"{site}/my/cases/{row.code}/{place}"
        assert tab.request.get(address).status == 404, place
    assert PLATE not in tab.content()
