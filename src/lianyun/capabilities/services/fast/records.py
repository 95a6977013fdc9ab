"""Record: each call written to a journal file before it is answered, and to the chain soon after.

A worker that dies leaves its journal to the next one. Where calls can no longer be recorded, or have
gone without signature and time stamp for longer than the grace (ADR 0014), none is answered (503).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from lianyun.capabilities.audit.api import (
    GAP,
    Row,
    append_calls,
    hash_key,
    new_uid,
    salt_of,
    salted,
)

from .calls import Call, Refused

QUEUE_LIMIT = 20_000
STRANGERS_SECONDS = 60.0
STRANGERS = 200
"""Calls without a known credential are counted, one record for each source and minute; so many
sources at most have a record of their own, the rest share one."""


class Journal:
    """A file of calls not yet in the database; locked by the process that writes it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(6)}.calls"
        self.handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self.handle, fcntl.LOCK_EX)

    def write(self, row: Row) -> None:
        """Append one call; it survives the death of this process."""
        line = orjson.dumps(row) + b"\n"
        if os.write(self.handle, line) != len(line):
            raise OSError("short write")

    def close(self, *, done: bool) -> None:
        """Close the file; its calls stand in the database when `done`."""
        if done:
            self.path.unlink(missing_ok=True)
        os.close(self.handle)


def asked(call: Call) -> bytes:
    """What was asked, as the record's digest takes it: method, blank, address; then a body's line."""
    line = call.method.encode() + b" " + call.path + (b"?" + call.query if call.query else b"")
    return line + b"\n" + call.body if call.body else line


def _left_behind(folder: Path) -> list[tuple[int, Path]]:
    """Journals of processes that are gone, locked by us now."""
    found = []
    for path in folder.glob("*.calls"):
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        found.append((handle, path))
    return found


def _read_journal(path: Path) -> list[Row]:
    rows: list[Row] = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(orjson.JSONDecodeError, ValueError, IndexError, TypeError):
            values = orjson.loads(line)
            values[1] = dt.datetime.fromisoformat(values[1])
            rows.append(tuple(values))
    return rows


class Records:
    """The records of one worker: what is queued, its journal, and the strangers it has met."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.folder = Path(settings.HOME) / "calls"
        self.worker = secrets.token_hex(6)
        self.number = 0
        self.queue: list[Row] = []
        self.pending: list[tuple[list[Row], Journal]] = []
        self.held = 0
        self.journal: Journal | None = None
        self.strangers: dict[str, tuple[int, str]] = {}
        self.strangers_since = time.monotonic()
        self.flushing = asyncio.Lock()
        self.retry = False
        self.key = hash_key()
        self.unsealed = 0.0

    def new_uid(self) -> str:
        """The number of the next call."""
        self.number += 1
        return new_uid(f"{self.worker}{self.number:x}")

    def ready(self) -> None:
        """Refuse where calls can no longer be recorded."""
        if self.held >= QUEUE_LIMIT:
            raise Refused(503, "overload", "系统繁忙，请稍后再试", "调用记录暂时无法写入")
        if self.unsealed >= settings.PROOF_GRACE_MINUTES * 60:
            raise Refused(
                503,
                "unproven",
                "存证中断，数据交换已暂停",
                "调用记录已有较长时间未能签名或加盖时间戳，恢复后自动重新开放",
            )

    async def look(self) -> None:
        """Ask how long the oldest call has waited for its seal, in seconds."""
        self.unsealed = await self.pool.fetchval(GAP) or 0.0

    def note(self, call: Call, body: bytes) -> None:
        """Put a call on record before `body` is sent: in the journal at once, in the chain soon."""
        right = call.right
        assert right is not None
        salt = salt_of(self.key, call.uid)
        self._keep(
            (
                call.uid,
                dt.datetime.now(dt.UTC),
                "api",
                right.client_id,
                right.grantee_ref,
                right.grantee,
                right.grantee_id,
                right.grant_code,
                right.resource,
                call.purpose[:300],
                call.key_hash,
                call.others,
                call.rows,
                int((time.perf_counter() - call.started) * 1_000_000),
                call.outcome,
                call.operation,
                call.version,
                call.case_code,
                salted(salt, hashlib.sha256(asked(call)).digest()),
                salted(salt, hashlib.sha256(body).digest() if body else b""),
            )
        )

    def _keep(self, row: Row) -> None:
        if self.journal is None:
            self.journal = Journal(self.folder)
        self.journal.write(row)
        self.queue.append(row)
        self.held += 1

    def meet_stranger(self, source: str, client_id: str) -> None:
        """Count a call without a known credential by where it came from."""
        if source not in self.strangers and len(self.strangers) >= STRANGERS:
            source = "其他"
        count, first = self.strangers.get(source, (0, client_id))
        self.strangers[source] = (count + 1, first or client_id)

    def tell_strangers(self) -> None:
        """Put the counted calls on record, one row for each source."""
        met, self.strangers = self.strangers, {}
        self.strangers_since = time.monotonic()
        for source, (count, client_id) in met.items():
            self._keep(
                (
                    self.new_uid(),
                    dt.datetime.now(dt.UTC),
                    "api",
                    client_id,
                    "system:stranger",
                    f"未知来源 {source}"[:120],
                    None,
                    "",
                    "",
                    f"凭证无效的调用 {count} 次（一分钟内）",
                    "",
                    None,
                    0,
                    0,
                    "unauthorized",
                )
            )

    async def flush(self) -> None:
        """Write queued calls to the chain; what cannot be written stays queued and in its journal."""
        if self.strangers and time.monotonic() - self.strangers_since >= STRANGERS_SECONDS:
            self.tell_strangers()
        async with self.flushing:
            if self.queue and self.journal is not None:
                self.pending.append((self.queue, self.journal))
                self.queue, self.journal = [], None
            if not self.pending:
                return
            calls = [row for rows, _ in self.pending for row in rows]
            async with self.pool.acquire() as connection:
                # After a failed try nobody knows whether it was committed.
                again, self.retry = self.retry, True
                await append_calls(connection, calls, again=again)
            self.retry = False
            for _, journal in self.pending:
                journal.close(done=True)
            self.pending = []
            self.held -= len(calls)

    async def recover(self) -> None:
        """Take in the journals of workers that died."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for handle, path in _left_behind(self.folder):
            try:
                rows = _read_journal(path)
                if rows:
                    async with self.pool.acquire() as connection:
                        await append_calls(connection, rows, again=True)
                path.unlink(missing_ok=True)
            finally:
                os.close(handle)


__all__ = ["QUEUE_LIMIT", "STRANGERS", "Journal", "Records"]
