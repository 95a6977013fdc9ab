"""Pump: rows from the lake's engine to whoever reads bytes, through a pipe, never all in memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import duckdb
from django.conf import settings

from lianyun.lake.portion import Given, Taken
from lianyun.lake.shelves import quote

CHUNK = 1 << 20


Body = tuple[str, str]
"""A statement and the COPY format in which its rows are wanted."""


class Ahead:
    """Bodies written aside by a thread while the exchange is put on record; nothing leaves yet.

    The files have no name, so that nothing of them is left whatever becomes of the process.
    """

    def __init__(self, taken: Taken, bodies: Sequence[Body]) -> None:
        self._taken, self._wrong = taken, list[BaseException]()
        self._done: dict[Body, threading.Event] = {body: threading.Event() for body in bodies}
        folder = Path(settings.HOME) / "delivery"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files: dict[Body, IO[bytes]] = {}
        for body in bodies:
            self._files[body] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - until close
        self._thread = threading.Thread(target=self._write, name="delivery-ahead", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        try:
            for body, file in self._files.items():
                _copy_out(self._taken, *body, file.fileno())
                self._done[body].set()
        except BaseException as error:
            self._wrong.append(error)
        finally:
            for done in self._done.values():
                done.set()

    def file(self, body: Body) -> int | None:
        """Waits for this body; the descriptor of its file, at its beginning.

        None for a body that nobody asked for ahead; then all others are written, so that the
        engine may be asked for it.
        """
        found = self._files.get(body)
        if found is None:
            self._thread.join()
        else:
            self._done[body].wait()
        if self._wrong:
            raise self._wrong[0]
        if found is None:
            return None
        found.seek(0)
        return found.fileno()

    def wait(self) -> None:
        """Until all is written: the engine is free."""
        self._thread.join()

    def close(self) -> None:
        """End what is still being written; the files are gone."""
        if self._thread.is_alive():
            self._taken.con.interrupt()
            self._thread.join()
        for file in self._files.values():
            file.close()


def _copy_out(taken: Taken, sql: str, form: str, descriptor: int) -> None:
    taken.con.execute(f"COPY ({sql}) TO '/dev/fd/{descriptor}' ({form}, USE_TMP_FILE false)")


@contextlib.contextmanager
def piped(taken: Taken, sql: str, form: str, ahead: Ahead | None = None) -> Iterator[int]:
    """A file descriptor from which the rows of a statement can be read in a COPY format of DuckDB.

    Whoever reads to its end has everything: if the engine fails meanwhile, leaving raises its
    error, so that what was written from the bytes must not be committed before. What was written
    `ahead` is read from there.
    """
    file = ahead.file((sql, form)) if ahead is not None else None
    if file is not None:
        yield file
        return
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):  # a small pipe has both sides wait for each other
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, CHUNK)
    wrong: list[BaseException] = []

    def write() -> None:
        try:
            _copy_out(taken, sql, form, writer)
        except BaseException as error:
            wrong.append(error)
        finally:
            os.close(writer)

    thread = threading.Thread(target=write, name="delivery-pump", daemon=True)
    thread.start()
    done = False
    try:
        yield reader
        done = True
    finally:
        if not done:
            taken.con.interrupt()
        os.close(reader)
        thread.join()
        if done and wrong:
            raise wrong[0]


def chunks(descriptor: int, still: Callable[[], None]) -> Iterator[bytes]:
    """The bytes of a pipe, with a look before each piece at whether any more may leave."""
    while piece := os.read(descriptor, CHUNK):
        still()
        yield piece


def keys(taken: Taken) -> tuple[Given, ...]:
    """The columns that tell the rows apart."""
    return tuple(c for c in taken.columns if c.key)


def texts(columns: tuple[Given, ...]) -> str:
    """The FORCE_QUOTE list of a COPY: every text, so that an empty one is no NULL."""
    listed = ", ".join(quote(c.name) for c in columns if c.kind == "VARCHAR")
    return f", FORCE_QUOTE ({listed})" if listed else ""


def without(column: str, piece: str, instead: str) -> str:
    """SQL of a text with a piece replaced; the rows that do not have it pay for a look only."""
    return (
        f"CASE WHEN contains({column}, {piece}) THEN replace({column}, {piece}, {instead}) "
        f"ELSE {column} END"
    )


def explain(error: duckdb.Error) -> str:
    """What an engine's failure means, in Chinese."""
    text = str(error)
    if "No space left" in text:
        return "平台磁盘空间不足，请联系平台运营"
    return f"读取数据失败：{text[:300]}"
