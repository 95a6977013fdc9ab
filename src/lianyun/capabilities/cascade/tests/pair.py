"""Pair: two real nodes of the product on this machine, with a link between them that can be cut.

Each node has its own database, lake, state folder and web server process. What officers and the
worker do at a node is done in that node's own Python process (`Side.do`), never in the test's.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lianyun.project.testing import create_database, drop_database, installed_database

_HAND = r"""
import json, sys, traceback
import django
django.setup()
from django.db import transaction
from lianyun.project import worker
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.models import Batch, Case, Event, Grant, Party, Resource, WorkItem
from lianyun.kernel.party import department
from lianyun.capabilities.cascade import actions, queries, rules
from lianyun.capabilities.cascade.actions import exchange, requests, transfers
from lianyun.capabilities.cascade.actions.transfers import receiving, sending
from lianyun.capabilities.cascade.adapters import rows as row_files
from lianyun.capabilities.cascade.models import *
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.sharing import api as sharing
def officer(slug):
    return Actor(None, department(slug), (), {}, True)
def link():
    return Link.objects.select_related("own_key", "party").get()
out = sys.stdout
sys.stdout = sys.stderr
print("ready", file=out, flush=True)
for line in sys.stdin:
    told = json.loads(line)
    space = dict(globals(), given=told["given"], answer=None)
    try:
        exec(told["code"], space)
        print(json.dumps({"answer": space["answer"]}, default=str), file=out, flush=True)
    except BaseException as error:
        print(json.dumps({"error": traceback.format_exc(), "text": str(error)}), file=out, flush=True)
"""


class Trouble(AssertionError):
    """What was done at a node raised; `text` is the message alone."""

    def __init__(self, trace: str, text: str) -> None:
        super().__init__(trace)
        self.text = text


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def wait_until(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


class Wire:
    """A way to a port that can be cut, or cut after so many bytes towards it."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.whole = True
        self.limit: int | None = None
        self.passed = 0
        self.cut_happened = threading.Event()
        self.hold: threading.Event | None = None
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            if not self.whole:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.settimeout(None)
                self._open.add(one)
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, onward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                if onward and self.limit is not None:
                    room = self.limit - self.passed
                    self.passed += len(data)
                    if len(data) > room:
                        target.sendall(data[: max(room, 0)])
                        self.cut_happened.set()
                        if self.hold is not None:
                            self.hold.wait(30)
                        break
                target.sendall(data)
        for one in (source, target):
            self._open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut(self) -> None:
        """Nothing goes through any more, what is on its way is lost."""
        self.whole = False
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """All goes through again."""
        self.whole, self.limit, self.hold, self.passed = True, None, None, 0
        self.cut_happened.clear()

    def close(self) -> None:
        """The end."""
        self.cut()
        self.server.close()


class Side:
    """One node: its surroundings, its web server, and a hand that acts in it."""

    def __init__(self, root: Path, code: str) -> None:
        self.code = code
        self.home = root / code
        self.home.mkdir(parents=True)
        mark = secrets.token_hex(4)
        self.databases = [f"node_{code}_{mark}", f"lake_{code}_{mark}"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LIANYUN_")}
        self.environment = {
            **kept,
            "LIANYUN_TESTING": "1",
            "LIANYUN_ACCESS_POLICY": "demonstration",
            "LIANYUN_CASCADE_HOSTS": "127.0.0.1",
            "LIANYUN_HOME": str(self.home),
            "LIANYUN_LAKE": str(self.home / "lake"),
            "LIANYUN_DATABASE_URL": create_database(self.databases[0], installed_database()),
            "LIANYUN_LAKE_CATALOGUE": create_database(self.databases[1]),
            "DJANGO_SETTINGS_MODULE": "lianyun.project.settings",
        }
        self.port = free_port()
        self.wire = Wire(self.port)
        self.web: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self.log = (self.home / "web.log").open("ab")
        self.hand = self.new_hand()
        self.start_web()

    def new_hand(self) -> subprocess.Popen[str]:
        """A Python process of this node that does as it is told."""
        return subprocess.Popen(
            [sys.executable, "-c", _HAND],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.home / "hand.log").open("a"),
            text=True,
        )

    def start_web(self) -> None:
        """Start the web server."""
        self.web = subprocess.Popen(
            [
                *(sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"),
                *(f"--port={self.port}", "--workers=1", "--no-ws", "--log-level=warning"),
                "lianyun.project.asgi:app",
            ],
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def start_worker(self) -> None:
        """Start the real worker, for stories in which nobody says when jobs run."""
        self.worker = subprocess.Popen(
            [sys.executable, "-m", "lianyun.project.cli", "worker"],
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def healthy(self) -> bool:
        """Whether the web server answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/login/", timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill_web(self) -> None:
        """kill -9 of the web server and all its workers."""
        assert self.web is not None
        os.killpg(self.web.pid, signal.SIGKILL)
        self.web.wait(10)

    def ready(self) -> None:
        """Wait until the node can be used."""
        assert self.hand.stdout is not None
        assert self.hand.stdout.readline().strip() == "ready", (self.home / "hand.log").read_text()
        wait_until(self.healthy)

    def do(self, code: str, given: Any = None) -> Any:
        """Run code at this node; returns what it left in `answer`."""
        assert self.hand.stdin is not None
        assert self.hand.stdout is not None
        self.hand.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self.hand.stdin.flush()
        told = json.loads(self.hand.stdout.readline())
        if "error" in told:
            raise Trouble(told["error"], told["text"])
        return told["answer"]

    def work(self) -> None:
        """Run every waiting job, as the worker would."""
        self.do("worker.drain()")

    def close(self) -> None:
        """End the processes and drop the databases."""
        if self.hand.poll() is None:
            self.hand.kill()
        self.hand.wait(10)
        for process in (self.web, self.worker):
            if process is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self.wire.close()
        self.log.close()
        for name in self.databases:
            drop_database(name)


class Pair:
    """A city and one of its districts."""

    def __init__(self, root: Path) -> None:
        self.upper = Side(root, "320700")
        self.lower = Side(root, "320707")

    def both(self) -> tuple[Side, Side]:
        """The two."""
        return self.upper, self.lower

    def settle(self, rounds: int = 4) -> None:
        """Let both nodes do what waits, until it has come across and back."""
        for _ in range(rounds):
            self.lower.work()
            self.upper.work()

    def talk(self) -> str:
        """One conversation begun by the lower node; "" or what went wrong."""
        return str(self.lower.do("answer = actions.converse('320700', force=True)"))

    def close(self) -> None:
        """The end of both."""
        self.upper.close()
        self.lower.close()
