"""Use: the calls of each day under each grant, counted from the records of exchange."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..models import DayOfUse


@action("sharing.supervise")
def count_use(*, days: list[dt.date], by: Actor) -> int:
    """Count these days (of the city) anew from the call records; returns the calls found.

    A day is counted whole each time, so that counting twice changes nothing.
    """
    total = 0
    for day in days:
        begin = timezone.make_aware(dt.datetime.combine(day, dt.time())).astimezone(dt.UTC)
        hours = [begin + dt.timedelta(hours=n) for n in range(24)]
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for tally in audit.tallies(by, hours):
            if not tally.grant_code:
                continue
            sums = found[tally.grant_code]
            for at, value in enumerate(
                (tally.calls, tally.answered + tally.empty, tally.failed, tally.rows)
            ):
                sums[at] += value or 0
        DayOfUse.objects.filter(day=day).delete()
        DayOfUse.objects.bulk_create(
            DayOfUse(grant_code=code, day=day, calls=c, answered=a, failed=f, rows=r)
            for code, (c, a, f, r) in found.items()
        )
        total += sum(v[0] for v in found.values())
    told = {"days": [d.isoformat() for d in days], "calls": total}
    record("use.counted", "system:sharing", by=by, data=told)
    return total
