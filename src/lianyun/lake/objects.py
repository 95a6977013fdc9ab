"""Objects: an S3-compatible store as the lake's place, reached by ``LIANYUN_S3_*``.

``LIANYUN_S3_ENDPOINT`` (``http://host:port``; empty is Amazon's), ``LIANYUN_S3_REGION``,
``LIANYUN_S3_PATH_STYLE`` (0 for names in the host), and the keys: ``LIANYUN_S3_ACCESS_KEY`` and
``LIANYUN_S3_SECRET_KEY``, or ``LIANYUN_S3_CREDENTIALS``, a file that only its owner may read with
lines ``access_key=…`` and ``secret_key=…``. Keys never stand in the text of a statement.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

Loader = Callable[[duckdb.DuckDBPyConnection, str], None]
SCHEMES = ("s3://",)


class StoreError(Exception):
    """The store cannot be reached as told; its text is Chinese and names no key."""


@dataclass(frozen=True, repr=False)
class Store:
    """Where the objects are and who we are there; its repr shows no key."""

    endpoint: str
    tls: bool
    region: str
    path_style: bool
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Store({self.endpoint!r}, {self.region!r})"

    @property
    def url(self) -> str:
        """The endpoint as a URL; empty for Amazon's own."""
        return f"http{'s' if self.tls else ''}://{self.endpoint}" if self.endpoint else ""


def is_store(place: str) -> bool:
    """Whether a lake's place is in an object store."""
    return place.startswith(SCHEMES)


def _keys() -> tuple[str, str]:
    file = os.environ.get("LIANYUN_S3_CREDENTIALS")
    if not file:
        return (
            os.environ.get("LIANYUN_S3_ACCESS_KEY", ""),
            os.environ.get("LIANYUN_S3_SECRET_KEY", ""),
        )
    path = Path(file)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StoreError(f"{file} 中有对象存储的密钥，只能由本人读取：请运行 chmod 600 {file}")
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise StoreError(f"读不到对象存储的密钥文件 {file}：{error.strerror}") from error
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and line[:1] != "#")
    found = {name.strip().lower(): value.strip() for name, value in pairs.items()}
    return found.get("access_key", ""), found.get("secret_key", "")


def store() -> Store:
    """The store that the environment describes; StoreError where it is not whole."""
    told = os.environ.get("LIANYUN_S3_ENDPOINT", "").strip()
    parts = urlsplit(told if "://" in told or not told else f"https://{told}")
    if parts.scheme not in ("", "http", "https") or parts.path.strip("/"):
        raise StoreError(f"LIANYUN_S3_ENDPOINT“{told}”应写作 http://主机:端口 或 https://主机:端口")
    access, secret = _keys()
    if not access or not secret:
        raise StoreError(
            "对象存储的密钥没有设置：请设 LIANYUN_S3_ACCESS_KEY 与 LIANYUN_S3_SECRET_KEY，"
            "或用 LIANYUN_S3_CREDENTIALS 指出密钥文件（权限 600）"
        )
    return Store(
        parts.netloc,
        parts.scheme != "http",
        os.environ.get("LIANYUN_S3_REGION", "").strip() or "us-east-1",
        os.environ.get("LIANYUN_S3_PATH_STYLE", "1").strip().lower() not in ("0", "no", "false"),
        access,
        secret,
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def reach(con: duckdb.DuckDBPyConnection, place: str, load: Loader) -> None:
    """Lets a DuckDB read and write under `place`; does nothing for a folder of this machine.

    `load` loads an extension by name.
    """
    if not is_store(place):
        return
    found = store()
    load(con, "httpfs")
    con.execute("SET VARIABLE lianyun_key = ?", [found.access_key])
    con.execute("SET VARIABLE lianyun_secret = ?", [found.secret_key])
    endpoint = f", ENDPOINT {_literal(found.endpoint)}" if found.endpoint else ""
    scope = "s3://" + urlsplit(place).netloc
    try:
        con.execute(
            "CREATE OR REPLACE SECRET lianyun_store (TYPE s3, KEY_ID getvariable('lianyun_key'), "
            f"SECRET getvariable('lianyun_secret'), REGION {_literal(found.region)}{endpoint}, "
            f"URL_STYLE {_literal('path' if found.path_style else 'vhost')}, "
            f"USE_SSL {str(found.tls).lower()}, SCOPE {_literal(scope)})"
        )
    finally:
        con.execute("RESET VARIABLE lianyun_key")
        con.execute("RESET VARIABLE lianyun_secret")
