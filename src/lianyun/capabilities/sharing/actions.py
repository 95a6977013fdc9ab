"""Actions: ask for data, walk the request's steps, extend, deliver, stop and end a share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.services import api as services
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Grant, Resource, WorkItem
from lianyun.kernel.packs import declarations

from . import queries, rules

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


@action("sharing.read")
def do_step(
    *,
    item: WorkItem,
    outcome: str,
    note: str = "",
    data: Mapping[str, Any] | None = None,
    by: Actor,
) -> Case:
    """Do a work item of a sharing case; the step's own permission is asked as well.

    `data` may hold `allowed` (what the provider grants: fields, plain, until, calls_per_day,
    disposal) on an answer, and `request` (the completed request) on a supplement.
    """
    case = item.case
    if case.path.key == EXTENSION:
        return _decide_extension(item, outcome, note, by)
    if case.path.key != REQUEST:
        raise UserError("这不是共享申请的环节")
    by.require(item.permission, item.department)
    data = dict(data or {})
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


def _decide_extension(item: WorkItem, outcome: str, note: str, by: Actor) -> Case:
    by.require(item.permission, item.department)
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


def _stopper(grant: Grant, by: Actor) -> bool:
    """True where the actor stops as the provider, False as the bureau; raises Denied otherwise."""
    if by.may("sharing.supervise"):
        return False
    by.require("sharing.approve", grant.grantor)
    return True


def _reason(grant: Grant, reason: str, negotiation: str, filing: str, by: Actor) -> str:
    is_provider = _stopper(grant, by)
    wrong = rules.stop_problem(
        is_provider=is_provider, reason=reason, negotiation=negotiation, filing=filing
    )
    if wrong:
        raise UserError(wrong)
    if not is_provider:
        return reason.strip()[:500]
    return f"{reason.strip()}（协商情况：{negotiation.strip()}；备案号：{filing.strip()}）"[:500]


@action("sharing.read")
def suspend_share(
    *, grant: Grant, reason: str, by: Actor, negotiation: str = "", filing: str = ""
) -> None:
    """Stop a share for a while; the next call is refused (art. 27)."""
    grants.suspend(grant, reason=_reason(grant, reason, negotiation, filing, by), by=by)


@action("sharing.read")
def resume_share(*, grant: Grant, reason: str, by: Actor) -> None:
    """Let a suspended share go on."""
    _stopper(grant, by)
    if len(reason.strip()) < 2:
        raise UserError("请写明恢复共享的理由")
    grants.resume(grant, reason=reason.strip()[:500], by=by)


@action("sharing.read")
def revoke_share(
    *, grant: Grant, reason: str, by: Actor, negotiation: str = "", filing: str = ""
) -> None:
    """End a share for good; the next call is refused (art. 27)."""
    grants.revoke(grant, reason=_reason(grant, reason, negotiation, filing, by), by=by)


@action("sharing.request")
def finish_use(*, grant: Grant, note: str, by: Actor) -> None:
    """The user says the purpose is fulfilled: the right ends, the data must be disposed of (art. 27)."""
    by.require("sharing.request", grant.grantee)
    grants.revoke(grant, reason=f"使用目的已实现：{note.strip()}"[:500], by=by)


@action("sharing.request")
def confirm_disposal(*, grant: Grant, how: str, by: Actor) -> None:
    """The user confirms that the data were disposed of as the provider asked (art. 27)."""
    by.require("sharing.request", grant.grantee)
    if grant.in_force() or grant.state == Grant.SUSPENDED:
        raise UserError("授权尚未结束，不能确认处置")
    if len(how.strip()) < 5:
        raise UserError("请写明数据的处置方式和结果")
    if queries.disposal_of(by, grant) is not None:
        raise UserError("已确认过处置情况")
    record(
        "disposal.confirmed",
        grant,
        by=by,
        case=grant.case_id,
        data={"title": "使用部门确认数据已处置", "note": how.strip()[:500]},
    )


def on_corrected(event: Event) -> None:
    """Wrong rows were set right at their source: tell every department that had read them."""
    tell_receivers(told=event.data, by=SYSTEM)


@action("sharing.supervise")
def tell_receivers(*, told: Mapping[str, Any], by: Actor) -> int:
    """Tell the holders of grants who read wrong rows; returns how many were told.

    `told` is the data of a `quality.corrected` event. Its `key_hashes` are the wrong rows as call
    records name them: who called only for others is not troubled. Without them (too many rows, or
    no key) everybody who called meanwhile is told. A library that draws on the dataset carried
    the wrong rows as well, so its readers are told too. A second call tells nobody twice.
    """
    dataset = str(told["dataset"])
    names = [dataset, *(d.name for d in declarations("libraries") if _draws(d.data, dataset))]
    since = dt.datetime.fromisoformat(str(told["since"]))
    calls = audit.readers_since(by, names, since, told.get("key_hashes"))
    holders = Grant.objects.filter(code__in=calls).select_related("resource")
    count = 0
    for grant in holders:
        if queries.told_of(by, grant, str(told["case"])):
            continue
        called, exact = calls[grant.code]
        how = (
            f"查询过其中的记录 {exact} 次"
            if exact and told.get("key_hashes") is not None
            else f"调用过 {called} 次"
        )
        record(
            "receiver.told",
            grant,
            by=by,
            case=grant.case_id,
            data={
                "title": f"所用数据已更正：{grant.resource}",
                "note": f"校核件 {told['case']} 更正了 {told['rows']} 行；"
                f"更正前本授权{how}，请重新获取并复核据此作出的决定",
                "correction": str(told["case"]),
                "batch": told.get("batch"),
                "keys_hash": told.get("keys_hash"),
            },
        )
        count += 1
    record("receivers.checked", f"dataset:{dataset}", by=by, data={"told": count})
    return count


def _draws(library: Any, dataset: str) -> bool:
    """Whether a library's declaration names this dataset as a source, wherever in it."""
    if isinstance(library, Mapping):
        return library.get("dataset") == dataset or any(
            _draws(value, dataset) for value in library.values()
        )
    return isinstance(library, list) and any(_draws(value, dataset) for value in library)
