"""Adapters: the outside of relay: calls to a department's system, keys and bodies under the vault."""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from django.conf import settings

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.delivery import api as delivery
from lianyun.trust import hosts

from . import rules

HOSTS = "LIANYUN_RELAY_HOSTS"
AGAIN = (408, 425, 429)
MOST_ANSWER = 4 * 2**20
_KEY, _BODY = "relay.key", "relay.body"
_RUN_LOCK = 0x6C79_5201

genuine, pause, signature = delivery.genuine, delivery.pause, delivery.signature


class WireError(Exception):
    """A system did not take a message; the message (Chinese) says why.

    `away` that nobody was there to refuse anything; `final` that trying again is of no use;
    `unknown` that it knows nothing of the case.
    """

    def __init__(
        self, message: str, *, away: bool = False, final: bool = False, unknown: bool = False
    ) -> None:
        super().__init__(message)
        self.away, self.final, self.unknown = away, final, unknown


@dataclass(frozen=True)
class Place:
    """Where a system is and how we sign to it; `code` is the system's, as both sides know it."""

    address: str
    code: str
    key: str
    vouched: bool = False
    timeout: float = 15.0


@cache
def _trust() -> ssl.SSLContext:
    """The roots that systems' certificates lead to; read once a process, for it takes some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def call(place: Place, method: str, path: str, key: str, body: bytes = b"") -> dict[str, Any]:
    """One signed request and its JSON answer; raises WireError.

    The name is looked up and judged at each call, the judged address is connected to, redirects
    are not followed.
    """
    parts = rules.parts_of(place.address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = hosts.address_of(host, port, HOSTS, vouched=place.vouched)
    except hosts.HostRefused as refused:
        raise WireError(str(refused), away=refused.away, final=not refused.away) from refused
    netloc = f"[{address}]" if ":" in address else address
    url = parts._replace(netloc=f"{netloc}:{port}", path=f"{parts.path.rstrip('/')}{path}").geturl()
    signed = body or rules.signed_path(method, urlsplit(url).path)
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "X-Lianyun-Protocol": rules.PROTOCOL,
        "X-Lianyun-System": place.code,
        "Idempotency-Key": key,
        "X-Lianyun-Signature": signature(place.key, int(time.time()), key, signed),
    }
    limits = httpx.Timeout(place.timeout, connect=5.0)
    try:
        with (
            httpx.Client(
                timeout=limits, follow_redirects=False, trust_env=False, verify=_trust()
            ) as client,
            client.stream(
                method, url, content=body, headers=headers, extensions={"sni_hostname": host}
            ) as answer,
        ):
            told = _body(answer, place.timeout * 3)
    except httpx.TimeoutException as error:
        raise WireError("对方没有在时限内答复，将自动重试", away=True) from error
    except httpx.HTTPError as error:
        if "CERTIFICATE" in str(error).upper():
            raise WireError("对方的 HTTPS 证书无效，请对方更换证书", away=True) from error
        raise WireError("连接不上对方的地址，将自动重试", away=True) from error
    return _read(answer, told)


def _body(answer: httpx.Response, seconds: float) -> bytes:
    end, parts, size = time.monotonic() + seconds, [], 0
    for part in answer.iter_raw():
        size += len(part)
        if size > MOST_ANSWER:
            raise WireError("对方的应答过大，已丢弃")
        if time.monotonic() > end:
            raise WireError("对方没有在时限内答复，将自动重试", away=True)
        parts.append(part)
    return b"".join(parts)


def _read(answer: httpx.Response, body: bytes) -> dict[str, Any]:
    if answer.is_redirect:
        raise WireError("对方把请求转到了别处，平台不跟随转址；请填写最终地址", final=True)
    try:
        told = json.loads(body) if body else {}
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    if answer.is_success:
        return told
    why = " ".join(str(told.get("message") or "").split())[:120]
    if answer.status_code >= 500 and answer.status_code != 501:
        raise WireError(f"对方系统内部出错（{answer.status_code}），将自动重试", away=True)
    if answer.status_code in AGAIN:
        raise WireError(f"对方暂时不能接收（{answer.status_code}），将自动重试", away=True)
    raise WireError(
        f"对方答复 {answer.status_code}：{why or '不接受这条消息，请与对方核对接口'}",
        final=True,
        unknown=answer.status_code == 404,
    )


@contextlib.contextmanager
def alone(number: int) -> Iterator[bool]:
    """Whether this process is the only one that talks to a system; the lock dies with the process."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as holder:
        row = holder.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", (_RUN_LOCK, number % 2_147_483_647)
        ).fetchone()
        yield bool(row and row[0])


def sealed_keys(key: str, former: str = "", until: float = 0.0) -> str:
    """A system's keys as they are kept: the one in use, and the former one as long as it is good."""
    told = {"key": key, "former": former, "until": until}
    return audit.encrypt(json.dumps(told).encode(), _KEY)


def keys_of(sealed: str) -> tuple[str, ...]:
    """The keys that are good now, the one in use first."""
    told = json.loads(audit.decrypt(sealed, _KEY))
    good = told["former"] and told["until"] > time.time()
    return (told["key"], told["former"]) if good else (told["key"],)


def seal(body: bytes) -> str:
    """A message's body as it is kept."""
    return audit.encrypt(body, _BODY)


def unseal(sealed: str) -> bytes:
    """The body again."""
    return audit.decrypt(sealed, _BODY)


def nonce() -> str:
    """A key for a request that has no number of its own."""
    return secrets.token_hex(16)


__all__ = [
    "HOSTS",
    "Place",
    "WireError",
    "alone",
    "call",
    "genuine",
    "keys_of",
    "nonce",
    "pause",
    "seal",
    "sealed_keys",
    "signature",
    "unseal",
]
