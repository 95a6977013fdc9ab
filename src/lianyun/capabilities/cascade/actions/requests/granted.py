"""What comes back (the lower side): dates, a right that lives on a lease, and a dataset for the rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import api as services
from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant, Resource

from ... import rules
from ...models import Ask, Link
from ..outbox import note_crossing
from .told import only, received

_ENDS = {"delivered": "delivered", "refused": "refused", "withdrawn": "withdrawn"}


def take_progress(link: Link, body: dict[str, Any]) -> None:
    """Where our request stands at the upper node: its dates become ours."""
    only(link, rules.UPPER)
    ask = received(link, str(body["exchange"]))
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
    only(link, rules.UPPER)
    ask = received(link, str(body["exchange"]))
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
    if not whole:
        # Two persons may look alike once they are masked: the sender numbers the rows.
        items.append(
            {
                "name": rules.ROW_KEY,
                "title": "行标识",
                "type": "C",
                "format": "an32",
                "key": True,
                "required": False,
                "note": "上级生成，只用来辨认同一行，不含数据",
            }
        )
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
    only(link, rules.UPPER)
    ask = received(link, str(body["exchange"]))
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
