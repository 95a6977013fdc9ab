"""Action: claim, hand over, tell what is missing, accept, examine, decide, deliver: each its own event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Party, WorkItem

from . import queries, rules

LISTED = {"supplement"}
ENDINGS = {"reject": rules.NOT_ACCEPTED, "refuse": rules.REFUSED}
DECIDING = ("decide", "refusal", "settle", "settle_again")


def _fresh(item: WorkItem) -> WorkItem:
    """The row as it is now, its case locked, so that of two who press at once one waits.

    The case, not the step: the kernel locks it first as well, so that nobody waits in a circle.
    """
    Case.objects.select_for_update().get(pk=item.case_id)
    return WorkItem.objects.select_related("case__path", "department", "assignee").get(pk=item.pk)


@action("desk.read")
def claim(item: WorkItem, *, by: Actor) -> None:
    """Take a step out of the pool; of two who press at once one has it, the other is told whose it is."""
    row = _fresh(item)
    if by.party is not None and row.assignee_id == by.party.pk:
        raise UserError(f"“{row.title}”已由您认领")
    cases.claim(row, by=by)


@action("desk.read")
def release(item: WorkItem, *, by: Actor) -> None:
    """Put a claimed step back into the pool."""
    row = _fresh(item)
    if row.assignee is None:
        raise UserError(f"“{row.title}”没有人认领")
    _not_anothers(row, by)
    cases.hand_over(row, None, "放回待办池", by=by)


@action("desk.read")
def hand_over(item: WorkItem, to: Party, reason: str, *, by: Actor) -> None:
    """Give a step to a colleague who may do it: by whoever claimed it, or by the head (`desk.assign`).

    Raises UserError without a reason, and where the colleague has no post for it.
    """
    row = _fresh(item)
    if not by.may("desk.assign", row.department):
        _not_anothers(row, by)
    cases.hand_over(row, to, reason, by=by)


def _not_anothers(item: WorkItem, by: Actor) -> None:
    """Whoever claimed a step does it, or who stands in for him on leave. Raises UserError."""
    if item.assignee is None or by.everything or by.party is None:
        return
    if queries.holding(by, item) != queries.OTHER:
        return
    raise UserError(f"“{item.title}”已由{item.assignee.name}认领，需要由您办理时请先办理交接")


def _stand_in(item: WorkItem, by: Actor) -> None:
    """A step claimed by somebody on leave comes to the colleague who fills his post; both on record."""
    _not_anothers(item, by)
    absent = item.assignee
    if absent is not None and by.party is not None and absent.pk != by.party.pk:
        cases.hand_over(item, by.party, f"{absent.name}请假，由{by.name}代理", by=by)
        told = {"item": item.pk, "step": item.step, "title": item.title}
        whom = {"absent": absent.ref, "absent_name": absent.name}
        record("application.stood_in", item.case, by=by, case=item.case, data={**told, **whom})


@action("desk.read")
def work(
    item: WorkItem,
    outcome: str,
    *,
    note: str = "",
    missing: Iterable[Mapping[str, Any]] = (),
    elements: Mapping[str, Any] | None = None,
    seen: int | None = None,
    by: Actor,
) -> Case:
    """Do one step of an application: the one door for accept, 补正, opinion, decision and delivery.

    `missing` is the list for a 补正 (told once, so whole); `elements` complete the licence at
    delivery; `seen` is the mark (`queries.mark`) of what the officer looked at: where it changed
    meanwhile, nothing is done. Of two who press at once one wins and the other is told who did it.
    Raises UserError and Denied.
    """
    row = _fresh(item)
    by.require(row.permission, row.department)
    if seen is not None and row.done_at is None and queries.mark(by, row.case) != seen:
        raise UserError("您查看之后这件有了变化，请打开重新查看")
    if row.done_at is None:
        _stand_in(row, by)
    case = row.case
    if not case.subject.startswith(queries.SUBJECT):
        raise UserError("这不是政务服务办件")
    if outcome in LISTED:
        return _tell_missing(row, missing, note, by)
    if row.step == "deliver" and outcome == "deliver":
        return _deliver(row, elements or {}, note, by)
    _four_eyes(row, by)
    data: dict[str, Any] = {}
    ending = ENDINGS.get(outcome)
    if ending is not None and row.declared.permission in ("desk.accept", "desk.decide"):
        data["resolution"] = _decision(row, ending, note, by)
    if ending is not None and row.step in DECIDING:
        data["resolution"] = _decision(row, ending, note, by)
    if outcome == "grant" and row.step in DECIDING:
        data["resolution"] = _decision(row, rules.GRANTED, note, by)
    done = cases.step(row, outcome, note=note, data=data, by=by)
    if "resolution" in data:
        record("application.decided", done, by=by, case=done, data=_told(data["resolution"]))
    if outcome == "grant" and row.step in DECIDING:
        _deliver_at_once(done, by)
        done.refresh_from_db()
    return done


def _told(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "outcome": decision["title"],
        "reason": decision["reason"],
        "rule": decision["rule"],
        "result": decision["result"],
    }


def _decision(row: WorkItem, result: str, note: str, by: Actor, rule: str = "") -> dict[str, Any]:
    remedy = str(queries.settings()["remedies"].get(result, ""))
    return rules.decision(
        result,
        reason=note,
        basis=row.basis,
        remedy=remedy,
        on=timezone.localdate(),
        by=str(row.case.department or by.name),
        rule=rule,
    )


def _four_eyes(row: WorkItem, by: Actor) -> None:
    """Whoever examined an application does not decide it."""
    if row.step != "decide" or by.party is None:
        return
    before = queries.reviewer(row.case)
    if before is not None and before.pk == by.party.pk:
        raise UserError("审查人不能同时作出决定，请由另一位有决定权的工作人员办理")


def _tell_missing(
    row: WorkItem, missing: Iterable[Mapping[str, Any]], note: str, by: Actor
) -> Case:
    try:
        told = rules.missing(missing)
    except rules.BadList as wrong:
        raise UserError(str(wrong)) from wrong
    words = rules.in_words(told)
    data = {
        "supplement": {
            "items": told,
            "note": note.strip(),
            "told_at": timezone.now().isoformat(),
            "by": str(row.department or by.name),
        }
    }
    done = cases.step(row, "supplement", note=note.strip() or words, data=data, by=by)
    record("application.sent_back", done, by=by, case=done, data={"note": words})
    return done


# ---- the result ----------------------------------------------------------------------------


def _deliver(row: WorkItem, given: Mapping[str, Any], note: str, by: Actor) -> Case:
    """Issue the licence (once a case, whatever fails between) and hand the result out, in one transaction."""
    case = row.case
    data: dict[str, Any] = {}
    if not case.data.get("resolution"):  # a rule decided
        verdict = queries.verdict_of(case)
        data["resolution"] = _decision(row, rules.GRANTED, verdict.reason, by, verdict.words)
    done = cases.step(row, "deliver", note=note, data=data, by=by)
    if data:
        record("application.decided", done, by=by, case=done, data=_told(data["resolution"]))
    licence = None
    wanted = queries.wanted(by, done)
    if wanted is not None:
        elements = {**wanted.elements, **{k: v for k, v in given.items() if v}}
        lacking = [t for n, t in wanted.lacking if not elements.get(n)]
        if lacking:
            raise UserError(f"制证还缺少：{'、'.join(lacking)}，请在“制证送达”中补齐")
        licence = _given(done, wanted, elements, by)
    if queries.filed(done, by):
        own = licence is None or licence.grant.grantee_id == done.applicant_id
        told = note or ("" if own else "新的证照已发给申请表中的权利人")
        hall.deliver(done, licence if own else None, told, by=by)
    record(
        "application.result_given", done, by=by, case=done,
        data={"outcome": wanted.title if wanted else "", "note": note},
    )  # fmt: skip
    return done


def _given(
    case: Case, wanted: queries.Wanted, elements: Mapping[str, Any], by: Actor
) -> licences.Licence:
    """The licence that a case ends in: a new one, or the next version of the one that is renewed.

    Of two renewals at once the second finds it renewed and adds nothing: no year is given twice.
    """
    if wanted.wrong:
        raise UserError(wanted.wrong)
    if wanted.held is None:
        if wanted.ends is not None:
            reason = f"{str(case.title).partition('（')[0]}（办件 {case.code}）"
            licences.end_licence(wanted.ends, ending="annulled", reason=reason, by=SYSTEM)
        holder = None if wanted.anothers else case.applicant
        return licences.issue(wanted.kind, holder, elements, case=case, once=case.ref, by=by)
    if wanted.renewed:
        return wanted.held
    return licences.change_licence(
        wanted.held, elements, why=str(case.title).partition("（")[0], case=case, by=by
    )


def _deliver_at_once(case: Case, by: Actor) -> None:
    """Deliver together with the decision where nothing more is to be filled in and `by` may issue."""
    row = case.items.filter(step="deliver", done_at=None).first()
    if row is None:
        return
    row.case = case
    try:
        with transaction.atomic():
            _deliver(row, {}, "", by)
    except (UserError, Denied) as wait:
        record("application.result_waits", case, by=by, case=case, data={"message": str(wait)})


@action(None)
def deliver_by_rule(case: Case, *, by: Actor) -> None:
    """Hand out what a decision table granted; called again nothing is left to do. Raises Denied."""
    if not by.everything:
        raise Denied("只有系统按规则送达")
    locked = Case.objects.select_for_update().get(pk=case.pk)
    record(
        "application.ruled",
        locked,
        by=by,
        case=locked,
        data={"rule": queries.verdict_of(locked).words},
    )
    _deliver_at_once(locked, by)


def on_case_decided(event: Event) -> None:
    """A table has granted an application at its filing: the result follows at once, day or night."""
    case = Case.objects.filter(
        pk=event.case_id_ref or 0, subject__startswith=queries.SUBJECT
    ).first()
    if case is None or case.state != Case.OPEN or not queries.verdict_of(case).decides:
        return
    if case.items.filter(step="deliver", done_at=None).exists() and not case.data.get("resolution"):
        deliver_by_rule(case, by=SYSTEM)


# ---- many at once, clocks --------------------------------------------------------------------


def decide_together(
    items: Sequence[WorkItem],
    outcome: str,
    *,
    note: str,
    seen: Mapping[int, int] | None = None,
    by: Actor,
) -> list[tuple[WorkItem, str]]:
    """Do the same step of like cases with the same outcome, each with a transaction and events of its own.

    `seen` holds each step's mark as the officer saw it (by the step's number): what changed
    meanwhile is left out. Returns each item with what went wrong (empty where it went well). Raises
    UserError where the cases are not alike.
    """
    if not items:
        raise UserError("请先勾选办件")
    if not rules.alike([(i.case.subject, i.step) for i in items]):
        raise UserError("只能批量办理同一事项、同一环节的办件")
    if outcome in LISTED:
        raise UserError("补正须逐件告知，不能批量办理")
    told: list[tuple[WorkItem, str]] = []
    for item in items:
        try:
            mark = (seen or {}).get(item.pk)
            work(item, outcome, note=note, seen=mark, by=by)
            told.append((item, ""))
        except (UserError, Denied) as wrong:
            told.append((item, str(wrong)))
    return told


def _led_by(case: Case, *args: Any, **kwargs: Any) -> Party | None:
    return case.department


@action("desk.review", department=_led_by)
def suspend_case(case: Case, cause: str, reason: str, *, by: Actor) -> None:
    """Stop the clock for a hearing, experts or a test, by the article that allows it."""
    if not reason.strip():
        raise UserError("请写明中止的说明和所需时间，它会告知申请人")
    found = next((p for p in queries.settings()["pauses"] if p["code"] == cause), None)
    if found is None:
        raise UserError("请选择法律允许的中止事由")
    cases.suspend(case, article=f"{found['article']}（{found['title']}）", reason=reason, by=by)


@action("desk.review", department=_led_by)
def resume_case(case: Case, *, by: Actor) -> None:
    """Let the clock run on; the days of the pause do not count."""
    cases.resume(case, by=by)


def _step_desk(item: WorkItem, *args: Any, **kwargs: Any) -> Party | None:
    return item.department


@action("desk.decide", department=_step_desk)
def extend_limit(item: WorkItem, reason: str, days: int | None = None, *, by: Actor) -> None:
    """Give the decision more working days, at most ten, once, by the head of the organ.

    行政许可法 art. 42; the reason is told to the applicant. Raises UserError.
    """
    told = queries.settings()["extension"]
    most = int(told["days"])
    if not reason.strip():
        raise UserError("延长期限须写明理由，并告知申请人")
    if days is not None and not 1 <= days <= most:
        raise UserError(f"最多延长 {most} 个工作日（{told['article']}）")
    if Event.objects.filter(case_id_ref=item.case_id, kind="case.extended").exists():
        raise UserError("办理期限已经延长过一次，不能再延长")
    if item.declared.clock != "decision":
        raise UserError("只有审查和决定的期限可以延长")
    cases.extend(item, days or most, article=str(told["article"]), reason=reason, by=by)


@action("desk.accept")
def accept_by_law(item: WorkItem, *, by: Actor) -> Case:
    """Accept what nobody answered within five working days: the law says that it is accepted."""
    told = queries.settings()["deemed"]
    return cases.step(item, "accept", note=f"{told['text']}（{told['article']}）", by=by)


def accept_late() -> int:
    """Accept every first receipt whose days have passed; returns how many."""
    count = 0
    for item in queries.late_receipts():
        try:
            accept_by_law(item, by=SYSTEM)
            count += 1
        except UserError:  # an officer was quicker
            continue
    return count


__all__ = [
    "accept_by_law",
    "accept_late",
    "claim",
    "decide_together",
    "deliver_by_rule",
    "extend_limit",
    "hand_over",
    "on_case_decided",
    "release",
    "resume_case",
    "suspend_case",
    "work",
]
