"""Connections: those held for calls, handed out in the order in which the calls asked.

A queue of asyncio's wakes who has waited longest and lets whoever comes by at that moment take what
was meant for him; he then waits at the end again. Under load that made one call in twenty wait five
times as long as the others. Here a connection goes from hand to hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Connections:
    """So many connections; None stands for one that is not made yet, or was lost."""

    def __init__(self, number: int) -> None:
        self.idle: list[Any] = [None] * number
        self.waiting: deque[asyncio.Future[Any]] = deque()

    async def take(self) -> Any:
        """A connection, the one used last where several are free; it must be given back."""
        if self.idle:
            return self.idle.pop()
        mine = asyncio.get_running_loop().create_future()
        self.waiting.append(mine)
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give(mine.result())
            raise

    def give(self, connection: Any) -> None:
        """Hand a connection to whoever has waited longest, or put it aside."""
        while self.waiting:
            next_one = self.waiting.popleft()
            if not next_one.done():
                next_one.set_result(connection)
                return
        self.idle.append(connection)


__all__ = ["Connections"]
