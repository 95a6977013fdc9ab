"""Views: a name tried by everybody; firms registered, and those whose registration waits."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page, public
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries


@public
def names(request: ActorRequest) -> HttpResponse:
    """企业名称自查: rules, names that are taken, names that are near."""
    name = request.GET.get("name", "").strip()[:80]
    verdict, wrong = None, ""
    if name:
        try:
            verdict = queries.check_name(request.actor, name)
        except UserError as error:
            wrong = str(error)
    return render(
        request,
        "registration/names.html",
        {
            "name": name,
            "verdict": verdict,
            "wrong": wrong,
            "apply": address_of("items:item", queries.ITEM),
        },
    )


@page(permission="registration.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Firms registered by granted applications."""
    table = Table(
        request,
        queries.firms(request.actor),
        columns=[
            Column(
                "name", "名称", primary=True,
                link=lambda f: reverse("registration:detail", args=[f.pk]), sub=lambda f: f.case.code,
            ),
            Column("credit_code", "统一社会信用代码", kind="code"),
            Column("standing", "状态", kind="badge", cell=lambda f: f.standing[0], tone=lambda f: f.standing[1]),
            Column("made_at", "登记", kind="stamp"),
            Column("batch", "入库批次", kind="code", phone=False),
        ],
        filters=[
            Filter("q", "名称或代码", lookup="name__icontains|credit_code__icontains"),
            Filter(
                "waits", "状态", "select", choices=[("yes", "待处理"), ("no", "已登记")],
                apply=lambda rows, v: rows.filter(made_at__isnull=v == "yes"),
            ),
        ],
        caption="企业登记",
        export_name="企业登记",
        empty=Empty("还没有登记的企业", "企业开办准予登记后，自动赋码、签发营业执照并写入登记库。", icon="building"),
    )  # fmt: skip
    return table.respond(request, "registration/list.html", {})


@page(permission="registration.read")
def detail(request: ActorRequest, number: int) -> HttpResponse:
    """One registration; one that waits is tried again, with another of the applicant's names."""
    viewer = request.actor
    found = queries.firm(viewer, number)
    if found is None:
        raise Http404
    may = found.made_at is None and viewer.may("registration.settle", found.case.department)
    if request.method == "POST" and may and once(request):
        try:
            done = actions.register_firm(
                case=found.case, name=request.POST.get("name", ""), by=viewer
            )
            if done.made_at is None:
                messages.error(request, done.trouble)
            else:
                messages.success(request, "已登记并签发营业执照")
        except (UserError, Denied) as wrong:
            messages.error(request, str(wrong))
        return redirect("registration:detail", number)
    return render(
        request,
        "registration/detail.html",
        {
            "firm": found,
            "may": may,
            "desk": address_of("desk:case", found.case.code) if viewer.may("desk.read") else "",
        },
    )
