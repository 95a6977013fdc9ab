"""Desk: systems with their lamps, one system, one case that is with it, what is stuck."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries


class SystemForm(Styled):
    """What is said of a system."""

    department = forms.ChoiceField(label="部门")
    name = forms.CharField(label="系统名称", max_length=200)
    address = forms.CharField(
        label="接口地址",
        max_length=300,
        help_text="如 https://主机/relay，平台在它之下调用 /messages 和 /cases/转办号",
    )
    silent_hours = forms.IntegerField(
        label="最长静默（小时）",
        min_value=1,
        max_value=720,
        initial=24,
        help_text="办件超过这么久没有消息，平台会主动核对并亮灯",
    )
    contact = forms.CharField(label="联系人和电话", max_length=100, required=False)

    def __init__(self, *args: Any, departments: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if departments:
            self.fields["department"].choices = departments  # type: ignore[attr-defined]
        else:
            del self.fields["department"]


@page(permission="relay.read")
def home(request: ActorRequest) -> HttpResponse:
    """Systems with their lamps, and all cases that are with them."""
    viewer = request.actor
    lines = queries.lines(viewer, queries.systems(viewer))
    table = Table(
        request,
        queries.handovers(viewer),
        columns=[
            Column(
                "case.title", "办件", primary=True,
                link=lambda h: reverse("relay:case", args=[h.case.code]), sub=lambda h: h.number,
            ),
            Column("system.party.name", "部门系统"),
            Column("own_number", "对方编号", kind="code", phone=False),
            Column("latest", "最近进展", cell=lambda h: h.latest or "尚无"),
            Column(
                "heard_at", "消息", kind="badge",
                cell=lambda h: queries.silent_words(h)[0], tone=lambda h: queries.silent_words(h)[1],
            ),
            Column("made_at", "转办", kind="stamp", phone=False),
        ],
        filters=[
            Filter("q", "标题或编号", lookup="case__title__icontains|case__code__icontains|own_number__icontains"),
            Filter("system", "系统", "select", choices=[(s.code, s.name) for s in lines], lookup="system__code"),
            Filter(
                "open", "状态", "select", choices=[("yes", "在办"), ("no", "已结束")],
                apply=lambda rows, v: rows.filter(ended_at__isnull=v == "yes"),
            ),
        ],
        caption="转办办件",
        export_name="转办办件",
        empty=Empty("还没有转办的办件", "受理后由部门自建系统办理的申请会列在这里。", icon="swap"),
    )  # fmt: skip
    return table.respond(
        request,
        "relay/home.html",
        {
            "lines": lines,
            "totals": queries.totals(lines),
            "stuck": len(queries.dead_letters(viewer)) + len(queries.unsettled(viewer)),
            "may_manage": viewer.may("relay.manage"),
        },
    )


def _system(request: ActorRequest, code: str) -> Any:
    found = queries.system(request.actor, code)
    if found is None:
        raise Http404
    return found


@page(permission="relay.manage")
def new(request: ActorRequest) -> HttpResponse:
    """Register a system; its key is shown on the next page, once."""
    departments = queries.departments(request.actor)
    form = SystemForm(
        request.POST or None, departments=[(p.slug or "", p.name) for p in departments]
    )
    if request.method == "POST" and form.is_valid() and once(request):
        told = dict(form.cleaned_data)
        slug = told.pop("department")
        try:
            made, key = actions.register_system(
                department=next(p for p in departments if p.slug == slug), by=request.actor, **told
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            return _shown_key(request, made, key)
    return render(request, "relay/form.html", {"form": form, "back": reverse("relay:home")})


def _shown_key(request: ActorRequest, system: Any, key: str) -> HttpResponse:
    answer = render(request, "relay/key.html", {"system": system, "key": key})
    answer["Cache-Control"] = "no-store"
    return answer


@page(permission="relay.read")
def system(request: ActorRequest, code: str) -> HttpResponse:
    """One system: connection, items with what it may be given, cases, what people did."""
    viewer = request.actor
    row = _system(request, code)
    return render(
        request,
        "relay/system.html",
        {
            "row": row,
            "line": queries.lines(viewer, [row])[0],
            "grants": queries.grants(viewer, row),
            "open": [
                (h, *queries.silent_words(h))
                for h in queries.handovers(viewer).filter(system=row, ended_at=None)[:20]
            ],
            "history": queries.history(viewer, row),
            "may_manage": viewer.may("relay.manage", row.department) and row.closed_at is None,
            "here": request.build_absolute_uri("/api/relay/v1/"),
        },
    )


@page(permission="relay.manage")
def edit(request: ActorRequest, code: str) -> HttpResponse:
    """Change what is registered."""
    row = _system(request, code)
    first = {
        "name": row.party.name,
        "address": row.address,
        "contact": row.contact,
        "silent_hours": row.silent_hours,
    }
    form = SystemForm(request.POST or None, departments=[], initial=first)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_system(system=row, by=request.actor, **form.cleaned_data)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "已保存，请测试连接")
            return redirect("relay:system", row.code)
    back = reverse("relay:system", args=[row.code])
    return render(request, "relay/form.html", {"form": form, "row": row, "back": back})


@require_POST
@page(permission="relay.manage")
def act(request: ActorRequest, code: str) -> HttpResponse:
    """Try, pause, go on, a new key, close: by the button's `do`."""
    row, by = _system(request, code), request.actor
    try:
        match request.POST.get("do", ""):
            case "test":
                good, words = actions.test_system(system=row, by=by)
                (messages.success if good else messages.error)(request, words)
            case "pause" | "resume" as doing:
                actions.pause_system(system=row, paused=doing == "pause", by=by)
                messages.success(
                    request,
                    "已暂停转办，办件在平台等待"
                    if doing == "pause"
                    else "已恢复，将补发等待的消息",
                )
            case "rotate":
                return _shown_key(request, row, actions.rotate_key(system=row, by=by))
            case "forbid":
                grant = next(
                    (
                        a.grant
                        for a in queries.grants(by, row)
                        if a.grant.code == request.POST.get("grant")
                    ),
                    None,
                )
                if grant is None:
                    raise UserError("没有这项授权")
                actions.forbid_item(
                    system=row, grant=grant, reason=request.POST.get("reason", ""), by=by
                )
                messages.success(request, "已收回，之后的申请由审批台办理")
            case "close":
                actions.close_system(system=row, reason=request.POST.get("reason", ""), by=by)
                messages.success(request, "系统已停用，密钥已删除")
            case _:
                raise UserError("没有这个操作")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("relay:system", row.code)


@page(permission="relay.manage")
def items(request: ActorRequest, code: str) -> HttpResponse:
    """Give an item: choose it, then the answers and materials that its system needs."""
    row = _system(request, code)
    listed = queries.relayed_items(row.department)
    chosen = request.POST.get("item") or request.GET.get("item", "")
    held = next((a for a in queries.grants(request.actor, row) if a.item == chosen), None)
    wrong = ""
    if request.method == "POST" and chosen:
        try:
            actions.allow_item(
                system=row,
                item=chosen,
                fields=request.POST.getlist("field"),
                materials=request.POST.getlist("material"),
                by=request.actor,
            )
        except UserError as error:
            wrong = str(error)
        else:
            messages.success(request, "已授权，新受理的申请将转到该系统")
            return redirect("relay:system", row.code)
    known = dict(listed)
    return render(
        request,
        "relay/items.html",
        {
            "row": row,
            "listed": listed,
            "chosen": chosen if chosen in known else "",
            "title": known.get(chosen, ""),
            "fields": [
                (k, v, held is not None and k in held.fields)
                for k, v in queries.fields_of(chosen).items()
            ],
            "materials": [
                (k, v, held is not None and k in held.materials)
                for k, v in queries.materials_of(chosen).items()
            ],
            "wrong": wrong,
        },
    )


# ---- one case --------------------------------------------------------------------------------


@page(permission="relay.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One case that is or was with a system: what was sent, what it said, what an officer may do."""
    viewer = request.actor
    row = queries.of_case(viewer, code)
    if row is None:
        raise Http404
    may = viewer.may("relay.settle", row.system.department)
    if request.method == "POST" and may and once(request):
        try:
            match request.POST.get("do", ""):
                case "ask":
                    actions.ask_now(row=row, by=viewer)
                    actions.ask_after(row=row, by=viewer)
                    messages.success(request, "已核对")
                case "answer":
                    actions.answer_instead(
                        row=row,
                        outcome=request.POST.get("outcome", ""),
                        reason=request.POST.get("reason", ""),
                        by=viewer,
                    )
                    messages.success(request, "已登记，并告知部门系统")
                case _:
                    raise UserError("没有这个操作")
        except (UserError, Denied) as wrong:
            messages.error(request, str(wrong))
        return redirect("relay:case", code)
    words, tone = queries.silent_words(row)
    return render(
        request,
        "relay/case.html",
        {
            "row": row,
            "words": words,
            "tone": tone,
            "letters": queries.letters(viewer, row),
            "messages_": queries.messages(viewer, row),
            "history": queries.history(viewer, row),
            "may_settle": may and row.ended_at is None,
            "decides": viewer.may("desk.decide", row.system.department),
            "desk": address_of("desk:case", row.case.code) if viewer.may("desk.read") else "",
        },
    )


# ---- what is stuck ---------------------------------------------------------------------------


@page(permission="relay.read")
def stuck(request: ActorRequest) -> HttpResponse:
    """Dead letters, contrary results and messages that could not be carried out."""
    return render(
        request,
        "relay/stuck.html",
        {
            "letters": queries.dead_letters(request.actor),
            "messages_": queries.unsettled(request.actor),
        },
    )


@require_POST
@page(permission="relay.settle")
def letter(request: ActorRequest, number: str) -> HttpResponse:
    """Send a dead letter again, or leave it out with a reason."""
    found = queries.letter(request.actor, number)
    if found is None:
        raise Http404
    try:
        if request.POST.get("do") == "retry":
            actions.retry_letter(letter=found, by=request.actor)
            messages.success(request, "将重新发送")
        else:
            reason = request.POST.get("reason", "")
            actions.skip_letter(letter=found, reason=reason, by=request.actor)
            messages.success(request, "已不再发送")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("relay:stuck")


@require_POST
@page(permission="relay.settle")
def message(request: ActorRequest, number: int) -> HttpResponse:
    """Try a message again, or close it with a reason."""
    found = queries.message(request.actor, number)
    if found is None:
        raise Http404
    try:
        if request.POST.get("do") == "retry":
            actions.retry_message(message=found, by=request.actor)
            messages.success(request, "已执行")
        else:
            reason = request.POST.get("reason", "")
            actions.settle_message(message=found, reason=reason, by=request.actor)
            messages.success(request, "已处理")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("relay:stuck")
