"""MariaDB: a server of one's own for trials and tests (apt: mariadb-server); never the product's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql


def program(name: str) -> str | None:
    """Where a server program is; ordinary users' paths leave out the folders that hold it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


@dataclass(frozen=True)
class MariaDB:
    """A MariaDB of the test's own: its socket (root without a password), port and general log."""

    path: Path
    port: int
    log: Path

    def connect(self, **more: Any) -> Any:
        """A connection as root, which must be committed."""
        return pymysql.connect(unix_socket=str(self.path), user="root", charset="utf8mb4", **more)


@contextlib.contextmanager
def mariadb(home: Path, *options: str) -> Iterator[MariaDB]:
    """A MariaDB server (apt: mariadb-server) with its data in `home`, on loopback, for a while.

    `options` of the server stand after the ones set here and so win.
    """
    path = Path("/tmp") / f"lianyun-mariadb-{os.getpid()}-{home.stat().st_ino}.sock"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = ["--user=root"] if os.getuid() == 0 else []
    common = ["--no-defaults", f"--datadir={home}/data", *user]
    subprocess.run(
        [
            *(str(program("mariadb-install-db")), *common),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        capture_output=True,
    )
    made = MariaDB(path, port, home / "general.log")
    running = subprocess.Popen(
        [
            *(str(program("mariadbd")), *common, f"--socket={path}", f"--port={port}"),
            *("--bind-address=127.0.0.1", f"--pid-file={home}/pid"),
            *("--innodb-buffer-pool-size=32M", "--general-log=1"),
            f"--general-log-file={made.log}",
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                made.connect().close()
                break
            except pymysql.Error:
                time.sleep(0.05)
        yield made
    finally:
        running.terminate()
        running.wait(20)
        path.unlink(missing_ok=True)
