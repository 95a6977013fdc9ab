"""Verbs: what can be done to a case; each locks the case's row first, so that of two one wins."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from lianyun.decision.engine import CannotMove, joint
from lianyun.decision.way import TIMER, WAIT

from ..access import SYSTEM, Actor, Denied, UserError, actor_of
from ..clock import calendar, remaining
from ..event import record, ref_of
from ..path import Path, newest, path_of
from .rows import Answer, Case, Pause, WorkItem
from .store import fetch
from .walk import Walk

if TYPE_CHECKING:
    from ..party import Party


_DRAWN = (
    "SELECT nextval('kernel_case_id_seq'), before,"
    " (SELECT id FROM kernel_path WHERE key = %s ORDER BY version DESC LIMIT 1),"
    " (SELECT id FROM kernel_case WHERE once = %s) FROM kernel_numbering WHERE day = %s"
)
_BEGUN = (
    "INSERT INTO kernel_numbering (day, before) VALUES (%s, nextval('kernel_case_id_seq'))"
    " ON CONFLICT DO NOTHING"
)


def _drawn(path: str, once: str | None) -> tuple[int, str, int, int | None]:
    """A new case's row and its number of the day, its path, and the case that was opened for `once`.

    Nobody waits for a number: who gives up leaves a gap.
    """
    day = timezone.localdate()
    with connection.cursor() as cursor:
        while (found := cursor.execute(_DRAWN, [path, once, day]).fetchone()) is None:
            cursor.execute(_BEGUN, [day])
    pk, before, way, known = found
    return pk, f"{day:%Y%m%d}{pk - before:06d}", way or newest(path), known


def _locked(pk: int) -> Case:
    """The case's row, held until the transaction ends, on its version of the path."""
    case = Case.objects.select_for_update().get(pk=pk)
    case.path = path_of(case.path_id)
    return case


def _row(item: WorkItem) -> tuple[Case, WorkItem]:
    """The locked case and its work item as they stand now; raises UserError where it is done."""
    case, row = fetch(item.pk)
    case.path = path_of(case.path_id)
    if row.done_at is not None:
        who = row.by.name if row.by else "系统"
        on = f"{timezone.localtime(row.done_at):%m月%d日 %H:%M}"
        raise UserError(f"“{row.title}”已由{who}于 {on} 办理，无需重复操作")
    if case.state == Case.CLOSED:
        raise UserError("办件已办结")
    return case, row


def open_case(
    path: str,
    *,
    title: str,
    subject: Any = "",
    applicant: Party | None = None,
    department: Party | None = None,
    data: dict[str, Any] | None = None,
    once: str | None = None,
    by: Actor,
) -> Case:
    """Begin a matter on the newest version of a path; its first work items are open on return.

    With `once` a second call (a double click) returns the first case.
    """
    pk, code, version, known = _drawn(path, once)
    if known is not None:
        return Case.objects.get(pk=known)
    way = path_of(version)
    rounds = {s.id: joint(s, 0, "") for s in way.steps.values() if s.each}
    case = Case(
        pk=pk,
        code=code,
        path=way,
        title=title[:300],
        subject=ref_of(subject) if subject else "",
        applicant=applicant,
        department=department,
        data={**rounds, **(data or {})},
        once=once,
    )
    record("case.opened", case, by=by, case=case, data={"path": way.key, "subject": case.subject})
    walk = Walk(case, by, anew=True)
    walk.advance()
    walk.save()
    return case


def step(
    item: WorkItem,
    outcome: str = "done",
    *,
    note: str = "",
    data: dict[str, Any] | None = None,
    by: Actor,
) -> Case:
    """Do a work item: of two who press at once one wins, the other is told who did.

    `data` is merged into the case's data before the path goes on (for a step that waits for a
    system it stands under the step's name). Raises UserError (already done, claimed by another,
    suspended, unknown outcome, reason missing) and Denied.
    """
    case, row = _row(item)
    walk = Walk(case, by)
    declared_step = walk.steps[row.step]
    if declared_step.kind == TIMER or not row.permission:
        raise UserError(f"“{row.title}”由系统自动继续，不需要人工办理")
    by.require(row.permission, row.department)
    if row.assignee is not None and not by.everything and row.assignee != by.party:
        raise UserError(f"“{row.title}”已由{row.assignee.name}认领，可请其转交")
    if case.state == Case.SUSPENDED:
        raise UserError("办件正在中止期间，恢复后才能继续办理")
    try:
        declared = declared_step.outcome(outcome)
    except KeyError as error:
        raise UserError(f"“{row.title}”没有“{outcome}”这个选项") from error
    if declared.reason and not note.strip():
        raise UserError(f"选择“{declared.title}”时必须写明理由")
    walk.say("stepped", **walk.finish(row, outcome, note=note, data=data), note=note)
    walk.advance()
    walk.save()
    return case


def receive(
    case: Case,
    message: str,
    data: dict[str, Any] | None = None,
    once: str | None = None,
    *,
    outcome: str = "done",
    department: str = "",
    by: Actor = SYSTEM,
) -> bool:
    """Another system's answer: used at once where the case waits for it, else kept until it does.

    A second delivery with the same `once` changes nothing. `department` (a slug) tells which branch
    of an `each` step answers. Returns whether a step was completed. Raises UserError for a message
    or an outcome that the path does not know.
    """
    row = _locked(case.pk)
    if once is not None and Answer.objects.filter(once=once).exists():
        return False
    waits = [s for s in row.path.steps.values() if s.kind == WAIT and s.message == message]
    if not waits or outcome not in {o.name for s in waits for o in s.outcomes}:
        raise UserError(f"办件 {row.code} 不接收消息“{message}”或结果“{outcome}”")
    answer = Answer.objects.create(
        case=row,
        message=message,
        department=department,
        outcome=outcome,
        data=data or {},
        once=once,
    )
    items = row.items.filter(done_at=None, step__in=[s.id for s in waits])
    if department and any(s.each for s in waits):
        items = items.filter(department__slug=department)
    found = items.select_related("department").order_by("id").first()
    if row.state != Case.OPEN or found is None:
        what = {"message": message, "department": department, "outcome": outcome}
        record("case.answer_kept", row, by=by, case=row, data=what)
        return False
    walk = Walk(row, by)
    walk.answer(found, answer)
    walk.advance()
    walk.save()
    return True


def due_timers(today: dt.date | None = None, limit: int = 1000) -> list[WorkItem]:
    """Work items whose working days have passed and whose path goes on without anybody."""
    return list(
        WorkItem.objects.filter(
            done_at=None,
            fires_on__isnull=False,
            fires_on__lt=today or timezone.localdate(),
            case__state=Case.OPEN,
        ).order_by("fires_on", "id")[:limit]
    )


def fire(item: WorkItem, *, by: Actor = SYSTEM) -> bool:
    """Let the path go on by a due timer; False where somebody was faster or the case is paused."""
    try:
        case, row = _row(item)
    except UserError:
        return False
    if case.state != Case.OPEN or row.fires_on is None or row.fires_on >= timezone.localdate():
        return False
    walk = Walk(case, by)
    walk.fire(row)
    walk.advance()
    walk.save()
    return True


def claim(item: WorkItem, *, by: Actor) -> None:
    """Take a work item out of the pool; of two who claim at once one wins, the other is told."""
    case, row = _row(item)
    by.require(row.permission, row.department)
    if by.party is None:
        raise Denied("认领须由本人登录办理")
    if row.assignee is not None:
        if row.assignee == by.party:
            return
        raise UserError(f"“{row.title}”已由{row.assignee.name}认领")
    row.assignee = item.assignee = by.party
    row.save(update_fields=["assignee"])
    record("case.claimed", case, by=by, case=case, data={"step": row.step, "title": row.title})


def hand_over(item: WorkItem, to: Party | None, reason: str, *, by: Actor) -> None:
    """Give a work item to another officer who may do it, or (`to` None) back to the pool."""
    case, row = _row(item)
    by.require(row.permission, row.department)
    if not reason.strip():
        raise UserError("转交须写明理由")
    if to is not None and not actor_of(to).may(row.permission, row.department):
        raise UserError(f"{to.name}没有办理“{row.title}”的权限，不能转交")
    row.assignee = item.assignee = to
    row.save(update_fields=["assignee"])
    told = {"to": to.ref, "to_name": to.name} if to else {"to": "", "to_name": "待办池"}
    told |= {"step": row.step, "title": row.title, "reason": reason}
    record("case.handed_over", case, by=by, case=case, data=told)


def urge(item: WorkItem, note: str = "", *, by: Actor) -> None:
    """Remind those at whose desk a work item waits; who may urge is the caller's affair."""
    case, row = _row(item)
    told: dict[str, Any] = {"step": row.step, "title": row.title, "note": note}
    told |= {"department": row.department_id, "due_on": str(row.due_on or "")}
    record("case.urged", case, by=by, case=case, data=told)


def withdraw(case: Case, reason: str, *, by: Actor) -> Case:
    """End a case at the applicant's wish, before a final decision; the caller knows who asks.

    Raises UserError where it is closed, or a step marked `final` is done.
    """
    row = _locked(case.pk)
    if row.state == Case.CLOSED:
        raise UserError("办件已办结，不能撤回")
    walk = Walk(row, by)
    final = [s.id for s in walk.steps.values() if s.final]
    if final and row.items.filter(step__in=final).exclude(done_at=None).exists():
        raise UserError("已经作出决定，不能撤回")
    if not reason.strip():
        raise UserError("撤回须写明理由")
    walk.cancel()
    row.pauses.filter(until=None).update(until=timezone.localdate())
    record("case.withdrawn", row, by=by, case=row, data={"reason": reason})
    walk.close("withdrawn")
    walk.save()
    return row


def migrate(
    case: Case, version: int, *, reason: str, steps: dict[str, str] | None = None, by: Actor
) -> Case:
    """Put a running case onto another version of its path: a visible, recorded act.

    What is done stays done; open steps go on in the new version under the same name, or under the
    one that `steps` (old → new) gives; days already running stay. Raises UserError naming the step
    that the new version does not know.
    """
    row = _locked(case.pk)
    if row.state == Case.CLOSED:
        raise UserError("办件已办结，不能迁移")
    if not reason.strip():
        raise UserError("迁移须写明理由")
    way = Path.objects.filter(key=row.path.key, version=version).first()
    if way is None or way.pk == row.path_id:
        raise UserError(f"路径“{row.path.title}”没有另外的版本 {version}")
    before, named = row.path.version, steps or {}
    walk = Walk(row, by)
    try:
        walk.move_to(way, named)
    except CannotMove as error:
        raise UserError(str(error)) from error
    for item in row.items.filter(done_at=None):
        new = walk.steps.get(named.get(item.step, item.step))
        if new is None:
            raise UserError(f"新版本没有正在办理的步骤“{item.title}”，请指定对应步骤")
        item.step, item.title = new.id, new.title
        item.permission, item.basis = new.permission, new.basis
        item.save(update_fields=["step", "title", "permission", "basis"])
    row.save(update_fields=["path"])
    told = {"from": before, "to": version, "reason": reason, "steps": named}
    record("case.migrated", row, by=by, case=row, data=told)
    walk.advance()
    walk.save()
    return row


def suspend(case: Case, *, article: str, reason: str, by: Actor) -> Pause:
    """Stop the clock, naming the article that allows it (e.g. 行政许可法第四十五条)."""
    row = Case.objects.select_for_update().get(pk=case.pk)
    if row.state != Case.OPEN:
        raise UserError(f"办件当前为“{row.get_state_display()}”，不能中止")
    if not article.strip() or not reason.strip():
        raise UserError("中止须写明依据条款和理由")
    row.state = case.state = Case.SUSPENDED
    row.save(update_fields=["state"])
    pause = Pause.objects.create(
        case=row, article=article, reason=reason, since=timezone.localdate()
    )
    record("case.suspended", row, by=by, case=row, data={"article": article, "reason": reason})
    return pause


def resume(case: Case, *, by: Actor) -> None:
    """Let the clock run on: every open due day moves by the working days of the pause.

    Answers that came during the pause are used now.
    """
    row = _locked(case.pk)
    pause = row.pauses.filter(until=None).order_by("-id").first()
    if row.state != Case.SUSPENDED or pause is None:
        raise UserError("办件没有中止")
    today = timezone.localdate()
    pause.until = today
    pause.save(update_fields=["until"])
    lost = max(remaining(today, pause.since), 0)
    open_items = list(row.items.filter(done_at=None).select_related("department"))
    for item in open_items:
        if item.due_on is not None:
            item.due_on, item.provisional = calendar().deadline(item.due_on, lost)
        if item.fires_on is not None:
            item.fires_on, _ = calendar().deadline(item.fires_on, lost)
        item.save(update_fields=["due_on", "provisional", "fires_on"])
    row.state = case.state = Case.OPEN
    row.save(update_fields=["state"])
    record("case.resumed", row, by=by, case=row, data={"working_days": lost})
    kept = row.answers.filter(used_at=None).exists()
    if kept:
        walk = Walk(row, by)
        for item in open_items:
            if walk.steps[item.step].kind == WAIT:
                walk.use_answer(item)
        walk.advance()
        walk.save()


def extend(item: WorkItem, days: int, *, article: str, reason: str, by: Actor) -> None:
    """Give an open work item more working days, naming the article that allows it."""
    row = WorkItem.objects.select_for_update(of=("self",)).select_related("case").get(pk=item.pk)
    if row.done_at is not None or row.due_on is None:
        raise UserError("该环节没有正在计时的期限")
    row.due_on, row.provisional = calendar().deadline(row.due_on, days)
    if row.fires_on is not None:
        row.fires_on, _ = calendar().deadline(row.fires_on, days)
    row.save(update_fields=["due_on", "provisional", "fires_on"])
    item.due_on = row.due_on
    told = {"step": row.step, "days": days, "article": article, "reason": reason}
    record("case.extended", row.case, by=by, case=row.case, data=told)
