"""Reviewing: a line looked at again by who holds its data, papers checked, objections to the list settled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, WorkItem

from ..models import Registration, Round
from ..queries import officers, rounds
from ..rules import calendar
from ..rules.points import PAPER, Known
from .registering import guarded, hold_step, locked, recount

OPEN = (calendar.REGISTER, calendar.CHECK, calendar.OBJECT)
"""Until the ranking is published a line may be looked at again."""


@action(None)
def ask_review(row: Registration, line: str, *, reason: str, by: Actor) -> Case:
    """A guardian asks that a line be looked at again; it goes to the department that holds the data.

    One open review a line. Raises UserError where the ranking is published already.
    """
    guarded(row, by)
    hold_step(row.round)
    held = locked(row)
    if held.filed_at is None or held.out_at is not None:
        raise UserError("登记还没有提交，或者已经退出")
    if rounds.phase(by, held.round) not in OPEN:
        raise UserError("位次已经公布，不能再申请复核")
    scheme = rounds.scheme_of(held.round)
    rule = scheme.line(line)
    if rule is None:
        raise UserError("没有这个积分项")
    if not reason.strip():
        raise UserError("请写明哪里不对、依据是什么")
    open_cases = Case.objects.exclude(state=Case.CLOSED).filter(
        subject=held.ref, path__key=rounds.REVIEW, data__line=line
    )
    if open_cases.exists():
        raise UserError("这一项的复核还在办理，请等待答复")
    department = rounds.department_of(by, rule.department) or held.round.department
    case = cases.open_case(
        rounds.REVIEW,
        title=f"积分复核：{rule.title}（{held.number}）",
        subject=held.ref,
        applicant=held.guardian,
        department=department,
        data={
            "round": held.round.code,
            "line": line,
            "line_title": rule.title,
            "reason": reason.strip()[:500],
            "review_days": scheme.review_days,
        },
        by=by,
    )
    told = {"line": rule.title, "department": department.short or department.name}
    record("enrolment.review_asked", held, by=by, case=case, data=told)
    return case


def _corrections(
    row: Registration, line: str, values: Mapping[str, str], source: str
) -> dict[str, Known]:
    """The facts of a line as an officer gives them; raises UserError for what is none."""
    scheme = rounds.scheme_of(row.round)
    rule = scheme.line(line)
    if rule is None:
        raise UserError("没有这个积分项")
    today, out = f"{timezone.localdate():%Y-%m-%d}", {}
    for name in rule.facts if not rule.paper else (*rule.facts, rule.id):
        text = str(values.get(name, "")).strip()
        if not text:
            continue
        fact = scheme.facts.get(name)
        out[name] = Known(name, _value(fact, text), PAPER, source, today)
    if not out:
        raise UserError("请填写核实后的内容")
    return out


def _value(fact: Any, text: str) -> Any:
    if fact is not None and fact.shape:
        try:
            return dt.date.fromisoformat(text).isoformat()
        except ValueError as wrong:
            raise UserError(f"“{fact.title}”应为日期，如 2020-09-01") from wrong
    if fact is not None and fact.take in ("least", "newest") and not text.isdigit():
        return text[:40]
    try:
        number = int(text)
    except ValueError as wrong:
        raise UserError("请填写整数") from wrong
    if not 0 <= number <= 1200:
        raise UserError("填写的数超出范围")
    return text if fact is not None and fact.take == "least" else number


@action(None)
def answer_review(
    item: WorkItem, outcome: str, *, note: str, values: Mapping[str, str] | None = None, by: Actor
) -> Case:
    """The department answers a review: its data stand, or are corrected and the points counted anew.

    Raises UserError (answered already, nothing to correct) and Denied.
    """
    row = officers.of_case(by, item.case)
    if row is None:
        raise UserError("没有这份登记")
    held = locked(row)
    line = str(item.case.data["line"])
    if outcome == "corrected":
        by.require("enrolment.review", item.department)
        name = item.department.short if item.department is not None else ""
        found = _corrections(held, line, values or {}, f"{name}复核更正")
        recount(held, found)
        held.save(update_fields=["sealed", "points", "ties", "town"])
    case = cases.step(item, outcome, note=note, by=by)
    told = {
        "to": held.guardian.ref,
        "round": held.round.title,
        "line": item.case.data["line_title"],
        "answer": "已更正" if outcome == "corrected" else "维持",
        "points": held.shown_points,
        "code": held.code,
    }
    record("enrolment.review_answered", held, by=by, case=case, data=told)
    return case


@action(None)
def check_papers(
    item: WorkItem,
    outcome: str,
    *,
    note: str = "",
    values: Mapping[str, str] | None = None,
    by: Actor,
) -> Case:
    """What no source could prove was looked at: counted, sent back once, or the child is not admitted.

    `values` are what the papers show, by the id of a paper line. Raises UserError and Denied.
    """
    by.require("enrolment.check", item.department)
    row = officers.of_case(by, item.case)
    if row is None:
        raise UserError("没有这份登记")
    held = locked(row)
    told = {k: v for k, v in (values or {}).items() if str(v).strip()}
    if outcome == "pass" and told:
        name = held.round.department.short or held.round.department.name
        for line in list(told):
            recount(held, _corrections(held, line, {line: told[line]}, f"{name}核对材料"))
        held.save(update_fields=["sealed", "points", "ties", "town"])
    data = None
    if outcome == "supplement":
        data = {
            "supplement": {
                "items": [{"material": "honours", "name": "表彰证书", "what": note[:200]}],
                "note": note,
                "told_at": timezone.now().isoformat(),
            }
        }
    case = cases.step(item, outcome, note=note, data=data, by=by)
    if outcome == "reject":
        held.out_at, held.out_why = timezone.now(), note[:200]
        held.save(update_fields=["out_at", "out_why"])
    done = {"outcome": outcome, "points": held.shown_points}
    record("enrolment.papers_checked", held, by=by, case=case, data=done)
    return case


@action(None)
def object_to(found: Round, number: str, *, reason: str, by: Actor) -> Case:
    """Somebody who is logged in by name objects to a published number within the days of objection."""
    if by.party is None:
        raise UserError("异议须实名提出，请先登录")
    hold_step(found)
    today = timezone.localdate()
    if rounds.phase(by, found) != calendar.OBJECT or (
        found.objections_until is not None and today > found.objections_until
    ):
        raise UserError("现在不在积分公示的异议期内")
    row = rounds.entered(by, found).filter(number=number.strip().upper()).first()
    if row is None:
        raise UserError("公示名单中没有这个编号")
    if not reason.strip():
        raise UserError("请写明事实和线索")
    before = Case.objects.filter(
        path__key=rounds.OBJECTION, applicant=by.party, subject=row.ref
    ).exclude(state=Case.CLOSED)
    if before.exists():
        raise UserError("您对这个编号的异议正在办理")
    case = cases.open_case(
        rounds.OBJECTION,
        title=f"积分公示异议（{row.number}）",
        subject=row.ref,
        applicant=by.party,
        department=found.department,
        data={
            "round": found.code,
            "number": row.number,
            "reason": reason.strip()[:500],
            "review_days": rounds.scheme_of(found).review_days,
        },
        by=by,
    )
    record("enrolment.objected", found, by=by, case=case, data={"number": row.number})
    return case


@action(None)
def settle_objection(item: WorkItem, outcome: str, *, note: str, by: Actor) -> Case:
    """An objection is answered; one that is upheld takes the registration out of the round."""
    row = officers.of_case(by, item.case)
    if row is None:
        raise UserError("没有这份登记")
    held = locked(row)
    case = cases.step(item, outcome, note=note, by=by)
    if outcome == "upheld" and held.out_at is None:
        held.out_at, held.out_why = timezone.now(), f"公示异议成立：{note}"[:200]
        held.save(update_fields=["out_at", "out_why"])
        _close(held)
    told = {
        "to": case.applicant.ref if case.applicant is not None else "",
        "round": held.round.title,
        "number": held.number,
        "answer": "成立" if outcome == "upheld" else "不成立",
    }
    record("enrolment.objection_answered", held, by=by, case=case, data=told)
    return case


def _close(row: Registration) -> None:
    """End the hall's case of a registration that was taken out."""
    if row.case is not None and row.case.state != Case.CLOSED:
        cases.receive(
            row.case, "enrolment_result", once=f"{row.ref}:out", outcome="removed", by=SYSTEM
        )


__all__ = ["answer_review", "ask_review", "check_papers", "object_to", "settle_objection"]
