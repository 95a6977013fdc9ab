"""Settling: what a person does where two systems cannot: send again, leave out, decide in its place."""

from __future__ import annotations

import json

from django.db import transaction
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import WorkItem

from .. import adapters, queries, rules
from ..models import Handover, Letter, Message, System
from . import outbox
from .inbox import conclude, work


def _may(row: Handover, by: Actor) -> None:
    by.require("relay.settle", row.system.department)


def _reason(text: str) -> str:
    if len(text.strip()) < 2:
        raise UserError("请写明理由")
    return text.strip()[:300]


@action("relay.settle")
def retry_letter(*, letter: Letter, by: Actor) -> None:
    """Send a refused letter again: the same number and content."""
    _may(letter.handover, by)
    row = Letter.objects.select_for_update().get(pk=letter.pk)
    if row.taken_at is not None or not row.sealed:
        raise UserError("这条消息已经送达，或者内容已不再保存")
    row.dead_at, row.refusals, row.error = None, 0, ""
    row.save(update_fields=["dead_at", "refusals", "error"])
    System.objects.filter(pk=letter.handover.system_id).update(next_at=None, attempts=0)
    record("relay.retried", row, by=by)
    outbox.queue(letter.handover.system.code)


@action("relay.settle")
def skip_letter(*, letter: Letter, reason: str, by: Actor) -> None:
    """Leave a letter out: the department was told in another way; with a reason on record."""
    _may(letter.handover, by)
    row = Letter.objects.select_for_update().get(pk=letter.pk)
    if row.taken_at is not None:
        raise UserError("这条消息已经送达")
    row.skipped_by, row.reason = by.name[:120], _reason(reason)
    row.save(update_fields=["skipped_by", "reason"])
    record("relay.skipped", row, by=by, data={"reason": row.reason})


@action("relay.settle")
def settle_message(*, message: Message, reason: str, by: Actor) -> None:
    """Close a message that contradicts a result or could not be carried out: it stays as it is kept."""
    _may(message.handover, by)
    row = Message.objects.select_for_update().get(pk=message.pk)
    row.settled_by, row.reason = by.name[:120], _reason(reason)
    row.save(update_fields=["settled_by", "reason"])
    record("relay.settled", row, by=by, data={"reason": row.reason})


@action("relay.settle")
def retry_message(*, message: Message, by: Actor) -> None:
    """Try again what a message says; raises UserError where it still cannot be done."""
    _may(message.handover, by)
    row = (
        Handover.objects.select_for_update(of=("self",))
        .select_related("system__party", "system__department", "case__applicant")
        .get(pk=message.handover_id)
    )
    if message.effect != rules.STUCK or message.settled_by or row.ended_at is not None:
        raise UserError("这条消息不需要再执行")
    said = rules.read(json.loads(adapters.unseal(message.sealed)))
    with transaction.atomic():
        work(row, said, queries.acting(row.system))
    row.save()
    message.effect, message.words = rules.TAKEN, said.words[:400]
    message.save(update_fields=["effect", "words"])
    record("relay.message_retried", row, by=by, case=row.case, data={"note": said.words})


@action("relay.settle")
def ask_now(*, row: Handover, by: Actor) -> None:
    """Ask the system about this case at once, whatever it has heard lately."""
    _may(row, by)
    if row.ended_at is not None:
        raise UserError("该办件已不在部门系统办理")
    System.objects.filter(pk=row.system_id).update(next_at=None)
    record("relay.ask_wanted", row, by=by)


def ask_after(*, row: Handover, by: Actor) -> bool:
    """Ask and take what the system says, now; raises UserError where it is away."""
    _may(row, by)
    if not outbox.ask(row=row, by=by):
        raise UserError("部门系统现在连接不上，平台会自动重试")
    return True


@action("relay.settle")
def answer_instead(*, row: Handover, outcome: str, reason: str, by: Actor) -> None:
    """An officer registers the result that the system cannot tell, or takes the case back to the desk.

    The system is told that the case is no longer its own; what it says later is kept and changes
    nothing. Raises UserError without a reason, and Denied.
    """
    _may(row, by)
    note = _reason(reason)
    held = (
        Handover.objects.select_for_update(of=("self",))
        .select_related("system__party", "system__department", "case__applicant")
        .get(pk=row.pk)
    )
    if held.ended_at is not None or held.case.closed_at is not None:
        raise UserError("该办件已不在部门系统办理")
    if outcome == rules.BACK:
        item = WorkItem.objects.filter(
            case=held.case, permission=queries.SETTLE, done_at=None
        ).first()
        if item is None:
            raise UserError("办件正在等待申请人补正，补正后才能转由审批台办理")
        cases.step(item, rules.BACK, note=note, by=by)
        ended = rules.BACK
    elif outcome in rules.OUTCOMES:
        if not by.may("desk.decide", held.system.department):
            raise Denied("只有审批负责人可以代部门系统登记结果")
        told = {"reason": note, "decided_by": held.system.department.name}
        conclude(held, outcome, told, f"{held.number}:by-hand", by)
        ended = outcome
    else:
        raise UserError("请选择结果")
    held.outcome, held.ended_at = ended, timezone.now()
    held.save()
    outbox.write(held, rules.CLOSED, {"outcome": ended, "note": note}, by)
    record(
        "relay.answered_instead", held.case, by=by, case=held.case,
        data={"title": f"代{held.system.party.name}登记：{rules.ENDS[ended]}", "reason": note},
    )  # fmt: skip


__all__ = [
    "answer_instead",
    "ask_after",
    "ask_now",
    "retry_letter",
    "retry_message",
    "settle_message",
    "skip_letter",
]
