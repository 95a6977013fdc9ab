"""Applying: situation, consent, form (forms' own pages), materials, check and file."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions
from ..adapters import sources
from ..queries import applications, looking, shown
from ..rules import stages


def own(request: ActorRequest, code: str, scope: str = applications.APPLY) -> Any:
    """An application of the person's; 404 for everybody else's, as if it were not there."""
    found = applications.one(request.actor, code, scope=scope)
    if found is None:
        raise Http404("no such application")
    return found


def draft_only(application: Any) -> None:
    """Raises UserError for an application that was filed."""
    if application.filed:
        raise UserError("申请已经提交，请到“我的办件”查看进展")


def _steps(stage: str) -> dict[str, Any]:
    return {"steps": list(stages.STEPS.values()), "step": stages.place_of(stage)}


def _questions(item: Any, given: dict[str, str]) -> list[dict[str, Any]]:
    return [{"situation": s, "answer": given.get(s.id, "")} for s in items.questions(item, given)]


@signed_in
def apply(request: ActorRequest, item: str) -> HttpResponse:
    """Begin: in whose name, the questions of the situation; an unfinished application is offered."""
    found = items.find(item)
    if found is None:
        raise Http404("no such item")
    if way := address_of(sources.terms()["led"].get(item, "")):
        return redirect(way)
    applicant = identity.acting(request)
    fits = ("person" if applicant.kind == "person" else "entity") in found.objects
    if fits:
        identity.require_level(request, found.proof)
    answers = items.answers_of(found, request.POST if request.method == "POST" else request.GET)
    questions = _questions(found, answers)
    unanswered = items.open_questions(found, answers)
    if request.method == "POST" and fits and not unanswered:
        if not once(request):
            return redirect("hall:cases")
        made = actions.begin(item, applicant=applicant, answers=answers, by=request.actor)
        return redirect("hall:consent", code=made.code)
    pending = [
        a
        for a in applications.mine(request.actor).filter(item=item, case=None)[:5]
        if a.applicant_id == applicant.pk
    ]
    return render(
        request,
        "hall/apply.html",
        {
            "item": found,
            "applicant": applicant,
            "fits": fits,
            "questions": questions,
            "unanswered": request.method == "POST" and bool(unanswered),
            "pending": pending,
        },
    )


@signed_in
def situation(request: ActorRequest, code: str) -> HttpResponse:
    """Answer the questions anew."""
    application = own(request, code)
    draft_only(application)
    item = items.find(application.item)
    if item is None:
        raise UserError("这个事项已停止办理")
    given = request.POST if request.method == "POST" else application.answers
    answers = items.answers_of(item, given)
    if request.method == "POST" and not items.open_questions(item, answers):
        actions.answer(application, answers=answers, by=request.actor)
        return redirect("hall:consent", code=code)
    return render(
        request,
        "hall/apply.html",
        {
            "item": item,
            "application": application,
            "applicant": application.applicant,
            "fits": True,
            "questions": _questions(item, answers),
            "unanswered": request.method == "POST",
        },
    )


@signed_in
def go_on(request: ActorRequest, code: str) -> HttpResponse:
    """Where an unfinished application stands: consent, form or materials."""
    application = own(request, code)
    stage = stages.next_stage(
        relation=application.relation,
        confirmed=application.confirmed_at is not None,
        consented=application.consented_at is not None,
        checked=_whole(request, application),
        filed=application.filed,
    )
    if stage == stages.FORM:
        return redirect("forms:begin", application.draft)
    names = {stages.CONFIRM: "confirm", stages.CONSENT: "consent", stages.FILED: "case"}
    return redirect(f"hall:{names.get(stage, 'materials')}", code=code)


def _whole(request: ActorRequest, application: Any) -> bool:
    if not application.draft:
        return False
    return not forms.missing(forms.draft_of(application.draft, request.actor), request.actor)


@signed_in
def confirm(request: ActorRequest, code: str) -> HttpResponse:
    """The person whom a clerk helps agrees: by digits or by a signed paper."""
    application = own(request, code)
    draft_only(application)
    mine = request.actor.party is not None and request.actor.party.pk == application.applicant_id
    if application.relation != stages.HELPER or application.confirmed_at is not None:
        return redirect("hall:go_on", code=code)
    wrong = ""
    if request.method == "POST":
        try:
            if mine:
                actions.confirm(application, by=request.actor)
                messages.success(request, "已确认，帮办人员可以继续为您办理。")
                return redirect("hall:cases")
            if upload := request.FILES.get("paper"):
                actions.confirm_on_paper(application, uploaded=upload, by=request.actor)
                return redirect("hall:consent", code=code)
            if actions.confirm(application, code=request.POST.get("digits", ""), by=request.actor):
                return redirect("hall:consent", code=code)
            wrong = "确认码不正确，请与本人核对"
        except UserError as error:
            wrong = str(error)
        application = own(request, code)
    return render(
        request,
        "hall/confirm.html",
        {
            "application": application,
            "mine": mine,
            "digits": applications.confirm_code(request.actor, application),
            "parts": applications.asked_with(request.actor, application),
            "wrong": wrong,
            "left": max(stages.CODE_TRIES - application.wrong_codes, 0),
        },
    )


@signed_in
def consent(request: ActorRequest, code: str) -> HttpResponse:
    """Which sources may be looked into and what for; each may be refused."""
    application = own(request, code)
    draft_only(application)
    if application.relation == stages.HELPER and application.confirmed_at is None:
        return redirect("hall:confirm", code=code)
    offered = looking.offered(request.actor, application)
    if request.method == "POST" or not offered:
        if request.POST.get("all"):
            keys = [o.key for o in offered]
        else:
            known = {o.key for o in offered}
            keys = [k for k in request.POST.getlist("source") if k in known]
        row = actions.consent(application, keys=keys, by=request.actor)
        book = actions.look_up(row, by=request.actor)
        for words in dict.fromkeys(book.down.values()):
            messages.warning(request, f"{words}：相关内容请自行填写，相关材料可以上传。")
        return redirect("forms:begin", own(request, code).draft)
    return render(
        request,
        "hall/consent.html",
        {
            "application": application,
            "offered": offered,
            "told": sources.terms()["consent"],
            **_steps(stages.CONSENT),
        },
    )


@signed_in
def withdraw_consent(request: ActorRequest, code: str) -> HttpResponse:
    """Take one consent back."""
    application = own(request, code)
    if request.method == "POST":
        actions.withdraw_consent(application, key=request.POST.get("source", ""), by=request.actor)
        messages.success(request, "已撤回：今后不再查询这一来源。")
    return redirect("hall:case" if application.filed else "hall:materials", code=code)


@signed_in
def materials(request: ActorRequest, code: str) -> HttpResponse:
    """Each material with its ground and evidence, or asked for; what the form says is verified first."""
    application = own(request, code)
    draft_only(application)
    if application.consented_at is None:
        return redirect("hall:consent", code=code)
    if not _whole(request, application):
        messages.info(request, "请先把申请表填写完整。")
        return redirect("forms:begin", application.draft)
    if request.method == "POST":  # the sources are asked again
        actions.look_up(application, by=request.actor)
        actions.verify(own(request, code), by=request.actor, again=True)
        return redirect("hall:materials", code=code)
    actions.verify(application, by=request.actor)
    application = own(request, code)
    draft = forms.draft_of(application.draft, request.actor)
    rows = shown.materials(request.actor, application, draft)
    return render(
        request,
        "hall/materials.html",
        {
            "application": application,
            "materials": rows,
            "freed": sum(m.free for m in rows),
            "lacking": [m.name for m in rows if m.required and not m.met],
            "down": any(m.down for m in rows),
            "consents": [o for o in looking.offered(request.actor, application) if o.agreed],
            **_steps(stages.MATERIALS),
        },
    )


@signed_in
def material(request: ActorRequest, code: str, material: str) -> HttpResponse:
    """Hand in, take back or promise one material."""
    application = own(request, code)
    if request.method == "POST":
        do = request.POST.get("do", "")
        try:
            if do == "drop":
                actions.take_back(
                    application, material, request.POST.get("file", ""), by=request.actor
                )
            elif do in ("promise", "unpromise"):
                actions.promise(application, material, accepted=do == "promise", by=request.actor)
            else:
                uploads = request.FILES.getlist("file")
                if not uploads:
                    raise UserError("请选择要上传的文件")
                for upload in uploads:
                    actions.hand_in(application, material, upload, by=request.actor)
        except UserError as error:
            messages.error(request, str(error))
    return redirect(f"{reverse('hall:materials', args=[code])}#m-{material}")


@signed_in
def attachment(request: ActorRequest, code: str, material: str, file: str) -> HttpResponse:
    """A file that was handed in, for whose application it is."""
    application = own(request, code, applications.FOLLOW)
    place = shown.file_place(request.actor, application, material)
    if place is None:
        raise Http404("no such material")
    one, data = forms.attachment(place[0], file, request.actor)
    return served(one, data)


def served(one: forms.Attachment, data: bytes) -> HttpResponse:
    """A file as browsers may have it: never as a page of ours."""
    response = HttpResponse(data, content_type=one.media)
    response["Content-Disposition"] = f'inline; filename="{one.code}"'
    response["Content-Security-Policy"] = "sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


@signed_in
def check(request: ActorRequest, code: str) -> HttpResponse:
    """Everything once more, and the button that files it, once."""
    application = own(request, code)
    if application.filed:
        return redirect("hall:receipt", code=code)
    owner, _, part_of = application.bundle.partition(":")
    if owner and (way := address_of(f"{owner}:check", part_of)):
        return redirect(way)
    wrong = ""
    if request.method == "POST":
        if not request.POST.get("true"):
            wrong = "请确认所填内容和材料真实"
        else:
            try:
                actions.file(application, by=request.actor)
                return redirect("hall:receipt", code=code)
            except UserError as error:
                wrong = str(error)
    if application.consented_at is None or not application.draft:
        return redirect("hall:go_on", code=code)
    item = items.find(application.item)
    return render(
        request,
        "hall/check.html",
        {
            "application": application,
            "item": item,
            "shown": shown.shown(request.actor, application, own=True),
            "statement": sources.terms()["statement"],
            "wrong": wrong,
            **_steps(stages.FILED),
        },
    )
