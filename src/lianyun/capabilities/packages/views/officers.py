"""Officers: figures of packages, one package beside an officer's own case, the clerk who helps."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.kernel.element import mask_value
from lianyun.ui.forms import Visitor, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions
from ..queries import filings, offered
from ..queries import report as figures
from ..rules.package import PERSON
from .public import page_of


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


@page(permission="hall.help")
def help_desk(request: ActorRequest) -> HttpResponse:
    """Packages for persons, and those with which the clerk helps."""
    text = request.GET.get("q", "").strip()[:60]
    found = offered.search(request.actor, text, PERSON)
    mine = filings.lines(request.actor, filings.helped(request.actor)[:50])
    return render(request, "packages/help.html", {"q": text, "tiles": found[:20], "rows": mine})


@page(permission="hall.help")
def help_apply(request: ActorRequest, code: str) -> HttpResponse:
    """Begin a package for whoever stands before the clerk."""
    sent = request.method == "POST"
    given = (request.POST if sent else request.GET).dict()
    told = offered.plan(request.actor, code, given)
    if told is None or told.package.audience != PERSON:
        raise Http404("no such package")
    look = given.pop("do", "") == "look"
    form = Visitor(request.POST if sent and not look else None)
    ready = sent and not look
    if ready and not told.open and form.is_valid():
        try:
            if not once(request):
                return redirect("packages:help")
            made = actions.help_begin(code, answers=given, by=request.actor, **form.cleaned_data)
            return redirect("packages:confirm", code=made.code)
        except UserError as error:
            form.add_error(None, str(error))
    return render(
        request,
        "packages/help_apply.html",
        {**page_of(request, told), "form": form, "unanswered": ready and bool(told.open)},
    )
