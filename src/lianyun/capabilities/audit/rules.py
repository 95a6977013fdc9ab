"""Call: one reading of data (who, under which right, whose data by keyed hash), and how calls are chained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

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
)
"""The columns of a call in the order in which calls are handed around as plain tuples."""

Row = tuple[Any, ...]

CHANNELS = {"api": "数据服务", "workbench": "工作台查阅", "ask": "查询分析", "export": "导出"}
OUTCOMES = {
    "ok": "成功",
    "empty": "无记录",
    "unauthorized": "凭证无效",
    "forbidden": "授权无效",
    "not_found": "服务不存在",
    "bad_request": "请求有误",
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


def canonical(row: Sequence[Any]) -> bytes:
    """The bytes of a call that enter the chain (and the journal): JSON, times in UTC."""
    return orjson.dumps(row)


def link_hash(before: str, number: int, rows: Iterable[Sequence[Any]]) -> str:
    """The chain value of a batch of calls after the batch with the value `before` (SHA-256, hex)."""
    lines = sorted(canonical(row) for row in rows)
    digest = hashlib.sha256(f"{before}:{number}:{len(lines)}".encode())
    for line in lines:
        digest.update(line)
        digest.update(b"\n")
    return digest.hexdigest()
