"""Limits: how often one address or clerk may ask; counted exactly, kept as keyed digests."""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..models import Showing, Tally

WINDOW = 60
LIMITS = {"verify": 30, "file": 10, "api": 120, "scan": 30, "given": 10, "show": 20}
"""Most tries a minute; a file costs most to check, a code is hardest to guess by counting."""


class TooMany(UserError):
    """More often than the limit; the text says when to come back."""


def spend(what: str, who: str) -> None:
    """Count one try of `who` (an address, a person's ref); raises TooMany above the limit.

    Counted in a statement of its own, also when what follows fails.
    """
    now = timezone.now()
    slot = dt.datetime.fromtimestamp(now.timestamp() // WINDOW * WINDOW, dt.UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO licences_tally (what, who, slot, times) VALUES (%s, %s, %s, 1)"
            " ON CONFLICT (what, who, slot) DO UPDATE SET times = licences_tally.times + 1"
            " RETURNING times",
            [what, audit.keyed_hash(f"licences:{who}"), slot],
        )
        times = int(cursor.fetchone()[0])
    if times > LIMITS[what]:
        left = WINDOW - int(now.timestamp()) % WINDOW
        raise TooMany(f"操作过于频繁，请在 {left} 秒后再试")


@action(None)
def tidy(*, by: Actor) -> int:
    """Forget show codes that nobody scanned and counts of past windows; returns how many."""
    now = timezone.now()
    codes, _ = Showing.objects.filter(
        way=Showing.SHOW, asked_at=None, expires_at__lt=now - dt.timedelta(days=1)
    ).delete()
    counts, _ = Tally.objects.filter(slot__lt=now - dt.timedelta(days=1)).delete()
    record("licences.tidied", "system:licences", by=by, data={"codes": codes, "counts": counts})
    return codes + counts


__all__ = ["LIMITS", "TooMany", "spend", "tidy"]
