"""Views: the ledger, the record of calls and their receipts, the proof, and 谁看过我的数据."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.trust import check_receipt
from lianyun.trust.signatures import TITLES
from lianyun.ui.pages import ActorRequest, page, public, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table
from lianyun.ui.templatetags.ui import event_title

from . import queries, rules


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as wrong:
        raise UserError("日期应如 2026-11-22") from wrong


def _more(event: Any) -> str:
    data = event.data
    for key in ("note", "reason", "title", "outcome", "resource"):
        if data.get(key):
            return str(data[key])[:80]
    return ""


@page(permission="audit.read")
def ledger(request: ActorRequest) -> HttpResponse:
    """Every event the viewer may see, newest first."""
    viewer = request.actor
    table = Table(
        request,
        queries.ledger(
            viewer,
            since=_day(request.GET.get("since", "")),
            until=_day(request.GET.get("until", "")),
        ),
        columns=[
            Column("at", "时间", kind="stamp"),
            Column(
                "kind",
                "事件",
                primary=True,
                cell=lambda e: event_title(e.kind),
            ),
            Column(
                "subject",
                "对象",
                kind="code",
                link=lambda e: f"{reverse('audit:subject')}?{urlencode({'ref': e.subject})}",
            ),
            Column("by_name", "行为人"),
            Column("department.short", "部门", cell=lambda e: str(e.department or ""), phone=False),
            Column("more", "内容", cell=_more, phone=False),
            Column("seq", "链序", kind="number", phone=False),
        ],
        filters=[
            Filter("q", "对象或行为人", lookup="subject__icontains|by_name__icontains"),
            Filter(
                "kind",
                "事件",
                "select",
                choices=lambda: [(k, event_title(k)) for k in queries.event_kinds(viewer)],
                lookup="kind",
            ),
            Filter(
                "department",
                "部门",
                "select",
                choices=lambda: [(str(k), v) for k, v in queries.departments(viewer)],
                lookup="department_id",
            ),
            Filter("since", "从", "date", apply=lambda rows, _: rows),
            Filter("until", "到", "date", apply=lambda rows, _: rows),
        ],
        caption="审计台账",
        export_name="审计台账",
        keyset="-id",
        page_size=30,
        empty=Empty("还没有事件", icon="list"),
    )
    return table.respond(request, "audit/ledger.html")


@page(permission="audit.read")
def subject(request: ActorRequest) -> HttpResponse:
    """What happened to one thing."""
    ref = request.GET.get("ref", "")[:160]
    events = list(queries.ledger(request.actor).filter(subject=ref)[:500])
    if not events:
        raise Http404
    return render(request, "audit/subject.html", {"ref": ref, "events": events})


@page(permission="audit.read")
def calls(request: ActorRequest) -> HttpResponse:
    """Every reading of data the viewer may see, newest first."""
    viewer = request.actor
    departments, resources = queries.names(viewer)
    table = Table(
        request,
        queries.calls(
            viewer,
            since=_day(request.GET.get("since", "")),
            until=_day(request.GET.get("until", "")),
        ),
        columns=[
            Column("at", "时间", kind="stamp"),
            Column(
                "resource",
                "数据",
                primary=True,
                cell=lambda c: resources.get(c.resource, c.resource),
                sub=lambda c: c.purpose,
            ),
            Column("by_name", "调用者"),
            Column(
                "department_id",
                "部门",
                cell=lambda c: departments.get(c.department_id or 0, ""),
                phone=False,
            ),
            Column("channel", "途径", cell=lambda c: rules.CHANNELS.get(c.channel, c.channel)),
            Column("grant_code", "授权", kind="code", phone=False),
            Column(
                "key_hash", "对象（散列）", kind="code", cell=lambda c: c.key_hash[:10], phone=False
            ),
            Column(
                "operation",
                "操作",
                cell=lambda c: rules.OPERATIONS.get(c.operation, c.operation),
                phone=False,
            ),
            Column("rows", "行数", kind="number"),
            Column("milliseconds", "毫秒", kind="number", phone=False),
            Column(
                "outcome",
                "结果",
                kind="badge",
                cell=lambda c: rules.OUTCOMES.get(c.outcome, c.outcome),
                tone=lambda c: {"ok": "green", "empty": "grey"}.get(c.outcome, "red"),
            ),
            Column(
                "more",
                "回执",
                kind="actions",
                cell=lambda c: "下载" if c.request_digest else "",
                link=lambda c: reverse("audit:receipt", args=[c.uid]),
            ),
        ],
        filters=[
            Filter(
                "q",
                "授权、凭证或用途",
                lookup="grant_code__icontains|client__icontains|purpose__icontains",
            ),
            Filter(
                "resource", "数据", "select", choices=list(resources.items()), lookup="resource"
            ),
            Filter(
                "department",
                "部门",
                "select",
                choices=lambda: [(str(k), v) for k, v in queries.departments(viewer)],
                lookup="department_id",
            ),
            Filter(
                "outcome", "结果", "select", choices=list(rules.OUTCOMES.items()), lookup="outcome"
            ),
            Filter("since", "从", "date", apply=lambda rows, _: rows),
            Filter("until", "到", "date", apply=lambda rows, _: rows),
        ],
        caption="数据调用记录",
        export_name="数据调用记录",
        keyset="-id",
        page_size=30,
        empty=Empty(
            "还没有调用记录", "数据服务被调用、工作台查阅个人数据时会留下记录。", icon="eye"
        ),
    )
    return table.respond(request, "audit/calls.html", {"figures": queries.call_figures(viewer)})


@page(permission="audit.read")
def receipt(request: ActorRequest, uid: str) -> HttpResponse:
    """The receipt of one call, as a file."""
    found = queries.receipt(request.actor, uid)
    answer = JsonResponse(found, json_dumps_params={"ensure_ascii": False, "indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="receipt-{uid}.json"'
    return answer


@page(permission="audit.verify")
def proof(request: ActorRequest) -> HttpResponse:
    """Walk all chains when asked to, and name the first broken place; seals and keys beside it."""
    viewer = request.actor
    found = queries.proof(viewer) if request.method == "POST" else None
    table = Table(
        request,
        queries.seals(viewer),
        columns=[
            Column("number", "序号", kind="number", primary=True),
            Column("at", "签章时间", kind="stamp"),
            Column("links", "批次", cell=lambda s: _links(s)),
            Column("calls", "调用数", kind="number"),
            Column("by", "签名", cell=lambda s: "、".join(_algorithms(s)), phone=False),
        ],
        caption="签章",
        name="seals",
        keyset="-number",
        page_size=10,
        empty=Empty("还没有签章", "有了调用记录，几秒内就会签名并加盖时间戳。", icon="shield"),
    )
    return table.respond(
        request,
        "audit/proof.html",
        {
            "proof": found,
            "standing": queries.standing(viewer),
            "keys": [
                (k, TITLES.get(k.algorithm, k.algorithm)) for k in queries.signing_keys(viewer)
            ],
            "minutes": settings.PROOF_GRACE_MINUTES,
            "outside": settings.TIME_STAMP_URL,
        },
    )


def _links(seal: Any) -> str:
    if seal.last_link < seal.first_link:
        return "仅事件台账"
    return f"{seal.first_link} 至 {seal.last_link}"


def _algorithms(seal: Any) -> list[str]:
    try:
        return [TITLES.get(name, name) for name, _, _ in rules.signatures_of(seal.note)]
    except ValueError:
        return ["内容被改动"]


@public
def root(request: ActorRequest) -> HttpResponse:
    """The installation's root certificate: what outsiders check receipts with."""
    keys = queries.signing_keys(request.actor)
    pem = "".join(k.certificate for k in keys if k.use == k.ROOT)
    if not pem:
        raise Http404
    return HttpResponse(pem, content_type="application/x-pem-file")


@public
def script(request: ActorRequest) -> HttpResponse:
    """The programme that checks a receipt: one file, for whoever wants to check one."""
    text = Path(check_receipt.__file__).read_text("utf-8")
    return HttpResponse(text, content_type="text/x-python; charset=utf-8")


@signed_in
def seen(request: ActorRequest) -> HttpResponse:
    """谁看过我的数据: who read the viewer's own data, when, under which grant and for what."""
    rows = queries.seen(request.actor)
    if rows is None:
        return render(request, "audit/seen.html", {"unknown": True})
    departments, resources = queries.names(request.actor)
    table = Table(
        request,
        rows,
        columns=[
            Column("at", "时间", kind="stamp"),
            Column(
                "department_id",
                "谁",
                primary=True,
                cell=lambda c: departments.get(c.department_id or 0, c.by_name),
                sub=lambda c: rules.CHANNELS.get(c.channel, c.channel),
            ),
            Column("resource", "看了什么", cell=lambda c: resources.get(c.resource, c.resource)),
            Column("purpose", "用途", cell=lambda c: c.purpose or "履行本部门职责"),
            Column(
                "grant_code", "依据的授权", kind="code", cell=lambda c: c.grant_code or "本部门职责"
            ),
        ],
        filters=[
            Filter("resource", "数据", "select", choices=list(resources.items()), lookup="resource")
        ],
        caption="谁看过我的数据",
        export_name="谁看过我的数据",
        empty=Empty(
            "还没有人看过您的数据", "政府部门查阅您的数据时，会在这里留下记录。", icon="eye"
        ),
    )
    return table.respond(request, "audit/seen.html")
