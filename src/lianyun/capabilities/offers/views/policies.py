"""Policies: which the city has, which a firm qualifies for and why, claimed by one press."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, public, signed_in

from .. import actions, queries
from ..rules.declared import yuan
from ..rules.facts import ENTITY


class WrongForm(Styled):
    """What should stand there, and how the firm knows."""

    expected = forms.CharField(label="正确的内容", max_length=200)
    told = forms.CharField(
        label="哪里有误、依据是什么", max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )


@public
def public_list(request: ActorRequest) -> HttpResponse:
    """All policies in force, what they ask for and what is left of their money."""
    lines = [
        {
            "policy": policy,
            "department": rule.department,
            "left": yuan(budget.left),
            "total": yuan(budget.total),
            "most": yuan(policy.most),
            "share": budget.left / budget.total if budget.total else 0,
        }
        for rule, policy, budget in queries.public_policies(request.actor)
    ]
    return render(request, "offers/public.html", {"lines": lines})


@never_cache
@signed_in
def mine(request: ActorRequest) -> HttpResponse:
    """The firm's policies: fitting ones first, each condition with its fact, source and mark."""
    party = queries.own_party(request.actor)
    given: dict[str, Any] = {"who": party, "firm": party.kind != "person", "fits": [], "down": ""}
    if given["firm"]:
        try:
            given["fits"] = actions.look_at_policies(by=request.actor)
        except UserError as wrong:
            given["down"] = str(wrong)
        titles = {f.policy.code: f.policy.title for f in given["fits"]}
        given["claims"] = [
            {"claim": c, "title": titles.get(c.policy, c.policy), "money": yuan(c.amount)}
            for c in queries.own_claims(request.actor, party)
        ]
        given["disputes"] = queries.disputes(request.actor, party)
        given["ready"] = yuan(sum(f.amount for f in given["fits"] if f.may_claim))
        given["count"] = sum(f.may_claim for f in given["fits"])
    return render(request, "offers/policies.html", given)


@signed_in
@require_POST
def claim(request: ActorRequest, code: str) -> HttpResponse:
    """Claim by one press."""
    try:
        made = actions.claim(code, by=request.actor)
        messages.success(request, f"已申领 {yuan(made.amount)}，编号 {made.code}。")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect("offers:own_policies")


@never_cache
@signed_in
def wrong(request: ActorRequest, fact: str) -> HttpResponse:
    """Say that a fact about the firm is wrong; the department whose record it is answers."""
    found = queries.sheet_of(ENTITY).facts.get(fact)
    if found is None:
        raise Http404
    form = WrongForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("offers:own_policies")
        try:
            made = actions.dispute(fact, by=request.actor, **form.cleaned_data)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request, f"已提出校核，编号 {made.code}，提供部门 10 个工作日内核实反馈。"
            )
            return redirect("offers:own_policies")
    return render(request, "offers/wrong.html", {"form": form, "fact": found})
