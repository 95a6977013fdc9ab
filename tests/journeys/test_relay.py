"""An application that a department's own system handles: handed over, 补正, decided, back with the citizen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
ITEM = "mortgage_registration"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
OFFICERS = (
    ("zwb", "周窗口", "zwb.window", ["window_clerk"]),
    ("sjj", "吴运营", "sjj.ops", ["bureau_operator"]),
    ("zr", "郑负责", "zr.head", ["approval_head"]),
)
FORM = {
    "phone": "13812345678",
    "residence_address": "海州区某路 1 号",
    "reason": "购房贷款抵押",
    "delivery": "electronic",
    "truth": "1",
    "signed": "张三丰",
}


@pytest.fixture(scope="module")
def citizen(city_database: None) -> Any:
    """Zhang with a login, the officers, the items."""
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.items import api as items
    from lianyun.kernel.access import SYSTEM, actor_of
    from lianyun.kernel.party import department

    for slug, name, username, roles in OFFICERS:
        identity.create_account(
            department(slug), name, username, roles, password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    if items.find(ITEM) is None:
        items.sync_declared(by=SYSTEM)
    party = identity.party_of_number(PERSON, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    user = User(username="zhangsanfeng", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    return actor_of(party)


def _file(citizen: Any) -> Any:
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.project.sample_hall import photo

    row = hall.begin(ITEM, applicant=citizen.party, answers={}, by=citizen)
    row = hall.consent(row, keys=[], by=citizen)
    hall.look_up(row, by=citizen)
    row = type(row).objects.get(pk=row.pk)
    draft = forms.draft_of(row.draft, citizen)
    for part in forms.form("person_basic").parts:
        posted = {f.id: [FORM[f.id]] for f in part.fields if f.id in FORM}
        assert forms.save_part(draft, part.id, posted, 0, by=citizen).good, part.id
    for shade, state in enumerate(row.materials.filter(met=False)):
        hall.hand_in(row, state.material, ("材料.png", photo(shade)), by=citizen)
    hall.file(type(row).objects.get(pk=row.pk), by=citizen)
    return type(row).objects.get(pk=row.pk)


def _minute() -> None:
    """What the worker does each minute."""
    from lianyun.capabilities.relay import api as relay
    from lianyun.kernel.access import SYSTEM

    for code in relay.move_on(by=SYSTEM):
        relay.carry(code=code, by=SYSTEM)


def _look(tab: Any, accessible: Callable[[Any], None], folder: Path, name: str) -> None:
    accessible(tab)
    tab.screenshot(path=str(folder / f"{name}-1280.png"), full_page=True)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.screenshot(path=str(folder / f"{name}-375.png"), full_page=True)
    tab.set_viewport_size(DESK)


def test_a_case_goes_to_a_departments_system_and_comes_back(
    site: str,
    citizen: Any,
    tab: Any,
    sign_in: Any,
    accessible: Any,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    from playwright.sync_api import expect

    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.relay.tests import conftest as stands
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Case
    from lianyun.project.sample_hall import photo

    stand = stands.start(tmp_path)
    monkeypatch.setenv("LIANYUN_RELAY_HOSTS", stand.address.split("/")[2])
    own = stand.address.removesuffix("/relay")
    try:
        # The bureau registers the system, hands its key over, gives it an item.
        sign_in(tab, "sjj.ops", "/workbench/relay/new/")
        tab.fill("#id_name", "不动产登记系统")
        tab.select_option("#id_department", value="zr")
        tab.fill("#id_address", "ftp://example.org")
        tab.click("main button[type=submit]")
        expect(tab.locator("main")).to_contain_text("https://")
        tab.fill("#id_address", stand.address)
        _look(tab, accessible, tmp_path, "new")
        tab.click("main button[type=submit]")
        expect(tab.locator("h1")).to_contain_text("签名密钥")
        code, key = tab.locator("dd.mono").all_inner_texts()
        accessible(tab)
        stand.behave(
            code=code, key=key, city=site, title="不动产登记系统", twice=True, disorder=True
        )
        tab.click("a:has-text('已保存，继续')")
        tab.click("button:has-text('测试连接')")
        expect(tab.locator("body")).to_contain_text("对方接受了签名")
        tab.click("a:has-text('授权事项')")
        tab.click("a:has-text('不动产抵押权首次登记')")
        for name, value in (("field", "name"), ("field", "reason"), ("material", "loan_contract")):
            tab.check(f"input[name={name}][value={value}]")
        _look(tab, accessible, tmp_path, "items")
        tab.click("main button:has-text('授权')")
        expect(tab.locator("main")).to_contain_text("申请事由")

        # Accepted at the window, it goes out with what the grant allows.
        application = _file(citizen)
        case = Case.objects.get(pk=application.case_id)
        desk.work(case.items.get(step="receive"), "accept", by=SYSTEM)
        _minute()
        tab.goto(own)
        expect(tab.locator("li")).to_contain_text("购房贷款抵押")
        assert "海州区某路" not in tab.content()
        tab.click("button:has-text('报送进展')")
        tab.click("button:has-text('要求补正')")

        # The citizen reads what happens there, and hands in what is missing.
        sign_in(tab, "zhangsanfeng", f"/my/cases/{application.code}/")
        expect(tab.locator("main")).to_contain_text("需要您补正")
        expect(tab.locator("main")).to_contain_text("请核对开户行名称")
        expect(tab.locator("main")).to_contain_text("经办科室审核中")
        _look(tab, accessible, tmp_path, "citizen")
        hall.supplement(
            application,
            files={"loan_contract": [("合同.png", photo(77))]},
            note="已核对",
            by=citizen,
        )
        _minute()
        tab.goto(own)
        tab.click("button:has-text('准予')")
        case.refresh_from_db()
        assert (case.state, case.outcome) == ("closed", "granted")
        tab.goto(f"{site}/my/cases/{application.code}/")
        expect(tab.locator("main")).to_contain_text("办理结果")
        expect(tab.locator("main")).to_contain_text("不动产登记系统")

        # The department sees both sides of it.
        sign_in(tab, "zr.head", "/workbench/relay/")
        expect(tab.locator("main")).to_contain_text("正常")
        _look(tab, accessible, tmp_path, "home")
        tab.click("a:has-text('不动产抵押权首次登记')")
        expect(tab.locator("main")).to_contain_text("送达申请人的补正")
        assert tab.locator("text=已采用").count() == 3
        _look(tab, accessible, tmp_path, "case")
        tab.goto(f"{site}/workbench/relay/systems/{code}/")
        _look(tab, accessible, tmp_path, "system")
        tab.goto(f"{site}/workbench/relay/stuck/")
        _look(tab, accessible, tmp_path, "stuck")
        (taken,) = stand.rows("SELECT body FROM cases")
        told = json.loads(taken[0])
        assert told["applicant"]["number"] == PERSON
        assert [m["id"] for m in told["materials"]] == ["loan_contract"]
        assert set(told["answers"]) == {"name", "reason"}
    finally:
        stand.process.terminate()
        stand.process.wait(10)
