"""Import views: upload a workbook of items, its progress, what was taken and what is wrong."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, adapters, queries

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LIMIT = 60 * 1024 * 1024
"""Bytes: 7,505 items with their materials are about 4 MB."""


@page(permission="items.edit")
def import_page(request: ActorRequest) -> HttpResponse:
    """Upload a workbook; earlier imports stand below."""
    problem = ""
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None:
                raise UserError("请选择要导入的文件")
            if (file.size or 0) > LIMIT:
                raise UserError("文件超过 60 MB，请分成几个文件导入")
            if not (file.name or "").lower().endswith((".xlsx", ".xls")):
                raise UserError("只接受 .xlsx 或 .xls 文件，请下载模板后填写")
            if not once(request):
                return redirect("items:import")
            job = actions.start_import(
                content=file.read(),
                file_name=file.name or "",
                publish=request.POST.get("publish") == "1",
                by=request.actor,
            )
            return redirect("items:import_detail", code=job.code)
        except UserError as mistake:
            problem = str(mistake)
    context = {
        "imports": queries.imports(request.actor),
        "problem": problem,
        "may_publish": request.actor.may("items.review"),
        "heads": adapters.HEADS.items(),
    }
    return render(request, "items/import.html", context, status=400 if problem else 200)


@page(permission="items.edit")
def template(request: ActorRequest) -> HttpResponse:
    """The empty workbook with its column heads."""
    answer = HttpResponse(adapters.write_workbook([], [], []), content_type=XLSX)
    answer["Content-Disposition"] = 'attachment; filename="items-template.xlsx"'
    return answer


@page(permission="items.edit")
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One import: its progress while it runs, then counts and the table of mistakes."""
    job = queries.import_of(request.actor, code)
    report = job.report or {}
    table = Table(
        request,
        report.get("issues", []),
        columns=[
            Column("sheet", "工作表", phone=False),
            Column("row", "行号", kind="number", sort=True),
            Column("name", "事项", primary=True, sort=True),
            Column("column", "要素", kind="badge", tone=lambda i: "blue", sort=True),
            Column("problem", "问题"),
            Column(
                "severity",
                "程度",
                kind="badge",
                cell=lambda i: "错误" if i["severity"] == "error" else "提示",
                tone=lambda i: "red" if i["severity"] == "error" else "amber",
            ),
        ],
        filters=[
            Filter("q", "事项", lookup="name"),
            Filter(
                "severity",
                "程度",
                "select",
                choices=[("error", "错误"), ("warning", "提示")],
                lookup="severity",
            ),
        ],
        caption="问题清单",
        export_name=f"事项导入问题{job.code}",
        empty=Empty("没有发现问题", "全部事项都已导入。", icon="check"),
    )
    return table.respond(request, "items/import_detail.html", {"job": job, "report": report})


@page(permission="items.edit")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The progress bar of a running import (htmx); when done, the whole page is asked for."""
    job = queries.import_of(request.actor, code)
    answer = render(request, "items/_import_progress.html", {"job": job})
    if job.finished_at is not None:
        answer["HX-Redirect"] = reverse("items:import_detail", args=[code])
    return answer
