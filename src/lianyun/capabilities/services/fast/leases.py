"""Lease: calls of a day that one worker may still serve under a grant without asking."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Any

from .calls import Refused
from .rights import Right

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


@dataclass
class Lease:
    """Calls left of a block taken from the day's quota.

    Kept apart from `Right`: forgetting what a credential allows must not lose calls of its day.
    """

    left: int = 0
    used_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Leases:
    """The leases of one worker."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.leases: dict[tuple[int, dt.date], Lease] = {}

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
                    lease.left += await self._block(right, day)
        lease.left -= 1
        lease.used_at = time.monotonic()

    async def _block(self, right: Right, day: dt.date) -> int:
        block = max(1, min(200, right.per_day // 100))
        got = await self.pool.fetchval(_LEASE, right.grant_id, day, block, right.per_day)
        if got is None:
            await self.pool.execute(_LEASE_ROW, right.grant_id, day)
            got = await self.pool.fetchval(_LEASE, right.grant_id, day, block, right.per_day)
        if not got:
            raise Refused(429, "quota", "今日调用次数已用完", f"授权每日限 {right.per_day} 次")
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


__all__ = ["Lease", "Leases"]
