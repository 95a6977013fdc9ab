"""Pump: rows from the lake's engine to whoever reads bytes, through a pipe, never all in memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator

import duckdb

from lianyun.lake.portion import Given, Taken
from lianyun.lake.shelves import quote

CHUNK = 1 << 20


@contextlib.contextmanager
def piped(taken: Taken, sql: str, form: str) -> Iterator[int]:
    """A file descriptor from which the rows of a statement can be read in a COPY format of DuckDB.

    Whoever reads to its end has everything: if the engine fails meanwhile, leaving raises its
    error, so that what was written from the bytes must not be committed before.
    """
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):  # a small pipe has both sides wait for each other
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, CHUNK)
    wrong: list[BaseException] = []

    def write() -> None:
        try:
            taken.con.execute(f"COPY ({sql}) TO '/dev/fd/{writer}' ({form}, USE_TMP_FILE false)")
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


def texts(columns: tuple[Given, ...]) -> str:
    """The FORCE_QUOTE list of a COPY: every text, so that an empty one is no NULL."""
    listed = ", ".join(quote(c.name) for c in columns if c.kind == "VARCHAR")
    return f", FORCE_QUOTE ({listed})" if listed else ""


def explain(error: duckdb.Error) -> str:
    """What an engine's failure means, in Chinese."""
    text = str(error)
    if "No space left" in text:
        return "平台磁盘空间不足，请联系平台运营"
    return f"读取数据失败：{text[:300]}"
