"""Own: a package begun, consented to, filled in, checked, filed; where it stands, what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions
from ..queries import filings, offered
from .public import page_of

MAX_BYTES = 20 * 1024 * 1024
STEPS = list(hall.STEPS.values())


def own(request: ActorRequest, code: str, scope: str = filings.APPLY) -> Any:
    """A filing of the person's; 404 for everybody else's, as if it were not there."""
    found = filings.one(request.actor, code, scope=scope)
    if found is None:
        raise Http404("no such package")
    return found


@signed_in
def mine(request: ActorRequest) -> HttpResponse:
    """One's own packages, or those of the firm acted for."""
    rows = filings.lines(request.actor, filings.mine(request.actor)[:50])
    return render(request, "packages/mine.html", {"rows": rows, "who": identity.acting(request)})


@signed_in
def apply(request: ActorRequest, code: str) -> HttpResponse:
    """Begin: in whose name, the questions once, which items follow and why."""
    given = (request.POST if request.method == "POST" else request.GET).dict()
    told = offered.plan(request.actor, code, given)
    if told is None:
        raise Http404("no such package")
    applicant = identity.acting(request)
    kind = "person" if applicant.kind == "person" else "entity"
    fits = kind == told.package.audience
    if fits:
        identity.require_level(request, max(p.item.proof for p in told.parts))
    ready = request.method == "POST" and fits and request.POST.get("do") == "begin"
    if ready and not told.open and told.chosen:
        if not once(request):
            return redirect("packages:mine")
        made = actions.begin(code, applicant=applicant, answers=given, by=request.actor)
        return redirect("packages:consent", code=made.code)
    pending = [
        f
        for f in filings.mine(request.actor).filter(package=code, case=None)[:5]
        if f.applicant_id == applicant.pk
    ]
    return render(
        request,
        "packages/apply.html",
        {
            **page_of(request, told),
            "applicant": applicant,
            "fits": fits,
            "unanswered": ready and bool(told.open),
            "pending": pending,
        },
    )


@signed_in
def situation(request: ActorRequest, code: str) -> HttpResponse:
    """Answer the questions anew."""
    filing = own(request, code)
    if filing.filed:
        return redirect("packages:filing", code=code)
    given = request.POST.dict() if request.method == "POST" else filing.answers
    told = offered.plan(request.actor, filing.package, given)
    if told is None:
        raise UserError("这个套餐中有事项已停止办理，请分别办理其余事项")
    ready = request.method == "POST" and request.POST.get("do") == "begin"
    if ready and not told.open and told.chosen:
        actions.answer(filing, answers=given, by=request.actor)
        return redirect("packages:consent", code=code)
    return render(
        request,
        "packages/apply.html",
        {
            **page_of(request, told),
            "filing": filing,
            "applicant": filing.applicant,
            "fits": True,
            "unanswered": ready,
        },
    )


@signed_in
def go_on(request: ActorRequest, code: str) -> HttpResponse:
    """Where an unfinished package stands: consent, form or materials."""
    filing = own(request, code)
    if filing.filed:
        return redirect("packages:filing", code=code)
    if filings.unconfirmed(request.actor, filing):
        return redirect("packages:confirm", code=code)
    if filing.consented_at is None:
        return redirect("packages:consent", code=code)
    if not filings.whole(request.actor, filing):
        return redirect("forms:begin", filing.draft)
    return redirect("packages:materials", code=code)


@signed_in
def confirm(request: ActorRequest, code: str) -> HttpResponse:
    """The person whom a clerk helps agrees to the whole package: by digits or by a signed paper."""
    filing = _open(request, code)
    waits = filings.unconfirmed(request.actor, filing)
    if not waits:
        return redirect("packages:go_on", code=code)
    if not filings.only_helps(request.actor, filing):  # the person: reads the digits, or agrees
        return redirect("hall:confirm", code=waits[0].code)
    wrong = ""
    if request.method == "POST":
        try:
            digits, paper = request.POST.get("digits", ""), request.FILES.get("paper")
            if actions.confirm(filing, code=digits, paper=paper, by=request.actor):
                return redirect("packages:consent", code=code)
            wrong = "确认码不正确，请与本人核对"
        except UserError as error:
            wrong = str(error)
        waits = filings.unconfirmed(request.actor, filing)
    return render(
        request,
        "packages/confirm.html",
        {
            "filing": filing,
            "waits": waits,
            "left": max(0, hall.CODE_TRIES - waits[0].wrong_codes) if waits else 0,
            "wrong": wrong,
        },
    )


def _open(request: ActorRequest, code: str) -> Any:
    """An unfiled filing; where it was filed already, raises UserError."""
    filing = own(request, code)
    if filing.filed:
        raise UserError("套餐已经提交，请到“我的套餐”查看进展")
    return filing


@signed_in
def consent(request: ActorRequest, code: str) -> HttpResponse:
    """Which sources may be looked into, each once for all items; each may be refused."""
    filing = _open(request, code)
    if filings.unconfirmed(request.actor, filing):
        return redirect("packages:confirm", code=code)
    found = list(filings.applications(request.actor, filing).values())
    sources = filings.offered(request.actor, found)
    if request.method == "POST" or not sources:
        known = [s.key for s in sources]
        chosen = request.POST.getlist("source")
        keys = known if request.POST.get("all") else [k for k in known if k in chosen]
        for words in actions.consent(filing, keys=keys, by=request.actor):
            messages.warning(request, f"{words}：相关内容请自行填写，相关材料可以上传。")
        return redirect("forms:begin", own(request, code).draft)
    return render(
        request,
        "packages/consent.html",
        {
            "filing": filing,
            "sources": sources,
            "told": hall.terms()["consent"],
            "steps": STEPS,
            "step": 0,
        },
    )


@signed_in
def materials(request: ActorRequest, code: str) -> HttpResponse:
    """Each material once, with the items that need it: freed, handed in, or asked for."""
    filing = _open(request, code)
    if filing.consented_at is None:
        return redirect("packages:consent", code=code)
    if not filings.whole(request.actor, filing):
        messages.info(request, "请先把申请表填写完整。")
        return redirect("forms:begin", filing.draft)
    actions.carry(filing, by=request.actor)
    again = request.method == "POST"
    actions.verify(filing, by=request.actor, again=again)
    if again:
        return redirect("packages:materials", code=code)
    rows = filings.materials(request.actor, filing)
    return render(
        request,
        "packages/materials.html",
        {
            "filing": filing,
            "materials": rows,
            "freed": sum(m.free for m in rows),
            "apart": sum(m.count for m in rows),
            "lacking": [m.name for m in rows if m.lacking],
            "down": any(m.down for m in rows),
            "steps": STEPS,
            "step": 2,
        },
    )


@signed_in
def material(request: ActorRequest, code: str, material: str) -> HttpResponse:
    """Hand in, take back or promise one material for every item that needs it."""
    filing = _open(request, code)
    if request.method == "POST":
        do = request.POST.get("do", "")
        try:
            if do == "drop":
                digest = request.POST.get("file", "")
                actions.take_back(filing, material, digest, by=request.actor)
            elif do in ("promise", "unpromise"):
                actions.promise(filing, material, accepted=do == "promise", by=request.actor)
            else:
                uploads = request.FILES.getlist("file")
                if not uploads:
                    raise UserError("请选择要上传的文件")
                for upload in uploads:
                    if (upload.size or 0) > MAX_BYTES:
                        raise UserError("文件超过 20 MB，请压缩或分成几个后再上传")
                    actions.hand_in(
                        filing, material, upload.name or "", upload.read(), by=request.actor
                    )
        except UserError as error:
            messages.error(request, str(error))
    return redirect(f"{reverse('packages:materials', args=[code])}#m-{material}")


@signed_in
def check(request: ActorRequest, code: str) -> HttpResponse:
    """Everything once more, and the button that files all items, once."""
    filing = own(request, code)
    if filing.filed:
        return redirect("packages:filing", code=code)
    if filing.consented_at is None or not filings.whole(request.actor, filing):
        return redirect("packages:go_on", code=code)
    wrong = ""
    if request.method == "POST":
        if not request.POST.get("true"):
            wrong = "请确认所填内容和材料真实"
        else:
            try:
                actions.file(filing, by=request.actor)
                messages.success(request, "已提交：各事项按先后自动办理，您不用再分别申请。")
                return redirect("packages:filing", code=code)
            except UserError as error:
                wrong = str(error)
    found = filings.applications(request.actor, filing)
    rows = filings.steps(request.actor, filing)
    names = {r.item: r.item_name for r in rows}
    return render(
        request,
        "packages/check.html",
        {
            "filing": filing,
            "rows": [
                {
                    "row": r,
                    "department": found[r.item].department,
                    "after": [names[a] for a in r.after if a in names],
                }
                for r in rows
                if r.item in found
            ],
            "sections": filings.sections(request.actor, filing),
            "materials": filings.materials(request.actor, filing),
            "statement": hall.terms()["statement"],
            "wrong": wrong,
            "steps": STEPS,
            "step": 3,
        },
    )


@signed_in
def filing(request: ActorRequest, code: str) -> HttpResponse:
    """Where a filed package stands: every item, what it waits for, one list of results."""
    row = own(request, code, filings.FOLLOW)
    if not row.filed:
        return redirect("packages:go_on", code=code)
    return render(
        request,
        "packages/filing.html",
        {
            "filing": row,
            "progress": filings.progress(request.actor, row),
            "helps": filings.only_helps(request.actor, row),
            "events": filings.happened(request.actor, row),
        },
    )


@signed_in
def retry(request: ActorRequest, code: str) -> HttpResponse:
    """Have what could not be opened tried again."""
    row = own(request, code)
    if request.method == "POST":
        actions.retry(row, by=request.actor)
        messages.info(request, "已再试一次，结果见各事项进展。")
    return redirect("packages:filing", code=code)


@signed_in
def withdraw(request: ActorRequest, code: str) -> HttpResponse:
    """Take a package back, with a reason."""
    row, wrong = own(request, code), ""
    if request.method == "POST":
        try:
            reason = request.POST.get("reason", "")[:300]
            kept = actions.withdraw(row, reason=reason, by=request.actor)
            if kept:
                told = "、".join(kept)
                messages.warning(request, f"已经作出决定的不能撤回：{told}；其余事项已撤回。")
            else:
                messages.success(request, "已撤回。")
            return redirect("packages:mine")
        except UserError as error:
            wrong = str(error)
    return render(request, "packages/withdraw.html", {"filing": row, "wrong": wrong})
