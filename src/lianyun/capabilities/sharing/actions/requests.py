"""Requests: ask for data, walk the request's steps, extend, issue and deliver (art. 20 to 22)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
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
MOST_TOGETHER = 30
"""Datasets that one request may ask for."""

Asked = Sequence[tuple[Resource, rules.Request]]


def _refuse_what_may_not_be_asked(resource: Resource, request: rules.Request, by: Actor) -> None:
    applicant = by.department
    if rules.share_type(resource.terms) == rules.FORBIDDEN:
        basis = rules.share_of(resource.terms).get("basis") or "目录载明的法律、行政法规依据"
        raise UserError(
            f"“{resource.title}”属于不予共享数据，不能申请。依据：{basis}（《政务数据共享条例》第十四、十五条）"
        )
    if resource.kind not in (Resource.DATASET, Resource.LIBRARY):
        raise UserError("只能申请数据集或基础库")
    if resource.state != Resource.PUBLISHED:
        raise UserError(f"“{resource.title}”目录尚未发布或已撤销，不能申请")
    if applicant is not None and resource.owner_id == applicant.pk:
        raise UserError("这是本部门提供的数据，无需申请")
    if other := queries.under_request(by, resource):
        raise UserError(f"本部门对该数据已有在办申请（{other.code}），请勿重复申请")
    known = [f.name for f in services.fields(by, resource)]
    wrong = rules.problems(request, known, timezone.localdate())
    if wrong:
        raise UserError("；".join(wrong.values()))


@action("sharing.request")
def request_share(
    *, resource: Resource, request: rules.Request, by: Actor, once: str | None = None
) -> Case:
    """Ask for a dataset or library for the actor's own department (art. 20).

    Raises UserError where the data are not shared (with the legal basis), are the department's own,
    are asked for already, or where the request is incomplete (everything missing in one message).
    """
    return _ask([(resource, request)], by, once)


@action("sharing.request")
def request_basket(*, asked: Asked, by: Actor) -> list[Case]:
    """Ask for several datasets in one go: one case for each provider and share attribute.

    Unconditional and conditional data of a provider are two cases because the law gives them
    different clocks (art. 21). All or nothing: raises UserError as `request_share` does.
    """
    if not asked:
        raise UserError("选数车是空的")
    grouped: dict[tuple[int, int], list[tuple[Resource, rules.Request]]] = {}
    for resource, request in asked:
        kind = rules.share_type(resource.terms)
        grouped.setdefault((resource.owner_id, kind), []).append((resource, request))
    return [_ask(group, by, None) for group in grouped.values()]


def _ask(asked: Asked, by: Actor, once: str | None) -> Case:
    applicant = by.department
    if applicant is None:
        raise UserError("请先选择所代表的部门")
    by.require("sharing.request", applicant)
    if len(asked) > MOST_TOGETHER:
        raise UserError(f"一次最多申请 {MOST_TOGETHER} 个数据集")
    if once is not None:
        found = Case.objects.filter(once=once).first()
        if found is not None:
            record("request.repeated", found, by=by, case=found)
            return found
    for resource, request in asked:
        _refuse_what_may_not_be_asked(resource, request, by)
    (first, request), *more = asked
    several = f"等 {len(asked)} 个数据集" if more else ""
    data: dict[str, Any] = {
        "share_type": rules.share_type(first.terms),
        "resource": first.name,
        "request": request.as_data(),
    }
    if more:
        data["more"] = [{"resource": r.name, "request": q.as_data()} for r, q in more]
    return cases.open_case(
        REQUEST,
        title=f"{applicant.short or applicant.name}申请使用“{first.title}”{several}",
        subject=first,
        applicant=applicant,
        department=first.owner,
        data=data,
        once=once,
        by=by,
    )


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a request.

    `data` may hold `allowed` (what the provider grants: fields, plain, until, operations,
    calls_per_day, calls_per_second, signature, disposal) on an answer, and `request` (the completed
    request) on a supplement; `allowed_each` and `requests` hold the same by the datasets' names
    where a request asks for several; a dataset that allows no field is left out of the grant.
    """
    case = item.case
    changes: dict[str, Any] = {}
    if outcome == "supplement" and case.items.filter(outcome="supplement").exists():
        raise UserError("补充材料应当一次性告知，不能再次要求补充（条例第二十一条）")
    if item.step == "supplement" and outcome == "submit":
        changes = _supplemented(case, data, by)
    if item.step.startswith("answer_") and outcome == "agree":
        changes = _allowed(case, data, note, by)
    if item.step == "deliver":
        _deliver(case, by)
    done = cases.step(item, outcome, note=note, data=changes or None, by=by)
    if item.step == "approve" and outcome == "agree":
        _issue(done, by)
    return done


def _put(case: Case, number: int, change: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set words of one dataset of a request where its data keep them."""
    if number == 0:
        changes.update(change)
        return
    more = changes.setdefault("more", [dict(m) for m in case.data.get("more", ())])
    more[number - 1].update(change)


def _supplemented(case: Case, data: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    each = dict(data.get("requests") or {})
    if data.get("request"):
        each[case.data["resource"]] = data["request"]
    for part in queries.parts_of(by, case):
        request = each.get(part.resource.name)
        if request is None:
            continue
        known = [f.name for f in services.fields(by, part.resource)]
        wrong = rules.problems(request, known, timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        _put(case, part.number, {"request": request.as_data()}, changes)
    return changes


def _allowed(case: Case, data: Mapping[str, Any], note: str, by: Actor) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    each = dict(data.get("allowed_each") or {})
    if data.get("allowed"):
        each[case.data["resource"]] = data["allowed"]
    parts = queries.parts_of(by, case)
    left_out = 0
    for part in parts:
        allowed = each.get(part.resource.name)
        if allowed is None:
            continue
        if len(parts) > 1 and not allowed.get("fields", True):
            left_out += 1
            _put(case, part.number, {"refused": True, "allowed": None}, changes)
            continue
        granted = rules.narrowed(part.asked, allowed)
        known = [*part.asked.fields, *part.asked.scope]
        wrong = rules.problems(granted, known, timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        told = {
            "allowed": granted.as_data(),
            "disposal": str(allowed.get("disposal", ""))[:500],
            "refused": False,
        }
        _put(case, part.number, told, changes)
    if left_out == len(parts):
        raise UserError("一项也不同意的，请选择“拟不同意”并说明理由")
    if left_out and len(note.strip()) < rules.LEAST_REASON:
        raise UserError("部分数据集不同意共享的，须说明理由（条例第二十一条）")
    return changes


def _once(case: Case, number: int) -> str:
    return f"share:{case.code}" + (f":{number + 1}" if number else "")


def _issue(case: Case, by: Actor) -> list[Grant]:
    """The approval becomes a right for each dataset, limited to fields, purpose, calls and time."""
    assert case.applicant is not None
    made = []
    for part in queries.parts_of(by, case):
        if part.refused:
            continue
        granted = part.allowed or part.asked
        if granted.until < timezone.localdate():
            raise UserError("申请的使用时限已过，请退回由申请部门重新申请")
        masks = services.masks(by, part.resource, granted.plain)
        last = granted.until + dt.timedelta(days=1)
        made.append(
            grants.issue(
                kind="data",
                to=case.applicant,
                grantor=case.department,
                resource=part.resource,
                case=case,
                terms=rules.grant_terms(granted, masks, part.disposal),
                code=f"GX-{case.code}" + (f"-{part.number + 1}" if part.number else ""),
                once=_once(case, part.number),
                valid_to=timezone.make_aware(dt.datetime.combine(last, dt.time())),
                by=by,
            )
        )
    return made


def _deliver(case: Case, by: Actor) -> None:
    given = queries.grants_of(by, case)
    if not given:
        raise UserError("授权尚未签发")
    for grant in given:
        assert grant.resource is not None
        if set(grant.terms.get("operations", ["query"])) - {"feed", "file", "federated"}:
            services.open_service(source=grant.resource, by=by)
        services.issue_client(grant=grant, by=by)


@action("sharing.answer")
def ask_extension(*, case: Case, days: int, reason: str, by: Actor) -> Case:
    """The provider asks the bureau for more time to answer: at most 10 working days, once (art. 21)."""
    by.require("sharing.answer", case.department)
    if not 1 <= days <= rules.MOST_EXTENSION_DAYS:
        raise UserError("延长的时间不得超过 10 个工作日（条例第二十一条）")
    if len(reason.strip()) < rules.LEAST_REASON:
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
