"""The national platform (its stand-in of the sample city): what does not fit lets nobody in."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from demo import national_platform
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Account, Linked, User
from lianyun.capabilities.login.adapters import national
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.event import Event

NUMBER = "320703199003070016"
BACK = "http://127.0.0.1/login/national/back/"
PEOPLE = [
    {"name": "张三丰", "number": NUMBER, "level": "LEVEL3"},
    {"name": "李四", "number": "320703198811110034", "level": "LEVEL2"},
    {"name": "王五", "number": "32070319900307002X", "level": "LEVEL9"},
]


@pytest.fixture(scope="module")
def served() -> Iterator[national_platform.Platform]:
    told = {
        "port": 0, "client_id": "city", "secret": "s3cret", "redirect_uri": BACK, "people": PEOPLE
    }  # fmt: skip
    platform = national_platform.serve(told)
    yield platform
    platform.shutdown()


@pytest.fixture
def platform(served: national_platform.Platform, settings: Any, db: None) -> Any:
    settings.NATIONAL_ISSUER = served.issuer
    settings.NATIONAL_CLIENT_ID, settings.NATIONAL_CLIENT_SECRET = "city", "s3cret"
    served.bend, served.iss = {}, True
    national._kept.clear()
    return served


def begin(browser: Client, next_: str = "") -> str:
    """From the login page to the platform; the platform's address with the whole request."""
    answer = browser.get("/login/national/", {"next": next_} if next_ else {})
    assert answer.status_code == 302
    return str(answer["Location"])


def choose(place: str, person: int = 0) -> str:
    """The person says at the platform who he is; the path by which the browser comes back."""
    answer = httpx.get(f"{place}&person={person}", follow_redirects=False, trust_env=False)
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def enter(browser: Client, person: int = 0, next_: str = "") -> Any:
    return browser.get(choose(begin(browser, next_), person), follow=True)


def inside(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


def test_a_person_comes_in(platform: Any) -> None:
    assert (
        "用国家政务服务平台账号登录"
        in Client(SERVER_NAME="127.0.0.1").get("/login/").content.decode()
    )
    party = identity.party_of_number(NUMBER, name="张三丰")
    browser = Client(SERVER_NAME="127.0.0.1")
    page = enter(browser, next_="/my/agencies/")
    assert page.redirect_chain[-1][0] == "/my/agencies/"
    assert inside(browser)
    # The register's holder has a login now, of the platform's level, marked as simulated.
    account = Account.objects.get(party=party)
    assert (account.level, account.way, account.simulated) == (3, "platform", True)
    assert "模拟核验" in browser.get("/my/identity/").content.decode()
    assert not any(NUMBER in f"{e.data}{e.personal}" for e in Event.objects.all())
    # The second time it is the same login; one who only declared the number loses it.
    enter(Client(SERVER_NAME="127.0.0.1"))
    assert User.objects.filter(party=party).count() == 1
    assert Linked.objects.get().account == account
    assert NUMBER not in Linked.objects.get().subject
    # Without a password here the account can still be closed by its owner.
    assert browser.post("/my/identity/erase/", {"do": "erase"}).status_code == 302
    account.refresh_from_db()
    assert account.erase_on is not None


def test_a_lower_level_owns_no_number_and_an_unknown_one_nothing(platform: Any) -> None:
    browser = Client(SERVER_NAME="127.0.0.1")
    enter(browser, 1)
    account = Account.objects.get()
    assert (account.level, account.number_hash) == (2, None)
    enter(Client(SERVER_NAME="127.0.0.1"), 1)
    assert Account.objects.count() == 1
    refused = enter(Client(SERVER_NAME="127.0.0.1"), 2)
    assert refused.status_code == 400
    assert Account.objects.count() == 1


def test_an_officers_posts_are_not_entered_this_way(platform: Any) -> None:
    from lianyun.kernel.access import Membership
    from lianyun.kernel.party import department

    party = identity.party_of_number(NUMBER, name="张三丰", by=SYSTEM)
    Membership.objects.create(party=party, department=department("sjj"), role="data_officer")
    browser = Client(SERVER_NAME="127.0.0.1")
    assert "工作账号" in enter(browser).content.decode()
    assert not inside(browser)


def test_half_an_entry_is_none(platform: Any) -> None:
    browser = Client(SERVER_NAME="127.0.0.1")
    assert browser.get("/login/entered/")["Location"] == "/login/"
    # What a password left behind does not open this door.
    session = browser.session
    session["half"] = {"user": 1, "at": time.time(), "next": "/"}
    session.save()
    assert browser.get("/login/entered/")["Location"] == "/login/"


def test_csrf_and_replay_of_answers(platform: Any) -> None:
    owner, other = Client(SERVER_NAME="127.0.0.1"), Client(SERVER_NAME="127.0.0.1")
    back = choose(begin(owner))
    # Another browser, led to this answer, is not logged in as somebody else.
    assert other.get(back).status_code == 400
    begin(other)
    assert other.get(back).status_code == 400
    assert not inside(other)
    # A changed state uses the errand up; the right one is then too late.
    assert owner.get(back.replace("state=", "state=x")).status_code == 400
    assert owner.get(back).status_code == 400
    # An answer is good once.
    owner.get(choose(begin(owner)))
    used = choose(begin(other))
    other.get(used, follow=True)
    assert inside(other)
    third = Client(SERVER_NAME="127.0.0.1")
    begin(third)
    state = parse_qs(urlsplit(begin(third)).query)["state"][0]
    code = parse_qs(urlsplit(used).query)["code"][0]
    stolen = {"code": code, "state": state, "iss": platform.issuer}
    assert third.get("/login/national/back/", stolen).status_code == 400
    assert not inside(third)


def _with(**more: Any) -> Any:
    return lambda told: {k: v for k, v in {**told, **more}.items() if v is not None}


@pytest.mark.parametrize(
    ("what", "bent"),
    [
        ("answer", {"iss": "https://evil.example"}),
        ("answer", {"iss": None}),
        ("answer", {"code": None, "error": "access_denied"}),
        ("claims", {"iss": "https://evil.example"}),
        ("claims", {"aud": "another-city"}),
        ("claims", {"aud": ["city", "another-city"]}),
        ("claims", {"aud": ["city", "another-city"], "azp": "another-city"}),
        ("claims", {"nonce": "of-another-errand"}),
        ("claims", {"nonce": None}),
        ("claims", {"exp": 1_600_000_000}),
        ("claims", {"sub": None}),
        ("userinfo", {"sub": "n-somebody-else"}),
        ("userinfo", {"citizen_number": "320703199003070017"}),
        ("userinfo", {"name": None}),
    ],
)
def test_what_does_not_fit_lets_nobody_in(platform: Any, what: str, bent: dict[str, Any]) -> None:
    platform.bend = {what: _with(**bent)}
    browser = Client(SERVER_NAME="127.0.0.1")
    assert enter(browser).status_code == 400
    assert not inside(browser)
    assert not Account.objects.exists()


def test_only_the_published_keys_sign(platform: Any) -> None:
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    def part(told: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")

    def forged(algorithm: str) -> Any:
        def bend(told: dict[str, Any]) -> dict[str, Any]:
            claims = jwt.decode(told["id_token"], platform.key, ["RS256"]).claims
            body = f"{part({'alg': algorithm, 'kid': 'national-1'})}.{part(claims)}"
            if algorithm == "RS256":
                other = RSAKey.generate_key(2048, {"kid": "national-1"})
                return {**told, "id_token": jwt.encode({"alg": "RS256"}, claims, other)}
            # The public key taken for a shared secret, and no signature at all.
            made = hmac.digest(platform.key.as_pem(private=False), body.encode(), "sha256")
            signed = base64.urlsafe_b64encode(made).decode().rstrip("=")
            return {**told, "id_token": f"{body}.{signed if algorithm == 'HS256' else ''}"}

        return bend

    for algorithm in ("RS256", "HS256", "none"):
        platform.bend = {"tokens": forged(algorithm)}
        browser = Client(SERVER_NAME="127.0.0.1")
        assert enter(browser).status_code == 400
        assert not inside(browser)
    # A provider that turned its keys since we looked is believed.
    national._kept[f"{platform.issuer}/jwks"] = (time.monotonic(), {"keys": []})
    platform.bend = {}
    browser = Client(SERVER_NAME="127.0.0.1")
    enter(browser)
    assert inside(browser)


def test_a_first_password_needs_a_new_login(platform: Any) -> None:
    """The platform's signed `auth_time` says whether he was there a moment ago; nobody else does."""
    password = {"new": "Ganyu-2027x", "again": "Ganyu-2027x"}
    for bend in (
        lambda told: {**told, "auth_time": int(time.time()) - 3600},
        lambda told: {**told, "auth_time": int(time.time()) + 3600},
        lambda told: {k: v for k, v in told.items() if k != "auth_time"},
    ):
        platform.bend["claims"] = bend
        # What is not signed counts for nothing.
        platform.bend["userinfo"] = lambda told: {**told, "auth_time": int(time.time())}
        old = Client(SERVER_NAME="127.0.0.1")
        enter(old)
        assert old.post("/workbench/account/password/", password).status_code == 400
    platform.bend = {}
    anew = old.post("/workbench/account/anew/", {"next": "/workbench/account/password/"})
    assert not inside(old)
    place = begin_at(old, anew["Location"])
    asked = parse_qs(urlsplit(place).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    page = old.get(choose(place), follow=True)
    assert page.redirect_chain[-1][0] == "/workbench/account/password/"
    assert old.post("/workbench/account/password/", password).status_code == 302
    assert User.objects.get().check_password("Ganyu-2027x")


def begin_at(browser: Client, where: str) -> str:
    """The platform's address to which one of our own leads."""
    return str(browser.get(where)["Location"])
