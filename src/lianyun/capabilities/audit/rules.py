"""Call: one exchange of data (who, under which right, whose data by keyed hash), and how calls are chained."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from lianyun.trust.digests import digest, hexdigest
from lianyun.trust.merkle import leaf_hash, root_of

GENESIS = "0" * 64

COLUMNS = (
    "uid",
    "at",
    "channel",
    "client",
    "by",
    "by_name",
    "department_id",
    "grant_code",
    "resource",
    "purpose",
    "key_hash",
    "others",
    "rows",
    "micros",
    "outcome",
    "operation",
    "version",
    "case_code",
    "request_digest",
    "response_digest",
)
"""The columns of a call in the order in which calls are handed around as plain tuples."""

FIRST_COLUMNS = 15
"""So many columns had a call before exchanges could be proven one by one (links without a root)."""
Row = tuple[Any, ...]
_LATER: Row = ("", 0, "", "", "")

CHANNELS = {
    "api": "数据服务",
    "file": "文件下载",
    "delivery": "批量交换",
    "federated": "联邦查询",
    "open": "数据开放",
    "cascade": "级联",
    "workbench": "工作台查阅",
    "ask": "查询分析",
    "export": "导出",
}
EXCHANGES = frozenset({"api", "file", "delivery", "federated", "cascade"})
"""Ways by which data leave for somebody else: closed while they could not be proven."""
OPERATIONS = {
    "": "查阅",
    "query": "查询",
    "range": "范围查询",
    "verify": "核验",
    "statistics": "统计",
    "file": "文件",
    "feed": "变更推送",
    "federated": "联邦查询",
    "token": "换取令牌",
}
OUTCOMES = {
    "ok": "成功",
    "empty": "无记录",
    "unauthorized": "凭证无效",
    "forbidden": "授权无效",
    "not_found": "服务不存在",
    "bad_request": "请求有误",
    "network": "来源网络不允许",
    "signature": "请求签名无效",
    "unproven": "存证中断",
    "quota": "超出次数",
    "overload": "系统繁忙",
    "failed": "系统错误",
}


def keyed_hash(key: bytes, value: str) -> str:
    """A person's or entity's number as 32 hex digits that nobody can reverse without the key.

    BLAKE2b with a key; case and surrounding blanks do not matter.
    """
    text = value.strip().upper().encode()
    return hashlib.blake2b(text, digest_size=16, key=key).hexdigest()


def derived_key(secret: str, use: str) -> bytes:
    """A 32-byte key for one use, drawn from the installation's secret."""
    return hashlib.blake2b(secret.encode(), digest_size=32, person=use.encode()[:16]).digest()


def whole(row: Sequence[Any]) -> Row:
    """A call with all its columns; one written before the later columns existed gets their defaults."""
    return (*row, *_LATER[len(row) - FIRST_COLUMNS :]) if len(row) < len(COLUMNS) else tuple(row)


def canonical(row: Sequence[Any]) -> bytes:
    """The bytes of a call that are hashed (and journalled): a JSON array, times in UTC."""
    return orjson.dumps(row)


def new_uid(rest: str) -> str:
    """The number of a call made now: 11 hex digits of milliseconds since 1970, and `rest`.

    The time in front finds the record by the index of times; no index on numbers has to be paid for.
    """
    return f"{time.time_ns() // 1_000_000:011x}{rest}"


def time_of(uid: str) -> dt.datetime | None:
    """When a call with this number was made; None for numbers that do not tell."""
    try:
        at = dt.datetime.fromtimestamp(int(uid[:11], 16) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if 2020 <= at.year < 2200 else None


def salt_of(key: bytes, uid: str) -> bytes:
    """The 16 bytes that are put before what is digested for a call, known only with the key.

    A request holds little that is unknown (a citizen number): without salt whoever reads the record
    could try all numbers. The receipt of a call tells its salt to those who may have it.
    """
    return hmac.digest(key, b"lianyun salt " + uid.encode(), "sha256")[:16]


def salted(salt: bytes, content_digest: bytes) -> str:
    """The digest in the record of what has the SHA-256 digest `content_digest`; "" for nothing."""
    return hashlib.sha256(salt + content_digest).hexdigest() if content_digest else ""


def link_hash(before: str, number: int, rows: Iterable[Sequence[Any]]) -> str:
    """The chain value of a link of the first form (no root), after the one with value `before`."""
    lines = sorted(canonical(row[:FIRST_COLUMNS]) for row in rows)
    value = hashlib.sha256(f"{before}:{number}:{len(lines)}".encode())
    for line in lines:
        value.update(line)
        value.update(b"\n")
    return value.hexdigest()


def leaves(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """The leaves of a link's tree: the calls' bytes in the order of their numbers (uid)."""
    return [canonical(row) for row in sorted(rows, key=lambda row: str(row[0]))]


def root(name: str, rows: Iterable[Sequence[Any]]) -> str:
    """The root of a link's tree (RFC 6962, 2.1) under the digest `name`, hex."""
    return root_of(name, [leaf_hash(name, leaf) for leaf in leaves(rows)]).hex()


def link_text(
    name: str, number: int, at: dt.datetime, count: int, before: str, root_: str
) -> bytes:
    """What a link says: its digest is the chain value; the next link names it as `before`."""
    return orjson.dumps(
        {
            "link": number,
            "at": at.astimezone(dt.UTC),
            "count": count,
            "digest": name,
            "root": root_,
            "before": before,
        }
    )


def link_value(name: str, text: bytes) -> str:
    """The chain value of a link with this text (hex)."""
    return hexdigest(name, text)


__all__ = [
    "CHANNELS",
    "COLUMNS",
    "EXCHANGES",
    "FIRST_COLUMNS",
    "GENESIS",
    "OPERATIONS",
    "OUTCOMES",
    "Row",
    "canonical",
    "derived_key",
    "digest",
    "keyed_hash",
    "leaves",
    "link_hash",
    "link_text",
    "link_value",
    "new_uid",
    "root",
    "salt_of",
    "salted",
    "time_of",
    "whole",
]
