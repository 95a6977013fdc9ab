"""Credential: a licence as an SD-JWT VC whose holder shows some claims and no others, with its status list.

Form: RFC 9901 (SD-JWT), draft-ietf-oauth-sd-jwt-vc (`dc+sd-jwt`), draft-ietf-oauth-status-list
(`statuslist+jwt`, two bits a licence). Signed with ES256. What is not disclosed cannot be guessed:
each claim is hidden under a salt of 128 bits that is new for each credential, so that two
credentials of one licence cannot be told to belong together by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

TYPE, STATUS_TYPE = "dc+sd-jwt", "statuslist+jwt"
LONGEST = 64_000
MOST_CLAIMS = 200
LEEWAY = 60
VALID, INVALID, SUSPENDED = 0, 1, 2
"""The statuses of a Token Status List (draft-ietf-oauth-status-list, 7.1)."""
STANDING = {VALID: "有效", INVALID: "已失效", SUSPENDED: "已暂扣"}
_RESERVED = {"_sd", "...", "_sd_alg", "iss", "nbf", "exp", "iat", "vct", "status", "cnf", "sub"}


class BadCredential(ValueError):
    """A credential that does not hold; `code` names the reason, the message says it in Chinese."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Credential:
    """What a credential that holds says: the issuer's claims with those disclosed."""

    issuer: str
    kind: str
    claims: dict[str, Any]
    body: dict[str, Any]

    @property
    def status(self) -> tuple[str, int] | None:
        """Address of its status list and its place there."""
        told = self.body.get("status")
        entry = told.get("status_list") if isinstance(told, dict) else None
        if not isinstance(entry, dict):
            return None
        uri, idx = entry.get("uri"), entry.get("idx")
        if isinstance(uri, str) and isinstance(idx, int) and not isinstance(idx, bool) and idx >= 0:
            return uri, idx
        return None


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _b64(data) != text:
        raise ValueError("not canonical")
    return data


def new_key() -> ECKey:
    """A new signing key on P-256; its name is its thumbprint (RFC 7638)."""
    key = ECKey.generate_key("P-256")
    return ECKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint(), "alg": "ES256"})


def _sign(kind: str, payload: Mapping[str, Any], key: ECKey) -> str:
    header = {"alg": "ES256", "typ": kind, "kid": key.kid}
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact(header, body, key, algorithms=["ES256"])


def issue(
    *,
    issuer: str,
    kind: str,
    claims: Mapping[str, Any],
    open_claims: Mapping[str, Any],
    issued: int,
    expires: int,
    status: tuple[str, int],
    key: ECKey,
) -> str:
    """A whole SD-JWT VC: `open_claims` stand in clear, each of `claims` under its own disclosure.

    `issuer` and `kind` (vct) are addresses, the times seconds since 1970, `status` the address of
    the list and the place there.
    """
    if _RESERVED & (set(claims) | set(open_claims)):
        raise ValueError("a reserved name")
    disclosures = [
        _b64(json.dumps([_b64(secrets.token_bytes(16)), n, v], ensure_ascii=False).encode())
        for n, v in claims.items()
    ]
    body = {
        **open_claims,
        "iss": issuer,
        "vct": kind,
        "iat": issued,
        "nbf": issued,
        "exp": expires,
        "status": {"status_list": {"uri": status[0], "idx": status[1]}},
        # Sorted, so that their order tells nothing (RFC 9901, 4.2.4.1).
        "_sd": sorted(_digest(d) for d in disclosures),
        "_sd_alg": "sha-256",
    }
    return "~".join([_sign(TYPE, body, key), *disclosures, ""])


def _digest(disclosure: str) -> str:
    return _b64(hashlib.sha256(disclosure.encode()).digest())


def reduced(credential: str, names: Sequence[str]) -> str:
    """The same credential with the disclosures of these claims only; raises BadCredential."""
    token, *disclosures = _parts(credential)
    kept = [d for d in disclosures if _disclosed(d)[0] in set(names)]
    return "~".join([token, *kept, ""])


def _parts(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise BadCredential("form", "凭证过长")
    parts = text.strip().split("~")
    if len(parts) < 2 or parts[-1] != "" or len(parts) > MOST_CLAIMS:
        raise BadCredential("form", "不是完整的 SD-JWT 凭证")
    return parts[:-1]


def _disclosed(text: str) -> tuple[str, Any]:
    try:
        entry = json.loads(_unb64(text))
    except (ValueError, RecursionError) as wrong:
        raise BadCredential("changed", "凭证中有无法读取的披露项") from wrong
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[1], str):
        raise BadCredential("changed", "凭证中有格式不正确的披露项")
    if not isinstance(entry[0], str) or entry[1] in _RESERVED:
        raise BadCredential("changed", "凭证中有格式不正确的披露项")
    return entry[1], entry[2]


def opened(
    token: str, kind: str, keys: Callable[[str], ECKey | None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and body of a signed token of this `typ`; raises BadCredential."""
    try:
        head = json.loads(_unb64(token.split(".", 1)[0]))
        if not isinstance(head, dict):
            raise BadCredential("form", "不是签名令牌")
        if head.get("typ") != kind:
            raise BadCredential("form", "不是这一类凭证")
        if head.get("alg") != "ES256" or "crit" in head or "b64" in head:
            raise BadCredential("foreign", "签名算法不在认可的范围内")
        key = keys(str(head.get("kid") or ""))
        if key is None:
            raise BadCredential("foreign", "签名者不是本市电子证照平台")
        # Only a plain header is handed on: nothing in it may choose the key.
        body = json.loads(jws.deserialize_compact(token, key, algorithms=["ES256"]).payload)
    except BadCredential:
        raise
    except JoseError as wrong:
        raise BadCredential("changed", "签名与内容不符：凭证被改动过") from wrong
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as wrong:
        raise BadCredential("form", "不是签名令牌") from wrong
    if not isinstance(body, dict):
        raise BadCredential("form", "不是签名令牌")
    return head, body


def _time(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCredential("form", "凭证中的时间不正确")
    return value


def check(credential: str, keys: Callable[[str], ECKey | None], now: float) -> Credential:
    """What a credential says, if it holds at `now` (its status is to be asked besides).

    `keys` gives the public key of a name. Raises BadCredential: form, foreign, changed, early,
    expired.
    """
    token, *disclosures = _parts(credential)
    _, body = opened(token, TYPE, keys)
    hidden = body.get("_sd", [])
    if body.get("_sd_alg", "sha-256") != "sha-256" or not isinstance(hidden, list):
        raise BadCredential("form", "凭证的摘要算法不受支持")
    digests = [_digest(d) for d in disclosures]
    if len(set(digests)) != len(digests) or not set(digests) <= {
        h for h in hidden if isinstance(h, str)
    }:
        raise BadCredential("changed", "披露的内容不是签发时的内容：凭证被改动过")
    claims: dict[str, Any] = {}
    for name, value in map(_disclosed, disclosures):
        if name in claims or name in body:
            raise BadCredential("changed", "凭证中有重复的披露项")
        claims[name] = value
    begins, ends = _time(body, "nbf"), _time(body, "exp")
    if begins is not None and now < begins - LEEWAY:
        raise BadCredential("early", "凭证尚未生效")
    if ends is None or now > ends + LEEWAY:
        raise BadCredential("expired", "凭证已过期，请持证人重新出示")
    issuer, kind = body.get("iss"), body.get("vct")
    if not isinstance(issuer, str) or not isinstance(kind, str):
        raise BadCredential("form", "凭证缺少签发者或类型")
    return Credential(issuer, kind, claims, body)


def packed(statuses: Mapping[int, int], size: int) -> str:
    """A list of `size` statuses of two bits each, all valid but those named, as the list's `lst`."""
    bits = bytearray(-(-size // 4))
    for place, value in statuses.items():
        bits[place // 4] |= (value & 3) << (2 * (place % 4))
    return _b64(zlib.compress(bytes(bits), 9))


def status_token(
    *, uri: str, statuses: Mapping[int, int], size: int, issued: int, seconds: int, key: ECKey
) -> str:
    """A signed status list: good for so many seconds."""
    body = {
        "sub": uri,
        "iat": issued,
        "exp": issued + seconds,
        "ttl": seconds,
        "status_list": {"bits": 2, "lst": packed(statuses, size)},
    }
    return _sign(STATUS_TYPE, body, key)


def status_in(token: str, place: int, keys: Callable[[str], ECKey | None], now: float) -> int:
    """The status at a place of a signed list; raises BadCredential."""
    if len(token) > 1_000_000:
        raise BadCredential("form", "状态列表过长")
    _, body = opened(token, STATUS_TYPE, keys)
    ends = _time(body, "exp")
    if ends is not None and now > ends + LEEWAY:
        raise BadCredential("expired", "状态列表已过期，请重新获取")
    told = body.get("status_list")
    bits = told.get("bits") if isinstance(told, dict) else None
    if not isinstance(told, dict) or bits not in (1, 2, 4, 8) or isinstance(bits, bool):
        raise BadCredential("form", "状态列表格式不正确")
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(_unb64(str(told.get("lst"))), 4_000_000)
        each = 8 // bits
        return (data[place // each] >> (bits * (place % each))) & ((1 << bits) - 1)
    except (ValueError, IndexError, zlib.error) as wrong:
        raise BadCredential("form", "状态列表格式不正确") from wrong


__all__ = [
    "INVALID",
    "STANDING",
    "STATUS_TYPE",
    "SUSPENDED",
    "TYPE",
    "VALID",
    "BadCredential",
    "Credential",
    "check",
    "issue",
    "new_key",
    "opened",
    "packed",
    "reduced",
    "status_in",
    "status_token",
]
