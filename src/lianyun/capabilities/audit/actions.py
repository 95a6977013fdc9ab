"""Actions: the writes of the ledger of readings: append calls to the chain, record, link a person."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.element import citizen_number_ok
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from . import rules
from .models import CallLink, CallRecord

if TYPE_CHECKING:
    import asyncpg

CHAIN_LOCK = 0x6C79_0003
PEOPLE = 2_000
"""Most people that one record of a reading names; a larger reading makes several."""
_LAST = "SELECT number, hash FROM audit_calllink ORDER BY number DESC LIMIT 1"


_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{17}[0-9Xx](?![0-9A-Za-z])")


def people_in(texts: Iterable[Any]) -> list[str]:
    """The citizen numbers found in these texts, each once; a number that is wrong names nobody."""
    found = (n for text in texts if text is not None for n in _NUMBER.findall(str(text)))
    return [n for n in dict.fromkeys(n.upper() for n in found) if citizen_number_ok(n)]


def hash_key() -> bytes:
    """The key of all keyed hashes of this installation."""
    return rules.derived_key(settings.SECRET_KEY, "keyed-hash")


def keyed_hash(value: str) -> str:
    """The keyed hash of a citizen number or another key, 32 hex digits."""
    return rules.keyed_hash(hash_key(), value)


async def append_calls(
    connection_: asyncpg.Connection, calls: Sequence[rules.Row], *, again: bool = False
) -> int:
    """Append a batch of calls to the chain in one transaction; returns how many were new.

    One writer at a time holds the chain's advisory lock for a few milliseconds. With `again` calls
    that stand there already (a journal read after a crash) are left out.
    """
    async with connection_.transaction():
        await connection_.execute("SELECT pg_advisory_xact_lock($1)", CHAIN_LOCK)
        if again and calls:
            there = {
                r["uid"]
                for r in await connection_.fetch(
                    "SELECT uid FROM audit_callrecord WHERE at BETWEEN $2 AND $3"
                    " AND uid = ANY($1::text[])",
                    [c[0] for c in calls],
                    min(c[1] for c in calls),
                    max(c[1] for c in calls),
                )
            }
            calls = [c for c in calls if c[0] not in there]
        if not calls:
            return 0
        last = await connection_.fetchrow(_LAST)
        number = (last["number"] if last else 0) + 1
        value = rules.link_hash(last["hash"] if last else rules.GENESIS, number, calls)
        await connection_.execute(
            "INSERT INTO audit_calllink (number, at, count, hash) VALUES ($1, now(), $2, $3)",
            number,
            len(calls),
            value,
        )
        await connection_.copy_records_to_table(
            "audit_callrecord",
            records=[(*call, number) for call in calls],
            columns=[*rules.COLUMNS, "link"],
        )
    return len(calls)


def _append(calls: Sequence[rules.Row]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        cursor.execute(_LAST)
        last = cursor.fetchone()
    number = (last[0] if last else 0) + 1
    value = rules.link_hash(last[1] if last else rules.GENESIS, number, calls)
    CallLink.objects.create(number=number, at=timezone.now(), count=len(calls), hash=value)
    CallRecord.objects.bulk_create(
        CallRecord(**dict(zip(rules.COLUMNS, call, strict=True)), link=number) for call in calls
    )


def record_reading(
    *,
    by: Actor,
    resource: str,
    people: Iterable[str] = (),
    purpose: str = "",
    grant_code: str = "",
    channel: str = "workbench",
    rows: int = 1,
    micros: int = 0,
) -> None:
    """Record that an officer read personal data inside the workbench, before the page is shown.

    `people` are the citizen numbers (or other keys) that the page shows; they are kept as keyed
    hashes. The person sees the reading on 谁看过我的数据.
    """
    hashes = list(dict.fromkeys(keyed_hash(p) for p in people if p)) or [""]
    calls: list[rules.Row] = [
        (
            secrets.token_hex(12),
            timezone.now(),
            channel,
            "",
            by.ref,
            by.name,
            by.department.pk if by.department else None,
            grant_code,
            resource,
            purpose[:300],
            part[0],
            part[1:] or None,
            rows,
            micros,
            "ok" if rows else "empty",
        )
        for part in (hashes[at : at + PEOPLE] for at in range(0, len(hashes), PEOPLE))
    ]
    with transaction.atomic():
        _append(calls)


@action(None)
def link_person(*, party: Party, citizen_number: str, by: Actor) -> None:
    """Tie a person's account to the citizen number, kept as its keyed hash only."""
    party.data = {**party.data, "citizen_hash": keyed_hash(citizen_number)}
    party.save(update_fields=["data"])
    record("person.linked", party, by=by)


@action(None)
def anchor(*, by: Actor) -> bool:
    """Write the newest value of the chain of calls into the ledger of events.

    From then on nobody can cut off the chain's end without the cut being seen. Returns whether
    there was anything new.
    """
    last = CallLink.objects.order_by("-number").first()
    data: dict[str, Any] = {"number": last.number, "hash": last.hash} if last else {"number": 0}
    record("calls.anchored", "system:calls", by=by, data=data)
    return last is not None
