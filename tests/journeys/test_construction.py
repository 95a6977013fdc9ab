"""A construction project: its owner registers it, applies for a stage; departments and the agent see one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}


def _look(tab: Any, accessible: Callable[[Any], None], folder: Path, name: str) -> None:
    accessible(tab)
    tab.screenshot(path=str(folder / f"{name}-1280.png"), full_page=True)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.screenshot(path=str(folder / f"{name}-375.png"), full_page=True)
    tab.set_viewport_size(DESK)


def _firm() -> Any:
    """Zhang, who acts for a firm."""
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import Agency, User
    from lianyun.kernel.access import Actor

    party = identity.party_of_number(PERSON, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = 4
    account.save(update_fields=["level"])
    user = User(username="zhangsanfeng", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    firm = identity.party_of_credit_code("91110000600037341L", name="甲公司")
    Agency.objects.create(
        kind="agent", principal=firm, agent=party, scope=["apply", "follow"],
        since=timezone.localdate(), accepted_at=timezone.now(),
    )  # fmt: skip
    return Actor(party=party, behalf=firm)


def _file(by: Any, code: str) -> Any:
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.project.sample_hall import photo

    told = {"name": "张三丰", "phone": "13812345678", "project_code": code,
            "stage_content": "申请办理立项用地规划许可", "truth": "1", "signed": "张三丰"}  # fmt: skip
    row = hall.begin("stage_land", applicant=by.behalf, answers={}, by=by)
    row = hall.consent(row, keys=[], by=by)
    hall.look_up(row, by=by)
    row = type(row).objects.get(pk=row.pk)
    draft = forms.draft_of(row.draft, by)
    for part in forms.form("construction_stage").parts:
        posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
        assert forms.save_part(draft, part.id, posted, 0, by=by).good, part.id
    for shade, state in enumerate(row.materials.filter(met=False)):
        hall.hand_in(row, state.material, ("材料.png", photo(shade)), by=by)
    return hall.file(type(row).objects.get(pk=row.pk), by=by)


def test_a_project_is_seen_by_all_on_one_picture(
    site: str, tab: Any, sign_in: Any, accessible: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    from lianyun.capabilities.construction import api as construction
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.items import api as items
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for slug, name, username, role in (
        ("zwb", "周代办", "zwb.agent", "window_clerk"),
        ("zr", "郑负责", "zr.head", "approval_head"),
    ):
        identity.create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    if items.find("stage_land") is None:
        items.sync_declared(by=SYSTEM)
    by = _firm()

    sign_in(tab, "zhangsanfeng", "/my/acting/")
    with tab.expect_navigation():
        tab.click("li:has-text('甲公司') button")
    tab.goto(f"{site}/my/projects/")
    tab.click("a:has-text('登记项目')")
    tab.fill("#id_name", "滨海二期厂房")
    tab.select_option("#id_kind", value="private_building")
    tab.fill("#id_site", "连云区某路")
    tab.fill("#id_investment", "8000")
    tab.fill("#id_area", "12000")
    tab.fill("#id_code", "1234")
    tab.click("main button:has-text('登记')")
    expect(tab.locator("main")).to_contain_text("项目代码应为 24 位")
    _look(tab, accessible, tmp_path, "new")
    tab.fill("#id_code", "")
    tab.click("main button:has-text('登记')")
    expect(tab.locator("h1")).to_contain_text("滨海二期厂房")
    assert tab.locator("a:has-text('申报')").count() == 1
    tab.click("button:has-text('请求代办')")
    expect(tab.locator("main")).to_contain_text("等待代办员接手")
    code = construction.Project.objects.get().code

    case = _file(by, code)
    construction.admit_all()
    cases.step(case.items.get(step="receive"), "accept", by=SYSTEM)
    one = case.items.filter(step="opinion").order_by("id")[0]
    cases.step(one, "agree", by=SYSTEM)
    tab.reload()
    expect(tab.locator(".gantt")).to_contain_text("市发展改革委")
    expect(tab.locator(".gantt")).to_contain_text("同意")
    _look(tab, accessible, tmp_path, "own")

    sign_in(tab, "zwb.agent", "/workbench/construction/")
    expect(tab.locator("main")).to_contain_text("待接手")
    _look(tab, accessible, tmp_path, "list")
    tab.click("a:has-text('滨海二期厂房')")
    tab.click("button:has-text('接手代办')")
    tab.fill("#note", "已与发改部门核对立项信息")
    tab.click("button:has-text('记录')")
    expect(tab.locator("main")).to_contain_text("已与发改部门核对立项信息")
    _look(tab, accessible, tmp_path, "detail")
    sign_in(tab, "zr.head", f"/workbench/construction/{code}/")
    tab.click("main a:has-text('立项用地规划许可')")
    expect(tab.locator("h1")).to_contain_text("立项用地规划许可")
