"""Fixtures: a dataset of the police, a grant on it, and real receivers: MariaDB, PostgreSQL, SFTP, HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh
import psycopg
import pymysql
import pytest
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.delivery import rules
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Grant, Party, Resource
from lianyun.lake.check import ItemCheck
from lianyun.lake.land import from_rows
from lianyun.lake.merge import DatasetSpec, Outcome, load
from lianyun.project import testing
from lianyun.project.mariadb import MariaDB

ITEMS = [
    {
        "name": "citizen_number",
        "title": "公民身份号码",
        "element": "citizen_number",
        "required": True,
        "key": True,
    },
    {"name": "name", "title": "姓名", "element": "person_name"},
    {"name": "town", "title": "镇街", "type": "C", "format": "an..20"},
    {"name": "amount", "title": "金额", "type": "N", "format": "n..10,2"},
    {"name": "born", "title": "出生日期", "type": "D", "format": "YYYYMMDD"},
    {"name": "secret", "title": "备注", "type": "C", "format": "an..50"},
]
TITLES = ("citizen_number", "name", "town", "amount", "born", "secret")
SPEC = DatasetSpec(
    "people_d",
    (
        ItemCheck("citizen_number", "citizen_number", format="an..18"),
        ItemCheck("name", "name", format="an..60"),
        ItemCheck("town", "town", format="an..20"),
        ItemCheck("amount", "amount", "N", "n..10,2"),
        ItemCheck("born", "born", "D"),
        ItemCheck("secret", "secret", format="an..50"),
    ),
    ("citizen_number",),
)
FIELDS = ["citizen_number", "name", "amount", "born"]
Row = tuple[str, str, str, str, str, str]
Fill = Callable[..., Outcome]


def person(number: int, *, name: str = "", town: str = "A", amount: str = "1.50") -> Row:
    """An invented person (numbers that begin with 3299 belong to nobody)."""
    return (f"3299{number:014d}", name or f"张{number}", town, amount, "1990-01-02", f"密{number}")


@pytest.fixture
def people(city: None, fresh_lake: Any) -> Resource:
    """A dataset of the police with a key."""
    content = {
        "name": "people_d",
        "title": "测试人员",
        "code": "101001/900007",
        "level": 3,
        "cycle": "每日",
        "items": ITEMS,
    }
    made = catalogue.register_dataset(
        provider=Party.objects.get(slug="ga"), content=content, by=SYSTEM
    )
    made.state = Resource.PUBLISHED
    made.save()
    return made


@pytest.fixture
def fill(people: Resource) -> Fill:
    """Loads people as a batch of the lake."""

    def run(batch: str, rows: list[Row], mode: str = "full") -> Outcome:
        source = from_rows(TITLES, list(enumerate(rows, 2)))
        return load(collection.lake(), SPEC, source, mode, batch, allow_shrink=True)

    return run


@pytest.fixture
def receiver(officer: Callable[..., Actor]) -> Actor:
    """A data officer of the housing fund, who receives."""
    return officer("gjj", "data_officer")


@pytest.fixture
def grant(people: Resource) -> Callable[..., Grant]:
    """Gives the housing fund a right on the dataset."""

    def make(**terms: Any) -> Grant:
        return grants.issue(
            kind="data",
            to=Party.objects.get(slug="gjj"),
            grantor=people.owner,
            resource=people,
            terms={
                "fields": FIELDS,
                "masks": {},
                "scope": {},
                "purpose": "测试",
                "method": "批量交换",
                **terms,
            },
            valid_to=timezone.now() + timezone.timedelta(days=30),
            by=SYSTEM,
        )

    return make


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- receivers -----------------------------------------------------------------------------


@dataclass
class Database:
    """A receiver's database: how to subscribe to it, and its rows as its owner sees them."""

    kind: str
    location: str
    credentials: dict[str, str]
    ask: Callable[[str], list[tuple[Any, ...]]]

    def rows(self, table: str = "people_d") -> list[tuple[Any, ...]]:
        """Name by number."""
        return self.ask(f"SELECT citizen_number, name FROM {table} ORDER BY 1")


@pytest.fixture
def mariadb(mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty MariaDB database whose address the operator allows."""
    monkeypatch.setenv("LIANYUN_RECEIVER_HOSTS", f"127.0.0.1:{mariadb_server.port}")
    with mariadb_server.connect(autocommit=True) as root, root.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS hz CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER IF NOT EXISTS writer@'127.0.0.1' IDENTIFIED BY 'S3cret word'")
        cursor.execute("GRANT ALL ON hz.* TO writer@'127.0.0.1'")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        con = pymysql.connect(
            host="127.0.0.1",
            port=mariadb_server.port,
            user="writer",
            password="S3cret word",
            database="hz",
            charset="utf8mb4",
            autocommit=True,
        )
        with con, con.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    for (name,) in ask("SHOW TABLES"):
        ask(f"DROP TABLE `{name}`")
    return Database(
        rules.MYSQL,
        f"mysql://127.0.0.1:{mariadb_server.port}/hz",
        {"user": "writer", "password": "S3cret word"},
        ask,
    )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[int]:
    """The port of a PostgreSQL that asks for passwords, with an account `writer`."""
    home = Path(tempfile.mkdtemp(prefix="lianyun-receiver-"))
    port, folder = free_port(), testing.postgres.binaries()
    as_user: dict[str, Any] = {}
    if os.getuid() == 0:
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(home, "nobody", "nogroup")
    (home / "pw").write_text("S3cret word")
    (home / "pw").chmod(0o644)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run(
        [folder / "initdb", "-D", home / "data", "-U", "writer", "-A", "scram-sha-256",
         f"--pwfile={home}/pw", "-E", "UTF8", "--locale=C.UTF-8"],
        check=True, capture_output=True, env=environment, **as_user,
    )  # fmt: skip
    running = subprocess.Popen(
        [folder / "postgres", "-D", home / "data", "-p", str(port), "-k", home,
         "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, **as_user,
    )  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(psycopg.Error):
                psycopg.connect(
                    host="127.0.0.1", port=port, user="writer", password="S3cret word",
                    dbname="postgres",
                ).close()  # fmt: skip
                break
            time.sleep(0.1)
        yield port
    finally:
        running.terminate()
        running.wait(20)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgresql(postgres_server: int, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty PostgreSQL database behind a password, whose address the operator allows."""
    monkeypatch.setenv("LIANYUN_RECEIVER_HOSTS", f"127.0.0.1:{postgres_server}")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host="127.0.0.1",
            port=postgres_server,
            user="writer",
            password="S3cret word",
            dbname="postgres",
            autocommit=True,
        ) as con:
            cursor = con.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    ask("DROP SCHEMA public CASCADE")
    ask("CREATE SCHEMA public")
    return Database(
        rules.POSTGRESQL,
        f"postgresql://127.0.0.1:{postgres_server}/postgres",
        {"user": "writer", "password": "S3cret word"},
        ask,
    )


@pytest.fixture(params=["mariadb", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each kind of database in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@dataclass
class Hook:
    """A department's web address: what it was sent, and how it answers."""

    url: str = ""
    port: int = 0
    answers: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refused: int = 0


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A real HTTP server; `answers` are the statuses it gives in turn, then 200."""
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = told.answers.pop(0) if told.answers else 200
            if status < 300:
                told.taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
            else:
                told.refused += 1
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", "http://169.254.169.254/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    told.url = f"http://127.0.0.1:{told.port}/hook"
    monkeypatch.setenv("LIANYUN_RECEIVER_HOSTS", f"127.0.0.1:{told.port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Box:
    """An SFTP server's address, its key's fingerprint and the folder behind it."""

    location: str
    fingerprint: str
    folder: Path


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A real SFTP server (asyncssh) that knows one account."""
    folder = tmp_path / "sftp"
    (folder / "in").mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    ready, ending = threading.Event(), threading.Event()
    told: dict[str, Any] = {}

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("box", "S3cret word")

    async def serve() -> None:
        listener = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(folder)),
        )
        told["port"] = listener.get_port()
        ready.set()
        while not ending.is_set():
            await asyncio.sleep(0.02)
        listener.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    monkeypatch.setenv("LIANYUN_RECEIVER_HOSTS", f"127.0.0.1:{told['port']}")
    yield Box(f"sftp://127.0.0.1:{told['port']}/in", key.get_fingerprint(), folder / "in")
    ending.set()
    thread.join(5)
