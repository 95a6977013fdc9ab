"""National platform: this city as a relying party of another OpenID provider (code with PKCE).

What comes back is believed only where everything fits: state and issuer of the errand this browser
began, a code that the provider takes with our secret and verifier, an ID token that its published
keys signed for us with our nonce, and the claims of the same subject.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lianyun.kernel import packs

from .. import rules

if TYPE_CHECKING:
    from joserfc.jwk import KeySetSerialization

ALGORITHMS = ["RS256", "ES256"]
SECONDS = 8.0
KEPT_SECONDS = 300
LONGEST = 600
"""So many seconds may a person take at the platform."""


class NotProven(Exception):
    """The platform proved nobody; the message says so, in Chinese."""


@dataclass(frozen=True)
class Person:
    """Whom the platform names: its own name for him, name, number, and the level by our configuration.

    `entered` is when he gave his password there (epoch seconds, `auth_time`), 0 where it was not told.
    """

    subject: str
    name: str
    number: str
    level: int
    entered: float = 0.0


@dataclass(frozen=True)
class Platform:
    """The platform that this installation trusts, and where our words for its claims stand."""

    issuer: str
    client_id: str
    secret: str
    title: str
    claims: dict[str, Any]
    simulated: bool


def platform() -> Platform | None:
    """The configured platform (LIANYUN_NATIONAL_*, packs/core/access.yaml), None where there is none."""
    if not settings.NATIONAL_ISSUER or not settings.NATIONAL_CLIENT_ID:
        return None
    told = dict(packs.mapping("core", "access.yaml").get("national") or {})
    return Platform(
        settings.NATIONAL_ISSUER,
        settings.NATIONAL_CLIENT_ID,
        settings.NATIONAL_CLIENT_SECRET,
        str(told.get("title") or "国家政务服务平台"),
        told,
        bool(packs.mapping("core", "city.yaml").get("sample", True)),
    )


_CALL: dict[str, Any] = {"timeout": SECONDS, "follow_redirects": False, "trust_env": False}
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


def _told(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError(str(answer.url))
    return found


def _fetched(url: str, *, anew: bool = False) -> dict[str, Any]:
    """A document of the platform, kept for minutes in this process."""
    known = _kept.get(url)
    if known is not None and not anew and time.monotonic() - known[0] < KEPT_SECONDS:
        return known[1]
    found = _told(httpx.get(url, **_CALL))
    _kept[url] = (time.monotonic(), found)
    return found


def _metadata(known: Platform) -> dict[str, Any]:
    found = _fetched(f"{known.issuer}/.well-known/openid-configuration")
    if found.get("issuer") != known.issuer:
        raise NotProven("平台的登录信息与登记的不一致，已停止登录")
    return found


def begin(known: Platform, back: str, *, anew: bool = False) -> tuple[str, dict[str, Any]]:
    """Where the browser goes, and what its session keeps until it comes back; raises NotProven.

    `anew` asks the platform to have the person enter again, whoever is still logged in there.
    """
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    try:
        place = _metadata(known)["authorization_endpoint"]
    except (httpx.HTTPError, ValueError, KeyError) as wrong:
        raise NotProven(f"{known.title}暂时连不上，请稍后再试或用本市账号登录") from wrong
    state = secrets.token_urlsafe(24)
    query = {
        "response_type": "code",
        "client_id": known.client_id,
        "redirect_uri": back,
        "scope": "openid profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": create_s256_code_challenge(verifier),
        "code_challenge_method": "S256",
        **({"prompt": "login", "max_age": "0"} if anew else {}),
    }
    url = add_params_to_uri(place, list(query.items()))
    errand = {
        "state": state, "nonce": nonce, "verifier": verifier, "issuer": known.issuer,
        "at": time.time(),
    }  # fmt: skip
    return url, errand


def finish(
    known: Platform, errand: dict[str, Any] | None, answer: dict[str, str], back: str
) -> Person:
    """Whom the platform names, for the answer that came back; raises NotProven.

    `errand` is what `begin` gave this browser and is used up by this call, whatever comes of it.
    """
    strange = NotProven("登录不是从这里开始的，或者已经用过，请重新登录")
    if not errand or time.time() - float(errand["at"]) > LONGEST:
        raise strange
    if not secrets.compare_digest(answer.get("state", "").encode(), errand["state"].encode()):
        raise strange
    if errand["issuer"] != known.issuer:
        raise strange
    try:
        about = _metadata(known)
        # RFC 9207: an answer of another provider is not taken for this one's.
        told = answer.get("iss")
        must = about.get("authorization_response_iss_parameter_supported") is True
        if (told is not None or must) and told != known.issuer:
            raise NotProven("登录结果来自别处，已停止登录")
        if "error" in answer or "code" not in answer:
            raise NotProven(f"{known.title}没有完成登录，您可以重试或用本市账号登录")
        tokens = _told(
            httpx.post(
                about["token_endpoint"],
                data={
                    "grant_type": "authorization_code",
                    "code": answer["code"],
                    "redirect_uri": back,
                    "code_verifier": errand["verifier"],
                },
                # RFC 6749, 2.3.1: both are form-encoded before they are joined.
                auth=(quote(known.client_id, safe=""), quote(known.secret, safe="")),
                **_CALL,
            )
        )
        claims = _claims(known, about, str(tokens["id_token"]), errand["nonce"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        more = _told(httpx.get(about["userinfo_endpoint"], headers=bearer, **_CALL))
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as wrong:
        raise NotProven(f"{known.title}的登录结果没有通过核对，请重新登录") from wrong
    if more.get("sub") != claims["sub"]:
        raise NotProven(f"{known.title}的登录结果前后不一致，已停止登录")
    return _person(known, {**more, **claims}, claims.get("auth_time"))


def _keys(told: dict[str, Any]) -> KeySet:
    return KeySet.import_key_set(cast("KeySetSerialization", told))


def _claims(known: Platform, about: dict[str, Any], token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token made for us in this errand (OpenID Connect Core 1.0, 3.1.3.7)."""
    where = str(about["jwks_uri"])
    try:
        try:
            found = jwt.decode(token, _keys(_fetched(where)), ALGORITHMS).claims
        except (JoseError, ValueError):
            # The provider may have turned its keys since we looked.
            keys = _keys(_fetched(where, anew=True))
            found = jwt.decode(token, keys, ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            leeway=30,
            iss={"essential": True, "value": known.issuer},
            sub={"essential": True},
            aud={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(found)
    except (JoseError, ValueError) as wrong:
        raise NotProven(f"{known.title}的登录结果没有通过核对，请重新登录") from wrong
    audience = found["aud"] if isinstance(found["aud"], list) else [found["aud"]]
    if known.client_id not in audience or (
        len(audience) > 1 and found.get("azp") != known.client_id
    ):
        raise NotProven("登录结果不是给本市的，已停止登录")
    return dict(found)


def _person(known: Platform, claims: dict[str, Any], entered: object) -> Person:
    """`entered` is the signed token's `auth_time`: what the browser carried could not change it."""
    name, number = (
        str(claims.get(str(known.claims.get(k) or k)) or "") for k in ("name", "number")
    )
    level = rules.platform_level(known.claims.get("level") or {}, claims)
    if not name or not number or not level:
        raise NotProven(f"{known.title}没有提供姓名、号码或实名等级，请先在那里完成实名认证")
    at = float(entered) if type(entered) is int and 0 < entered <= time.time() + 30 else 0.0
    return Person(str(claims["sub"]), name, number, level, at)


__all__ = ["NotProven", "Person", "Platform", "begin", "finish", "platform"]
