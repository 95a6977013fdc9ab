"""Supervisor: `lianyun up`: database, web and worker kept running together until told to end.

A child that dies is started again, whatever killed it. Each child leads a process group of its
own; the groups are written down, so that what a kill -9 of the supervisor orphans is ended by
the next start. The children also ask the kernel to be told when the supervisor dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from lianyun.project import postgres, schema

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_QUICK = 10.0
_LONGEST_PAUSE = 30.0

Say = Callable[[str], None]


class UpError(RuntimeError):
    """`lianyun up` cannot begin; the message says why and what to do."""


def port() -> int:
    """The web port: ``LIANYUN_PORT``, by default 8000."""
    return int(os.environ.get("LIANYUN_PORT") or 8000)


def host() -> str:
    """The address to listen on: ``LIANYUN_HOST``, by default this machine only."""
    return os.environ.get("LIANYUN_HOST") or "127.0.0.1"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Child:
    """One supervised program in a process group of its own, its output in a log file."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.pause = 0.0
        self.restarts = 0

    def start(self) -> None:
        """Start the program; call from the main thread, whose end the child is told of."""
        parent = os.getpid()

        def prepare() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(1)

        self.log.parent.mkdir(parents=True, exist_ok=True)
        mode = "wb" if self.log.exists() and self.log.stat().st_size > 16 * 2**20 else "ab"
        with self.log.open(mode) as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=prepare,
                start_new_session=True,
            )
        self.began = time.monotonic()

    def died(self) -> bool:
        """Whether the program has ended since it was started."""
        return self.process is not None and self.process.poll() is not None

    def end_group(self, number: signal.Signals) -> None:
        """Send a signal to the program and all that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def again(self) -> None:
        """Clear up what is left of a dead program and start it, more slowly each time it
        dies young."""
        self.end_group(signal.SIGKILL)
        lived = time.monotonic() - self.began
        self.pause = min(max(self.pause * 2, 0.25), _LONGEST_PAUSE) if lived < _QUICK else 0.0
        self.restarts += 1
        self.process = None

    def stop(self, seconds: float) -> None:
        """Ask the program to end, then make it."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.end_group(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)


def _members(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Supervisor:
    """Keeps the product's processes; `run` returns when it was told to end."""

    def __init__(
        self,
        base: Path | None = None,
        *,
        say: Say = _print,
        when_ready: Callable[[], None] | None = None,
    ) -> None:
        self.base = (base or postgres.home()).resolve()
        self.say = say
        self.when_ready = when_ready
        self.external = bool(os.environ.get("LIANYUN_DATABASE_URL"))
        self.database = postgres.Server(self.base)
        self.ending = False
        self.lock: IO[str] | None = None
        self.address = f"http://{host()}:{port()}/"
        logs = self.base / "logs"
        workers = os.environ.get("LIANYUN_WEB_WORKERS") or str(min(2, os.cpu_count() or 1))
        self.children = [
            Child(
                "web",
                [
                    sys.executable,
                    "-m",
                    "granian",
                    "--interface=asgi",
                    f"--host={host()}",
                    f"--port={port()}",
                    f"--workers={workers}",
                    "--respawn-failed-workers",
                    "--workers-kill-timeout=5",
                    "--no-ws",
                    "--log-level=warning",
                    "lianyun.project.asgi:app",
                ],
                logs / "web.log",
            ),
            Child(
                "worker",
                [sys.executable, "-m", "lianyun.project.cli", "worker"],
                logs / "worker.log",
            ),
        ]

    # -- before the start --

    def _claim(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        handle = (self.base / "up.lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise UpError(
                f"联云已在运行（进程 {handle.read().strip() or '?'}，状态目录 {self.base}）。"
                " Lianyun is already running in this folder."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self.lock = handle

    def _write_groups(self) -> None:
        groups = []
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(psutil.Error):
                    created = psutil.Process(child.process.pid).create_time()
                    groups.append({"group": child.process.pid, "created": created})
        draft = self.base / "up.json.draft"
        draft.write_text(json.dumps(groups))
        draft.replace(self.base / "up.json")

    def _end_orphans(self) -> None:
        """End the groups of an earlier supervisor that did not end them itself."""
        try:
            groups = json.loads((self.base / "up.json").read_text())
        except (OSError, ValueError):
            return
        for entry in groups:
            group = int(entry["group"])
            with contextlib.suppress(psutil.Error):
                leader = psutil.Process(group)
                if abs(leader.create_time() - float(entry["created"])) > 1:
                    # The number belongs to somebody else now; no group of ours is left.
                    continue
            left = _members(group)
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.terminate()
            _, alive = psutil.wait_procs(left, timeout=3)
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(alive, timeout=3)
        (self.base / "up.json").unlink(missing_ok=True)

    def _port_is_free(self) -> None:
        end = time.monotonic() + 3
        while True:
            family = socket.AF_INET6 if ":" in host() else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind((host(), port()))
                    return
                except OSError as error:
                    if time.monotonic() > end:
                        raise UpError(
                            f"端口 {port()} 已被占用或不可用（{error.strerror}）。"
                            "请结束占用它的程序，或用 LIANYUN_PORT 换一个端口。"
                            f" Port {port()} on {host()} is in use."
                        ) from error
            time.sleep(0.2)

    # -- life --

    def _told_to_end(self, number: int, frame: FrameType | None) -> None:
        self.ending = True

    def _start_database(self) -> None:
        if self.external:
            return
        postgres.hold(self.base)
        self.database.start(dies_with_parent=True)

    def _database_died(self) -> bool:
        if self.external:
            return False
        if self.database.process is not None:
            return self.database.process.poll() is not None
        return self.database.pid() is None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _healed(self) -> None:
        """One look at everything that should run; starts what does not."""
        if self._database_died():
            self.say("数据库已退出，正在重新启动……")
            self.database.process = None
            try:
                self._start_database()
                self.say("数据库已恢复。")
            except postgres.PostgresError as error:
                self.say(str(error))
                time.sleep(1)
        changed = False
        for child in self.children:
            if child.died():
                code = child.process.returncode if child.process else 0
                child.again()
                self.say(f"{child.name} 已退出（{code}），正在重新启动（第 {child.restarts} 次）……")
            if child.process is None and time.monotonic() - child.began >= child.pause:
                child.start()
                changed = True
        if changed:
            self._write_groups()

    def run(self) -> int:
        """Start everything, keep it, end it on SIGTERM or SIGINT; returns the exit code.

        Raises UpError or PostgresError when it cannot begin. Call from the main thread.
        """
        self._claim()
        before = {
            number: signal.signal(number, self._told_to_end)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        began = time.monotonic()
        told = False
        try:
            self._end_orphans()
            self._port_is_free()
            self._start_database()
            schema.prepare(self.say)
            while not self.ending:
                self._healed()
                if not told and self._ready():
                    told = True
                    self.say(
                        f"联云已启动：{self.address}（用时 {time.monotonic() - began:.1f} 秒）"
                    )
                    if self.when_ready is not None:
                        self.when_ready()
                time.sleep(0.2)
            self.say("正在停止……")
            return 0
        finally:
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.terminate()
        for child in self.children:
            child.stop(15)
        (self.base / "up.json").unlink(missing_ok=True)
        if not self.external:
            postgres.release(self.base, stop=False)
            self.database.stop()
        if self.lock is not None:
            self.lock.close()
