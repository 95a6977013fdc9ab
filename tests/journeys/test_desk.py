"""An application at the desks: told what is missing, accepted, decided, the permit given, rated, watched."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
OFFICERS = (
    ("zwb", "周窗口", "zwb.window", "window_clerk"),
    ("ga", "赵审查", "ga.check", "approver"),
    ("ga", "孙同事", "ga.second", "approver"),
    ("ga", "钱负责", "ga.head", "approval_head"),
    ("zwb", "孙监察", "zwb.watch", "supervisor"),
)
FORM = {
    "applicant_kind": "person",
    "phone": "13812345678",
    "residence_address": "海州区某路 1 号",
    "plate_number": "苏G12345",
    "plate_type": "01",
    "vehicle_type": "H11",
    "load": "2.5",
    "goods": "food",
    "route": "郁洲路（港城大道至朝阳路）",
    "period": "night",
    "begins_on": "2099-01-01",
    "ends_on": "2099-02-01",
    "truth": "1",
    "signed": "张三丰",
}


def _photo(shade: int) -> bytes:
    """A small picture; another shade is another picture."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = (b"\0" + bytes([shade]) * 40) * 30
    head = struct.pack(">IIBBBBB", 40, 30, 8, 0, 0, 0, 0)
    whole = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


def _person() -> Any:
    """Zhang, proven at a counter, with a login."""
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import actor_of

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
    """What the citizen does before the desk: the form, two materials handed in, filed."""
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall

    row = hall.begin(
        "freight_permit",
        applicant=citizen.party,
        answers={"vehicle": "own", "route": "ring", "goods": "common"},
        by=citizen,
    )
    row = hall.consent(row, keys=[], by=citizen)
    hall.look_up(row, by=citizen)
    row = type(row).objects.get(pk=row.pk)
    draft = forms.draft_of(row.draft, citizen)
    for part in forms.form("freight_permit").parts:
        if part.id != "entity":
            posted = {f.id: [FORM[f.id]] for f in part.fields if f.id in FORM}
            assert forms.save_part(draft, part.id, posted, 0, by=citizen).good, part.id
    for shade, material in enumerate(("driving_licence", "vehicle_licence")):
        hall.hand_in(row, material, ("证件.png", _photo(shade)), by=citizen)
    hall.file(type(row).objects.get(pk=row.pk), by=citizen)
    return type(row).objects.get(pk=row.pk)


@pytest.fixture(scope="module")
def filed(city_database: None) -> Any:
    """One application filed by its citizen, one that is overdue elsewhere, and the officers."""
    from django.utils import timezone

    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.items import api as items
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import WorkItem
    from lianyun.kernel.party import department

    for slug, name, username, role in OFFICERS:
        create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    if items.find("freight_permit") is None:
        items.sync_declared(by=SYSTEM)
    late = cases.open_case(
        "item_promised",
        title="居住证签注",
        subject="item:residence",
        department=department("ga"),
        data={"item": "residence", "promised_days": 3},
        by=SYSTEM,
    )
    WorkItem.objects.filter(case=late).update(due_on=timezone.localdate() - dt.timedelta(days=7))
    citizen = _person()
    return citizen, _file(citizen)


def _look(tab: Any, accessible: Callable[[Any], None]) -> None:
    accessible(tab)
    folder = os.environ.get("LIANYUN_PICTURES")
    for size in (DESK, PHONE) if folder else (PHONE,):
        tab.set_viewport_size(size)
        assert fits(tab)
        if folder:
            name = (
                tab.url.partition("/workbench/")[2].partition("?")[0].strip("/").replace("/", "_")
            )
            count = len(list(Path(folder).iterdir()))
            tab.screenshot(path=f"{folder}/{count:02}-{name}-{size['width']}.png", full_page=True)
    tab.set_viewport_size(DESK)


def _press(tab: Any, text: str) -> None:
    button = tab.locator(f"main button:has-text('{text}')").first
    asks = button.get_attribute("data-confirm") is not None
    button.click()
    if asks:
        tab.locator("dialog[open] button.primary, dialog[open] button.danger").first.click()


def test_from_the_window_to_the_supervisor(
    site: str, filed: Any, tab: Any, sign_in: Any, accessible: Any
) -> None:
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.licences import api as licences

    citizen, application = filed
    case = application.case
    place = f"/workbench/desk/cases/{case.code}/"

    sign_in(tab, "zwb.window", "/workbench/desk/")
    tab.wait_for_selector("h1:has-text('审批台')")
    _look(tab, accessible)
    tab.click(f"a:has-text('{case.title}')")
    tab.wait_for_selector("h2:has-text('待办理：收件与受理')")
    assert PERSON not in tab.content()
    tab.click("summary:has-text('需要补正时')")
    _look(tab, accessible)
    _press(tab, "一次告知补正")
    tab.wait_for_selector("text=请列出需要补正的全部内容")
    tab.click("summary:has-text('需要补正时')")
    tab.locator("input[name='what-driving_licence']").fill("照片看不清，请上传正页和副页")
    _press(tab, "一次告知补正")
    tab.wait_for_selector("h2:has-text('一次告知的补正内容')")

    hall.supplement(application, files={"driving_licence": [("正副页.png", _photo(9))]}, by=citizen)
    tab.reload()
    tab.wait_for_selector("h2:has-text('补正后受理')")
    assert tab.locator("button:has-text('一次告知补正')").count() == 0
    _press(tab, "予以受理")
    tab.wait_for_selector("text=转入下一环节")

    sign_in(tab, "ga.check", place)
    tab.wait_for_selector("h2:has-text('规则的意见')")
    tab.wait_for_selector("text=环线和货运通道")
    assert "苏G12345" not in tab.content()
    _press(tab, "查阅明文")
    tab.wait_for_selector("text=苏G12345")
    _press(tab, "认领")
    tab.wait_for_selector("text=由 赵审查 认领")
    _press(tab, "建议准予")
    tab.wait_for_selector("text=转入下一环节")

    sign_in(tab, "ga.head", place)
    _press(tab, "准予")
    tab.wait_for_selector("text=结果：准予")
    _look(tab, accessible)
    (permit,) = [h for h in licences.held(citizen.party, citizen) if h.kind == "freight_permit"]
    told = licences.elements(permit, citizen)
    assert told["plate_number"] == "苏G12345"
    assert told["holder_number"] == PERSON

    sign_in(tab, "zhangsanfeng", f"/my/ratings/{case.code}/")
    tab.check("input[name=level][value='4']")
    tab.fill("#text", "补正了一次才办好")
    _look(tab, accessible)
    tab.click("button:has-text('提交评价')")
    tab.wait_for_selector("text=部门正在整改")

    sign_in(tab, "ga.check", "/workbench/ratings/")
    _look(tab, accessible)
    tab.click("a:has-text('补正了一次才办好')")
    _press(tab, "情况属实")
    tab.wait_for_selector("h2:has-text('待办理：整改')")
    tab.fill("#note", "指南增加照片样例")
    _press(tab, "已整改")
    tab.wait_for_selector("h2:has-text('待办理：回访评价人')")
    tab.check("input[name=answer][value=satisfied]")
    tab.fill("#note", "本人表示满意")
    _press(tab, "登记回访")
    tab.wait_for_selector("text=已整改，评价人满意")

    sign_in(tab, "zwb.watch", "/workbench/supervision/")
    tab.wait_for_selector("h2:has-text('各部门灯号')")
    tab.click("main .tabs a:has-text('民生资金')")
    tab.wait_for_selector("text=救助、补贴、养老")
    tab.click("main .tabs a:has-text('政务服务')")
    tab.wait_for_selector("text=居住证签注")
    _look(tab, accessible)
    tab.click("a:has-text('居住证签注')")
    tab.fill("#content", "已逾期，请说明原因")
    _press(tab, "发出督办")
    tab.wait_for_selector("h2:has-text('督办内容')")
    _look(tab, accessible)
    tab.goto(f"{site}/workbench/supervision/loop/freight_permit/")
    tab.wait_for_selector("h2:has-text('责任')")
    _look(tab, accessible)


@pytest.mark.slow
def test_a_day_at_the_desk(site: str, filed: Any, tab: Any, sign_in: Any, accessible: Any) -> None:
    """Signed together, handed over, covered on leave, paused by an article, given more days."""
    from django.utils import timezone

    from lianyun.capabilities.identity.models import Cover
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Case, Party
    from lianyun.kernel.party import department

    made = [
        cases.open_case(
            "item_promised", title=f"养犬登记 {n} 号", subject="item:dog", department=department("ga"),
            applicant=filed[0].party, data={"item": "dog", "item_name": "养犬登记", "promised_days": 3},
            by=SYSTEM,
        )
        for n in range(1, 5)
    ]  # fmt: skip
    sign_in(tab, "ga.check", "/workbench/desk/?item=item:dog")
    for box in tab.locator("main input[name=pick]").all():
        box.check()
    _press(tab, "批量办理")
    tab.wait_for_selector("h2:has-text('收件与受理（4 件）')")
    _look(tab, accessible)
    cases.urge(made[2].items.get(), "申请人来电补充", by=SYSTEM)
    _press(tab, "全部予以受理")
    tab.wait_for_selector("h2:has-text('已予以受理 3 件')")
    assert "养犬登记 3 号" in tab.locator("[role=alert]").inner_text()
    _look(tab, accessible)
    first, second = (f"/workbench/desk/cases/{c.code}/" for c in made[:2])
    for place in (first, second):
        tab.goto(f"{site}{place}")
        _press(tab, "认领")
        tab.wait_for_selector("text=由 赵审查 认领")
    tab.click("summary:has-text('交接')")
    tab.select_option("select[name=to]", label="孙同事")
    tab.fill("input[name=reason]", "参加评审会")
    _press(tab, "交接")
    tab.wait_for_selector("text=由 孙同事 认领")
    tab.wait_for_selector("text=这一环节已由 孙同事 认领")
    assert tab.locator("button:has-text('建议准予')").count() == 0
    _look(tab, accessible)

    sign_in(tab, "ga.second", first)
    tab.wait_for_selector("text=这一环节已由 赵审查 认领")
    absent = Party.objects.get(name="赵审查")
    Cover.objects.create(
        absent=absent, deputy=Party.objects.get(name="孙同事"), department=department("ga"),
        roles=[], since=timezone.localdate(), until=timezone.localdate(), reason="年休假",
    )  # fmt: skip
    tab.reload()
    tab.wait_for_selector("text=赵审查 请假，由您代理")
    _press(tab, "建议准予")
    tab.wait_for_selector("text=孙同事（代 赵审查）")
    tab.goto(f"{site}{second}")
    tab.click("summary:has-text('中止计时')")
    tab.select_option("#cause", "experts")
    tab.fill("#pause-reason", "专家评审，约需十个工作日")
    _press(tab, "中止计时")
    tab.wait_for_selector("text=计时已中止：行政许可法第四十五条（专家评审）")
    assert tab.locator("button:has-text('建议准予')").count() == 0
    _look(tab, accessible)
    _press(tab, "恢复计时")
    tab.wait_for_selector("button:has-text('建议准予')")

    sign_in(tab, "ga.head", second)
    tab.click("summary:has-text('延长办理期限')")
    tab.locator("input[name=days]").fill("5")
    tab.locator("details:has(input[name=days]) input[name=reason]").fill("须实地核查")
    _press(tab, "延长")
    tab.wait_for_selector("text=已延长期限")
    tab.goto(f"{site}/workbench/hall/report/?days=30")
    tab.wait_for_selector("h2:has-text('按依据')")
    _look(tab, accessible)
    Case.objects.filter(pk=made[3].pk).update(
        state=Case.CLOSED, outcome="granted", closed_at=timezone.now(),
        data={**made[3].data, "resolution": {"result": "granted"}},
    )  # fmt: skip
    tab.goto(f"{site}/workbench/desk/archive/?item=item:dog")
    tab.wait_for_selector("h2:has-text('各事项办理结果')")
    assert "100.0%" in tab.locator("main").inner_text()
    _look(tab, accessible)
