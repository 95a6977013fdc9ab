"""Certificate: a small authority of this installation's own: a root, and keys that it vouches for (RFC 5280)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import der
from .signatures import ECDSA, SM2, BadKey, PrivateKey, PublicKey, new_key, public_key

PEM = serialization.Encoding.PEM
ROOT_YEARS = 20
LEAF_YEARS = 5
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SM2_SM3 = "1.2.156.10197.1.501"
_DEPTH = 6


class BadChain(ValueError):
    """A certificate that leads to none of the trusted ones, or may not do what it did."""


def _name(common: str, organisation: str) -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, organisation[:64])]
    return x509.Name(
        [x509.NameAttribute(k, v) for k, v in (*parts, (NameOID.COMMON_NAME, common[:64]))]
    )


def key_usage(*, sign: bool = False, certify: bool = False) -> x509.KeyUsage:
    """What a key may do: sign documents, or sign certificates and lists."""
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=sign,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certify,
        crl_sign=certify,
        encipher_only=False,
        decipher_only=False,
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, years: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Clocks of one house differ by minutes; a stamp made at once must not be too early.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365 * years))
    )


def new_root(organisation: str) -> tuple[PrivateKey, str]:
    """A root: its key (ECDSA) and its certificate, PEM."""
    key = new_key(ECDSA)
    own = key.ec_key()
    name = _name("连云存证根证书", organisation)
    builder = (
        _begun(name, name, own.public_key(), ROOT_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(certify=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    )
    made = builder.sign(own, hashes.SHA256())
    return key, made.public_bytes(PEM).decode()


def certify(
    root: PrivateKey, root_pem: str, public: PublicKey, common: str, *, stamping: bool = False
) -> str:
    """A certificate by the root for a key of either algorithm, PEM; `stamping` for RFC 3161, 2.3."""
    above = x509.load_pem_x509_certificate(root_pem.encode())
    organisation = above.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    # `cryptography` knows no SM2 key: the certificate is made around a key of ours on P-256, then
    # the right key is put in its place and the whole signed again.
    stand_in = new_key(ECDSA) if public.algorithm != ECDSA else None
    key = stand_in.public if stand_in else public
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + key.point)
    builder = (
        _begun(_name(common, str(organisation)), above.subject, point, LEAF_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(bytes.fromhex(public.kid)[:20]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.ec_key().public_key()),
            critical=False,
        )
    )
    if stamping:
        only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(only, critical=True)
    made = builder.sign(root.ec_key(), hashes.SHA256())
    if stand_in is not None:
        tbs = made.tbs_certificate_bytes
        if tbs.count(stand_in.public.spki) != 1:
            raise BadChain("the stand-in key is not where it belongs")
        parts = [
            public.spki if part.whole == stand_in.public.spki else part.whole
            for part in der.read(tbs).parts()
        ]
        body = der.sequence(*parts)
        kind = der.sequence(der.oid(_ECDSA_SHA256))
        made = x509.load_der_x509_certificate(der.sequence(body, kind, der.bits(root.sign(body))))
    return made.public_bytes(PEM).decode()


def load_all(pem: str) -> list[x509.Certificate]:
    """All certificates of a PEM text; raises BadChain where there is none."""
    try:
        return list(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as wrong:
        raise BadChain("没有可用的证书") from wrong


_USUAL = 8192
"""Bytes of a certificate at most that is remembered: who sends huge ones fills no memory."""


def loaded(data: bytes) -> x509.Certificate:
    """A certificate from DER, read once (it is its bytes); raises ValueError."""
    try:
        return _loaded(data) if len(data) <= _USUAL else x509.load_der_x509_certificate(data)
    except x509.InvalidVersion as wrong:
        raise ValueError(str(wrong)) from wrong


@lru_cache(maxsize=1024)
def _loaded(data: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(data)


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's DER, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@lru_cache(maxsize=1024)
def _may_certify(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


@lru_cache(maxsize=1024)
def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed the certificate, and the names fit.

    True for ever or never: what was found out is remembered (a certificate is its bytes).
    """
    if certificate.signature_algorithm_oid.dotted_string == _SM2_SM3:
        # `cryptography` knows no SM2 signatures.
        above = key_of(issuer)
        return (
            certificate.issuer == issuer.subject
            and above is not None
            and above.algorithm == SM2
            and above.verify(certificate.tbs_certificate_bytes, certificate.signature)
        )
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def key_of(certificate: x509.Certificate) -> PublicKey | None:
    """The P-256 or SM2 key of a certificate; None for keys of other kinds."""
    try:
        return public_key(certificate.public_bytes(PEM).decode())
    except BadKey:
        return None


def check_chain(
    leaf: x509.Certificate,
    between: Iterable[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: dt.datetime,
) -> None:
    """Follow a certificate up to a trusted one, all of them valid at `at`; raises BadChain.

    Withdrawal (CRL, OCSP) is not asked: a time stamp of the past would need the lists of the past.
    """
    known = list(between)
    current = leaf
    for _ in range(_DEPTH):
        if not current.not_valid_before_utc <= at <= current.not_valid_after_utc:
            raise BadChain("证书在该时刻不在有效期内")
        if current in roots:
            return
        above = [c for c in (*roots, *known) if c != current and _may_certify(c)]
        issuer = next((c for c in above if is_issued_by(current, c)), None)
        if issuer is None:
            raise BadChain("证书不是由受信任的机构签发")
        current = issuer
    raise BadChain("证书链过长")


__all__ = [
    "PEM",
    "BadChain",
    "certify",
    "check_chain",
    "is_issued_by",
    "key_of",
    "key_usage",
    "load_all",
    "loaded",
    "new_root",
    "thumbprint",
]
