"""Address: what a call may look like, taken apart; anything ambiguous is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

MAXIMUM_ROWS = 100
"""Most rows that one call gives."""

_RESOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadCall(ValueError):
    """A call that is malformed; the message (Chinese) goes to the caller."""


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
