"""Own: a citizen's or firm's space: cases with their lamps, to-dos, messages, receipts, results."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import UserError
from lianyun.kernel.event import timeline
from lianyun.ui.context import address_of
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions
from ..queries import applications, looking, shown
from .applying import own

SHOWN = 60


@signed_in
def home(request: ActorRequest) -> HttpResponse:
    """What is to be done, what is under way; what is new comes from the inbox."""
    rows = applications.lines(request.actor, list(applications.mine(request.actor)[:SHOWN]))
    return render(
        request,
        "hall/mine.html",
        {
            "appointments": address_of("counters:appointments"),
            "who": identity.acting(request),
            "todo": [r for r in rows if r.todo],
            "open": [r for r in rows if r.open and not r.todo][:5],
            "inbox": address_of("messages:inbox"),
            "recent": address_of("messages:recent"),
            "to_confirm": applications.to_confirm(request.actor),
            "offers": address_of("offers:mine"),
            "enrolment": address_of("enrolment:mine"),
            "policies": address_of("offers:own_policies") if request.actor.behalf else "",
            "projects": address_of("construction:mine") if request.actor.behalf else "",
        },
    )


@signed_in
def cases(request: ActorRequest) -> HttpResponse:
    """All applications, those to be done first."""
    rows = applications.lines(request.actor, list(applications.mine(request.actor)[:SHOWN]))
    wanted = request.GET.get("show", "")
    chosen = {
        "": rows,
        "todo": [r for r in rows if r.todo],
        "open": [r for r in rows if r.open],
        "done": [r for r in rows if r.application.filed and not r.open],
    }
    tabs = [
        (title, f"{request.path}?show={key}" if key else request.path, len(chosen[key]))
        for key, title in (("", "全部"), ("todo", "待办"), ("open", "办理中"), ("done", "已办结"))
    ]
    return render(
        request,
        "hall/cases.html",
        {
            "who": identity.acting(request),
            "rows": sorted(chosen.get(wanted, rows), key=lambda r: not r.todo),
            "tabs": tabs,
            "to_confirm": applications.to_confirm(request.actor),
        },
    )


@signed_in
def my_materials(request: ActorRequest) -> HttpResponse:
    """What was handed in or proven so far: by whom, for what, and the files again."""
    return render(
        request,
        "hall/my_materials.html",
        {"who": identity.acting(request), "rows": shown.kept(request.actor)},
    )


@signed_in
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One application: where it stands, what is to be done, everything in it, its result."""
    application = own(request, code, applications.FOLLOW)
    if not application.filed:
        return redirect("hall:go_on", code=code)
    if applications.only_helps(request.actor, application):
        return redirect("hall:receipt", code=code)
    line = applications.lines(request.actor, [application])[0]
    if line.news:
        actions.see(application, by=request.actor)
    owner, _, part_of = application.bundle.partition(":")
    return render(
        request,
        "hall/case.html",
        {
            "application": application,
            "line": line,
            "item": applications.item_of(request.actor, application),
            "shown": shown.shown(request.actor, application, own=True),
            "wanted": shown.wanted(application.case) if line.standing == "supplement" else [],
            "decision": shown.decision(application.case),
            "paused": shown.paused(request.actor, application.case),
            "extended": shown.extended(request.actor, application.case),
            "rate": "" if line.open else address_of("ratings:rate", application.case.code),
            "parcels": address_of("counters:parcels", application.code),
            "led": address_of(f"{owner}:own", part_of),
            "events": list(timeline(application.case))[:60],
            "consents": [o for o in looking.offered(request.actor, application) if o.agreed],
        },
    )


@signed_in
def receipt(request: ActorRequest, code: str) -> HttpResponse:
    """The receipt (受理凭证 of what was handed in): code, due day, materials."""
    application = own(request, code, applications.FOLLOW)
    if not application.filed:
        return redirect("hall:go_on", code=code)
    rows = shown.materials(request.actor, application, None)
    return render(
        request,
        "hall/receipt.html",
        {
            "application": application,
            "item": applications.item_of(request.actor, application),
            "materials": rows,
            "freed": sum(m.free for m in rows),
            "line": applications.lines(request.actor, [application])[0],
            "helps": applications.only_helps(request.actor, application),
            "confirmed": shown.confirmation(request.actor, application),
            "parcels": address_of("counters:parcels", application.code),
        },
    )


@signed_in
def supplement(request: ActorRequest, code: str) -> HttpResponse:
    """What the desk sent back: hand in what is missing and send it on."""
    application = own(request, code)
    line = applications.lines(request.actor, [application])[0]
    if line.standing != "supplement":
        return redirect("hall:case", code=code)
    wanted, wrong = shown.wanted(application.case), ""
    if request.method == "POST":
        files: dict[str, list[Any]] = {
            w["material"]: request.FILES.getlist(f"file_{w['material']}")
            for w in wanted
            if w["material"] and request.FILES.getlist(f"file_{w['material']}")
        }
        try:
            if once(request):
                actions.supplement(
                    application,
                    files=files,
                    note=request.POST.get("note", "")[:500],
                    by=request.actor,
                )
                messages.success(request, "补正已提交，办理部门会继续审核。")
            return redirect("hall:case", code=code)
        except UserError as error:
            wrong = str(error)
    return render(
        request,
        "hall/supplement.html",
        {"application": application, "line": line, "wanted": wanted, "wrong": wrong},
    )


@signed_in
def correct(request: ActorRequest, code: str) -> HttpResponse:
    """Open the form of a case that was sent back."""
    application = own(request, code)
    if request.method == "POST":
        return redirect("forms:begin", actions.correct_form(application, by=request.actor))
    return redirect("hall:supplement", code=code)


@signed_in
def urge(request: ActorRequest, code: str) -> HttpResponse:
    """Ask the desks to go on."""
    application = own(request, code, applications.FOLLOW)
    if request.method == "POST" and once(request):
        try:
            actions.urge(application, note=request.POST.get("note", ""), by=request.actor)
            messages.success(request, "已催办，办理人员会看到。")
        except UserError as error:
            messages.error(request, str(error))
    return redirect("hall:case", code=code)


@signed_in
def withdraw(request: ActorRequest, code: str) -> HttpResponse:
    """Take an application back, with a reason."""
    application = own(request, code)
    wrong = ""
    if request.method == "POST":
        try:
            reason = request.POST.get("reason", "")[:300]
            actions.withdraw(application, reason=reason, by=request.actor)
            messages.success(request, "已撤回。")
            return redirect("hall:cases")
        except UserError as error:
            wrong = str(error)
    return render(request, "hall/withdraw.html", {"application": application, "wrong": wrong})
