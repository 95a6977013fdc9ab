"""Ending: a licence suspended, given back, or ended for good, each with its reason."""

from __future__ import annotations

from typing import Any

from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from ..models import Licence
from ..queries import kinds


def _issuer(licence: Licence, *args: Any, **kwargs: Any) -> Party:
    return kinds.issuer_of(kinds.kind(licence.kind))


def _locked(licence: Licence, reason: str) -> Licence:
    if not reason.strip():
        raise UserError("请写明理由")
    return (
        Licence.objects.select_related("grant").select_for_update(of=("self",)).get(pk=licence.pk)
    )


@action("licences.end", department=_issuer)
def suspend_licence(licence: Licence, *, reason: str, by: Actor) -> None:
    """Take a licence away for a while (暂扣); it does not verify from this moment."""
    row = _locked(licence, reason)
    grants.suspend(row.grant, reason=reason, by=by)
    record("licence.suspended", row, by=by, data={"reason": reason})


@action("licences.end", department=_issuer)
def resume_licence(licence: Licence, *, reason: str, by: Actor) -> None:
    """Give a suspended licence back."""
    row = _locked(licence, reason)
    grants.resume(row.grant, reason=reason, by=by)
    record("licence.resumed", row, by=by, data={"reason": reason})


@action("licences.end", department=_issuer)
def end_licence(licence: Licence, *, ending: str, reason: str, by: Actor) -> None:
    """End a licence for good: revoked (吊销, a penalty), withdrawn (撤销, given wrongly), annulled (注销)."""
    if ending not in (Licence.REVOKED, Licence.WITHDRAWN, Licence.ANNULLED):
        raise UserError("请选择吊销、撤销或注销")
    row = _locked(licence, reason)
    grants.revoke(row.grant, reason=reason, by=by)
    row.ending = ending
    row.save(update_fields=["ending"])
    record(f"licence.{ending}", row, by=by, data={"reason": reason})


MOST = 1000
"""Licences ended by one press."""


@action("licences.end", department=lambda kind, **_: kinds.issuer_of(kinds.kind(kind)))
def end_left(kind: str, *, reason: str, by: Actor) -> int:
    """Annul the licences of a type whose registration left the register; returns how many.

    Each by its own event with the officer's reason; nothing ends without this press.
    """
    if not reason.strip():
        raise UserError("请写明理由")
    rows = (
        Licence.objects.filter(kind=kind, ending="")
        .exclude(left_on=None)
        .select_related("grant")
        .select_for_update(of=("self",))
        .order_by("pk")[:MOST]
    )
    ended = 0
    for row in rows:
        grants.revoke(row.grant, reason=reason, by=by)
        row.ending = Licence.ANNULLED
        row.save(update_fields=["ending"])
        record("licence.annulled", row, by=by, data={"reason": reason, "left_on": row.left_on})
        ended += 1
    if not ended:
        raise UserError("没有待注销的证照")
    return ended


__all__ = ["end_left", "end_licence", "resume_licence", "suspend_licence"]
