"""Being asked (the upper side): a lower node's request is an ordinary case, whose steps it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils import timezone

from lianyun.capabilities.sharing import api as sharing
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Code, Element, Event, Grant, Party, Resource

from ... import rules
from ...models import Ask, Flow, Link, Transfer
from ..outbox import note_crossing, post, wake
from .told import only, received


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
    only(link, rules.LOWER)
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


def take_supplement(link: Link, body: dict[str, Any]) -> None:
    """The lower node's department completed its request."""
    only(link, rules.LOWER)
    ask = received(link, str(body["exchange"]))
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
    only(link, rules.LOWER)
    ask = received(link, str(body["exchange"]))
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


def take_end(link: Link, body: dict[str, Any]) -> None:
    """The lower node's department says that its purpose is fulfilled: the right ends here too."""
    only(link, rules.LOWER)
    ask = received(link, str(body["exchange"]))
    if ask.grant is None:
        raise UserError("没有对应的授权")
    if ask.grant.state != Grant.REVOKED:
        sharing.finish_use(
            grant=ask.grant,
            note=str(body.get("reason") or "")[:300],
            by=_for_lower(link, ask.grant.grantee),
        )
