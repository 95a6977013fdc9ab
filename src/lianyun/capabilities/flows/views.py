"""Views: the list of paths, a path with its drawing, decision tables to read and try, exports."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.decision import Verdict
from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

_TABS = (("办理流程", "flows:list"), ("决策表", "flows:decisions"))


def _tabs() -> list[tuple[str, str]]:
    return [(title, reverse(name)) for title, name in _TABS]


@page(permission="flows.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Every path with its versions and running cases."""
    table = Table(
        request,
        queries.paths(request.actor),
        columns=[
            Column(
                "title",
                "流程",
                primary=True,
                sort=True,
                sub=lambda r: r["key"],
                link=lambda r: reverse("flows:detail", args=[r["key"]]),
            ),
            Column("steps", "环节", kind="number"),
            Column("version", "现行版本", cell=lambda r: f"第 {r['version']} 版"),
            Column("running", "在办件", kind="number", sort=True),
            Column("behind", "仍走旧版本", kind="number"),
            Column("created_at", "启用", kind="stamp", phone=False),
        ],
        filters=[Filter("q", "名称", lookup="title")],
        caption="办理流程",
        export_name="办理流程",
        empty=Empty("没有这样的流程", "流程在行业包的 paths 目录里声明，安装行业包后显示在这里。", icon="flow"),
    )  # fmt: skip
    return table.respond(request, "flows/list.html", {"tabs": _tabs(), "heading": "办理流程"})


def _version(request: ActorRequest) -> int | None:
    text = request.GET.get("v", "")
    return int(text) if text.isdigit() and len(text) < 6 else None


@page(permission="flows.read")
def detail(request: ActorRequest, key: str) -> HttpResponse:
    """One version of a path: drawing, steps, versions, and running cases that stay behind."""
    viewer = request.actor
    row = queries.path(key, _version(request), viewer)
    versions = queries.versions(key, viewer)
    context = {
        "row": row,
        "steps": [(s, rules.way_of(s), rules.limit_of(s)) for s in row.steps.values()],
        "versions": versions,
        "newest": versions[0].path,
        "behind": [v for v in versions if v.running and not v.newest],
        "moves": queries.moves(key, viewer),
        "may_move": viewer.may("flows.migrate"),
    }
    return render(request, "flows/detail.html", context)


@page(permission="flows.migrate")
def move(request: ActorRequest, key: str) -> HttpResponse:
    """Move the running cases of an older version to the newest."""
    back = redirect("flows:detail", key=key)
    if request.method != "POST":
        return back
    steps = {}
    for line in request.POST.get("steps", "").splitlines()[:50]:
        old, arrow, new = line.partition("=")
        if arrow and old.strip() and new.strip():
            steps[old.strip()] = new.strip()
    text = request.POST.get("version", "")
    try:
        moved = actions.move_cases(
            key,
            int(text) if text.isdigit() else 0,
            reason=request.POST.get("reason", "")[:500],
            steps=steps,
            by=request.actor,
        )
    except UserError as error:
        messages.error(request, str(error))
        return back
    if moved.done:
        messages.success(request, f"已迁移 {moved.done} 件，还有 {moved.left} 件留在旧版本")
    for code, why in moved.failed[:3]:
        messages.error(request, f"办件 {code}：{why}")
    return back


@page(permission="flows.read")
def bpmn(request: ActorRequest, key: str, version: int) -> HttpResponse:
    """A path's version as BPMN 2.0."""
    row = queries.path(key, version, request.actor)
    return _file(row.bpmn, f"{key}-{version}.bpmn", bool(request.GET.get("show")))


@page(permission="flows.read")
def dmn(request: ActorRequest, key: str, version: int) -> HttpResponse:
    """A decision's version as DMN 1.3."""
    row, _ = queries.decision(key, version, request.actor)
    return _file(row.dmn, f"{key}-{version}.dmn", False)


def _file(text: str, name: str, show: bool) -> HttpResponse:
    answer = HttpResponse(
        '<?xml version="1.0" encoding="UTF-8"?>\n' + text, content_type="application/xml"
    )
    if not show:
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@page(permission="flows.read")
def decisions(request: ActorRequest) -> HttpResponse:
    """Every decision."""
    table = Table(
        request,
        queries.decisions(request.actor),
        columns=[
            Column(
                "title",
                "决策表",
                primary=True,
                sub=lambda r: r.key,
                link=lambda r: reverse("flows:decision", args=[r.key]),
            ),
            Column("basis", "依据", cell=lambda r: r.data.get("basis", "")),
            Column("rules", "规则", kind="number", cell=lambda r: sum(len(t.rules) for t in r.model.tables)),
            Column("version", "现行版本", cell=lambda r: f"第 {r.version} 版"),
            Column("created_at", "启用", kind="stamp", phone=False),
        ],
        filters=[Filter("q", "名称", lookup="title")],
        caption="决策表",
        empty=Empty("没有这样的决策表", "决策表在行业包的 decisions 目录里声明（YAML 或 .dmn）。", icon="scale"),
    )  # fmt: skip
    return table.respond(request, "flows/list.html", {"tabs": _tabs(), "heading": "决策表"})


@page(permission="flows.read")
def decision(request: ActorRequest, key: str) -> HttpResponse:
    """A decision's tables to read, and a form to try them; trying writes nothing."""
    row, versions = queries.decision(key, _version(request), request.actor)
    model = row.model
    fields = rules.fields_of(model.tables, model.inputs)
    given = {f.name: request.GET.get(f"f_{n}", "") for n, f in enumerate(fields)}
    context = {
        "row": row,
        "versions": versions,
        "tables": [(t, rules.policy_of(t), rules.rows_of(t)) for t in model.tables],
        "fields": [
            (n, f, given[f.name], rules.TYPES.get(f.type, "")) for n, f in enumerate(fields)
        ],
    }
    if "try" in request.GET:
        facts = {name: text for name, text in given.items() if text.strip()}
        found = queries.tried(row, facts, request.actor)
        if isinstance(found, Verdict):
            titles = {o.name: o.title for t in model.tables for o in t.outputs}
            context["answer"] = [
                (titles.get(name, name), rules.said(value)) for name, value in found.plain.items()
            ]
            context["hit"] = set(found.rules)
            context["notes"] = found.annotations
        else:
            context["fault"] = found
    return render(request, "flows/decision.html", context)
