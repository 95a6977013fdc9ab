"""A share's whole life as it is lived: misuse to the end, need to first share, a citizen's correction, a basket."""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
PHONE = {"width": 375, "height": 800}
ACCOUNTS = (
    ("mz", "王民政", "mz.data", "data_officer"),
    ("mz", "李局长", "mz.head", "share_head"),
    ("ga", "赵户政", "ga.data", "data_officer"),
    ("ga", "钱处长", "ga.head", "share_head"),
    ("gjj", "吴公积", "gjj.data", "data_officer"),
    ("sjj", "孙运营", "sjj.run", "bureau_operator"),
)


@dataclass(frozen=True)
class City:
    """The running product: its address, and the grant that the officers use."""

    url: str
    grant: str


def _fill() -> str:
    """Accounts, a catalogue, one person's row, and a grant from 公安 to 民政; its code."""
    from django.db import transaction
    from django.utils import timezone

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.catalogue.api import items_of, resource_of, sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.services import adapters
    from lianyun.capabilities.sharing import api as sharing
    from lianyun.kernel.access import SYSTEM, actor_of
    from lianyun.kernel.models import Case, Grant, Resource
    from lianyun.kernel.party import Party, department
    from lianyun.lake.shelves import Column, ensure_table

    for slug, name, username, role in ACCOUNTS:
        create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
    person = Party.objects.create(kind=Party.PERSON, name="张三丰")
    user = User(username="zhangsanfeng", party=person, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    audit.link_person(party=person, citizen_number=PERSON, by=SYSTEM)
    with transaction.atomic():
        sync_declared(by=SYSTEM)
    with adapters.lake().connect() as con:
        names = [i.name for i in items_of(resource_of("ga_residents"))]
        columns = [*(Column(n) for n in names), Column("_batch")]
        ensure_table(con, "trusted", "ga_residents", columns)
        con.execute(
            "INSERT INTO lake.trusted.ga_residents (citizen_number, name, sex, phone) VALUES "
            f"('{PERSON}', '张三丰', '1', '13812345678')"
        )

    def by(username: str) -> Any:
        return actor_of(User.objects.get(username=username).party)

    def do(case: Case, step: str, outcome: str, username: str) -> None:
        item = case.items.get(step=step, done_at=None)
        sharing.do_step(item=item, outcome=outcome, by=by(username))

    case = sharing.request_share(
        resource=Resource.objects.get(name="ga_residents"),
        request=sharing.Request(
            basis="《社会救助暂行办法》第十二条",
            scene="低保申请家庭成员核对",
            purpose="低保核对",
            fields=("citizen_number", "name", "phone"),
            until=timezone.localdate() + dt.timedelta(days=25),
        ),
        by=by("mz.data"),
    )
    for step, outcome, who in (
        ("consent", "agree", "mz.head"),
        ("answer_conditional", "agree", "ga.data"),
        ("approve", "agree", "ga.head"),
        ("deliver", "done", "ga.data"),
    ):
        do(case, step, outcome, who)
    return str(Grant.objects.get(case=case).code)


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[City]:
    """The product as it is really served, over the module's database and a lake of its own."""
    from django.db import connections
    from django.test import override_settings

    from lianyun.project.testing import create_database, drop_database, server_url

    database = server_url(str(connections.settings["default"]["NAME"]))
    catalogue_name = f"lake_{secrets.token_hex(6)}"
    catalogue = create_database(catalogue_name)
    folder = str(tmp_path_factory.mktemp("lake"))
    with override_settings(DATABASE_URL=database, LAKE_CATALOGUE_URL=catalogue, LAKE=folder):
        grant = _fill()
        connections.close_all()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        command = [sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"]
        command += [f"--port={port}", "--workers=1", "--no-ws", "--log-level=warning"]
        process = subprocess.Popen(
            [*command, "lianyun.project.asgi:app"],
            env={
                **os.environ,
                "LIANYUN_DATABASE_URL": database,
                "LIANYUN_LAKE_CATALOGUE": catalogue,
                "LIANYUN_LAKE": folder,
            },
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if httpx.get(f"{url}/healthz", timeout=2).status_code in (200, 503):
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield City(url, grant)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    drop_database(catalogue_name)


def enter(tab: Any, city: City, username: str, path: str) -> None:
    """Sign in as somebody else and go there."""
    tab.context.clear_cookies()
    tab.goto(f"{city.url}/login/?next={path}")
    tab.fill("#id_username", username)
    tab.fill("#id_password", PASSWORD)
    tab.click("main button[type=submit]")
    tab.wait_for_url(f"**{path}")


def press(tab: Any, text: str) -> None:
    """Press a button, and say yes where the page asks again."""
    button = tab.locator(f"main button:has-text('{text}')").first
    asks = button.get_attribute("data-confirm") is not None
    with tab.expect_navigation():
        button.click()
        if asks:
            tab.click("#confirm-yes")
    tab.wait_for_load_state("load")


def here(tab: Any) -> str:
    """The path of the page, without the site."""
    return re.sub(r"^https?://[^/]+", "", tab.url)


def look(tab: Any, name: str, accessible: Callable[[Any], None]) -> None:
    """The page passes axe at both widths and fits a phone; a picture is kept where one is asked for."""
    accessible(tab)
    folder = os.environ.get("LIANYUN_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=f"{folder}/{name}-1280.png", full_page=True)
    tab.set_viewport_size(PHONE)
    assert fits(tab), name
    if folder:
        tab.screenshot(path=f"{folder}/{name}-375.png", full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})


def write(tab: Any, text: str) -> None:
    """Fill in the reason of the step that waits."""
    tab.locator("main textarea[name=note]").first.fill(text)


@pytest.mark.slow
def test_a_basket_of_datasets(city: City, tab: Any, accessible: Callable[[Any], None]) -> None:
    enter(tab, city, "gjj.data", "/workbench/sharing/home/")
    tab.fill("#q", "户籍人口")
    press(tab, "搜索")
    tab.locator("main li", has_text="户籍人口信息").locator("button:has-text('选数')").click()
    tab.wait_for_load_state("load")
    look(tab, "home-search", accessible)
    tab.goto(f"{city.url}/workbench/sharing/new/?q=结婚")
    tab.locator("main td input[name=pick]").first.check()
    press(tab, "加入选数车")
    tab.goto(f"{city.url}/workbench/sharing/new/?q=参保")
    tab.locator("main td input[name=pick]").first.check()
    press(tab, "加入选数车")
    assert "将形成 3 件申请" in tab.locator("main").inner_text()
    look(tab, "basket", accessible)
    tab.fill("#id_basis", "《住房公积金管理条例》第二十四条")
    tab.fill("#id_scene", "提取住房公积金时核验身份和婚姻状况")
    tab.fill("#id_purpose", "提取核验")
    for field in tab.locator("main fieldset:has(legend:has-text('数据项'))").all():
        if "不脱敏" not in field.inner_text():
            field.locator("input").first.check()
    press(tab, "一次提交 3 件申请")
    assert here(tab) == "/workbench/sharing/home/"
    assert "已提交 3 件申请" in tab.locator("body").inner_text()
    look(tab, "home", accessible)


def test_from_a_need_to_a_promise(city: City, tab: Any, accessible: Callable[[Any], None]) -> None:
    enter(tab, city, "mz.data", "/workbench/sharing/needs/new/")
    tab.fill("#id_title", "户籍人口")
    tab.wait_for_selector("#similar a:has-text('户籍人口信息')")
    look(tab, "need-similar", accessible)
    tab.fill("#id_title", "户口迁移明细")
    tab.fill("#id_items", "姓名，迁入地，迁出地")
    tab.fill("#id_duty", "低保审批")
    tab.fill("#id_purpose", "核对家庭成员迁移情况")
    tab.fill("#id_basis", "《社会救助暂行办法》第十二条")
    press(tab, "提交需求")
    path = here(tab)
    enter(tab, city, "mz.head", path)
    press(tab, "同意提出")
    enter(tab, city, "sjj.run", path)
    tab.select_option("#id_department", "ga")
    press(tab, "明确数源部门")
    enter(tab, city, "ga.data", path)
    look(tab, "need-accept", accessible)
    tab.fill("#id_by_day", (dt.date.today() + dt.timedelta(days=20)).isoformat())  # noqa: DTZ011
    press(tab, "承担，按期编制目录")
    tab.select_option("#id_resource", "ga_residents")
    press(tab, "目录已发布")
    enter(tab, city, "mz.data", path)
    assert "申请共享" in tab.locator("main").inner_text()
    look(tab, "need-follow", accessible)


def test_a_citizen_sets_right_what_is_wrong(
    city: City, tab: Any, accessible: Callable[[Any], None]
) -> None:
    enter(tab, city, "zhangsanfeng", "/my-data/")
    look(tab, "own", accessible)
    tab.fill("#id_number", PERSON)
    press(tab, "查看我的数据")
    with tab.expect_navigation():
        tab.click("main a:has-text('户籍人口信息')")
    assert "13812345678" in tab.locator("main").inner_text()
    look(tab, "own-rows", accessible)
    with tab.expect_navigation():
        tab.locator("main tr", has_text="13812345678").locator("a").click()
    tab.fill("#id_expected", "13900000000")
    tab.fill("#id_told", "号码三年前已停用")
    look(tab, "own-report", accessible)
    press(tab, "提交校核")
    text = tab.locator("main").inner_text()
    code = re.search(r"\d{14}", text)
    assert code is not None
    assert "核实中" in text
    enter(tab, city, "ga.data", f"/workbench/quality/cases/{code.group()}/")
    assert "由数据涉及的本人提出" in tab.locator("main").inner_text()
    tab.locator("main textarea").first.fill("已按申请人提供的号码更正")
    tab.locator("main input[value=corrected]").check()
    press(tab, "办结校核")
    enter(tab, city, "zhangsanfeng", "/my-data/")
    text = tab.locator("main").inner_text()
    assert "已更正" in text
    assert "已按申请人提供的号码更正" in text


@pytest.mark.slow
def test_misuse_to_the_end(city: City, tab: Any, accessible: Callable[[Any], None]) -> None:
    enter(tab, city, "ga.data", f"/workbench/sharing/grants/{city.grant}/misuse/")
    look(tab, "misuse-clue", accessible)
    tab.fill("#id_summary", "凌晨按号码顺序连续查询")
    tab.fill("#id_text", "调用记录显示 01:00 至 04:00 查询 3,000 人")
    press(tab, "提交线索")
    path = here(tab)
    enter(tab, city, "sjj.run", path)
    tab.fill("#id_days", "5")
    write(tab, "日志与当事人陈述一致")
    look(tab, "misuse-verify", accessible)
    press(tab, "属实，暂停共享并限期整改")
    assert "暂停" in tab.locator("main").inner_text()
    enter(tab, city, "mz.data", path)
    assert "剩余 5 个工作日" in tab.locator("main").inner_text()
    write(tab, "业务需要，不再整改")
    press(tab, "不整改并说明理由")
    enter(tab, city, "sjj.run", path)
    write(tab, "拒不整改")
    press(tab, "终止共享并处置数据")
    enter(tab, city, "mz.data", f"/workbench/sharing/grants/{city.grant}/")
    look(tab, "grant-ended", accessible)
    tab.fill("#dispose-reason", "已删除接收表和缓存共 12 行")
    press(tab, "确认已处置")
    assert "待提供部门确认" in tab.locator("main").inner_text()
    enter(tab, city, "sjj.run", "/workbench/sharing/clocks/?verify=1")
    assert "完全一致" in tab.locator("main").inner_text()
    look(tab, "clocks", accessible)
    tab.goto(f"{city.url}{path}")
    look(tab, "misuse", accessible)
    tab.goto(f"{city.url}{path.replace('matters', 'clocks')}")
    look(tab, "clock-case", accessible)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["home/", "matters/", "needs/", "returns/", "returns/new/", "yearly/", "ranking/", "overlaps/"],
)
def test_pages_are_accessible_and_fit_a_phone(
    city: City, tab: Any, accessible: Callable[[Any], None], path: str
) -> None:
    enter(tab, city, "sjj.run", "/workbench/sharing/home/")
    if path in ("returns/new/",):
        enter(tab, city, "mz.data", f"/workbench/sharing/{path}")
    tab.goto(f"{city.url}/workbench/sharing/{path}")
    look(tab, f"page-{path.strip('/').replace('/', '-')}", accessible)
