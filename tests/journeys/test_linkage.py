"""Linkage as it is lived: an officer walks the pairs with the keyboard, decides, and takes it back."""

from __future__ import annotations

import datetime as dt
import os
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
NAME = "hardship_residents"


def _rows() -> None:
    """A register of inhabitants, and visits to some of them without numbers."""
    from lianyun.capabilities.linkage import adapters
    from lianyun.kernel.element import citizen_check_digit

    draw = random.Random(11)
    residents, visits = [], []
    for i in range(900):
        born = dt.date(1945, 1, 1) + dt.timedelta(draw.randrange(22000))
        first = f"320706{born:%Y%m%d}{i:03d}"
        name = (
            draw.choice("王李张刘陈杨赵黄")
            + draw.choice("伟芳娜静军勇")
            + draw.choice("明超秀霞平")
        )
        phone, sex = f"129{draw.randrange(10**8):08d}", draw.choice("12")
        door = (
            f"海州区新浦街道市化社区解放中路{draw.randrange(200)}号苍梧小区{draw.randrange(20)}幢"
            f"{draw.randrange(4)}单元{draw.randrange(100, 999)}室"
        )
        residents.append(
            {
                "citizen_number": first + citizen_check_digit(first), "name": name, "sex": sex,
                "birth_date": born, "phone": phone, "registered_address": "江苏省连云港市" + door,
            }
        )  # fmt: skip
        if i % 45 == 0:
            # Registered twice: which of the two is it?
            second = f"320703{born:%Y%m%d}{i:03d}"
            residents.append(
                {**residents[-1], "citizen_number": second + citizen_check_digit(second)}
            )
        if i % 9 == 0:
            visits.append(
                {
                    "record_number": f"ZF{i:010d}",
                    "name": name.replace("伟", "玮").replace("静", "婧"),
                    "sex": sex,
                    "birth_date": born,
                    "phone": None if i % 4 == 0 else phone,
                    "residence_address": door.replace("幢", "号楼"),
                }
            )
    with adapters.lake().connect() as con:
        for dataset, rows in (("ga_residents", residents), ("mz_hardship_visits", visits)):
            con.register("journey_rows", pa.Table.from_pylist(rows))
            con.execute(
                f"CREATE OR REPLACE TABLE lake.trusted.{dataset} AS SELECT * FROM journey_rows"
            )
            con.unregister("journey_rows")


@pytest.fixture(scope="module")
def linked(city_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The linkage run once in a lake of its own; officers to look at it."""
    from django.test import override_settings

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.linkage import api
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department
    from lianyun.project.testing import create_database, drop_database

    sync_declared(by=SYSTEM)
    for slug, name, username, role in (
        ("mz", "王民政", "mz.data", "data_officer"),
        ("sjj", "孙运营", "sjj.run", "bureau_operator"),
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
    database = f"lake_{secrets.token_hex(6)}"
    folder = str(tmp_path_factory.mktemp("lake"))
    with override_settings(LAKE_CATALOGUE_URL=create_database(database), LAKE=folder):
        _rows()
        api.run_linkage(name=NAME, by=SYSTEM)
        yield
    drop_database(database)


def shot(tab: Any, name: str) -> None:
    """A picture for whoever asks for one."""
    folder = os.environ.get("LIANYUN_SHOTS")
    if folder:
        tab.screenshot(path=f"{folder}/linkage-{name}.png", full_page=True)


def test_an_officer_reviews_with_the_keyboard(
    linked: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    from lianyun.capabilities.linkage.models import Pair

    sign_in(tab, "mz.data", f"/workbench/linkage/{NAME}/")
    tab.wait_for_selector("text=模型学到的证据强度")
    accessible(tab)
    shot(tab, "home")
    tab.click("text=开始复核")
    tab.wait_for_selector("text=并排比较")
    accessible(tab)
    shot(tab, "pair")
    first = tab.url
    assert Pair.objects.filter(linkage=NAME, kind="review").count() > 1
    tab.keyboard.press("j")
    tab.wait_for_url(lambda url: url != first)
    tab.wait_for_selector("text=并排比较")
    tab.keyboard.press("k")
    tab.wait_for_url(first)
    tab.wait_for_selector("text=并排比较")
    tab.keyboard.press("2")
    tab.wait_for_url(lambda url: url != first)
    pair = Pair.objects.get(pk=int(first.rstrip("/").rsplit("/", 1)[1]))
    assert pair.verdict == "different"
    tab.goto(first)
    tab.click("text=撤销判定")
    tab.click("dialog[open] button.danger, dialog[open] button.primary")
    tab.wait_for_selector("text=恢复到判定之前")
    pair.refresh_from_db()
    assert pair.verdict == ""
    # In clear only for a purpose.
    tab.click("summary:has-text('查看明文')")
    tab.fill("#id_purpose", "核对走访对象身份")
    tab.click("main details button:has-text('查看明文')")
    tab.wait_for_selector("text=当前显示明文")
    assert pair.right_key in tab.content()


@pytest.mark.slow
def test_the_pages_fit_a_phone(
    linked: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    from lianyun.capabilities.linkage.models import Pair

    tab.set_viewport_size(PHONE)
    sign_in(tab, "mz.data", "/workbench/linkage/")
    pair = Pair.objects.filter(linkage=NAME).first()
    assert pair is not None
    for name, path in (
        ("list", ""),
        ("home", f"{NAME}/"),
        ("pairs", f"{NAME}/pairs/"),
        ("pair", f"{NAME}/pairs/{pair.pk}/"),
        ("entities", f"{NAME}/entities/"),
    ):
        tab.goto(f"{site}/workbench/linkage/{path}")
        accessible(tab)
        shot(tab, f"{name}-phone")
        assert fits(tab), path
    tab.click("table.cards a")
    tab.wait_for_selector("text=把它们连起来的记录对")
    accessible(tab)
    shot(tab, "entity-phone")
    assert fits(tab)


def test_the_bureau_runs_it(
    linked: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    sign_in(tab, "sjj.run", "/workbench/linkage/")
    accessible(tab)
    shot(tab, "list")
    tab.goto(f"{site}/workbench/linkage/{NAME}/")
    tab.click("button:has-text('运行')")
    tab.wait_for_selector("text=已开始运行")
    tab.goto(f"{site}/workbench/linkage/{NAME}/entities/")
    shot(tab, "entities")
    accessible(tab)
