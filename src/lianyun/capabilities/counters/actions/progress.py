"""Progress at a terminal: counted, so that numbers are not tried out, and on record for the applicant."""

from __future__ import annotations

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError

from ..models import Device
from ..queries import progress as queries
from .devices import spend


def look_up(device: Device, code: str, last: str, *, by: Actor) -> queries.Progress:
    """How a case stands; raises UserError alike for a wrong number and for an unknown case."""
    spend(device)
    found = queries.progress(by, code, last)
    if found is None:
        raise UserError("没有查到：请核对办件编号和证件号码后四位")
    audit.record_reading(
        by=by,
        resource="hall.progress",
        people=[found.number],
        purpose=f"自助终端查询办理进度（{device.name}）",
    )
    return found


__all__ = ["look_up"]
