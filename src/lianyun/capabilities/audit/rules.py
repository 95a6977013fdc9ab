"""Call: one exchange of data (who, under which right, whose data by keyed hash), and how calls are chained."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator, Sequence
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
    "hall": "办事核验（经本人同意）",
    "ask": "查询分析",
    "export": "导出",
    "relay": "部门系统办理",
}
EXCHANGES = frozenset({"api", "file", "delivery", "federated", "cascade", "relay"})
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
    "receipt": "取回执",
    "handover": "转办",
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
FAILURES = frozenset({"failed", "overload", "unproven"})
"""Outcomes that are the platform's or the source's fault, not the caller's."""


def keyed_hash(key: bytes, value: str) -> str:
    """A person's or entity's number as 32 hex digits that nobody can reverse without the key.

    BLAKE2b with a key; case and surrounding blanks do not matter.
    """
    return next(keyed_hashes(key, (value,)))


def keyed_hashes(key: bytes, values: Iterable[str]) -> Iterator[str]:
    """The keyed hash of each; the key is taken in once for all of them."""
    begun = hashlib.blake2b(digest_size=16, key=key)
    for value in values:
        hashed = begun.copy()
        hashed.update(value.strip().upper().encode())
        yield hashed.hexdigest()


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


# ---- seals -------------------------------------------------------------------------------


def seal_root(name: str, link_values: Sequence[str]) -> str:
    """The root of the tree over links, each leaf a link's chain value (hex)."""
    return root_of(name, seal_leaves(name, link_values)).hex()


def seal_leaves(name: str, link_values: Sequence[str]) -> list[bytes]:
    """The hashes of the leaves of a seal's tree."""
    return [leaf_hash(name, bytes.fromhex(value)) for value in link_values]


def seal_statement(
    name: str,
    *,
    number: int,
    at: dt.datetime,
    links: tuple[int, int],
    calls: int,
    root: str,
    before: str,
    events: tuple[Any, ...],
    stamp_roots: Sequence[str],
) -> bytes:
    """What is signed, one line of JSON.

    `before` is the value of the seal before; `events` the number and value of the last sealed
    event of the ledger; `stamp_roots` the SHA-256 thumbprints of the roots that the time stamp may
    lead to: who trusts the signing key need trust nothing else.
    """
    return orjson.dumps(
        {
            "seal": number,
            "at": at.astimezone(dt.UTC),
            "links": links,
            "calls": calls,
            "digest": name,
            "root": root,
            "before": before,
            "events": events,
            "stamp_roots": list(stamp_roots),
        }
    )


def seal_note(statement: bytes, signatures: Iterable[tuple[str, str, bytes]]) -> str:
    """The statement and one line for each signature: algorithm, key, signature (base64 of DER)."""
    lines = [f"{name} {kid} {base64.b64encode(made).decode()}" for name, kid, made in signatures]
    return "\n".join([statement.decode(), *lines, ""])


def statement_of(note: str) -> dict[str, Any]:
    """The statement of a note; raises ValueError."""
    found: dict[str, Any] = orjson.loads(note.partition("\n")[0])
    return found


def signatures_of(note: str) -> list[tuple[str, str, bytes]]:
    """Algorithm, key and signature of each line of a note; raises ValueError."""
    statement, *lines, end = note.split("\n")
    if end or not lines:
        raise ValueError("a note ends with signatures and a line's end")
    out = []
    for line in lines:
        name, kid, made = line.split(" ")
        out.append((name, kid, base64.b64decode(made, validate=True)))
    if seal_note(statement.encode(), out) != note:
        raise ValueError("not as it was written")
    return out


def seal_value(name: str, note: str, token: bytes) -> str:
    """The value of a seal that the next one names: the digest of note and token (hex)."""
    return hexdigest(name, note.encode() + token)


def seal_failure(wrong: Exception) -> str:
    """Why a seal failed, for officers."""
    kind = type(wrong).__name__
    if kind in ("VaultError", "BadKey"):
        return "签名密钥无法打开，请检查状态目录中的密钥文件 vault.key"
    if kind == "OSError" or isinstance(wrong, OSError):
        return f"签名密钥文件无法读取（{kind}）"
    return str(wrong)[:300]


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
    "keyed_hashes",
    "leaves",
    "link_hash",
    "link_text",
    "link_value",
    "new_uid",
    "root",
    "salt_of",
    "salted",
    "seal_failure",
    "seal_leaves",
    "seal_note",
    "seal_root",
    "seal_statement",
    "seal_value",
    "signatures_of",
    "statement_of",
    "time_of",
    "whole",
]
