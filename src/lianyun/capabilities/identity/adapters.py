"""Adapters: the vault for numbers, the city's libraries, security keys, the telephone gateway."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from django.conf import settings
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

from . import rules

NUMBER_USE, PHONE_USE, FACTOR_USE = "identity.number", "identity.phone", "identity.factor"


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


def represents(name: str, credit_code: str) -> str:
    """The entity's name where the legal-entity library has this person as its representative, or ''."""
    found = _golden("legal_entity", credit_code, "核对法定代表人")
    if not found or not rules.same_name(name, str(found.get("法定代表人") or "")):
        return ""
    return str(found.get("单位名称") or "")


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


def phone_ok(phone: str) -> bool:
    """Whether a text is a mainland mobile number of 11 digits."""
    return bool(re.fullmatch(r"1[3-9][0-9]{9}", phone))


__all__ = [
    "FACTOR_USE",
    "NUMBER_USE",
    "PHONE_USE",
    "BadKey",
    "asserted_key",
    "key_options",
    "new_key_options",
    "number_hash",
    "phone_hash",
    "phone_ok",
    "registered_key",
    "represents",
    "same_household",
    "same_person",
    "sample_city",
    "seal",
    "send_text",
    "unseal",
]
