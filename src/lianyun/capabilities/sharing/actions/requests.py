"""Requests: ask for data, walk the request's steps, extend, issue and deliver (art. 20 to 22)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from lianyun.capabilities.services import api as services
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Grant, Resource, WorkItem

from .. import queries, rules

REQUEST, EXTENSION = "share_request", "share_extension"


@action("sharing.request")
def request_share(
    *, resource: Resource, request: rules.Request, by: Actor, once: str | None = None
) -> Case:
    """Ask for a dataset or library for the actor's own department (art. 20).

    Raises UserError where the data are not shared (with the legal basis), are the department's own,
    are asked for already, or where the request is incomplete (everything missing in one message).
    """
    applicant = by.department
    if applicant is None:
        raise UserError("请先选择所代表的部门")
    by.require("sharing.request", applicant)
    kind = rules.share_type(resource.terms)
    if kind == rules.FORBIDDEN:
        basis = rules.share_of(resource.terms).get("basis") or "目录载明的法律、行政法规依据"
        raise UserError(
            f"“{resource.title}”属于不予共享数据，不能申请。依据：{basis}（《政务数据共享条例》第十四、十五条）"
        )
    if resource.kind not in (Resource.DATASET, Resource.LIBRARY):
        raise UserError("只能申请数据集或基础库")
    if resource.state != Resource.PUBLISHED:
        raise UserError(f"“{resource.title}”目录尚未发布或已撤销，不能申请")
    if resource.owner_id == applicant.pk:
        raise UserError("这是本部门提供的数据，无需申请")
    if once is not None:
        found = Case.objects.filter(once=once).first()
        if found is not None:
            record("request.repeated", found, by=by, case=found)
            return found
    waiting = Case.objects.filter(
        path__key=REQUEST, subject=resource.ref, applicant=applicant
    ).exclude(state=Case.CLOSED)
    if other := waiting.first():
        raise UserError(f"本部门对该数据已有在办申请（{other.code}），请勿重复申请")
    known = [f.name for f in services.fields(by, resource)]
    wrong = rules.problems(request, known, timezone.localdate())
    if wrong:
        raise UserError("；".join(wrong.values()))
    return cases.open_case(
        REQUEST,
        title=f"{applicant.short or applicant.name}申请使用“{resource.title}”",
        subject=resource,
        applicant=applicant,
        department=resource.owner,
        data={"share_type": kind, "resource": resource.name, "request": request.as_data()},
        once=once,
        by=by,
    )


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a request.

    `data` may hold `allowed` (what the provider grants: fields, plain, until, calls_per_day,
    disposal) on an answer, and `request` (the completed request) on a supplement.
    """
    case = item.case
    changes: dict[str, Any] = {}
    if outcome == "supplement" and case.items.filter(outcome="supplement").exists():
        raise UserError("补充材料应当一次性告知，不能再次要求补充（条例第二十一条）")
    if item.step == "supplement" and outcome == "submit" and data.get("request"):
        request = data["request"]
        known = [f.name for f in services.fields(by, queries.resource_of(by, case))]
        wrong = rules.problems(request, known, timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        changes["request"] = request.as_data()
    if item.step.startswith("answer_") and outcome == "agree" and data.get("allowed"):
        asked = rules.Request.of(case.data["request"])
        granted = rules.narrowed(asked, data["allowed"])
        wrong = rules.problems(granted, [*asked.fields, *asked.scope], timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        changes["allowed"] = granted.as_data()
        changes["disposal"] = str(data["allowed"].get("disposal", ""))[:500]
    if item.step == "deliver":
        _deliver(case, by)
    done = cases.step(item, outcome, note=note, data=changes or None, by=by)
    if item.step == "approve" and outcome == "agree":
        _issue(done, by)
    return done


def _issue(case: Case, by: Actor) -> Grant:
    """The approval becomes a right, limited to fields, purpose, calls and time."""
    resource = queries.resource_of(by, case)
    granted = rules.Request.of(case.data.get("allowed") or case.data["request"])
    if granted.until < timezone.localdate():
        raise UserError("申请的使用时限已过，请退回由申请部门重新申请")
    masks = services.masks(by, resource, granted.plain)
    end = timezone.make_aware(dt.datetime.combine(granted.until + dt.timedelta(days=1), dt.time()))
    assert case.applicant is not None
    return grants.issue(
        kind="data",
        to=case.applicant,
        grantor=case.department,
        resource=resource,
        case=case,
        terms=rules.grant_terms(granted, masks, case.data.get("disposal", "")),
        code=f"GX-{case.code}",
        once=f"share:{case.code}",
        valid_to=end,
        by=by,
    )


def _deliver(case: Case, by: Actor) -> None:
    grant = Grant.objects.filter(once=f"share:{case.code}").first()
    if grant is None:
        raise UserError("授权尚未签发")
    services.open_service(source=queries.resource_of(by, case), by=by)
    services.issue_client(grant=grant, by=by)


@action("sharing.answer")
def ask_extension(*, case: Case, days: int, reason: str, by: Actor) -> Case:
    """The provider asks the bureau for more time to answer: at most 10 working days, once (art. 21)."""
    by.require("sharing.answer", case.department)
    if not 1 <= days <= rules.MOST_EXTENSION_DAYS:
        raise UserError("延长的时间不得超过 10 个工作日（条例第二十一条）")
    if len(reason.strip()) < 5:
        raise UserError("请写明延长答复的理由")
    if queries.waiting_answer(case) is None:
        raise UserError("该申请没有正在计时的答复环节")
    if Case.objects.filter(path__key=EXTENSION, subject=case.ref).exists():
        raise UserError("该申请已经申请过延期，不能再次延期")
    return cases.open_case(
        EXTENSION,
        title=f"申请 {case.code} 答复延长 {days} 个工作日",
        subject=case,
        applicant=case.department,
        department=case.department,
        data={"days": days, "reason": reason, "case": case.code},
        once=f"extension:{case.code}",
        by=by,
    )


def decide_extension(
    item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor
) -> Case:
    """The bureau decides whether the provider gets more time; the applicant is told."""
    done = cases.step(item, outcome, note=note, by=by)
    asked = Case.objects.select_related("path", "applicant").get(code=done.data["case"])
    days, reason = int(done.data["days"]), str(done.data["reason"])
    if done.outcome != "extended":
        record("request.extension_refused", asked, by=by, case=asked, data={"note": note})
        return done
    open_item = queries.waiting_answer(asked)
    if open_item is None:
        raise UserError("原申请已经答复，无需延期；请选择不同意")
    cases.extend(open_item, days, article="条例第二十一条", reason=reason, by=by)
    due = open_item.due_on.isoformat() if open_item.due_on else ""
    record(
        "request.extended",
        asked,
        by=by,
        case=asked,
        data={
            "title": f"答复期限延长 {days} 个工作日，特此告知申请部门",
            "note": f"理由：{reason}；新的答复期限：{due}",
            "days": days,
            "applicant": asked.applicant.ref if asked.applicant else "",
        },
    )
    return done
