"""Lease: calls of a day that one worker may still serve under a grant without asking."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Any

from .calls import Call, Refused

CHINA = dt.timedelta(hours=8)

_LEASE_ROW = """
INSERT INTO services_usage (grant_id, day, used) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING
"""
_LEASE = """
WITH o AS (SELECT used FROM services_usage WHERE grant_id = $1 AND day = $2 FOR UPDATE)
UPDATE services_usage u SET used = LEAST(o.used + $3, $4) FROM o
WHERE u.grant_id = $1 AND u.day = $2 AND o.used < $4 RETURNING u.used - o.used
"""
_GIVE_BACK = "UPDATE services_usage SET used = used - $3 WHERE grant_id = $1 AND day = $2"
PACE_ROW = """
INSERT INTO services_pace (grant_id, level, at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT DO NOTHING
"""
PACE = """
WITH o AS (
    SELECT LEAST($2::float8,
                 level + $2::float8 * GREATEST(0, extract(epoch FROM clock_timestamp() - at))) AS have
    FROM services_pace WHERE grant_id = $1 FOR UPDATE)
UPDATE services_pace p SET level = o.have - LEAST(floor(o.have), $3::float8), at = clock_timestamp()
FROM o WHERE p.grant_id = $1 RETURNING LEAST(floor(o.have), $3::float8)::int
"""
BLOCK_SECONDS = 0.5
"""Calls of a second that a worker took and did not use are gone after this."""
TRIAL_PER_SECOND = 10


@dataclass
class Lease:
    """Calls left of a block taken from the day's quota.

    Kept apart from `Right`: forgetting what a credential allows must not lose calls of its day.
    """

    left: int = 0
    used_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Pace:
    """Calls that a worker may serve within a moment, and until when there are certainly none."""

    left: float = 0
    until: float = 0.0
    none_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Leases:
    """The leases of one worker."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.leases: dict[tuple[int, dt.date], Lease] = {}
        self.paces: dict[int, Pace] = {}

    async def take(self, call: Call) -> None:
        """Use one call of the second and of the day; raises Refused (429) where none is left.

        The tighter of what the grant and what the service say holds.
        """
        right, offer = call.right, call.offer
        assert right is not None
        rate, per_day = right.per_second, right.per_day
        if offer is not None:
            if offer.per_second and (not rate or offer.per_second < rate):
                rate = offer.per_second
            if offer.per_day and (not per_day or offer.per_day < per_day):
                per_day = offer.per_day
        if right.trial:
            self._alone(right.grant_id)
            return
        if rate:
            await self._pace(right.grant_id, rate)
        if per_day:
            await self._day(right.grant_id, per_day)

    def _alone(self, trial: int) -> None:
        """The pace of a trial: this worker's own count will do."""
        now = time.monotonic()
        pace = self.paces.setdefault(-trial, Pace(TRIAL_PER_SECOND, now))
        pace.left = min(TRIAL_PER_SECOND, pace.left + (now - pace.until) * TRIAL_PER_SECOND)
        pace.until = now
        if pace.left < 1:
            raise too_fast(TRIAL_PER_SECOND)
        pace.left -= 1

    async def _pace(self, grant: int, rate: int) -> None:
        """Take from the bucket that all workers share, a twentieth of a second's calls at once."""
        pace = self.paces.get(grant)
        if pace is None:
            pace = self.paces.setdefault(grant, Pace())
        now = time.monotonic()
        if pace.left < 1 or now >= pace.until:
            if now < pace.none_until:
                raise too_fast(rate)
            async with pace.lock:
                now = time.monotonic()
                if now < pace.none_until:
                    raise too_fast(rate)
                if pace.left < 1 or now >= pace.until:
                    block = max(1, rate // 20)
                    got = await self.pool.fetchval(PACE, grant, rate, block)
                    if got is None:
                        await self.pool.execute(PACE_ROW, grant, rate)
                        got = await self.pool.fetchval(PACE, grant, rate, block)
                    if not got:
                        pace.none_until = time.monotonic() + 0.5 / rate
                        raise too_fast(rate)
                    pace.left, pace.until = got, time.monotonic() + BLOCK_SECONDS
        pace.left -= 1

    async def _day(self, grant: int, per_day: int) -> None:
        """Workers lease the calls of a day in blocks of one hundredth of the quota."""
        day = (dt.datetime.now(dt.UTC) + CHINA).date()
        lease = self.leases.get((grant, day))
        if lease is None:
            lease = self.leases.setdefault((grant, day), Lease())
        if not lease.left:
            async with lease.lock:
                if not lease.left:
                    lease.left += await self._block(grant, per_day, day)
        lease.left -= 1
        lease.used_at = time.monotonic()

    async def _block(self, grant: int, per_day: int, day: dt.date) -> int:
        block = max(1, min(200, per_day // 100))
        got = await self.pool.fetchval(_LEASE, grant, day, block, per_day)
        if got is None:
            await self.pool.execute(_LEASE_ROW, grant, day)
            got = await self.pool.fetchval(_LEASE, grant, day, block, per_day)
        if not got:
            raise Refused(429, "quota", "今日调用次数已用完", f"授权每日限 {per_day} 次")
        return int(got)

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
        if len(self.paces) > 10_000:
            self.paces = {k: p for k, p in self.paces.items() if p.until > now or p.lock.locked()}


def too_fast(rate: int) -> Refused:
    """The refusal of a call above so many a second."""
    return Refused(429, "quota", "调用过于频繁，请稍后再试", f"每秒限 {rate} 次", retry=1)


__all__ = ["PACE", "PACE_ROW", "Lease", "Leases", "too_fast"]
