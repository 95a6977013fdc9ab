"""The bureau's day: the flows on one page, what looks like misuse, a case opened with one click."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def city(city_database: None) -> None:
    """Two weeks of calls under four grants, one of which sweeps at night; officers to look at it."""
    from django.utils import timezone

    from lianyun.capabilities.audit.models import CallRecord
    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.exchange import actions
    from lianyun.capabilities.identity.api import create_account
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource
    from lianyun.kernel.party import department

    sync_declared(by=SYSTEM)
    for slug, name, username, role in (
        ("sjj", "孙运营", "sjj.run", "bureau_operator"),
        ("mz", "王民政", "mz.data", "data_officer"),
    ):
        create_account(
            department(slug), name, username, [role],
            password=PASSWORD, must_change=False, by=SYSTEM,
        )  # fmt: skip
    today = timezone.localdate()
    rows = []

    def call(grant: Any, day: dt.date, hour: int, n: int, key: str, outcome: str) -> None:
        at = timezone.make_aware(dt.datetime.combine(day, dt.time(hour, n % 60)))
        rows.append(
            CallRecord(
                uid=secrets.token_hex(12),
                at=at,
                channel="api",
                by=grant.grantee.ref,
                department_id=grant.grantee_id,
                grant_code=grant.code,
                resource=grant.resource.name,
                key_hash=key,
                rows=int(outcome == "ok"),
                micros=900,
                outcome=outcome,
                link=1,
            )
        )

    made = {}
    for slug, dataset, calls in (
        ("mz", "ga_residents", 40),
        ("gjj", "ga_residents", 25),
        ("jy", "rs_insured", 15),
        ("ga", "mz_low_income", 10),
    ):
        resource = Resource.objects.get(name=dataset)
        made[slug] = grants.issue(
            kind="data", to=department(slug), grantor=resource.owner, resource=resource,
            terms={"purpose": "低保核对", "fields": ["name"]}, by=SYSTEM,
        )  # fmt: skip
        for back in range(14):
            for n in range(calls):
                day = today - dt.timedelta(days=back)
                call(made[slug], day, 9 + n % 8, n, f"{n:032d}", "ok")
    for n in range(80):
        call(made["mz"], today, 2, n, f"f{n:031d}", "empty" if n % 2 else "ok")
    CallRecord.objects.bulk_create(rows)
    actions.tally()
    actions.watch()


def test_the_bureau_sees_the_flows_and_takes_up_a_sweep(
    city: None, site: str, tab: Any, sign_in: Callable[..., None], accessible: Callable[..., None]
) -> None:
    sign_in(tab, "sjj.run", "/workbench/exchange/?days=7")
    assert tab.locator("h1").inner_text() == "交换总览"
    tab.wait_for_selector(".chart svg path")
    assert "市公安局 → 市民政局" in tab.locator("main").inner_text()
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    accessible(tab)
    tab.set_viewport_size({"width": 1280, "height": 900})
    # From a figure to its list: the same number.
    figure = tab.locator(".stat", has_text="今日交换").first
    shown = figure.inner_text()
    figure.click()
    tab.wait_for_selector("h1:has-text('数据流向')")
    total = tab.locator(".lede").inner_text().split("共")[1].split("次")[0].strip()
    assert total in shown
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(f"{site}/workbench/exchange/")
    tab.click("a:has-text('个不同对象')")
    tab.wait_for_selector(".chart svg")
    assert "批量试探" in tab.locator("h1").inner_text()
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.click("button:has-text('立案核查')")
    tab.wait_for_url("**/sharing/matters/**")
    assert "个不同对象" in tab.locator("main").inner_text()
    tab.goto(f"{site}/workbench/exchange/suspicions/")
    assert "已立案" in tab.locator("main").inner_text()
    accessible(tab)


def test_a_department_sees_its_own_flows(
    city: None, site: str, tab: Any, sign_in: Callable[..., None]
) -> None:
    sign_in(tab, "mz.data", "/workbench/exchange/?days=7")
    tab.wait_for_selector(".chart svg")
    text = tab.locator("main").inner_text()
    assert "市公安局 → 市民政局" in text
    assert "市民政局 → 市公安局" in text
    assert "市公积金" not in text
