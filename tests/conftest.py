"""Fixtures for whole stories: a city's database, a browser, and what it must not complain of."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lianyun.project import frontend
from lianyun.project.testing import create_database, drop_database, installed_database

# The one without windows draws a page at half the cost; its bigger sisters do as well.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))),
    None,
)
# Contrast and labels are part of the standard that public sites must meet (GB/T 37668).
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def city_database(lianyun_database: None, django_db_blocker: Any) -> Iterator[None]:
    """A database of the module's own with all packs installed; what tests write is really
    committed and stays until the module ends."""
    from django.db import connections

    default = connections.settings["default"]
    before = default["NAME"]
    name = f"city_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    create_database(name, installed_database())
    with django_db_blocker.unblock():
        connections.close_all()
        default["NAME"] = connections["default"].settings_dict["NAME"] = name
        yield
        connections.close_all()
        default["NAME"] = connections["default"].settings_dict["NAME"] = before
    drop_database(name)


@pytest.fixture(scope="module")
def own_lake(tmp_path_factory: Any) -> Iterator[None]:
    """A lake of the module's own, with its catalogue; dropped after it."""
    from django.test import override_settings

    from lianyun.project.testing import create_database, drop_database

    name = f"lake_{secrets.token_hex(6)}"
    folder = str(tmp_path_factory.mktemp("lake"))
    with override_settings(LAKE_CATALOGUE_URL=create_database(name), LAKE=folder):
        yield
    drop_database(name)


@pytest.fixture(scope="module")
def site(city_database: None) -> Iterator[str]:
    """The product served on a port of this machine over the module's city; its address.

    Not pytest-django's `live_server`: that one empties every table after each test.
    """
    from pytest_django.live_server_helper import LiveServer

    server = LiveServer("127.0.0.1")
    yield str(server.url)
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser for a module's tests; they are left out where there is none.

    Not for the session: Playwright's loop would stand in the way of other files' own loops.
    """
    if CHROMIUM is None or not frontend.installed():
        pytest.skip("chromium 或前端库未安装，浏览器测试被跳过")
    from django.db import connections
    from playwright.sync_api import sync_playwright

    # Playwright's loop makes Django think that the test itself is asynchronous.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # Drawing by a processor that plays graphics card costs more than all the pages do.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        # While that loop runs, Django keeps connections of its own for this thread: to a database
        # that goes with the module.
        connections.close_all()
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A new Chinese-speaking tab; the test fails if the page reports an error or breaks the
    content security policy."""
    context = chromium.new_context(
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",  # a check must not meet a notice half faded in
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
    assert not complaints, "\n".join(complaints)


PASSWORD = "Haizhou-2026"


@pytest.fixture
def sign_in(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Signs an account in through the login page: `sign_in(tab, username, path="/workbench/")`."""

    def sign(tab: Any, username: str, path: str = "/workbench/", password: str = PASSWORD) -> None:
        site = request.getfixturevalue("site")
        tab.context.clear_cookies()
        tab.set_default_timeout(60_000)
        tab.goto(f"{site}{path}")
        tab.fill("#id_username", username)
        tab.fill("#id_password", password)
        with tab.expect_navigation():
            tab.click("main button[type=submit]")

    return sign


@pytest.fixture
def accessible() -> Callable[[Any], None]:
    """Asserts that axe-core finds nothing serious on the page as it stands."""
    source = (frontend.folder() / "axe" / "axe.min.js").read_text("utf-8")

    def look(page: Any) -> None:
        # By evaluation, not by a script tag: the page's own policy forbids foreign scripts.
        page.evaluate(source)
        found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        serious = [
            f"{v['id']} ({v['impact']}): {v['help']}\n  "
            + "\n  ".join(node["html"][:160] for node in v["nodes"][:5])
            for v in found["violations"]
            if v["impact"] in SERIOUS
        ]
        assert not serious, f"{page.url}\n" + "\n".join(serious)

    return look
