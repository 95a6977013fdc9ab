"""MariaDB: a real server on loopback is a source like any other."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from lianyun.capabilities.collection import actions, api
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource

from .test_load import A, B

pytestmark = [
    pytest.mark.mariadb,
    pytest.mark.skipif(not shutil.which("mariadbd"), reason="没有安装 mariadb-server"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a MariaDB of the test's own, with a table of people and a reader."""
    home = tmp_path_factory.mktemp("mariadb")
    socket_file = Path("/tmp") / f"lianyun-mariadb-{os.getpid()}.sock"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = ["--user=root"] if os.getuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={home}/data", *user,
         "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, capture_output=True,
    )  # fmt: skip
    running = subprocess.Popen(
        ["mariadbd", "--no-defaults", f"--datadir={home}/data", f"--socket={socket_file}", *user,
         f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={home}/pid",
         "--innodb-buffer-pool-size=32M"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                con = pymysql.connect(unix_socket=str(socket_file), user="root", charset="utf8mb4")
                break
            except pymysql.Error:
                time.sleep(0.1)
        with con.cursor() as cursor:
            cursor.execute("CREATE DATABASE hz CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'S3cret word'")
            cursor.execute("GRANT SELECT ON hz.* TO reader@'127.0.0.1'")
            cursor.execute(
                "CREATE TABLE hz.people (citizen_number varchar(18), name varchar(50), sex char(1),"
                " birth_date date, amount decimal(10,2), updated datetime)"
            )
            cursor.executemany(
                "INSERT INTO hz.people VALUES (%s, %s, '1', '1990-01-01', %s, %s)",
                [
                    (A, "张三", "12.50", "2026-01-01 08:00:00"),
                    (B, "李𠮷", "-3", "2026-01-02 08:00:00"),
                ],
            )
        con.commit()
        yield port
    finally:
        running.terminate()
        running.wait(20)
        socket_file.unlink(missing_ok=True)


def test_a_mariadb_table_is_collected(
    people: Resource, officer: Actor, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_SOURCE_HOSTS", f"127.0.0.1:{server}")
    told = {
        "dataset": "people",
        "name": "hz",
        "kind": "mysql",
        "location": f"mysql://127.0.0.1:{server}/hz",
        "options": {"table": "people"},
        "mode": "incremental",
        "watermark": "updated",
        "replace": True,
        "by": officer,
    }
    row = api.register_source(**told, credentials={"user": "reader", "password": "wrong"})
    refused = actions.test_source(source=row, by=officer)
    assert not refused["ok"]
    assert "wrong" not in refused["message"]
    row = api.register_source(**told, credentials={"user": "reader", "password": "S3cret word"})
    assert actions.test_source(source=row, by=officer)["ok"]
    first = api.load_source("hz", by=officer)
    assert (first["landed"], first["accepted"], first["rejected"]) == (2, 2, 0)
    again = api.load_source("hz", by=officer)
    assert again["landed"] == again["unchanged"]
