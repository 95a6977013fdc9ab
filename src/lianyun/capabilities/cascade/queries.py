"""Queries: what the pages of cascade show: nodes, links with their lag, entries, requests, transfers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Event, Grant, Resource, WorkItem

from . import rules
from .models import Ask, Crossing, Flow, Incoming, Key, Link, Mirror, Node, Outgoing, Transfer


def node(viewer: Actor) -> Node | None:
    """This node's identity, if it has been given one."""
    return Node.objects.first()


def key(viewer: Actor) -> Key | None:
    """The key pair with which this node signs from now on."""
    return Key.objects.filter(retired_at=None).order_by("-id").first()


def greeting(viewer: Actor) -> dict[str, Any] | None:
    """What this node tells anybody of itself: code, name, level, fingerprint, protocol."""
    found, own = node(viewer), key(viewer)
    if found is None or own is None:
        return None
    return {
        "protocol": rules.PROTOCOL,
        "code": found.code,
        "name": found.name,
        "level": found.level,
        "fingerprint": own.kid,
    }


def declared(viewer: Actor) -> dict[str, str]:
    """What packs/core/city.yaml says of this place: the proposal of the identity form."""
    city = packs.mapping("core", "city.yaml")
    division = str(city.get("division") or "")
    level = "county"
    if division.endswith("0000"):
        level = "province"
    elif division.endswith("00"):
        level = "city"
    return {"code": division, "name": str(city.get("name") or ""), "level": level}


@cache
def _protocol() -> dict[str, Any]:
    found = yaml.safe_load((Path(__file__).parent / "openapi.yaml").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def protocol() -> dict[str, Any]:
    """The node API in OpenAPI 3.1."""
    return _protocol()


@dataclass
class Line:
    """One link as its list and page show it: how it stands, in words, and how far each side is."""

    link: Link
    waiting: int = 0
    oldest: dt.datetime | None = None
    parked: int = 0
    conflicts: int = 0
    moving: int = 0

    @property
    def state(self) -> tuple[str, str]:
        """(words, tone) of the badge."""
        link = self.link
        if link.enrolled_at is None:
            return ("待接入", "amber") if link.invitation else ("接入码已失效", "grey")
        if not link.enabled:
            return ("已停用", "grey") if link.reason else ("待核对指纹", "amber")
        if link.failures:
            return "连接中断", "red"
        if self.parked:
            return "有消息未能执行", "amber"
        return ("正常", "green") if self.waiting == 0 else ("正在追赶", "blue")

    @property
    def lag(self) -> str:
        """How far the other node is behind, in words."""
        if not self.waiting:
            return "无积压"
        if self.oldest is None:
            return f"{self.waiting} 条待送"
        minutes = max(int((timezone.now() - self.oldest).total_seconds() // 60), 0)
        if minutes < 1:
            words = "不到 1 分钟"
        elif minutes < 120:
            words = f"{minutes} 分钟"
        elif minutes < 48 * 60:
            words = f"{minutes // 60} 小时"
        else:
            words = f"{minutes // 1440} 天"
        return f"{self.waiting} 条待送，最早已等 {words}"

    @property
    def skew(self) -> str:
        """The other clock against ours, where it is off by more than five seconds."""
        seconds = self.link.skew_ms / 1000
        if abs(seconds) < 5:
            return ""
        return (
            f"对方时钟比本节点{'快' if seconds > 0 else '慢'} {abs(seconds):,.0f} 秒（不影响交换）"
        )

    @property
    def fingerprint(self) -> str:
        """The other node's newest fingerprint, grouped for comparing."""
        return rules.grouped(self.link.keys[-1]["kid"]) if self.link.keys else ""


def links(viewer: Actor) -> list[Line]:
    """Every link with its lag."""
    viewer.require("cascade.read")
    return _lines(Link.objects.select_related("own_key", "party"))


def _lines(found: QuerySet[Link]) -> list[Line]:
    rows = list(found)
    out = {link.pk: Line(link, waiting=max(link.sent - link.acked, 0)) for link in rows}
    oldest = Outgoing.objects.filter(link__in=rows, acked_at=None).values_list("link")
    for pk, at in oldest.annotate(at=Min("created_at")):
        out[pk].oldest = at
    for name, query in (
        ("parked", Incoming.objects.filter(applied_at=None)),
        ("conflicts", Mirror.objects.exclude(conflict="")),
        ("moving", Transfer.objects.exclude(stage__in=[Transfer.DONE, Transfer.FAILED])),
    ):
        for pk, count in query.filter(link__in=rows).values_list("link").annotate(n=Count("pk")):
            setattr(out[pk], name, count)
    return list(out.values())


def link(viewer: Actor, code: str) -> Line | None:
    """One link with its lag."""
    viewer.require("cascade.read")
    return next(
        iter(_lines(Link.objects.select_related("own_key", "party").filter(code=code))), None
    )


def parked(viewer: Actor, link: Link) -> list[Incoming]:
    """Messages that could not be given their effect, oldest first."""
    viewer.require("cascade.read")
    return list(link.incoming.filter(applied_at=None).order_by("seq")[:50])


def message(viewer: Actor, number: int) -> Incoming | None:
    """One message that came."""
    viewer.require("cascade.manage")
    return Incoming.objects.select_related("link").filter(pk=number).first()


def crossings(viewer: Actor, link: Link | None = None) -> QuerySet[Crossing]:
    """What crossed, newest first."""
    viewer.require("cascade.read")
    rows = Crossing.objects.select_related("link")
    return rows.filter(link=link) if link is not None else rows


_CHANGES = {
    "link.invited": "生成接入码",
    "link.invitation_cancelled": "作废接入码",
    "link.enrolled": "下级凭接入码接入",
    "link.joined": "接入上级",
    "link.confirmed": "核对指纹，启用连接",
    "link.disabled": "停用连接",
    "link.enabled": "恢复连接",
    "link.address_proposed": "对方更改地址，待确认",
    "link.address_confirmed": "确认对方的新地址",
    "link.address_set": "更改对方地址",
    "link.address_declined": "不采用对方的新地址",
    "link.lease_set": "更改租期",
    "link.key_changed": "对方更换密钥",
    "link.retried": "立即重试",
    "leases.ended": "租期终止",
    "message.retried": "重试消息",
    "message.skipped": "消息不再执行",
    "transfer.refused": "拒收传送",
    "request.refused_across": "退回下级申请",
}


def changes(viewer: Actor, link: Link, limit: int = 12) -> list[dict[str, Any]]:
    """What was done to a link, newest first, as the timeline shows it."""
    viewer.require("cascade.read")
    return [
        {
            "when": event.at,
            "what": _CHANGES.get(event.kind, event.kind),
            "who": event.by_name,
            "more": event.data.get("reason") or "",
            "tone": "red" if event.kind in ("link.disabled", "leases.ended") else "",
        }
        for event in Event.objects.filter(subject=link.ref).order_by("-id")[:limit]
    ]


def uppers(viewer: Actor) -> list[Link]:
    """Upper nodes to which uploads and requests may go."""
    return list(Link.objects.filter(side=rules.UPPER, enabled=True))


# ---- entries -----------------------------------------------------------------------------


def offers(viewer: Actor) -> QuerySet[Mirror]:
    """What upper nodes offer."""
    viewer.require("cascade.request")
    return Mirror.objects.filter(link__side=rules.UPPER, withdrawn=False).select_related("link")


def offer(viewer: Actor, number: int) -> Mirror | None:
    """One entry of an upper node."""
    return offers(viewer).filter(pk=number).first()


def entries(viewer: Actor) -> QuerySet[Mirror]:
    """Lower nodes' entries as they were told, conflicts first."""
    viewer.require("cascade.read")
    return Mirror.objects.filter(link__side=rules.LOWER).select_related(
        "link", "resource", "against__owner"
    )


def entry(viewer: Actor, number: int) -> Mirror | None:
    """One entry of a lower node."""
    return entries(viewer).filter(pk=number).first()


def differences(mirror: Mirror) -> list[tuple[str, str, str]]:
    """(item, ours, theirs) for what an officer compares before a decision."""
    other = mirror.against
    if other is None:
        return []
    content = mirror.content
    share = other.terms.get("share") or {}
    theirs = content.get("share") or {}
    names = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
    ours_items = "、".join(str(i.get("title")) for i in other.data.get("items") or [])
    their_items = "、".join(str(i.get("title")) for i in content.get("items") or [])
    return [
        ("资源代码", other.code, mirror.code),
        ("名称", other.title, mirror.title),
        ("提供部门", other.owner.name, f"{mirror.link.name} {mirror.department}"),
        ("摘要", str(other.data.get("summary") or ""), str(content.get("summary") or "")),
        (
            "共享类型",
            names.get(int(share.get("type") or 2), ""),
            names.get(int(theirs.get("type") or 2), ""),
        ),
        ("更新周期", str(other.data.get("cycle") or ""), str(content.get("cycle") or "")),
        ("数据项", ours_items, their_items),
    ]


# ---- requests ----------------------------------------------------------------------------


def _mine(viewer: Actor, permission: str) -> Q:
    scope = viewer.departments(permission)
    return Q() if scope is None else Q(case__applicant_id__in=scope)


def asks(viewer: Actor) -> QuerySet[Ask]:
    """Requests across nodes: those of the viewer's departments, or all for who manages links."""
    viewer.require("cascade.read")
    rows = Ask.objects.select_related(
        "link", "mirror", "grant", "case__applicant", "case__department", "target"
    )
    if viewer.may("cascade.manage"):
        return rows
    return rows.filter(_mine(viewer, "cascade.read"))


def ask(viewer: Actor, code: str) -> Ask | None:
    """The request across nodes of this case, if the viewer may see it."""
    return asks(viewer).filter(case__code=code).first()


def steps(viewer: Actor, case: Case) -> list[WorkItem]:
    """The steps of a case so far."""
    return list(case.items.select_related("department", "by").order_by("id"))


def to_do(viewer: Actor, case: Case) -> list[WorkItem]:
    """Open steps of a case that the viewer may do."""
    return [
        i
        for i in case.items.filter(done_at=None).select_related("department")
        if case.state != Case.CLOSED
        and i.step != "upper"
        and viewer.may(i.permission, i.department)
    ]


def item(viewer: Actor, number: int) -> WorkItem | None:
    """One step of a request across nodes."""
    viewer.require("cascade.read")
    return (
        WorkItem.objects.select_related("case__path", "department")
        .filter(pk=number, case__path__key="cascade_request")
        .first()
    )


def timeline(viewer: Actor, case: Case) -> list[dict[str, Any]]:
    """What happened in a case, newest first."""
    titles = {
        "case.opened": "提出申请",
        "case.closed": "办结",
        "grant.issued": "收到上级授权",
        "grant.suspended": "上级暂停共享",
        "grant.resumed": "上级恢复共享",
        "grant.revoked": "授权结束",
        "client.issued": "生成调用凭证",
        "client.collected": "领取调用密钥",
        "request.withdrawal_sent": "请求撤回",
    }
    out = []
    for event in Event.objects.filter(case_id_ref=case.pk).order_by("-id"):
        data = event.data
        what = titles.get(event.kind) or data.get("title")
        if event.kind == "case.stepped":
            what = f"{data.get('title')}：{data.get('outcome')}"
        if not what:
            continue
        out.append(
            {
                "when": event.at,
                "what": what,
                "who": event.by_name,
                "more": data.get("note") or data.get("reason") or "",
                "tone": "red" if event.kind in ("grant.revoked", "grant.suspended") else "",
            }
        )
    return out


def standing(grant: Grant | None) -> tuple[str, str]:
    """(words, tone) of a right that came from an upper node: its lease counts too."""
    if grant is None:
        return "尚未授权", "grey"
    if grant.state != Grant.ACTIVE:
        return grant.get_state_display(), "red"
    if grant.valid_to is not None and grant.valid_to <= timezone.now():
        return "租期已过，暂停使用", "red"
    return "有效", "green"


# ---- rows --------------------------------------------------------------------------------


def transfers(viewer: Actor) -> QuerySet[Transfer]:
    """Rows under way and arrived, newest first: of the viewer's departments, or all."""
    viewer.require("cascade.read")
    rows = Transfer.objects.select_related("link", "resource__owner", "grant__grantee")
    if viewer.may("cascade.manage"):
        return rows
    scope = viewer.departments("cascade.read")
    if scope is None:
        return rows
    return rows.filter(Q(resource__owner_id__in=scope) | Q(grant__grantee_id__in=scope))


def transfer(viewer: Actor, code: str) -> Transfer | None:
    """One transfer, if the viewer may see it."""
    return transfers(viewer).filter(code=code).first()


def may_see_rejects(viewer: Actor, transfer: Transfer) -> bool:
    """Rejected rows come back as they were, unmasked: for those who may upload the dataset."""
    return viewer.may("cascade.upload", transfer.resource.owner)


def flows(viewer: Actor) -> list[Flow]:
    """Arrangements of the viewer's departments, or all."""
    viewer.require("cascade.read")
    rows = Flow.objects.select_related("link", "resource__owner", "grant__grantee")
    scope = viewer.departments("cascade.read")
    if not viewer.may("cascade.manage") and scope is not None:
        rows = rows.filter(resource__owner_id__in=scope)
    return list(rows.order_by("-id"))


def flow(viewer: Actor, number: int) -> Flow | None:
    """One arrangement of a department for which the viewer may upload."""
    viewer.require("cascade.upload")
    found = (
        Flow.objects.select_related("link", "resource__owner", "grant").filter(pk=number).first()
    )
    return found if found and viewer.may("cascade.upload", found.resource.owner) else None


def uploadable(viewer: Actor) -> QuerySet[Resource]:
    """Published datasets of the viewer's departments."""
    viewer.require("cascade.upload")
    rows = Resource.objects.filter(
        kind=Resource.DATASET, state=Resource.PUBLISHED, data__origin__isnull=True
    ).select_related("owner")
    scope = viewer.departments("cascade.upload")
    return rows if scope is None else rows.filter(owner_id__in=scope)
