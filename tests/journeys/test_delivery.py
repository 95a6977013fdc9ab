"""Delivery as it is lived: set up, rows arrive, the receiver refuses, is mended, and takes a correction."""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
KEY = "连云港-签名密钥-2026-0001"
DESK = "/workbench/delivery/"


@dataclass
class Hook:
    """The housing fund's web address: the rows that it holds, and whether it refuses."""

    port: int = 0
    refuses: bool = False
    rows: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    """A real HTTP server that takes JSON lines as a department's program does."""
    held = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not held.refuses:
                for line in body.decode().splitlines():
                    told = json.loads(line)
                    if told["op"] == "delete":
                        held.rows.pop(told["key"]["citizen_number"], None)
                    else:
                        held.rows[told["row"]["citizen_number"]] = told["row"]["name"]
            self.send_response(400 if held.refuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = os.environ.get("LIANYUN_RECEIVER_HOSTS")
    os.environ["LIANYUN_RECEIVER_HOSTS"] = f"127.0.0.1:{held.port}"
    yield held
    if before is None:
        del os.environ["LIANYUN_RECEIVER_HOSTS"]
    else:
        os.environ["LIANYUN_RECEIVER_HOSTS"] = before
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def city(city_database: None, tmp_path_factory: Any) -> Iterator[str]:
    """The product served; the police have people, the housing fund a right on them."""
    from django.db import connections
    from django.test import override_settings
    from pytest_django.live_server_helper import LiveServer

    from lianyun.capabilities.catalogue.api import register_dataset
    from lianyun.capabilities.delivery.tests.conftest import FIELDS, ITEMS
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource
    from lianyun.kernel.party import department
    from lianyun.lake import shelves
    from lianyun.project.testing import create_database, drop_database

    name = f"lake_{secrets.token_hex(6)}"
    with override_settings(
        LAKE_CATALOGUE_URL=create_database(name),
        LAKE=str(tmp_path_factory.mktemp("lake")),
        HOME=tmp_path_factory.mktemp("home"),
    ):
        content = {
            "name": "people_d", "title": "参保人员", "code": "101001/900007", "level": 3,
            "cycle": "每日", "items": ITEMS,
        }  # fmt: skip
        made = register_dataset(provider=department("ga"), content=content, by=SYSTEM)
        Resource.objects.filter(pk=made.pk).update(state=Resource.PUBLISHED)
        made.refresh_from_db()
        grants.issue(
            kind="data", to=department("gjj"), resource=made, by=SYSTEM,
            terms={"fields": FIELDS, "masks": {}, "scope": {}, "purpose": "核定缴存", "method": "批量交换"},
        )  # fmt: skip
        for slug, title, username in (("ga", "王专员", "ga.data"), ("gjj", "刘专员", "gjj.data")):
            create_account(
                department(slug), title, username, ["data_officer"],
                password=PASSWORD, must_change=False, by=SYSTEM,
            )  # fmt: skip
        connections.close_all()
        server = LiveServer("127.0.0.1")
        yield str(server.url)
        server.stop()
        connections.close_all()
        shelves.close_all()
    drop_database(name)


def load(names: dict[int, str]) -> None:
    """The police bring a batch: people by number."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.delivery.tests.conftest import SPEC, TITLES, person
    from lianyun.kernel import batch
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource
    from lianyun.lake.land import from_rows
    from lianyun.lake.merge import load as merge

    made = batch.start(Resource.objects.get(name="people_d"), by=SYSTEM)
    rows = [person(n, name=name) for n, name in names.items()]
    source = from_rows(TITLES, list(enumerate(rows, 2)))
    done = merge(collection.lake(), SPEC, source, "full", made.code, allow_shrink=True)
    batch.finish(made, done.as_dict(), by=SYSTEM)


def work() -> None:
    """What the worker does in a minute, pauses being over."""
    from lianyun.capabilities.delivery import api as delivery
    from lianyun.capabilities.delivery.models import Subscription
    from lianyun.kernel.access import SYSTEM

    Subscription.objects.update(next_at=None)
    for row in Subscription.objects.all():
        delivery.carry(code=row.code, by=SYSTEM)


def enter(tab: Any, city: str, username: str, path: str) -> None:
    """Sign in as somebody else."""
    tab.context.clear_cookies()
    tab.goto(f"{city}/login/?next={path}")
    tab.fill("#id_username", username)
    tab.fill("#id_password", PASSWORD)
    tab.click("main button[type=submit]")
    tab.wait_for_url(f"**{path}")


def look(tab: Any, name: str, accessible: Callable[[Any], None]) -> None:
    """The page is usable by everybody, on a desk and on a phone."""
    shots = os.environ.get("LIANYUN_SHOTS")
    for width in (1280, 375):
        tab.set_viewport_size({"width": width, "height": 900})
        assert fits(tab), (name, width)
        if shots:
            tab.screenshot(path=Path(shots) / f"{name}-{width}.png", full_page=True)
    accessible(tab)
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_a_subscription_from_its_form_to_a_correction_taken(
    city: str, hook: Hook, tab: Any, accessible: Callable[[Any], None]
) -> None:
    from playwright.sync_api import expect

    load({1: "张一", 2: "张二"})

    # the receiver's officer sets it up, tries the connection, and the rows arrive
    enter(tab, city, "gjj.data", DESK)
    look(tab, "1-list", accessible)
    tab.get_by_role("link", name="增加接收方").click()
    look(tab, "2-kinds", accessible)
    tab.get_by_role("link", name=re.compile("Webhook")).click()
    tab.fill("#id_location", f"http://127.0.0.1:{hook.port}/hook")
    tab.fill("#id_key", "short")
    tab.get_by_role("button", name="保存").click()
    expect(tab.locator("main")).to_contain_text("签名密钥不少于 16 位")
    look(tab, "3-form", accessible)
    tab.fill("#id_key", KEY)
    tab.get_by_role("button", name="保存").click()
    expect(tab.locator("main h1")).to_contain_text("参保人员")
    subscription = tab.url
    tab.get_by_role("button", name="测试连接").click()
    expect(tab.locator("#test-result")).to_contain_text("连接成功")
    work()
    assert sorted(hook.rows.values()) == ["张一", "张二"]
    tab.goto(subscription)
    expect(tab.locator("main h1")).to_contain_text("已是最新")
    look(tab, "4-subscription", accessible)

    # it refuses a correction: a dead letter, whose reason is told, and nothing is lost behind it
    hook.refuses = True
    load({1: "张一", 2: "章二"})
    work()
    load({1: "张一", 2: "章二", 3: "张三"})
    work()
    assert hook.rows[f"3299{2:014d}"] == "张二"
    tab.goto(f"{city}{DESK}dead/")
    look(tab, "5-dead", accessible)
    tab.locator("table").get_by_role("link", name="参保人员").click()
    expect(tab.locator("main")).to_contain_text("400")
    look(tab, "6-settle", accessible)
    letter = tab.url

    # meanwhile the provider sees who still works with the old value
    enter(tab, city, "ga.data", f"{DESK}receivers/")
    look(tab, "7-receivers", accessible)
    tab.locator("main section").get_by_role("link", name="参保人员", exact=True).click()
    expect(tab.locator("main")).to_contain_text("尚未接收的接收方")
    expect(tab.locator("main")).to_contain_text("停在死信，等待处理")
    look(tab, "8-takers", accessible)
    takers = tab.url

    # mended and tried again: all that waited arrives, once and in order
    hook.refuses = False
    enter(tab, city, "gjj.data", DESK)
    tab.goto(letter)
    tab.get_by_role("button", name="重新投递").click()
    expect(tab.locator("body")).to_contain_text("已重新投递")
    work()
    assert sorted(hook.rows.values()) == ["张一", "张三", "章二"]
    tab.goto(f"{city}{DESK}dead/")
    expect(tab.locator("main")).to_contain_text("没有死信")
    enter(tab, city, "ga.data", f"{DESK}receivers/")
    tab.goto(takers)
    expect(tab.locator("main")).to_contain_text("所有接收方都已接收这一批")
