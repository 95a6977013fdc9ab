"""A day in the hall: a citizen on a phone, a village clerk for an old man, a firm at its desk."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import expect

from lianyun.capabilities.hall.tests.conftest import (
    OLD_MAN,
    PERSON,
    PLATE,
    STRANGER,
    give_licence,
    pour,
)
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
FIRM = "91110000600037341L"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def city(city_database: None, own_lake: None) -> None:
    """Two citizens with logins; one holds a driving licence and a car; the library is built."""
    from django.utils import timezone

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.hall.tests.conftest import person
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import Agency, User
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

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
            firm = identity.party_of_credit_code(FIRM, name="甲物流有限公司")
            Agency.objects.create(
                kind="agent", principal=firm, agent=actor.party, scope=["apply", "follow"],
                since=timezone.localdate(), accepted_at=timezone.now(),
            )  # fmt: skip
    identity.create_account(
        department("zwb"), "王村帮", "cun.wang", ["village_clerk"],
        password=PASSWORD, must_change=False, by=SYSTEM,
    )  # fmt: skip


def seen(tab: Any, accessible: Callable[[Any], None], name: str) -> None:
    """The page holds for everybody, on a phone and on a desk; pictures where a folder is named."""
    accessible(tab)
    folder = os.environ.get("LIANYUN_PICTURES")
    for size, word in ((DESK, "1280"), (PHONE, "375")):
        tab.set_viewport_size(size)
        assert fits(tab), f"{tab.url} scrolls sideways at {word}"
        if folder:
            tab.screenshot(path=f"{folder}/hall-{name}-{word}.png", full_page=True)


def pressed(tab: Any, name: str) -> None:
    with tab.expect_navigation():
        tab.locator("main").get_by_role("button", name=name, exact=True).first.click()


def test_what_the_city_knows_is_not_asked_for(
    city: None, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.hall.tests.test_applying import PNG, complete
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM, actor_of

    def look(name: str) -> None:
        seen(tab, accessible, name)

    def press(name: str) -> None:
        pressed(tab, name)

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
    with transaction.atomic():
        cases.suspend(
            row.case, article="行政许可法第四十五条（检验）", reason="检验约需五日", by=SYSTEM
        )
    tab.reload()
    expect(tab.locator("main")).to_contain_text("计时已中止")
    look("case")
    tab.goto(f"{site}/seen/")
    assert "货车禁区通行证核发" in tab.content()

    sign_in(tab, "lisi", "/my/cases/")
    for place in ("", "materials/", "receipt/", "supplement/"):
        address = f"{site}/my/cases/{row.code}/{place}"
        assert tab.request.get(address).status == 404, place
    assert PLATE not in tab.content()


def test_a_village_clerk_files_for_an_old_man_and_both_are_named(
    city: None, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.hall.tests.test_applying import PNG, complete
    from lianyun.kernel.access import SYSTEM, actor_of

    picture = {"name": "照片.png", "mimeType": "image/png", "buffer": PNG}
    tab.set_viewport_size(DESK)
    sign_in(tab, "cun.wang", "/workbench/hall/help/?q=货车")
    seen(tab, accessible, "help")
    tab.get_by_role("link", name="货车禁区通行证核发").first.click()
    tab.fill("#id_name", "赵大爷")
    tab.fill("#id_number", OLD_MAN)
    pressed(tab, "开始，由本人确认")
    expect(tab.locator("main")).to_contain_text("请先回答下面的问题")
    expect(tab.locator("main")).to_contain_text("请当面核对居民身份证原件后勾选")
    expect(tab.locator("#id_number")).to_have_value(OLD_MAN)
    for choice in ("vehicle-own", "route-ring", "goods-common"):
        tab.check(f"#{choice}")
    tab.check("#id_seen")
    seen(tab, accessible, "help_apply")
    pressed(tab, "开始，由本人确认")
    tab.fill("#digits", "000000")
    pressed(tab, "确认")
    expect(tab.get_by_text("确认码不正确")).to_be_visible()
    seen(tab, accessible, "confirm")
    tab.set_input_files("#paper", picture)
    pressed(tab, "上传并继续")
    pressed(tab, "全部同意，继续")
    row = Application.objects.get(relation="helper")
    clerk = actor_of(row.by)
    complete(row, clerk, signed="赵大爷")
    tab.goto(f"{site}/my/cases/{row.code}/materials/")
    for material in ("driving_licence", "vehicle_licence"):
        tab.set_input_files(f"#f-{material}", picture)
        with tab.expect_navigation():
            tab.locator(f"#m-{material} button[value=upload]").click()
    tab.get_by_role("link", name="下一步：核对并提交").click()
    tab.check("#true")
    pressed(tab, "提交申请")
    for words in ("王村帮（帮办人员）", "本人签字的书面授权", "赵大爷"):
        expect(tab.locator("main")).to_contain_text(words)
    seen(tab, accessible, "helped")
    row.refresh_from_db()
    shown = hall.application_of(row.case, SYSTEM)
    assert (shown.applicant, shown.by) == ("赵**", "王村帮")
    assert shown.confirmed.startswith("本人签字的书面授权")
    assert len(shown.authorisation) == 1


@pytest.mark.slow
def test_a_firm_has_a_space_of_its_own(
    city: None, site: str, tab: Any, sign_in: Any, accessible: Callable[[Any], None]
) -> None:
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.hall.tests.test_applying import PNG
    from lianyun.kernel.access import Actor

    tab.set_viewport_size(DESK)
    sign_in(tab, "zhang", "/my/acting/?next=/my/")
    pressed(tab, "以此身份办理")
    expect(tab.locator("h1")).to_have_text("企业空间")
    expect(tab.get_by_text("没有待办")).to_be_visible()
    tab.goto(f"{site}/my/cases/apply/freight_permit/")
    for choice in ("vehicle-firm", "route-ring", "goods-common"):
        tab.check(f"#{choice}")
    pressed(tab, "下一步")
    pressed(tab, "全部同意，继续")
    row = Application.objects.get(relation="agent")
    agent = Actor(party=row.by, behalf=row.applicant)
    told = {
        "applicant_kind": "entity", "legal_representative": "张三丰", "phone": "13812345678",
        "business_address": "海州区某路 2 号", "plate_number": "苏G77777", "plate_type": "01",
        "vehicle_type": "H11", "load": "2.5", "goods": "food", "route": "郁洲路", "period": "night",
        "begins_on": "2099-01-01", "ends_on": "2099-02-01", "truth": "1", "signed": "张三丰",
    }  # fmt: skip
    draft = forms.draft_of(row.draft, agent)
    for part in forms.form("freight_permit").parts:
        if forms.missing(draft, agent).get(part.id) or part.id == "promise":
            posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
            saved = forms.save_part(draft, part.id, posted, 0, by=agent)
            assert saved.good, (part.id, saved.errors)
    tab.goto(f"{site}/my/cases/{row.code}/materials/")
    picture = {"name": "证件.png", "mimeType": "image/png", "buffer": PNG}
    for state in row.materials.filter(met=False, required=True):
        tab.set_input_files(f"#f-{state.material}", picture)
        with tab.expect_navigation():
            tab.locator(f"#m-{state.material} button[value=upload]").click()
    tab.get_by_role("link", name="下一步：核对并提交").click()
    tab.check("#true")
    pressed(tab, "提交申请")
    expect(tab.locator("main")).to_contain_text("甲物流有限公司")
    tab.goto(f"{site}/my/")
    expect(tab.locator("main")).to_contain_text("经办：张三丰")
    seen(tab, accessible, "firm")
    tab.get_by_role("link", name="企业材料").click()
    expect(tab.get_by_role("link", name="证件.png").first).to_be_visible()
    seen(tab, accessible, "firm_materials")
    for place in ("/my/messages/", "/my/licences/"):
        tab.goto(f"{site}{place}")
        expect(tab.locator("h1")).to_be_visible()
        assert fits(tab), place
