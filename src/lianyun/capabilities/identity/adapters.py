"""Adapters: the vault, the city's libraries, security keys, certificates, face service, texts, mail."""

from __future__ import annotations

import base64
import datetime as dt
import re
import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.libraries import api as libraries
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.trust import certificates, der, issuing, signatures

from . import rules

NUMBER_USE, PHONE_USE, FACTOR_USE = "identity.number", "identity.phone", "identity.factor"
MAIL_USE = "identity.mail"


# ---- numbers -------------------------------------------------------------------------------


def number_hash(number: str) -> str:
    """The keyed hash of a citizen number, 32 hex digits, the same throughout this installation.

    It is the hash by which readings are recorded, so that a person finds who read about him.
    """
    return audit.keyed_hash(number)


def phone_hash(phone: str) -> str:
    """The keyed hash of a telephone number; differs from that of a citizen number of equal digits."""
    return audit.keyed_hash(f"phone:{phone}")


def seal(text: str, use: str) -> str:
    """A number as the database keeps it."""
    return audit.encrypt(text.encode(), use)


def unseal(text: str, use: str) -> str:
    """What `seal` was given; raises lianyun.trust.vault.VaultError."""
    return audit.decrypt(text, use).decode()


# ---- the city's own libraries --------------------------------------------------------------


def _golden(library: str, key: str, purpose: str) -> dict[str, Any] | None:
    """A golden record by its fields' Chinese titles; the reading is recorded like everybody's."""
    found = libraries.look_up(name=library, key=key, purpose=purpose, by=SYSTEM, reveal=True)
    return None if found is None else {value.title: value.value for value in found}


def same_person(name: str, number: str) -> bool:
    """Whether the population library has this name for this number, and no death.

    No such number, another name and a dead person are one answer.
    """
    found = _golden("population", number, "账号实名核验")
    return bool(
        found and rules.same_name(name, str(found.get("姓名") or "")) and not found.get("死亡日期")
    )


def same_household(one: str, other: str) -> bool:
    """Whether two numbers stand under one household number (户号) in the population library."""
    first = _golden("population", one, "核对监护关系")
    second = _golden("population", other, "核对监护关系")
    if not first or not second:
        return False
    return bool(first.get("户号")) and first.get("户号") == second.get("户号")


@dataclass(frozen=True)
class Headship:
    """What the legal-entity library says of a person and a firm; `says` as rules.headship."""

    says: str
    entity: str


def heads(name: str, digests: Sequence[str], credit_code: str) -> Headship | None:
    """Whether a person is the firm's representative; None where the library does not know the firm.

    The register's number is compared by its keyed hash and goes no further than this module.
    """
    found = _golden("legal_entity", credit_code, "核对法定代表人")
    if not found:
        return None
    return Headship(_headship(name, digests, found), str(found.get("单位名称") or ""))


def heads_today(name: str, digests: Sequence[str], credit_code: str) -> str:
    """As `heads`, the word alone ('' for an unknown firm), for many at once: the caller records it."""
    found = libraries.plain(SYSTEM, "legal_entity", credit_code)
    told = {found.titles.get(n, n): v for n, v in found.values.items()} if found else {}
    return _headship(name, digests, told) if told else ""


def _headship(name: str, digests: Sequence[str], found: Mapping[str, Any]) -> str:
    number = str(found.get("法定代表人身份号码") or "").strip().upper()
    return rules.headship(
        name,
        digests,
        str(found.get("法定代表人") or ""),
        number_hash(number) if number else "",
        str(found.get("登记状态") or ""),
    )


# ---- security keys (WebAuthn) --------------------------------------------------------------


class BadKey(Exception):
    """An answer of a browser or key that proves nothing."""


def _server(host: str) -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=host, name="连云工作台"))


def new_key_options(
    host: str, user: int, account: str, name: str, known: Sequence[str]
) -> tuple[dict[str, Any], Any]:
    """What the browser needs to make a key for this host (JSON), and the state to check it by."""
    options, state = _server(host).register_begin(
        PublicKeyCredentialUserEntity(id=str(user).encode(), name=account, display_name=name),
        credentials=[_credential(k) for k in known],
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    return dict(options), state


def registered_key(host: str, state: Any, answer: Mapping[str, Any]) -> tuple[str, str, int]:
    """(credential id, public key as kept, counter) of a new key; raises BadKey."""
    try:
        made = _server(host).register_complete(state, answer)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as wrong:
        raise BadKey(str(wrong)) from wrong
    data = made.credential_data
    if data is None:
        raise BadKey("no credential")
    return (
        websafe_encode(data.credential_id),
        base64.b64encode(bytes(data)).decode(),
        made.counter,
    )


def key_options(host: str, known: Sequence[str]) -> tuple[dict[str, Any], Any]:
    """What the browser needs to ask one of the known keys (JSON), and the state to check it by."""
    options, state = _server(host).authenticate_begin(
        [_credential(k) for k in known], user_verification=UserVerificationRequirement.DISCOURAGED
    )
    return dict(options), state


def asserted_key(
    host: str, state: Any, known: Sequence[str], answer: Mapping[str, Any]
) -> tuple[str, int]:
    """(credential id, counter) of the key that signed; raises BadKey."""
    try:
        used = _server(host).authenticate_complete(state, [_credential(k) for k in known], answer)
        counter = AuthenticationResponse.from_dict(answer).response.authenticator_data.counter
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as wrong:
        raise BadKey(str(wrong)) from wrong
    return websafe_encode(used.credential_id), counter


def _credential(kept: str) -> AttestedCredentialData:
    return AttestedCredentialData(base64.b64decode(kept))


# ---- telephones ----------------------------------------------------------------------------


def sample_city() -> bool:
    """Whether this is a sample city (packs/core/city.yaml): stand-ins may answer, marked 模拟数据."""
    return bool(packs.mapping("core", "city.yaml").get("sample", True))


def send_text(phone: str, text: str) -> str:
    """Send a text to a telephone by the city's gateway; '' when it went out.

    Without a gateway a sample city has a stand-in: nothing goes out, and the text is returned to
    be shown on the page under 模拟短信. Raises UserError where there is neither.
    """
    url = settings.TEXT_GATEWAY_URL
    if not url:
        if sample_city():
            return text
        raise UserError("短信网关尚未配置，请到政务服务窗口办理")
    try:
        answer = httpx.post(
            url,
            json={"phone": phone, "text": text, "at": dt.datetime.now(dt.UTC).isoformat()},
            headers={"Authorization": f"Bearer {settings.TEXT_GATEWAY_TOKEN}"},
            timeout=5,
            follow_redirects=False,
        )
        answer.raise_for_status()
    except httpx.HTTPError as wrong:
        raise UserError("短信暂时发不出去，请稍后再试") from wrong
    return ""


def send_mail(to: str, subject: str, text: str) -> str:
    """Send a plain message by the city's mail server; '' when it went out.

    Without one a sample city has a stand-in, as for texts. Raises UserError where it does not work.
    """
    if not settings.EMAIL_HOST:
        if sample_city():
            return text
        raise UserError("邮件服务器尚未配置")
    message = EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to])
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as wrong:
        raise UserError("邮件暂时发不出去，请稍后再试") from wrong
    return ""


def mail_ok(address: str) -> bool:
    """Whether a text is one e-mail address and nothing else."""
    try:
        validate_email(address)
    except ValidationError:
        return False
    return len(address) <= 120


# ---- document and face -----------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """What a face service said: whether document and face are this person's, and its own serial."""

    right: bool
    serial: str
    simulated: bool = False


def same_face(name: str, number: str, document: bytes, face: bytes) -> Face:
    """Ask the city's face service whether document and face are of this person (docs/guides/identity.md).

    Without one a sample city has a stand-in (模拟核验): it compares name and number with the
    population library and takes any two pictures. Raises UserError where there is neither, or
    where the service does not answer.
    """
    if not settings.FACE_URL:
        if sample_city():
            return Face(same_person(name, number), "", simulated=True)
        raise UserError("人像核验服务尚未接入，请到政务服务窗口办理")
    try:
        answer = httpx.post(
            settings.FACE_URL,
            data={"name": name, "number": number},
            files={"document": ("document", document), "face": ("face", face)},
            headers={"Authorization": f"Bearer {settings.FACE_TOKEN}"},
            timeout=15,
            follow_redirects=False,
        )
        answer.raise_for_status()
        told = answer.json()
        return Face(told["matched"] is True, str(told.get("serial") or "")[:60])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as wrong:
        raise UserError("人像核验服务暂时没有应答，请稍后再试或到窗口办理") from wrong


# ---- persons' certificates -------------------------------------------------------------------

AUTHORITY_USE = "identity.authority"
CERTIFICATE_DAYS = 3 * 365


def new_authority(city: str) -> tuple[str, str]:
    """(certificate, sealed key) of the authority that certifies persons' own keys."""
    key = signatures.new_key(signatures.ECDSA)
    root = issuing.new_root(key, issuing.distinguished("个人数字证书签发机构", city))
    return _pem(root), seal(key.pem, AUTHORITY_USE)


def certify(
    root: str, sealed: str, public: str, name: str, serial: str
) -> tuple[str, str, dt.datetime]:
    """(certificate, its serial in hex, end) for a person's key; `serial` tells persons of one name apart."""
    issuer = issuing.Issuer(
        signatures.private_key(unseal(sealed, AUTHORITY_USE)), certificates.load_all(root)[0]
    )
    made = issuing.certify_signer(
        issuer,
        signatures.public_key(public),
        issuing.distinguished(name, "自然人", serial),
        issuing.Places(),
        days=CERTIFICATE_DAYS,
    )
    return _pem(made), f"{made.serial_number:x}", made.not_valid_after_utc


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def public_key_of(spki: bytes) -> signatures.PublicKey:
    """A browser's public key (SubjectPublicKeyInfo, P-256); raises UserError for any other."""
    try:
        found = signatures.public_key(der.pem("PUBLIC KEY", spki))
    except ValueError as wrong:
        raise UserError("浏览器给出的公钥不能使用") from wrong
    if found.algorithm != signatures.ECDSA:
        raise UserError("浏览器给出的公钥不能使用")
    return found


def signed_by(pem: str, root: str, data: bytes, signature: bytes) -> bool:
    """Whether data was signed (r and s, 64 bytes) with the key of a certificate that the root issued
    and that is valid today."""
    (certificate,), (above,) = certificates.load_all(pem), certificates.load_all(root)
    now = dt.datetime.now(dt.UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    key = public_key_of(
        certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return len(signature) == 64 and key.verify_raw(data, signature)


def phone_ok(phone: str) -> bool:
    """Whether a text is a mainland mobile number of 11 digits."""
    return bool(re.fullmatch(r"1[3-9][0-9]{9}", phone))


__all__ = [
    "FACTOR_USE",
    "MAIL_USE",
    "NUMBER_USE",
    "PHONE_USE",
    "BadKey",
    "Face",
    "Headship",
    "asserted_key",
    "certify",
    "heads",
    "heads_today",
    "key_options",
    "mail_ok",
    "new_authority",
    "new_key_options",
    "number_hash",
    "phone_hash",
    "phone_ok",
    "public_key_of",
    "registered_key",
    "same_face",
    "same_household",
    "same_person",
    "sample_city",
    "seal",
    "send_mail",
    "send_text",
    "signed_by",
    "unseal",
]
