"""Records: what a receiver did with shared data, kept three years and not a day less (art. 29)."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant

from .. import queries, rules
from ..models import UseRecord


@action("sharing.request")
def write_use(*, grant: Grant, kind: str, text: str, by: Actor) -> UseRecord:
    """The receiver notes scene, process, effect, storage or destruction of what it got (art. 29)."""
    by.require("sharing.request", grant.grantee)
    if kind not in dict(UseRecord.KINDS):
        raise UserError("请选择记录的类别")
    if len(text.strip()) < rules.LEAST_REASON:
        raise UserError("请写明使用情况（不少于 5 个字）")
    made = UseRecord.objects.create(
        grant=grant,
        kind=kind,
        text=text.strip()[:4000],
        by=by.party,
        by_name=by.name,
        keep_until=rules.keep_until(
            timezone.localdate(), int(grant.terms.get("keep_records_years", 3))
        ),
    )
    record("use.recorded", grant, by=by, case=grant.case_id, data={"kind": kind})
    return made


@action("sharing.supervise")
def retain_records(*, by: Actor, today: dt.date | None = None) -> dict[str, int]:
    """Delete use records past their day, none before; counts go on record.

    The law's three years are the least: a record written with a later day stays until that day.
    """
    day = today or timezone.localdate()
    told = queries.retention(by, day)
    gone = UseRecord.objects.filter(keep_until__lt=day, at__date__lt=rules.least_kept(day))
    told["deleted"] = gone.delete()[0]
    record("records.retained", "system:sharing", by=by, data=told)
    return told


@action("sharing.supervise")
def delete_record(*, number: int, by: Actor) -> None:
    """Delete one use record by hand; refused until its three years are over."""
    row = UseRecord.objects.select_for_update().filter(pk=number).first()
    if row is None:
        raise UserError("没有这条使用记录")
    today = timezone.localdate()
    if row.keep_until >= today or timezone.localtime(row.at).date() >= rules.least_kept(today):
        raise UserError(
            f"使用记录保存期限不少于 3 年，这条应保存至 {row.keep_until:%Y-%m-%d}（条例第二十九条）"
        )
    row.delete()
    record("use.deleted", f"use:{number}", by=by, data={"at": row.at.isoformat()})
