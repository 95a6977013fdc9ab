"""Callers: who calls a way of exchange outside the data plane, by the same proofs, and how often."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Grant
from lianyun.ui.visitor import place_of

from .. import rules
from ..models import Client
from . import guards, signed
from .calls import Call, Header, Refused
from .credentials import once_each, prove, shown, token_key, unknown
from .leases import PACE, PACE_ROW, too_fast
from .turnstile import Turnstile

_USE_NONCE = """
INSERT INTO services_usednonce (client_id, nonce, at) VALUES (%s, %s, now())
ON CONFLICT DO NOTHING RETURNING true
"""
_USE_CALL = """
INSERT INTO services_usage (grant_id, day, used) VALUES (%s, %s, 1)
ON CONFLICT (grant_id, day) DO UPDATE SET used = services_usage.used + 1
WHERE services_usage.used < %s RETURNING used
"""
TURNSTILE = Turnstile()
"""The tries of this process at ways other than the plane's."""
VISITS = 120
"""Documents a minute for one address: that of all services is long to make."""
_VISITS = rules.Attempts(VISITS)


@dataclass(frozen=True)
class _Row:
    """A credential as its rows stand now."""

    hashes: tuple[str, str]
    former_until: dt.datetime | None
    closed: bool
    guard: guards.Guard


def identify_caller(
    *,
    method: str,
    path: str,
    query: bytes,
    headers: Iterable[Header],
    peer: str,
    channel: str = "delivery",
    operation: str = "feed",
) -> Client:
    """The credential under which a bodyless call is made; raises Refused (400, 401, 403, 429).

    Asks for all that the data plane asks for: secret or token, a certificate where one is
    registered, the grant's networks, and a signature of the request where the grant requires it.
    A refusal of a known credential goes on record under `channel` and `operation`.
    """
    told = once_each(headers)
    source = guards.source_of(peer, told.get("x-forwarded-for", ""))
    client_id, client = "", None
    try:
        said = shown(told, token_key())
        client_id = said.client_id
        TURNSTILE.check(source, client_id)
        client = (
            Client.objects.filter(client_id=client_id)
            .select_related("grant__grantee", "grant__resource")
            .first()
        )
        if client is None:
            raise unknown()
        call = Call("", method, path.encode(), query, (), b"", source)
        keys = prove(_row(client), said, call, peer, told)
        if keys is not None:
            kept = signed.verified(call, told, keys)
            with connection.cursor() as cursor:
                cursor.execute(_USE_NONCE, [client.pk, kept])
                if cursor.fetchone() is None:
                    raise signed.used()
    except Refused as refused:
        if refused.status == 401:
            TURNSTILE.failed(source, client_id)
        if client is not None:
            note_refusal(client.grant, refused, channel, operation)
        raise
    TURNSTILE.passed(source, client_id)
    return client


def note_refusal(grant: Grant, refused: Refused, channel: str, operation: str) -> None:
    """A call of a known credential that was not answered goes on record."""
    audit.record_exchange(
        channel=channel,
        grant_code=grant.code,
        resource=grant.resource.name if grant.resource else "",
        operation=operation,
        version=0,
        by=Actor(party=grant.grantee, department=grant.grantee),
        purpose=str(grant.terms.get("purpose") or ""),
        rows=0,
        micros=0,
        outcome=refused.outcome,
    )


def _row(client: Client) -> _Row:
    rows: list[dict[str, Any]] = [
        {
            "use": k.use,
            "kid": k.kid,
            "pem": k.pem,
            "ends": k.ends_at.timestamp() if k.ends_at else None,
        }
        for k in client.keys.all()
    ]
    bound = any(r["use"] == "certificate" for r in rows)
    return _Row(
        (client.secret_hash, client.former_hash),
        client.former_until,
        client.closed_at is not None,
        guards.guard_of(client.grant.terms, rows, bound=bound),
    )


def use_call(grant: Grant) -> None:
    """Use one call of the grant's second and day, the data plane's included; raises Refused (429)."""
    rate = int(grant.terms.get("calls_per_second") or 0)
    most = int(grant.terms.get("calls_per_day") or 0)
    with connection.cursor() as cursor:
        if rate:
            cursor.execute(_named(PACE_ROW), {"a1": grant.pk, "a2": rate})
            cursor.execute(_named(PACE), {"a1": grant.pk, "a2": rate, "a3": 1})
            got = cursor.fetchone()
            if got is None or not got[0]:
                raise too_fast(rate)
        if most:
            cursor.execute(_USE_CALL, [grant.pk, timezone.localdate(), most])
            if cursor.fetchone() is None:
                raise Refused(429, "quota", f"今日调用次数已用完，授权每日限 {most} 次")


def _named(statement: str) -> str:
    """A statement of the plane's, whose arguments are numbered, as psycopg takes it."""
    return re.sub(r"\$(\d)", r"%(a\1)s", statement)


def visitors_wait(peer: str, forwarded: str) -> int:
    """Count a visit without a credential; after how many seconds the next is welcome (0: this one is)."""
    now, place = time.monotonic(), place_of(guards.source_of(peer, forwarded))
    wait = _VISITS.wait(place, now)
    if not wait:
        _VISITS.add(place, now)
    return wait


def browser_problem(grant: Grant, *, headers: Iterable[Header], peer: str) -> str:
    """Why what a grant gives may not be handed to a browser at this address (Chinese), or nothing.

    A login is no proof that the grant asks for: neither a signature nor the certificate that its
    credential is bound to can come from a browser, and its networks hold for browsers as well.
    """
    client = Client.objects.filter(grant=grant).first()
    guard = _row(client).guard if client is not None else guards.guard_of(grant.terms, [])
    if guard.signed:
        return "该授权要求请求签名，不能在浏览器中取得，请由业务系统按接口签名取件"
    if guard.bound:
        return "该授权的凭证绑定了证书，不能在浏览器中取得，请由业务系统以双向 TLS 取件"
    try:
        told = once_each(headers)
        source = guards.source_of(peer, told.get("x-forwarded-for", ""))
        guard.check_network(Call("", "GET", b"", b"", (), b"", source))
    except Refused as refused:
        return f"{refused.title}（{refused.detail}）" if refused.detail else refused.title
    return ""


__all__ = [
    "Refused",
    "browser_problem",
    "identify_caller",
    "note_refusal",
    "use_call",
    "visitors_wait",
]
