"""Fast path: the data services' own small ASGI application, one round trip to PostgreSQL per call.

The grant is asked again in the same statement that looks the row up, so a withdrawal stops the next
call on every worker whatever stands in memory. Each call is written to a journal file before it is
answered and to the chained call records within 200 ms; a worker that dies leaves its journal to the
next one. Where calls can no longer be recorded, none is answered (503).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import hmac
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from django.conf import settings

from lianyun.capabilities.audit.api import Row, append_calls, hash_key, hash_with_key
from lianyun.kernel.element import mask_value

from . import rules

log = logging.getLogger("lianyun.services")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

FLUSH_SECONDS = 0.1
QUEUE_LIMIT = 20_000
LEASE_IDLE_SECONDS = 5.0
CALL_CONNECTIONS = 8
UNKNOWN_SECONDS = 2.0
STRANGERS_SECONDS = 60.0
STRANGERS = 200
"""Calls without a known credential are counted, one record for each source and minute; so many
sources at most have a record of their own, the rest share one."""
STALE_SECONDS = 60.0
CHANNEL = "lianyun_grants"
CHINA = dt.timedelta(hours=8)

_RIGHT = """
SELECT c.id AS client, c.secret_hash, c.former_hash, c.former_until, c.closed_at,
       g.id AS grant_id, g.code, g.state, g.valid_from, g.valid_to, g.terms,
       g.grantee_id, p.name AS grantee, p.kind AS grantee_kind, p.slug AS grantee_slug,
       r.name AS resource, s."table", s.lookups, s.columns
FROM services_client c JOIN kernel_grant g ON g.id = c.grant_id
JOIN kernel_party p ON p.id = g.grantee_id JOIN kernel_resource r ON r.id = g.resource_id
LEFT JOIN services_service s ON s.source_id = r.id
WHERE c.client_id = $1
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""
_IN_FORCE = """
(SELECT FROM kernel_grant g WHERE g.id = $1 AND g.state = 'active'
   AND g.valid_from <= now() AND (g.valid_to IS NULL OR now() < g.valid_to))
"""
_LEASE_ROW = """
INSERT INTO services_usage (grant_id, day, used) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING
"""
_LEASE = """
WITH o AS (SELECT used FROM services_usage WHERE grant_id = $1 AND day = $2 FOR UPDATE)
UPDATE services_usage u SET used = LEAST(o.used + $3, $4) FROM o
WHERE u.grant_id = $1 AND u.day = $2 AND o.used < $4 RETURNING u.used - o.used
"""
_GIVE_BACK = "UPDATE services_usage SET used = used - $3 WHERE grant_id = $1 AND day = $2"


class Refused(Exception):
    """A call that is not answered: status, outcome for the record, title and detail in Chinese."""

    def __init__(self, status: int, outcome: str, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.status, self.outcome, self.title, self.detail = status, outcome, title, detail


@dataclass
class Lease:
    """Calls of a day that this worker may still serve under a grant without asking.

    Kept apart from `Right`: forgetting what a credential allows must not lose calls of its day.
    """

    left: int = 0
    used_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Right:
    """What a credential allows, prepared: statements, masks, limits."""

    client: int
    client_id: str
    grant_id: int
    grant_code: str
    grantee_id: int
    grantee: str
    grantee_ref: str
    resource: str
    hashes: tuple[str, str]
    former_until: dt.datetime | None
    closed: bool
    state: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    purpose: str
    per_day: int
    names: tuple[str, ...]
    masks: tuple[tuple[str, str], ...]
    lookups: list[list[str]]
    statements: list[str]
    scope_values: list[list[str]]
    loaded: float

    def good_secret(self, secret: str) -> bool:
        """Whether the secret is the present one, or the former one within the overlap."""
        given = rules.secret_hash(secret)
        if self.hashes[0] and hmac.compare_digest(given, self.hashes[0]):
            return True
        return bool(
            self.hashes[1]
            and self.former_until
            and dt.datetime.now(dt.UTC) < self.former_until
            and hmac.compare_digest(given, self.hashes[1])
        )

    def why_not(self) -> Refused:
        """The refusal that fits the grant's state."""
        now = dt.datetime.now(dt.UTC)
        if self.state == "revoked":
            title = "授权已撤回，数据服务已停止"
        elif self.state == "suspended":
            title = "授权已暂停，数据服务已停止"
        elif self.valid_to is not None and self.valid_to <= now:
            title = "授权已到期"
        elif self.valid_from > now:
            title = "授权尚未生效"
        else:
            title = "授权无效"
        return Refused(403, "forbidden", title, f"授权编号 {self.grant_code}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(name: str) -> str:
    return ".".join(_quoted(part) for part in name.split("."))


def _statements(
    row: asyncpg.Record, terms: dict[str, Any], types: dict[str, str]
) -> tuple[tuple[str, ...], list[list[str]], list[str], list[list[str]]]:
    """Column names, look-ups, one statement for each, and the values of the row scope."""
    columns = {c["name"]: c for c in orjson.loads(row["columns"] or "[]")}
    names = tuple(f for f in terms.get("fields", ()) if f in columns and f in types)
    lookups = [way for way in orjson.loads(row["lookups"] or "[]") if all(c in types for c in way)]
    scope = {k: [str(v) for v in vs] for k, vs in (terms.get("scope") or {}).items()}
    # A row scope on a column that is not there must narrow to nothing, never to everything.
    limits = [
        f"{_quoted(c)}::text = ANY(${{n{i}}}::text[])" if c in types else "false"
        for i, c in enumerate(scope)
    ]
    out = []
    for way in lookups:
        hidden = [
            c
            for c, spec in columns.items()
            if spec.get("check") == "citizen_number" and c in types and [c] != way
        ]
        chosen = ", ".join(_quoted(c) for c in (*names, *hidden))
        tests = []
        for at, c in enumerate(way, start=2):
            text = types[c] in ("text", "character varying")
            tests.append(f"{_quoted(c)} = ${at}" + ("" if text else f"::text::{types[c]}"))
        at = 2 + len(way)
        for i, (c, limit) in enumerate(zip(scope, limits, strict=True)):
            tests.append(limit.replace(f"${{n{i}}}", f"${at}"))
            at += c in types
        inner = (
            f"SELECT true AS _there{', ' + chosen if chosen else ''} FROM {_table(row['table'])}"
        )
        out.append(
            f"SELECT t.* FROM {_IN_FORCE} ok LEFT JOIN LATERAL ({inner} "
            f"WHERE {' AND '.join(tests)} LIMIT {rules.MAXIMUM_ROWS + 1}) t ON true"
        )
    return names, lookups, out, [v for c, v in scope.items() if c in types]


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


class Plane:
    """One worker's state: pool, cache of rights, queue of calls, and the tasks that keep them."""

    def __init__(self) -> None:
        self.ready = False
        self.starting = asyncio.Lock()
        self.pool: Any = None
        # Connections held for calls: taking one is a pop, where the pool's own way costs as much
        # as the look-up. None stands for one that was lost and must be made again.
        self.idle: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        self.rights: dict[str, Right] = {}
        self.leases: dict[tuple[int, dt.date], Lease] = {}
        self.unknown: dict[str, float] = {}
        self.strangers: dict[str, tuple[int, str]] = {}
        self.strangers_since = time.monotonic()
        self.listening = False
        self.key = hash_key()
        self.folder = Path(settings.HOME) / "calls"
        self.worker = secrets.token_hex(6)
        self.number = 0
        self.queue: list[Row] = []
        self.pending: list[tuple[list[Row], Journal]] = []
        self.held = 0
        self.journal: Journal | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.flushing = asyncio.Lock()
        self.retry = False

    async def start(self) -> None:
        """Open the pool, take in what dead workers left, begin to listen and to flush."""
        async with self.starting:
            if self.ready:
                return

            async def nothing(_: Any) -> None:
                """Connections carry no state from call to call, so giving one back costs no trip."""

            self.pool = await asyncpg.create_pool(
                settings.DATABASE_URL,
                min_size=2,
                max_size=CALL_CONNECTIONS + 3,
                max_inactive_connection_lifetime=0,
                reset=nothing,
                timeout=10,
                server_settings={"application_name": "lianyun data"},
            )
            for _ in range(CALL_CONNECTIONS):
                self.idle.put_nowait(None)
            await self.recover()
            self.tasks = [asyncio.create_task(self.listen()), asyncio.create_task(self.keep())]
            self.ready = True

    async def stop(self) -> None:
        """Write what is still queued, give back leases, close."""
        if not self.ready:
            return
        self.ready = False
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.give_back(0)
        self.tell_strangers()
        await self.flush()
        self.pool.terminate()

    # ---- rights --------------------------------------------------------------------------

    async def listen(self) -> None:
        """Hear of changed grants and credentials; while deaf, nothing in memory is trusted."""
        while True:
            try:
                connection = await asyncpg.connect(settings.DATABASE_URL, timeout=10)
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(CHANNEL, self.heard)
                self.rights.clear()
                self.unknown.clear()
                self.listening = True
                await lost.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                log.warning("cannot listen for withdrawn grants, trying again")
            self.listening = False
            self.rights.clear()
            await asyncio.sleep(0.5)

    def heard(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        """A grant (its row's id) or everything (`*`) has changed."""
        self.unknown.clear()
        gone = [k for k, r in self.rights.items() if payload in ("*", str(r.grant_id))]
        for key in gone:
            self.rights.pop(key, None)

    async def right(self, client_id: str) -> Right | None:
        """What a credential allows; from memory while it is fresh."""
        now = time.monotonic()
        found = self.rights.get(client_id)
        if found is not None and self.listening and now - found.loaded < STALE_SECONDS:
            return found
        if self.unknown.get(client_id, 0) > now:
            return None
        row = await self.pool.fetchrow(_RIGHT, client_id)
        if row is None:
            if len(self.unknown) > 10_000:
                self.unknown.clear()
            self.unknown[client_id] = now + UNKNOWN_SECONDS
            return None
        terms = orjson.loads(row["terms"] or "{}")
        types: dict[str, str] = {}
        if row["table"]:
            types = {
                r["attname"]: r["type"]
                for r in await self.pool.fetch(_COLUMNS, _table(row["table"]))
            }
        names, lookups, statements, scope = _statements(row, terms, types)
        masks = terms.get("masks") or {}
        right = Right(
            client=row["client"],
            client_id=client_id,
            grant_id=row["grant_id"],
            grant_code=row["code"],
            grantee_id=row["grantee_id"],
            grantee=row["grantee"],
            grantee_ref=f"{row['grantee_kind']}:{row['grantee_slug'] or row['grantee_id']}",
            resource=row["resource"],
            hashes=(row["secret_hash"], row["former_hash"]),
            former_until=row["former_until"],
            closed=row["closed_at"] is not None,
            state=row["state"],
            valid_from=row["valid_from"],
            valid_to=row["valid_to"],
            purpose=str(terms.get("purpose", ""))[:300],
            per_day=int(terms.get("calls_per_day") or 0),
            names=names,
            masks=tuple((n, masks[n]) for n in names if masks.get(n, "none") != "none"),
            lookups=lookups,
            statements=statements,
            scope_values=scope,
            loaded=now,
        )
        self.rights[client_id] = right
        return right

    # ---- quota ---------------------------------------------------------------------------

    async def take(self, right: Right) -> None:
        """Use one call of the day; workers lease them in blocks of one hundredth of the quota."""
        if not right.per_day:
            return
        day = (dt.datetime.now(dt.UTC) + CHINA).date()
        lease = self.leases.get((right.grant_id, day))
        if lease is None:
            lease = self.leases.setdefault((right.grant_id, day), Lease())
        if not lease.left:
            async with lease.lock:
                if not lease.left:
                    block = max(1, min(200, right.per_day // 100))
                    got = await self.pool.fetchval(
                        _LEASE, right.grant_id, day, block, right.per_day
                    )
                    if got is None:
                        await self.pool.execute(_LEASE_ROW, right.grant_id, day)
                        got = await self.pool.fetchval(
                            _LEASE, right.grant_id, day, block, right.per_day
                        )
                    if not got:
                        raise Refused(
                            429, "quota", "今日调用次数已用完", f"授权每日限 {right.per_day} 次"
                        )
                    lease.left += got
        lease.left -= 1
        lease.used_at = time.monotonic()

    async def give_back(self, idle: float) -> None:
        """Return leased calls that lay idle for so many seconds; forget leases of other days."""
        now = time.monotonic()
        today = (dt.datetime.now(dt.UTC) + CHINA).date()
        for (grant, day), lease in list(self.leases.items()):
            if lease.left and now - lease.used_at >= idle:
                left, lease.left = lease.left, 0
                try:
                    await self.pool.execute(_GIVE_BACK, grant, day, left)
                except BaseException:
                    lease.left += left
                    raise
            elif not lease.left and day != today and not lease.lock.locked():
                self.leases.pop((grant, day), None)

    # ---- records -------------------------------------------------------------------------

    def note(
        self,
        started: float,
        right: Right,
        purpose: str,
        key_hash: str,
        others: list[str] | None,
        rows: int,
        outcome: str,
    ) -> str:
        """Put a call on record: into the journal at once, into the database soon; returns its number."""
        self.number += 1
        uid = f"{self.worker}{self.number:x}"
        row: Row = (
            uid,
            dt.datetime.now(dt.UTC),
            "api",
            right.client_id,
            right.grantee_ref,
            right.grantee,
            right.grantee_id,
            right.grant_code,
            right.resource,
            purpose,
            key_hash,
            others,
            rows,
            int((time.perf_counter() - started) * 1_000_000),
            outcome,
        )
        if self.journal is None:
            self.journal = Journal(self.folder)
        self.journal.write(row)
        self.queue.append(row)
        self.held += 1
        return uid

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
            self.keep_row(
                "system:stranger",
                f"未知来源 {source}"[:120],
                client=client_id,
                purpose=f"凭证无效的调用 {count} 次（一分钟内）",
            )

    def keep_row(self, by: str, by_name: str, *, client: str, purpose: str) -> None:
        """A record of a refusal that belongs to no credential of ours."""
        self.number += 1
        row: Row = (
            f"{self.worker}{self.number:x}",
            dt.datetime.now(dt.UTC),
            "api",
            client,
            by,
            by_name,
            None,
            "",
            "",
            purpose,
            "",
            None,
            0,
            0,
            "unauthorized",
        )
        if self.journal is None:
            self.journal = Journal(self.folder)
        self.journal.write(row)
        self.queue.append(row)
        self.held += 1

    async def flush(self) -> None:
        """Write queued calls to the chain; what cannot be written stays queued and in its journal."""
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

    async def keep(self) -> None:
        """Flush ten times a second; return idle leases."""
        beat = 0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            beat += 1
            try:
                if self.strangers and time.monotonic() - self.strangers_since >= STRANGERS_SECONDS:
                    self.tell_strangers()
                await self.flush()
                if beat % 50 == 0:
                    await self.give_back(LEASE_IDLE_SECONDS)
                if beat % 600 == 0:
                    await self.recover()
            except Exception:
                log.exception("call records wait to be written (%d)", self.held)
                await asyncio.sleep(0.5)

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

    # ---- calls ---------------------------------------------------------------------------

    async def answer(self, scope: Scope) -> tuple[int, bytes, str]:
        """One call: status, body and its number in the record."""
        started = time.perf_counter()
        if self.held >= QUEUE_LIMIT:
            raise Refused(503, "overload", "系统繁忙，请稍后再试", "调用记录暂时无法写入")
        source = (scope.get("client") or ("未知",))[0]
        try:
            token, purpose = _headers(scope["headers"])
            client_id, secret = rules.split_token(token)
        except (Refused, rules.BadCall) as wrong:
            self.meet_stranger(source, "")
            if isinstance(wrong, Refused):
                raise
            raise Refused(401, "unauthorized", str(wrong)) from wrong
        right = await self.right(client_id)
        if right is None:
            self.meet_stranger(source, client_id)
            raise Refused(401, "unauthorized", "凭证无效")
        purpose = purpose or right.purpose
        key_hash = ""
        try:
            if right.closed or not right.good_secret(secret):
                raise Refused(401, "unauthorized", "凭证无效或已更换")
            if scope["method"] not in ("GET", "HEAD"):
                raise Refused(405, "bad_request", "数据服务只接受 GET 请求")
            try:
                resource, key = rules.split_path(_raw_path(scope))
                if resource != right.resource:
                    raise Refused(
                        403, "forbidden", "该凭证不能用于此数据", f"凭证对应 {right.resource}"
                    )
                params = rules.split_query(scope.get("query_string", b""))
                if not right.lookups:
                    raise Refused(404, "not_found", "数据服务尚未开通")
                which, values = rules.chosen_lookup(right.lookups, key, params)
            except rules.BadCall as wrong:
                raise Refused(400, "bad_request", str(wrong)) from wrong
            key_hash = hash_with_key(
                self.key, values[0] if len(values) == 1 else "\x1f".join(values)
            )
            await self.take(right)
            found = await self.fetch(right, which, values)
        except Refused as refused:
            self.note(started, right, purpose, key_hash, None, 0, refused.outcome)
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            self.note(started, right, purpose, key_hash, None, 0, "failed")
            raise
        return self.shape(started, right, purpose, key_hash, key, found)

    async def ask(self, statement: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        """Run a statement on one of the connections held for calls."""
        idle = self.idle
        connection = idle.get_nowait() if not idle.empty() else await idle.get()
        try:
            if connection is None:
                connection = await self.pool.acquire()
            found: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return found
        finally:
            if connection is not None and connection.is_closed():
                # The server went away: the next call makes the connection anew.
                await self.pool.release(connection)
                connection = None
            idle.put_nowait(connection)

    async def fetch(self, right: Right, which: int, values: Sequence[str]) -> list[asyncpg.Record]:
        """The rows, or a refusal where the grant is no longer in force or the value is no value."""
        arguments = (right.grant_id, *values, *right.scope_values)
        try:
            try:
                found = await self.ask(right.statements[which], arguments)
            except asyncpg.InvalidCachedStatementError:
                # The table was published anew with other columns while the statement was cached.
                found = await self.ask(right.statements[which], arguments)
        except asyncpg.DataError as wrong:
            raise Refused(400, "bad_request", "查询参数的值不合要求") from wrong
        if not found:
            self.rights.pop(right.client_id, None)
            fresh = await self.right(right.client_id)
            if fresh is None or fresh.closed:
                raise Refused(401, "unauthorized", "凭证无效或已更换")
            raise fresh.why_not()
        return found

    def shape(
        self,
        started: float,
        right: Right,
        purpose: str,
        key_hash: str,
        key: str | None,
        found: list[asyncpg.Record],
    ) -> tuple[int, bytes, str]:
        """Masked rows as JSON, with the call on record."""
        if found[0][0] is None:
            uid = self.note(started, right, purpose, key_hash, None, 0, "empty")
            if key is not None:
                return 404, _problem(404, "查无此记录", "", uid), uid
            return 200, orjson.dumps({"resource": right.resource, "count": 0, "rows": []}), uid
        more = len(found) > rules.MAXIMUM_ROWS
        names, width = right.names, len(right.names) + 1
        rows: list[dict[str, Any]] = []
        others: list[str] | None = None
        for record in found[: rules.MAXIMUM_ROWS]:
            row = dict(zip(names, record[1:width], strict=True))
            for name, mask in right.masks:
                row[name] = mask_value(mask, row[name])
            rows.append(row)
            for number in record[width:]:
                if number:
                    hashed = hash_with_key(self.key, number)
                    others = others or []
                    if hashed != key_hash and hashed not in others:
                        others.append(hashed)
        body: dict[str, Any] = {"resource": right.resource, "count": len(rows), "rows": rows}
        if more:
            body["more"] = True
        raw = orjson.dumps(body, default=str)
        uid = self.note(started, right, purpose, key_hash, others, len(rows), "ok")
        return 200, raw, uid


def _raw_path(scope: Scope) -> bytes:
    """The address as it was sent, so that what was encoded can be told from what was not."""
    raw = scope.get("raw_path")
    if raw is None:
        raise rules.BadCall("地址有误")
    return bytes(raw).split(b"?", 1)[0]


def _headers(headers: Any) -> tuple[str, str]:
    """Authorization and purpose; a second one of either is refused, whatever it says."""
    token: bytes | None = None
    purpose: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            if token is not None:
                raise Refused(400, "bad_request", "请求头 Authorization 重复")
            token = value
        elif name == b"x-purpose":
            if purpose is not None:
                raise Refused(400, "bad_request", "请求头 X-Purpose 重复")
            purpose = value
    if token is None:
        raise Refused(
            401, "unauthorized", "缺少凭证", "请在请求头 Authorization 中给出 Bearer 凭证号.密钥"
        )
    said = ""
    if purpose:
        try:
            said = rules.decoded(purpose[:900], "请求头 X-Purpose")
        except rules.BadCall as wrong:
            raise Refused(400, "bad_request", str(wrong)) from wrong
    return token.decode("latin-1"), said


def _problem(status: int, title: str, detail: str, uid: str = "") -> bytes:
    body = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if uid:
        body["instance"] = uid
    return orjson.dumps(body)


_JSON = (b"content-type", b"application/json; charset=utf-8")
_PROBLEM = (b"content-type", b"application/problem+json; charset=utf-8")
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")

_planes: dict[int, Plane] = {}


async def _plane() -> Plane:
    """The plane of this event loop, started at its first call."""
    loop = id(asyncio.get_running_loop())
    plane = _planes.get(loop)
    if plane is None:
        plane = _planes.setdefault(loop, Plane())
    if not plane.ready:
        await plane.start()
    return plane


async def startup() -> None:
    """Make this worker ready (also done by its first call)."""
    await _plane()


async def shutdown() -> None:
    """Write what is queued and close; whoever runs the server calls it when a worker ends."""
    plane = _planes.pop(id(asyncio.get_running_loop()), None)
    if plane is not None:
        await plane.stop()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of `/api/data/*`."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] != "http":
        return
    extra: list[tuple[bytes, bytes]] = []
    kind = _PROBLEM
    try:
        plane = await _plane()
        status, body, uid = await plane.answer(scope)
        extra.append((b"x-call", uid.encode()))
        if status == 200:
            kind = _JSON
    except Refused as refused:
        status, body = refused.status, _problem(refused.status, refused.title, refused.detail)
        if status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="lianyun"'))
        elif status == 405:
            extra.append((b"allow", b"GET"))
        elif status in (429, 503):
            extra.append((b"retry-after", b"60" if status == 429 else b"1"))
    except Exception:
        log.exception("a call failed")
        status, body = 503, _problem(503, "系统繁忙，请稍后再试", "")
        extra.append((b"retry-after", b"1"))
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [kind, length, _NO_STORE, _NO_SNIFF, *extra],
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await startup()
            except Exception:
                # The first call tries again: pages need not wait for data services.
                log.exception("data services cannot start yet")
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return


__all__ = ["app", "shutdown", "startup"]
