"""Request actions: a department here asks for data there; the law's clock runs there, both see its dates."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import api as services
from lianyun.capabilities.sharing import api as sharing
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Code, Element, Event, Grant, Party, Resource, WorkItem

from .. import rules
from ..models import Ask, Flow, Link, Mirror, Transfer
from .outbox import note_crossing, post, this_node, wake

PATH = "cascade_request"
SHARE_PATH = "share_request"


# ---- asking (the lower side) -------------------------------------------------------------


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


# ---- being asked (the upper side) --------------------------------------------------------


def applicant_party(link: Link, told: dict[str, Any]) -> Party:
    """The party that stands here for a department of the lower node; made at its first request."""
    slug = f"n{link.code}-{told['slug']}"[:60]
    party = Party.objects.filter(slug=slug).first()
    name = str(told.get("name") or told["slug"])[:200]
    short = str(told.get("short") or name)
    if not name.startswith(link.name):
        name = f"{link.name}{name}"[:200]
    if not short.startswith(link.name):
        short = f"{link.name}{short}"
    if party is None:
        party = Party.objects.create(
            kind=Party.DEPARTMENT,
            slug=slug,
            name=name,
            short=short[:60],
            parent=link.party,
            data={"node": link.code, "code": told.get("code")},
        )
    return party


def _for_lower(link: Link, applicant: Party) -> Actor:
    """The lower node, speaking for one of its departments."""
    mine = frozenset({applicant.pk})
    permissions = ("sharing.read", "sharing.request", "sharing.consent", "services.use")
    return Actor(link.party, applicant, (), dict.fromkeys(permissions, mine))


def take_request(link: Link, body: dict[str, Any]) -> None:
    """A lower node's department asks for our data: an ordinary case at our provider's desk.

    What the rules of sharing refuse at once travels back as a refusal with its reason.
    """
    exchange = str(body["exchange"])
    _only(link, rules.LOWER)
    if not exchange.startswith(f"{link.code}-"):
        raise UserError("只接收下级节点自己的申请")
    if Ask.objects.filter(exchange=exchange).exists():
        return
    request = sharing.Request.of(body["request"])
    topic = f"request:{exchange}"
    try:
        applicant = applicant_party(link, dict(body["department"]))
        case = _opened(link, applicant, str(body["resource"]), request, exchange, body)
    except UserError as refused:
        told = {"exchange": exchange, "closed": "refused", "note": str(refused)[:500]}
        post(link, "request.progress", topic, told)
        record(
            "request.refused_across",
            link,
            by=SYSTEM,
            data={"exchange": exchange, "reason": str(refused)},
        )
        return
    ask = Ask.objects.create(
        exchange=exchange, link=link, case=case, told={"case": str(body["case"])}
    )
    note_crossing(link, exchange, "申请", case.title, sending=False)
    tell_progress(ask)


def _opened(
    link: Link,
    applicant: Party,
    code: str,
    request: sharing.Request,
    exchange: str,
    body: dict[str, Any],
) -> Case:
    resource = (
        Resource.objects.filter(code=code, kind=Resource.DATASET, data__origin__isnull=True)
        .select_related("owner")
        .first()
    )
    if resource is None:
        raise UserError(f"本级目录中没有 {code}")
    items = list(resource.data.get("items") or [])
    column = rules.area_column(items)
    if not column:
        raise UserError("该数据没有行政区划数据项，无法限定为下级辖区，不能回流")
    wrong = rules.scope_problem(request.scope, column, link.code)
    if wrong:
        raise UserError(wrong)
    if column not in request.scope and (codes := area_codes(items, column, link.code)):
        # What the sender's SQL does anyway stands in the grant too, for every other way of use.
        request = replace(request, scope={**request.scope, column: codes})
    actor = _for_lower(link, applicant)
    case = sharing.request_share(
        resource=resource, request=request, by=actor, once=f"cascade:{exchange}"
    )
    consent = dict(body.get("consent") or {})
    item = case.items.filter(step="consent", done_at=None).first()
    if item is not None:
        sharing.do_step(
            item=item,
            outcome="agree",
            note=f"下级节点已由{consent.get('by', '负责人')}于 {str(consent.get('at', ''))[:16]} 同意；"
            f"交换编号 {exchange}；{consent.get('note', '')}"[:500],
            by=actor,
        )
    return case


def area_codes(items: list[dict[str, Any]], column: str, division: str) -> tuple[str, ...]:
    """Every code of an area that a region column may hold, by its element's code list."""
    item = next(i for i in items if i["name"] == column)
    element = Element.objects.filter(code=item.get("element") or "").first()
    domain = (element.domain if element else "") or "divisions"
    found = Code.objects.filter(list__name=domain, code__startswith=rules.area_prefix(division))
    return tuple(dict.fromkeys(found.order_by("code").values_list("code", flat=True)))


def _only(link: Link, side: str) -> None:
    """Some things only an upper node may tell, some only a lower one."""
    if link.side != side:
        raise UserError(f"{link.get_side_display()}节点无权发送此类消息")


def _received(link: Link, exchange: str) -> Ask:
    ask = Ask.objects.select_related("case__applicant", "grant").filter(exchange=exchange).first()
    if ask is None or ask.link_id != link.pk:
        raise UserError(f"没有编号为 {exchange} 的申请")
    return ask


def take_supplement(link: Link, body: dict[str, Any]) -> None:
    """The lower node's department completed its request."""
    _only(link, rules.LOWER)
    ask = _received(link, str(body["exchange"]))
    assert ask.case.applicant is not None
    item = ask.case.items.filter(step="supplement", done_at=None).first()
    if item is None:
        return
    request = sharing.Request.of(body["request"])
    column = rules.area_column(_resource_of(ask).data.get("items") or [])
    if wrong := rules.scope_problem(request.scope, column, link.code):
        raise UserError(wrong)
    sharing.do_step(
        item=item,
        outcome="submit",
        note=str(body.get("note") or ""),
        data={"request": request},
        by=_for_lower(link, ask.case.applicant),
    )


def _resource_of(ask: Ask) -> Resource:
    return Resource.objects.get(name=ask.case.data["resource"])


def take_withdrawal(link: Link, body: dict[str, Any]) -> None:
    """The lower node's department takes its request back, as far as the path lets it."""
    _only(link, rules.LOWER)
    ask = _received(link, str(body["exchange"]))
    reason = str(body.get("reason") or "申请部门撤回")
    if ask.case.state == Case.CLOSED:
        return
    item = ask.case.items.filter(step="supplement", done_at=None).first()
    if item is not None:
        assert ask.case.applicant is not None
        sharing.do_step(
            item=item,
            outcome="withdraw",
            note=reason,
            by=_for_lower(link, ask.case.applicant),
        )
        return
    # The provider ends it: an answer is still owed, and the wish of the applicant is on record.
    ask.told = {**ask.told, "wishes_withdrawal": reason}
    ask.save(update_fields=["told"])
    record(
        "request.withdrawal_asked",
        ask.case,
        by=SYSTEM,
        case=ask.case,
        data={"title": "申请部门请求撤回", "note": reason},
    )


def tell_progress(ask: Ask) -> None:
    """Tell the lower node where its request stands: step, dates, and the outcome at the end."""
    case = Case.objects.select_related("path").get(pk=ask.case_id)
    waiting = case.items.filter(done_at=None).order_by("-id").first()
    last = case.items.exclude(done_at=None).order_by("-done_at").first()
    body: dict[str, Any] = {
        "exchange": ask.exchange,
        "case": case.code,
        "state": case.state,
        "closed": "",
        "step": waiting.step if waiting else "",
        "title": waiting.title if waiting else "",
        "basis": waiting.basis if waiting else "",
        "opened_at": waiting.opened_at.isoformat() if waiting else "",
        "due_on": waiting.due_on.isoformat() if waiting and waiting.due_on else "",
        "note": last.note if last and last.step != "consent" else "",
        "last": last.title if last else "",
    }
    if case.state == Case.CLOSED:
        body["closed"] = case.outcome
    if ask.told.get("sent") == body:
        return
    ask.told = {**ask.told, "sent": body}
    ask.save(update_fields=["told"])
    post(ask.link, "request.progress", f"request:{ask.exchange}", body)


def on_case_event(event: Event) -> None:
    """A step was done, a clock was stopped or lengthened, a case closed: the lower node is told."""
    ask = (
        Ask.objects.select_related("link", "grant__resource")
        .filter(case_id=event.case_id_ref or 0, link__side=rules.LOWER)
        .first()
    )
    if ask is None:
        return
    tell_progress(ask)
    if event.kind == "case.closed" and ask.grant is not None and ask.grant.resource is not None:
        flow, new = Flow.objects.get_or_create(
            grant=ask.grant,
            defaults={"link": ask.link, "resource": ask.grant.resource},
        )
        if new:
            record("flow.opened", flow, by=SYSTEM, data={"grant": ask.grant.code})
        wake("send", str(flow.pk), flow=flow.pk)


def on_grant_event(event: Event) -> None:
    """A grant that goes across was issued or changed: the lower node is told at once."""
    code = event.subject.removeprefix("grant:")
    grant = Grant.objects.select_related("resource", "grantor", "grantee").filter(code=code).first()
    if grant is None:
        return
    ask = Ask.objects.select_related("link").filter(case_id=grant.case_id or 0).first()
    if ask is None:
        return
    topic = f"request:{ask.exchange}"
    if ask.link.side == rules.UPPER:
        # Ended here by its user (the purpose is fulfilled), not by following the upper node.
        if event.kind == "grant.revoked" and event.by != SYSTEM.ref:
            body = {"exchange": ask.exchange, "reason": grant.reason}
            post(ask.link, "use.ended", topic, body)
        return
    if event.kind == "grant.issued":
        if ask.grant_id is not None:
            return
        ask.grant = grant
        ask.save(update_fields=["grant"])
        assert grant.resource is not None
        post(
            ask.link,
            "grant.issued",
            topic,
            {
                "exchange": ask.exchange,
                "grant": grant.code,
                "terms": grant.terms,
                "ends_at": grant.valid_to.isoformat() if grant.valid_to else "",
                "seconds": ask.link.lease_seconds,
            },
        )
        note_crossing(ask.link, ask.exchange, "授权", grant.code, sending=True)
        return
    post(
        ask.link,
        "grant.changed",
        topic,
        {
            "exchange": ask.exchange,
            "grant": grant.code,
            "state": grant.state,
            "reason": grant.reason,
        },
    )
    if grant.state != Grant.ACTIVE:
        Transfer.objects.filter(
            grant=grant, sending=True, stage__in=[Transfer.PREPARING, Transfer.MOVING]
        ).update(
            stage=Transfer.FAILED,
            error=f"授权已{grant.get_state_display()}，停止传送",
            ended_at=timezone.now(),
        )


# ---- what comes back (the lower side) ----------------------------------------------------


_ENDS = {"delivered": "delivered", "refused": "refused", "withdrawn": "withdrawn"}


def take_progress(link: Link, body: dict[str, Any]) -> None:
    """Where our request stands at the upper node: its dates become ours."""
    _only(link, rules.UPPER)
    ask = _received(link, str(body["exchange"]))
    ask.told = {**ask.told, **body}
    ask.save(update_fields=["told"])
    case = ask.case
    item = case.items.filter(done_at=None, step="upper").first()
    if item is None:
        return
    note = str(body.get("note") or "")
    closed = str(body.get("closed") or "")
    if closed:
        outcome = _ENDS.get(closed, "refused")
        cases.step(item, outcome, note=note or "上级节点已办结", by=SYSTEM)
        return
    if body.get("step") == "supplement":
        cases.step(item, "supplement", note=note or "请补充材料", by=SYSTEM)
        return
    due = str(body.get("due_on") or "")
    item.title = f"上级节点办理：{body.get('title', '')}"[:200]
    item.basis = str(body.get("basis") or "")[:200]
    item.due_on = dt.date.fromisoformat(due) if due else None
    item.save(update_fields=["title", "basis", "due_on"])
    record(
        "request.followed",
        case,
        by=SYSTEM,
        case=case,
        data={"title": item.title, "note": note, "due_on": due},
    )


def take_grant(link: Link, body: dict[str, Any]) -> None:
    """The upper node granted what we asked for: the right, and a dataset for the rows, are made here.

    The right's end here is the lease, which each talk with the upper node renews: a link that stays
    down ends the use by itself, in whatever process.
    """
    _only(link, rules.UPPER)
    ask = _received(link, str(body["exchange"]))
    assert ask.mirror is not None
    terms = dict(body["terms"])
    code = str(body["grant"])
    target = _target(ask, code, terms)
    ends = dt.datetime.fromisoformat(body["ends_at"]) if body.get("ends_at") else None
    lease = timezone.now() + dt.timedelta(seconds=int(body["seconds"]))
    grant = grants.issue(
        kind="data",
        to=ask.case.applicant,  # type: ignore[arg-type]
        grantor=link.party,
        resource=target,
        case=ask.case,
        # The rows come masked and cut already; masking them again would spoil them.
        terms={**terms, "masks": {}, "masked_by_sender": terms.get("masks") or {}, "scope": {}},
        code=f"{link.code}-{code}"[:160],
        once=f"cascade:{ask.exchange}",
        valid_to=min(lease, ends) if ends else lease,
        by=SYSTEM,
    )
    ask.grant, ask.target, ask.ends_at = grant, target, ends
    ask.told = {**ask.told, "grant": code}
    ask.save(update_fields=["grant", "target", "ends_at", "told"])
    note_crossing(link, ask.exchange, "授权", code, sending=False)


def _target(ask: Ask, grant: str, terms: dict[str, Any]) -> Resource:
    """The dataset that takes the rows of one grant: its fields, as they come."""
    mirror, link = ask.mirror, ask.link
    assert mirror is not None
    assert link.party is not None
    wanted = list(terms.get("fields") or [])
    masks = {k for k, v in (terms.get("masks") or {}).items() if v != "none"}
    told = {str(i["name"]): i for i in mirror.content["items"]}
    keyed = [n for n, i in told.items() if i.get("key")]
    whole = bool(keyed) and all(n in wanted and n not in masks for n in keyed)
    items = []
    for name in wanted:
        item = dict(
            told.get(name) or {"name": name, "title": name, "type": "C", "format": "an..ul"}
        )
        if name in masks:
            item |= {"element": "", "type": "C", "format": "an..ul", "note": "上级按授权脱敏"}
        items.append(item | {"key": whole and name in keyed, "required": False})
    name = rules.returned_name(link.code, mirror.name, grant)
    category = mirror.code.partition("/")[0]
    applicant = ask.case.applicant
    return catalogue.adopt_entry(
        owner=link.party,
        content={
            **mirror.content,
            "rules": [],
            "code": f"{category}/{link.code}R{name[-6:]}",
            "name": name,
            "title": f"{mirror.title}（{link.name}回流，{applicant}使用）"[:200],
            "summary": f"{link.name}按授权 {grant} 回流的本地区数据，仅供{applicant}按授权用途使用",
            "share": {
                **mirror.content["share"],
                "type": 2,
                "conditions": "仅限原申请部门按授权使用",
            },
            "open": {"type": 0, "conditions": ""},
            "items": items,
        },
        origin={
            "name": link.name,
            "node": link.code,
            "code": mirror.code,
            "department": mirror.department,
            "grant": grant,
        },
        publish=False,
        by=SYSTEM,
    )


def take_grant_change(link: Link, body: dict[str, Any]) -> None:
    """The upper node suspended, resumed or revoked what it granted: here it takes effect at once."""
    _only(link, rules.UPPER)
    ask = _received(link, str(body["exchange"]))
    if ask.grant is None:
        raise UserError("尚未收到该授权")
    _follow(ask.grant, str(body["state"]), str(body.get("reason") or ""), link.name)


def _follow(grant: Grant, state: str, reason: str, who: str) -> None:
    """Let a right here be in the state that it has at its source; doing so twice changes nothing."""
    text = f"{who}：{reason}"[:500]
    if state == Grant.SUSPENDED and grant.state == Grant.ACTIVE:
        grants.suspend(grant, reason=text, by=SYSTEM)
    elif state in (Grant.REVOKED, "expired") and grant.state != Grant.REVOKED:
        grants.revoke(grant, reason=text, by=SYSTEM)
    elif state == Grant.ACTIVE and grant.state == Grant.SUSPENDED:
        grants.resume(grant, reason=text, by=SYSTEM)


def take_end(link: Link, body: dict[str, Any]) -> None:
    """The lower node's department says that its purpose is fulfilled: the right ends here too."""
    _only(link, rules.LOWER)
    ask = _received(link, str(body["exchange"]))
    if ask.grant is None:
        raise UserError("没有对应的授权")
    if ask.grant.state != Grant.REVOKED:
        sharing.finish_use(
            grant=ask.grant,
            note=str(body.get("reason") or "")[:300],
            by=_for_lower(link, ask.grant.grantee),
        )


def renew(link: Link, lease: dict[str, Any], sent_at: dt.datetime) -> None:
    """The upper node said which grants are in force: their leases run on from when we asked.

    A grant it does not name is not renewed, one it names as stopped is stopped.
    """
    seconds = min(max(int(lease["seconds"]), 1), rules.MOST_LEASE)
    states = dict(lease.get("grants") or {})
    until = sent_at + dt.timedelta(seconds=seconds)
    Link.objects.filter(pk=link.pk).update(leased_until=until, lease_seconds=seconds)
    for ask in link.asks.exclude(grant=None).select_related("grant"):
        grant = ask.grant
        assert grant is not None
        state = states.get(str(ask.told.get("grant") or ""))
        if state is None or grant.state == Grant.REVOKED:
            continue
        _follow(grant, state, "按上级授权状态同步", link.name)
        end = min(until, ask.ends_at) if ask.ends_at else until
        if state == Grant.ACTIVE and (grant.valid_to is None or end > grant.valid_to):
            Grant.objects.filter(pk=grant.pk, state=Grant.ACTIVE).update(valid_to=end)


def end_leases(link: Link, reason: str) -> None:
    """The upper node refuses us: no lease is good any more."""
    now = timezone.now()
    Grant.objects.filter(
        pk__in=link.asks.exclude(grant=None).values("grant"), state=Grant.ACTIVE, valid_to__gt=now
    ).update(valid_to=now)
    ended = link.leased_until is None or link.leased_until > now
    Link.objects.filter(pk=link.pk).update(leased_until=now)
    if ended:
        record("leases.ended", link, by=SYSTEM, data={"reason": reason})


def open_service(ask: Ask) -> str:
    """Let the applicant query what came back, under the grant; returns why that cannot be, or ""."""
    if ask.grant is None or ask.target is None:
        return "尚未收到授权"
    try:
        services.open_service(source=ask.target, by=SYSTEM)
        services.issue_client(grant=ask.grant, by=SYSTEM)
    except UserError as refused:
        return str(refused)
    return ""


__all__ = [
    "ask_upper",
    "do_step",
    "end_leases",
    "on_case_event",
    "on_grant_event",
    "open_service",
    "problems",
    "renew",
    "take_end",
    "take_grant",
    "take_grant_change",
    "take_progress",
    "take_request",
    "take_supplement",
    "take_withdrawal",
    "tell_progress",
    "withdraw_ask",
]
