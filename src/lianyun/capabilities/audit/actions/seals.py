"""Seals: sign and time-stamp the newest links, so that whoever holds a receipt needs nobody's word."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event
from lianyun.trust import certificates, timestamps
from lianyun.trust.certificates import BadChain
from lianyun.trust.signatures import BadKey
from lianyun.trust.vault import VaultError

from .. import adapters, rules
from ..models import CallLink, CallSeal, SealerTry
from . import keys

SEAL_LOCK = 0x6C79_0005
LINKS = 20_000
"""Most links that one seal holds."""
_TOLD_SECONDS = 15
_ANCHOR_SECONDS = 60


class SealFailed(Exception):
    """The links could not be signed or time-stamped; the message says why, in Chinese."""


def _token(
    note: bytes, authority: timestamps.Authority, roots: Sequence[x509.Certificate]
) -> bytes:
    """The time-stamp token over a note, by the outside authority if one is set; checked at once."""
    digest = hashlib.sha256(note).digest()
    if settings.TIME_STAMP_URL:
        token = timestamps.fetch(settings.TIME_STAMP_URL, digest, settings.TIME_STAMP_SECONDS)
    else:
        token = authority.stamp(digest)
    timestamps.verify(token, digest, roots)
    return token


def _sealed() -> int:
    """Seal what waits, in the current transaction; returns how many links."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEAL_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    last = CallSeal.objects.order_by("-number").first()
    begin = (last.last_link if last else 0) + 1
    links = list(CallLink.objects.filter(number__gte=begin).order_by("number")[:LINKS])
    events = Event.objects.exclude(seq=None).order_by("-seq").values_list("seq", "hash").first()
    now = timezone.now()
    if not links:
        # Nothing was called: events alone are worth a seal once a minute, if there are new ones.
        anchored = rules.statement_of(last.note)["events"] if last else [0, rules.GENESIS]
        rested = last is None or (now - last.at).total_seconds() >= _ANCHOR_SECONDS
        if not rested or events is None or list(events) == anchored:
            return 0
    hands = keys.signer()
    roots = adapters.outside_roots() if settings.TIME_STAMP_URL else [hands.authority.root]
    name = settings.PROOF_DIGEST
    calls = sum(link.count for link in links)
    statement = rules.seal_statement(
        name,
        number=(last.number if last else 0) + 1,
        at=now,
        links=(begin, begin + len(links) - 1),
        calls=calls,
        root=rules.seal_root(name, [link.hash for link in links]),
        before=rules.seal_value(name, last.note, bytes(last.token)) if last else rules.GENESIS,
        events=tuple(events) if events else (0, rules.GENESIS),
        stamp_roots=[certificates.thumbprint(c) for c in roots],
    )
    note = rules.seal_note(
        statement, [(k.algorithm, k.public.kid, k.sign(statement)) for k in hands.keys]
    )
    CallSeal.objects.create(
        number=(last.number if last else 0) + 1,
        at=now,
        first_link=begin,
        last_link=begin + len(links) - 1,
        calls=calls,
        note=note,
        token=_token(note.encode(), hands.authority, roots),
    )
    return len(links)


def seal_calls() -> int:
    """Sign and time-stamp the links that wait; returns how many. One sealer at a time, others leave.

    A sealer that is killed leaves nothing behind: the seal is written in one transaction. Raises
    SealFailed where the signer or the time stamp is not to be had; the links go on waiting.
    """
    try:
        with transaction.atomic():
            done = _sealed()
    except (
        VaultError,
        BadKey,
        BadChain,
        timestamps.BadToken,
        adapters.NoRoots,
        OSError,
    ) as wrong:
        reason = rules.seal_failure(wrong)
        _tell(reason)
        raise SealFailed(reason) from wrong
    _tell("")
    return done


def _tell(reason: str) -> None:
    """Keep how the try went, for the health page; not at every beat where nothing changed."""
    now = timezone.now()
    before = SealerTry.objects.filter(pk=1).first()
    if (
        before is not None
        and before.reason == reason
        and now - before.at < dt.timedelta(seconds=_TOLD_SECONDS)
    ):
        return
    since: Any = None
    if reason:
        since = before.failed_since if before is not None and before.failed_since else now
    SealerTry.objects.update_or_create(
        pk=1, defaults={"at": now, "reason": reason[:300], "failed_since": since}
    )


@action(None)
def anchor(*, by: Actor) -> bool:
    """Write the newest value of the chain of calls and the newest seal into the ledger of events.

    From then on nobody can cut off an end of either without the cut being seen. Returns whether
    there was anything new.
    """
    last = CallLink.objects.order_by("-number").first()
    seal = CallSeal.objects.order_by("-number").first()
    data: dict[str, Any] = {"number": last.number, "hash": last.hash} if last else {"number": 0}
    if seal is not None:
        value = rules.seal_value("sha256", seal.note, bytes(seal.token))
        data |= {"seal": seal.number, "seal_hash": value}
    record("calls.anchored", "system:calls", by=by, data=data)
    return last is not None


__all__ = ["SealFailed", "anchor", "seal_calls"]
