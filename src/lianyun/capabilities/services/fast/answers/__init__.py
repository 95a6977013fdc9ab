"""Answer: what a service does for one call, prepared once for each right.

A kind of service is plugged in by one line in `MAKERS`: a coroutine that takes `Grounds` and gives
the answer, or None where the served table cannot give it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import orjson

from ... import rules
from ..offers import Answer, Offer
from . import federated, rows, statistics, verification
from .grounds import Grounds, columns_of

MAKERS: dict[str, Callable[[Grounds], Awaitable[Answer | None]]] = {
    "query": rows.make,
    "verify": verification.make,
    "statistics": statistics.make,
    "federated": federated.make,
}
"""By kind of service."""
ALLOWED_BY = {
    "query": ("query", "range"),
    "verify": ("verify",),
    "statistics": ("statistics",),
    "federated": ("federated",),
}
"""The operations of a grant, one of which a kind needs."""


async def offers(
    pool: Any,
    services: Sequence[asyncpg.Record],
    terms: dict[str, Any],
    *,
    resource: str,
    trial: bool,
) -> dict[str, list[Offer]]:
    """What a right may call: by kind its versions, oldest first, each with its answer."""
    operations = rules.operations_of(terms)
    out: dict[str, list[Offer]] = {}
    for row in services:
        kind = str(row["kind"])
        answer: Answer | None = None
        if kind in MAKERS and operations.intersection(ALLOWED_BY[kind]):
            table = str(row["table"])
            if trial:
                table = f"simulated.{table.rpartition('.')[2]}"
            types, key = await columns_of(pool, table)
            answer = await MAKERS[kind](
                Grounds(
                    pool=pool,
                    service=int(row["id"]),
                    resource=resource,
                    table=table,
                    lookups=orjson.loads(row["lookups"] or "[]"),
                    columns={c["name"]: c for c in orjson.loads(row["columns"] or "[]")},
                    design=orjson.loads(row["design"] or "{}"),
                    terms=terms,
                    types=types,
                    key=key,
                    operations=operations,
                    trial=trial,
                )
            )
        out.setdefault(kind, []).append(
            Offer(
                kind=kind,
                version=int(row["version"]),
                answer=answer,
                allowed=bool(operations.intersection(ALLOWED_BY.get(kind, ()))),
                per_day=int(row["calls_per_day"]),
                per_second=int(row["calls_per_second"]),
                sunset=row["sunset_on"],
            )
        )
    for same in out.values():
        same.sort(key=lambda o: o.version)
        for one in same:
            one.deprecate(same[-1].version, resource)
    return out


__all__ = ["MAKERS", "Answer", "Grounds", "Offer", "offers"]
