"""Cascade as two operators and their departments live it: enrol, compare, ask, receive, decide."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lianyun.capabilities.cascade.tests.pair import Pair, Side, wait_until
from lianyun.capabilities.cascade.tests.test_pair import GRANT, STEP, load, residents
from lianyun.project.testing import fits

pytestmark = pytest.mark.timeout(280)
PASSWORD = "Haizhou-2026"
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
ACCOUNTS = (
    ("sjj", "吴系统", "sjj.admin", "system_admin"),
    ("sjj", "郑目录", "sjj.list", "bureau_catalogue"),
    ("mz", "王民政", "mz.data", "data_officer"),
    ("mz", "李局长", "mz.head", "share_head"),
    ("ga", "赵户政", "ga.data", "data_officer"),
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("nodes"))
    try:
        for side in made.both():
            side.ready()
            side.do(
                """
from lianyun.capabilities.identity.api import create_account
Resource.objects.filter(kind='dataset').exclude(name='ga_residents').update(state='draft')
for slug, name, username, role in given[0]:
    create_account(department(slug), name, username, [role], password=given[1], must_change=False, by=SYSTEM)
""",
                [ACCOUNTS, PASSWORD],
            )
            side.start_worker()
        load(made.upper, "ga_residents", residents(made.upper, 90, ("320707", "320703")))
        yield made
    finally:
        made.close()


def enter(tab: Any, side: Side, username: str, path: str) -> None:
    """Sign in at a node as somebody."""
    tab.set_default_timeout(60_000)
    tab.context.clear_cookies()
    tab.goto(f"http://127.0.0.1:{side.port}/login/?next={path}")
    tab.fill("#id_username", username)
    tab.fill("#id_password", PASSWORD)
    tab.click("main button[type=submit]")
    tab.wait_for_url(f"**{path}")


@pytest.fixture
def look(accessible: Callable[[Any], None]) -> Callable[[Any, str], None]:
    """Judges a page at both widths; with LIANYUN_PICTURES a picture of each is kept there."""

    def see(tab: Any, name: str) -> None:
        for size in (PHONE, DESK):
            tab.set_viewport_size(size)
            # The menu slides away; a picture of it on its way would show nothing true.
            tab.wait_for_timeout(400)
            assert fits(tab), f"{name} {size}"
            if folder := os.environ.get("LIANYUN_PICTURES"):
                path = Path(folder) / f"{name}-{size['width']}.png"
                tab.screenshot(path=str(path), full_page=True)
        accessible(tab)

    return see


def identify(tab: Any, side: Side, code: str, name: str, level: str) -> None:
    enter(tab, side, "sjj.admin", "/workbench/cascade/")
    tab.click("text=填写本节点身份")
    tab.fill("#id_code", code)
    tab.fill("#id_name", name)
    tab.select_option("#id_level", level)
    tab.fill("#id_address", side.wire.address)
    tab.click("main form button[type=submit]")
    tab.wait_for_selector(f"text=本节点：{name}")


@pytest.mark.slow  # what the two nodes do to each other is tried in the capability's own tests
def test_two_operators_and_their_departments(
    tab: Any, pair: Pair, look: Callable[[Any, str], None]
) -> None:
    upper, lower = pair.both()
    # The upper operator prepares the enrolment and reads the code out.
    enter(tab, upper, "sjj.admin", "/workbench/cascade/")
    look(tab, "empty")
    identify(tab, upper, "320700", "连云港市", "city")
    tab.click("text=登记下级节点")
    tab.fill("#id_code", "320707")
    tab.fill("#id_name", "赣榆区")
    tab.select_option("#id_level", "county")
    tab.click("main form button[type=submit]")
    code = tab.inner_text("#invitation").strip()
    assert len(code) == 24
    look(tab, "invitation")
    # The lower operator types it in.
    identify(tab, lower, "320707", "赣榆区", "county")
    tab.click("text=接入上级节点")
    tab.fill("#id_address", upper.wire.address)
    tab.fill("#id_invitation", "AAAA-BBBB-CCCC-DDDD-EEEE")
    tab.click("main form button[type=submit]")
    tab.wait_for_selector("text=接入码不正确")
    tab.fill("#id_invitation", code.lower().replace("-", " "))
    tab.click("main form button[type=submit]")
    tab.wait_for_url("**/links/320700/")
    shown_below = tab.locator("section:has(h2:text('核对指纹')) p.mono").all_inner_texts()
    look(tab, "link-below")
    # Both see the same two fingerprints; the upper one lets the link work.
    enter(tab, upper, "sjj.admin", "/workbench/cascade/links/320707/")
    shown_above = tab.locator("section:has(h2:text('核对指纹')) p.mono").all_inner_texts()
    assert shown_above[:2] == shown_below[::-1]
    assert shown_above[2:] == [lower.wire.address]  # it names it; the operator says if it is so
    look(tab, "link-unconfirmed")
    tab.click("text=指纹一致，启用连接")
    tab.click("dialog button.primary, dialog button.danger")
    tab.wait_for_selector("text=连接启用")
    # The department below finds the upper node's data and asks; its head consents.
    wait_until(lambda: lower.do("answer = queries.offers(SYSTEM).count()") == 1)
    enter(tab, lower, "mz.data", "/workbench/cascade/offers/")
    look(tab, "offers")
    tab.click("tbody a >> nth=0")
    tab.fill("#id_basis", "《社会救助暂行办法》第十二条")
    tab.fill("#id_scene", "核验低保申请人户籍")
    tab.fill("#id_purpose", "核验户籍")
    for name in ("citizen_number", "name", "region_code"):
        tab.check(f"input[name=fields_][value={name}]")
    tab.check("input[name=plain][value=citizen_number]")
    look(tab, "offer")
    tab.click("main form button[type=submit]")
    tab.wait_for_selector("text=说明理由")
    tab.fill("#id_plain_reason", "逐人核验须用原值")
    tab.click("main form button[type=submit]")
    tab.wait_for_url("**/cascade/cases/*/")
    case = tab.url.rstrip("/").rpartition("/")[2]
    enter(tab, lower, "mz.head", f"/workbench/cascade/cases/{case}/")
    look(tab, "case-consent")
    tab.click("button[value=agree]")
    tab.wait_for_selector("text=已办理")
    # The provider above works it like any request, and both sides see the same day.
    exchange = f"320707-{case}"
    arrived = "answer = Ask.objects.filter(exchange=given).exists()"
    wait_until(lambda: upper.do(arrived, exchange))
    due = upper.do(
        "answer = str(Ask.objects.get(exchange=given).case.items.get(done_at=None).due_on)",
        exchange,
    )
    wait_until(
        lambda: (
            lower.do("answer = Ask.objects.get(exchange=given).told.get('due_on')", exchange) == due
        )
    )
    enter(tab, lower, "mz.data", f"/workbench/cascade/cases/{case}/")
    tab.wait_for_selector(f"text={due}")
    look(tab, "case-waiting")
    for step in (("answer", "agree"), ("approve", "agree"), ("deliver", "done")):
        upper.do(STEP, [exchange, *step, "同意"])
    wait_until(
        lambda: lower.do("answer = Transfer.objects.filter(kind='return', stage='done').exists()")
    )
    tab.reload()
    tab.wait_for_selector("text=授权与数据")
    assert tab.locator("text=有效").count()
    look(tab, "case-delivered")
    tab.click("text=回流数据与入湖结果")
    tab.wait_for_selector("text=接收")
    look(tab, "transfer")
    # The provider's stop is seen below at once.
    upper.do(
        """
from lianyun.kernel import grant as grants
with transaction.atomic():
    grants.suspend(Ask.objects.select_related('grant').get(exchange=given).grant, reason='核查使用情况', by=SYSTEM)
""",
        exchange,
    )
    wait_until(lambda: lower.do(GRANT) == ["suspended", False])
    tab.goto(f"http://127.0.0.1:{lower.port}/workbench/cascade/cases/{case}/")
    tab.wait_for_selector("text=核查使用情况")
    # What stands against an entry of ours is decided by an officer, side by side.
    enter(tab, upper, "sjj.list", "/workbench/cascade/entries/")
    look(tab, "entries")
    tab.click("tbody a >> nth=0")
    tab.wait_for_selector("text=资源代码与本级目录相同")
    look(tab, "conflict")
    tab.check("input[name=decision][value=both]")
    tab.fill("#id_note", "区级数据范围不同，并存")
    tab.click("main form button[type=submit]")
    tab.wait_for_selector("text=已收录")
    # The department below uploads and sees what was rejected.
    load(lower, "ga_residents", residents(lower, 40, ("320707",)))
    enter(tab, lower, "ga.data", "/workbench/cascade/transfers/")
    tab.click("text=上传数据")
    look(tab, "upload")
    tab.click("main form button[type=submit]")
    tab.wait_for_url("**/transfers/320707-*/")
    wait_until(
        lambda: lower.do("answer = Transfer.objects.filter(kind='upload', stage='done').exists()")
    )
    tab.reload()
    look(tab, "upload-done")
    tab.goto(f"http://127.0.0.1:{lower.port}/workbench/cascade/transfers/")
    tab.wait_for_selector("text=传送安排")
    look(tab, "transfers")
    # A link that fails is seen with its reason, and tried again by hand.
    upper.wire.cut()
    lower.do("answer = actions.converse('320700', force=True)")
    enter(tab, lower, "sjj.admin", "/workbench/cascade/links/320700/")
    tab.wait_for_selector("text=连接中断")
    look(tab, "link-broken")
    upper.wire.mend()
    tab.click("text=立即重试")
    tab.wait_for_selector("text=已安排立即重试")
    wait_until(lambda: lower.do("answer = link().failures") == 0)
    tab.reload()
    tab.wait_for_selector("h1 >> text=正常")
    tab.goto(f"http://127.0.0.1:{lower.port}/workbench/cascade/")
    look(tab, "home")
    tab.goto(f"http://127.0.0.1:{lower.port}/workbench/cascade/requests/")
    look(tab, "requests")
