"""Fuzz: no changed token is believed, and no odd word at any endpoint breaks it."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from lianyun.capabilities.login.models import Admission

from .conftest import Flow

pytestmark = pytest.mark.django_db

WORDS = (
    "", "\0", "x.y.z", "..", "a" * 5000, "eyJhbGciOiJub25lIn0.e30.", "%00", "中文", "'\"\\", "{}", "[1",
    "-1", "1e9", "urn:lianyun:level:9", "https://relief.example/callback\r\nX: 1", "\ud7ff", "💧",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6MX0.eyJpc3MiOltdfQ.AA", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA",
)  # fmt: skip


def odd(chance: random.Random) -> str:
    """A hostile word, or a run of any characters."""
    if chance.random() < 0.6:
        return chance.choice(WORDS)
    return "".join(chr(chance.randrange(1, 0x2FF)) for _ in range(chance.randrange(40)))


def turned(token: str, chance: random.Random) -> str:
    """The token with one of its characters changed to another of the same alphabet."""
    at = chance.randrange(len(token))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    return token[:at] + chance.choice(alphabet.replace(token[at], "")) + token[at + 1 :]


def told(token: str) -> bytes:
    """What a token's text stands for: base64 leaves the last bits of a part free."""
    head, body, value = [*token.split("."), "", ""][:3]
    rest = token.count(".") == 2 and value + "=" * (-len(value) % 4)
    return f"{head}.{body}.".encode() + base64.urlsafe_b64decode(rest) if rest else token.encode()


def tokens(flow: Flow, places: int) -> None:
    chance = random.Random(8693)
    got = flow.redeem(flow.agree()["code"]).json()
    hint = {"post_logout_redirect_uri": "https://relief.example/bye"}
    for _ in range(places):
        wrong = turned(got["access_token"], chance)
        assert flow.claims(wrong).status_code == 401
        asked = {"token": wrong, "client_id": flow.system.client_id, "client_secret": flow.secret}
        assert flow.backend.post("/oidc/introspect", asked).json() == {"active": False}
        assert flow.refresh(turned(got["refresh_token"], chance)).status_code == 400
        forged = turned(got["id_token"], chance)
        if told(forged) != told(got["id_token"]):
            answer = flow.browser.get("/oidc/logout", {"id_token_hint": forged, **hint})
            assert answer.status_code in (200, 400), forged
            assert "Location" not in answer
    # All this ended nothing: the family is whole, and so is the person's login.
    assert flow.claims(got["access_token"]).status_code == 200
    assert flow.refresh(got["refresh_token"]).status_code == 200


def endpoints(flow: Flow, rounds: int) -> None:
    chance = random.Random(6749)
    good: dict[str, Callable[[], dict[str, str]]] = {
        "/oidc/authorize": flow.query,
        "/oidc/consent": flow.query,
        "/oidc/token": lambda: {
            "grant_type": chance.choice(["authorization_code", "refresh_token", "client_credentials"]),
            "code": "c", "refresh_token": "r", "redirect_uri": "https://relief.example/callback",
            "code_verifier": "v" * 50, "client_id": flow.system.client_id, "client_secret": flow.secret,
            "scope": "openid",
        },
        "/oidc/introspect": lambda: {"token": "t", "client_id": flow.system.client_id, "client_secret": flow.secret},
        "/oidc/revoke": lambda: {"token": "t", "client_id": flow.system.client_id, "client_secret": flow.secret},
        "/oidc/logout": lambda: {"id_token_hint": "x", "post_logout_redirect_uri": "y", "state": "s"},
        "/oidc/userinfo": dict,
        "/oidc/onward": lambda: {"to": "/oidc/authorize?x"},
    }  # fmt: skip
    before = list(Admission.objects.values_list("pk", flat=True))
    for _ in range(rounds):
        for place, make in good.items():
            fields: dict[str, Any] = make()
            for name in chance.sample(sorted(fields), min(len(fields), chance.randrange(1, 3))):
                fields[name] = odd(chance) if chance.random() < 0.9 else [odd(chance), odd(chance)]
            head = {}
            if chance.random() < 0.3:
                plain = "".join(c for c in odd(chance) if c.isascii() and c.isprintable())
                head = {"Authorization": f"{chance.choice(['Bearer', 'Basic', ''])} {plain}"}
            answers = [
                chance.choice([flow.backend.get, flow.backend.post])(place, fields, headers=head)
            ]
            if place in ("/oidc/authorize", "/oidc/consent"):  # and by who is logged in and agrees
                where = f"{place}?{urlencode(fields, doseq=True)}"
                answers += [flow.browser.get(where), flow.browser.post(where, {"do": "agree"})]
            for answer in answers:
                assert answer.status_code < 500, (place, fields, head)
                assert b"access_token" not in answer.content
                where = answer.get("Location", "/")
                assert where.startswith(("/", "https://relief.example/callback?")), (place, where)
    assert not Admission.objects.exclude(pk__in=before).exclude(code_used_at=None).exists()


def test_no_changed_token_and_no_odd_word_is_believed(flow: Flow) -> None:
    tokens(flow, 6)
    endpoints(flow, 6)


@pytest.mark.slow
def test_no_changed_token_is_believed_in_many_places(flow: Flow) -> None:
    tokens(flow, 250)


@pytest.mark.slow
def test_no_odd_word_breaks_an_endpoint_in_many_rounds(flow: Flow) -> None:
    endpoints(flow, 250)
