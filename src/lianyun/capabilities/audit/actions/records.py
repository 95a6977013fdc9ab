"""Records: append calls to the chain, record readings and exchanges, tie a person."""

from __future__ import annotations

import datetime as dt
import hashlib
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

from .. import adapters, queries, rules
from ..models import CallLink, CallRecord

if TYPE_CHECKING:
    import asyncpg

CHAIN_LOCK = 0x6C79_0003
PEOPLE = 2_000
"""Most people that one record of a reading names; a larger reading makes several."""
WAITING = "64MB"
"""So much of the index of people may wait for `sort_people`, instead of under the chain's lock."""
_COPY = "COPY audit_callrecord ({}) FROM STDIN".format(
    ", ".join(f'"{column}"' for column in (*rules.COLUMNS, "link"))
)
_NEW_LINK = (
    "INSERT INTO audit_calllink (number, at, count, digest, root, hash)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
)
_LAST = "SELECT number, hash FROM audit_calllink ORDER BY number DESC LIMIT 1"


_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{17}[0-9Xx](?![0-9A-Za-z])")


def people_in(texts: Iterable[Any]) -> list[str]:
    """The citizen numbers found in these texts, each once; a number that is wrong names nobody."""
    found = (n for text in texts if text is not None for n in _NUMBER.findall(str(text)))
    return [n for n in dict.fromkeys(n.upper() for n in found) if citizen_number_ok(n)]


def _next_link(
    last: int, before: str, calls: Sequence[rules.Row]
) -> tuple[int, dt.datetime, int, str, str, str]:
    """Number, time, count, digest, root and chain value of the link that holds these calls."""
    name, at, number = settings.PROOF_DIGEST, dt.datetime.now(dt.UTC), last + 1
    root = rules.root(name, calls)
    text = rules.link_text(name, number, at, len(calls), before or rules.GENESIS, root)
    return number, at, len(calls), name, root, rules.link_value(name, text)


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
        calls = [rules.whole(call) for call in calls]
        last = await connection_.fetchrow(_LAST)
        link = _next_link(last["number"] if last else 0, last["hash"] if last else "", calls)
        await connection_.execute(_NEW_LINK, *link)
        await connection_.copy_records_to_table(
            "audit_callrecord",
            records=[(*call, link[0]) for call in calls],
            columns=[*rules.COLUMNS, "link"],
        )
    return len(calls)


def _append(calls: Sequence[rules.Row]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        cursor.execute(_LAST)
        last = cursor.fetchone()
    calls = [rules.whole(call) for call in calls]
    link = _next_link(last[0] if last else 0, last[1] if last else "", calls)
    number, at, count, name, root, value = link
    CallLink.objects.create(number=number, at=at, count=count, digest=name, root=root, hash=value)
    if len(calls) == 1:
        CallRecord.objects.create(**dict(zip(rules.COLUMNS, calls[0], strict=True)), link=number)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('gin_pending_list_limit', %s, true)", [WAITING])
        with cursor.copy(_COPY) as copy:
            for call in calls:
                row = dict(zip(rules.COLUMNS, call, strict=True))
                if row["others"]:  # hex digits: the array's text needs no quotes
                    row["others"] = f"{{{','.join(row['others'])}}}"
                copy.write_row((*row.values(), number))


def sort_people() -> None:
    """Put in order what large exchanges have left waiting in the index of people.

    Records are found without it too; it only takes the work out of the exchange. For jobs, once
    their exchange is over.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('call_others')")


def _hashes(people: Iterable[str]) -> list[str]:
    """Keyed hashes of people, each once; of many in their own order, which the index takes quickest."""
    found = list(rules.keyed_hashes(adapters.hash_key(), filter(None, people)))
    return sorted(set(found)) if len(found) > PEOPLE else list(dict.fromkeys(found))


def _record(
    by: Actor, people: Iterable[str], filled: dict[str, Any], request: bytes, response: bytes
) -> list[str]:
    """Append one exchange, in several records where it names more people than one record holds."""
    hashes = _hashes(people) or [""]
    calls: list[rules.Row] = []
    for part in (hashes[at : at + PEOPLE] for at in range(0, len(hashes), PEOPLE)):
        uid = rules.new_uid(secrets.token_hex(8))
        salt = rules.salt_of(adapters.hash_key(), uid)
        row: dict[str, Any] = {
            "uid": uid,
            "at": timezone.now(),
            "client": "",
            "by": by.ref,
            "by_name": by.name,
            "department_id": by.department.pk if by.department else None,
            "operation": "",
            "version": 0,
            "case_code": "",
            "key_hash": part[0],
            "others": part[1:] or None,
            "request_digest": rules.salted(
                salt, hashlib.sha256(request).digest() if request else b""
            ),
            "response_digest": rules.salted(salt, response),
            **filled,
            # The exchange is counted once: what follows only names more people.
            **({"rows": 0, "micros": 0} if calls else {}),
        }
        calls.append(tuple(row[c] for c in rules.COLUMNS))
    with transaction.atomic():
        _append(calls)
    return [call[0] for call in calls]


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
    filled = {
        "channel": channel,
        "grant_code": grant_code,
        "resource": resource,
        "purpose": purpose[:300],
        "rows": rows,
        "micros": micros,
        "outcome": "ok" if rows else "empty",
    }
    _record(by, people, filled, b"", b"")


def record_exchange(
    *,
    channel: str,
    grant_code: str,
    resource: str,
    operation: str,
    version: int,
    by: Actor,
    people: Iterable[str] = (),
    purpose: str,
    case_code: str = "",
    request: bytes = b"",
    response_digest: bytes = b"",
    rows: int,
    micros: int,
    outcome: str,
) -> str:
    """Record one exchange of data, whatever the way, before the data leave; returns its number.

    `channel` is one of rules.CHANNELS, `operation` of rules.OPERATIONS, `outcome` of rules.OUTCOMES
    (ValueError otherwise); `version` is the service's (0 where there is none). `people` as for
    `record_reading`. `request` is what was asked, as bytes; `response_digest` the SHA-256 (32 bytes)
    of what was given: both enter the record salted. `micros` is how long it took. An exchange that
    names more than PEOPLE people makes several records with the same digests, of which the first has
    the rows; that one is returned.
    Raises Unproven (a UserError) where exchanges have gone without signature for too long; the ways
    of rules.EXCHANGES are then closed, until the sealer is back.
    """
    for value, known in (
        (channel, rules.CHANNELS),
        (operation, rules.OPERATIONS),
        (outcome, rules.OUTCOMES),
    ):
        if value not in known:
            raise ValueError(f"unknown: {value}")
    if response_digest and len(response_digest) != 32:
        raise ValueError("response_digest is a SHA-256 of 32 bytes")
    if channel in rules.EXCHANGES:
        standing = queries.standing(by)
        if not standing.open:
            raise queries.Unproven(standing.reason)
    filled = {
        "channel": channel,
        "grant_code": grant_code,
        "resource": resource,
        "operation": operation,
        "version": version,
        "purpose": purpose[:300],
        "case_code": case_code[:80],
        "rows": rows,
        "micros": micros,
        "outcome": outcome,
    }
    return _record(by, people, filled, request, response_digest)[0]


@action(None)
def link_person(*, party: Party, citizen_number: str, by: Actor) -> None:
    """Tie a person's account to the citizen number, kept as its keyed hash only."""
    party.data = {**party.data, "citizen_hash": adapters.keyed_hash(citizen_number)}
    party.save(update_fields=["data"])
    record("person.linked", party, by=by)


__all__ = [
    "append_calls",
    "link_person",
    "people_in",
    "record_exchange",
    "record_reading",
    "sort_people",
]
