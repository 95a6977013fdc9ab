"""Turnstile: storms of wrong credentials end in 429, known callers go on, memory stays as it is."""

# ruff: noqa: F811 - fixtures of a sibling test

from __future__ import annotations

import tracemalloc
from typing import Any

import httpx
import pytest

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.services import actions, rules
from lianyun.capabilities.services.fast import door, turnstile
from lianyun.capabilities.services.fast.calls import Refused
from lianyun.capabilities.services.models import Client
from lianyun.capabilities.services.tests.test_credentials import (
    URL,
    Caller,
    aside,
    bearer,
    fetch_token,
    run,
)
from lianyun.capabilities.services.tests.test_fast import (  # noqa: F401
    grant,
    source,
    token,
)
from lianyun.kernel.access import SYSTEM
from lianyun.ui.visitor import place_of


def test_a_name_waits_for_the_end_of_its_window_and_others_do_not() -> None:
    attempts = rules.Attempts(3, 60)
    for second in (0.0, 1.0, 2.0):
        assert attempts.wait("a", second) == 0
        attempts.add("a", second)
    assert attempts.wait("a", 2.5) == 58
    assert attempts.wait("b", 2.5) == 0
    assert attempts.wait("a", 59.99) == 1
    assert attempts.wait("a", 60.0) == 0
    attempts.add("a", 61.0)
    assert attempts.wait("a", 61.0) == 0, "a new window begins at nothing"


def test_a_storm_of_addresses_takes_no_memory_and_hits_hardly_anybody_else() -> None:
    attempts = rules.Attempts(60)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(100_000):
        attempts.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    hit = sum(attempts.wait(f"192.0.2.{n}", 1.0) > 0 for n in range(256))
    assert hit == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("未知", "未知", True),
    ],
)
def test_one_holder_of_addresses_is_one_name(one: str, other: str, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same


def test_who_was_proven_is_not_locked_out_by_strangers() -> None:
    gate = turnstile.Turnstile()
    gate.passed("192.0.2.1", "lyc_a")
    for number in range(turnstile.FAILURES_OF_A_CLIENT):
        gate.failed(f"198.51.100.{number % 250}", "lyc_a")
    for number in range(turnstile.FAILURES_OF_AN_ADDRESS):
        gate.failed("192.0.2.1", f"lyc_{number}")
    gate.check("192.0.2.1", "lyc_a")
    with pytest.raises(Refused) as refused:
        gate.check("203.0.113.9", "lyc_a")
    assert refused.value.status == 429
    assert 0 < refused.value.retry <= 60
    with pytest.raises(Refused):
        gate.check("192.0.2.1", "lyc_b")
    gate.check("203.0.113.9", "lyc_b")
    for number in range(2 * turnstile.KNOWN):
        gate.passed(f"10.1.{number >> 8}.{number & 255}", "lyc_a")
    assert len(gate.known) == turnstile.KNOWN


@pytest.mark.django_db(transaction=True)
def test_wrong_credentials_hear_one_answer_then_429_everywhere(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, wrong and closed look alike; so do all refusals above the limit."""
    monkeypatch.setattr(turnstile, "FAILURES_OF_A_PAIR", 4)
    monkeypatch.setattr(turnstile, "FAILURES_OF_AN_ADDRESS", 12)
    client_id = token.partition(".")[0]
    unknown = "lyc_0000000000000000." + "a" * 43
    wrong = f"{client_id}." + "a" * 43

    async def work(http: Caller) -> None:
        said = [await http.get(URL, headers=bearer(t)) for t in (unknown, wrong)]
        said += [await http.get("/api/receipts/0", headers=bearer(t)) for t in (unknown, wrong)]
        assert {(a.status_code, a.text) for a in said} == {(401, said[0].text)}
        tokens = [await fetch_token(http, t) for t in (unknown, wrong)]
        assert {(a.status_code, a.text) for a in tokens} == {(401, tokens[0].text)}
        await http.get(URL, headers=bearer(wrong))
        late = [
            await http.get(URL, headers=bearer(wrong)),
            await http.get(URL, headers=bearer(token)),
            await http.get("/api/receipts/0", headers=bearer(token)),
            await fetch_token(http, token),
            await fetch_token(http, wrong),
        ]
        assert {(a.status_code, a.text) for a in late} == {(429, late[0].text)}
        assert all(0 < int(a.headers["retry-after"]) <= 60 for a in late)
        for number in range(6):
            other = f"lyc_{number:016x}." + "a" * 43
            last = await http.get(URL, headers=bearer(other))
        assert last.status_code == 429, "the address, whatever it names"
        plane = await door.plane_here()
        assert len(plane.rights.unknown) <= 7, "what is refused is not looked up"

    run(work)

    async def elsewhere(http: Caller) -> httpx.Response:
        return await http.get(URL, headers=bearer(token))

    assert run(elsewhere, "192.0.2.7").status_code == 200

    async def closed(http: Caller) -> Any:
        await aside(_closed)
        return await http.get(URL, headers=bearer(token)), await http.get(
            URL, headers=bearer(unknown)
        )

    after, never = run(closed, "192.0.2.8")
    assert (after.status_code, after.text) == (never.status_code, never.text)


def _closed() -> None:
    actions.close_client(client=Client.objects.get(), reason="试验", by=SYSTEM)


@pytest.mark.django_db(transaction=True)
def test_tokens_and_receipts_of_one_credential_are_limited(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "TOKENS", 2)
    monkeypatch.setattr(turnstile, "RECEIPTS", 2)

    async def work(http: Caller) -> tuple[list[int], list[int], int]:
        tokens = [(await fetch_token(http, token)).status_code for _ in range(3)]
        receipts = [
            (await http.get("/api/receipts/0", headers=bearer(token))).status_code for _ in range(3)
        ]
        return tokens, receipts, (await http.get(URL, headers=bearer(token))).status_code

    assert run(work) == ([200, 200, 429], [404, 404, 429], 200)
    assert CallRecord.objects.filter(outcome="quota").count() == 2
