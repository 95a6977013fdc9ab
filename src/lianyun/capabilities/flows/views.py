"""Views: paths and tables to read and try; a new version written, checked, looked at by another."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.decision import Verdict
from lianyun.kernel.access import Actor, UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

_TABS = (
    ("办理流程", "flows:list"),
    ("决策表", "flows:decisions"),
    ("修改和审核", "flows:proposals"),
)
LARGEST = 1_000_000
"""Bytes of an uploaded file."""


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
    context = {"tabs": _tabs(), "heading": "办理流程", "may_edit": request.actor.may("flows.edit")}
    return table.respond(request, "flows/list.html", context)


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
        "may_edit": viewer.may("flows.edit"),
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
    context = {"tabs": _tabs(), "heading": "决策表", "may_edit": request.actor.may("flows.edit")}
    return table.respond(request, "flows/list.html", context)


@page(permission="flows.read")
def decision(request: ActorRequest, key: str) -> HttpResponse:
    """A decision's tables to read, and a form to try them; trying writes nothing."""
    row, versions = queries.decision(key, _version(request), request.actor)
    model = row.model
    fields = rules.fields_of(model.tables, model.inputs)
    given = {f.name: request.GET.get(f"f_{n}", "") for n, f in enumerate(fields)}
    counts = queries.judged(key, request.actor)
    context = {
        "row": row,
        "versions": versions,
        "standing": [(v, counts.get(v.version, 0)) for v in versions],
        "behind": sum(n for version, n in counts.items() if version < versions[0].version),
        "may_move": request.actor.may("flows.migrate"),
        "tables": [(t, rules.policy_of(t), rules.rows_of(t)) for t in model.tables],
        "may_edit": request.actor.may("flows.edit"),
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


@page(permission="flows.migrate")
def apply_table(request: ActorRequest, key: str) -> HttpResponse:
    """Let running cases be judged by the newest version of a table."""
    if request.method == "POST":
        try:
            reason = request.POST.get("reason", "")
            moved = actions.move_to_newest_table(key, reason=reason, by=request.actor)
            more = f"，还有 {moved.left} 件" if moved.left else ""
            messages.success(request, f"{moved.done} 件在办件改按现行规则判定{more}")
        except UserError as error:
            messages.error(request, str(error))
    return redirect("flows:decision", key=key)


# ---- a new version ---------------------------------------------------------------------------------


def _text_of(request: ActorRequest) -> str:
    """What was uploaded, else what stands in the box. Raises UserError for what is no text."""
    file = request.FILES.get("file")
    if file is None:
        return request.POST.get("text", "").replace("\r\n", "\n")
    if file.size is None or file.size > LARGEST:
        raise UserError("文件不能超过 1 MB")
    try:
        return str(file.read().decode("utf-8-sig")).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UserError("文件不是 UTF-8 编码的文本，请另存为 UTF-8 后上传") from error


@page(permission="flows.edit")
def write(request: ActorRequest) -> HttpResponse:
    """Write or upload a path or a table: its faults named, its steps shown, then handed in."""
    told = request.POST if request.method == "POST" else request.GET
    kind = rules.DECISION if told.get("kind") == rules.DECISION else rules.PATH
    key = told.get("key", "").strip()[:80]
    text, found, problem = "", None, ""
    if request.method == "POST":
        try:
            text = _text_of(request)
            if not text.strip():
                raise UserError("请选择文件，或者在下面的框里写")
            found = queries.reading(kind, key, text, request.actor)
            if request.POST.get("do") == "propose" and found.good:
                if not once(request):
                    return redirect("flows:proposals")
                reason = request.POST.get("reason", "")
                row = actions.propose(kind, key, text, reason=reason, by=request.actor)
                messages.success(request, "已提交，由另一位有审核权限的人员审核后发布。")
                return redirect("flows:proposal", number=row.pk)
        except UserError as error:
            problem = str(error)
    elif key:
        text = queries.source(kind, key, request.actor)
    steps = queries.steps_read(request.actor, found) if found is not None else []
    context = {
        "kind": kind,
        "key": key,
        "text": text,
        "found": found,
        "problem": problem,
        "reason": request.POST.get("reason", ""),
        "steps": [(s, rules.way_of(s), rules.limit_of(s)) for s in steps],
    }
    return render(request, "flows/write.html", context)


@page(permission="flows.read")
def proposals(request: ActorRequest) -> HttpResponse:
    """What was handed in, and what became of it."""
    table = Table(
        request,
        queries.proposals(request.actor),
        columns=[
            Column(
                "title",
                "修改",
                primary=True,
                sub=lambda r: r.key,
                link=lambda r: reverse("flows:proposal", args=[r.pk]),
            ),
            Column("kind", "类别", cell=lambda r: r.get_kind_display()),
            Column("by.name", "提交人", cell=lambda r: r.by.name if r.by else "系统"),
            Column("at", "提交", kind="stamp"),
            Column(
                "case.outcome",
                "结果",
                kind="badge",
                cell=lambda r: rules.ENDS.get(r.case.outcome, rules.WAITS)[0],
                tone=lambda r: rules.ENDS.get(r.case.outcome, rules.WAITS)[1],
            ),
            Column("version", "版本", cell=lambda r: f"第 {r.version} 版" if r.version else "—"),
        ],
        caption="修改和审核",
        empty=Empty("还没有提交过修改", "上传 .bpmn、.dmn 或 YAML 文件，检查通过后由第二人审核发布。", icon="flow"),
    )  # fmt: skip
    context = {
        "tabs": _tabs(),
        "heading": "修改和审核",
        "may_edit": request.actor.may("flows.edit"),
    }
    return table.respond(request, "flows/list.html", context)


@page(permission="flows.read")
def proposal(request: ActorRequest, number: int) -> HttpResponse:
    """One proposal: what changes, its drawing or rules, its faults, the second person's decision."""
    viewer = request.actor
    row = queries.proposal(viewer, number)
    problem = ""
    if request.method == "POST":
        try:
            if once(request):
                done = actions.review(
                    row,
                    request.POST.get("outcome", ""),
                    note=request.POST.get("note", "")[:500],
                    by=viewer,
                )
                told = f"已发布第 {done.version} 版，在办件不变。" if done.version else "已退回。"
                messages.success(request, told)
            return redirect("flows:proposal", number=number)
        except UserError as error:
            problem = str(error)
    found = queries.reading(row.kind, row.key, row.text, viewer)
    tables = queries.tables_read(viewer, found)
    context = {
        "row": row,
        "found": found,
        "problem": problem,
        "note": request.POST.get("note", ""),
        "step": queries.open_step(viewer, row),
        "own": viewer.party is not None and viewer.party.pk == row.by_id,
        "end": rules.ENDS.get(row.case.outcome, rules.WAITS),
        "changes": queries.compared(viewer, row),
        "table_changes": queries.table_changes(viewer, row),
        **_drawings(viewer, row),
        "steps": [
            (s, rules.way_of(s), rules.limit_of(s)) for s in queries.steps_read(viewer, found)
        ],
        "tables": [(t, rules.policy_of(t), rules.rows_of(t)) for t in tables],
        "events": queries.events(viewer, row),
    }
    return render(request, "flows/proposal.html", context)


def _drawings(viewer: Actor, row: Any) -> dict[str, object]:
    """Where the two drawings of a proposed path are fetched, and what is marked in them."""
    if row.kind != rules.PATH:
        return {}
    told: dict[str, object] = {
        **queries.marks(viewer, row),
        "now_bpmn": f"{reverse('flows:proposed_bpmn', args=[row.pk])}?show=1",
        "now_title": "提交的",
    }
    if row.base:
        told["before_bpmn"] = f"{reverse('flows:bpmn', args=[row.key, row.base])}?show=1"
        told["before_title"] = f"第 {row.base} 版"
    return told


@page(permission="flows.read")
def proposed_bpmn(request: ActorRequest, number: int) -> HttpResponse:
    """A proposed path as BPMN 2.0."""
    row = queries.proposal(request.actor, number)
    return _file(row.made, f"{row.key}.bpmn", bool(request.GET.get("show")))


@page(permission="flows.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """From a review's case to its proposal."""
    return redirect("flows:proposal", number=queries.proposal_of(request.actor, code).pk)
