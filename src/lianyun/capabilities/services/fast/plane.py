"""Plane: one worker's state: connections, rights, leases, records, and the tasks that keep them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import asyncpg
from django.conf import settings

from lianyun.capabilities.audit.api import hash_key

from .. import rules
from .calls import Call, Refused, Reply, Scope, problem
from .connections import Connections
from .credentials import TOKEN_PATH, OAuthRefused, give_token, identify, token_key
from .leases import Leases
from .nonces import Nonces
from .offers import METHODS, chosen
from .receipts import RECEIPTS_PATH, give_receipt
from .records import Records
from .rights import Rights
from .turnstile import Turnstile

log = logging.getLogger("lianyun.services")

FLUSH_SECONDS = 0.1
LEASE_IDLE_SECONDS = 5.0
CALL_CONNECTIONS = 8
SIMULATED = ',"simulated":"模拟数据"}'.encode()


class Plane:
    """One worker of the data services."""

    def __init__(self) -> None:
        self.ready = False
        self.starting = asyncio.Lock()
        self.pool: Any = None
        # Held for calls: taking one is a pop, where the pool's own way costs as much as the look-up.
        self.connections = Connections(CALL_CONNECTIONS)
        self.rights = Rights()
        self.leases = Leases()
        self.records = Records()
        self.nonces = Nonces()
        self.key = hash_key()
        self.token_key = token_key()
        self.turnstile = Turnstile()
        self.tasks: list[asyncio.Task[None]] = []

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
            self.rights.pool = self.leases.pool = self.records.pool = self.pool
            self.connections = Connections(CALL_CONNECTIONS)
            await self.records.recover()
            await self.records.look()
            self.tasks = [
                asyncio.create_task(self.rights.listen()),
                asyncio.create_task(self.keep()),
            ]
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
            await self.leases.give_back(0)
        self.records.tell_strangers()
        await self.records.flush()
        self.pool.terminate()

    async def keep(self) -> None:
        """Flush ten times a second; ask after the seals; return idle leases."""
        beat = 0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            beat += 1
            try:
                await self.records.flush()
                if beat % 10 == 0:
                    await self.records.look()
                if beat % 50 == 0:
                    await self.leases.give_back(LEASE_IDLE_SECONDS)
                if beat % 600 == 0:
                    await self.records.recover()
            except Exception:
                log.exception("call records wait to be written (%d)", self.records.held)
                await asyncio.sleep(0.5)

    async def ask(self, statement: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        """Run a statement on one of the connections held for calls."""
        connection = await self.connections.take()
        try:
            if connection is None:
                connection = await self.pool.acquire()
            try:
                found: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            except asyncpg.InvalidCachedStatementError:
                # The table was published anew with other columns while the statement was cached.
                found = await connection.fetch(statement, *arguments)
            return found
        finally:
            if connection is not None and connection.is_closed():
                # The server went away: the next call makes the connection anew.
                self.connections.give(None)
                await self.pool.release(connection)
            else:
                self.connections.give(connection)

    async def answer(self, scope: Scope, body: bytes = b"") -> tuple[Reply, str]:
        """One call: its reply and its number in the record, where it already stands."""
        records = self.records
        records.ready()
        raw = scope.get("raw_path")
        call = Call(
            uid=records.new_uid(),
            method=scope["method"],
            path=bytes(raw).split(b"?", 1)[0] if raw is not None else b"",
            query=scope.get("query_string", b""),
            headers=scope["headers"],
            body=body,
            source=(scope.get("client") or ("未知",))[0],
        )
        try:
            reply = await self.serve(call)
        except Refused as refused:
            if call.right is not None:
                call.outcome = refused.outcome
                records.note(call, problem(refused.status, refused.title, refused.detail))
                refused.headers = [*refused.headers, (b"x-call", call.uid.encode())]
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            if call.right is not None:
                call.outcome = "failed"
                records.note(call, b"")
            raise
        if call.right is not None:
            records.note(call, reply.body)
        return reply, call.uid

    async def serve(self, call: Call) -> Reply:
        """Who calls, what for, and the answer; raises Refused."""
        if call.path == TOKEN_PATH:
            return await self.token(call)
        if call.path.startswith(RECEIPTS_PATH):
            return await give_receipt(self, call)
        right = await identify(self, call)
        try:
            address = rules.split_path(call.path)
            version = rules.version_of(address, call.headers)
        except rules.BadCall as wrong:
            raise Refused(400, "bad_request", str(wrong)) from wrong
        call.resource, call.key = address.resource, address.key
        if call.resource != right.resource:
            raise Refused(403, "forbidden", "该凭证不能用于此数据", f"凭证对应 {right.resource}")
        kind = address.verb or "query"
        offers = right.offers.get(kind)
        if not offers or (address.verb and rules.VERBS[kind] != address.verb):
            raise Refused(404, "not_found", "数据服务尚未开通")
        if call.method not in (methods := METHODS.get(kind, ("GET", "HEAD"))):
            refused = Refused(405, "bad_request", f"此数据服务只接受 {methods[0]} 请求")
            refused.headers = [(b"allow", ", ".join(methods).encode())]
            raise refused
        offer = call.offer = chosen(offers, version)
        call.version = offer.version
        if offer.answer is None:
            raise Refused(404, "not_found", "数据服务尚未开通")
        try:
            reply = await offer.answer(self, right, call)
        except rules.BadCall as wrong:
            raise Refused(400, "bad_request", str(wrong)) from wrong
        reply.headers += offer.headers
        if right.trial:
            reply.headers.append((b"x-simulated", b"true"))
            reply.body = _marked(reply.body)
        return reply

    async def token(self, call: Call) -> Reply:
        """The token endpoint: its refusals are replies of their own (RFC 6749, 5.2)."""
        try:
            return await give_token(self, call)
        except OAuthRefused as refused:
            call.outcome = refused.outcome
            return refused.reply


def _marked(body: bytes) -> bytes:
    """An answer from the test environment, saying so."""
    return body[:-1] + SIMULATED if body.endswith(b"}") else body


__all__ = ["Plane"]
