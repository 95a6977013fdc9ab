"""Issuing: an authority that certifies keys and says which it took back (RFC 5280 certificates and CRLs, RFC 6960 OCSP).

Every signature is made by a `Key`, which may live in a file, in a vault or in hardware: what the
builder of `cryptography` makes is signed once by a throw-away key and then again by the right one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import der
from .certificates import key_usage
from .signatures import ECDSA, SM2, PublicKey

DER = serialization.Encoding.DER
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
SM2_SM3 = "1.2.156.10197.1.501"
SIGNATURE_OIDS = {ECDSA: ECDSA_SHA256, SM2: SM2_SM3}
OCSP_TYPE, CRL_TYPE = "application/ocsp-response", "application/pkix-crl"

_SHA1, _SHA256 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1"
_HASHES = {_SHA1: "sha1", _SHA256: "sha256"}
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_NONCE = "1.3.6.1.5.5.7.48.1.2"
_MOST_ASKED = 20
_LONGEST_NONCE = 128

REASONS = {
    "key_compromise": (1, x509.ReasonFlags.key_compromise),
    "superseded": (4, x509.ReasonFlags.superseded),
    "ended": (5, x509.ReasonFlags.cessation_of_operation),
    "hold": (6, x509.ReasonFlags.certificate_hold),
}
"""Why a certificate was taken back (RFC 5280, 5.3.1); `hold` may be lifted."""


class Key(Protocol):
    """A private key that signs without being seen."""

    @property
    def public(self) -> PublicKey:
        """Its public half."""

    def sign(self, data: bytes) -> bytes:
        """The signature over the data, DER of r and s."""


@dataclass(frozen=True)
class Issuer:
    """A key that certifies, with its certificate."""

    key: Key
    certificate: x509.Certificate


@dataclass(frozen=True)
class Places:
    """Where the certificate's readers find its list, its status and its issuer; empty: nowhere."""

    crl: str = ""
    ocsp: str = ""
    issuer: str = ""


@dataclass(frozen=True)
class Withdrawal:
    """A certificate taken back: since when (UTC, whole seconds) and why (a key of REASONS)."""

    at: dt.datetime
    reason: str


def _algorithm(algorithm: str) -> bytes:
    return der.sequence(der.oid(SIGNATURE_OIDS[algorithm]))


def _resigned(tbs: bytes, key: Key, spki: tuple[bytes, bytes] | None = None) -> bytes:
    """The body with the key's own algorithm (and, if given, another subject key), signed by the key."""
    stand_in, algorithm = _algorithm(ECDSA), _algorithm(key.public.algorithm)
    parts = []
    for part in der.read(tbs).parts():
        whole = algorithm if part.whole == stand_in else part.whole
        parts.append(spki[1] if spki and whole == spki[0] else whole)
    body = der.sequence(*parts)
    return der.sequence(body, algorithm, der.bits(key.sign(body)))


def distinguished(common: str, organisation: str, unit: str = "") -> x509.Name:
    """A name in this country: organisation, unit, common name (64 characters each at most)."""
    parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, organisation[:64])]
    if unit:
        parts.append((NameOID.ORGANIZATIONAL_UNIT_NAME, unit[:64]))
    parts.append((NameOID.COMMON_NAME, common[:64]))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def key_id(public: PublicKey) -> bytes:
    """The identifier of a key in certificates: SHA-1 of its point (RFC 5280, 4.2.1.2)."""
    return hashlib.sha1(b"\x04" + public.point, usedforsecurity=False).digest()


def _key_id_of(certificate: x509.Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return found.value.digest
    except x509.ExtensionNotFound:
        return hashlib.sha1(_point(certificate), usedforsecurity=False).digest()


def _point(certificate: x509.Certificate) -> bytes:
    parts = der.read(certificate.tbs_certificate_bytes).parts()
    spki = parts[6 if parts[0].tag == 0xA0 else 5]
    return spki.parts()[1].as_bits()


def _built(
    subject: x509.Name,
    public: PublicKey,
    issuer: Issuer | None,
    key: Key,
    days: int,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    throw_away = ec.generate_private_key(ec.SECP256R1())
    end = now + dt.timedelta(days=days)
    if issuer is not None:
        end = min(end, issuer.certificate.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(throw_away.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of one house differ by minutes; a signature made at once must not be too early.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier(key_id(public)), critical=False)
    )
    if issuer is not None:
        above = _key_id_of(issuer.certificate)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier(above, None, None), critical=False
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(throw_away, hashes.SHA256())
    own = throw_away.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return x509.load_der_x509_certificate(
        _resigned(made.tbs_certificate_bytes, key, (own, public.spki))
    )


def _found_at(places: Places) -> list[tuple[x509.ExtensionType, bool]]:
    out: list[tuple[x509.ExtensionType, bool]] = []
    if places.crl:
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(places.crl)], None, None, None
        )
        out.append((x509.CRLDistributionPoints([point]), False))
    ways = [(Access.OCSP, places.ocsp), (Access.CA_ISSUERS, places.issuer)]
    known = [
        x509.AccessDescription(kind, x509.UniformResourceIdentifier(url))
        for kind, url in ways
        if url
    ]
    if known:
        out.append((x509.AuthorityInformationAccess(known), False))
    return out


def _authority(depth: int) -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.BasicConstraints(ca=True, path_length=depth), True),
        (key_usage(certify=True), True),
    ]


def new_root(key: Key, name: x509.Name, *, days: int = 365 * 20) -> x509.Certificate:
    """A certificate by which a key vouches for itself and for one issuing authority below it."""
    return _built(name, key.public, None, key, days, _authority(1))


def certify_issuer(
    root: Issuer, public: PublicKey, name: x509.Name, places: Places, *, days: int = 365 * 10
) -> x509.Certificate:
    """A certificate for an authority that certifies keys of seals, and nothing below them."""
    return _built(name, public, root, root.key, days, [*_authority(0), *_found_at(places)])


def certify_signer(
    issuer: Issuer, public: PublicKey, name: x509.Name, places: Places, *, days: int = 365 * 3
) -> x509.Certificate:
    """A certificate for a key that signs documents."""
    return _built(
        name,
        public,
        issuer,
        issuer.key,
        days,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage(sign=True), True),
            *_found_at(places),
        ],
    )


def certify_stamper(
    issuer: Issuer, public: PublicKey, name: x509.Name, places: Places, *, days: int = 365 * 5
) -> x509.Certificate:
    """A certificate for a key that stamps times and does nothing else (RFC 3161, 2.3)."""
    only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return _built(
        name,
        public,
        issuer,
        issuer.key,
        days,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage(sign=True), True),
            (only, True),
            *_found_at(places),
        ],
    )


def certify_responder(
    issuer: Issuer, public: PublicKey, name: x509.Name, *, days: int = 365
) -> x509.Certificate:
    """A certificate for a key that answers for the issuer about certificates (RFC 6960, 4.2.2.2)."""
    return _built(
        name,
        public,
        issuer,
        issuer.key,
        days,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage(sign=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
            (x509.OCSPNoCheck(), False),
        ],
    )


def signing_request(key: Key, name: x509.Name) -> str:
    """A PKCS#10 request, PEM, by which a higher authority certifies this key as an issuer."""
    throw_away = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(certify=True), critical=True)
        .sign(throw_away, hashes.SHA256())
    )
    own = throw_away.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    whole = _resigned(made.tbs_certrequest_bytes, key, (own, key.public.spki))
    return der.pem("CERTIFICATE REQUEST", whole)


def make_list(
    issuer: Issuer,
    withdrawn: Iterable[tuple[int, Withdrawal]],
    number: int,
    *,
    hours: int = 24,
) -> bytes:
    """A certificate revocation list (RFC 5280, 5), DER: (serial, withdrawal) of every one taken back."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    throw_away = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + dt.timedelta(hours=hours))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(_key_id_of(issuer.certificate), None, None), critical=False
        )
    )
    for serial, gone in withdrawn:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(gone.at)
            .add_extension(x509.CRLReason(REASONS[gone.reason][1]), critical=False)
            .build()
        )
    made = builder.sign(throw_away, hashes.SHA256())
    return _resigned(made.tbs_certlist_bytes, issuer.key)


# ---- OCSP -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """One certificate asked about: its identifier as it came, and its serial number."""

    whole: bytes
    kind: str
    name: bytes
    key: bytes
    serial: int


def _identified(value: der.Value) -> _Asked:
    kind, name, key, serial = value.expect(der.SEQUENCE).parts()
    return _Asked(
        value.whole,
        kind.expect(der.SEQUENCE).parts()[0].as_oid(),
        name.expect(der.OCTET_STRING).content,
        key.expect(der.OCTET_STRING).content,
        serial.as_int(),
    )


def _identifier(issuer: x509.Certificate, serial: int) -> _Asked:
    name = hashlib.sha1(issuer.subject.public_bytes(), usedforsecurity=False).digest()
    key = hashlib.sha1(_point(issuer), usedforsecurity=False).digest()
    kind = der.sequence(der.oid(_SHA1), der.tlv(der.NULL, b""))
    whole = der.sequence(kind, der.octets(name), der.octets(key), der.integer(serial))
    return _Asked(whole, _SHA1, name, key, serial)


def _of(asked: _Asked, issuer: x509.Certificate) -> bool:
    """Whether the certificate asked about is one of this issuer's."""
    kind = _HASHES.get(asked.kind)
    if kind is None:
        return False
    named = hashlib.new(kind, issuer.subject.public_bytes(), usedforsecurity=False).digest()
    keyed = hashlib.new(kind, _point(issuer), usedforsecurity=False).digest()
    return (asked.name, asked.key) == (named, keyed)


GOOD, UNKNOWN = "good", "unknown"
Standing = Withdrawal | str
"""GOOD, UNKNOWN, or the withdrawal."""


def _single(asked: _Asked, standing: Standing, now: dt.datetime, minutes: int) -> bytes:
    if isinstance(standing, Withdrawal):
        reason = der.tlv(0x0A, bytes((REASONS[standing.reason][0],)))
        state = der.tlv(
            0xA1, der.generalized_time(standing.at.replace(microsecond=0)) + der.tlv(0xA0, reason)
        )
    else:
        state = der.tlv(0x80 if standing == GOOD else 0x82, b"")
    until = der.tlv(0xA0, der.generalized_time(now + dt.timedelta(minutes=minutes)))
    return der.sequence(asked.whole, state, der.generalized_time(now), until)


class Responder:
    """The issuer's answers about its certificates, signed by a key certified for that alone."""

    def __init__(
        self, key: Key, certificate: x509.Certificate, issuer: x509.Certificate, minutes: int = 60
    ) -> None:
        """`minutes`: how long an answer may be kept by who asked."""
        self.key = key
        self.certificate = certificate
        self.issuer = issuer
        self.minutes = minutes

    def _answer(self, asked: Sequence[tuple[_Asked, Standing]], nonce: bytes | None) -> bytes:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        body = [
            der.tlv(
                0xA2,
                der.octets(hashlib.sha1(_point(self.certificate), usedforsecurity=False).digest()),
            ),
            der.generalized_time(now),
            der.sequence(*(_single(a, s, now, self.minutes) for a, s in asked)),
        ]
        if nonce is not None:
            one = der.sequence(der.oid(_NONCE), der.octets(nonce))
            body.append(der.tlv(0xA1, der.sequence(one)))
        data = der.sequence(*body)
        basic = der.sequence(
            data,
            _algorithm(self.key.public.algorithm),
            der.bits(self.key.sign(data)),
            der.tlv(0xA0, der.sequence(self.certificate.public_bytes(DER))),
        )
        inner = der.sequence(der.oid(_BASIC), der.octets(basic))
        return der.sequence(der.tlv(0x0A, b"\x00"), der.tlv(0xA0, inner))

    def about(self, serial: int, standing: Standing) -> bytes:
        """An answer nobody asked for, to be kept beside a signature."""
        return self._answer([(_identifier(self.issuer, serial), standing)], None)

    def _read(self, request: bytes) -> tuple[list[_Asked], bytes | None] | None:
        """What is asked, and the nonce; None where the request is malformed."""
        try:
            tbs = der.read(request).expect(der.SEQUENCE).parts()[0].expect(der.SEQUENCE).parts()
            listed = next(v for v in tbs if v.tag == der.SEQUENCE)
            asked = [_identified(one.expect(der.SEQUENCE).parts()[0]) for one in listed.parts()]
            nonce = None
            for part in tbs:
                if part.tag != 0xA2:
                    continue
                for extension in part.parts()[0].expect(der.SEQUENCE).parts():
                    kind, *rest = extension.expect(der.SEQUENCE).parts()
                    if kind.as_oid() == _NONCE:
                        nonce = rest[-1].expect(der.OCTET_STRING).content
            if not 0 < len(asked) <= _MOST_ASKED or len(nonce or b"") > _LONGEST_NONCE:
                raise der.BadDer("too much")
        except (ValueError, IndexError, StopIteration):
            return None
        return asked, nonce

    def asked_of(self, request: bytes) -> bool:
        """Whether a request asks about a certificate of this issuer."""
        read = self._read(request)
        return read is not None and any(_of(one, self.issuer) for one in read[0])

    def answer(self, request: bytes, standing: Callable[[int], Standing]) -> bytes:
        """The OCSPResponse to an OCSPRequest; a malformed one gets the answer 1 (malformedRequest)."""
        read = self._read(request)
        if read is None:
            return der.sequence(der.tlv(0x0A, b"\x01"))
        asked, nonce = read
        return self._answer(
            [(a, standing(a.serial) if _of(a, self.issuer) else UNKNOWN) for a in asked], nonce
        )


__all__ = [
    "CRL_TYPE",
    "GOOD",
    "OCSP_TYPE",
    "REASONS",
    "SIGNATURE_OIDS",
    "UNKNOWN",
    "Issuer",
    "Key",
    "Places",
    "Responder",
    "Standing",
    "Withdrawal",
    "certify_issuer",
    "certify_responder",
    "certify_signer",
    "certify_stamper",
    "distinguished",
    "key_id",
    "make_list",
    "new_root",
    "signing_request",
]
