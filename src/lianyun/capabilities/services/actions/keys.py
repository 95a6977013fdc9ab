"""Keys: public keys and certificates that a department registers for its credential, and their end."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.trust import signatures

from ..models import Client, ClientKey, UsedNonce
from .clients import locked

MOST_KEYS = 5
"""Most keys of one use that are good at once: enough to change over."""
NONCES_KEPT = dt.timedelta(minutes=15)
"""Longer than any signature is accepted (five minutes either way)."""


def _read(use: str, pem: str) -> tuple[str, str, str, dt.datetime | None]:
    """Algorithm, name, subject and end of a PEM text; raises UserError."""
    if "PRIVATE KEY" in pem:
        raise UserError("其中有私钥。请只提交公钥或证书，并立即更换这把私钥")
    if use == ClientKey.SIGNATURE:
        try:
            key = signatures.public_key(pem)
        except signatures.BadKey as wrong:
            raise UserError(str(wrong)) from wrong
        return key.algorithm, key.kid, "", None
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as wrong:
        raise UserError("不是 PEM 格式的证书") from wrong
    end = certificate.not_valid_after_utc
    if end <= timezone.now():
        raise UserError(f"证书已于 {timezone.localtime(end):%Y-%m-%d} 到期")
    name = certificate.subject.rfc4514_string()[:200]
    return "x509", certificate.fingerprint(hashes.SHA256()).hex(), name, end


@action("services.use")
def register_key(*, client: Client, use: str, pem: str, by: Actor) -> ClientKey:
    """Register a public key for signed requests, or a certificate for mutual TLS, of a credential.

    From the first certificate on, the credential is good only together with one of them.
    """
    row = locked(client, by)
    if use not in dict(ClientKey.USES):
        raise UserError("请选择公钥的用途")
    if not row.grant.in_force():
        raise UserError("授权已不在有效状态，不能登记公钥")
    algorithm, kid, subject, end = _read(use, pem.strip())
    if ClientKey.objects.filter(client=row, use=use, kid=kid).exists():
        raise UserError("这把公钥或证书已经登记过")
    good = [k for k in ClientKey.objects.filter(client=row, use=use) if k.good]
    if len(good) >= MOST_KEYS:
        raise UserError(f"同时有效的最多 {MOST_KEYS} 个，请先停用不再使用的")
    made = ClientKey.objects.create(
        client=row,
        use=use,
        algorithm=algorithm,
        kid=kid,
        pem=pem.strip(),
        subject=subject,
        ends_at=end,
    )
    record("client.key_registered", row, by=by, data={"use": use, "kid": kid})
    return made


@action("services.use")
def end_key(*, key: ClientKey, hours: int, by: Actor) -> None:
    """End a registered key or certificate now, or in so many hours (0 to 168) to change over."""
    row = locked(key.client, by)
    if not 0 <= hours <= 168:
        raise UserError("继续使用的时间应为 0 至 168 小时")
    if not key.good:
        raise UserError("已经停用")
    end = timezone.now() + dt.timedelta(hours=hours)
    key.ends_at = min(end, key.ends_at) if key.ends_at else end
    key.save(update_fields=["ends_at"])
    record("client.key_ended", row, by=by, data={"use": key.use, "kid": key.kid, "hours": hours})


def forget_nonces() -> int:
    """Forget nonces of signatures that are too old to be accepted anyway; returns how many."""
    return UsedNonce.objects.filter(at__lt=timezone.now() - NONCES_KEPT).delete()[0]


__all__ = ["end_key", "forget_nonces", "register_key"]
