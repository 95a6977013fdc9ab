"""A cluster on this machine: Spark's own standalone master and workers on loopback, or a Sail.

For trying, for tests and for the benchmark; a city's cluster is its operators'. What is started
here ends with the `with` block (and with the process that started it).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..shelves import LakeError
from .spark import check

DAEMON = "160m"


def home() -> Path:
    """Where pyspark keeps Spark."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise LakeError("没有安装 pyspark：请运行 make setup-spark")
    return Path(spec.origin).parent


def free_port() -> int:
    """A TCP port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# By a small Python before it and not by `preexec_fn`: a fork of a process with gRPC inside is unsafe.
_TIED = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"
)


def _start(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own; on Linux it ends with this process."""
    if sys.platform == "linux":
        command = [sys.executable, "-c", _TIED, *command]
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


def _await(log: Path, pattern: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if log.exists() and re.search(pattern, log.read_text("utf-8", "replace")):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise LakeError(f"没有启动起来：{log.read_text('utf-8', 'replace')[-1500:]}")


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@contextlib.contextmanager
def standalone(
    workers: int = 2, *, cores: int = 1, memory: str = "640m", seconds: float = 60.0
) -> Iterator[str]:
    """One master and `workers` workers of `cores` cores and `memory` each; gives the master's URL."""
    check("spark://127.0.0.1")
    spark = home()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lianyun-spark-") as folder:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SPARK_")},
            "SPARK_HOME": str(spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": f"{folder}/local",
            "SPARK_WORKER_DIR": f"{folder}/work",
            "SPARK_DAEMON_MEMORY": DAEMON,
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xss512k",
        }
        launcher = str(spark / "bin" / "spark-class")
        started: list[subprocess.Popen[bytes]] = []
        try:
            log = Path(folder) / "master.log"
            master = [launcher, "org.apache.spark.deploy.master.Master", "-h", "127.0.0.1"]
            started.append(
                _start([*master, "-p", str(port), "--webui-port", "0"], log, environment)
            )
            _await(log, "Starting Spark master", started[0], seconds)
            url = f"spark://127.0.0.1:{port}"
            for number in range(workers):
                worker = [launcher, "org.apache.spark.deploy.worker.Worker", "-h", "127.0.0.1"]
                worker += ["-c", str(cores), "-m", memory, "--webui-port", "0", url]
                started.append(_start(worker, Path(folder) / f"worker{number}.log", environment))
            for number in range(workers):
                _await(
                    Path(folder) / f"worker{number}.log",
                    "Successfully registered",
                    started[1 + number],
                    seconds,
                )
            yield url
        finally:
            _end(started)


@contextlib.contextmanager
def sail(*, seconds: float = 60.0) -> Iterator[str]:
    """A Sail server (Spark Connect without Java); gives its URL."""
    if importlib.util.find_spec("pysail") is None:
        raise LakeError("没有安装 pysail：请运行 make setup-spark")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lianyun-sail-") as folder:
        log = Path(folder) / "sail.log"
        command = [sys.executable, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1"]
        process = _start([*command, "--port", str(port)], log, dict(os.environ))
        try:
            deadline = time.monotonic() + seconds
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    text = log.read_text("utf-8", "replace")[-1500:]
                    raise LakeError(f"Sail 没有启动起来：{text}")
                time.sleep(0.1)
            yield f"sc://127.0.0.1:{port}"
        finally:
            _end([process])


def main() -> None:
    """Starts a cluster here and keeps it until interrupted: ``python -m …cluster [sail]``."""
    chosen = sail() if "sail" in sys.argv[1:] else standalone()
    with chosen as url, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"LIANYUN_ENGINE={url}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
