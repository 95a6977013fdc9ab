"""Signature: ECDSA on P-256 with SHA-256 (FIPS 186-5) and SM2 with SM3 (GB/T 32918.2-2016), by key.

Keys are PKCS#8 and SubjectPublicKeyInfo in PEM, signatures the DER of r and s: what openssl 3 reads
and writes. SM2 signs the digest of Z and the message, Z made with the default ID 1234567812345678
(GB/T 32918.2, 5.5; GB/T 35276: the ID where nothing else was agreed).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import gmssl_pyx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import der

ECDSA = "ecdsa-p256-sha256"
SM2 = "sm2-sm3"
ALGORITHMS = (ECDSA, SM2)
TITLES = {ECDSA: "ECDSA P-256 / SHA-256", SM2: "SM2 / SM3"}

_EC_KEY = "1.2.840.10045.2.1"
_CURVES = {"1.2.840.10045.3.1.7": ECDSA, "1.2.156.10197.1.301": SM2}
_OIDS = {algorithm: curve for curve, algorithm in _CURVES.items()}
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")


class BadKey(ValueError):
    """A key that cannot be used; the message says why, in Chinese."""


def _algorithm(value: der.Value) -> str:
    kind, *more = value.expect(der.SEQUENCE).parts()
    named = more[0] if len(more) == 1 and more[0].tag == der.OID else None
    found = _CURVES.get(named.as_oid()) if named and kind.as_oid() == _EC_KEY else None
    if found is None:
        raise BadKey("只支持 P-256 与 SM2 曲线的密钥")
    return found


@dataclass(frozen=True)
class PublicKey:
    """A public key: its algorithm and its point (x and y, 64 bytes)."""

    algorithm: str
    point: bytes

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return der.sequence(
            der.sequence(der.oid(_EC_KEY), der.oid(_OIDS[self.algorithm])),
            der.bits(b"\x04" + self.point),
        )

    @property
    def pem(self) -> str:
        """SubjectPublicKeyInfo, PEM."""
        return der.pem("PUBLIC KEY", self.spki)

    @property
    def kid(self) -> str:
        """The key's name: SHA-256 of its SubjectPublicKeyInfo, hex."""
        return hashlib.sha256(self.spki).hexdigest()

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature (DER) over the data was made with this key's private half."""
        try:
            r, s = (v.as_int() for v in der.read(signature).expect(der.SEQUENCE).parts())
        except ValueError:
            return False
        if r <= 0 or s <= 0:
            return False
        if self.algorithm == SM2:
            try:
                return bool(gmssl_pyx.sm2_verify(self.point, data, signature))
            except gmssl_pyx.GmsslInnerError:
                return False
        try:
            self._ec_key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True

    @cached_property
    def _ec_key(self) -> ec.EllipticCurvePublicKey:
        # Reading a point costs about as much as checking a signature.
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + self.point)

    def verify_raw(self, data: bytes, signature: bytes) -> bool:
        """As `verify`, the signature being r and s, 32 bytes each (RFC 9421, 3.3.4)."""
        return len(signature) == 64 and self.verify(data, from_raw(signature))


@dataclass(frozen=True)
class PrivateKey:
    """A private key and its public half."""

    public: PublicKey
    secret: bytes

    @property
    def algorithm(self) -> str:
        """One of ALGORITHMS."""
        return self.public.algorithm

    @property
    def pem(self) -> str:
        """PKCS#8, PEM, not encrypted: for the vault only."""
        inner = der.sequence(
            der.integer(1),
            der.octets(self.secret),
            der.tlv(0xA1, der.bits(b"\x04" + self.public.point)),
        )
        kind = der.sequence(der.oid(_EC_KEY), der.oid(_OIDS[self.algorithm]))
        return der.pem("PRIVATE KEY", der.sequence(der.integer(0), kind, der.octets(inner)))

    def sign(self, data: bytes) -> bytes:
        """The signature over the data, DER."""
        if self.algorithm == SM2:
            return bytes(gmssl_pyx.sm2_sign(self.secret, self.public.point, data))
        return self.ec_key().sign(data, ec.ECDSA(hashes.SHA256()))

    def sign_raw(self, data: bytes) -> bytes:
        """The signature over the data as r and s, 32 bytes each."""
        return to_raw(self.sign(data))

    def ec_key(self) -> ec.EllipticCurvePrivateKey:
        """The same key for `cryptography` (ECDSA only)."""
        return self._ec_key

    @cached_property
    def _ec_key(self) -> ec.EllipticCurvePrivateKey:
        # Reading a key costs several times a signature.
        found = serialization.load_pem_private_key(self.pem.encode(), None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return found


def to_raw(signature: bytes) -> bytes:
    """DER to r and s."""
    r, s = (v.as_int() for v in der.read(signature).parts())
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def from_raw(signature: bytes) -> bytes:
    """r and s to DER."""
    return der.sequence(
        der.integer(int.from_bytes(signature[:32], "big")),
        der.integer(int.from_bytes(signature[32:], "big")),
    )


def new_key(algorithm: str) -> PrivateKey:
    """A new key of one of ALGORITHMS."""
    if algorithm == SM2:
        point, secret = gmssl_pyx.sm2_key_generate()
        return PrivateKey(PublicKey(SM2, bytes(point)), bytes(secret))
    if algorithm != ECDSA:
        raise BadKey(f"没有签名算法 {algorithm}")
    made = ec.generate_private_key(ec.SECP256R1())
    secret = made.private_numbers().private_value.to_bytes(32, "big")
    return PrivateKey(_p256(made.public_key()), secret)


def _p256(key: ec.EllipticCurvePublicKey) -> PublicKey:
    encoded = key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return PublicKey(ECDSA, encoded[1:])


def private_key(pem: str) -> PrivateKey:
    """A key from PKCS#8 PEM (not encrypted); raises BadKey."""
    found = _PEM.search(pem)
    if found is None or found[1] != "PRIVATE KEY":
        raise BadKey("不是 PKCS#8 格式的私钥")
    try:
        version, kind, inner, *_ = der.read(base64.b64decode(found[2])).parts()
        algorithm = _algorithm(kind)
        _, secret, *rest = der.read(inner.expect(der.OCTET_STRING).content).parts()
        if version.as_int() != 0 or len(secret.content) != 32:
            raise BadKey("私钥格式有误")
        if algorithm == ECDSA:
            number = int.from_bytes(secret.content, "big")
            public = _p256(ec.derive_private_key(number, ec.SECP256R1()).public_key())
        else:
            points = [v.parts()[0].as_bits() for v in rest if v.tag == 0xA1]
            public = _checked(SM2, points[0])
    except (ValueError, IndexError) as wrong:
        raise wrong if isinstance(wrong, BadKey) else BadKey("私钥格式有误") from wrong
    return PrivateKey(public, secret.content)


def _checked(algorithm: str, encoded: bytes) -> PublicKey:
    """A point that is on its curve, uncompressed; raises BadKey."""
    if len(encoded) != 65 or encoded[0] != 4:
        raise BadKey("公钥须为未压缩的点")
    try:
        if algorithm == SM2:
            gmssl_pyx.normalize_sm2_public_key(encoded[1:])
        else:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except (ValueError, gmssl_pyx.GmsslInnerError) as wrong:
        raise BadKey("公钥不在曲线上") from wrong
    return PublicKey(algorithm, encoded[1:])


def from_spki(data: bytes) -> PublicKey:
    """A key from SubjectPublicKeyInfo, DER; raises BadKey."""
    try:
        kind, point = der.read(data).expect(der.SEQUENCE).parts()
        return _checked(_algorithm(kind), point.as_bits())
    except ValueError as wrong:
        raise wrong if isinstance(wrong, BadKey) else BadKey("公钥格式有误") from wrong


def public_key(pem: str) -> PublicKey:
    """A key from PEM: SubjectPublicKeyInfo, or the key of a certificate; raises BadKey."""
    found = _PEM.search(pem)
    if found is None or found[1] not in ("PUBLIC KEY", "CERTIFICATE"):
        raise BadKey("不是 PEM 格式的公钥或证书")
    try:
        data = base64.b64decode(found[2])
        if found[1] == "CERTIFICATE":
            data = x509.load_der_x509_certificate(data).tbs_certificate_bytes
            parts = der.read(data).parts()
            # version, serial, algorithm, issuer, validity, subject, key
            data = parts[6 if parts[0].tag == 0xA0 else 5].whole
    except (ValueError, IndexError, UnsupportedAlgorithm) as wrong:
        raise BadKey("证书格式有误") from wrong
    return from_spki(data)


__all__ = [
    "ALGORITHMS",
    "ECDSA",
    "SM2",
    "TITLES",
    "BadKey",
    "PrivateKey",
    "PublicKey",
    "from_raw",
    "from_spki",
    "new_key",
    "private_key",
    "public_key",
    "to_raw",
]
