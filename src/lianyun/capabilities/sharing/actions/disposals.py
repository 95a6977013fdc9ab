"""Disposals: what is done with the data when the right to them has ended (art. 27, 29)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Grant, WorkItem

from .. import queries, rules
from .terms import open_about, waiting

PATH = "disposal"
REMIND_DAYS = (30, 7)
"""Calendar days before a right's end on which its holder is reminded."""


def open_disposal(grant: Grant, why: str, by: Actor) -> Case:
    """The task of disposing of what a grant gave; a second call returns the first task."""
    once = f"disposal:{grant.code}"
    known = Case.objects.filter(once=once).exists()
    wanted = str(grant.terms.get("disposal", ""))
    case = open_about(
        grant,
        PATH,
        f"{grant.grantee.short or grant.grantee}处置“{grant.resource}”的共享数据",
        {"why": why[:500], "wanted": wanted},
        by,
        once=once,
    )
    if not known:
        record(
            "disposal.wanted",
            case,
            by=by,
            case=case,
            data={
                "to": grant.grantee.ref,
                "title": str(grant.resource),
                "why": why[:300],
                "note": wanted,
            },
        )
    return case


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a disposal; `data` of the first: how, who, on (a day), copies, attachment."""
    changes: dict[str, Any] | None = None
    if item.step == "dispose":
        told = rules.Disposed.of(data)
        wrong = rules.disposal_problems(told, timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        changes = {"disposed": told.as_data()}
        note = note or told.how
    done = cases.step(item, outcome, note=note, data=changes, by=by)
    if item.step == "dispose":
        grant = Grant.objects.get(code=done.data["grant"])
        record(
            "disposal.confirmed",
            grant,
            by=by,
            case=grant.case_id,
            data={"title": "使用部门确认数据已处置", "note": note[:500], "disposal": done.code},
        )
    return done


@action("sharing.request")
def finish_use(*, grant: Grant, note: str, by: Actor) -> Case:
    """The user says the purpose is fulfilled, or cannot be: the right ends, disposal begins (art. 27)."""
    from lianyun.kernel import grant as grants

    by.require("sharing.request", grant.grantee)
    if len(note.strip()) < 2:
        raise UserError("请写明使用目的实现的情况")
    grants.revoke(grant, reason=f"使用目的已实现：{note.strip()}"[:500], by=by)
    return open_disposal(grant, f"使用目的已实现：{note.strip()}", by)


@action("sharing.request")
def confirm_disposal(
    *, grant: Grant, how: str, by: Actor, more: Mapping[str, Any] | None = None
) -> Case:
    """The user confirms that the data were disposed of as the provider asked (art. 27).

    `more` may hold who, on (ISO day), copies and attachment; who and on default to the actor, today.
    """
    by.require("sharing.request", grant.grantee)
    if queries.stands(grant) not in ("revoked", "expired"):
        raise UserError("授权尚未结束，不能确认处置")
    case = open_disposal(grant, grant.reason or "授权到期", by)
    item = waiting(case, "dispose")
    if item is None:
        raise UserError("已确认过处置情况")
    told = {"who": by.name, "on": timezone.localdate().isoformat(), **(more or {}), "how": how}
    return work(item, "done", "", told, by)


@action("sharing.supervise")
def close_the_ended(*, by: Actor, now: dt.datetime | None = None) -> dict[str, int]:
    """Every day: ended rights get their disposal task, rights that end soon their reminder.

    Returns how many of each. Calling it again does nothing twice.
    """
    at = now or timezone.now()
    told = {"disposals": 0, "reminders": 0}
    for grant in queries.ended_without_disposal(by, at):
        why = grant.reason if grant.state == Grant.REVOKED else "授权期限届满"
        open_disposal(grant, why, by)
        told["disposals"] += 1
    for grant, days in queries.ending_soon(by, at, max(REMIND_DAYS)):
        due = min(d for d in REMIND_DAYS if days <= d)
        if _remind(grant, due, days, by):
            told["reminders"] += 1
    record("grants.reviewed", "system:sharing", by=by, data=told)
    return told


def _remind(grant: Grant, mark: int, days: int, by: Actor) -> bool:
    known = Event.objects.filter(subject=grant.ref, kind="grant.ending", data__mark=mark)
    if known.exists():
        return False
    record(
        "grant.ending",
        grant,
        by=by,
        case=grant.case_id,
        data={
            "title": f"授权将于 {days} 天后到期",
            "note": "到期后自动停止并须处置数据；确需继续使用的，请提前重新申请",
            "mark": mark,
        },
    )
    return True


def on_revoked(event: Event) -> None:
    """A right was withdrawn, by whatever way: its holder disposes of the data."""
    grant = Grant.objects.filter(code=event.subject.partition(":")[2], kind="data").first()
    if grant is not None:
        begin_disposal(grant=grant, by=SYSTEM)


@action("sharing.supervise")
def begin_disposal(*, grant: Grant, by: Actor) -> Case:
    """Open the disposal of a withdrawn grant where nobody has opened it yet."""
    case = open_disposal(grant, grant.reason or "授权已撤回", by)
    record("disposal.checked", grant, by=by, case=grant.case_id, data={"disposal": case.code})
    return case
