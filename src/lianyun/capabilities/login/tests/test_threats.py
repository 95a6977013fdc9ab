"""Threats of docs/security/login.md, one test each: what an attacker tries, and that it fails."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from lianyun.capabilities.login import actions, queries
from lianyun.capabilities.login.models import Admission, Consent
from lianyun.kernel.access import SYSTEM, actor_of
from lianyun.kernel.event import Event

from .conftest import BACK, Flow, back

pytestmark = pytest.mark.django_db


def test_the_whole_way_and_what_the_person_sees(flow: Flow) -> None:
    page = flow.ask()
    assert page.status_code == 200
    text = page.content.decode()
    assert "称呼您" in text
    assert "周敏" in text
    assert "form-action 'self' https://relief.example" in page["Content-Security-Policy"]
    got = flow.agree()
    assert got["state"] == "st"
    tokens = flow.redeem(got["code"]).json()
    keys = KeySet.import_key_set(flow.backend.get("/oidc/jwks.json").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["nonce"] == "no"
    assert claims["aud"] == flow.system.client_id
    assert "name" not in claims
    told = flow.claims(tokens["access_token"]).json()
    assert told["name"] == "周敏"
    assert told["sub"] == claims["sub"]
    mine = flow.browser.get("/my/authorizations/").content.decode()
    assert "救助系统zhou" in mine
    assert "已提供：姓名" in mine
    # Remembered: no page, at once the code, also silently.
    assert "code" in back(flow.ask(prompt="none"))


def test_open_redirect(flow: Flow) -> None:
    for wrong in (
        "https://relief.example/callback/",
        "https://relief.example/callback?x=1",
        "https://relief.example.evil.example/callback",
        "https://relief.example@evil.example/callback",
        "//evil.example",
        "https://恶意.example/",
        "",
    ):
        answer = flow.ask(redirect_uri=wrong)
        assert answer.status_code == 400, wrong
        assert "Location" not in answer
    assert flow.ask(client_id="lys0000", redirect_uri="https://evil.example/").status_code == 400
    assert flow.browser.get("/oidc/onward", {"to": "https://evil.example/"}).status_code == 400
    assert flow.browser.get("/oidc/onward", {"to": "//evil/oidc/authorize?"}).status_code == 400
    left = flow.browser.get("/oidc/logout", {"post_logout_redirect_uri": "https://evil.example/"})
    assert left.status_code == 200
    assert "Location" not in left


def test_mix_up(flow: Flow) -> None:
    """Every answer says who answers, refusals too (RFC 9207)."""
    assert flow.agree()["iss"] == f"http://{flow.browser.defaults['SERVER_NAME']}"
    refused = flow.agree(do="refuse")
    assert (refused["error"], refused["iss"]) == ("access_denied", "http://127.0.0.1")
    wrong = back(flow.ask(scope="profile"))
    assert (wrong["error"], wrong["iss"]) == ("invalid_scope", "http://127.0.0.1")


def test_csrf(flow: Flow) -> None:
    """Nobody else's page gives a consent, begins a new login or ends one."""
    from urllib.parse import urlencode

    strict = Client(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    strict.cookies = flow.browser.cookies
    where = urlencode(flow.query())
    assert strict.post(f"/oidc/consent?{where}", {"do": "agree"}).status_code == 403
    assert strict.post(f"/oidc/again?{where}").status_code == 403
    assert strict.post("/oidc/leave", {"do": "leave"}).status_code == 403
    asked = strict.get("/oidc/logout")
    assert "退出城市账号？" in asked.content.decode()
    assert not Consent.objects.exists()


def test_code_replay_ends_everything(flow: Flow) -> None:
    code = flow.agree()["code"]
    tokens = flow.redeem(code).json()
    assert flow.claims(tokens["access_token"]).status_code == 200
    again = flow.redeem(code)
    assert again.json()["error"] == "invalid_grant"
    assert flow.claims(tokens["access_token"]).status_code == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert Event.objects.filter(kind="admission.ended", data__note="授权码被再次使用").exists()


def test_code_injection(flow: Flow, make_flow: Callable[..., Flow]) -> None:
    """A stolen code helps nobody without the verifier, under another system, or too late."""
    code = flow.agree()["code"]
    assert flow.redeem(code, code_verifier="w" * 50).json()["error"] == "invalid_grant"
    assert flow.redeem(flow.agree()["code"], redirect_uri=f"{BACK}2").status_code == 400
    other = make_flow("wang")
    stolen = flow.agree()["code"]
    assert other.redeem(stolen).json()["error"] == "invalid_grant"
    assert flow.redeem(stolen).json()["error"] == "invalid_grant"
    late = flow.agree()["code"]
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=61), tick=False):
        assert flow.redeem(late).json()["error"] == "invalid_grant"
    for bad in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"request": "x.y.z"},
        {"response_mode": "form_post"},
        {"response_type": "token"},
    ):
        assert "code" not in back(flow.ask(**bad)), bad


def test_token_theft(flow: Flow) -> None:
    """A refresh token used twice ends the family: the thief's tokens and the owner's."""
    first = flow.redeem(flow.agree()["code"]).json()
    second = flow.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert flow.claims(first["access_token"]).status_code == 401
    assert flow.claims(second["access_token"]).status_code == 200
    assert flow.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.claims(second["access_token"]).status_code == 401
    kept = Admission.objects.get(why="续期凭证被再次使用")
    for secret in (first["refresh_token"], second["access_token"]):
        assert not kept.tokens.filter(digest=secret).exists()
        assert not Event.objects.filter(data__icontains=secret).exists()


def test_downgrade_of_level(flow: Flow, make_flow: Callable[..., Flow]) -> None:
    """A request can raise the registered level, never lower it; the level reached is signed."""
    strict = make_flow("li", level=2)
    strict.enter()
    assert strict.ask().status_code == 403
    for trick in (
        {"acr_values": "urn:lianyun:level:0"},
        {"claims": '{"id_token": {"acr": {"value": "urn:lianyun:level:0"}}}'},
    ):
        assert strict.ask(**trick).status_code == 403
        assert (
            back(strict.ask(**trick, prompt="none"))["error"] == "unmet_authentication_requirements"
        )
    assert not Admission.objects.filter(system=strict.system).exists()
    assert flow.ask(acr_values="urn:lianyun:level:3").status_code == 403
    assert "error" in back(flow.ask(acr_values="urn:other:gold"))
    assert "error" in back(flow.ask(claims="{"))


def test_a_level_that_a_stand_in_gave_is_told(flow: Flow) -> None:
    """模拟数据 reaches the systems: signed in the ID token, at userinfo and introspection; else absent."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity.models import Account

    known = flow.backend.get("/.well-known/openid-configuration").json()
    assert {"acr", "acr_simulated"} <= set(known["claims_supported"])
    user = get_user_model().objects.get(username=flow.username)
    account = Account.objects.create(party=user.party, level=3, way="face", simulated=True)
    keys = KeySet.import_key_set(flow.backend.get("/oidc/jwks.json").json())

    def told(tokens: dict[str, str]) -> list[tuple[object, object]]:
        login = {"client_id": flow.system.client_id, "client_secret": flow.secret}
        asked = {"token": tokens["access_token"], **login}
        signed = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        answers = (
            signed,
            flow.claims(tokens["access_token"]).json(),
            flow.backend.post("/oidc/introspect", asked).json(),
        )
        return [(one["acr"], one.get("acr_simulated")) for one in answers]

    assert told(flow.redeem(flow.agree()["code"]).json()) == [("urn:lianyun:level:3", True)] * 3
    # Proven at a counter meanwhile: the next entry is told as real.
    account.simulated = False
    account.save(update_fields=["simulated"])
    assert told(flow.redeem(flow.agree()["code"]).json()) == [("urn:lianyun:level:3", None)] * 3


def test_client_impersonation(flow: Flow) -> None:
    """No secret, a wrong one, an old one after its time: no tokens; a rotation is no outage."""
    code = flow.agree()["code"]
    assert flow.redeem(code, secret="0" * 64).json()["error"] == "invalid_client"
    bare = flow.backend.post(
        "/oidc/token",
        {"grant_type": "authorization_code", "client_id": flow.system.client_id, "code": code},
    )
    assert bare.json()["error"] == "invalid_client"
    fresh = actions.rotate_secret(system=flow.system, by=SYSTEM)
    tokens = flow.redeem(code).json()  # the former secret, within the overlap
    assert "access_token" in tokens
    assert "access_token" in flow.redeem(flow.agree()["code"], secret=fresh).json()
    actions.rotate_secret(system=flow.system, by=SYSTEM, overlap_hours=0)
    assert flow.redeem(flow.agree()["code"], secret=fresh).json()["error"] == "invalid_client"
    flow.system.refresh_from_db()
    assert fresh not in (flow.system.secret_hash, flow.system.former_hash)


def test_newer_login_when_asked(flow: Flow) -> None:
    flow.agree()
    assert "error" in back(flow.ask(prompt="none", max_age="0"))
    page = flow.ask(prompt="login")
    assert "请重新登录" in page.content.decode()
    from urllib.parse import urlencode

    gone = flow.browser.post(f"/oidc/again?{urlencode(flow.query(prompt='login'))}")
    assert gone["Location"].startswith("/login/")
    onward = parse_qs(urlsplit(gone["Location"]).query)["next"][0]
    here = parse_qs(urlsplit(onward).query)["to"][0]
    # A mark of another request, or no new login after it, proves nothing.
    flow.enter()
    assert "code" in back(flow.browser.get(here))
    assert flow.browser.get(here.replace("state=st", "state=su")).status_code == 200


def test_names_differ_from_system_to_system(flow: Flow, make_flow: Callable[..., Flow]) -> None:
    one = flow.redeem(flow.agree()["code"]).json()
    other = make_flow("sun")
    other.browser = flow.browser
    two = other.redeem(other.agree()["code"]).json()
    first, second = flow.claims(one["access_token"]), other.claims(two["access_token"])
    assert first.json()["sub"] != second.json()["sub"]


def test_all_ends_with_the_login(flow: Flow) -> None:
    tokens = flow.redeem(flow.agree()["code"]).json()
    Session.objects.filter(session_key=flow.browser.session.session_key).delete()
    assert flow.claims(tokens["access_token"]).status_code == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    actions.end_closed(by=SYSTEM)
    assert Admission.objects.get().ended_at is not None


def test_a_withdrawn_consent_ends_at_once(flow: Flow) -> None:
    tokens = flow.redeem(flow.agree()["code"]).json()
    consent = queries.consents(actor_of(Admission.objects.get().party))[0]
    done = flow.browser.post("/my/authorizations/", {"consent": consent.pk})
    assert done.status_code == 302
    assert flow.claims(tokens["access_token"]).status_code == 401
    assert flow.ask().status_code == 200  # asks anew


def test_keys_rotate_without_an_outage(flow: Flow) -> None:
    old = flow.redeem(flow.agree()["code"]).json()["id_token"]
    made = actions.rotate_key(by=SYSTEM, reason="试")
    assert len(flow.backend.get("/oidc/jwks.json").json()["keys"]) == 2
    signing = queries.signing_key()
    assert signing is not None
    assert signing.kid != made.kid
    with time_machine.travel(timezone.now() + dt.timedelta(hours=25), tick=False):
        turned = queries.signing_key()
        assert turned is not None
        assert turned.kid == made.kid
        keys = KeySet.import_key_set({"keys": queries.public_keys()})
        assert jwt.decode(old, keys, algorithms=["RS256"]).claims["sub"]
    with time_machine.travel(timezone.now() + dt.timedelta(hours=49), tick=False):
        assert [k["kid"] for k in queries.public_keys()] == [made.kid]
    assert "PRIVATE" not in signing.sealed
    assert set(signing.public) == {"kty", "n", "e", "kid", "use", "alg"}


def test_whoever_is_taken_out_of_the_directory_is_out_everywhere(flow: Flow) -> None:
    from django.contrib.auth import get_user_model

    from lianyun.kernel.party import department

    _, token = actions.open_directory(department=department("mz"), by=SYSTEM)
    bearer = {"Authorization": f"Bearer {token}"}
    made = flow.backend.post(
        "/scim/v2/Users",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "qian",
            "displayName": "钱伟",
        },
        content_type="application/scim+json",
        headers=bearer,
    )
    assert made.status_code == 201, made.content
    user = get_user_model().objects.get(username="mz.qian")
    from lianyun.capabilities.identity.actions import assign_role

    assign_role(user, department("mz"), "data_officer", by=SYSTEM)
    user.set_password("Haizhou-2026")
    user.must_change, user.password_set_at = False, timezone.now()
    user.save()
    his = Flow(flow.system, flow.secret, "mz.qian")
    his.enter()
    tokens = his.redeem(his.agree()["code"]).json()
    assert his.claims(tokens["access_token"]).status_code == 200
    gone = flow.backend.delete(f"/scim/v2/Users/{made.json()['id']}", headers=bearer)
    assert gone.status_code == 204
    user.refresh_from_db()
    assert not user.is_active
    assert not user.party.memberships.exists()
    assert his.claims(tokens["access_token"]).status_code == 401
    assert his.browser.get("/workbench/").status_code == 302
    _, foreign = actions.open_directory(department=department("ga"), by=SYSTEM)
    seen = flow.backend.get("/scim/v2/Users", headers={"Authorization": f"Bearer {foreign}"})
    assert seen.json()["totalResults"] == 0
