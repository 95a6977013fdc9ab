"""Rehearsing: where somebody's try of a service stands is kept for him alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.kernel.access import Denied
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..models import Rehearsal, Workbook

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@action("builder.read")
def keep_rehearsal(row: Workbook, number: int, inside: dict[str, Any], *, by: Actor) -> None:
    """Keep where the try stands; one each, begun anew with every revision."""
    if by.party is None:
        raise Denied("请先登录")
    Rehearsal.objects.update_or_create(
        workbook=row,
        by=by.party,
        defaults={"number": number, "inside": inside, "at": timezone.now()},
    )
    record("workbook.rehearsed", row, by=by, data={"revision": number})


@action("builder.read")
def forget_rehearsal(row: Workbook, *, by: Actor) -> None:
    """Begin the try anew."""
    Rehearsal.objects.filter(workbook=row, by=by.party).delete()
    record("workbook.rehearsed", row, by=by, data={"revision": row.number})
