"""Rules of a data service: what a call may look like, how a secret is kept, what an answer contains."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

MAXIMUM_ROWS = 100
"""Most rows that one call gives."""

_RESOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOKEN = re.compile(r"(lyc_[0-9a-f]{16})\.([A-Za-z0-9_-]{43,86})")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
IDENTITY_CHECKS = ("citizen_number", "credit_code")


class BadCall(ValueError):
    """A call that is malformed; the message (Chinese) goes to the caller."""


@dataclass(frozen=True)
class Field:
    """One column that a resource has: what it is called, of what kind, and how it is masked."""

    name: str
    title: str
    type: str = "C"
    format: str = "an..100"
    mask: str = "none"
    check: str = ""
    element: str = ""
    personal: bool = False
    definition: str = ""
    domain: str = ""


def new_client_id() -> str:
    """An open identifier of a credential."""
    return f"lyc_{secrets.token_hex(8)}"


def new_secret() -> str:
    """A secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """The stored form of a secret: BLAKE2b-256, fast because the secret is long and random."""
    return hashlib.blake2b(secret.encode(), digest_size=32).hexdigest()


def split_token(header: str) -> tuple[str, str]:
    """Client id and secret of an `Authorization` value; raises BadCall."""
    scheme, _, token = header.partition(" ")
    found = _TOKEN.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise BadCall("凭证格式有误，应为 Authorization: Bearer 凭证号.密钥")
    return found[1], found[2]


def decoded(text: bytes, what: str) -> str:
    """A percent-encoded piece of an address as text; raises BadCall on anything ambiguous.

    The piece is decoded once; what still looks encoded, a separator, a control character or bytes
    that are not UTF-8 are refused.
    """
    if re.search(rb"%(?![0-9A-Fa-f]{2})", text):
        raise BadCall(f"{what}的编码有误")
    try:
        out = unquote_to_bytes(text).decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise BadCall(f"{what}不是 UTF-8 编码") from error
    if _CONTROL.search(out):
        raise BadCall(f"{what}含有控制字符")
    if len(out) > 200:
        raise BadCall(f"{what}过长")
    return out


def split_path(raw: bytes) -> tuple[str, str | None]:
    """Resource and key of `/api/data/{resource}` or `/api/data/{resource}/{key}`; raises BadCall."""
    parts = raw.split(b"/")
    if parts[:3] != [b"", b"api", b"data"] or len(parts) not in (4, 5):
        raise BadCall("地址应为 /api/data/数据标识 或 /api/data/数据标识/关键字")
    name = parts[3].decode("latin-1")
    if not _RESOURCE.fullmatch(name):
        raise BadCall("数据标识有误")
    if len(parts) == 4 or parts[4] == b"":
        return name, None
    key = decoded(parts[4], "关键字")
    if "/" in key or "\\" in key or "%" in key or key in (".", ".."):
        raise BadCall("关键字含有不允许的字符")
    return name, key


def split_query(raw: bytes) -> dict[str, str]:
    """Parameters of a query string, each once; raises BadCall on a repeated or malformed one."""
    out: dict[str, str] = {}
    if not raw:
        return out
    if len(raw) > 2000:
        raise BadCall("查询参数过长")
    for pair in raw.split(b"&"):
        name_, sep, value = pair.partition(b"=")
        name = name_.decode("latin-1")
        if not sep or not _NAME.fullmatch(name):
            raise BadCall("查询参数有误")
        if name in out:
            raise BadCall(f"查询参数 {name} 重复")
        out[name] = decoded(value.replace(b"+", b" "), f"查询参数 {name}").strip()
        if not out[name]:
            raise BadCall(f"查询参数 {name} 为空")
    return out


def chosen_lookup(
    lookups: Sequence[Sequence[str]], key: str | None, params: dict[str, str]
) -> tuple[int, list[str]]:
    """Which look-up a call means (its number) and the values in the look-up's order; raises BadCall."""
    if key is not None:
        if params:
            raise BadCall("地址中已有关键字时不能再带查询参数")
        if len(lookups[0]) != 1:
            raise BadCall("该数据由多个数据项共同确定一条记录，请用查询参数逐项给出")
        return 0, [key]
    for number, columns in enumerate(lookups):
        if len(params) == len(columns) and all(c in params for c in columns):
            return number, [params[c] for c in columns]
    ways = "；".join("、".join(columns) for columns in lookups)
    raise BadCall(f"查询参数须为以下之一：{ways}")


def lookups_of(key: Sequence[str], fields: Iterable[Field]) -> list[list[str]]:
    """By what a service may be asked: the key, and every column that holds a person's or entity's number."""
    out = [list(key)] if key else []
    for field in fields:
        if field.check in IDENTITY_CHECKS and [field.name] not in out:
            out.append([field.name])
    return out


def masks_of(fields: Iterable[Field], plain: Iterable[str]) -> dict[str, str]:
    """The mask of every field, except those granted in clear."""
    clear = set(plain)
    return {f.name: f.mask for f in fields if f.mask != "none" and f.name not in clear}


def json_type(field: Field) -> str:
    """The JSON type of a field; decimal numbers are strings, so that no digit is lost."""
    if field.type in "BF":
        return "number"
    if field.type == "I" or (field.type in "NY" and "," not in field.format):
        return "integer"
    return "boolean" if field.type == "L" else "string"


def schema_of(field: Field, mask: str = "") -> dict[str, Any]:
    """The JSON schema of one field as a service gives it."""
    kind = "string" if mask else json_type(field)
    out: dict[str, Any] = {"title": field.title, "type": [kind, "null"]}
    if field.type == "D" and not mask:
        out["format"] = "date"
    if field.type == "T" and not mask:
        out["format"] = "date-time"
    notes = [field.definition, f"表示格式 {field.format}"]
    if field.domain:
        notes.append(f"值域 {field.domain}")
    if mask:
        notes.append("已脱敏")
    out["description"] = "；".join(n for n in notes if n)
    return out


_SAMPLES = {
    "citizen_number": "320700190001010011",
    "credit_code": "913207000000000000",
    "name": "示例",
    "phone": "13800000000",
    "address": "江苏省连云港市示例路1号",
}


def sample_of(field: Field) -> Any:
    """An invented value for an example; it belongs to nobody."""
    for word in (field.check, field.mask):
        if word in _SAMPLES:
            return _SAMPLES[word]
    if field.type == "D":
        return "2020-01-01"
    if field.type == "T":
        return "2020-01-01T08:00:00"
    if field.type == "L":
        return True
    return {"integer": 1, "number": 1.5}.get(json_type(field), "示例")
