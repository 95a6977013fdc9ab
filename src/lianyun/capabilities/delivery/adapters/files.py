"""Files as a receiver: numbered parcels in a folder or behind SFTP, whole or not at all, `.done` last."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import posixpath
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import duckdb
import openpyxl
from django.conf import settings

from lianyun.lake.portion import Taken
from lianyun.lake.shelves import literal, quote

from .. import rules
from ..rules import Parcel, Receipt, ReceiverError, Stand
from . import hosts, pump

if TYPE_CHECKING:
    import paramiko  # half a second that a process without SFTP does not need

BOM = b"\xef\xbb\xbf"
OPERATION = "_op"
"""The first column of every parcel: `upsert`, or `delete` with nothing but the key."""


# ---- writing one file ----------------------------------------------------------------------


class Counted:
    """A file that is written, counted and digested at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size, self._digest = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write a piece."""
        self.file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        """SHA-256 of what was written, hex."""
        return self._digest.hexdigest()


def write_csv(taken: Taken, sql: str, path: Path, still: Callable[[], None]) -> Receipt:
    """A statement's rows as CSV in UTF-8 with a byte order mark, so that Excel reads Chinese."""
    with path.open("wb") as raw:
        out = Counted(raw)
        out.write(BOM)
        form = "FORMAT csv, HEADER true, NULLSTR ''"
        with pump.piped(taken, sql, form) as descriptor:
            for piece in pump.chunks(descriptor, still):
                out.write(piece)
        raw.flush()
        os.fsync(raw.fileno())
    return Receipt(out.size, out.digest)


def write_parquet(taken: Taken, sql: str, path: Path, still: Callable[[], None]) -> Receipt:
    """A statement's rows as Parquet (zstd)."""
    still()
    taken.con.execute(f"COPY ({sql}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    still()
    return digest_of(path)


def write_xlsx(
    taken: Taken,
    sql: str,
    path: Path,
    titles: list[str],
    still: Callable[[], None],
    tell: Callable[[int], None],
) -> Receipt:
    """A statement's rows as one worksheet, text that looks like a formula kept as text."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("数据")
    sheet.append([_cell(t) for t in titles])
    done = 0
    for batch in taken.batches(sql, 5_000):
        still()
        for row in batch.to_pylist():
            sheet.append([_cell(v) for v in row.values()])
        done += batch.num_rows
        tell(done)
    book.save(path)
    return digest_of(path)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = "".join(c for c in value if c >= " " or c in "\t\n\r")[:32_767]
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    if isinstance(value, int) and abs(value) > 10**15:
        return str(value)
    return value


def digest_of(path: Path) -> Receipt:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return Receipt(path.stat().st_size, found)


# ---- where files go ------------------------------------------------------------------------


class Store(Protocol):
    """A place that takes files by name; `put` appears at once and whole."""

    def names(self) -> set[str]:
        """The names there are."""

    def read(self, name: str) -> bytes:
        """A small file's content."""

    def put(self, name: str, path: Path) -> None:
        """Bring a file under this name, replacing one that is there."""


class Folder:
    """A folder below the platform's outbox."""

    def __init__(self, place: str) -> None:
        self.path = outbox_path(place)

    def names(self) -> set[str]:
        """See Store."""
        return {p.name for p in self.path.iterdir()}

    def read(self, name: str) -> bytes:
        """See Store."""
        return (self.path / name).read_bytes()

    def put(self, name: str, path: Path) -> None:
        """See Store: written aside, then renamed."""
        aside = self.path / f".{name}.part"
        try:
            shutil.copyfile(path, aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(self.path / name)
        finally:
            aside.unlink(missing_ok=True)


def outbox() -> Path:
    """The folder below which parcels for departments may be put."""
    path = Path(os.environ.get("LIANYUN_OUTBOX") or Path(settings.HOME) / "outbox")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def outbox_path(place: str) -> Path:
    """The folder of this name, made if it is not there; raises ReceiverError where it lies outside."""
    base = outbox()
    path = (base / place).resolve()
    if (
        not place.strip()
        or Path(place).is_absolute()
        or path == base
        or not path.is_relative_to(base)
    ):
        raise ReceiverError(
            "文件夹只能放在平台的发件箱内，请填写相对路径，如 gjj/residents", final=True
        )
    path.mkdir(parents=True, exist_ok=True)
    return path


class SFTP:
    """A folder on a department's SFTP server, whose key is known beforehand."""

    def __init__(self, client: paramiko.SFTPClient, place: str) -> None:
        self.client, self.place = client, place or "."

    def _at(self, name: str) -> str:
        return posixpath.join(self.place, name)

    def names(self) -> set[str]:
        """See Store."""
        return set(self.client.listdir(self.place))

    def read(self, name: str) -> bytes:
        """See Store."""
        with self.client.open(self._at(name), "rb") as file:
            return bytes(file.read())

    def put(self, name: str, path: Path) -> None:
        """See Store: sent aside, its size confirmed, then renamed over what is there."""
        aside = self._at(f".{name}.part")
        self.client.put(str(path), aside, confirm=True)
        try:
            self.client.posix_rename(aside, self._at(name))
        except OSError:
            # servers without OpenSSH's extension do not rename over a file
            with contextlib.suppress(OSError):
                self.client.remove(self._at(name))
            self.client.rename(aside, self._at(name))


def fingerprint(key: paramiko.PKey) -> str:
    """A server key as ssh shows it: SHA256:base64."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@contextlib.contextmanager
def sftp(
    location: str, user: str, password: str, private_key: str, known: str, *, vouched: bool
) -> Iterator[tuple[SFTP, str]]:
    """A connection and the server's fingerprint; raises ReceiverError where it is not `known`.

    Without `known` nothing is sent but the question for the server's key: no password leaves.
    """
    import paramiko

    parts = rules.split_location(location)
    host, port = parts.hostname or "", parts.port or 22
    address = hosts.address_of(host, port, vouched=vouched)
    transport = None
    try:
        transport = paramiko.Transport(socket.create_connection((address, port), timeout=10))
        transport.banner_timeout = transport.auth_timeout = 20
        transport.start_client(timeout=20)
        shown = fingerprint(transport.get_remote_server_key())
        if shown != known:
            if not known:
                raise Unknown(shown)
            raise ReceiverError(
                f"服务器密钥与登记的不一致（现为 {shown}），可能被冒充；请与对方核实后重新确认",
                final=True,
            )
        if private_key:
            transport.auth_publickey(user, _private(private_key, password))
        else:
            transport.auth_password(user, password)
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise ReceiverError("SFTP 服务器没有提供文件服务")
        place = parts.path.lstrip("/") if parts.path.startswith("/~/") else parts.path
        yield SFTP(client, place.removeprefix("~/") or "."), shown
    except paramiko.AuthenticationException as error:
        raise ReceiverError("SFTP 的用户名、密码或密钥不正确，请核对后重新填写") from error
    except (paramiko.SSHException, EOFError) as error:
        raise ReceiverError(f"SFTP 连接失败：{str(error)[:200]}", away=True) from error
    except TimeoutError as error:
        raise ReceiverError("连接 SFTP 服务器超时，请检查网络和防火墙", away=True) from error
    except OSError as error:
        raise _explained(error) from error
    finally:
        if transport is not None:
            transport.close()


class Unknown(ReceiverError):
    """The server's key has not been confirmed yet; `fingerprint` is what it shows."""

    def __init__(self, shown: str) -> None:
        super().__init__(f"请先与对方核对服务器密钥指纹并确认：{shown}", final=True)
        self.fingerprint = shown


def _private(text: str, password: str) -> paramiko.PKey:
    import io

    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError, IndexError):
            return kind.from_private_key(io.StringIO(text), password or None)
    raise ReceiverError("SSH 私钥无法读取（支持 Ed25519、ECDSA、RSA），或口令不正确", final=True)


def _explained(error: OSError) -> ReceiverError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ReceiverError("磁盘空间不足，文件没有写完，已撤销；请清理后再试", away=True)
    if error.errno == errno.ECONNREFUSED:
        return ReceiverError("SFTP 服务器拒绝连接，请检查端口和服务是否启动", away=True)
    if isinstance(error, PermissionError) or error.errno in (errno.EACCES, errno.EPERM):
        return ReceiverError("没有写入该文件夹的权限，请对方授予")
    if isinstance(error, FileNotFoundError):
        return ReceiverError("对方服务器上没有该文件夹，请先建立")
    return ReceiverError(f"写文件失败：{error.strerror or error}")


# ---- the receiver --------------------------------------------------------------------------


class Files:
    """A receiver that takes numbered parcels; who reads them waits for `.done`."""

    def __init__(
        self, form: str, opened: Callable[[], contextlib.AbstractContextManager[Store]]
    ) -> None:
        self.form, self.opened = form, opened

    def test(self) -> str:
        """Write and read back a small file."""
        with _told(), self.opened() as store, scratch() as folder:
            probe = folder / "probe"
            probe.write_bytes("连接测试".encode())
            store.put("_lianyun_test.txt", probe)
            if store.read("_lianyun_test.txt") != probe.read_bytes():
                raise ReceiverError("写入后读回的内容不一致")
        return "连接成功，可以写入文件"

    def stands(self, subscription: str, number: int) -> Stand | None:
        """The parcel after `number`, if it lies there whole; its readers may take older ones away."""
        with _told(), self.opened() as store:
            for name in store.names():
                if name.endswith(f"_{number + 1:08d}.done"):
                    told = json.loads(store.read(name.removesuffix(".done") + ".manifest.json"))
                    if told["subscription"] == subscription:
                        return Stand(told["upto"], told["shape"], int(told["number"]))
        return None

    def packing(self, taken: Taken) -> contextlib.AbstractContextManager[None]:
        """See Receiver: nothing is made ready."""
        return contextlib.nullcontext()

    def give(
        self,
        taken: Taken,
        parcel: Parcel,
        still: Callable[[], None],
        sent: Callable[[int], None],
        free: Callable[[int], None],
    ) -> Receipt:
        """Write the rows, the manifest and the mark, in this order; each appears whole."""
        free(-1)
        with _told(), scratch() as folder:
            name = f"{parcel.name}.{self.form}"
            written = folder / name
            sql = _marked(taken)
            if self.form == "csv":
                done = write_csv(taken, sql, written, still)
            else:
                done = write_parquet(taken, sql, written, still)
            manifest = folder / "manifest.json"
            manifest.write_text(
                json.dumps(_manifest(taken, parcel, name, done), ensure_ascii=False, indent=1),
                "utf-8",
            )
            mark = folder / "done"
            mark.write_text(digest_of(manifest).digest + "\n", "ascii")
            with self.opened() as store:
                still()
                store.put(name, written)
                still()
                store.put(f"{parcel.name}.manifest.json", manifest)
                store.put(f"{parcel.name}.done", mark)
        return done


def _marked(taken: Taken) -> str:
    """Deletions first, then what is new or changed, each row with its operation."""
    listed = ", ".join(quote(c.name) for c in taken.columns)
    rows = f"SELECT 'upsert' AS {OPERATION}, {listed} FROM ({taken.rows})"
    if not taken.deletes:
        return rows
    gone = ", ".join(
        quote(c.name) if c.key else f"CAST(NULL AS {c.kind}) AS {quote(c.name)}"
        for c in taken.columns
    )
    return f"SELECT 'delete' AS {OPERATION}, {gone} FROM ({taken.gone}) UNION ALL {rows}"


def _manifest(taken: Taken, parcel: Parcel, name: str, done: Receipt) -> dict[str, Any]:
    return {
        "subscription": parcel.subscription,
        "title": parcel.title,
        "table": parcel.table,
        "number": parcel.number,
        "full": taken.full,
        "since": parcel.since,
        "upto": parcel.upto,
        "shape": parcel.shape,
        "key": list(taken.keys),
        "columns": [
            {"name": c.name, "title": parcel.titles.get(c.name, ""), "type": c.kind}
            for c in taken.columns
        ],
        "rows": {"upsert": taken.upserts, "delete": taken.deletes},
        "files": [
            {
                "name": name,
                "rows": taken.upserts + taken.deletes,
                "bytes": done.size,
                "sha256": done.digest,
            }
        ],
    }


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of our own that nobody else may read, gone afterwards."""
    base = Path(settings.HOME) / "delivery"
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = Path(tempfile.mkdtemp(prefix="parcel-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Failures of files as an officer can act on them."""
    try:
        yield
    except OSError as error:
        raise _explained(error) from error
    except duckdb.Error as error:
        raise ReceiverError(pump.explain(error)) from error


def downloads() -> Path:
    """Where finished downloads lie until they expire; only the platform may read it."""
    path = Path(settings.HOME) / "downloads"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
