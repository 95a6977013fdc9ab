"""Asking (the lower side): a department here asks for data there; its head consents first."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from lianyun.capabilities.sharing import api as sharing
from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, WorkItem

from ... import rules
from ...models import Ask, Mirror
from ..outbox import note_crossing, post, this_node

PATH = "cascade_request"


def problems(mirror: Mirror, request: sharing.Request, today: dt.date) -> dict[str, str]:
    """What is wrong with a request for another node's data, by field, in Chinese."""
    items = list(mirror.content.get("items") or [])
    names = {str(i["name"]) for i in items}
    out: dict[str, str] = {}
    for name, title, least in (
        ("basis", "使用依据", 5),
        ("scene", "使用场景", 5),
        ("purpose", "用途", 2),
    ):
        if len(getattr(request, name).strip()) < least:
            out[name] = f"请写明{title}（不少于 {least} 个字）"
    if not request.fields:
        out["fields"] = "请至少选择一个数据项"
    elif strange := (set(request.fields) | set(request.plain)) - names:
        out["fields"] = f"数据项不存在：{'、'.join(sorted(strange))}"
    if request.plain and len(request.plain_reason.strip()) < 5:
        out["plain_reason"] = "要求不脱敏时必须说明理由"
    if request.until <= today:
        out["until"] = "使用时限必须晚于今天"
    if not rules.area_column(items):
        out["fields"] = "该数据没有行政区划数据项，无法限定为本地区数据，不能跨级回流"
    node = this_node()
    if node is not None:
        wrong = rules.scope_problem(request.scope, rules.area_column(items), node.code)
        if wrong:
            out["scope"] = wrong
    return out


@action("cascade.request")
def ask_upper(
    *, mirror: Mirror, request: sharing.Request, by: Actor, once: str | None = None
) -> Ask:
    """Ask for an upper node's data for the actor's own department; its head consents first (art. 20)."""
    applicant, node = by.department, this_node()
    if applicant is None:
        raise UserError("请先选择所代表的部门")
    by.require("cascade.request", applicant)
    if node is None or mirror.link.side != rules.UPPER or not mirror.link.enabled:
        raise UserError("没有可用的上级节点")
    if mirror.withdrawn:
        raise UserError("上级已撤销该目录，不能申请")
    if rules.share_of(mirror.content) == 3:
        raise UserError("该数据不予共享，不能申请（《政务数据共享条例》第十四、十五条）")
    if once is not None:
        found = Ask.objects.filter(case__once=once).first()
        if found is not None:
            record("request.repeated", found.case, by=by, case=found.case)
            return found
    open_ = Ask.objects.filter(mirror=mirror, case__applicant=applicant).exclude(
        case__state=Case.CLOSED
    )
    if other := open_.select_related("case").first():
        raise UserError(f"本部门对该数据已有在办申请（{other.case.code}），请勿重复申请")
    wrong = problems(mirror, request, timezone.localdate())
    if wrong:
        raise UserError("；".join(wrong.values()))
    case = cases.open_case(
        PATH,
        title=f"{applicant.short or applicant.name}向{mirror.link.name}申请“{mirror.title}”",
        subject=mirror,
        applicant=applicant,
        department=mirror.link.party,
        data={"request": request.as_data(), "resource": mirror.code, "link": mirror.link.code},
        once=once,
        by=by,
    )
    return Ask.objects.create(
        exchange=f"{node.code}-{case.code}", link=mirror.link, case=case, mirror=mirror
    )


@action("cascade.read")
def do_step(
    *,
    item: WorkItem,
    outcome: str,
    note: str = "",
    request: sharing.Request | None = None,
    by: Actor,
) -> Case:
    """Do an own step of a request to an upper node: consent, or the supplement it asked for."""
    ask = Ask.objects.select_related("link", "mirror", "case__applicant").get(case=item.case_id)
    if item.step == "upper":
        raise UserError("该环节由上级节点办理，结果会自动传回")
    by.require(item.permission, item.department)
    data: dict[str, Any] = {}
    if item.step == "supplement" and outcome == "submit" and request is not None:
        assert ask.mirror is not None
        wrong = problems(ask.mirror, request, timezone.localdate())
        if wrong:
            raise UserError("；".join(wrong.values()))
        data["request"] = request.as_data()
    done = cases.step(item, outcome, note=note, data=data or None, by=by)
    topic = f"request:{ask.exchange}"
    if item.step == "consent" and outcome == "agree":
        _send(ask, done, note, by)
    elif item.step == "supplement" and outcome == "submit":
        body = {"exchange": ask.exchange, "request": done.data["request"], "note": note}
        post(ask.link, "request.supplemented", topic, body)
    elif item.step == "supplement":
        post(ask.link, "request.withdrawn", topic, {"exchange": ask.exchange, "reason": note})
    return done


def _send(ask: Ask, case: Case, note: str, by: Actor) -> None:
    applicant = case.applicant
    assert applicant is not None
    body = {
        "exchange": ask.exchange,
        "case": case.code,
        "department": {
            "slug": applicant.slug,
            "code": applicant.code,
            "name": applicant.name,
            "short": applicant.short,
        },
        "resource": case.data["resource"],
        "request": case.data["request"],
        "consent": {
            "by": by.name,
            "at": f"{timezone.localtime():%Y-%m-%d %H:%M}",
            "note": note,
        },
    }
    post(ask.link, "request.sent", f"request:{ask.exchange}", body)
    ask.sent_at = timezone.now()
    ask.save(update_fields=["sent_at"])
    note_crossing(ask.link, ask.exchange, "申请", case.title, sending=True)


@action("cascade.request")
def withdraw_ask(*, ask: Ask, reason: str, by: Actor) -> None:
    """The applicant takes back a request that the upper node has not decided yet."""
    case = Case.objects.select_related("applicant").get(pk=ask.case_id)
    by.require("cascade.request", case.applicant)
    if len(reason.strip()) < 2:
        raise UserError("请写明撤回申请的理由")
    item = case.items.filter(done_at=None, step="upper").first()
    if item is None:
        raise UserError("该申请不在上级办理中，不能撤回")
    if ask.grant_id is not None:
        raise UserError("上级已经签发授权，请改为在授权中办理使用结束")
    post(
        ask.link,
        "request.withdrawn",
        f"request:{ask.exchange}",
        {"exchange": ask.exchange, "reason": reason.strip()},
    )
    record("request.withdrawal_sent", case, by=by, case=case, data={"reason": reason.strip()})
