"""Needs: what the catalogue does not cover yet, from the posting to the first share (art. 19, 20)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.clock import remaining
from lianyun.kernel.models import Case, Resource, WorkItem

from .. import queries, rules
from .terms import set_term, waiting

PATH = "need"
MOST_DAYS = 120
"""Working days: the longest that a source department may take to compile an entry."""


@action("sharing.request")
def post_need(*, need: rules.Need, by: Actor) -> Case:
    """A department says which data items it lacks, and for which item of its duties (art. 20)."""
    applicant = by.department
    if applicant is None:
        raise UserError("请先选择所代表的部门")
    by.require("sharing.request", applicant)
    wrong = rules.need_problems(need)
    if wrong:
        raise UserError("；".join(wrong.values()))
    return cases.open_case(
        PATH,
        title=f"{applicant.short or applicant.name}需要“{need.title.strip()}”",
        subject=f"need:{applicant.slug}",
        applicant=applicant,
        data={"need": need.as_data()},
        by=by,
    )


def _published(name: str) -> Resource:
    found = (
        Resource.objects.filter(Q(name=name) | Q(code=name) | Q(title=name))
        .filter(kind__in=[Resource.DATASET, Resource.LIBRARY], state=Resource.PUBLISHED)
        .order_by("kind", "pk")
        .first()
    )
    if found is None:
        raise UserError("请选择目录中已发布的数据")
    return found


def _days_until(data: Mapping[str, Any]) -> int:
    try:
        on = dt.date.fromisoformat(str(data.get("by_day") or ""))
    except ValueError as wrong:
        raise UserError("请填写承诺完成目录编制的日期") from wrong
    days = remaining(on, timezone.localdate())
    if days < 1:
        raise UserError("承诺日期应晚于今天")
    return days


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a need.

    `data`: on assign `department` (a slug), or `resource` where the catalogue has it already; on
    accept `by_day` (the promised day, ISO); on compile `resource` (the published entry's name).
    """
    case = item.case
    changes: dict[str, Any] = {}
    days = 0
    if outcome == "shared":
        raise UserError("首次共享由系统在数据开通时登记")
    if item.step == "assign" and outcome == "assign":
        party = next((d for d in queries.departments(by) if d.slug == data.get("department")), None)
        if party is None:
            raise UserError("请选择数源部门")
        if party == case.applicant:
            raise UserError("数源部门不能是提出需求的部门")
        Case.objects.filter(pk=case.pk).update(department=party)
        changes["source"] = party.slug
    if outcome == "exists":
        changes["resource"] = _published(str(data.get("resource") or "").strip()).name
    if item.step == "accept" and outcome == "accept":
        days = _days_until(data)
        changes["by_day"] = str(data["by_day"])
    if item.step == "compile":
        entry = _published(str(data.get("resource") or "").strip())
        if entry.owner_id != case.department_id:
            raise UserError("所选数据不是本部门提供的")
        changes["resource"] = entry.name
    done = cases.step(item, outcome, note=note, data=changes or None, by=by)
    compile_ = waiting(done, "compile")
    if days and compile_ is not None:
        set_term(
            compile_,
            days,
            most=MOST_DAYS,
            article="条例第十九条",
            reason="数源部门承诺的完成日期",
            by=by,
        )
    return done


def note_first_share(share: Case, by: Actor) -> int:
    """Close the needs that a delivered request of the same department meets; returns how many."""
    names = [p.resource.name for p in queries.parts_of(by, share) if not p.refused]
    met = 0
    waiting_ = Case.objects.filter(
        path__key=PATH, applicant=share.applicant, data__resource__in=names, state=Case.OPEN
    )
    for case in waiting_:
        item = waiting(case, "follow")
        if item is None:
            continue
        told = {"share": share.code}
        # The step is the receiver's; what fulfils it is the provider's delivery, hence SYSTEM.
        cases.step(item, "shared", note=f"申请 {share.code} 已开通", data=told, by=SYSTEM)
        met += 1
    return met
