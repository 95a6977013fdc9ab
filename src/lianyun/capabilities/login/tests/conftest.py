"""Fixtures: a person with a login, a registered system, and a browser that goes all the way."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from lianyun.capabilities.login import actions
from lianyun.kernel.access import SYSTEM

BACK = "https://relief.example/callback"
VERIFIER = "v" * 50
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
PASSWORD = "Haizhou-2026"
HOST = "127.0.0.1"


class Flow:
    """One person's browser and one system, with the steps of a login by hand."""

    def __init__(self, system: Any, secret: str, username: str) -> None:
        self.system, self.secret, self.username = system, secret, username
        self.browser = Client(SERVER_NAME=HOST)
        self.backend = Client(SERVER_NAME=HOST)

    def enter(self) -> None:
        """Log in at the city."""
        done = self.browser.post("/login/", {"username": self.username, "password": PASSWORD})
        assert done.status_code == 302

    def query(self, **more: str | None) -> dict[str, str]:
        """The parameters of an authorization request; None takes one out."""
        whole = {
            "response_type": "code",
            "client_id": self.system.client_id,
            "redirect_uri": BACK,
            "scope": "openid profile",
            "state": "st",
            "nonce": "no",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return {k: v for k, v in whole.items() if v is not None}

    def ask(self, **more: str | None) -> Any:
        """The authorization endpoint's answer."""
        return self.browser.get("/oidc/authorize", self.query(**more))

    def agree(self, do: str = "agree", **more: str | None) -> dict[str, str]:
        """The person's word on the consent page; what the system gets back."""
        from urllib.parse import urlencode

        done = self.browser.post(f"/oidc/consent?{urlencode(self.query(**more))}", {"do": do})
        return back(done)

    def token(self, *, secret: str = "", client: str = "", **fields: str) -> Any:
        """The token endpoint's answer."""
        return self.backend.post(
            "/oidc/token",
            {
                "client_id": client or self.system.client_id,
                "client_secret": secret or self.secret,
                **fields,
            },
        )

    def redeem(self, code: str, **more: str) -> Any:
        """A code for tokens."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            **more,
        }
        return self.token(**fields)

    def refresh(self, token: str) -> Any:
        """A refresh token for new ones."""
        return self.token(grant_type="refresh_token", refresh_token=token)

    def claims(self, token: str) -> Any:
        """The userinfo endpoint's answer."""
        return self.backend.get("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"})


def back(response: Any) -> dict[str, str]:
    """What a redirect carries back to the system; only ever to its own address."""
    assert response.status_code == 302, response.content[:500]
    target = urlsplit(response["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == BACK
    return {k: v[0] for k, v in parse_qs(target.query).items()}


@pytest.fixture
def make_flow(city: None) -> Callable[..., Flow]:
    """Makes a person, a system and the way between them."""
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.party import department

    def make(name: str = "zhou", **design: Any) -> Flow:
        identity.create_account(
            department("mz"),
            "周敏",
            f"mz.{name}",
            ["data_officer"],
            password=PASSWORD,
            must_change=False,
            by=SYSTEM,
        )
        filled: dict[str, Any] = {
            "name": f"救助系统{name}",
            "purpose": "办理临时救助",
            "redirect_uris": BACK,
            "scopes": {"profile": "称呼您"},
            "level": 0,
            **design,
        }
        system, secret = actions.register_system(
            department=department("mz"), design=actions.Design(**filled), by=SYSTEM
        )
        return Flow(system, secret, f"mz.{name}")

    return make


@pytest.fixture
def flow(make_flow: Callable[..., Flow]) -> Flow:
    """A person who has logged in at the city, and a system."""
    made = make_flow()
    made.enter()
    return made
