"""The embedded server: first start, second start, kill -9, long paths, and its other users."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lianyun.project import postgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[postgres.Server]:
    made = postgres.Server(tmp_path / "home", durable=False)
    made.start(dies_with_parent=True)
    yield made
    made.stop()


def test_data_outlive_a_kill_9_of_the_postmaster(tmp_path: Path) -> None:
    server = postgres.Server(tmp_path / "home")
    server.start(dies_with_parent=True)
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # Nobody has waited for the dead process: it stays a zombie, as after a crash in real life.
    again = postgres.Server(server.base)
    began = time.monotonic()
    again.start()
    try:
        assert time.monotonic() - began < 10
        with psycopg.connect(again.url()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        assert again.pid() not in (None, pid)
    finally:
        again.stop()


def test_a_second_start_is_quick_and_the_first_server_is_shared(server: postgres.Server) -> None:
    other = postgres.Server(server.base, durable=False)
    began = time.monotonic()
    assert other.start() == server.url()
    assert time.monotonic() - began < 1
    assert other.pid() == server.pid()


def test_the_socket_is_the_owners_alone_and_there_is_no_port(server: postgres.Server) -> None:
    assert server.place.socket.stat().st_mode & 0o777 == 0o700
    assert server.place.data.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(server.url()) as connection:
        shown = connection.execute("SHOW listen_addresses").fetchone()
    assert shown == ("",)


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    made = postgres.Server(tmp_path / ("long" * 25) / "home", durable=False)
    made.start(dies_with_parent=True)
    try:
        assert len(str(made.place.socket)) < 80
        with psycopg.connect(made.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        made.stop()


def test_the_last_command_out_stops_the_server(tmp_path: Path) -> None:
    base = tmp_path / "home"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIANYUN_")}
    environment["LIANYUN_HOME"] = str(base)
    command = (
        "import sys, time; from lianyun.project import postgres; postgres.ensure();"
        "print('up', flush=True); time.sleep(float(sys.argv[1]))"
    )

    def run(seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", command, str(seconds)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    first = run(0)
    second = run(3)
    assert first.stdout is not None
    assert second.stdout is not None
    assert first.stdout.readline() == "up\n"
    assert second.stdout.readline() == "up\n"
    assert first.wait(20) == 0
    server = postgres.Server(base)
    assert server.pid() is not None
    assert second.wait(20) == 0
    assert server.pid() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to nobody")
def test_root_without_namespaces_drops_to_nobody(tmp_path: Path) -> None:
    made = postgres.Server(tmp_path / "home", durable=False, namespace=False)
    if not postgres._reachable_by_others(postgres.binaries()):
        with pytest.raises(postgres.PostgresError, match="普通用户"):
            made.start()
        return
    made.start(dies_with_parent=True)
    try:
        assert made.place.data.stat().st_uid != 0
        with psycopg.connect(made.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        made.stop()
