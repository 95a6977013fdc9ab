"""Nonces: each is used once among all workers; those that come together are kept by one statement."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from .plane import Plane

MOST = 500
"""Nonces of one statement."""
# Every worker sees a nonce at once; only the disk hears of it up to half a second later (ADR 0015).
# In one order everywhere, so that two workers with the same nonces do not wait for each other.
_USE = """
INSERT INTO services_usednonce (client_id, nonce, at)
SELECT n.client, n.nonce, now()
FROM (SELECT set_config('synchronous_commit', 'off', true)) s,
     unnest($1::bigint[], $2::text[]) AS n (client, nonce)
ORDER BY n.client, n.nonce
ON CONFLICT DO NOTHING RETURNING client_id, nonce
"""

Waiting = tuple[int, str, "asyncio.Future[bool]"]


class Nonces:
    """The nonces of one worker that wait to be kept; one statement is on its way at a time."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.writing: asyncio.Task[None] | None = None

    async def use(self, plane: Plane, client: int, nonce: str) -> bool:
        """Use a nonce of a client; False where it was used before, by whichever worker."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[bool] = loop.create_future()
        self.waiting.append((client, nonce, mine))
        if self.writing is None or self.writing.done():
            self.writing = loop.create_task(self._write(plane))
        return await mine

    async def _write(self, plane: Plane) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
            try:
                await _keep(plane, batch)
            except asyncpg.IntegrityConstraintViolationError:
                # One whose credential has just gone must not cost the others their answer.
                for one in batch:
                    await _alone(plane, one)
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    _fail(self.waiting, error)
                    raise


async def _alone(plane: Plane, one: Waiting) -> None:
    try:
        await _keep(plane, [one])
    except Exception as error:
        _fail([one], error)


async def _keep(plane: Plane, batch: list[Waiting]) -> None:
    found = await plane.ask(_USE, ([c for c, _, _ in batch], [n for _, n, _ in batch]))
    new = {(row[0], row[1]) for row in found}
    for client, nonce, mine in batch:
        first = (client, nonce) in new
        new.discard((client, nonce))  # the same twice in one batch: the first has it
        if not mine.done():
            mine.set_result(first)


def _fail(batch: list[Waiting], error: BaseException) -> None:
    told = error if isinstance(error, Exception) else ConnectionError("the worker ends")
    for _, _, mine in batch:
        if not mine.done():
            mine.set_exception(told)


__all__ = ["Nonces"]
