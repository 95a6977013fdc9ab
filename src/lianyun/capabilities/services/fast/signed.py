"""Signed request: a call that its sender has signed (RFC 9421 with RFC 9530's digest of the body), once.

A subset: one signature; components `@method`, `@path`, `@query`, `@authority` and headers; ECDSA
P-256 (`ecdsa-p256-sha256`) or SM2 (`sm2-sm3`, by private agreement); `created`, `nonce` and `keyid`
must be there. The nonce is kept in PostgreSQL, so that a second use is seen by every worker.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lianyun.trust.digests import digest
from lianyun.trust.signatures import PublicKey

from .calls import Call, Refused

if TYPE_CHECKING:
    from .plane import Plane

WINDOW_SECONDS = 300
"""How far the sender's clock may be from ours; nonces are kept twice as long."""
_INPUT = re.compile(
    r"([a-z*][a-z0-9_.*-]{0,30})=(\((\"[@a-z0-9-]+\"(?: \"[@a-z0-9-]+\")*)\)"
    r"((?:;[a-z]+=(?:[0-9]{1,12}|\"[\x20-\x21\x23-\x5b\x5d-\x7e]{0,120}\"))*))"
)
_PARAMETER = re.compile(r";([a-z]+)=(?:([0-9]+)|\"([^\"]*)\")")
_NONCE = re.compile(r"[\x21-\x7e]{8,80}")
_BODY_DIGESTS = {"sha-256": "sha256", "sm3": "sm3"}
# What enters the record must be signed too, where it is sent.
_IF_SENT = ("x-purpose", "x-case", "content-digest")


@dataclass(frozen=True)
class Said:
    """What a Signature-Input says: which parts are signed, by which key, when."""

    components: tuple[str, ...]
    parameters: str
    created: int
    expires: int | None
    keyid: str
    nonce: str
    algorithm: str
    signature: bytes


def _bad(why: str) -> Refused:
    return Refused(401, "signature", "请求签名无效", why)


def parsed(input_: str, signature: str) -> Said:
    """The two headers read; raises Refused where they are not of the subset above."""
    found = _INPUT.fullmatch(input_.strip())
    if found is None:
        raise _bad("Signature-Input 格式有误")
    label, parameters, listed, tail = found.groups()
    given = {name: number or text for name, number, text in _PARAMETER.findall(tail)}
    if len(given) != tail.count(";") or not {"created", "keyid", "nonce"} <= set(given):
        raise _bad("Signature-Input 须有 created、keyid、nonce，且不重复")
    head, _, value = signature.strip().partition("=")
    if head != label or len(value) < 3 or value[0] != ":" or value[-1] != ":":
        raise _bad("Signature 与 Signature-Input 不对应")
    try:
        made = base64.b64decode(value[1:-1], validate=True)
        created = int(given["created"])
        expires = int(given["expires"]) if "expires" in given else None
    except (binascii.Error, ValueError) as wrong:
        raise _bad("Signature 格式有误") from wrong
    components = tuple(listed[1:-1].split('" "'))
    if len(set(components)) != len(components):
        raise _bad("签名的组成部分重复")
    if not _NONCE.fullmatch(given["nonce"]):
        raise _bad("nonce 须为 8 至 80 个可见字符")
    return Said(
        components,
        parameters,
        created,
        expires,
        given["keyid"],
        given["nonce"],
        given.get("alg", ""),
        made,
    )


def base(said: Said, call: Call, headers: Mapping[str, str]) -> bytes:
    """The signature base (RFC 9421, 2.5); raises Refused where a part is not there."""
    query = "?" + call.query.decode("latin-1")
    derived = {
        "@method": call.method,
        "@path": call.path.decode("latin-1"),
        "@query": query,
        "@authority": headers.get("host", "").lower(),
    }
    lines = []
    for name in said.components:
        value = derived.get(name) if name[0] == "@" else headers.get(name)
        if value is None:
            raise _bad(f"签名包含请求中没有或不支持的部分：{name}")
        lines.append(f'"{name}": {value.strip()}')
    lines.append(f'"@signature-params": {said.parameters}')
    return "\n".join(lines).encode("latin-1")


def check_body(call: Call, headers: Mapping[str, str]) -> None:
    """Hold the body against its Content-Digest (RFC 9530); raises Refused."""
    header = headers.get("content-digest", "")
    known = 0
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        kind = _BODY_DIGESTS.get(name)
        if kind is None:
            continue
        known += 1
        expected = base64.b64encode(digest(kind, call.body)).decode()
        if value != f":{expected}:":
            raise _bad("请求正文与 Content-Digest 不符")
    if not known:
        raise _bad("Content-Digest 须用 sha-256 或 sm3")


def verified(call: Call, headers: Mapping[str, str], keys: Mapping[str, PublicKey]) -> str:
    """Verify a call's signature by one of the client's keys; raises Refused.

    Returns what is to be kept of its nonce: only the first that keeps it is answered.
    """
    if "signature" not in headers:
        raise _bad("缺少请求头 Signature")
    said = parsed(headers["signature-input"], headers["signature"])
    must = {"@method", "@path", "@query"}
    must |= {name for name in _IF_SENT if name in headers}
    if call.body:
        must.add("content-digest")
    if not must <= set(said.components):
        raise _bad(f"签名还须包含 {'、'.join(sorted(must - set(said.components)))}")
    now = time.time()
    if abs(now - said.created) > WINDOW_SECONDS or (
        said.expires is not None and now > said.expires
    ):
        raise _bad("签名时间与平台时间相差过大，或签名已过期")
    key = keys.get(said.keyid)
    if key is None:
        raise _bad("keyid 不是该凭证登记的有效公钥")
    if said.algorithm and said.algorithm != key.algorithm:
        raise _bad("alg 与登记的公钥不符")
    if "content-digest" in headers:
        check_body(call, headers)
    if not key.verify_raw(base(said, call, headers), said.signature):
        raise _bad("签名与请求内容不符")
    # Kept as a digest: its length is known, whatever was sent.
    return hashlib.sha256(said.nonce.encode()).hexdigest()


def used() -> Refused:
    """The refusal of a signature that was accepted before."""
    return _bad("该签名已经用过")


async def check(
    plane: Plane, call: Call, headers: Mapping[str, str], client: int, keys: Mapping[str, PublicKey]
) -> None:
    """Verify a call's signature by one of the client's keys, and use its nonce up; raises Refused."""
    kept = verified(call, headers, keys)
    if not await plane.nonces.use(plane, client, kept):
        raise used()


__all__ = ["WINDOW_SECONDS", "Said", "base", "check", "check_body", "parsed", "used", "verified"]
