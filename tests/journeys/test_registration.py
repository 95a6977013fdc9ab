"""A name is tried; a firm changes its head on a desktop; one that ends is published and objected to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"


def _look(tab: Any, accessible: Callable[[Any], None], folder: Path, name: str) -> None:
    accessible(tab)
    tab.screenshot(path=str(folder / f"{name}-1280.png"), full_page=True)
    tab.set_viewport_size({"width": 375, "height": 800})
    assert fits(tab)
    tab.screenshot(path=str(folder / f"{name}-375.png"), full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.slow
def test_a_name_is_tried_and_a_waiting_firm_is_seen(
    site: str, fresh_lake: Any, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.registration.models import Firm
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    identity.create_account(
        department("scjg"), "冯负责", "scjg.head", ["approval_head"],
        password=PASSWORD, must_change=False, by=SYSTEM,
    )  # fmt: skip
    tab.goto(f"{site}/names/")
    tab.fill("#name", "中国山海商贸")
    tab.click("main button:has-text('查询')")
    expect(tab.locator("main")).to_contain_text("不能使用")
    expect(tab.locator("main")).to_contain_text("组织形式")
    _look(tab, accessible, tmp_path, "names")
    tab.fill("#name", "连云港云台山茶业有限公司")
    tab.click("main button:has-text('查询')")
    expect(tab.locator("main")).to_contain_text("没有发现问题")

    case = cases.open_case(
        "company_opening", title="企业开办", subject="item:company_opening",
        department=department("scjg"), data={"item": "company_opening"}, by=SYSTEM,
    )  # fmt: skip
    Firm.objects.create(
        case=case, name="连云港云台山茶业有限公司", region="320703", trouble="“连云港云台山茶业有限公司”已经登记"
    )  # fmt: skip
    sign_in(tab, "scjg.head", "/workbench/registration/")
    expect(tab.locator("main")).to_contain_text("待处理")
    _look(tab, accessible, tmp_path, "list")
    tab.click("a:has-text('连云港云台山茶业有限公司')")
    expect(tab.locator("main")).to_contain_text("尚未赋码")
    _look(tab, accessible, tmp_path, "detail")


@pytest.mark.slow
def test_a_firm_changes_its_head_and_another_objects_to_its_end(
    site: str, fresh_lake: Any, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    from django.utils import timezone
    from playwright.sync_api import expect

    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.hall.models import Application
    from lianyun.capabilities.hall.tests.test_applying import PNG
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.capabilities.licences import api as licences
    from lianyun.capabilities.registration import actions
    from lianyun.capabilities.registration.tests import conftest as firms
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Event
    from lianyun.kernel.party import department

    def login(actor: Any, username: str) -> None:
        user = User(username=username, party=actor.party, password_set_at=timezone.now())
        user.set_password(PASSWORD)
        user.save()

    def press(name: str) -> None:
        with tab.expect_navigation():
            tab.locator("main").get_by_role("button", name=name, exact=True).first.click()

    login(firms.found_firm(), "head.zhang")
    firms.known_everywhere()
    login(firms.person(firms.NEXT, "李四"), "head.lisi")
    for name, username, role in (
        ("孙审查", "scjg.check", "approver"), ("吴负责", "scjg.boss", "approval_head"),
    ):  # fmt: skip
        identity.create_account(
            department("scjg"), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    old = licences.current("business_licence", firms.firm(), SYSTEM)
    assert old is not None

    sign_in(tab, "head.zhang", "/my/acting/?next=/my/cases/apply/company_change/")
    press("以此身份办理")
    tab.check("#what-legal")
    press("下一步")
    press("全部同意，继续")
    tab.fill("#phone", "13812345678")
    press("保存并继续")
    tab.check("input[name=items][value=legal]")
    tab.fill("#new_representative", "李四")
    tab.fill("#new_representative_number", firms.NEXT)
    tab.fill("#resolved_on", "2026-01-05")
    _look(tab, accessible, tmp_path, "change")
    press("保存并继续")
    tab.check("#truth")
    tab.fill("#signed-typed", "张三丰")
    press("保存并继续")
    row = Application.objects.get()
    tab.goto(f"{site}/my/cases/{row.code}/materials/")
    expect(tab.locator("#m-business_licence")).to_contain_text("免提交")
    picture = {"name": "决议.png", "mimeType": "image/png", "buffer": PNG}
    for state in row.materials.filter(met=False, required=True):
        tab.set_input_files(f"#f-{state.material}", picture)
        with tab.expect_navigation():
            tab.locator(f"#m-{state.material} button[value=upload]").click()
    tab.get_by_role("link", name="下一步：核对并提交").click()
    tab.check("#true")
    press("提交申请")

    row.refresh_from_db()
    assert row.case is not None
    sign_in(tab, "scjg.check", f"/workbench/desk/cases/{row.case.code}/")
    press("予以受理")
    tab.click("a:has-text('与企业登记库核对')")
    expect(tab.locator("main")).to_contain_text("没有发现问题")
    assert firms.NEXT not in tab.content()
    _look(tab, accessible, tmp_path, "paper")
    desk.work(row.case.items.get(step="review"), "grant", by=SYSTEM)
    sign_in(tab, "scjg.boss", f"/workbench/desk/cases/{row.case.code}/")
    press("准予变更登记")
    actions.on_decided(Event.objects.get(subject=row.case.ref, kind="application.decided"))
    tab.goto(f"{site}/workbench/registration/changes/")
    expect(tab.locator("main")).to_contain_text("变更登记：法定代表人")
    _look(tab, accessible, tmp_path, "changes")

    tab.goto(f"{site}/verify/{old.check_code}/")
    expect(tab.locator("main")).to_contain_text("换发")
    sign_in(tab, "head.zhang", "/my/acting/")
    expect(tab.locator("main")).not_to_contain_text(firms.NAME)
    libraries.build_library(name="legal_entity", by=SYSTEM)
    sign_in(tab, "head.lisi", "/my/")
    follower = firms.person(firms.NEXT, "李四")
    firms.represent(follower)
    tab.goto(f"{site}/my/licences/")
    expect(tab.locator("main")).to_contain_text("营业执照")


@pytest.mark.slow
def test_an_end_is_published_and_objected_to(
    site: str, fresh_lake: Any, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    from django.utils import timezone
    from playwright.sync_api import expect

    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.registration import actions
    from lianyun.capabilities.registration.models import Notice
    from lianyun.capabilities.registration.tests import conftest as firms
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    firms.found_firm()
    creditor = firms.person(firms.CREDITOR, "赵大爷")
    user = User(username="zhao", party=creditor.party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    case = cases.open_case(
        "company_cancellation", title="企业注销登记", subject="item:company_cancellation",
        applicant=firms.firm(), department=department("scjg"),
        data={"item": "company_cancellation", "promised_days": 1, "situations": {"way": "simple"}},
        by=SYSTEM,
    )  # fmt: skip
    firms.walk(case, ("receive", "accept"))
    actions.move_on(by=SYSTEM)
    notice = Notice.objects.get()
    tab.goto(f"{site}/cancellations/")
    _look(tab, accessible, tmp_path, "notices")
    tab.click(f"a:has-text('{firms.NAME}')")
    page = tab.url.removeprefix(site)
    expect(tab.get_by_role("link", name="登录后提出异议")).to_be_visible()
    sign_in(tab, "zhao", "/my/")
    tab.goto(f"{site}{page}")
    tab.select_option("#id_kind", "creditor")
    tab.fill("#id_reason", "欠我货款五万元没有还")
    _look(tab, accessible, tmp_path, "notice")
    with tab.expect_navigation():
        tab.locator("main").get_by_role("button", name="提出异议", exact=True).click()
    expect(tab.locator("main")).to_contain_text("等待核实")
    assert notice.objections.count() == 1
