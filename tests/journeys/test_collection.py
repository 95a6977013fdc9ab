"""A data officer's morning: upload a dirty file, read the verdict, set rows right, close the case."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}


def number(first17: str) -> str:
    from lianyun.kernel.element import citizen_check_digit

    return first17 + citizen_check_digit(first17)


GOOD = [number(f"32070319850{month}{day}123") for month in (3, 4, 5) for day in (11, 12, 13, 14)]
HEAD = "公民身份号码,姓名,性别,出生日期,户号,行政区划代码,更新时间\n"


def dirty_file() -> bytes:
    """Twelve good rows and four bad ones, in the encoding that old systems write."""
    rows = [
        f"{n},王小{'一二三四五六七八九十甲乙'[i]},1,{n[6:10]}-{n[10:12]}-{n[12:14]},H{i:04d},320703,"
        "2026-11-01 08:00:00\n"
        for i, n in enumerate(GOOD)
    ]
    last = GOOD[0][:16] + ("1" if GOOD[0][16] != "1" else "3")
    wrong_check = last + ("0" if number(last)[17] != "0" else "1")
    rows.append(f"{wrong_check},李四,1,1985-03-11,H0100,320703,2026-11-01 08:00:00\n")
    rows.append(
        f"{number('32070319860311125')},赵六,9X,1986-03-11,H0101,320703,2026-11-01 08:00:00\n"
    )
    rows.append(f"{number('32070319870311127')},,1,1987-03-11,H0102,320703,2026-11-01 08:00:00\n")
    rows.append("合计,16\n")
    return (HEAD + "".join(rows)).encode("gb18030")


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, str]:
    """A data officer of the police, committed, with the declared catalogue."""
    from django.db import transaction

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    with transaction.atomic():
        sync_declared(by=SYSTEM)
    for desk, name, username, roles in (
        (department("ga"), "孙专员", "load.data", ["data_officer"]),
        (department("sjj"), "钱运营", "load.bureau", ["bureau_operator"]),
    ):
        create_account(desk, name, username, roles, password=PASSWORD, must_change=False, by=SYSTEM)
    return {"data": "load.data", "bureau": "load.bureau"}


def work() -> None:
    """Let the worker's jobs run until none waits (the test's site has no worker of its own)."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.models import ProcrastinateJob

    done: set[int] = set()
    while True:
        waiting = ProcrastinateJob.objects.filter(status="todo").exclude(pk__in=done).order_by("id")
        if not waiting:
            return
        for job in waiting:
            done.add(job.pk)
            app.tasks[job.task_name].func(**job.args)


def look(tab: Any, name: str, accessible: Callable[[Any], None]) -> None:
    """A page must fit desk and phone and be accessible; pictures go to LIANYUN_SHOTS if set."""
    folder = os.environ.get("LIANYUN_SHOTS")
    for size, suffix in ((PHONE, "phone"), (DESK, "desk")):
        tab.set_viewport_size(size)
        tab.wait_for_timeout(150)
        if folder:
            tab.screenshot(path=f"{folder}/{name}-{suffix}.png", full_page=True)
        assert fits(tab), f"{name} scrolls sideways ({suffix})"
    accessible(tab)


def test_from_a_dirty_file_to_a_closed_case(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    tmp_path: Path,
    fresh_lake: Any,
    sign_in: Callable[..., None],
) -> None:
    file = tmp_path / "户籍人口.csv"
    file.write_bytes(dirty_file())
    sign_in(tab, people["data"])
    tab.goto(f"{site}/workbench/collection/upload/")
    look(tab, "upload", accessible)
    tab.set_input_files("#id_file", str(file))
    with tab.expect_navigation():
        tab.click("text=上传并识别")
    assert "gb18030" in tab.locator("main").inner_text()
    assert tab.locator("select[name=dataset]").input_value() == "ga_residents"
    look(tab, "proposal", accessible)
    tab.click("text=开始归集")
    tab.wait_for_load_state("load")
    assert "排队等待" in tab.locator("main").inner_text()
    work()
    tab.wait_for_selector("h2:has-text('检查发现')", timeout=20_000)
    text = tab.locator("main").inner_text()
    assert "校验位错误" in text
    tab.reload()
    look(tab, "batch", accessible)
    assert tab.locator(".stat", has_text="落地").locator(".value").inner_text().startswith("16")
    assert tab.locator(".stat", has_text="拒收").locator(".value").inner_text().startswith("4")

    with tab.expect_navigation():
        tab.click("text=在线更正")
    look(tab, "correct", accessible)
    tab.locator("input[aria-label='第 15 行 性别']").fill("1")
    tab.locator("input[aria-label='第 16 行 姓名']").fill("孙七")
    with tab.expect_navigation():
        tab.click("text=提交更正")
    assert "通过 2，仍拒收 0" in tab.locator("body").inner_text()
    work()

    tab.goto(f"{site}/workbench/collection/")
    look(tab, "board", accessible)
    with tab.expect_navigation():
        tab.click("table >> text=户籍人口信息")
    text = tab.locator("main").inner_text()
    assert "王**" in text
    assert "王小一" not in text
    look(tab, "dataset", accessible)

    tab.goto(f"{site}/workbench/quality/desk/")
    look(tab, "desk", accessible)
    with tab.expect_navigation():
        tab.locator("main a:has-text('性别：不在值域内')").first.click()
    assert "问题行已全部更正" in tab.locator("main").inner_text()
    look(tab, "case", accessible)
    tab.check("input[name=outcome][value=corrected]")
    with tab.expect_navigation():
        tab.click("text=办结校核")
    assert "已更正" in tab.locator("main").inner_text()
    work()
    tab.goto(f"{site}/workbench/quality/")
    look(tab, "quality", accessible)
    for path, name in (
        ("quality/rules/", "rules"),
        ("quality/datasets/ga_residents/", "quality-dataset"),
        ("quality/datasets/ga_residents/report/", "report"),
    ):
        tab.goto(f"{site}/workbench/{path}")
        look(tab, name, accessible)


def test_a_source_is_registered_and_tested(
    site: str,
    people: dict[str, str],
    tab: Any,
    accessible: Callable[[Any], None],
    sign_in: Callable[..., None],
) -> None:
    sign_in(tab, people["data"])
    tab.goto(f"{site}/workbench/collection/sources/new/")
    look(tab, "kinds", accessible)
    with tab.expect_navigation():
        tab.click("text=CSV 文件")
    look(tab, "source-form", accessible)
    tab.select_option("select[name=dataset]", "ga_households")
    tab.fill("#id_name", "ga-households-file")
    tab.fill("#id_location", "nobody.csv")
    with tab.expect_navigation():
        tab.click("main button[type=submit]")
    tab.click("text=测试连接")
    tab.wait_for_selector("text=找不到文件")
    look(tab, "source", accessible)
    tab.goto(f"{site}/workbench/collection/sources/")
    look(tab, "sources", accessible)
