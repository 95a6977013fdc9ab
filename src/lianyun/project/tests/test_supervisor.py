"""`lianyun up` with real processes: it starts, heals whatever is killed, ends cleanly."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.timeout(180)


class Up:
    """One `lianyun up` in a state folder of its own."""

    def __init__(self, base: Path, port: int) -> None:
        self.base = base
        self.port = port
        self.output = base / "up.out"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIANYUN_", "DJANGO_"))}
        self.environment = {**kept, "LIANYUN_HOME": str(base), "LIANYUN_PORT": str(port)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lianyun.project.cli", "up"],
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        return self.process

    def healthy(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.port}/healthz"
            with urllib.request.urlopen(address, timeout=3) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def group(self, index: int) -> int:
        return int(json.loads((self.base / "up.json").read_text())[index]["group"])

    def postmaster(self) -> int:
        return int((self.base / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    def said(self) -> str:
        return self.output.read_text()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    base = Path(tempfile.mkdtemp(prefix="lianyun-up-"))
    running = Up(base, free_port())
    running.start()
    try:
        wait_until(running.healthy, 120)
        yield running
    finally:
        if running.process is not None:
            running.process.terminate()
            running.process.wait(40)
        shutil.rmtree(base, ignore_errors=True)


def test_a_form_passes_the_whole_way(up: Up) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{up.port}", timeout=30) as client:
        page = client.get("/login/")
        assert page.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        answer = client.post(
            "/login/",
            data={"csrfmiddlewaretoken": token[1], "username": "nobody", "password": "wrong-one"},
            headers={"Referer": str(page.url)},
        )
        # Told on a page that the login is wrong: neither an error nor a refusal of the form.
        assert answer.status_code < 403
        assert "密码" in answer.text


def test_the_web_comes_back_after_kill_9(up: Up) -> None:
    leader = up.group(0)
    workers = psutil.Process(leader).children(recursive=True)
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: up.group(0) != leader)
    wait_until(up.healthy)
    assert not any(worker.is_running() and worker.status() != "zombie" for worker in workers)


def test_the_worker_comes_back_after_kill_9(up: Up) -> None:
    leader = up.group(1)
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: up.group(1) != leader)
    assert psutil.pid_exists(up.group(1))
    wait_until(up.healthy)


def test_the_database_comes_back_after_kill_9(up: Up) -> None:
    before = up.postmaster()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: "数据库已恢复" in up.said())
    wait_until(up.healthy)
    assert up.postmaster() != before


def test_a_second_one_in_the_same_folder_says_why_not(up: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lianyun.project.cli", "up"],
        env=up.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "已在运行" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(up: Up, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lianyun.project.cli", "up"],
        env={**up.environment, "LIANYUN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert str(up.port) in done.stderr
    assert "占用" in done.stderr


def test_it_starts_again_after_a_kill_9_of_its_own(up: Up) -> None:
    assert up.process is not None
    web, worker = up.group(0), up.group(1)
    orphans = psutil.Process(web).children(recursive=True)
    up.process.kill()
    # The web's leader too, at once: its children go on answering at the port.
    os.kill(web, signal.SIGKILL)
    up.process.wait(10)
    up.start()
    wait_until(lambda: up.base.joinpath("up.json").exists() and up.group(0) != web)
    wait_until(up.healthy)
    for pid in (web, worker):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
    assert not any(child.is_running() and child.status() != "zombie" for child in orphans)


def test_it_ends_cleanly_on_sigterm(up: Up) -> None:
    assert up.process is not None
    pids = [up.group(0), up.group(1), up.postmaster()]
    up.process.terminate()
    assert up.process.wait(40) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not (up.base / "up.json").exists()
    assert not (up.base / "postgres" / "postmaster.pid").exists()
