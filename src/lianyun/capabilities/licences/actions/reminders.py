"""Reminder: a holder is told, once for each stage of its type, that a licence comes to its end."""

from __future__ import annotations

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many

from ..models import Licence
from ..queries import kinds, licences

PORTION = 500
"""Licences of one transaction: a run that dies leaves whole portions, and nobody is told twice."""


def tell_due(*, by: Actor) -> int:
    """Tell of every licence that has come within a stage of its type (`remind`); returns how many.

    Later stages first, so that who is told of the last days is not told of the first as well.
    """
    told = 0
    for kind in kinds.kinds().values():
        for stage in sorted(kind.remind):
            while (count := _tell(kind.name, stage, by=by)) == PORTION:
                told += count
            told += count
    return told


@action("licences.issue", department=lambda kind, *_, **__: kinds.issuer_of(kinds.kind(kind)))
def _tell(kind: str, stage: int, *, by: Actor) -> int:
    """One portion. `data.to` of the event: the holder and who may act for the holder with licences."""
    found = licences.due_untold(by, kind, stage, PORTION)
    # Two runs take turns at each row; who comes second finds it told.
    rows = list(
        Licence.objects.filter(pk__in=[row.pk for row in found])
        .exclude(due_told__lte=stage)
        .select_for_update()
        .values_list("pk", flat=True)
    )
    free = set(rows)
    found = [row for row in found if row.pk in free]
    title = kinds.kind(kind).title
    agents = identity.acting_for(by, [row.grant.grantee_id for row in found], licences.SCOPE)
    record(
        "licences.due_told",
        f"licence-type:{kind}",
        by=by,
        data={"count": len(found), "stage": stage},
    )
    record_many(
        "licence.due",
        (
            (
                row,
                {
                    "to": [row.grant.grantee.ref, *agents.get(row.grant.grantee_id, ())],
                    "licence_title": title,
                    "until": row.ends_on,
                    "stage": stage,
                },
            )
            for row in found
        ),
        by=by,
    )
    Licence.objects.filter(pk__in=free).update(due_told=stage)
    return len(found)


__all__ = ["tell_due"]
