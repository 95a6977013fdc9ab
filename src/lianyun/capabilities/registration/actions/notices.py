"""Notice: a simplified cancellation is published, objected to, answered, and ends by its last day."""

from __future__ import annotations

import datetime as dt

from django.db import IntegrityError, transaction
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, WorkItem

from .. import adapters, queries, rules
from ..models import Notice, Objection
from ..queries.notices import STEP, shown
from .changes import settle

MESSAGE = "notice"


def on_stepped(event: Event) -> None:
    """A cancellation has come a step further: where that is its notice, the notice is published."""
    case = Case.objects.filter(pk=event.case_id_ref or 0).first()
    if case is not None and _at_notice(case):
        publish(case=case, by=SYSTEM)


def _at_notice(case: Case) -> bool:
    at = WorkItem.objects.filter(case=case, step=STEP, done_at=None).exists()
    return at and case.state == Case.OPEN


@action(None)
def publish(*, case: Case, by: Actor) -> Notice:
    """Publish the notice of a case that waits for it; called again the first stays."""
    if not by.everything:
        raise Denied("公示由系统发布")
    Case.objects.select_for_update().get(pk=case.pk)
    found = queries.notice_of(case)
    if found is not None:
        record("notice.seen", found, by=by, case=case)
        return found
    if not _at_notice(case):
        raise UserError("这件申请不在公示环节")
    today = timezone.localdate()
    made = Notice.objects.create(
        case=case,
        credit_code=queries.firm_of(case),
        name=str(case.applicant.name if case.applicant else ""),
        begins_on=today,
        ends_on=rules.notice_ends(today, int(queries.settings()["notice_days"])),
    )
    told = {"firm": made.name, "begins_on": made.begins_on, "ends_on": made.ends_on}
    record("notice.published", made, by=by, case=case, data={**told, "title": "简易注销公示"})
    return made


def _locked(notice: Notice) -> Notice:
    return Notice.objects.select_for_update(of=("self",)).select_related("case").get(pk=notice.pk)


@action(None)
def object_to(notice: Notice, *, kind: str, reason: str, by: Actor) -> Objection:
    """Object to a simplified cancellation while its notice runs: once a person, with a reason.

    An officer with a post may object for his department. Raises UserError and LevelNeeded.
    """
    if by.party is None:
        raise Denied("请先登录")
    if kind not in dict(Objection.KINDS):
        raise UserError("请选择您的身份")
    if kind == "department" and by.department is None:
        raise UserError("只有在职的工作人员可以代表行政机关提出异议")
    if by.department is None:
        identity.require_level(by, int(queries.settings()["objector_level"]))
    if len(reason.strip()) < 5:
        raise UserError("请写明异议的理由")
    row = _locked(notice)
    if not shown(row, timezone.localdate()).open:
        raise UserError("公示已经结束，不再接受异议")
    try:
        with transaction.atomic():
            made = Objection.objects.create(
                notice=row,
                by=by.party,
                department=by.department if kind == "department" else None,
                kind=kind,
                sealed=adapters.seal(reason.strip()[:1000], queries.OBJECTION_USE),
            )
    except IntegrityError as twice:
        raise UserError("您已经提出过异议") from twice
    count = row.objections.filter(withdrawn_at=None).count()
    told = {"firm": row.name, "count": count, "objector": made.get_kind_display()}
    record("objection.made", row, by=by, case=row.case, data=told)
    return made


@action(None)
def withdraw(objection: Objection, *, by: Actor) -> None:
    """Take one's own objection back, as long as it was not answered."""
    row = Objection.objects.select_for_update(of=("self",)).get(pk=objection.pk)
    if by.party is None or row.by_id != by.party.pk:
        raise Denied("没有这份异议")
    if row.withdrawn_at is not None or row.answered_at is not None:
        raise UserError("这份异议已经撤回或答复过")
    row.withdrawn_at = timezone.now()
    row.save(update_fields=["withdrawn_at"])
    record("objection.withdrawn", row.notice, by=by, case=row.notice.case)


@action(None)
def answer_objection(objection: Objection, *, accepted: bool, answer: str, by: Actor) -> None:
    """Tell who objected whether the objection holds, and why."""
    row = (
        Objection.objects.select_for_update(of=("self",))
        .select_related("notice__case__department", "by")
        .get(pk=objection.pk)
    )
    by.require("registration.settle", row.notice.case.department)
    if not answer.strip():
        raise UserError("请写明答复")
    if row.withdrawn_at is not None or row.answered_at is not None:
        raise UserError("这份异议已经撤回或答复过")
    row.accepted, row.answer, row.answered_at = accepted, answer.strip()[:500], timezone.now()
    row.save(update_fields=["accepted", "answer", "answered_at"])
    told = {"firm": row.notice.name, "accepted": accepted, "answer": row.answer, "to": row.by.ref}
    record("objection.answered", row, by=by, data=told)


@action(None)
def _end(notice: Notice, *, by: Actor) -> None:
    row = _locked(notice)
    if row.ended_at is not None:
        record("notice.seen", row, by=by, case=row.case)
        return
    against = row.objections.filter(withdrawn_at=None).exclude(accepted=False).count()
    row.ended_at = timezone.now()
    row.outcome = rules.OBJECTED if against else rules.CLEAR
    row.save(update_fields=["ended_at", "outcome"])
    told = {"firm": row.name, "ends_on": row.ends_on, "outcome": row.get_outcome_display()}
    record("notice.ended", row, by=by, case=row.case, data={**told, "title": told["outcome"]})
    cases.receive(
        row.case, MESSAGE, {"objections": against}, f"{row.case.code}:{MESSAGE}",
        outcome=row.outcome, by=by,
    )  # fmt: skip


def end_due(*, today: dt.date | None = None, by: Actor) -> int:
    """End the notices whose last day is over; returns how many."""
    rows = queries.due(by, today)
    for row in rows:
        _end(row, by=by)
    return len(rows)


def move_on(*, by: Actor) -> int:
    """Publish, end and settle what waits: a lost event costs minutes only. Returns how many moved."""
    count = end_due(by=by)
    for case in queries.unpublished(by):
        publish(case=case, by=by)
        count += 1
    for case in queries.waiting(by):
        settle(case=case, by=by)
        count += 1
    return count


__all__ = [
    "MESSAGE",
    "answer_objection",
    "end_due",
    "move_on",
    "object_to",
    "on_stepped",
    "publish",
    "withdraw",
]
