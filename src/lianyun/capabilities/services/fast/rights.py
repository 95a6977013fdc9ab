"""Right: what a credential allows, prepared and kept in memory until somebody changes it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from django.conf import settings

from .. import rules
from .answers import Offer, offers
from .calls import Refused
from .guards import Guard, guard_of

log = logging.getLogger("lianyun.services")

UNKNOWN_SECONDS = 2.0
STALE_SECONDS = 60.0
CHANNEL = "lianyun_grants"

_RIGHT = """
SELECT c.id AS client, c.secret_hash, c.former_hash, c.former_until, c.closed_at,
       g.id AS grant_id, g.code, g.state, g.valid_from, g.valid_to, g.terms,
       g.grantee_id, p.name AS grantee, p.kind AS grantee_kind, p.slug AS grantee_slug,
       r.id AS source, r.name AS resource, false AS trial,
       (SELECT json_agg(json_build_object('use', k.use, 'kid', k.kid, 'pem', k.pem,
                                          'ends', extract(epoch FROM k.ends_at)))
        FROM services_clientkey k
        WHERE k.client_id = c.id AND (k.ends_at IS NULL OR k.ends_at > now())) AS keys,
       EXISTS (SELECT FROM services_clientkey k
               WHERE k.client_id = c.id AND k.use = 'certificate') AS bound
FROM services_client c JOIN kernel_grant g ON g.id = c.grant_id
JOIN kernel_party p ON p.id = g.grantee_id JOIN kernel_resource r ON r.id = g.resource_id
WHERE c.client_id = $1
"""
_TRIAL = """
SELECT t.id AS client, t.secret_hash, '' AS former_hash, NULL::timestamptz AS former_until,
       NULL::timestamptz AS closed_at, t.id AS grant_id, '' AS code,
       CASE WHEN now() < t.valid_to THEN 'active' ELSE 'expired' END AS state,
       '2000-01-01'::timestamptz AS valid_from, t.valid_to, NULL AS terms,
       p.id AS grantee_id, p.name AS grantee, p.kind AS grantee_kind, p.slug AS grantee_slug,
       r.id AS source, r.name AS resource, true AS trial, NULL AS keys, false AS bound
FROM services_trial t JOIN kernel_party p ON p.id = t.department_id
JOIN kernel_resource r ON r.id = t.source_id
WHERE t.client_id = $1
"""
_SERVICES = """
SELECT id, kind, version, "table", lookups, columns, design, calls_per_day, calls_per_second,
       sunset_on
FROM services_service WHERE source_id = $1 ORDER BY kind, version
"""


@dataclass
class Right:
    """What a credential allows: of which grant, until when, how often, and by which answers.

    Of a trial `grant_id` is the trial's own number and no grant stands behind it.
    """

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
    per_second: int
    source: int
    trial: bool
    offers: dict[str, list[Offer]]
    guard: Guard
    loaded: float

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


class Rights:
    """The rights that one worker knows, and the ear that hears when they change."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.rights: dict[str, Right] = {}
        self.unknown: dict[str, float] = {}
        self.listening = False

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
        """A grant (its row's id), a source's services (`source:id`) or everything (`*`) changed."""
        self.unknown.clear()
        gone = [
            k
            for k, r in self.rights.items()
            if payload in ("*", str(r.grant_id), f"source:{r.source}")
        ]
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
        trial = client_id.startswith(rules.TRIAL)
        row = await self.pool.fetchrow(_TRIAL if trial else _RIGHT, client_id)
        if row is None:
            if len(self.unknown) > 10_000:
                self.unknown.clear()
            self.unknown[client_id] = now + UNKNOWN_SECONDS
            return None
        services = await self.pool.fetch(_SERVICES, row["source"])
        terms = rules.trial_terms(services) if trial else orjson.loads(row["terms"] or "{}")
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
            purpose=str(terms.get("purpose") or ""),
            per_day=int(terms.get("calls_per_day") or 0),
            per_second=int(terms.get("calls_per_second") or 0),
            source=row["source"],
            trial=trial,
            offers=await offers(self.pool, services, terms, resource=row["resource"], trial=trial),
            guard=guard_of(terms, orjson.loads(row["keys"] or "[]"), bound=row["bound"]),
            loaded=now,
        )
        self.rights[client_id] = right
        return right

    async def refusal(self, right: Right) -> Refused:
        """Why a grant that was not in force was not; asks anew."""
        self.rights.pop(right.client_id, None)
        fresh = await self.right(right.client_id)
        if fresh is None or fresh.closed:
            return Refused(401, "unauthorized", "凭证无效或已更换")
        return fresh.why_not()


__all__ = ["CHANNEL", "Right", "Rights"]
