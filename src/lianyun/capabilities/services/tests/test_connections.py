"""Connections are handed out in the order of asking, and none is lost on the way."""

from __future__ import annotations

import asyncio

from ..fast.connections import Connections


def test_whoever_asked_first_is_served_first() -> None:
    """Also where somebody asks in the very moment at which one is given back."""

    async def work() -> list[int]:
        held, served = Connections(1), []

        async def call(number: int) -> None:
            connection = await held.take()
            served.append(number)
            await asyncio.sleep(0)
            held.give(connection)

        first = await held.take()
        waiting = [asyncio.create_task(call(n)) for n in range(5)]
        await asyncio.sleep(0)
        held.give(first)
        late = asyncio.create_task(call(9))
        await asyncio.gather(*waiting, late)
        assert held.idle == [None]
        return served

    assert asyncio.run(work()) == [0, 1, 2, 3, 4, 9]


def test_a_call_that_is_given_up_passes_its_connection_on() -> None:
    async def work() -> None:
        held = Connections(1)
        one = await held.take()
        waiting = asyncio.create_task(held.take())
        handed = asyncio.create_task(held.take())
        await asyncio.sleep(0)
        waiting.cancel()  # before anything was handed to it
        await asyncio.sleep(0)
        held.give(one)
        handed.cancel()  # after: it has it, and has not run yet
        await asyncio.gather(waiting, handed, return_exceptions=True)
        assert held.idle == [None]
        assert not held.waiting

    asyncio.run(work())
