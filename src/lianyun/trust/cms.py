"""CMS: one signature apart from what it signs (RFC 5652) with the signer's certificate named (RFC 5035) and a time stamp.

Written with ECDSA or SM2 (digest SM3, signature sm2sign-with-sm3 in the same structure); read also
with RSA and the larger NIST curves, so that a foreign signer can be named rather than refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from . import der
from .certificates import key_of, loaded
from .digests import digest as digest_of
from .issuing import SIGNATURE_OIDS, Key
from .signatures import ECDSA, SM2

DER = serialization.Encoding.DER
SHA256_OID, SM3_OID = "2.16.840.1.101.3.4.2.1", "1.2.156.10197.1.401"
DIGEST_OF = {ECDSA: "sha256", SM2: "sm3"}
"""The digest that goes with a key's algorithm (names of lianyun.trust.digests)."""
DIGESTS = {SHA256_OID: "sha256", "2.16.840.1.101.3.4.2.2": "sha384",
           "2.16.840.1.101.3.4.2.3": "sha512", SM3_OID: "sm3"}  # fmt: skip
_OIDS = {"sha256": SHA256_OID, "sm3": SM3_OID}
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_DATA = "1.2.840.113549.1.7.1"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_2 = "1.2.840.113549.1.9.16.2.47"
_STAMP = "1.2.840.113549.1.9.16.2.14"
_RSA = {
    "1.2.840.113549.1.1.1": None,
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_EC = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    # Some write the key's algorithm here; the digest stands beside it.
    "1.2.840.10045.2.1": None,
}
_SM2_SM3 = SIGNATURE_OIDS[SM2]
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sm3": hashes.SM3,
}


class BadSignature(ValueError):
    """Bytes that are no signature of the kinds read here, or one that contradicts itself (Chinese)."""


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))


def make(
    key: Key,
    certificate: x509.Certificate,
    between: Sequence[x509.Certificate],
    digest: bytes,
    stamp: Callable[[bytes], bytes] | None,
) -> bytes:
    """A ContentInfo over a digest made with DIGEST_OF the key's algorithm.

    `stamp` gives an RFC 3161 token for a SHA-256 digest (of the signature). The claimed signing
    time is not among the attributes: PAdES keeps it in the PDF (ETSI EN 319 142-1, 6.3).
    """
    algorithm = key.public.algorithm
    name = DIGEST_OF[algorithm]
    whole = certificate.public_bytes(DER)
    named = [der.octets(digest_of(name, whole))]
    if name != "sha256":
        named.insert(0, der.sequence(der.oid(_OIDS[name])))
    attributes = b"".join(
        sorted(
            [
                _attribute(_CONTENT_TYPE, der.oid(_DATA)),
                _attribute(_MESSAGE_DIGEST, der.octets(digest)),
                _attribute(
                    _SIGNING_CERTIFICATE_2, der.sequence(der.sequence(der.sequence(*named)))
                ),
            ]
        )
    )
    value = key.sign(der.tlv(der.SET, attributes))
    kind = der.sequence(der.oid(_OIDS[name]))
    parts = [
        der.integer(1),
        der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number)),
        kind,
        der.tlv(0xA0, attributes),
        der.sequence(der.oid(SIGNATURE_OIDS[algorithm])),
        der.octets(value),
    ]
    if stamp is not None:
        token = stamp(hashlib.sha256(value).digest())
        parts.append(der.tlv(0xA1, _attribute(_STAMP, token)))
    held = sorted([whole, *(c.public_bytes(DER) for c in between)])
    signed = der.sequence(
        der.integer(1),
        der.set_of(kind),
        der.sequence(der.oid(_DATA)),
        der.tlv(0xA0, b"".join(held)),
        der.set_of(der.sequence(*parts)),
    )
    return der.sequence(der.oid(_SIGNED_DATA), der.tlv(0xA0, signed))


@dataclass(frozen=True)
class Signed:
    """A signature read: whose certificate, over which digest, what it signs in truth, its stamp."""

    certificate: x509.Certificate
    certificates: tuple[x509.Certificate, ...]
    digest_name: str
    digest: bytes
    attributes: bytes
    algorithm: str
    value: bytes
    token: bytes | None

    def holds(self) -> bool:
        """Whether the key of the certificate made the signature over the attributes.

        Raises BadSignature for algorithms that are not read here.
        """
        return verified(
            self.certificate, self.algorithm, self.digest_name, self.attributes, self.value
        )


def verified(
    certificate: x509.Certificate, algorithm: str, digest_name: str, data: bytes, value: bytes
) -> bool:
    """Whether a certificate's key signed the data; `algorithm` is the signature's identifier.

    Raises BadSignature for algorithms that are not read here.
    """
    if algorithm == _SM2_SM3:
        own = key_of(certificate)
        if own is None or own.algorithm != SM2 or digest_name != "sm3":
            raise BadSignature("签名算法与证书不符")
        return own.verify(data, value)
    try:
        key = certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _EC:
            kind = _HASHES[_EC[algorithm] or digest_name]()
            key.verify(value, data, ec.ECDSA(kind))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
            if key.key_size < 2048:
                raise BadSignature("RSA 密钥不足 2048 位，不再可信")
            key.verify(value, data, padding.PKCS1v15(), _HASHES[_RSA[algorithm] or digest_name]())
        else:
            raise BadSignature("签名算法不受支持")
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError) as wrong:
        raise (
            wrong if isinstance(wrong, BadSignature) else BadSignature("签名算法不受支持")
        ) from wrong
    return True


def _names(attributes: dict[str, der.Value], certificate: x509.Certificate) -> bool:
    """Whether the signed attributes name this certificate, and no other."""
    whole = certificate.public_bytes(DER)
    if _SIGNING_CERTIFICATE_2 in attributes:
        first = attributes[_SIGNING_CERTIFICATE_2].parts()[0].parts()[0].parts()
        known = first[0].tag == der.SEQUENCE
        name = DIGESTS[first[0].parts()[0].as_oid()] if known else "sha256"
        named = first[1 if known else 0].expect(der.OCTET_STRING).content
        return named == _digest(name, whole)
    if _SIGNING_CERTIFICATE in attributes:
        old = attributes[_SIGNING_CERTIFICATE].parts()[0].parts()[0].parts()[0]
        return old.content == hashlib.sha1(whole, usedforsecurity=False).digest()
    # Signatures of the older kind (adbe.pkcs7.detached) name nobody: the certificate's key tells.
    return True


def _digest(name: str, data: bytes) -> bytes:
    if name in ("sha256", "sm3"):
        return digest_of(name, data)
    return hashlib.new(name, data).digest()


def digest_by(name: str, *parts: bytes | memoryview) -> bytes:
    """The digest of parts one after another, by one of DIGESTS' names."""
    value = hashes.Hash(_HASHES[name]())
    for part in parts:
        value.update(bytes(part) if isinstance(part, memoryview) else part)
    return value.finalize()


def read(data: bytes) -> Signed:
    """The one signature of a ContentInfo; zero bytes may follow it. Raises BadSignature."""
    try:
        return _read(data)
    except BadSignature:
        raise
    except (ValueError, LookupError, TypeError, x509.InvalidVersion) as wrong:
        raise BadSignature("签名数据格式有误") from wrong


def _read(data: bytes) -> Signed:
    info, rest = der.first(data)
    if rest.strip(b"\0"):
        raise BadSignature("签名数据之后还有别的内容")
    kind, content = info.expect(der.SEQUENCE).parts()
    if kind.as_oid() != _SIGNED_DATA:
        raise BadSignature("不是数字签名")
    form, used, inside, *more = content.expect(0xA0).parts()[0].expect(der.SEQUENCE).parts()
    listed = [der.algorithm(v) for v in used.expect(der.SET).parts()]
    if [v.as_oid() for v in inside.expect(der.SEQUENCE).parts()] != [_DATA]:
        raise BadSignature("签名中夹带内容")
    certificates = tuple(
        loaded(v.expect(der.SEQUENCE).whole)
        for part in more
        if part.tag == 0xA0
        for v in part.parts()
    )
    signers = more[-1].expect(der.SET).parts()
    if len(signers) != 1:
        raise BadSignature("须恰有一个签名者")
    version, who, how_digest, signed, how, value, *unsigned = (
        signers[0].expect(der.SEQUENCE).parts()
    )
    issuer, serial = who.expect(der.SEQUENCE).parts()
    named = [
        c
        for c in certificates
        if c.serial_number == serial.as_int() and c.issuer.public_bytes() == issuer.whole
    ]
    if version.as_int() != 1 or not named or signed.tag != 0xA0:
        raise BadSignature("签名中没有签名者的证书")
    parts = [v.expect(der.SEQUENCE).parts() for v in signed.parts()]
    attributes = {p[0].as_oid(): p[1].expect(der.SET).parts()[0] for p in parts}
    if len(attributes) != len(parts):
        raise BadSignature("签名属性重复")
    if attributes[_CONTENT_TYPE].as_oid() != _DATA or not _names(attributes, named[0]):
        raise BadSignature("签名所指的证书不是签名者的证书")
    digest = der.algorithm(how_digest)
    if form.as_int() != 1 or digest not in listed:
        raise BadSignature("签名的版本或者摘要算法前后不一")
    name = DIGESTS.get(digest)
    if name is None:
        raise BadSignature("摘要算法已不可信或者不受支持")
    token = None
    for part in unsigned[0].expect(0xA1).parts() if unsigned else []:
        kind, values = part.expect(der.SEQUENCE).parts()
        if kind.as_oid() == _STAMP:
            token = values.expect(der.SET).parts()[0].whole
    return Signed(
        named[0],
        certificates,
        name,
        attributes[_MESSAGE_DIGEST].expect(der.OCTET_STRING).content,
        der.tlv(der.SET, signed.content),
        der.algorithm(how),
        value.expect(der.OCTET_STRING).content,
        token,
    )


__all__ = [
    "DIGESTS",
    "DIGEST_OF",
    "BadSignature",
    "Signed",
    "digest_by",
    "make",
    "read",
    "verified",
]
