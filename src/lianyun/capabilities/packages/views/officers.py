"""Officers: the figures of packages, and one package's items beside an officer's own case."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from lianyun.kernel.element import mask_value
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from ..queries import filings
from ..queries import report as figures


@page(permission="packages.read")
def report(request: ActorRequest) -> HttpResponse:
    """How many packages, where they stand, what asking once has spared; and each of them."""
    rows = figures.figures(request.actor)
    table = Table(
        request,
        figures.filed(request.actor),
        columns=[
            Column(
                "name", "套餐", primary=True,
                link=lambda f: reverse("packages:case", args=[f.case.code]),
            ),
            Column("case.code", "办件编号", kind="code"),
            Column("applicant", "申请人", cell=lambda f: _name(f)),
            Column("department.short", "牵头部门"),
            Column("stands", "进展", cell=lambda f: _stands(f)),
            Column("filed_at", "提交", kind="stamp", sort=True),
            Column("due_on", "承诺办结日", kind="date", sort=True),
        ],
        filters=[
            Filter("q", "关键词", lookup="name__icontains|case__code__icontains"),
            Filter(
                "package", "套餐", "select", choices=[(r.package, r.name) for r in rows],
                lookup="package",
            ),
        ],
        caption="一件事套餐办件",
        export_name="一件事套餐办件",
        order="-filed_at",
        empty=Empty("还没有套餐办件", "市民和企业提交“一件事”套餐后，会出现在这里。"),
    )  # fmt: skip
    return table.respond(
        request,
        "packages/report.html",
        {
            "rows": rows,
            "filed": sum(r.number for r in rows),
            "open": sum(r.open for r in rows),
            "late": sum(r.late for r in rows),
            "items": sum(r.items for r in rows),
            "materials_apart": sum(r.materials_apart for r in rows),
            "uploaded": sum(r.uploaded for r in rows),
            "materials_saved": sum(r.materials_saved for r in rows),
            "visits_saved": sum(r.visits_saved for r in rows),
            "forms_saved": sum(r.forms_saved for r in rows),
            "faults": figures.faults(request.actor),
        },
    )


def _name(filing: Any) -> str:
    person = filing.applicant.kind == "person"
    return str(mask_value("name", filing.applicant.name)) if person else filing.applicant.name


def _stands(filing: Any) -> str:
    assert filing.case is not None
    if filing.case.outcome:
        return filings.OUTCOMES.get(filing.case.outcome, ("已办结", ""))[0]
    return "办理中"


@page(permission="packages.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """A package's items with their departments and standing, for officers who handle one of them."""
    filing = filings.of_case(request.actor, code)
    if filing is None:
        raise Http404("no such package")
    return render(
        request,
        "packages/case.html",
        {
            "filing": filing,
            "applicant": _name(filing),
            "progress": filings.progress(request.actor, filing),
        },
    )
