"""Batch views: the list of loads, one load with its verdict, and its rejected rows set right."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, adapters, queries, rules
from .forms import CorrectionFile, UndoForm

GRID = 50
"""Rows that are corrected at once in a page; more go through the file."""

STATES = [("running", "进行中"), ("succeeded", "成功"), ("failed", "失败")]


def batch_columns(*, with_dataset: bool = True) -> list[Column]:
    """The columns of a list of batches."""
    own = [
        Column(
            "resource.title",
            "数据集",
            link=lambda b: reverse("collection:dataset", args=[b.resource.name]),
        ),
        Column("resource.owner.short", "部门", phone=False),
    ]
    return [
        Column(
            "code",
            "批次",
            kind="code",
            primary=True,
            link=lambda b: reverse("collection:batch", args=[b.code]),
        ),
        *(own if with_dataset else []),
        Column("mode", "方式", cell=lambda b: rules.MODE_TITLES.get(b.mode, b.mode), phone=False),
        Column("state", "状态", kind="state"),
        Column("landed", "落地", kind="number"),
        Column("accepted", "通过", kind="number"),
        Column("rejected", "拒收", kind="number"),
        Column("score", "得分", kind="number", phone=False),
        Column("started_at", "开始", kind="stamp"),
        Column("seconds", "用时（秒）", kind="number", phone=False),
    ]


@page(permission="collection.read")
def batches(request: ActorRequest) -> HttpResponse:
    """All loads, the newest first."""
    table = Table(
        request,
        queries.batches(request.actor),
        columns=batch_columns(),
        filters=[
            Filter("q", "关键词", lookup="resource__title__icontains|code__icontains"),
            Filter("state", "状态", "select", choices=STATES, lookup="state"),
        ],
        caption="归集批次",
        export_name="归集批次",
        empty=Empty("还没有批次", "运行数据源或上传文件后，每次归集都会留下一个批次。"),
    )
    return table.respond(request, "collection/batches.html")


@page(permission="collection.read")
def batch(request: ActorRequest, code: str) -> HttpResponse:
    """One load: progress while it runs, then its counts and its rejected rows."""
    found = queries.batch(code, request.actor)
    open_eyes = queries.may_see_rejects(request.actor, found.resource)
    titles = queries.rule_titles(found.resource)
    checks = [
        {
            "title": titles.get(name, name),
            "code": name,
            "failed": count.get("failed", 0),
            "warned": count.get("warned", 0),
        }
        for name, count in (found.outcome.get("rules") or {}).items()
        if count.get("failed") or count.get("warned")
    ]
    checks.sort(key=lambda c: (-c["failed"], -c["warned"]))
    rows = queries.rejected(found, request.actor, limit=2000) if open_eyes else []
    table = Table(
        request,
        rows,
        columns=[
            Column("line", "行号", kind="number", primary=True),
            Column("why", "拒收原因"),
            Column("raw", "原文"),
            Column(
                "corrected_by",
                "更正批次",
                kind="code",
                link=lambda r: (
                    reverse("collection:batch", args=[r.corrected_by]) if r.corrected_by else ""
                ),
            ),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                apply=lambda rs, v: [r for r in rs if v in r.why or v in r.raw],
                placeholder="原因或原文",
            )
        ],
        caption="拒收的行",
        empty=Empty("没有拒收的行", "本批次的每一行都通过了检查。", icon="check"),
    )
    asked = "export" in request.GET
    actions.note_rejected_read(
        found,
        table.ordered if asked else table.page_rows,
        by=request.actor,
        how="export" if asked else "workbench",
    )
    outcome = found.outcome
    return table.respond(
        request,
        "collection/batch.html",
        {
            "batch": found,
            "resource": found.resource,
            "checks": checks,
            "source": queries.source_title(found, request.actor),
            "started_by": queries.started_by(found, request.actor),
            "mode": rules.MODE_TITLES.get(found.mode, found.mode),
            "counts": [
                ("新增", outcome.get("inserted")),
                ("更新", outcome.get("updated")),
                ("未变", outcome.get("unchanged")),
                ("删除", outcome.get("deleted")),
                *([("后来又变、保持不动", outcome["kept"])] if outcome.get("kept") else []),
            ],
            "undoes": outcome.get("undoes", ""),
            "undone_by": queries.undone_by(found, request.actor),
            "may_undo": queries.may_undo(found, request.actor),
            "added": outcome.get("columns_added") or [],
            "ignored": outcome.get("columns_ignored") or [],
            "missing": outcome.get("columns_missing") or [],
            "open_eyes": open_eyes,
            "corrections": queries.corrections_of(found, request.actor),
            "upload": CorrectionFile(),
            "may_shrink": found.state == "failed" and "全量来源" in found.message and open_eyes,
            "source_name": found.source_ref.partition(":")[2]
            if found.source_ref.startswith("source:")
            else "",
        },
    )


@page(permission="collection.read")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The bar of a running load; when it has ended the page is asked to show the verdict."""
    found = queries.batch(code, request.actor)
    answer = render(request, "collection/_progress.html", {"batch": found})
    if found.state != "running":
        answer["HX-Refresh"] = "true"
    return answer


def changed_table(
    request: ActorRequest, rows: list[queries.Changed], caption: str, empty: Empty
) -> Table:
    """Changed rows in words, to be narrowed to one kind of change."""
    return Table(
        request,
        rows,
        columns=[
            Column("op", "变化", cell=lambda r: rules.OPERATIONS[r.op], kind="badge"),
            Column("key", "主键", primary=True),
            Column("words", "内容"),
        ],
        filters=[
            Filter(
                "op",
                "变化",
                "select",
                choices=list(rules.OPERATIONS.items()),
                apply=lambda rs, v: [r for r in rs if r.op == v],
            )
        ],
        caption=caption,
        empty=empty,
    )


@page(permission="collection.read")
def changes(request: ActorRequest, code: str) -> HttpResponse:
    """What a batch changed, row by row, masked: the values before and after."""
    found = queries.batch(code, request.actor)
    rows, total = queries.changed(found, request.actor)
    table = changed_table(
        request,
        rows,
        "变化的行",
        Empty("没有变化", "这一批的每一行都与库中已有的相同。", icon="check"),
    )
    return table.respond(
        request,
        "collection/changes.html",
        {
            "batch": found,
            "resource": found.resource,
            "total": total,
            "shown": len(rows),
        },
    )


@page(permission="collection.run")
def undo(request: ActorRequest, code: str) -> HttpResponse:
    """Take a batch back: what that would do, why, and then the deed."""
    found = queries.batch(code, request.actor)
    form = UndoForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and once(request):
        made = actions.take_back(found, form.cleaned_data["reason"], by=request.actor)
        if made.state == "failed":
            messages.error(request, f"没有撤回：{made.message}")
        else:
            messages.success(request, "已撤回。这次撤回本身也是一个批次，记录在案。")
        return redirect("collection:batch", code=made.code)
    return render(
        request,
        "collection/undo.html",
        {
            "batch": found,
            "resource": found.resource,
            "plan": queries.undo_plan(found, request.actor),
            "undo_form": form,
        },
    )


@page(permission="collection.run")
def rejects_csv(request: ActorRequest, code: str) -> HttpResponse:
    """The rejected rows as a file to correct and send again."""
    found = queries.batch(code, request.actor)
    request.actor.require("collection.run", found.resource.owner)
    rows = queries.rejected(found, request.actor, limit=1_000_000)
    actions.note_rejected_read(found, rows, by=request.actor, how="export")
    answer = HttpResponse(queries.rejects_csv(found, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="rejects-{found.code}.csv"'
    return answer


def _grid(rows: list[queries.Rejected]) -> list[dict[str, Any]]:
    """The rows of the correction grid, cell by cell, as they arrived."""
    lines = []
    for row in [r for r in rows if r.values and not r.corrected_by][:GRID]:
        cells = [
            {
                "title": title,
                "name": f"v-{row.line}-{at}",
                "value": value or "",
            }
            for at, (title, value) in enumerate(row.values.items())
        ]
        lines.append({"line": row.line, "why": row.why, "cells": cells})
    return lines


@page(permission="collection.run")
def correct(request: ActorRequest, code: str) -> HttpResponse:
    """Correct rejected rows in a grid: what was changed is sent as a new batch."""
    found = queries.batch(code, request.actor)
    refused = queries.rejected(found, request.actor, limit=2000)
    lines = _grid(refused)
    if request.method == "POST" and once(request):
        rows = []
        for line in lines:
            told = {c["title"]: request.POST.get(c["name"]) or "" for c in line["cells"]}
            if list(told.values()) != [c["value"] for c in line["cells"]]:
                rows.append((line["line"], told))
        made = actions.correct_rejected(found, rows, by=request.actor)
        messages.success(
            request, f"已提交 {len(rows)} 行：通过 {made.accepted}，仍拒收 {made.rejected}"
        )
        return redirect("collection:batch", code=made.code)
    shown = {line["line"] for line in lines}
    actions.note_rejected_read(found, [r for r in refused if r.line in shown], by=request.actor)
    return render(
        request,
        "collection/correct.html",
        {"batch": found, "resource": found.resource, "lines": lines, "most": GRID},
    )


@require_POST
@page(permission="collection.run")
def correct_file(request: ActorRequest, code: str) -> HttpResponse:
    """Send the corrected file of rejected rows again."""
    found = queries.batch(code, request.actor)
    form = CorrectionFile(request.POST, request.FILES)
    if not form.is_valid():
        raise UserError("请选择更正后的文件（从本页下载、修改后再上传）")
    if not once(request):
        return redirect("collection:batch", code=found.code)
    token = adapters.keep_upload(form.cleaned_data["file"], request.actor.ref)
    path = adapters.upload_path(token, request.actor.ref)
    try:
        made = actions.correct_by_file(found, path, by=request.actor)
    finally:
        adapters.drop_upload(path)
    messages.success(request, f"更正批次已完成：通过 {made.accepted}，仍拒收 {made.rejected}")
    return redirect("collection:batch", code=made.code)
