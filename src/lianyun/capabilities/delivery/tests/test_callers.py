"""Callers of the feed and of files: the query plane's proofs and limits, by tokens too; no way round them."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client as Browser

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.delivery import actions
from lianyun.capabilities.delivery.models import Download
from lianyun.capabilities.services import api as services
from lianyun.capabilities.services import fast
from lianyun.capabilities.services.actions import register_key
from lianyun.capabilities.services.fast import callers, turnstile
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, Denied
from lianyun.kernel.models import Event, Grant
from lianyun.trust import certificates, signatures

from .conftest import Fill, person

Make = Callable[..., Grant]


def credential_of(grant: Grant, receiver: Actor) -> tuple[services.Client, str]:
    """The credential of a grant and its secret, as `Authorization` says it."""
    found = services.client_of(receiver, grant) or services.issue_client(grant=grant, by=SYSTEM)
    return found, services.collect_secret(client=found, by=receiver)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def signed(key: signatures.PrivateKey, path: str) -> dict[str, str]:
    """A signature of a GET without parameters (RFC 9421)."""
    told = (
        f'("@method" "@path" "@query");created={int(time.time())};'
        f'nonce="{secrets.token_hex(12)}";keyid="{key.public.kid}"'
    )
    base = f'"@method": GET\n"@path": {path}\n"@query": ?\n"@signature-params": {told}'
    made = base64.b64encode(key.sign_raw(base.encode())).decode()
    return {"Signature-Input": f"s={told}", "Signature": f"s=:{made}:"}


@pytest.mark.django_db(transaction=True)
def test_the_feed_takes_a_token_as_the_plane_does(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int], client: Browser
) -> None:
    fill("b1", [person(n) for n in range(3)])
    given = grant()
    run_jobs()
    holder, secret = credential_of(given, receiver)

    async def token() -> str:
        transport = httpx.ASGITransport(app=fast.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
            try:
                said = await http.post(
                    "/api/oauth/token",
                    data={"grant_type": "client_credentials"},
                    auth=tuple(secret.split(".")),
                )
            finally:
                await fast.shutdown()
        return str(said.json()["access_token"])

    got = asyncio.run(token())
    answer = client.get("/api/feed/", headers=bearer(got))
    assert (answer.status_code, answer["X-Rows"]) == (200, "3")
    assert client.get("/api/feed/", headers=bearer(got[:-2] + "AA")).status_code == 401
    services.rotate_secret(client=holder, overlap_hours=0, by=receiver)
    ended = client.get("/api/feed/", headers=bearer(got))
    assert (ended.status_code, ended.json()["error"]) == (401, "令牌已失效，请重新换取")
    refused = CallRecord.objects.get(channel="delivery", outcome="unauthorized")
    assert (refused.grant_code, refused.operation, refused.rows) == (given.code, "feed", 0)
    connection.close()


def test_the_feed_keeps_the_second_and_the_day(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int], client: Browser
) -> None:
    fill("b1", [person(n) for n in range(3)])
    given = grant(calls_per_second=2, calls_per_day=100)
    run_jobs()
    _, secret = credential_of(given, receiver)
    begun, answers = time.monotonic(), []
    while 429 not in [a.status_code for a in answers] and len(answers) < 60:
        answers.append(client.get("/api/feed/", headers=bearer(secret)))
    taken, seconds = len(answers) - 1, time.monotonic() - begun
    assert answers[-1].status_code == 429
    assert answers[-1]["Retry-After"] == "1"
    assert taken <= 2 + 2 * seconds
    assert CallRecord.objects.filter(channel="delivery", outcome="quota").count() == 1
    assert services.used_today(SYSTEM, [given])[given.pk] == taken, "a refused call is not used"


def test_a_storm_at_the_feed_is_refused_before_it_is_looked_up(
    fill: Fill,
    grant: Make,
    receiver: Actor,
    client: Browser,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: Any,
) -> None:
    monkeypatch.setattr(turnstile, "FAILURES_OF_AN_ADDRESS", 3)
    monkeypatch.setattr(callers, "TURNSTILE", turnstile.Turnstile())
    for number in range(3):
        unknown = f"lyc_{number:016x}." + "a" * 43
        assert client.get("/api/feed/", headers=bearer(unknown)).status_code == 401
    with django_assert_num_queries(0):
        late = client.get("/api/feed/", headers=bearer(unknown))
    assert late.status_code == 429
    assert 0 < int(late["Retry-After"]) <= 60


@pytest.fixture
def made(fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int]) -> Any:
    """Makes a file of a grant with these terms: (grant, file)."""
    fill("b1", [person(1), person(2)])

    def make(**terms: Any) -> tuple[Grant, Download]:
        given = grant(method="文件下载", **terms)
        row = actions.ask_file(grant=given, form="csv", by=receiver)
        run_jobs()
        row.refresh_from_db()
        assert row.error == ""
        return given, row

    return make


def test_a_browser_does_not_walk_round_a_required_signature(
    made: Any, receiver: Actor, client: Browser
) -> None:
    given, row = made(signature="required")
    client.force_login(get_user_model().objects.create(username="o", party=receiver.party))
    page = client.get("/workbench/delivery/files/").content.decode()
    assert f"/api/files/{row.code}/" in page
    assert "要求请求签名" in page
    assert f"{row.code}/fetch/" not in page
    browser = client.get(f"/workbench/delivery/files/{row.code}/fetch/")
    assert (browser.status_code, b"%PDF" in browser.content) == (403, False)
    holder, secret = credential_of(given, receiver)
    key = signatures.new_key(signatures.ECDSA)
    register_key(client=holder, use="signature", pem=key.public.pem, by=receiver)
    path = f"/api/files/{row.code}/"
    assert client.get(path, headers=bearer(secret)).status_code == 401
    listed = client.get("/api/files/", headers={**bearer(secret), **signed(key, "/api/files/")})
    (told,) = listed.json()["files"]
    assert (told["code"], told["sha256"], told["rows"]) == (row.code, row.digest, 2)
    got = client.get(path, headers={**bearer(secret), **signed(key, path)})
    assert got.status_code == 200
    assert b"".join(got.streaming_content).startswith(b"\xef\xbb\xbf")  # type: ignore[attr-defined]
    last = Event.objects.filter(kind="download.fetched").latest("id")
    assert last.data["client"] == holder.client_id
    other = f"/api/files/{row.code[:-1]}z/"
    assert client.get(other, headers={**bearer(secret), **signed(key, other)}).status_code == 403
    grants.suspend(given, reason="核查", by=SYSTEM)
    again = client.get(path, headers={**bearer(secret), **signed(key, path)})
    assert again.status_code == 400
    assert (
        client.get(
            "/api/files/", headers={**bearer(secret), **signed(key, "/api/files/")}
        ).status_code
        == 403
    )


def test_networks_and_certificates_hold_for_browsers(
    made: Any, receiver: Actor, client: Browser
) -> None:
    given, row = made(networks=["10.1.2.0/24"], calls_per_day=2)
    client.force_login(get_user_model().objects.create(username="o", party=receiver.party))
    url = f"/workbench/delivery/files/{row.code}/fetch/"
    outside = client.get(url, REMOTE_ADDR="10.9.9.9")
    assert outside.status_code == 403
    assert "来源网络不在授权范围内" in outside.content.decode()
    claimed = client.get(url, REMOTE_ADDR="10.9.9.9", headers={"X-Forwarded-For": "10.1.2.3"})
    assert claimed.status_code == 403, "who is no proxy says nothing of where a call comes from"
    assert client.get(url, REMOTE_ADDR="10.1.2.3").status_code == 200
    with pytest.raises(Denied):
        actions.fetch_file(row=row, by=receiver)
    assert client.get(url, REMOTE_ADDR="10.1.2.3").status_code == 200
    spent = client.get(url, REMOTE_ADDR="10.1.2.3")
    assert (spent.status_code, "次数已用完" in spent.content.decode()) == (400, True)
    holder, _ = credential_of(given, receiver)
    pem = certificates.new_root("部门")[1]
    register_key(client=holder, use="certificate", pem=pem, by=receiver)
    bound = client.get(url, REMOTE_ADDR="10.1.2.3")
    assert (bound.status_code, "绑定了证书" in bound.content.decode()) == (403, True)
