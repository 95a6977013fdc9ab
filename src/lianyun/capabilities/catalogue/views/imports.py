"""Import views: upload, progress, what was taken and what is wrong, the workbook of mistakes."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, adapters, queries
from ..rules.sheets import ITEM_COLUMNS, OPTIONAL, RESOURCE_COLUMNS

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LIMIT = 50 * 1024 * 1024
"""Bytes: the full catalogue of a city is under 1 MB as .xlsx."""


@page(permission="catalogue.edit")
def import_page(request: ActorRequest) -> HttpResponse:
    """Upload a catalogue file; earlier imports stand below."""
    problem = ""
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None:
                raise UserError("请选择要导入的文件")
            name = file.name or ""
            if (file.size or 0) > LIMIT:
                raise UserError("文件超过 50 MB，请分成几个文件导入")
            if not name.lower().endswith((".xlsx", ".xls", ".yaml", ".yml")):
                raise UserError("只接受 .xlsx、.xls 或 .yaml 文件，请下载模板后填写")
            if not once(request):
                return redirect("catalogue:import")
            job = actions.start_import(content=file.read(), file_name=name, by=request.actor)
            return redirect("catalogue:import_detail", code=job.code)
        except UserError as mistake:
            problem = str(mistake)
    context = {
        "imports": queries.imports(request.actor),
        "problem": problem,
        "resource_columns": [(c, c not in OPTIONAL) for c in RESOURCE_COLUMNS],
        "item_columns": [(c, c not in OPTIONAL) for c in ITEM_COLUMNS],
    }
    return render(request, "catalogue/import.html", context, status=400 if problem else 200)


@page(permission="catalogue.edit")
def import_template(request: ActorRequest) -> HttpResponse:
    """The empty workbook with its column heads and choices."""
    answer = HttpResponse(adapters.workbook([], {}), content_type=XLSX)
    answer["Content-Disposition"] = 'attachment; filename="catalogue-template.xlsx"'
    return answer


@page(permission="catalogue.edit")
def import_detail(request: ActorRequest, code: str) -> HttpResponse:
    """One import: its progress while it runs, then counts and the table of mistakes."""
    job = queries.import_of(request.actor, code)
    report = job.report or {}
    table = Table(
        request,
        report.get("issues", []),
        columns=[
            Column("sheet", "工作表", phone=False),
            Column("row", "行号", kind="number", sort=True),
            Column("column", "列", kind="badge", tone=lambda i: "blue", sort=True),
            Column("code", "资源代码", kind="code", sort=True),
            Column("problem", "问题", primary=True),
            Column("advice", "怎样改"),
            Column(
                "severity",
                "程度",
                kind="badge",
                cell=lambda i: "错误" if i["severity"] == "error" else "提示",
                tone=lambda i: "red" if i["severity"] == "error" else "amber",
            ),
        ],
        filters=[
            Filter("q", "资源代码", lookup="code"),
            Filter(
                "severity",
                "程度",
                "select",
                choices=[("error", "错误"), ("warn", "提示")],
                lookup="severity",
            ),
        ],
        caption="问题清单",
        empty=Empty("没有发现问题", "全部资源都已导入。", icon="check"),
    )
    context = {"job": job, "report": report, "share": _taken(report)}
    return table.respond(request, "catalogue/import_detail.html", context)


def _taken(report: dict[str, int]) -> float:
    whole = report.get("resources") or 0
    return (whole - report.get("rejected", 0)) / whole if whole else 0


@page(permission="catalogue.edit")
def import_progress(request: ActorRequest, code: str) -> HttpResponse:
    """The progress bar of a running import (htmx); when done, the whole page is asked for."""
    job = queries.import_of(request.actor, code)
    answer = render(request, "catalogue/_import_progress.html", {"job": job})
    if job.finished_at is not None:
        answer["HX-Redirect"] = reverse("catalogue:import_detail", args=[code])
    return answer


@page(permission="catalogue.edit")
def import_issues(request: ActorRequest, code: str) -> HttpResponse:
    """The mistakes of an import as a workbook to hand to whoever wrote the file."""
    job = queries.import_of(request.actor, code)
    body = adapters.issues_workbook((job.report or {}).get("issues", []))
    answer = HttpResponse(body, content_type=XLSX)
    answer["Content-Disposition"] = f'attachment; filename="catalogue-issues-{job.code}.xlsx"'
    return answer
