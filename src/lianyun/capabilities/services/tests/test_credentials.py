"""Credentials: tokens, certificates, signatures, networks; revoked, expired, replayed, rotated."""

# ruff: noqa: F811 - fixtures of a sibling test

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.services import actions, fast, rules
from lianyun.capabilities.services.fast import guards
from lianyun.capabilities.services.fast.credentials import token_key
from lianyun.capabilities.services.models import Client, ClientKey, UsedNonce
from lianyun.capabilities.services.tests.test_fast import (  # noqa: F401
    OTHER,
    PERSON,
    grant,
    source,
    token,
)
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.models import Grant
from lianyun.trust import certificates, signatures

pytestmark = pytest.mark.django_db(transaction=True)

URL = f"/api/data/people/{PERSON}"
Caller = httpx.AsyncClient


def run(work: Callable[[Caller], Awaitable[Any]], peer: str = "127.0.0.1") -> Any:
    """Run one coroutine against the application, called from an address."""

    async def main() -> Any:
        transport = httpx.ASGITransport(app=fast.app, client=(peer, 4000))
        async with Caller(transport=transport, base_url="http://t") as client:
            try:
                return await work(client)
            finally:
                await fast.shutdown()

    return asyncio.run(main())


async def aside(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Run something that writes to the database in a thread of its own."""

    def call() -> Any:
        try:
            return work(*arguments, **named)
        finally:
            connection.close()

    return await asyncio.to_thread(call)


async def fetch_token(client: Caller, credential: str, **form: str) -> httpx.Response:
    client_id, secret = credential.split(".")
    return await client.post(
        "/api/oauth/token",
        data={"grant_type": "client_credentials", **form},
        auth=(client_id, secret),
    )


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@transaction.atomic
def _revoked(grant_: Grant) -> None:
    grants.revoke(grant_, reason="试验", by=SYSTEM)


# ---- tokens ----------------------------------------------------------------------------------


def test_a_token_serves_until_the_grant_ends_on_two_workers(token: str, grant: Grant) -> None:
    """Each plane is a worker: its own memory, its own ear."""

    async def work(client: Caller) -> None:
        answer = await fetch_token(client, token)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        said = answer.json()
        assert said["token_type"] == "Bearer"
        assert said["scope"] == "people"
        got = said["access_token"]
        other = fast.Plane()
        await other.start()

        async def second() -> int:
            scope = {
                "type": "http",
                "method": "GET",
                "raw_path": URL.encode(),
                "query_string": b"",
                "headers": [(b"authorization", f"Bearer {got}".encode())],
                "client": ("127.0.0.1", 4001),
            }
            try:
                return (await other.answer(scope))[0].status
            except Exception as refused:
                return refused.status

        try:
            assert (await client.get(URL, headers=bearer(got))).status_code == 200
            assert await second() == 200
            await aside(_revoked, grant)
            assert (await client.get(URL, headers=bearer(got))).status_code == 403
            assert await second() == 403
        finally:
            await other.stop()
        again = await fetch_token(client, token)
        assert (again.status_code, again.json()["error"]) == (400, "unauthorized_client")

    run(work)
    assert CallRecord.objects.filter(operation="token", outcome="ok").count() == 1
    assert CallRecord.objects.filter(operation="token", outcome="bad_request").count() == 1


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"scope": "others"}, "invalid_scope"),
        ({"client_secret": "x"}, "invalid_request"),
        ({"client_id": "lyc_0000000000000000"}, "invalid_request"),
    ],
)
def test_what_the_token_endpoint_refuses(token: str, form: dict, error: str) -> None:
    answer = run(lambda client: fetch_token(client, token, **form))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_wrong_clients_and_forms(token: str) -> None:
    client_id, secret = token.split(".")
    good = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}

    async def work(client: Caller) -> None:
        post = "/api/oauth/token"
        assert (await client.post(post, data=good)).status_code == 200
        wrong = await client.post(post, data={**good, "client_secret": secret[::-1]})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert wrong.headers["www-authenticate"].startswith("Basic")
        got = await client.get(post)
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        for bad in (
            await client.post(post, json=good),
            await client.post(post, content=b"\xff", headers={
                "content-type": "application/x-www-form-urlencoded"}),
            await client.post(
                post,
                content=b"grant_type=client_credentials&grant_type=client_credentials",
                headers={"content-type": "application/x-www-form-urlencoded"},
            ),
        ):  # fmt: skip
            assert (bad.status_code, bad.json()["error"]) == (400, "invalid_request")
        no = await client.post(post, data={"grant_type": "client_credentials"})
        assert (no.status_code, no.json()["error"]) == (401, "invalid_client")
        odd = await client.post(post, data={"grant_type": "client_credentials"},
                                headers={"Authorization": "Basic !"})  # fmt: skip
        assert odd.json()["error"] == "invalid_client"

    run(work)


def test_expired_forged_and_foreign_tokens(token: str) -> None:
    client_id, secret = token.split(".")
    origin = rules.origin_of(rules.secret_hash(secret))
    good = rules.new_token(token_key(), client_id, origin)
    old = rules.new_token(
        token_key(), client_id, origin, now=time.time() - rules.LIFETIME_SECONDS - 1
    )
    forged = rules.new_token(b"another key", client_id, origin)
    stretched = good.replace(good.split(".")[1], f"{int(time.time()) + 10**6:08x}")
    elsewhere = rules.new_token(token_key(), client_id, rules.origin_of("another secret"))

    async def work(client: Caller) -> list[int]:
        return [
            (await client.get(URL, headers=bearer(t))).status_code
            for t in (good, old, forged, stretched, elsewhere, good[:-1], "lya_x")
        ]

    assert run(work) == [200, *[401] * 6]


def test_a_token_ends_with_its_secret_but_not_in_the_overlap(token: str, grant: Grant) -> None:
    client_row = Client.objects.get()

    async def work(client: Caller) -> list[int]:
        got = (await fetch_token(client, token)).json()["access_token"]
        codes = [(await client.get(URL, headers=bearer(got))).status_code]
        fresh = await aside(actions.rotate_secret, client=client_row, by=SYSTEM, overlap_hours=1)
        codes.append((await client.get(URL, headers=bearer(got))).status_code)
        codes.append((await client.get(URL, headers=bearer(token))).status_code)
        codes.append((await client.get(URL, headers=bearer(fresh))).status_code)
        await aside(actions.rotate_secret, client=client_row, by=SYSTEM, overlap_hours=0)
        await asyncio.sleep(0.2)
        codes.append((await client.get(URL, headers=bearer(got))).status_code)
        return codes

    assert run(work) == [200, 200, 200, 200, 401]


def test_a_closed_credential_ends_its_tokens(token: str) -> None:
    async def work(client: Caller) -> list[int]:
        got = (await fetch_token(client, token)).json()["access_token"]
        first = (await client.get(URL, headers=bearer(got))).status_code
        await aside(
            lambda: actions.close_client(client=Client.objects.get(), reason="泄露", by=SYSTEM)
        )
        await asyncio.sleep(0.2)
        return [first, (await client.get(URL, headers=bearer(got))).status_code]

    assert run(work) == [200, 401]


# ---- networks --------------------------------------------------------------------------------


def _terms(grant_: Grant, **terms: Any) -> None:
    grant_.refresh_from_db()
    grant_.terms = {**grant_.terms, **terms}
    grant_.save(update_fields=["terms"])


@pytest.mark.parametrize(
    ("peer", "networks", "expected"),
    [
        ("10.1.2.3", ["10.1.0.0/16"], 200),
        ("10.2.2.3", ["10.1.0.0/16", "172.16.0.0/12"], 403),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], 200),
        ("2001:db8::7", ["2001:db8::/32"], 200),
        ("10.1.2.3", ["2001:db8::/32"], 403),
        ("10.1.2.3", ["nonsense"], 403),
        ("10.1.2.3", [], 200),
    ],
)
def test_networks(token: str, grant: Grant, peer: str, networks: list, expected: int) -> None:
    _terms(grant, networks=networks)

    async def work(client: Caller) -> tuple[int, int]:
        call = await client.get(URL, headers=bearer(token))
        return call.status_code, (await fetch_token(client, token)).status_code

    assert run(work, peer) == (expected, expected)
    if expected == 403:
        assert CallRecord.objects.filter(outcome="network").count() == 2


def test_who_may_say_where_a_call_comes_from(token: str, grant: Grant, settings: Any) -> None:
    _terms(grant, networks=["10.1.0.0/16"])
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]

    def call(peer: str, forwarded: str) -> int:
        headers = {**bearer(token), "X-Forwarded-For": forwarded}
        return run(lambda c: c.get(URL, headers=headers), peer).status_code

    assert call("192.0.2.1", "10.1.2.3") == 200
    assert call("192.0.2.1", "10.1.2.3, 192.0.2.9") == 200
    # What a stranger writes in front of what the proxy saw does not count.
    assert call("192.0.2.1", "10.1.2.3, 198.51.100.1") == 403
    assert call("198.51.100.1", "10.1.2.3") == 403
    assert call("10.1.2.3", "198.51.100.1") == 200


# ---- certificates ----------------------------------------------------------------------------


def _certificate() -> tuple[str, str]:
    """A certificate and what a proxy tells of it (RFC 9440)."""
    pem = certificates.new_root("市民政局")[1]
    der_ = certificates.load_all(pem)[0].public_bytes(certificates.serialization.Encoding.DER)
    return pem, f":{base64.b64encode(der_).decode()}:"


def test_a_bound_credential_needs_its_certificate(token: str, settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.1/32"]
    client_row = Client.objects.get()
    (first, shown), (second, shown_second), (_, stranger) = (_certificate() for _ in range(3))
    key = actions.register_key(client=client_row, use="certificate", pem=first, by=SYSTEM)

    def call(header: str, peer: str = "192.0.2.1") -> int:
        headers = {**bearer(token), **({"Client-Cert": header} if header else {})}
        return run(lambda c: c.get(URL, headers=headers), peer).status_code

    assert call(shown) == 200
    assert call("") == 401
    assert call(stranger) == 401
    assert call(":!:") == 400
    # Whoever is no proxy of ours proves nothing by a header.
    assert call(shown, "198.51.100.1") == 401
    # Rotation: both are good, then the new one alone; with none left, nobody.
    other = actions.register_key(client=client_row, use="certificate", pem=second, by=SYSTEM)
    assert (call(shown), call(shown_second)) == (200, 200)
    actions.end_key(key=key, hours=0, by=SYSTEM)
    assert (call(shown), call(shown_second)) == (401, 200)
    actions.end_key(key=other, hours=0, by=SYSTEM)
    assert (call(shown), call(shown_second)) == (401, 401)


def test_a_certificate_alone_gets_a_token_bound_to_it(token: str, settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.1/32"]
    client_row = Client.objects.get()
    pem, shown = _certificate()
    key = actions.register_key(client=client_row, use="certificate", pem=pem, by=SYSTEM)

    async def work(client: Caller) -> list[int]:
        form = {"grant_type": "client_credentials", "client_id": client_row.client_id}
        no = await client.post("/api/oauth/token", data=form)
        answer = await client.post("/api/oauth/token", data=form, headers={"Client-Cert": shown})
        got = answer.json()["access_token"]
        with_it = {**bearer(got), "Client-Cert": shown}
        codes = [no.status_code, answer.status_code]
        codes.append((await client.get(URL, headers=with_it)).status_code)
        codes.append((await client.get(URL, headers=bearer(got))).status_code)
        await aside(actions.end_key, key=key, hours=0, by=SYSTEM)
        await asyncio.sleep(0.2)
        codes.append((await client.get(URL, headers=with_it)).status_code)
        return codes

    assert run(work, "192.0.2.1") == [401, 200, 200, 401, 401]


# ---- signatures ------------------------------------------------------------------------------


def signed_headers(
    key: signatures.PrivateKey,
    url: str = URL,
    *,
    method: str = "GET",
    components: tuple[str, ...] = ("@method", "@path", "@query"),
    created: float | None = None,
    nonce: str = "",
    kid: str = "",
    extra: str = "",
    headers: dict[str, str] | None = None,
) -> dict[str, str]:
    """What a client of a department does, written down after RFC 9421 and from nothing of ours."""
    parts = urlsplit(url)
    values = {
        "@method": method,
        "@path": parts.path,
        "@query": "?" + parts.query,
        "@authority": "t",
        **{k.lower(): v for k, v in (headers or {}).items()},
    }
    listed = " ".join(f'"{c}"' for c in components)
    stamp = int(time.time() if created is None else created)
    nonce = nonce or secrets.token_hex(12)
    parameters = (
        f'({listed});created={stamp};nonce="{nonce}";keyid="{kid or key.public.kid}"{extra}'
    )
    lines = [f'"{c}": {values[c]}' for c in components]
    text = "\n".join([*lines, f'"@signature-params": {parameters}'])
    made = base64.b64encode(key.sign_raw(text.encode())).decode()
    return {
        "Signature-Input": f"sig1={parameters}",
        "Signature": f"sig1=:{made}:",
        **(headers or {}),
    }


@pytest.fixture
def sender(token: str, grant: Grant) -> signatures.PrivateKey:
    """A department's key, registered; its grant requires signatures."""
    key = signatures.new_key(signatures.ECDSA)
    actions.register_key(
        client=Client.objects.get(), use="signature", pem=key.public.pem, by=SYSTEM
    )
    _terms(grant, signature="required")
    return key


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_signed_calls(token: str, grant: Grant, algorithm: str) -> None:
    key = signatures.new_key(algorithm)
    actions.register_key(
        client=Client.objects.get(), use="signature", pem=key.public.pem, by=SYSTEM
    )
    _terms(grant, signature="required")
    asked = f"/api/data/people?citizen_number={PERSON}"

    async def work(client: Caller) -> list[httpx.Response]:
        async def get(url: str, headers: dict[str, str]) -> httpx.Response:
            return await client.get(url, headers={**bearer(token), **headers})

        good = signed_headers(key, asked, extra=f';alg="{algorithm}"')
        answers = [await get(asked, good)]
        answers.append(await get(asked, good))  # replayed
        answers.append(await get(asked, {}))  # not signed
        answers.append(
            await get(f"/api/data/people?citizen_number={OTHER}", signed_headers(key, asked))
        )
        answers.append(await get(asked, signed_headers(key, asked, created=time.time() - 400)))
        answers.append(await get(asked, signed_headers(key, asked, created=time.time() + 400)))
        answers.append(
            await get(
                asked, signed_headers(signatures.new_key(algorithm), asked, kid=key.public.kid)
            )
        )
        answers.append(await get(asked, signed_headers(signatures.new_key(algorithm), asked)))
        answers.append(await get(asked, signed_headers(key, asked, extra=';alg="rsa-v1_5-sha256"')))
        answers.append(await get(asked, signed_headers(key, asked, extra=";expires=1")))
        answers.append(
            await get(asked, signed_headers(key, asked, components=("@method", "@path")))
        )
        answers.append(await get(asked, {**signed_headers(key, asked), "X-Purpose": "unsigned"}))
        signed = ("@method", "@path", "@query", "@authority", "x-purpose")
        answers.append(
            await get(
                asked,
                signed_headers(key, asked, components=signed, headers={"X-Purpose": "signed"}),
            )
        )
        return answers

    answers = run(work)
    assert [a.status_code for a in answers] == [200, *[401] * 11, 200]
    assert "用过" in answers[1].json()["detail"]
    assert CallRecord.objects.filter(outcome="signature").count() == 11
    assert CallRecord.objects.filter(outcome="ok").latest("id").purpose == "signed"


def test_a_signature_is_optional_but_never_wrong(token: str) -> None:
    key = signatures.new_key(signatures.ECDSA)
    actions.register_key(
        client=Client.objects.get(), use="signature", pem=key.public.pem, by=SYSTEM
    )

    async def work(client: Caller) -> list[int]:
        wrong = {**signed_headers(key), "Signature": "sig1=:AAAA:"}
        return [
            (await client.get(URL, headers={**bearer(token), **h})).status_code
            for h in ({}, signed_headers(key), wrong)
        ]

    assert run(work) == [200, 200, 401]


def test_a_replay_is_seen_by_another_worker(token: str, sender: signatures.PrivateKey) -> None:
    headers = {**bearer(token), **signed_headers(sender)}
    assert run(lambda c: c.get(URL, headers=headers)).status_code == 200
    assert run(lambda c: c.get(URL, headers=headers)).status_code == 401

    async def many(client: Caller) -> list[int]:
        fresh = {**bearer(token), **signed_headers(sender)}
        answers = await asyncio.gather(*(client.get(URL, headers=fresh) for _ in range(8)))
        return sorted(a.status_code for a in answers)

    assert run(many) == [200, *[401] * 7]


def test_nonces_are_forgotten_when_no_longer_needed(
    token: str, sender: signatures.PrivateKey
) -> None:
    headers = {**bearer(token), **signed_headers(sender)}
    assert run(lambda c: c.get(URL, headers=headers)).status_code == 200
    assert actions.forget_nonces() == 0
    UsedNonce.objects.update(at=timezone.now() - dt.timedelta(minutes=16))
    assert actions.forget_nonces() == 1


@pytest.mark.parametrize(
    "input_",
    [
        "",
        "sig1=()",
        'sig1=("@method" "@method" "@path" "@query");created=1;nonce="12345678";keyid="x"',
        'sig1=("@method");created=1;created=2;nonce="12345678";keyid="x"',
        'sig1=("@method");created=x;nonce="12345678";keyid="x"',
        'sig1=("@method" "@path" "@query" "@status");created=1;nonce="12345678";keyid="x"',
        'sig1=("@method" "@path" "@query");nonce="12345678";keyid="x"',
        'sig1=("@method" "@path" "@query");created=1;nonce="short";keyid="x"',
        'a=("@method");created=1;nonce="12345678";keyid="x", b=("@path");created=1;keyid="x"',
        "x" * 5000,
    ],
)
def test_malformed_signature_headers(
    token: str, sender: signatures.PrivateKey, input_: str
) -> None:
    headers = {**bearer(token), "Signature-Input": input_, "Signature": "sig1=:AAAA:"}
    assert run(lambda c: c.get(URL, headers=headers)).status_code == 401


def test_a_key_is_changed_without_an_outage(token: str, sender: signatures.PrivateKey) -> None:
    new = signatures.new_key(signatures.SM2)
    client_row = Client.objects.get()

    async def work(client: Caller) -> list[int]:
        async def call(key: signatures.PrivateKey) -> int:
            headers = {**bearer(token), **signed_headers(key)}
            return (await client.get(URL, headers=headers)).status_code

        codes = [await call(sender), await call(new)]
        await aside(
            actions.register_key,
            client=client_row, use="signature", pem=new.public.pem, by=SYSTEM,
        )  # fmt: skip
        await asyncio.sleep(0.2)
        codes += [await call(sender), await call(new)]
        await aside(
            lambda: actions.end_key(
                key=ClientKey.objects.get(kid=sender.public.kid), hours=0, by=SYSTEM
            )
        )
        await asyncio.sleep(0.2)
        return [*codes, await call(sender), await call(new)]

    assert run(work) == [200, 401, 200, 200, 401, 200]


def test_openssl_can_sign_a_call(token: str, grant: Grant, tmp_path: Path) -> None:
    """A department without our code: openssl makes the key and the SM2 signature."""
    made = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    public = subprocess.run(
        ["openssl", "pkey", "-in", made, "-pubout"], check=True, capture_output=True, text=True
    ).stdout
    actions.register_key(client=Client.objects.get(), use="signature", pem=public, by=SYSTEM)
    _terms(grant, signature="required")
    spki = base64.b64decode("".join(public.splitlines()[1:-1]))
    kid = hashlib.sha256(spki).hexdigest()
    parameters = (
        f'("@method" "@path" "@query");created={int(time.time())};nonce="abcdefgh1";keyid="{kid}"'
    )
    text = f'"@method": GET\n"@path": {URL}\n"@query": ?\n"@signature-params": {parameters}'
    signature = subprocess.run(
        ["openssl", "dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-sign", made],
        input=text.encode(), check=True, capture_output=True,
    ).stdout  # fmt: skip
    raw = base64.b64encode(signatures.to_raw(signature)).decode()
    headers = {
        **bearer(token),
        "Signature-Input": f"sig1={parameters}",
        "Signature": f"sig1=:{raw}:",
    }
    assert run(lambda c: c.get(URL, headers=headers)).status_code == 200


# ---- registering -----------------------------------------------------------------------------


def test_what_may_be_registered(token: str) -> None:
    client = Client.objects.get()

    def register(use: str, pem: str) -> ClientKey:
        return actions.register_key(client=client, use=use, pem=pem, by=SYSTEM)

    key = signatures.new_key(signatures.ECDSA)
    for use, pem, why in (
        ("signature", key.pem, "私钥"),
        ("signature", "nonsense", "PEM"),
        ("certificate", key.public.pem, "证书"),
        ("other", key.public.pem, "用途"),
    ):
        with pytest.raises(UserError, match=why):
            register(use, pem)
    register("signature", key.public.pem)
    with pytest.raises(UserError, match="登记过"):
        register("signature", key.public.pem)
    for _ in range(4):
        register("signature", signatures.new_key(signatures.SM2).public.pem)
    with pytest.raises(UserError, match="最多"):
        register("signature", signatures.new_key(signatures.SM2).public.pem)


def test_addresses() -> None:
    assert guards.source_of("1.2.3.4", "9.9.9.9") == "1.2.3.4"
    assert not guards.by_proxy("not an address")
