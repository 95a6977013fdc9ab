"""Wallet: a person's licences on the phone: shown, given once, copied, and who looked."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions
from ..adapters import shelf, values
from ..queries import kinds, licences
from ..rules import types
from ..rules.drawing import code as qr

LEVEL = identity.ELEMENTS
"""How surely a person must be known to show a licence: compared with the population library."""


def _cards(rows: list[Any], viewer: Any) -> list[dict[str, Any]]:
    cards = []
    for row in rows:
        kind = kinds.kind(row.kind)
        number = kind.item(kind.number)
        told = licences.elements(row)
        _, words, tone = licences.standing(row)
        cards.append(
            {
                "licence": row,
                "kind": kind,
                "number": values.masked(kind, told)[kind.number] if number.personal else row.number,
                "name": row.grant.grantee.name,
                "own": row.grant.grantee == viewer.party,
                "state": words,
                "tone": tone,
            }
        )
    return cards


@signed_in
def home(request: ActorRequest) -> HttpResponse:
    """All licences of the person and of those acted for; renewals due first."""
    rows = licences.held(request.actor)
    own = [r for r in rows if not r.ending]
    cards = _cards(own, request.actor)
    return render(
        request,
        "licences/wallet.html",
        {
            "groups": [
                (party, relation, [c for c in cards if c["licence"].grant.grantee == party])
                for party, relation in licences.relations(request.actor)
            ],
            "ended": _cards([r for r in rows if r.ending], request.actor),
            "due": _cards(licences.due(own), request.actor),
            "search": address_of("items:search"),
            "waiting": licences.waiting(request.actor),
            "level": identity.level_of(request.actor),
            "wanted": LEVEL,
        },
    )


@signed_in
def detail(request: ActorRequest, identifier: str) -> HttpResponse:
    """One licence: its elements, what to do with it, its copies."""
    row = licences.held_one(request.actor, identifier)
    known = identity.level_of(request.actor) >= LEVEL
    kind = kinds.kind(row.kind)
    told = licences.elements(row)
    spoken = kinds.spoken(kind, told if known else values.masked(kind, told))
    _, words, tone = licences.standing(row)
    return render(
        request,
        "licences/held.html",
        {
            "licence": row,
            "kind": kind,
            "pairs": [(i.title, spoken[i.name]) for i in kind.items if i.name in spoken],
            "grade": types.GRADES[row.trust],
            "state": words,
            "tone": tone,
            "good": tone == "green",
            "known": known,
            "copies": licences.copies(request.actor, row),
            "today": timezone.localdate(),
        },
    )


@signed_in
def show(request: ActorRequest, identifier: str) -> HttpResponse:
    """The show code, new each minute; the part alone for the page's own refreshing."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    waiting = [w for w in licences.waiting(request.actor) if w.licence_id == row.pk]
    context: dict[str, Any] = {"licence": row, "kind": kinds.kind(row.kind), "waiting": waiting}
    context["asked"] = [
        (w, "、".join(t for n, t in licences.choices(row) if n in w.wanted) or "证面全部内容")
        for w in waiting
    ]
    if not waiting:
        code = actions.show(row, by=request.actor)
        context["qr"] = mark_safe(qr(f"{shelf.site()}/show/?code={code}"))
        context["code"] = code
    part = request.htmx and request.GET.get("part")
    response = render(request, "licences/_code.html" if part else "licences/show.html", context)
    response["Cache-Control"] = "no-store"
    return response


@signed_in
def asked(request: ActorRequest, identifier: str) -> HttpResponse:
    """Whether a clerk has asked meanwhile: then the page shows the question (polled)."""
    row = licences.held_one(request.actor, identifier)
    if any(w.licence_id == row.pk for w in licences.waiting(request.actor)):
        response = HttpResponse(status=204)
        response["HX-Refresh"] = "true"
        return response
    return HttpResponse(status=204)


@signed_in
def answer(request: ActorRequest, number: int) -> HttpResponse:
    """The holder's yes or no."""
    row = licences.showing_of(request.actor, number)
    if request.method == "POST":
        agreed = request.POST.get("answer") == "yes"
        identity.require_level(request, LEVEL)
        actions.answer(row, agreed=agreed, by=request.actor)
        messages.success(
            request, "已同意出示，窗口可以查看。" if agreed else "已拒绝，对方看不到任何内容。"
        )
        return redirect("licences:looks")
    return redirect("licences:wallet")


class GiveForm(Styled):
    """What to give, to whom, what for, how long."""

    wanted = forms.MultipleChoiceField(
        label="提供哪些内容", widget=forms.CheckboxSelectMultiple,
        help_text="只提供所需要的。例如只证明“已满 18 周岁”，不给出生日期和号码。",
    )  # fmt: skip
    recipient = forms.CharField(label="提供给", max_length=100, help_text="单位或个人的名称。")
    purpose = forms.CharField(label="用途", max_length=200)
    hours = forms.TypedChoiceField(
        label="链接有效时间", coerce=int, choices=[(1, "1 小时"), (24, "24 小时"), (72, "3 天")]
    )
    consent = forms.BooleanField(label="我同意将所选内容一次性提供给上述对象，仅用于上述用途")


@signed_in
def give(request: ActorRequest, identifier: str) -> HttpResponse:
    """A link that shows chosen elements once."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    form = GiveForm(request.POST or None)
    form.fields["wanted"].choices = licences.choices(row)  # type: ignore[attr-defined]
    context: dict[str, Any] = {"licence": row, "kind": kinds.kind(row.kind), "form": form}
    context["back"] = reverse("licences:held", args=[identifier])
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("licences:looks")
        told = form.cleaned_data
        try:
            code = actions.give(
                row, purpose=told["purpose"], recipient=told["recipient"],
                wanted=told["wanted"], hours=told["hours"], by=request.actor,
            )  # fmt: skip
        except UserError as error:
            form.add_error(None, str(error))
        else:
            context["link"] = f"{shelf.site()}/verify/given/{code}/"
            context["qr"] = mark_safe(qr(context["link"]))
            titles = dict(licences.choices(row))
            context["told"] = told
            context["given"] = "、".join(titles[n] for n in told["wanted"])
            context["until"] = timezone.now() + dt.timedelta(hours=told["hours"])
    return render(request, "licences/give.html", context)


class CopyForm(Styled):
    """A purpose-bound copy."""

    purpose = forms.CharField(label="用途", max_length=40, help_text="如：办理子女入学。")
    recipient = forms.CharField(label="提供给", max_length=30)
    until = forms.DateField(
        label="用途期限", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="过了这一天，核验时会提示已超过用途期限。",
    )  # fmt: skip


@signed_in
def copy(request: ActorRequest, identifier: str) -> HttpResponse:
    """Make a copy for one purpose."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    month = timezone.localdate() + dt.timedelta(days=30)
    start = {"until": min(month, row.ends_on or month)}
    form = CopyForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("licences:held", identifier=identifier)
        try:
            actions.make_copy(row, by=request.actor, **form.cleaned_data)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "加注件已制作，可以下载或随时收回。")
            return redirect("licences:held", identifier=identifier)
    context = {
        "licence": row,
        "kind": kinds.kind(row.kind),
        "form": form,
        "back": reverse("licences:held", args=[identifier]),
    }
    return render(request, "licences/copy.html", context)


@signed_in
def withdraw(request: ActorRequest, digest: str) -> HttpResponse:
    """Take a copy back."""
    found = licences.document_of(request.actor, digest)
    if request.method == "POST":
        actions.withdraw_copy(found, by=request.actor)
        messages.success(request, "已收回：从现在起核验不再通过。")
    return redirect("licences:held", identifier=found.licence.identifier)


def saved(data: bytes, name: str, form: str = "pdf") -> HttpResponse:
    """A file to be kept (pdf or ofd)."""
    response = HttpResponse(data, content_type=f"application/{form}")
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    response["Cache-Control"] = "no-store"
    return response


@signed_in
def file(request: ActorRequest, identifier: str) -> HttpResponse:
    """The licence's file, made and sealed at the first wish."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    document, data = actions.original(row, by=request.actor)
    return saved(data, f"licence-{document.digest[:12]}")


@signed_in
def ofd(request: ActorRequest, identifier: str) -> HttpResponse:
    """The same licence as OFD, where its type declares one."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    document, data = actions.original_ofd(row, by=request.actor)
    return saved(data, f"licence-{document.digest[:12]}", "ofd")


@signed_in
def copy_file(request: ActorRequest, digest: str) -> HttpResponse:
    """A copy's file."""
    found = licences.document_of(request.actor, digest)
    data = shelf.get(found.digest)
    if data is None:
        raise UserError("文件不在存储中，请重新制作加注件")
    return saved(data, f"copy-{found.digest[:12]}")


@signed_in
def credential(request: ActorRequest, identifier: str) -> HttpResponse:
    """A credential that shows the ticked claims and nothing else (`?show=age_over_18`)."""
    identity.require_level(request, LEVEL)
    row = licences.held_one(request.actor, identifier)
    names = request.GET.getlist("show")
    text = actions.credential_of(row, names, by=request.actor)
    response = HttpResponse(text, content_type="application/dc+sd-jwt")
    response["Content-Disposition"] = 'attachment; filename="licence.sd-jwt"'
    response["Cache-Control"] = "no-store"
    return response


@signed_in
def looks(request: ActorRequest) -> HttpResponse:
    """Who asked for, was given, or looked at the person's licences."""
    found = licences.looks(request.actor)
    rows = [(s, kinds.kind(s.licence.kind).title, _words(s)) for s in found]
    context = {"rows": rows, "several": len(licences.principals(request.actor)) > 1}
    return render(request, "licences/looks.html", context)


@signed_in
def take_back(request: ActorRequest, number: int) -> HttpResponse:
    """Take a link back that nobody has opened yet."""
    row = licences.showing_of(request.actor, number)
    if request.method == "POST":
        actions.take_back(row, by=request.actor)
        messages.success(request, "已收回：这个链接不能再打开。")
    return redirect("licences:looks")


def _words(showing: Any) -> tuple[str, str]:
    over = showing.expires_at <= timezone.now()
    if showing.seen_at is not None:
        return "已查看", "green"
    if showing.way == "give" and showing.answered_at is not None and not showing.agreed:
        return "已收回，没有被查看", "grey"
    if showing.answered_at is not None and not showing.agreed:
        return "已拒绝", "red"
    if showing.answered_at is not None:
        return ("已过期，没有被查看", "grey") if over else ("等待查看", "blue")
    return ("没有答复，已过期", "grey") if over else ("等待您答复", "amber")
