"""Officers: the village clerk who helps, and the report on materials that were not handed in."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.forms import api as form_files
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Visitor, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Table

from .. import actions
from ..queries import applications, looking, report, shown
from .applying import served


@page(permission="hall.help")
def help_desk(request: ActorRequest) -> HttpResponse:
    """Items that may be asked for at the village, and the applications that the clerk helps with."""
    text = request.GET.get("q", "")[:60]
    found = items.search(text, audience="person", viewer=request.actor) if text else None
    mine = [a for a in applications.mine(request.actor)[:100] if a.relation == "helper"]
    return render(
        request,
        "hall/help.html",
        {"q": text, "found": found, "rows": applications.lines(request.actor, mine)},
    )


@page(permission="hall.help")
def help_apply(request: ActorRequest, item: str) -> HttpResponse:
    """Begin for somebody who stands before the clerk."""
    found = items.find(item)
    if found is None:
        raise Http404("no such item")
    form = Visitor(request.POST or None)
    answers = items.answers_of(found, request.POST)
    if request.method == "POST" and form.is_valid():
        try:
            if not once(request):
                return redirect("hall:help")
            made = actions.help_begin(item, answers=answers, by=request.actor, **form.cleaned_data)
            return redirect("hall:confirm", code=made.code)
        except UserError as error:
            form.add_error(None, str(error))
    questions = [
        {"situation": s, "answer": answers.get(s.id, "")} for s in items.questions(found, answers)
    ]
    open_ones = items.open_questions(found, answers) if request.method == "POST" else ()
    return render(
        request,
        "hall/help_apply.html",
        {"item": found, "form": form, "questions": questions, "unanswered": bool(open_ones)},
    )


PERIODS = ((0, "全部"), (30, "近 30 天"), (90, "近 90 天"), (365, "近一年"))


def _by(ground: str) -> Any:
    """A cell with how many materials one ground has freed."""
    return lambda row: row.by_ground.get(ground, 0)


@page(permission="hall.report")
def materials_report(request: ActorRequest) -> HttpResponse:
    """Materials asked for and freed, by item and ground."""
    try:
        days = min(max(int(request.GET.get("days", "0")), 0), 3660)
    except ValueError:
        days = 0
    since = timezone.localdate() - dt.timedelta(days=days) if days else None
    rows = report.by_item(request.actor, since)
    needed, freed = sum(r.needed for r in rows), sum(r.freed for r in rows)
    table = Table(
        request,
        rows,
        columns=[
            Column("name", "事项", primary=True),
            Column("applications", "申请", kind="number"),
            Column("needed", "应交材料", kind="number"),
            Column("freed", "免交", kind="number"),
            *(
                Column(f"by_{name}", title, kind="number", cell=_by(name), phone=False)
                for name, title in report.FREEING
            ),
            Column("uploaded", "上传", kind="number"),
            Column("share", "免交率", kind="number", cell=lambda r: f"{r.share:.0%}"),
        ],
        caption="各事项材料免提交",
        export_name="材料免提交",
        empty=Empty("还没有提交的申请", "有申请提交后，这里按事项和依据统计。", icon="file"),
    )
    return table.respond(
        request,
        "hall/report.html",
        {
            "needed": needed,
            "freed": freed,
            "uploaded": sum(r.uploaded for r in rows),
            "share": freed / needed if needed else None,
            "figure": charts.one("donut", "材料依据", report.by_ground(rows), "份"),
            "top": charts.Chart(
                "stack",
                "应交材料最多的事项",
                [r.name for r in rows[:10]],
                [
                    charts.Series("免交", [r.freed for r in rows[:10]]),
                    charts.Series("上传", [r.uploaded for r in rows[:10]]),
                ],
                "份",
            ),
            "periods": [
                (title, f"{request.path}?days={n}" if n else request.path) for n, title in PERIODS
            ],
        },
    )


@page(permission="hall.read")
def evidence_file(request: ActorRequest, case: str, material: str, file: str) -> HttpResponse:
    """A file handed in for a case of the officer's department; the reading is on record."""
    found = applications.by_case_code(request.actor, case)
    place = shown.file_place(request.actor, found, material) if found else None
    if found is None or place is None:
        raise Http404("no such file")
    one, data = form_files.attachment(place[0], file, request.actor, department=place[1])
    number = looking.number_of(found.applicant)
    audit.record_reading(
        by=request.actor,
        resource=f"item.{found.item}",
        people=[number] if number else [],
        purpose=f"办理“{found.item_name}”：查看提交的材料",
    )
    return served(one, data)
