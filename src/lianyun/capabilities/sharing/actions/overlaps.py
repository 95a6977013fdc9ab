"""Overlaps: what looks like repeated collection is listed, and the bureau decides (art. 19, 40)."""

from __future__ import annotations

from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import rules
from ..models import Overlap


@action("sharing.supervise")
def find_overlaps(*, by: Actor) -> int:
    """Compare all datasets' items and list the pairs that are mostly the same; returns how many.

    What was decided stays decided; an open pair that no longer resembles is taken off the list.
    """
    found = catalogue.overlaps(by)
    known = {(o.resource_id, o.other_id): o for o in Overlap.objects.all()}
    for pair in found:
        row = known.pop((pair.resource, pair.other), None)
        words = {"shared": len(pair.shared), "total": pair.total, "items": list(pair.shared)}
        if row is None:
            Overlap.objects.create(resource_id=pair.resource, other_id=pair.other, **words)
        elif row.items != words["items"] or row.total != pair.total:
            Overlap.objects.filter(pk=row.pk).update(**words)
    gone = [o.pk for o in known.values() if o.state == Overlap.OPEN]
    Overlap.objects.filter(pk__in=gone).delete()
    record("overlaps.found", "system:sharing", by=by, data={"pairs": len(found)})
    return len(found)


@action("sharing.supervise")
def decide_overlap(*, overlap: Overlap, repeated: bool, reason: str, by: Actor) -> None:
    """The bureau says whether a pair is repeated collection, and why (art. 19)."""
    if len(reason.strip()) < rules.LEAST_REASON:
        raise UserError("请写明认定的理由（不少于 5 个字）")
    row = Overlap.objects.select_for_update().get(pk=overlap.pk)
    if row.state != Overlap.OPEN:
        raise UserError("该项已经认定")
    row.state = Overlap.REPEATED if repeated else Overlap.DIFFERENT
    row.reason, row.decided_by, row.decided_at = reason.strip()[:500], by.party, timezone.now()
    row.save()
    record(
        "overlap.decided",
        row.resource,
        by=by,
        data={"other": row.other.ref, "repeated": repeated, "note": row.reason},
    )
