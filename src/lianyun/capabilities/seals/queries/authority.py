"""Authority: certificates, roots and withdrawals, which are everybody's to know."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from django.db import connection

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Event
from lianyun.trust.issuing import GOOD, UNKNOWN, Standing, Withdrawal

from ..models import Authority, Seal, SealKey


def authorities(viewer: Actor) -> list[Authority]:
    """All certificates of the authority, the newest first."""
    return list(Authority.objects.select_related("above").order_by("-pk"))


# Asked for every document that is checked: past Django's way to such a statement.
_ROOTS = "SELECT certificate FROM seals_authority WHERE use = %s AND above_id IS NULL ORDER BY id"
_GONE = (
    "SELECT withdrawn_at, withdrawn_for FROM seals_sealkey"
    " WHERE serial = %s AND withdrawn_at IS NOT NULL ORDER BY id LIMIT 1"
)


@lru_cache(maxsize=64)
def _parsed(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def roots(viewer: Actor) -> list[x509.Certificate]:
    """Whom a reader of our seals trusts: every root that our issuers led or lead to."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOTS, [Authority.ROOT])
        return [_parsed(pem) for (pem,) in cursor.fetchall()]


def certificate_of(viewer: Actor, thumb: str) -> Authority | None:
    """The issuer or root whose thumbprint begins so (16 hex digits)."""
    return Authority.objects.filter(
        thumbprint__startswith=thumb, use__in=[Authority.ROOT, Authority.ISSUER]
    ).first()


def withdrawn(viewer: Actor, issuer: Authority) -> list[tuple[int, Withdrawal]]:
    """(serial, withdrawal) of every certificate of an issuer that was taken back."""
    rows = SealKey.objects.filter(issuer=issuer).exclude(withdrawn_at=None).order_by("pk")
    return [
        (int(k.serial, 16), Withdrawal(k.withdrawn_at, k.withdrawn_for))
        for k in rows
        if k.withdrawn_at
    ]


def standing(viewer: Actor, issuer: Authority, serial: int) -> Standing:
    """What the authority says of one certificate of this issuer now."""
    key = SealKey.objects.filter(issuer=issuer, serial=f"{serial:x}").first()
    if key is None:
        own = issuer.below.all()
        known = any(
            x509.load_pem_x509_certificate(a.certificate.encode()).serial_number == serial
            for a in own
        )
        return GOOD if known else UNKNOWN
    if key.withdrawn_at is not None:
        return Withdrawal(key.withdrawn_at, key.withdrawn_for)
    return GOOD


def withdrawal_of(viewer: Actor, certificate: x509.Certificate) -> Withdrawal | None:
    """The withdrawal of one of our certificates; None if it stands or is not ours."""
    with connection.cursor() as cursor:
        cursor.execute(_GONE, [f"{certificate.serial_number:x}"])
        found = cursor.fetchone()
    return Withdrawal(*found) if found else None


def seal_of_serial(viewer: Actor, serial: int) -> Seal | None:
    """The seal whose certificate has this number."""
    key = (
        SealKey.objects.filter(serial=f"{serial:x}")
        .select_related("seal__grant", "seal__department")
        .first()
    )
    return key.seal if key else None


def der_of(row: Authority) -> bytes:
    """A certificate, DER."""
    found = x509.load_pem_x509_certificate(row.certificate.encode())
    return found.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Described:
    """A certificate of the authority in words."""

    row: Authority
    subject: str
    issuer: str
    ends: dt.datetime


def described(viewer: Actor) -> list[Described]:
    """Every certificate of the authority with its names and end."""
    out = []
    for row in authorities(viewer):
        made = x509.load_pem_x509_certificate(row.certificate.encode())
        names = [
            str(n.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            if n.get_attributes_for_oid(NameOID.COMMON_NAME)
            else n.rfc4514_string()
            for n in (made.subject, made.issuer)
        ]
        out.append(Described(row, names[0], names[1], made.not_valid_after_utc))
    return out


def pending_issuer(viewer: Actor) -> tuple[str, str] | None:
    """(label, store) of the issuing key last asked to be certified from above, unless adopted."""
    asked = Event.objects.filter(kind="seals.request_made").order_by("-id").first()
    if asked is None or Authority.objects.filter(label=asked.data["label"]).exists():
        return None
    return str(asked.data["label"]), str(asked.data["store"])


__all__ = [
    "Described",
    "Standing",
    "authorities",
    "certificate_of",
    "der_of",
    "described",
    "pending_issuer",
    "roots",
    "seal_of_serial",
    "standing",
    "withdrawal_of",
    "withdrawn",
]
