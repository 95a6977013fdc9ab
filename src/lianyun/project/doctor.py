"""Doctor: what is installed, reachable and writable, and what to do about what is not."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from lianyun.lake import engines, objects
from lianyun.lake.shelves import LakeError
from lianyun.project import frontend, postgres, schema, supervisor

_EXTENSIONS = (
    "ducklake",
    "postgres_scanner",
    "mysql_scanner",
    "sqlite_scanner",
    "spatial",
    "icu",
    "json",
    "excel",
    "httpfs",
)
_LEAST_GIGABYTES = 2


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` says what to do where it is not well."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    optional: bool = False


def _python() -> Iterator[Finding]:
    found = platform.python_version()
    yield Finding(
        "Python",
        sys.version_info >= (3, 11),
        found,
        "请使用 3.11 以上版本" if sys.version_info < (3, 11) else "",
    )


def _home() -> Iterator[Finding]:
    base = postgres.home()
    try:
        base.mkdir(parents=True, exist_ok=True)
        writable = os.access(base, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    yield Finding(
        "状态目录", writable, str(base), "" if writable else "请改正目录权限或设置 LIANYUN_HOME"
    )
    if writable:
        free = shutil.disk_usage(base).free / 2**30
        enough = free >= _LEAST_GIGABYTES
        yield Finding("磁盘空间", enough, f"剩余 {free:.1f} GB", "" if enough else "请清理磁盘")


def _lake() -> Iterator[Finding]:
    place = os.environ.get("LIANYUN_LAKE") or str(postgres.home() / "lake")
    if "://" in place:
        try:
            yield Finding("数据湖", True, f"{place}（{objects.store().url or 'Amazon S3'}）")
        except objects.StoreError as error:
            yield Finding("数据湖", False, place, str(error))
        return
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
        writable = os.access(place, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    advice = "" if writable else "请改正目录权限或设置 LIANYUN_LAKE"
    yield Finding("数据湖", writable, place, advice)


def _engine() -> Iterator[Finding]:
    url = engines.chosen()
    try:
        engines.check(url)
    except LakeError as error:
        yield Finding("计算引擎", False, url, str(error))
        return
    if not url:
        yield Finding("计算引擎", True, "DuckDB（本机）")
        return
    parts = urlsplit(url)
    with socket.socket() as trial:
        trial.settimeout(3)
        try:
            trial.connect((parts.hostname or "", parts.port or 7077))
            yield Finding("计算引擎", True, url)
        except (OSError, ValueError) as error:
            yield Finding("计算引擎", False, f"{url}：{error}", "请检查集群是否启动、网络是否相通")


def _database() -> Iterator[Finding]:
    external = os.environ.get("LIANYUN_DATABASE_URL")
    if external:
        advice = "请检查 LIANYUN_DATABASE_URL 与网络"
    else:
        advice = f"请查看 {postgres.place().log}"
        try:
            yield Finding("内置 PostgreSQL 程序", True, str(postgres.binaries()))
        except postgres.PostgresError as error:
            yield Finding("内置 PostgreSQL 程序", False, "未找到", str(error))
            return
    try:
        url = postgres.ensure()
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version
        yield Finding("数据库", True, f"PostgreSQL {version // 10000}.{version % 10000}")
        current = schema.recorded(url) == schema.fingerprint()
        yield Finding(
            "数据库结构与行业包",
            current,
            "最新" if current else "需要更新",
            "" if current else "下次 lianyun up 会自动更新",
            optional=True,
        )
    except (postgres.PostgresError, psycopg.Error) as error:
        yield Finding("数据库", False, str(error).splitlines()[0], advice)


def _libraries() -> Iterator[Finding]:
    missing = [
        name for name in _EXTENSIONS if importlib.util.find_spec(f"duckdb_extension_{name}") is None
    ]
    yield Finding(
        "DuckDB 扩展",
        not missing,
        "齐全" if not missing else f"缺少 {'、'.join(missing)}",
        "" if not missing else "请运行 make setup",
    )
    there = frontend.installed()
    yield Finding("前端库", there, str(frontend.folder()), "" if there else "请运行 make setup")


def _port() -> Iterator[Finding]:
    with socket.socket() as trial:
        trial.settimeout(1)
        busy = trial.connect_ex((supervisor.host(), supervisor.port())) == 0
    yield Finding(
        "网站端口",
        True,
        f"{supervisor.port()} {'正在使用' if busy else '空闲'}",
        "若不是联云在使用，请用 LIANYUN_PORT 换一个端口" if busy else "",
    )


def _proxy() -> Iterator[Finding]:
    """Whether callers' addresses are theirs (ui.visitor, ADR 0031): limits and records hang on it."""
    https = os.environ.get("LIANYUN_HTTPS", "") == "1"
    told = [p.strip() for p in os.environ.get("LIANYUN_TRUSTED_PROXIES", "").split(",")]
    named = [p for p in told if p]
    wrong = []
    wide = []
    for text in named:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            wrong.append(text)
            continue
        if network.prefixlen == 0:
            wide.append(text)
    if wrong or wide:
        advice = (
            f"不是 CIDR 网段：{'、'.join(wrong)}"
            if wrong
            else f"{'、'.join(wide)} 等于相信所有人自报的地址，请只写代理的地址"
        )
        yield Finding("受信任的代理", False, "、".join(named), advice)
    elif https and not named:
        yield Finding(
            "受信任的代理",
            False,
            "已启用 HTTPS，没有声明代理",
            "请设置 LIANYUN_TRUSTED_PROXIES（如 127.0.0.1/32）：否则所有来访者都算作代理的地址，"
            "登录、短信、核验的限次由全市共用",
            optional=True,
        )
    else:
        words = "、".join(named) or "无（没有代理，或直接对外）"
        yield Finding("受信任的代理", True, words)


def _ways_out() -> Iterator[Finding]:
    """Whether messages leave the house: without a server mail and texts are simulated (docs/guides/messages.md)."""
    for name, variable, what in (
        ("邮件服务器", "LIANYUN_MAIL_HOST", "通知邮件"),
        ("短信网关", "LIANYUN_TEXT_GATEWAY_URL", "验证码和通知短信"),
    ):
        told = os.environ.get(variable) or ""
        yield Finding(
            name,
            bool(told),
            told or "没有配置",
            "" if told else f"请设置 {variable}：演示城市的{what}只是模拟数据，正式环境发不出去",
            optional=True,
        )


def _for_tests() -> Iterator[Finding]:
    for program, package, what in (
        ("chromium-headless-shell", "chromium-headless-shell", "浏览器测试"),
        ("mariadbd", "mariadb-server", "MariaDB 来源测试"),
        ("java", "openjdk-17-jre-headless", "Spark 集群测试"),
    ):
        where = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        yield Finding(
            what,
            where is not None,
            where or "未安装",
            "" if where else f"只在开发时需要：apt-get install {package}",
            optional=True,
        )


def examine() -> list[Finding]:
    """Look at everything; the database is started if it is the embedded one and not running."""
    looks = (
        *(_python, _home, _database, _lake, _engine, _libraries, _port, _proxy),
        *(_ways_out, _for_tests),
    )
    return [finding for look in looks for finding in look()]
