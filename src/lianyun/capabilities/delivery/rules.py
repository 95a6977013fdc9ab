"""Rules of delivery: kinds of receivers, where they may lie, when to try again, how a parcel is signed."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

PULL, POSTGRESQL, MYSQL, FOLDER, SFTP, WEBHOOK = (
    "pull", "postgresql", "mysql", "folder", "sftp", "webhook",
)  # fmt: skip
KINDS = {
    PULL: "接口拉取",
    POSTGRESQL: "PostgreSQL 数据库",
    MYSQL: "MariaDB / MySQL 数据库",
    FOLDER: "平台文件夹",
    SFTP: "SFTP 文件",
    WEBHOOK: "Webhook 推送",
}
DATABASES = (POSTGRESQL, MYSQL)
FILES = (FOLDER, SFTP)
FORMATS = {"csv": "CSV（UTF-8，带 BOM）", "parquet": "Parquet"}
DOWNLOADS = {"csv": "CSV（UTF-8，带 BOM）", "xlsx": "Excel（XLSX）", "parquet": "Parquet"}
XLSX_ROWS = 1_048_575
"""Most rows of one worksheet below its heading."""
PARTS = 1_000
"""Rows of one POST or of one line-up in a page of a pull."""
PAGE = 10_000
MOST = 200_000
"""Changed rows that are brought together in one parcel; one batch is never cut."""
ATTEMPTS = 8
DAYS_KEPT = 7
"""How long a finished file may be fetched."""

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


class Stopped(Exception):
    """The right ended while a parcel was on its way; nothing more leaves."""


class ReceiverError(Exception):
    """The receiver did not take a parcel; the message (Chinese) says why and what to do.

    `final` means that trying again by itself would be of no use; `away` that nobody was there to
    refuse anything: it is tried until they are back.
    """

    def __init__(self, message: str, *, final: bool = False, away: bool = False) -> None:
        super().__init__(message)
        self.final, self.away = final, away


@dataclass(frozen=True)
class Parcel:
    """What a receiver must know of a delivery: whose, which number, from which position to which."""

    subscription: str
    number: int
    since: str
    upto: str
    shape: str
    table: str
    title: str
    titles: Mapping[str, str]
    part: int = 0
    stood: str = ""
    """Where the receiver says it stands: `since`, or before what was skipped."""

    @property
    def name(self) -> str:
        """The parcel's name in a folder: the table and the running number."""
        return f"{self.table}_{self.number:08d}"

    def idempotency_key(self, part: int = 0) -> str:
        """The same for every attempt at the same part of the same change."""
        told = f"{self.subscription}:{self.since}:{self.upto}:{self.shape}:{part}"
        return hashlib.sha256(told.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Stand:
    """Where a receiver says it stands."""

    position: str
    shape: str
    number: int


@dataclass(frozen=True)
class Receipt:
    """What was handed over: bytes (0 where nobody counts them) and their SHA-256 (hex)."""

    size: int = 0
    digest: str = ""


def pause(attempt: int) -> dt.timedelta:
    """How long to wait after the n-th failure in a row: 30 seconds, doubling, at most an hour."""
    return dt.timedelta(seconds=min(30 * 2 ** max(attempt - 1, 0), 3600))


def table_problem(name: str) -> str:
    """Why a table cannot have this name, or nothing."""
    if not _TABLE.fullmatch(name):
        return "表名只能用英文字母、数字和下划线，以字母或下划线开头，最长 60 位"
    if name.lower().startswith("_lianyun"):
        return "以 _lianyun 开头的表名由平台保留"
    return ""


# ---- where a receiver may lie --------------------------------------------------------------


def split_location(location: str, *, vouched: bool = False) -> SplitResult:
    """A URL taken apart; raises ReceiverError where it names no host or carries a password.

    One that the operator vouches for may name the folder of a socket instead: `?host=/folder`.
    """
    try:
        parts = urlsplit(location.strip())
        _ = parts.port
    except ValueError as error:
        raise ReceiverError("地址不完整，请写成 协议://主机:端口/路径", final=True) from error
    if vouched and not parts.hostname and socket_of(parts):
        return parts
    if not parts.hostname:
        raise ReceiverError("地址中必须写明主机名", final=True)
    if parts.password:
        raise ReceiverError("请不要把密码写在地址里，另填在密码栏", final=True)
    return parts


def inside(one: str, other: str) -> bool:
    """Whether two places of the outbox are the same, or one lies in the other."""
    a, b = (tuple(p for p in posixpath.normpath(x).split("/") if p) for x in (one, other))
    return a[: len(b)] == b or b[: len(a)] == a


def socket_of(parts: SplitResult) -> str:
    """The folder of a local socket that a URL names, or nothing."""
    folder = dict(parse_qsl(parts.query)).get("host", "")
    return folder if folder.startswith("/") else ""


# ---- signing -------------------------------------------------------------------------------


def signature(secret: str, moment: int, key: str, body: bytes) -> str:
    """The value of `X-Lianyun-Signature`: HMAC-SHA-256 over `moment.key.body`, as `t=…,v1=…`."""
    signed = f"{moment}.{key}.".encode() + body
    value = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={moment},v1={value}"


def genuine(secret: str, header: str, key: str, body: bytes, now: int, window: int = 300) -> bool:
    """Whether a receiver should believe a POST: what it must compute, and within five minutes."""
    told = dict(part.partition("=")[::2] for part in header.split(","))
    if not told.get("t", "").isdigit() or abs(now - int(told["t"])) > window:
        return False
    return hmac.compare_digest(signature(secret, int(told["t"]), key, body), header)


# ---- words ---------------------------------------------------------------------------------

STANDINGS = {
    "delivered": ("已送达", "green"),
    "skipped": ("已跳过", "grey"),
    "dead": ("死信", "red"),
    "failed": ("待重试", "amber"),
    "sending": ("传送中", "blue"),
}
"""What became of a delivery, in words and as a tone."""


def lag(behind: int, since: dt.datetime | None, now: dt.datetime) -> tuple[str, str]:
    """How far a receiver is behind, in words and as a tone."""
    if behind == 0:
        return "已是最新", "green"
    if since is None:
        return "尚未接收", "amber"
    days = (now - since).days
    if days >= 1:
        return f"落后 {behind} 批，最近接收在 {days} 天前", "red"
    return f"落后 {behind} 批", "amber"
