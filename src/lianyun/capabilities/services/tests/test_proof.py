"""Proof of data calls: a receipt of this very request and answer; grace, closed, back by itself."""

# ruff: noqa: F811 - fixtures of a sibling test

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

import httpx
import pytest
from django.db import connection, transaction
from django.db.models import F

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallLink, CallRecord, CallSeal, SigningKey
from lianyun.capabilities.services.tests.test_fast import (  # noqa: F401
    OTHER,
    PERSON,
    Get,
    grant,
    run,
    source,
    token,
)
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Grant
from lianyun.trust import check_receipt

pytestmark = pytest.mark.django_db(transaction=True)


def _committed(work: Any, *arguments: Any) -> Any:
    """Run something that touches the database in a thread of its own."""
    try:
        return work(*arguments)
    finally:
        connection.close()


def test_a_receipt_proves_request_and_answer(token: str, grant: Grant) -> None:
    async def work(get: Get) -> list[httpx.Response]:
        return [
            await get(f"/api/data/people?citizen_number={PERSON}", **{"X-Case": "BJ-2026-1"}),
            await get(f"/api/data/people/{OTHER}"),
            await get("/api/data/people?wrong=1"),
        ]

    answers = run(work, token)
    assert [a.status_code for a in answers] == [200, 200, 400]
    audit.seal_calls()
    assert audit.verify().ok
    key = SigningKey.objects.get(use="seal", algorithm="ecdsa-p256-sha256").certificate
    asked = f"GET /api/data/people?citizen_number={PERSON}".encode()
    for answer, request in zip(
        answers,
        [asked, f"GET /api/data/people/{OTHER}".encode(), b"GET /api/data/people?wrong=1"],
        strict=True,
    ):
        receipt = json.loads(json.dumps(audit.receipt(SYSTEM, answer.headers["x-call"])))
        found = check_receipt.check(receipt, key, request, answer.content)
        assert found["proven"] == ["record", "request", "response"]
        assert found["record"]["grant_code"] == grant.code
        with pytest.raises(check_receipt.Bad):
            check_receipt.check(receipt, key, request, answer.content + b" ")
    call = CallRecord.objects.get(uid=answers[0].headers["x-call"])
    assert (call.case_code, call.operation, call.version) == ("BJ-2026-1", "query", 1)
    assert CallRecord.objects.get(uid=answers[2].headers["x-call"]).outcome == "bad_request"
    assert PERSON not in json.dumps(audit.receipt(SYSTEM, call.uid))


def test_closed_after_the_grace_and_back_by_itself(token: str, settings: Any) -> None:
    url = f"/api/data/people/{PERSON}"

    def older(minutes: int) -> None:
        CallLink.objects.update(at=F("at") - dt.timedelta(minutes=minutes))

    answered: list[int] = []

    async def until(get: Get, status: int) -> httpx.Response:
        for _ in range(100):
            answer = await get(url)
            answered.append(answer.status_code)
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError(answer.status_code)

    async def work(get: Get) -> None:
        assert (await get(url)).status_code == 200
        await asyncio.sleep(0.4)
        # Nobody seals. Nine minutes on, calls still go through; eleven, and they do not.
        await asyncio.to_thread(_committed, older, 9)
        await asyncio.sleep(1.3)
        assert (await get(url)).status_code == 200
        await asyncio.sleep(0.4)
        await asyncio.to_thread(_committed, older, 2)
        answer = await until(get, 503)
        assert "存证" in answer.json()["title"]
        assert answer.headers["retry-after"]
        for _ in range(5):
            assert (await get(url)).status_code == 503
        await asyncio.to_thread(_committed, audit.seal_calls)
        await until(get, 200)

    run(work, token)
    assert CallSeal.objects.count() == 1
    # What was refused because nothing could be proven left no record to be proven.
    assert CallRecord.objects.count() == 2 + answered.count(200)


def test_a_worker_that_starts_while_closed_is_closed(token: str) -> None:
    async def once(get: Get) -> int:
        return (await get(f"/api/data/people/{PERSON}")).status_code

    assert run(once, token) == 200
    CallLink.objects.update(at=F("at") - dt.timedelta(minutes=11))
    assert run(once, token) == 503
    audit.seal_calls()
    assert run(once, token) == 200


def test_the_health_page_says_why(client: Any) -> None:
    audit.record_reading(by=SYSTEM, resource="people")
    CallLink.objects.update(at=F("at") - dt.timedelta(minutes=5))
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert "没有运行" in answer.json()["warnings"]["proof"]
    CallLink.objects.update(at=F("at") - dt.timedelta(minutes=6))
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "暂停" in answer.json()["problems"]["proof"]
    audit.seal_calls()
    assert client.get("/healthz").json() == {"ok": True, "problems": {}}


def test_the_caller_takes_its_receipt_with_its_credential(token: str, grant: Grant) -> None:
    async def work(get: Get) -> None:
        answer = await get(f"/api/data/people/{PERSON}")
        uid = answer.headers["x-call"]
        for _ in range(50):
            early = await get(f"/api/receipts/{uid}")
            if "签章" in early.json()["title"]:
                break
            await asyncio.sleep(0.1)
        assert early.status_code == 404
        await asyncio.to_thread(_committed, audit.seal_calls)
        receipt = (await get(f"/api/receipts/{uid}")).json()
        assert receipt["call"] == uid
        # Also when the grant has ended: what was exchanged stays provable.
        await asyncio.to_thread(_committed, _revoked, grant)
        assert (await get(f"/api/data/people/{PERSON}")).status_code == 403
        assert (await get(f"/api/receipts/{uid}")).json() == receipt
        assert (await get("/api/receipts/0000")).status_code == 404
        assert (await get("/api/receipts/%2e%2e")).status_code == 400
        assert (await get(f"/api/receipts/{uid}", Authorization="Bearer x")).status_code == 401

    run(work, token)
    assert CallRecord.objects.filter(operation="receipt", outcome="ok").count() == 2


@transaction.atomic
def _revoked(grant_: Grant) -> None:
    grants.revoke(grant_, reason="试验", by=SYSTEM)
