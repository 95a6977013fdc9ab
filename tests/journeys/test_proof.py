"""Proof as it is lived: an officer registers a key, an auditor takes a receipt, an outsider checks it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project.testing import fits
from lianyun.trust import check_receipt, signatures

PASSWORD = "Haizhou-2026"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def exchanged(city_database: None) -> dict[str, str]:
    """Accounts, a grant with its credential, and exchanges under it; the newest call's number."""
    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.catalogue.api import resource_of, sync_declared
    from lianyun.capabilities.identity.api import create_account
    from lianyun.capabilities.services import actions
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM, Actor
    from lianyun.kernel.party import department

    for slug, name, username, role in (
        ("mz", "王民政", "mz.data", "data_officer"),
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
    sync_declared(by=SYSTEM)
    home = department("mz")
    grant = grants.issue(
        kind="data",
        to=home,
        resource=resource_of("ga_residents"),
        terms={"signature": "required", "networks": ["10.20.0.0/16"]},
        by=SYSTEM,
    )
    client = actions.issue_client(grant=grant, by=SYSTEM)
    actions.collect_secret(client=client, by=SYSTEM)
    uid = ""
    for number in range(3):
        uid = audit.record_exchange(
            channel="file",
            grant_code=grant.code,
            resource="ga_residents",
            operation="file",
            version=1,
            by=Actor(party=home, department=home),
            purpose="审核最低生活保障",
            request=f"GET /files/{number}".encode(),
            response_digest=hashlib.sha256(b"rows").digest(),
            rows=12,
            micros=81_000,
            outcome="ok",
        )
    audit.seal_calls()
    return {"client": client.client_id, "call": uid}


def _look(tab: Any, accessible: Callable[[Any], None]) -> None:
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab)
    tab.set_viewport_size(DESK)


def test_an_officer_registers_a_key(
    site: str, exchanged: dict[str, str], tab: Any, sign_in: Any, accessible: Any
) -> None:
    sign_in(tab, "mz.data", f"/workbench/services/clients/{exchanged['client']}/manage/")
    tab.click("text=登记公钥或证书")
    tab.wait_for_selector("text=该授权要求每次调用都对请求签名")
    assert tab.is_visible("text=10.20.0.0/16")
    _look(tab, accessible)
    key = signatures.new_key(signatures.SM2)
    tab.fill("#pem", signatures.new_key(signatures.ECDSA).public.pem)
    tab.click("form.form button.primary")
    tab.wait_for_selector("text=已登记，立即生效")
    tab.fill("#pem", key.public.pem)
    tab.click("form.form button.primary")
    tab.wait_for_selector(f"[data-key='{key.public.kid}']")
    assert tab.locator("[data-key]").count() == 2
    _look(tab, accessible)
    row = tab.locator(f"[data-key='{key.public.kid}']")
    row.locator("input[name=hours]").fill("0")
    row.locator("button").click()
    tab.click("dialog[open] button.danger, dialog[open] button[value=ok], dialog[open] .btn.danger")
    tab.wait_for_selector("text=已停用")


def test_an_auditor_takes_a_receipt_that_an_outsider_checks(
    site: str,
    exchanged: dict[str, str],
    tab: Any,
    sign_in: Any,
    accessible: Any,
    tmp_path: Path,
) -> None:
    sign_in(tab, "sjj.audit", "/workbench/audit/proof/")
    tab.click("text=现在核验")
    tab.wait_for_selector("text=事件台账、调用记录与签章都完好")
    _look(tab, accessible)
    root = tmp_path / "root.pem"
    with tab.expect_download() as told:
        tab.click("text=下载根证书")
    told.value.save_as(root)
    script = tmp_path / "check_receipt.py"
    with tab.expect_download() as told:
        tab.click("text=下载回执检验程序")
    told.value.save_as(script)
    assert script.read_text("utf-8") == Path(check_receipt.__file__).read_text("utf-8")
    tab.goto(f"{site}/workbench/audit/calls/")
    _look(tab, accessible)
    receipt = tmp_path / "receipt.json"
    with tab.expect_download() as told:
        tab.locator(f"a[href$='/{exchanged['call']}/receipt/']").first.click()
    assert re.fullmatch(r"receipt-[0-9a-f]+\.json", told.value.suggested_filename)
    told.value.save_as(receipt)
    found = check_receipt.check(
        json.loads(receipt.read_text("utf-8")), root.read_text(), b"GET /files/2", b"rows"
    )
    assert found["call"] == exchanged["call"]
    assert set(found["signed_by"]) == set(signatures.ALGORITHMS)
