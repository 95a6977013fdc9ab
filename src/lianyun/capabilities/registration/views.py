"""Views: a name tried by everybody, public notices; firms registered, changed, cancelled, waiting."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page, public
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules


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


@page(permission="registration.read")
def changes(request: ActorRequest) -> HttpResponse:
    """Changes and cancellations that were granted, those that wait first."""
    table = Table(
        request,
        queries.changes(request.actor),
        columns=[
            Column(
                "name", "名称", primary=True,
                link=lambda c: reverse("registration:case", args=[c.case.code]),
                sub=lambda c: c.case.code,
            ),
            Column("credit_code", "统一社会信用代码", kind="code"),
            Column("words", "事项", cell=lambda c: f"{c.get_kind_display()}：{c.words}"),
            Column("standing", "状态", kind="badge", cell=lambda c: c.standing[0], tone=lambda c: c.standing[1]),
            Column("made_at", "登记", kind="stamp"),
            Column("batch", "入库批次", kind="code", phone=False),
        ],
        filters=[
            Filter("q", "名称或代码", lookup="name__icontains|credit_code__icontains"),
            Filter("kind", "类别", "select", choices=list(rules.KINDS.items()), lookup="kind"),
        ],
        caption="变更和注销登记",
        export_name="变更和注销登记",
        empty=Empty("还没有变更或注销", "准予后自动变更登记簿、换发或注销营业执照。", icon="building"),
    )  # fmt: skip
    return table.respond(request, "registration/changes.html", {})


@page(permission="registration.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One change or cancellation against the register: what differs, what stands in its way, objections."""
    viewer = request.actor
    if request.method == "POST":
        _settle(request, code)
        return redirect("registration:case", code)
    found = queries.paper(viewer, code)
    if found is None:
        raise Http404
    return render(
        request,
        "registration/case.html",
        {
            "paper": found,
            "may": viewer.may("registration.settle", found.case.department),
            "desk": address_of("desk:case", found.case.code) if viewer.may("desk.read") else "",
        },
    )


def _settle(request: ActorRequest, code: str) -> None:
    """What an officer does on that page: register again, send back, answer an objection."""
    viewer, told = request.actor, request.POST
    found = queries.paper(viewer, code)
    if found is None:
        raise Http404
    if not once(request):
        return
    try:
        if told.get("do") == "answer":
            pairs = {str(o.pk): o for o, _ in found.objections}
            objection = pairs.get(told.get("objection", ""))
            if objection is None:
                raise UserError("没有这份异议")
            actions.answer_objection(
                objection,
                accepted=told.get("accepted") == "yes",
                answer=told.get("answer", ""),
                by=viewer,
            )
            messages.success(request, "已答复提出人。")
        elif told.get("do") == "abandon":
            actions.abandon(case=found.case, reason=told.get("reason", ""), by=viewer)
            messages.success(request, "已退回决定环节，由负责人告知申请人。")
        else:
            done = actions.settle(case=found.case, over=bool(told.get("over")), by=viewer)
            if done.made_at is None:
                messages.error(request, done.trouble)
            else:
                messages.success(request, "已登记。")
    except (UserError, Denied) as wrong:
        messages.error(request, str(wrong))


@public
def notices(request: ActorRequest) -> HttpResponse:
    """简易注销公示: firms that wish to end, and until when one may object."""
    rows = queries.notices(request.actor)
    text = request.GET.get("q", "").strip()[:60]
    if text:
        rows = rows.filter(name__icontains=text)
    today = timezone.localdate()
    return render(
        request,
        "registration/notices.html",
        {"q": text, "rows": [queries.shown(n, today) for n in rows[:100]]},
    )


class ObjectionForm(Styled):
    """Who objects, and why."""

    kind = forms.ChoiceField(label="您的身份", choices=[])
    reason = forms.CharField(
        label="异议的理由",
        max_length=1000,
        min_length=5,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="写明债权或其他权益的情况；有关材料可以在登记机关核实时提供",
    )


@public
def notice(request: ActorRequest, number: int) -> HttpResponse:
    """One notice; whoever has signed in may object while it runs, and follow his objection."""
    viewer = request.actor
    found = queries.notice(viewer, number)
    if found is None:
        raise Http404
    told = queries.shown(found, timezone.localdate())
    own = queries.own_objection(viewer, found)
    sent = request.method == "POST" and request.POST.get("do") == "object"
    form = ObjectionForm(request.POST if sent else None)
    # Who has no post does not speak for an authority.
    form.fields["kind"].choices = [  # type: ignore[attr-defined]
        (k, title)
        for k, title in queries.objector_kinds()
        if k != "department" or viewer.department is not None
    ]
    if request.method == "POST":
        try:
            if viewer.party is None:
                raise UserError("请先登录")
            if request.POST.get("do") == "withdraw" and own is not None:
                actions.withdraw(own, by=viewer)
                messages.success(request, "异议已撤回。")
                return redirect("registration:notice", number)
            if form.is_valid():
                if once(request):
                    actions.object_to(found, by=viewer, **form.cleaned_data)
                    messages.success(request, "异议已提交，登记机关核实后答复您。")
                return redirect("registration:notice", number)
        except UserError as wrong:
            form.add_error(None, str(wrong))
    return render(
        request,
        "registration/notice.html",
        {
            "n": told,
            "own": own if own is not None and own.withdrawn_at is None else None,
            "form": form,
            "told": queries.settings(),
        },
    )
