"""Caller: who calls, as the request's headers say and what is stored proves.

A secret, or an access token got with it (OAuth 2 client credentials, RFC 6749, 4.4) or with a
certificate (RFC 8705); beside it whatever the grant and the department ask for: an allowed network,
a registered certificate, a signature of the request (RFC 9421).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote_plus

import orjson
from django.conf import settings

from lianyun.trust import signatures

from .. import rules
from . import guards, signed
from .calls import Call, Header, Refused, Reply

if TYPE_CHECKING:
    from .plane import Plane
    from .rights import Right

TOKEN_PATH = b"/api/oauth/token"
# Said twice, they could mean one thing to us and another to who checks in front of us.
_ONCE = frozenset(
    {
        b"authorization",
        b"x-purpose",
        b"x-case",
        b"client-cert",
        b"signature",
        b"signature-input",
        b"content-digest",
        b"content-type",
        b"host",
    }
)


def token_key() -> bytes:
    """The key that authenticates access tokens, drawn from the installation's secret."""
    return hashlib.blake2b(
        settings.SECRET_KEY.encode(), digest_size=32, person=b"access-token"
    ).digest()


class Holder(Protocol):
    """A credential whose proofs are asked: a worker's `Right`, or the row that it was made from."""

    @property
    def hashes(self) -> tuple[str, str]:
        """Of the present secret and of the former one."""

    @property
    def former_until(self) -> dt.datetime | None:
        """Until when the former secret is good."""

    @property
    def closed(self) -> bool:
        """Whether it was ended for good."""

    @property
    def guard(self) -> guards.Guard:
        """What must be shown beside the secret."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the headers of a call show: whose credential, by a token or its secret, and what for."""

    client_id: str
    secret: str
    token: rules.AccessToken | None
    purpose: str
    case_code: str


def shown(headers: Mapping[str, str], key: bytes) -> Shown:
    """What a call's headers show; `key` is the tokens'. Raises Refused (400, 401)."""
    if "authorization" not in headers:
        raise Refused(
            401,
            "unauthorized",
            "缺少凭证",
            "请在请求头 Authorization 中给出 Bearer 凭证号.密钥，或换取的令牌",
        )
    purpose = _said(headers, "x-purpose", "X-Purpose")
    case_code = _said(headers, "x-case", "X-Case")[:80]
    try:
        token = rules.read_token(key, headers["authorization"])
        if token is not None:
            return Shown(token.client_id, "", token, purpose, case_code)
        client_id, secret = rules.split_token(headers["authorization"])
    except rules.BadCall as wrong:
        raise Refused(401, "unauthorized", str(wrong)) from wrong
    return Shown(client_id, secret, None, purpose, case_code)


def unknown() -> Refused:
    """The one answer to an unknown credential, a closed one and a wrong secret."""
    return Refused(401, "unauthorized", "凭证无效或已更换")


def prove(
    holder: Holder, told: Shown, call: Call, peer: str, headers: Mapping[str, str]
) -> dict[str, signatures.PublicKey] | None:
    """Hold all that a credential asks for against a call, but for the signature; raises Refused.

    Returns the keys by which the call must be signed; None where it need not be and is not.
    """
    if holder.closed:
        raise unknown()
    if told.token is not None:
        if not rules.good_token(told.token, _proofs(holder)):
            raise Refused(401, "unauthorized", "令牌已失效，请重新换取")
    elif not good_secret(holder, told.secret):
        raise unknown()
    guard = holder.guard
    guard.check_certificate(guards.certificate_shown(peer, headers) if guard.bound else "")
    guard.check_network(call)
    if "signature-input" in headers:
        return guard.good_keys()
    if guard.signed:
        raise Refused(401, "signature", "该授权要求对请求签名", "缺少请求头 Signature-Input")
    return None


async def identify(plane: Plane, call: Call) -> Right:
    """The right under which a call is made; sets the call's right, purpose, case and source.

    Raises Refused. A caller without a known credential is counted as a stranger; one whose
    credential is known but not proven is refused with the right set, so that it goes on record.
    """
    peer, client_id = call.source, ""
    try:
        headers = once_each(call.headers)
        call.source = guards.source_of(peer, headers.get("x-forwarded-for", ""))
        told = shown(headers, plane.token_key)
        client_id = told.client_id
        plane.turnstile.check(call.source, client_id)
        right = await plane.rights.right(client_id)
        if right is None:
            raise unknown()
    except Refused as refused:
        plane.records.meet_stranger(call.source, client_id)
        if refused.status == 401:
            plane.turnstile.failed(call.source, client_id)
        raise
    call.right = right
    call.purpose, call.case_code = told.purpose or right.purpose, told.case_code
    try:
        keys = prove(right, told, call, peer, headers)
        if keys is not None:
            await signed.check(plane, call, headers, right.client, keys)
    except Refused as refused:
        if refused.status == 401:
            plane.turnstile.failed(call.source, client_id)
        raise
    plane.turnstile.passed(call.source, client_id)
    return right


def _good_hashes(right: Holder) -> list[str]:
    """The hashes of secrets that are good now: the present one, and the former within the overlap."""
    former = right.former_until is not None and dt.datetime.now(dt.UTC) < right.former_until
    return [h for h in (right.hashes[0], right.hashes[1] if former else "") if h]


def _proofs(right: Holder) -> list[str]:
    """By what a token of this client may have been got, as long as that itself is good."""
    return [*_good_hashes(right), *right.guard.good_certificates()]


def good_secret(right: Holder, secret: str) -> bool:
    """Whether the secret is the present one, or the former one within the overlap."""
    given = rules.secret_hash(secret)
    return any(hmac.compare_digest(given, good) for good in _good_hashes(right))


def _said(headers: Mapping[str, str], name: str, title: str) -> str:
    """A percent-encoded text that the caller sent for the record; raises Refused."""
    value = headers.get(name, "")
    if not value:
        return ""
    try:
        return rules.decoded(value.encode("latin-1")[:900], f"请求头 {title}")
    except rules.BadCall as wrong:
        raise Refused(400, "bad_request", str(wrong)) from wrong


def once_each(headers: Iterable[Header]) -> dict[str, str]:
    """The headers by name; a second one of those that decide is refused, whatever it says."""
    out: dict[str, str] = {}
    for name, value in headers:
        text = name.decode("latin-1")
        if text in out:
            if name in _ONCE:
                raise Refused(400, "bad_request", f"请求头 {text.title()} 重复")
            out[text] += ", " + value.decode("latin-1")
        else:
            out[text] = value.decode("latin-1")
    return out


# ---- the token endpoint ----------------------------------------------------------------------


class OAuthRefused(Refused):
    """A refusal of the token endpoint, in the words of RFC 6749, 5.2."""

    def __init__(self, error: str, detail: str) -> None:
        invalid = error == "invalid_client"
        super().__init__(
            401 if invalid else 400, "unauthorized" if invalid else "bad_request", detail
        )
        self.error = error
        self.reply = Reply(
            self.status,
            orjson.dumps({"error": error, "error_description": detail}),
            headers=[(b"www-authenticate", b'Basic realm="lianyun"')] if invalid else [],
        )


def _form(call: Call, headers: Mapping[str, str]) -> dict[str, str]:
    if call.method != "POST":
        refused = Refused(405, "bad_request", "须用 POST 请求换取令牌")
        refused.headers = [(b"allow", b"POST")]
        raise refused
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded" or call.query:
        raise OAuthRefused("invalid_request", "参数须以表单格式放在请求正文中")
    try:
        pairs = parse_qsl(
            call.body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(call.body),
            max_num_fields=20,
        )
    except ValueError as wrong:
        raise OAuthRefused("invalid_request", "请求正文格式有误") from wrong
    out = dict(pairs)
    if len(out) != len(pairs):
        raise OAuthRefused("invalid_request", "参数重复")
    return out


def _client(form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """Client and secret ("" for a certificate alone), given in one way only (RFC 6749, 2.3)."""
    header = headers.get("authorization", "")
    if not header:
        return form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic" and "client_secret" in form:
        raise OAuthRefused("invalid_request", "只能用一种方式给出密钥")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error) as wrong:
        raise OAuthRefused("invalid_client", "请求头 Authorization 有误") from wrong
    client_id = unquote_plus(name)
    if form.get("client_id", client_id) != client_id:
        raise OAuthRefused("invalid_request", "凭证号前后不一")
    return client_id, unquote_plus(secret)


async def give_token(plane: Plane, call: Call) -> Reply:
    """The answer of the token endpoint; raises OAuthRefused, or Refused from the guard.

    The token is good for minutes, not longer than what it was got by; every call under it asks the
    grant again, so what is withdrawn stops at the next call whatever the token says.
    """
    call.operation = "token"
    peer = call.source
    client_id = ""
    try:
        headers = once_each(call.headers)
        call.source = guards.source_of(peer, headers.get("x-forwarded-for", ""))
        form = _form(call, headers)
        client_id, secret = _client(form, headers)
        if form.get("grant_type") != "client_credentials":
            wrong = "unsupported_grant_type" if form.get("grant_type") else "invalid_request"
            raise OAuthRefused(wrong, "grant_type 须为 client_credentials")
        plane.turnstile.check(call.source, client_id)
        right = await plane.rights.right(client_id) if client_id else None
        if right is None:
            raise OAuthRefused("invalid_client", unknown().title)
    except Refused as refused:
        plane.records.meet_stranger(call.source, client_id[:40])
        if refused.status != 429:
            plane.turnstile.failed(call.source, client_id)
        raise
    call.right, call.purpose = right, right.purpose
    given = guards.certificate_shown(peer, headers)
    known = given in right.guard.good_certificates()
    if right.closed or not (good_secret(right, secret) if secret else known):
        plane.turnstile.failed(call.source, client_id)
        raise OAuthRefused("invalid_client", unknown().title)
    plane.turnstile.passed(call.source, client_id)
    plane.turnstile.take(plane.turnstile.tokens, client_id)
    right.guard.check_certificate(given)
    right.guard.check_network(call)
    if form.get("scope", right.resource) != right.resource:
        raise OAuthRefused("invalid_scope", f"该凭证只能用于 {right.resource}")
    if right.state != "active":
        raise OAuthRefused("unauthorized_client", right.why_not().title)
    got_by = rules.secret_hash(secret) if secret else given
    token = rules.new_token(plane.token_key, client_id, rules.origin_of(got_by))
    return Reply(
        200,
        orjson.dumps(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": rules.LIFETIME_SECONDS,
                "scope": right.resource,
            }
        ),
        headers=[(b"pragma", b"no-cache")],
    )


__all__ = [
    "TOKEN_PATH",
    "Holder",
    "OAuthRefused",
    "Shown",
    "give_token",
    "good_secret",
    "identify",
    "once_each",
    "prove",
    "shown",
    "token_key",
    "unknown",
]
