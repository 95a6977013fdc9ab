"""Adapters: the outside of collection: secrets on disk, names in DNS, files, databases, the lake."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import secrets
import shutil
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlunsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection

from lianyun.kernel.access import UserError
from lianyun.kernel.secret import key_file
from lianyun.lake import land, tend
from lianyun.lake.shelves import Lake, LakeError

from . import rules

KEY_FILE = "credentials.key"
RUN_LOCK = 0x6C79_1001


# ---- secrets -----------------------------------------------------------------------------


def _key() -> bytes:
    """The installation's key for credentials: 32 random bytes that only its owner may read."""
    return key_file(Path(settings.HOME) / KEY_FILE, lambda: secrets.token_bytes(32))


def encrypt(values: dict[str, str], owner: str) -> str:
    """Credentials as AES-256-GCM text bound to their owner; "" for none."""
    kept = {k: v for k, v in values.items() if v}
    if not kept:
        return ""
    nonce = secrets.token_bytes(12)
    plain = json.dumps(kept, ensure_ascii=False).encode()
    sealed = AESGCM(_key()).encrypt(nonce, plain, owner.encode())
    return base64.b64encode(nonce + sealed).decode()


def decrypt(text: str, owner: str) -> dict[str, str]:
    """The credentials again; raises UserError where the key is another one or the text was moved."""
    if not text:
        return {}
    raw = base64.b64decode(text)
    try:
        plain = AESGCM(_key()).decrypt(raw[:12], raw[12:], owner.encode())
    except InvalidTag as error:
        raise UserError("来源的凭据无法解密（密钥已更换或凭据被移动），请重新填写密码") from error
    return dict(json.loads(plain))


# ---- where sources may lie ---------------------------------------------------------------


def inboxes() -> tuple[Path, ...]:
    """The folders below which a file source may lie."""
    listed = os.environ.get("LIANYUN_INBOX", "")
    folders = [Path(p) for p in listed.split(os.pathsep) if p] or [Path(settings.HOME) / "inbox"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return tuple(folder.resolve() for folder in folders)


def allowed_hosts() -> tuple[str, ...]:
    """The hosts that the operator lets sources name."""
    return tuple(
        h.strip() for h in os.environ.get("LIANYUN_SOURCE_HOSTS", "").split(",") if h.strip()
    )


def checked_file(location: str, vouched: bool) -> Path:
    """The real path of a file source; raises UserError where it lies outside the inbox."""
    folders = inboxes()
    path = Path(location)
    if not path.is_absolute():
        path = folders[0] / path
    path = path.resolve()
    if not vouched and not rules.below(path, folders):
        raise UserError("文件来源只能放在收件箱文件夹内，请把文件放入收件箱后填写相对路径")
    if not path.is_file():
        raise UserError(f"找不到文件“{location}”，请确认文件已放入收件箱")
    return path


def date_of(path: Path) -> str | None:
    """When a file was last written, as ISO text in UTC; None where it is gone."""
    try:
        return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).isoformat()
    except OSError:
        return None


def file_date(kind: str, location: str, vouched: bool) -> str | None:
    """When the file of a source was last written by its department; None for other sources."""
    return date_of(checked_file(location, vouched)) if kind in rules.FILE_KINDS else None


def checked_host(location: str, vouched: bool) -> None:
    """Raise UserError where the host of a URL may not be a source (see the operator's list)."""
    try:
        parts = rules.split_location(location)
    except ValueError as error:
        raise UserError(f"地址“{location}”不完整，请写成 协议://主机:端口/路径") from error
    if vouched:
        return
    host = parts.hostname or ""
    if not host or "host=" in parts.query or "socket=" in parts.query:
        raise UserError("地址中必须写明主机名")
    if not rules.host_allowed(host, parts.port, allowed_hosts()):
        raise UserError(
            f"主机“{host}”不在允许的来源名单中，请联系平台运营把它加入 LIANYUN_SOURCE_HOSTS"
        )
    try:
        found = {
            str(info[4][0])
            for info in socket.getaddrinfo(host, parts.port, type=socket.SOCK_STREAM)
        }
    except OSError as error:
        raise UserError(f"主机“{host}”解析不到地址，请检查主机名或网络") from error
    for address in found:
        refused = rules.address_refused(address)
        if refused:
            raise UserError(f"主机“{host}”：{refused}")


def _with_secret(location: str, credentials: dict[str, str]) -> str:
    """A URL with the user and password of the credentials put in."""
    parts = rules.split_location(location)
    user = credentials.get("user") or (parts.username or "")
    password = credentials.get("password") or (parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    if user:
        secret = f":{quote(password, safe='')}" if password else ""
        host = f"{quote(user, safe='')}{secret}@{host}"
    return urlunsplit(parts._replace(netloc=host))


def database_url(location: str, credentials: dict[str, str], *, vouched: bool) -> str:
    """A database source's URL with its secret; raises UserError where its host is not allowed."""
    checked_host(location, vouched)
    return _with_secret(location, credentials)


def open_source(
    kind: str,
    location: str,
    options: dict[str, Any],
    credentials: dict[str, str],
    *,
    vouched: bool,
    watermark: str = "",
    since: str | None = None,
) -> land.Source:
    """The lake's reader of a source; raises UserError or LakeError with what is wrong, in Chinese.

    `since` reads only rows whose watermark column is greater (databases; HTTP as `since_param`).
    """
    if kind in rules.FILE_KINDS:
        return land.open_file(checked_file(location, vouched), options.get("sheet") or None)
    if kind == "sqlite":
        return land.from_sqlite(
            checked_file(location, vouched),
            str(options.get("table") or ""),
            watermark=watermark or None,
            since=since,
        )
    checked_host(location, vouched)
    if kind == "postgresql":
        return land.from_postgres(
            _with_secret(location, credentials),
            options.get("table") or None,
            query=(options.get("query") or None) if vouched else None,
            watermark=watermark or None,
            since=since,
        )
    if kind == "mysql":
        return land.from_mysql(
            _with_secret(location, credentials),
            str(options.get("table") or ""),
            watermark=watermark or None,
            since=since,
        )
    if kind == "http":
        params = dict(options.get("params") or {})
        if since is not None and options.get("since_param"):
            params[str(options["since_param"])] = since
        headers = {}
        if credentials.get("token"):
            headers[options.get("token_header") or "Authorization"] = (
                options.get("token_prefix", "Bearer ") + credentials["token"]
            )
        return land.from_http(
            location,
            items=str(options.get("items") or ""),
            page_param=options.get("page_param", "page") or None,
            first_page=int(options.get("first_page", 1)),
            size_param=options.get("size_param") or None,
            size=int(options.get("size", 500)),
            cursor_param=options.get("cursor_param") or None,
            cursor=options.get("cursor") or None,
            params=params,
            headers=headers,
        )
    raise UserError(f"不支持的来源类型“{kind}”")


# ---- uploads -----------------------------------------------------------------------------


def _uploads(owner: str) -> Path:
    return Path(settings.HOME) / "uploads" / owner.replace(":", "_").replace("/", "_")


def keep_upload(file: UploadedFile, owner: str) -> str:
    """Write an uploaded file to the owner's folder; returns its token."""
    token = secrets.token_hex(12)
    name = Path(file.name or "upload").name.replace("\x00", "")[-120:] or "upload"
    folder = _uploads(owner) / token
    folder.mkdir(parents=True, mode=0o700)
    with (folder / name).open("wb") as out:
        for chunk in file.chunks():
            out.write(chunk)
    return token


def upload_path(token: str, owner: str) -> Path:
    """The file behind a token of this owner; raises UserError where there is none."""
    folder = _uploads(owner) / token
    if not token.isalnum() or not folder.is_dir():
        raise UserError("上传的文件已不在，请重新上传")
    return next(folder.iterdir())


def drop_upload(path: Path) -> None:
    """Remove an uploaded file that has been loaded; files from elsewhere stay."""
    root = Path(settings.HOME) / "uploads"
    if path.is_relative_to(root):
        shutil.rmtree(path.parent, ignore_errors=True)


def sweep_uploads(older_than: dt.timedelta, kept: Collection[Path]) -> list[str]:
    """Remove uploads that nobody loaded for so long; `kept` are files that batches still wait for."""
    root = Path(settings.HOME) / "uploads"
    limit = (dt.datetime.now(dt.UTC) - older_than).timestamp()
    gone = []
    for folder in root.glob("*/*"):
        if not folder.is_dir() or any(path.is_relative_to(folder) for path in kept):
            continue
        newest = max(p.stat().st_mtime for p in (folder, *folder.iterdir()))
        if newest < limit:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder.name)
    return gone


def rows_of(path: Path) -> list[dict[str, str | None]]:
    """All readable rows of a small file as column title → text; raises LakeError."""
    opened = land.open_file(path)
    out: list[dict[str, str | None]] = []
    for batch in opened.reader():
        for row in batch.to_pylist():
            if row["_problem"] is not None:
                raise LakeError(f"第 {row['_line']} 行：{row['_problem']}")
            out.append({title: row[f"c{i}"] for i, title in enumerate(opened.columns)})
    return out


# ---- the lake ----------------------------------------------------------------------------


@cache
def _lake_at(dsn: str, folder: str) -> Lake:
    return Lake(dsn, folder)


def lake() -> Lake:
    """The city's lake, as the settings place it."""
    return _lake_at(settings.LAKE_CATALOGUE_URL, settings.LAKE)


def tend_lake() -> tuple[list[str], list[str]]:
    """Tend the lake's tables that call for it and remove files of loads that died.

    Returns the tables done and those left because a load had need of them.
    """
    found = tend.tend(lake())
    lake().orphans(older_than="1 day")
    return found


@contextmanager
def alive(number: int) -> Iterator[bool]:
    """Hold the sign of life of batch `number`; yields False where another process holds it.

    The sign is an advisory lock on a connection of its own: it goes when the process dies.
    """
    holder = connection.get_new_connection({**connection.get_connection_params()})
    try:
        holder.autocommit = True
        row = holder.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", (RUN_LOCK, number % 2_147_483_647)
        ).fetchone()
        yield bool(row and row[0])
    finally:
        holder.close()
