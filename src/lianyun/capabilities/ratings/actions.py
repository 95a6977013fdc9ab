"""Action: rate once, work on a bad rating, call back, settle an appeal."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, WorkItem

from . import queries, rules
from .models import CallBack, Rating, Visit

PATH = "rating_rework"
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 10
CALLS = ("call_back", "call_back_again")
ANSWERS = {
    "void": "经复核，这条评价不计入统计",
    "reworked": "已整改并回访",
    "explained": "已整改，并作出书面说明",
    "unreached": "已整改，多次回访没有联系上您",
}
"""What the rater is told at the end of a rework, by the path's outcome."""


def _told(level: str, tags: Iterable[str], text: str) -> rules.Told:
    try:
        return rules.told(level, tags, text, queries.settings()["tags"])
    except rules.BadRating as wrong:
        raise UserError(str(wrong)) from wrong


@action(None)
def rate_case(
    case: Case, level: str, *, tags: Iterable[str] = (), text: str = "", channel: str, by: Actor
) -> Rating:
    """Rate a closed matter, once, by its applicant or whoever may apply for the applicant.

    Levels 4 and 5 open a rework at the department in the same transaction. Raises Denied for
    everybody else, UserError before the end and the second time.
    """
    if not queries.may_rate(by, case):
        raise Denied("只有申请人（或其代理人）可以评价")
    row = Case.objects.select_for_update().get(pk=case.pk)
    if row.state != Case.CLOSED:
        raise UserError("办结后才能评价")
    if row.outcome == "withdrawn":
        raise UserError("撤回的申请不评价")
    if Rating.objects.filter(case=row).exists():
        raise UserError("这件事已经评价过，一事一评")
    if row.department is None:
        raise UserError("这件事没有办理部门，不能评价")
    told = _told(level, tags, text)
    made = Rating.objects.create(
        case=row,
        department=row.department,
        item=row.subject.removeprefix("item:")[:80],
        level=told.level,
        tags=list(told.tags),
        text=told.text,
        channel=channel if channel in rules.CHANNELS else "pc",
        by=row.applicant,
    )
    _begin(made, by)
    return made


@action(None)
def rate_visit(
    code: str, level: str, *, tags: Iterable[str] = (), text: str = "", channel: str, by: Actor
) -> Rating:
    """Rate a visit by its code, once, within its hours. Raises UserError for any other code."""
    told = _told(level, tags, text)
    visit = (
        Visit.objects.select_for_update(of=("self",))
        .filter(code_hash=queries.hash_of(code), expires_at__gt=timezone.now())
        .first()
    )
    if visit is None:
        raise UserError("评价码不存在或已过期")
    try:
        with transaction.atomic():
            made = Rating.objects.create(
                visit=visit,
                department=visit.department,
                item=visit.item,
                window=visit.window,
                level=told.level,
                tags=list(told.tags),
                text=told.text,
                channel=channel if channel in rules.CHANNELS else "qr",
                by=by.party,
            )
    except IntegrityError as twice:
        raise UserError("这次办理已经评价过，一次一评") from twice
    _begin(made, by)
    return made


def _begin(rating: Rating, by: Actor) -> None:
    record(
        "rating.given", rating, by=by, case=rating.case,
        data={"level": rating.level, "outcome": rating.get_level_display()},
    )  # fmt: skip
    if rating.level not in rules.BAD:
        return
    rating.rework = cases.open_case(
        PATH,
        title=f"差评整改：{rating.case.title if rating.case else rating.window or '窗口服务'}",
        subject=rating,
        department=rating.department,
        data={"level": rating.level},
        once=rating.ref,
        by=by,
    )
    rating.save(update_fields=["rework"])


def _own_department(department: Party, *args: object, **kwargs: object) -> Party:
    return department


@action("ratings.invite")
def open_visit(department: Party, *, window: str, item: str = "", by: Actor) -> tuple[Visit, str]:
    """A code for one visitor at a window; the code is told once and kept as its keyed hash."""
    if not window.strip():
        raise UserError("请填写窗口名称或编号")
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    hours = int(queries.settings()["visit"]["hours"])
    made = Visit.objects.create(
        code_hash=queries.hash_of(code),
        department=department,
        officer=by.party,
        window=window.strip()[:40],
        item=item.strip()[:80],
        expires_at=timezone.now() + dt.timedelta(hours=hours),
    )
    record("visit.opened", made, by=by, data={"outcome": made.window})
    return made, code


def _locked(rating: Rating) -> tuple[Rating, WorkItem]:
    if rating.rework_id is None:
        raise UserError("这条评价不需要整改")
    Case.objects.select_for_update().get(pk=rating.rework_id)
    row = Rating.objects.select_related("rework", "department").get(pk=rating.pk)
    assert row.rework is not None
    item = row.rework.items.filter(done_at=None).select_related("case__path", "department").first()
    if item is None:
        raise UserError("这件差评整改已经办结")
    return row, item


@action("ratings.read")
def work(rating: Rating, step: str, outcome: str, *, note: str, by: Actor) -> Case:
    """Do one step of a rework (not the call-back); an upheld appeal takes the rating out of the score.

    `step` is what the page showed: of two who press at once the second is told.
    """
    row, item = _locked(rating)
    if item.step != step:
        raise UserError("这一步已经由同事办理，请看最新情况")
    if item.step in CALLS:
        raise UserError("请登记回访记录")
    done = cases.step(item, outcome, note=note, by=by)
    if done.outcome == "void":
        row.void = True
        row.save(update_fields=["void"])
        record("rating.voided", row, by=by, case=done, data={"reason": note})
    _answered(row, done, by)
    return done


def _answered(rating: Rating, rework: Case, by: Actor) -> None:
    """Who gave the rating is to hear what came of it."""
    if rework.state != Case.CLOSED or rating.by is None:
        return
    told = {
        "to": rating.by.ref,
        "item_name": rating.case.title if rating.case else rating.window or "窗口服务",
        "department_name": str(rating.department),
        "result": ANSWERS.get(rework.outcome, "已办结"),
    }
    record("rating.answered", rating, by=by, case=rework, data=told)


@action("ratings.rework")
def call_back(
    rating: Rating, *, reached: bool, satisfied: bool | None, note: str, by: Actor
) -> CallBack:
    """Keep a call-back: whoever was reached says whether it is good now; nobody reached, try again."""
    row, item = _locked(rating)
    by.require("ratings.rework", row.department)
    if item.step not in CALLS:
        raise UserError("整改完成后才能回访")
    if not note.strip():
        raise UserError("请写明回访情况")
    if reached and satisfied is None:
        raise UserError("请登记评价人是否满意")
    opened = item.opened_at
    before = row.calls.filter(reached=False, at__gte=opened).count()
    made = CallBack.objects.create(
        rating=row,
        by=by.party,
        reached=reached,
        satisfied=satisfied if reached else None,
        note=note.strip()[:500],
    )
    tries = int(queries.settings()["limits"]["tries"])
    outcome = rules.called_back(reached, satisfied, before, tries)
    record("rating.called_back", row, by=by, case=row.rework, data={"reached": reached})
    if outcome:
        _answered(row, cases.step(item, outcome, note=note.strip(), by=by), by)
    return made


__all__ = ["call_back", "open_visit", "rate_case", "rate_visit", "work"]
