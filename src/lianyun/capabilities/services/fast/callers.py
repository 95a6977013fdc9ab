"""Callers: who calls a way of exchange outside the data plane, by the same proofs, and how often."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils import timezone

from .. import rules
from ..models import Client
from . import guards, signed
from .calls import Call, Header, Refused
from .credentials import once_each

_USE_NONCE = """
INSERT INTO services_usednonce (client_id, nonce, at) VALUES (%s, %s, now())
ON CONFLICT DO NOTHING RETURNING true
"""
_USE_CALL = """
INSERT INTO services_usage (grant_id, day, used) VALUES (%s, %s, 1)
ON CONFLICT (grant_id, day) DO UPDATE SET used = services_usage.used + 1
WHERE services_usage.used < %s RETURNING used
"""


def identify_caller(
    *, method: str, path: str, query: bytes, headers: Iterable[Header], peer: str
) -> Client:
    """The credential under which a bodyless call is made; raises Refused (401, 403).

    Asks for all that the data plane asks for: the secret, a certificate where one is registered,
    the grant's networks, and a signature of the request where the grant requires it.
    """
    try:
        told = once_each(headers)
        client_id, secret = rules.split_token(told.get("authorization", ""))
    except rules.BadCall as wrong:
        raise Refused(401, "unauthorized", str(wrong)) from wrong
    client = Client.objects.filter(client_id=client_id).select_related("grant").first()
    if client is None or client.closed_at is not None or not _good(client, secret):
        raise Refused(401, "unauthorized", "凭证无效或已更换")
    source = guards.source_of(peer, told.get("x-forwarded-for", ""))
    call = Call("", method, path.encode(), query, (), b"", source)
    guard = _guard(client)
    guard.check_certificate(guards.certificate_shown(peer, told) if guard.bound else "")
    guard.check_network(call)
    if "signature-input" in told:
        kept = signed.verified(call, told, guard.good_keys())
        with connection.cursor() as cursor:
            cursor.execute(_USE_NONCE, [client.pk, kept])
            if cursor.fetchone() is None:
                raise signed.used()
    elif guard.signed:
        raise Refused(401, "signature", "该授权要求对请求签名，缺少请求头 Signature-Input")
    return client


def _good(client: Client, secret: str) -> bool:
    former = client.former_until is not None and timezone.now() < client.former_until
    good = [h for h in (client.secret_hash, client.former_hash if former else "") if h]
    return any(hmac.compare_digest(rules.secret_hash(secret), h) for h in good)


def _guard(client: Client) -> guards.Guard:
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
    return guards.guard_of(client.grant.terms, rows, bound=bound)


def use_call(client: Client) -> None:
    """Count one call of the grant's day, the data plane's included; raises Refused (429) at its end."""
    most = int(client.grant.terms.get("calls_per_day") or 0)
    if not most:
        return
    day: dt.date = timezone.localdate()
    with connection.cursor() as cursor:
        cursor.execute(_USE_CALL, [client.grant_id, day, most])
        if cursor.fetchone() is None:
            raise Refused(429, "quota", f"今日调用次数已用完，授权每日限 {most} 次")


__all__ = ["Refused", "identify_caller", "use_call"]
