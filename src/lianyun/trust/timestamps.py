"""Time stamp: a token that says what existed when (RFC 3161), from an authority of our own or another by URL."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import der
from .certificates import BadChain, check_chain, load_all, loaded
from .signatures import PrivateKey

POLICY = "2.25.234717842165943927358246173045908365421"
"""The policy of our own authority: the clock of this installation, kept by its operator (NTP)."""
ACCURACY_SECONDS = 1

_SHA256 = "2.16.840.1.101.3.4.2.1"
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    _SHA256: hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_2 = "1.2.840.113549.1.9.16.2.47"
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SIGNATURES: dict[str, type[hashes.HashAlgorithm] | None] = {
    _ECDSA_SHA256: hashes.SHA256,
    "1.2.840.10045.4.3.3": hashes.SHA384,
    "1.2.840.10045.4.3.4": hashes.SHA512,
    # rsaEncryption takes the digest named beside it.
    "1.2.840.113549.1.1.1": None,
    "1.2.840.113549.1.1.11": hashes.SHA256,
    "1.2.840.113549.1.1.12": hashes.SHA384,
    "1.2.840.113549.1.1.13": hashes.SHA512,
}
_LARGEST = 64 * 1024
_MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
)


class BadToken(ValueError):
    """A token that does not prove what it should, or an authority that gave none."""


@dataclass(frozen=True)
class Stamp:
    """What a good token says: when, by whom, under which number and policy."""

    at: dt.datetime
    authority: str
    serial: int
    policy: str
    certificates: tuple[x509.Certificate, ...] = ()
    """What the token carries; nothing signs them but their own issuers."""


def _imprint(digest: bytes) -> bytes:
    return der.sequence(der.sequence(der.oid(_SHA256), der.tlv(der.NULL, b"")), der.octets(digest))


def request(digest: bytes, nonce: int) -> bytes:
    """A TimeStampReq for a SHA-256 digest that asks for the certificate too."""
    wanted = der.tlv(0x01, b"\xff")
    return der.sequence(der.integer(1), _imprint(digest), der.integer(nonce), wanted)


class Authority:
    """A time-stamping authority on this machine's clock."""

    def __init__(self, key: PrivateKey, certificate: str, root: str, between: str = "") -> None:
        """`key` is ECDSA; `certificate` and `root` are PEM, `between` too: it goes into each token."""
        self.key = key
        self.certificate = x509.load_pem_x509_certificate(certificate.encode())
        self.root = x509.load_pem_x509_certificate(root.encode())
        self.between = load_all(between) if between else []

    def stamp(self, digest: bytes, nonce: int | None = None) -> bytes:
        """A token for a SHA-256 digest, now; DER of the ContentInfo."""
        now = dt.datetime.now(dt.UTC)
        info = der.sequence(
            der.integer(1),
            der.oid(POLICY),
            _imprint(digest),
            der.integer(secrets.randbits(127)),
            der.generalized_time(now),
            der.sequence(der.integer(ACCURACY_SECONDS)),
            *([der.integer(nonce)] if nonce is not None else []),
        )
        whole = self.certificate.public_bytes(serialization.Encoding.DER)
        held = [c.public_bytes(serialization.Encoding.DER) for c in self.between]
        attributes = b"".join(
            sorted(
                [
                    _attribute(_CONTENT_TYPE, der.oid(_TST_INFO)),
                    _attribute(_MESSAGE_DIGEST, der.octets(hashlib.sha256(info).digest())),
                    _attribute(
                        _SIGNING_CERTIFICATE_2,
                        der.sequence(
                            der.sequence(der.sequence(der.octets(hashlib.sha256(whole).digest())))
                        ),
                    ),
                ]
            )
        )
        sha256 = der.sequence(der.oid(_SHA256))
        signer = der.sequence(
            der.integer(1),
            der.sequence(
                self.certificate.issuer.public_bytes(),
                der.integer(self.certificate.serial_number),
            ),
            sha256,
            der.tlv(0xA0, attributes),
            der.sequence(der.oid(_ECDSA_SHA256)),
            der.octets(self.key.sign(der.tlv(der.SET, attributes))),
        )
        signed = der.sequence(
            der.integer(3),
            der.set_of(sha256),
            der.sequence(der.oid(_TST_INFO), der.tlv(0xA0, der.octets(info))),
            der.tlv(0xA0, b"".join(sorted([whole, *held]))),
            der.set_of(signer),
        )
        return der.sequence(der.oid(_SIGNED_DATA), der.tlv(0xA0, signed))

    def answer(self, asked: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq (RFC 3161, 2.4): granted, or refused as malformed."""
        try:
            version, imprint, *rest = der.read(asked).expect(der.SEQUENCE).parts()
            kind, digest = imprint.parts()
            good = version.as_int() == 1 and kind.parts()[0].as_oid() == _SHA256
            numbers = [v.as_int() for v in rest if v.tag == der.INTEGER]
            if not good or len(digest.expect(der.OCTET_STRING).content) != 32:
                raise der.BadDer("not a SHA-256 digest")
        except (ValueError, IndexError):
            return der.sequence(der.sequence(der.integer(2)))
        token = self.stamp(digest.content, numbers[0] if numbers else None)
        return der.sequence(der.sequence(der.integer(0)), token)


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))


def fetch(url: str, digest: bytes, seconds: float) -> bytes:
    """A token for a SHA-256 digest from the authority at a URL (RFC 3161, 3.4); raises BadToken.

    The token's nonce and imprint are checked here; whom to trust is for `verify`.
    """
    nonce = secrets.randbits(63)
    try:
        answer = httpx.post(
            url,
            content=request(digest, nonce),
            headers={"content-type": "application/timestamp-query"},
            timeout=seconds,
        )
        answer.raise_for_status()
        if len(answer.content) > _LARGEST:
            raise BadToken("时间戳机构的应答过大")
        status, *rest = der.read(answer.content).expect(der.SEQUENCE).parts()
        if status.parts()[0].as_int() not in (0, 1) or not rest:
            raise BadToken("时间戳机构拒绝了请求")
        info = _opened(rest[0].whole)[0]
        if info.nonce != nonce or info.digest != digest:
            raise BadToken("时间戳机构的应答不是对本次请求的")
    except httpx.HTTPError as wrong:
        raise BadToken(f"时间戳机构无法连接（{type(wrong).__name__}）") from wrong
    except BadToken:
        raise
    except _MALFORMED as wrong:
        raise BadToken("时间戳机构的应答格式有误") from wrong
    return rest[0].whole


@dataclass(frozen=True)
class _Info:
    """The fields of a TSTInfo that matter."""

    whole: bytes
    policy: str
    digest: bytes
    serial: int
    at: dt.datetime
    nonce: int | None


def _opened(token: bytes) -> tuple[_Info, list[der.Value], list[x509.Certificate]]:
    """TSTInfo, the signer's fields, and the certificates of a token; raises BadToken, BadDer."""
    kind, content = der.read(token).expect(der.SEQUENCE).parts()
    if kind.as_oid() != _SIGNED_DATA:
        raise BadToken("不是时间戳令牌")
    signed = content.expect(0xA0).parts()[0].expect(der.SEQUENCE).parts()
    form, used, inside, *rest = signed
    what, held = inside.expect(der.SEQUENCE).parts()
    if what.as_oid() != _TST_INFO or form.as_int() != 3:
        raise BadToken("不是时间戳令牌")
    listed = [der.algorithm(v) for v in used.expect(der.SET).parts()]
    whole = held.expect(0xA0).parts()[0].expect(der.OCTET_STRING).content
    version, policy, imprint, serial, at, *more = der.read(whole).expect(der.SEQUENCE).parts()
    digest_kind, digest = imprint.parts()
    if version.as_int() != 1 or der.algorithm(digest_kind) != _SHA256:
        raise BadToken("时间戳不是对 SHA-256 摘要的")
    info = _Info(
        whole,
        policy.as_oid(),
        digest.expect(der.OCTET_STRING).content,
        serial.as_int(),
        at.as_time(),
        next((v.as_int() for v in more if v.tag == der.INTEGER), None),
    )
    certificates = [
        loaded(v.expect(der.SEQUENCE).whole)
        for part in rest
        if part.tag == 0xA0
        for v in part.parts()
    ]
    signers = rest[-1].expect(der.SET).parts()
    if len(signers) != 1:
        raise BadToken("时间戳须恰有一个签名者")
    signer = signers[0].expect(der.SEQUENCE).parts()
    if der.algorithm(signer[2]) not in listed:
        raise BadToken("时间戳的摘要算法前后不一")
    return info, signer, certificates


def verify(
    token: bytes,
    digest: bytes,
    roots: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate] = (),
) -> Stamp:
    """What a token says of a SHA-256 digest, if it holds and its signer leads to a root; raises BadToken.

    `between`: issuers known beside those in the token.
    """
    try:
        info, signer, certificates = _opened(token)
        if info.digest != digest:
            raise BadToken("时间戳对应的不是这份内容")
        found = _signed_by(info, signer, certificates)
        check_chain(found, [*certificates, *between], roots, info.at)
    except BadChain as wrong:
        raise BadToken(f"时间戳证书不可信：{wrong}") from wrong
    except BadToken:
        raise
    except _MALFORMED as wrong:
        raise BadToken("时间戳令牌格式有误") from wrong
    name = found.subject.rfc4514_string()
    return Stamp(info.at, name, info.serial, info.policy, tuple(certificates))


def _signed_by(
    info: _Info, signer: list[der.Value], certificates: list[x509.Certificate]
) -> x509.Certificate:
    """The certificate whose key signed the token, after all of RFC 3161's and CMS's checks."""
    version, who, kind, signed, how, signature, *_ = signer
    issuer, serial = who.expect(der.SEQUENCE).parts()
    named = [
        c
        for c in certificates
        if c.serial_number == serial.as_int() and c.issuer.public_bytes() == issuer.whole
    ]
    if version.as_int() != 1 or not named or signed.tag != 0xA0:
        raise BadToken("时间戳中没有签名者的证书")
    certificate = named[0]
    attributes = {p[0].as_oid(): p[1].parts()[0] for p in (v.parts() for v in signed.parts())}
    digest = _DIGESTS[kind.parts()[0].as_oid()]
    value = hashes.Hash(digest())
    value.update(info.whole)
    if (
        attributes[_CONTENT_TYPE].as_oid() != _TST_INFO
        or attributes[_MESSAGE_DIGEST].expect(der.OCTET_STRING).content != value.finalize()
        or not _names(attributes, certificate)
    ):
        raise BadToken("时间戳的内容与签名不符")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise BadToken("签名者的证书不能用于时间戳")
    key, over = certificate.public_key(), der.tlv(der.SET, signed.content)
    algorithm = _SIGNATURES[der.algorithm(how)] or digest
    made = signature.expect(der.OCTET_STRING).content
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, over, ec.ECDSA(algorithm()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(made, over, padding.PKCS1v15(), algorithm())
        else:
            raise BadToken("时间戳的签名算法不受支持")
    except InvalidSignature as wrong:
        raise BadToken("时间戳的签名无效") from wrong
    return certificate


def _names(attributes: dict[str, der.Value], certificate: x509.Certificate) -> bool:
    """Whether the signed attribute names the signer's certificate (RFC 2634, RFC 5035)."""
    if _SIGNING_CERTIFICATE_2 in attributes:
        first = attributes[_SIGNING_CERTIFICATE_2].parts()[0].parts()[0].parts()
        known = first[0].tag == der.SEQUENCE
        digest = _DIGESTS[first[0].parts()[0].as_oid()] if known else hashes.SHA256
        named = first[1 if known else 0].expect(der.OCTET_STRING).content
        return named == certificate.fingerprint(digest())
    old = attributes[_SIGNING_CERTIFICATE].parts()[0].parts()[0].parts()[0]
    return old.content == certificate.fingerprint(hashes.SHA1())


__all__ = ["POLICY", "Authority", "BadToken", "Stamp", "fetch", "request", "verify"]
