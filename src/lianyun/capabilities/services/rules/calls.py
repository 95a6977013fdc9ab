"""Address: what a call may look like, taken apart; anything ambiguous is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

MAXIMUM_ROWS = 100
"""Most rows that one call gives."""

_RESOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VERB = re.compile(r"[a-z]{1,20}")
_VERSION = re.compile(rb"v([1-9][0-9]{0,2})")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}(?:\.(?:from|to))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadCall(ValueError):
    """A call that is malformed; the message (Chinese) goes to the caller."""


def decoded(text: bytes, what: str, most: int = 200) -> str:
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
    if len(out) > most:
        raise BadCall(f"{what}过长")
    return out


@dataclass(frozen=True, slots=True)
class Address:
    """What an address names: the data, the word after the colon, the version (0 where none), the key."""

    resource: str
    verb: str = ""
    version: int = 0
    key: str | None = None


def split_path(raw: bytes) -> Address:
    """The parts of `/api/data[/v2]/{resource}[:verb][/{key}]`; raises BadCall."""
    parts = raw.split(b"/")
    if parts[:3] != [b"", b"api", b"data"] or len(parts) not in (4, 5, 6):
        raise BadCall("地址应为 /api/data/数据标识 或 /api/data/数据标识/关键字")
    parts = parts[3:]
    version = 0
    if found := _VERSION.fullmatch(parts[0]):
        version = int(found[1])
        parts = parts[1:]
    if len(parts) not in (1, 2):
        raise BadCall("地址应为 /api/data/数据标识 或 /api/data/数据标识/关键字")
    name, _, verb = parts[0].decode("latin-1").partition(":")
    if not _RESOURCE.fullmatch(name) or (_ and not _VERB.fullmatch(verb)):
        raise BadCall("数据标识有误")
    if len(parts) == 1 or parts[1] == b"":
        return Address(name, verb, version)
    key = decoded(parts[1], "关键字")
    if verb or "/" in key or "\\" in key or "%" in key or key in (".", ".."):
        raise BadCall("关键字含有不允许的字符")
    return Address(name, verb, version, key)


def version_of(address: Address, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The version that a call names in its address or its header `API-Version`; 0 where in neither.

    Raises BadCall where the two say different things.
    """
    said = [v for n, v in headers if n == b"api-version"]
    if not said:
        return address.version
    found = re.fullmatch(rb"v?([1-9][0-9]{0,2})", said[0])
    if len(said) > 1 or found is None:
        raise BadCall("请求头 API-Version 有误")
    version = int(found[1])
    if address.version and address.version != version:
        raise BadCall("地址与请求头 API-Version 的版本不一致")
    return version


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
        most = 1000 if name == "cursor" else 200
        out[name] = decoded(value.replace(b"+", b" "), f"查询参数 {name}", most).strip()
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


@dataclass(slots=True)
class Asked:
    """A query taken apart: which look-up (its number, or none), its values, bounds, page size, cursor."""

    lookup: int | None
    values: list[str]
    bounds: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    limit: int = MAXIMUM_ROWS
    cursor: str = ""


def asked_rows(
    lookups: Sequence[Sequence[str]],
    ranges: Sequence[str],
    key: str | None,
    params: Mapping[str, str],
) -> Asked:
    """What a query means: a look-up, bounds on ordered columns, or both, and which page; raises BadCall."""
    left = dict(params)
    limit = left.pop("limit", "")
    if limit and not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAXIMUM_ROWS):
        raise BadCall(f"limit 应为 1 至 {MAXIMUM_ROWS} 的整数")
    cursor = left.pop("cursor", "")
    bounds: dict[str, tuple[str | None, str | None]] = {}
    for name in [n for n in left if "." in n]:
        column, _, end = name.partition(".")
        if column not in ranges:
            raise BadCall(f"不能按 {column} 的范围查询")
        low, high = bounds.get(column, (None, None))
        bounds[column] = (left.pop(name), high) if end == "from" else (low, left.pop(name))
    if key is None and not left and bounds:
        which, values = None, list[str]()
    else:
        which, values = chosen_lookup(lookups, key, left)
        if key is not None and (bounds or cursor or limit):
            raise BadCall("地址中已有关键字时不能再带查询参数")
    return Asked(which, values, bounds, int(limit or MAXIMUM_ROWS), cursor)
