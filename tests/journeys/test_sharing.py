"""Sharing as it is lived: ask, consent, answer, deliver, call, withdraw, refused; and the person sees it."""

from __future__ import annotations

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


@dataclass(frozen=True)
class City:
    """The running product: its address."""

    url: str


def _people() -> None:
    from django.db import transaction
    from django.utils import timezone

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.libraries.api import sync_libraries
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import Party, department

    for slug, name, username, role in (
        ("mz", "王民政", "mz.data", "data_officer"),
        ("mz", "李局长", "mz.head", "share_head"),
        ("ga", "赵户政", "ga.data", "data_officer"),
        ("ga", "钱处长", "ga.head", "share_head"),
        ("sjj", "孙运营", "sjj.run", "bureau_operator"),
        ("sjj", "周审计", "sjj.audit", "audit_admin"),
    ):
        create_account(
            department(slug),
            name,
            username,
            [role],
            password=PASSWORD,
            must_change=False,
            by=SYSTEM,
        )
    person = Party.objects.create(kind=Party.PERSON, name="张三丰")
    user = User(username="zhangsanfeng", party=person, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    audit.link_person(party=person, citizen_number=PERSON, by=SYSTEM)
    with transaction.atomic():
        sync_declared(by=SYSTEM)
        sync_libraries(by=SYSTEM)


def _rows() -> None:
    from lianyun.capabilities.catalogue.api import items_of, resource_of
    from lianyun.capabilities.services import adapters
    from lianyun.lake.shelves import Column, ensure_table

    with adapters.lake().connect() as con:
        names = [i.name for i in items_of(resource_of("ga_residents"))]
        ensure_table(
            con, "trusted", "ga_residents", [*(Column(n) for n in names), Column("_batch")]
        )
        con.execute(
            "INSERT INTO lake.trusted.ga_residents (citizen_number, name, sex, phone) VALUES "
            f"('{PERSON}', '张三丰', '1', '13812345678')"
        )


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
        _people()
        _rows()
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
                if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield City(url)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    drop_database(catalogue_name)


def enter(tab: Any, city: City, username: str, path: str) -> None:
    """Sign in as somebody else."""
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


def picture(tab: Any, name: str) -> None:
    """Keep a picture of the page where the environment asks for pictures."""
    folder = os.environ.get("LIANYUN_PICTURES")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=f"{folder}/{name}-1280.png", full_page=True)
    tab.set_viewport_size(PHONE)
    tab.screenshot(path=f"{folder}/{name}-375.png", full_page=True)
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_from_request_to_withdrawal(
    city: City, tab: Any, accessible: Callable[[Any], None]
) -> None:
    enter(tab, city, "mz.data", "/workbench/sharing/new/ga_residents/")
    accessible(tab)
    picture(tab, "request")
    tab.fill("#id_basis", "《社会救助暂行办法》第十二条")
    tab.fill("#id_scene", "低保申请受理环节核对家庭成员身份")
    tab.fill("#id_purpose", "低保核对")
    for label in ("公民身份号码", "姓名", "联系电话"):
        tab.locator("#id_fields_ label, fieldset label").filter(has_text=label).first.click()
    tab.fill("#id_calls_per_day", "100")
    press(tab, "提交申请")
    path = re.sub(r"^https?://[^/]+", "", tab.url)
    assert re.fullmatch(r"/workbench/sharing/cases/\d+/", path)
    accessible(tab)

    enter(tab, city, "mz.head", "/workbench/sharing/desk/")
    accessible(tab)
    tab.goto(f"{city.url}{path}")
    press(tab, "同意申请")

    enter(tab, city, "ga.data", path)
    assert "剩余 10 个工作日" in tab.locator("main").inner_text()
    accessible(tab)
    picture(tab, "answer")
    press(tab, "拟同意共享")
    enter(tab, city, "ga.head", path)
    press(tab, "同意共享")
    enter(tab, city, "ga.data", path)
    press(tab, "已开通数据服务")

    enter(tab, city, "mz.data", path)
    press(tab, "领取调用密钥")
    token = tab.locator("#secret").inner_text().strip()
    assert re.fullmatch(r"lyc_[0-9a-f]{16}\.[\w-]{43}", token)
    accessible(tab)
    tab.goto(f"{city.url}{path}")
    assert token not in tab.content()
    picture(tab, "case")

    tab.goto(f"{city.url}/workbench/services/ga_residents/")
    accessible(tab)
    tab.fill("#try-token", token)
    tab.fill("#try-citizen_number", PERSON)
    tab.fill("#try-purpose", "办件 2026-001")
    tab.click("[data-try] button")
    tab.wait_for_selector("#answer[data-status='200']")
    shown = tab.locator("#answer").inner_text()
    assert "张**" in shown
    assert "张三丰" not in shown
    assert PERSON not in shown
    picture(tab, "service")

    address = f"{city.url}/api/data/ga_residents/{PERSON}"
    header = {"Authorization": f"Bearer {token}"}
    assert httpx.get(address, headers=header).status_code == 200

    enter(tab, city, "sjj.run", "/workbench/sharing/grants/")
    accessible(tab)
    tab.locator("main td a").first.click()
    tab.wait_for_load_state("load")
    accessible(tab)
    picture(tab, "grant")
    tab.fill("#id_reason", "发现超出批准用途使用数据")
    press(tab, "撤回授权")
    refused = httpx.get(address, headers=header)
    assert refused.status_code == 403
    assert "撤回" in refused.json()["title"]
    tab.goto(f"{city.url}/workbench/sharing/overview/")
    accessible(tab)
    picture(tab, "overview")

    time.sleep(0.5)
    enter(tab, city, "zhangsanfeng", "/seen/")
    text = tab.locator("main").inner_text()
    assert "民政局" in text
    assert "办件 2026-001" in text
    assert "低保核对" in text
    accessible(tab)
    picture(tab, "seen")

    enter(tab, city, "sjj.audit", "/workbench/audit/calls/")
    assert "授权无效" in tab.locator("main").inner_text()
    accessible(tab)
    picture(tab, "calls")
    tab.goto(f"{city.url}/workbench/audit/proof/")
    press(tab, "现在核验")
    assert "都完好" in tab.locator("main").inner_text()
    tab.goto(f"{city.url}/workbench/audit/")
    accessible(tab)
    picture(tab, "ledger")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/workbench/sharing/",
        "/workbench/sharing/new/",
        "/workbench/sharing/new/ga_residents/",
        "/workbench/services/",
        "/workbench/services/clients/",
        "/workbench/libraries/",
        "/workbench/libraries/population/",
    ],
)
def test_pages_are_accessible_and_fit_a_phone(
    city: City, tab: Any, accessible: Callable[[Any], None], path: str
) -> None:
    enter(tab, city, "mz.data", path)
    accessible(tab)
    picture(tab, path.strip("/").replace("/", "-"))
    tab.set_viewport_size(PHONE)
    assert fits(tab)
