"""Desk: a department's seals, how they are asked for, kept and stopped."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.trust.signatures import TITLES
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from . import forms


def _found(request: ActorRequest, code: str) -> Any:
    found = queries.seal(request.actor, code)
    if found is None:
        raise Http404
    return found


@page(permission="seals.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Seals with their pictures, what waits, and the figures."""
    viewer = request.actor
    q = request.GET.get("q", "").strip()[:50]
    rows = queries.seals(viewer)
    if q:
        rows = rows.filter(title__icontains=q)
    shown = list(rows[:60])
    return render(
        request,
        "seals/list.html",
        {
            "seals": shown,
            "more": rows.count() - len(shown),
            "q": q,
            "figures": queries.figures(viewer),
            "open_cases": queries.open_cases(viewer)[:10],
            "may_request": viewer.may("seals.request"),
        },
    )


@signed_in
def mine(request: ActorRequest) -> HttpResponse:
    """The viewer's own seals and each of their uses."""
    return render(request, "seals/mine.html", {"seals": list(queries.mine(request.actor))})


@signed_in
@cache_control(private=True, max_age=3600)
def picture(request: ActorRequest, code: str) -> HttpResponse:
    """A seal's picture; only for those who may see the seal."""
    seal = _found(request, code)
    return HttpResponse(queries.picture(seal), content_type="image/svg+xml")


@page(permission="seals.request")
def new(request: ActorRequest) -> HttpResponse:
    """The form by which a department asks for a seal."""
    viewer = request.actor
    people = queries.officers(viewer)
    form = forms.RequestForm(
        request.POST or None,
        people=[(str(p.pk), p.name) for p in people],
        initial={"name": viewer.department.name if viewer.department else ""},
    )
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("seals:list")
        if viewer.department is None:
            raise UserError("您没有任职部门，不能申请印章")
        given = form.cleaned_data
        named = given.pop("holder")
        holder = next((p for p in people if str(p.pk) == named), None)
        try:
            case = actions.request_seal(
                department=viewer.department, holder=holder, by=viewer, **given
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, f"申请已提交，编号 {case.code}")
            return redirect("seals:case", case.code)
    return render(request, "seals/new.html", {"form": form})


@page(permission="seals.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One application: what is wanted, a draft of the picture, its steps."""
    viewer = request.actor
    found = queries.case(viewer, code)
    if found is None:
        raise Http404
    items = list(found.items.all())
    data = found.data
    made = queries.seal_of_case(viewer, found)
    own = viewer.party.ref if viewer.party is not None else ""
    fault = rules.hand_fault(own, queries.hands(viewer, found))
    mine = [i for i in items if i.done_at is None and viewer.may(i.permission, i.department)]
    return render(
        request,
        "seals/case.html",
        {
            "case": found,
            "items": items,
            "to_do": [] if fault else [(i, i.declared.outcomes) for i in mine],
            "fault": fault if mine else "",
            "draft": queries.draft(data),
            "made": made,
            "pairs": [
                ("申请部门", str(found.applicant)),
                ("印章名称", data["title"]),
                ("类别", dict(rules.KINDS)[data["kind"]]),
                ("刻字", data["name"]),
                ("下方文字", data["below"] or "无"),
                ("授权自动用印", "、".join(rules.AUTOMATIC[u] for u in data["automatic"]) or "无"),
                ("理由和依据", data["reason"], "full"),
            ],
            "outcome": {"made": ("已制作", "green"), "refused": ("不同意", "red")}.get(
                found.outcome, ("办理中", "blue")
            ),
        },
    )


@page(permission="seals.read")
@require_POST
def step(request: ActorRequest, number: int) -> HttpResponse:
    """Do a work item of an application."""
    item = queries.item(request.actor, number)
    if item is None:
        raise Http404
    done = actions.do_step(
        item=item,
        outcome=request.POST.get("outcome", ""),
        note=request.POST.get("note", "")[:1000],
        by=request.actor,
    )
    messages.success(request, "已办理")
    return redirect("seals:case", done.code)


def _use_columns(with_seal: bool) -> list[Column]:
    def shown(use: Any) -> str:
        return format_html(
            '<img src="{}" alt="" width="44" height="44" loading="lazy">',
            reverse("seals:picture", args=[use.seal.grant.code]),
        )

    columns = [
        Column("purpose", "用途", primary=True, sub=lambda u: u.title or "（未写文件名称）"),
        Column("by", "用印人", cell=lambda u: u.by.name if u.by else "系统"),
        Column("use", "方式", cell=lambda u: rules.AUTOMATIC.get(u.use, "人工用印"), phone=False),
        Column("document_digest", "文件摘要（SHA-256）", kind="code", phone=False),
        Column("at", "时间", kind="stamp", sort="at"),
    ]
    if with_seal:
        columns.insert(0, Column("picture", "印章", cell=shown, export=lambda u: u.seal.title))
        columns.insert(
            2,
            Column(
                "seal.title",
                "印章名称",
                link=lambda u: reverse("seals:detail", args=[u.seal.grant.code]),
            ),
        )
    return columns


_NO_USES = Empty("还没有用印记录", "每一次用印都会逐份登记在这里：文件摘要、用途、用印人和时间。")


@signed_in
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One seal: picture, holder, certificates, uses, and what may be done with it."""
    viewer = request.actor
    seal = _found(request, code)
    own = viewer.party is not None and viewer.party.pk == seal.grant.grantee_id
    keeps = own or viewer.may("seals.keep", seal.department) or viewer.may("seals.supervise")
    table = Table(
        request,
        queries.uses(viewer, seal),
        columns=_use_columns(False),
        filters=[
            Filter("q", "关键词", lookup="purpose__icontains|title__icontains|document_digest")
        ],
        caption="用印记录",
        export_name=f"用印记录-{seal.title}",
        keyset="-id",
        empty=_NO_USES,
    )
    return table.respond(
        request,
        "seals/detail.html",
        {
            "seal": seal,
            "keys": list(seal.keys.all()),
            "algorithms": TITLES,
            "stores": rules.STORES,
            "pairs": [
                ("编号", seal.code),
                ("所属部门", seal.department.name),
                ("持有人", str(seal.grant.grantee.name)),
                ("保管人", seal.keeper.name if seal.keeper else "未指定"),
                ("尺寸", f"{seal.size:g} 毫米"),
                ("授权自动用印", "、".join(rules.AUTOMATIC[u] for u in seal.automatic) or "无"),
            ],
            "active": seal.state == "active",
            "lost": seal.state == "suspended",
            "may_stop": keeps and seal.state != "revoked",
            "may_lose": keeps and seal.state == "active",
            "may_give_back": viewer.may("seals.supervise") and seal.state == "suspended",
            "stop_form": forms.StopForm(),
            "reason_form": forms.ReasonForm(),
            "renew_form": forms.RenewForm(),
        },
    )


@signed_in
@require_POST
def change(request: ActorRequest, code: str, what: str) -> HttpResponse:
    """Report a seal lost, give it back, stop it, or renew its certificate."""
    seal, by = _found(request, code), request.actor
    form_of = {"stop": forms.StopForm, "renew": forms.RenewForm}
    form = form_of.get(what, forms.ReasonForm)(request.POST)
    if not form.is_valid():
        raise UserError("请把原因和情况填写完整")
    given = form.cleaned_data
    if what == "stop":
        actions.stop_seal(seal=seal, by=by, **given)
        messages.success(request, "印章已停用，证书状态即时生效；停用前盖的章仍然有效")
    elif what == "lost":
        actions.report_lost(seal=seal, by=by, **given)
        messages.success(request, "已挂失，印章立即停止使用")
    elif what == "found":
        actions.give_back(seal=seal, by=by, **given)
        messages.success(request, "已恢复使用，并换发了新证书")
    else:
        actions.renew_key(seal=seal, by=by, **given)
        messages.success(request, "已换发证书；以前盖的章仍然有效")
    return redirect("seals:detail", seal.code)


@page(permission="seals.read")
def uses(request: ActorRequest) -> HttpResponse:
    """The ledger of uses with the seal's picture beside each."""
    table = Table(
        request,
        queries.uses(request.actor),
        columns=_use_columns(True),
        filters=[
            Filter(
                "q", "关键词", lookup="purpose__icontains|title__icontains|seal__title__icontains"
            ),
            Filter("digest", "文件摘要", lookup="document_digest"),
        ],
        caption="用印台账",
        export_name="用印台账",
        keyset="-id",
        empty=_NO_USES,
    )
    return table.respond(request, "seals/uses.html")
