"""Matters: the list and the one page that misuse, disposal, stops, disputes and needs have in common."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import queries, rules
from . import matter_forms

TITLES = {
    "misuse": "超范围使用",
    "disposal": "数据处置",
    "stop": "停止共享",
    "dispute": "共享争议",
    "need": "数据需求",
    "return_flow": "数据回流",
}
BAD = {"terminated", "refused", "declined", "unmet"}
GOOD = {"restored", "unfounded", "disposed", "settled", "coordinated", "met", "received"}


def tone(case: Any) -> str:
    """The colour of a case's standing."""
    if not case.outcome:
        return "blue"
    return "red" if case.outcome in BAD else "green" if case.outcome in GOOD else "grey"


def standing(case: Any) -> str:
    """办理中, or how it ended."""
    return queries.outcome_title(case) if case.outcome else "办理中"


def link(case: Any) -> str:
    """The page of a case."""
    return reverse("sharing:matter", args=[case.code])


def columns() -> list[Column]:
    """The columns that every list of matters shows."""
    return [
        Column("title", "事项", primary=True, link=link, sub=lambda c: c.code),
        Column("kind", "类别", kind="badge", cell=lambda c: TITLES.get(c.path.key, c.path.title)),
        Column("applicant", "申请或使用部门", cell=lambda c: str(c.applicant or ""), phone=False),
        Column("department", "提供或对方部门", cell=lambda c: str(c.department or "")),
        Column("due", "时限", kind="lamp", cell=lambda c: c.due if not c.outcome else None),
        Column("outcome", "结果", kind="badge", cell=standing, tone=tone),
        Column("opened_at", "开始", kind="stamp", sort=True, phone=False),
    ]


@page(permission="sharing.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All matters that concern the viewer's department."""
    table = Table(
        request,
        queries.matters(request.actor),
        columns=columns(),
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains"),
            Filter("kind", "类别", "select", choices=list(TITLES.items()), lookup="path__key"),
            Filter(
                "state",
                "状态",
                "select",
                choices=[("open", "办理中"), ("closed", "已办结")],
                lookup="state",
            ),
        ],
        caption="共享事项",
        export_name="共享事项",
        empty=Empty(
            "没有共享事项",
            "停止共享、超范围使用、数据处置、争议、需求和回流的办件会出现在这里。",
            icon="scale",
        ),
    )
    return table.respond(request, "sharing/matters.html")


@page(permission="sharing.read")
def matter(request: ActorRequest, code: str) -> HttpResponse:
    """One matter: what it is about, its steps with their days, and what the viewer may do now."""
    viewer = request.actor
    found = queries.matter(viewer, code)
    if found is None:
        raise Http404
    to_do = [
        {
            "item": item,
            "outcomes": [o for o in item.declared.outcomes if o.style != "system"],
            "form": matter_forms.form_of(viewer, found, item.step),
        }
        for item in queries.mine_to_do(viewer, found)
    ]
    grant = queries.grant_behind(viewer, found)
    return render(
        request,
        "sharing/matter.html",
        {
            "case": found,
            "kind": TITLES.get(found.path.key, found.path.title),
            "basis": found.path.data.get("basis", ""),
            "standing": standing(found),
            "tone": tone(found),
            "grant": grant,
            "grant_state": queries.stands(grant) if grant else "",
            "pairs": _pairs(viewer, found),
            "evidence": [rules.evidence_pairs(e) for e in found.data.get("evidence", ())],
            "to_do": to_do,
            "items": queries.steps(viewer, found),
            "timeline": queries.timeline(viewer, found),
            "entry": queries.resource(viewer, found.data.get("resource", "")),
        },
    )


def _pairs(viewer: Any, case: Any) -> list[tuple[str, ...]]:
    data = case.data
    out: list[tuple[str, ...]] = [
        ("申请或使用部门", str(case.applicant or "—")),
        ("提供或对方部门", str(case.department or "—")),
    ]
    for kept, titles in (
        (data.get("need"), matter_forms.NEED_TITLES),
        (data.get("return"), matter_forms.RETURN_TITLES),
        (data, matter_forms.DATA_TITLES),
    ):
        for key, title in titles.items():
            value = (kept or {}).get(key)
            if value:
                text = "、".join(map(str, value)) if isinstance(value, list) else str(value)
                out.append((title, text, "full"))
    disposed = data.get("disposed")
    if disposed:
        out += [
            ("处置方式和结果", disposed["how"], "full"),
            ("处置人", disposed["who"]),
            ("处置日期", disposed["on"]),
            ("副本和备份", disposed["copies"], "full"),
            ("附件内容", disposed["attachment"], "full"),
        ]
    return out
