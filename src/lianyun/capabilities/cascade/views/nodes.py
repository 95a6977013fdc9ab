"""Pages of nodes: this node, its links, enrolment, what waits and what failed."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Table

from .. import actions, queries, rules
from . import forms


@page(permission="cascade.read")
def home(request: ActorRequest) -> HttpResponse:
    """This node and its links."""
    viewer = request.actor
    node, key = queries.node(viewer), queries.key(viewer)
    lines = queries.links(viewer)
    table = Table(
        request,
        lines,
        columns=[
            Column(
                "name",
                "节点",
                primary=True,
                cell=lambda x: x.link.name,
                link=lambda x: reverse("cascade:link", args=[x.link.code]),
                sub=lambda x: (
                    f"{x.link.get_side_display()} · {x.link.get_level_display()} · {x.link.code}"
                ),
            ),
            Column(
                "state", "状态", kind="badge", cell=lambda x: x.state[0], tone=lambda x: x.state[1]
            ),
            Column("lag", "待送", cell=lambda x: x.lag),
            Column("parked", "待执行", kind="number", cell=lambda x: x.parked),
            Column("conflicts", "目录冲突", kind="number", cell=lambda x: x.conflicts, phone=False),
            Column("moving", "传送中", kind="number", cell=lambda x: x.moving, phone=False),
            Column("contact", "最近联通", kind="stamp", cell=lambda x: x.link.last_contact_at),
            Column("error", "最近错误", cell=lambda x: x.link.last_error or "—"),
        ],
        caption="级联连接",
        export_name="级联连接",
        empty=Empty(
            "还没有连接其他节点",
            "上级登记下级节点后得到一次性接入码，下级凭接入码接入。",
            icon="link",
        ),
    )
    return table.respond(
        request,
        "cascade/home.html",
        {
            "node": node,
            "key": key,
            "fingerprint": rules.grouped(key.kid) if key else "",
            "may_manage": viewer.may("cascade.manage"),
        },
    )


@page(permission="cascade.manage")
def identity(request: ActorRequest) -> HttpResponse:
    """Give this node its identity."""
    viewer = request.actor
    node = queries.node(viewer)
    told = queries.declared(viewer)
    start = {**told, "address": request.build_absolute_uri("/").rstrip("/")}
    if node is not None:
        start = {f: getattr(node, f) for f in ("code", "name", "level", "address")}
    form = forms.IdentityForm(request.POST or None, initial=start)
    if node is not None:
        del form.fields["algorithm"]
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            if once(request):
                actions.identify(
                    code=data["code"],
                    name=data["name"],
                    level=data["level"],
                    address=data["address"],
                    algorithm=data.get("algorithm") or forms.ALGORITHMS[0][0],
                    by=viewer,
                )
            messages.success(request, "本节点身份已保存")
            return redirect("cascade:home")
        except UserError as wrong:
            form.add_error(None, str(wrong))
    return render(
        request, "cascade/form.html", {"form": form, "title": "本节点身份", "submit": "保存"}
    )


@never_cache
@sensitive_variables("invitation")
@page(permission="cascade.manage")
def invite(request: ActorRequest) -> HttpResponse:
    """Enrol a lower node: its one-time code is shown once."""
    form = forms.InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("cascade:home")
        data = form.cleaned_data
        try:
            link, invitation = actions.invite(
                code=data["code"], name=data["name"], level=data["level"], by=request.actor
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            key, node = queries.key(request.actor), queries.node(request.actor)
            return render(
                request,
                "cascade/invitation.html",
                {
                    "link": link,
                    "invitation": invitation,
                    "hours": rules.INVITATION_HOURS,
                    "node": node,
                    "fingerprint": rules.grouped(key.kid) if key else "",
                },
            )
    return render(
        request,
        "cascade/form.html",
        {
            "form": form,
            "title": "登记下级节点",
            "lede": "保存后显示一次性接入码，请当面或电话告知下级运维人员，不要通过网络发送。",
            "submit": "生成接入码",
        },
    )


@page(permission="cascade.manage")
def join(request: ActorRequest) -> HttpResponse:
    """Enrol this node with an upper one."""
    form = forms.JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("cascade:home")
        data = form.cleaned_data
        try:
            link = actions.join(
                address=data["address"], invitation=data["invitation"], by=request.actor
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "已接入，请与上级运维人员核对双方指纹")
            return redirect("cascade:link", link.code)
    return render(
        request,
        "cascade/form.html",
        {
            "form": form,
            "title": "接入上级节点",
            "lede": "接入后双方页面都显示两个节点的指纹，核对一致后由上级启用连接。",
            "submit": "接入",
        },
    )


def _line(request: ActorRequest, code: str) -> queries.Line:
    found = queries.link(request.actor, code)
    if found is None:
        raise Http404
    return found


@page(permission="cascade.read")
def link(request: ActorRequest, code: str) -> HttpResponse:
    """One link: how it stands, what waits, what failed, what crossed."""
    viewer = request.actor
    line = _line(request, code)
    found = line.link
    own = queries.key(viewer)
    used = found.own_key or own
    return render(
        request,
        "cascade/link.html",
        {
            "line": line,
            "link": found,
            "own_fingerprint": rules.grouped(used.kid) if used else "",
            "changing": bool(own and used and own.pk != used.pk),
            "parked": queries.parked(viewer, found),
            "kinds": actions.KIND_TITLES,
            "crossings": queries.crossings(viewer, found)[:10],
            "changes": queries.changes(viewer, found),
            "may_manage": viewer.may("cascade.manage"),
            "reason_form": forms.ReasonForm(),
            "lease_form": forms.LeaseForm(initial={"seconds": found.lease_seconds}),
            "rotate_form": forms.RotateForm(),
            "is_upper": found.side == rules.UPPER,
        },
    )


@page(permission="cascade.manage")
@require_POST
def change_link(request: ActorRequest, code: str, verb: str) -> HttpResponse:
    """Confirm, stop, start, retry a link; change its lease; draw a new key."""
    viewer = request.actor
    found = _line(request, code).link
    if not once(request):
        return redirect("cascade:link", code)
    if verb == "confirm":
        actions.confirm_link(link=found, address=request.POST.get("address", ""), by=viewer)
        text = "指纹已核对，连接启用"
    elif verb in ("address", "keep-address"):
        actions.settle_address(
            link=found,
            address=request.POST.get("address", ""),
            accept=verb == "address",
            by=viewer,
        )
        text = "已采用对方的新地址" if verb == "address" else "未采用对方的新地址"
    elif verb == "move":
        actions.set_address(link=found, address=request.POST.get("address", ""), by=viewer)
        text = "对方地址已更改"
    elif verb == "disable":
        actions.disable_link(link=found, reason=request.POST.get("reason", ""), by=viewer)
        text = "连接已停用"
    elif verb == "enable":
        actions.enable_link(link=found, by=viewer)
        text = "连接已恢复，将从断开处继续"
    elif verb == "retry":
        actions.retry_link(link=found, by=viewer)
        text = "已安排立即重试"
    elif verb == "lease":
        form = forms.LeaseForm(request.POST)
        if not form.is_valid():
            raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
        actions.set_lease(link=found, seconds=form.cleaned_data["seconds"], by=viewer)
        text = "租期已更改，下级下次续租时生效"
    elif verb == "rotate":
        actions.rotate_key(
            algorithm=request.POST.get("algorithm", forms.ALGORITHMS[0][0]), by=viewer
        )
        text = "已生成新密钥，对方收到后自动启用"
    else:
        raise Http404
    messages.success(request, text)
    return redirect("cascade:link", code)


@page(permission="cascade.manage")
@require_POST
def change_message(request: ActorRequest, number: int, verb: str) -> HttpResponse:
    """Try a message again that failed, or let it be with a reason."""
    found = queries.message(request.actor, number)
    if found is None or verb not in ("retry", "skip"):
        raise Http404
    if once(request):
        if verb == "retry":
            actions.retry_message(message=found, by=request.actor)
            messages.success(request, "已安排重试")
        else:
            actions.skip_message(
                message=found, reason=request.POST.get("reason", ""), by=request.actor
            )
            messages.success(request, "该消息不再执行，理由已记录")
    return redirect("cascade:link", found.link.code)
