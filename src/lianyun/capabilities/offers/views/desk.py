"""Desk: rules and policies with their approvals, what came of them in numbers, claims to review and pay."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries
from ..rules import declared, expressions
from ..rules.facts import PERSON

ENDS = {
    "approved": ("已上线", "green"),
    "refused": ("未通过", "red"),
    "paid": ("已拨付", "green"),
    "failed": ("拨付不成", "red"),
}


def _standing(rule: Any) -> tuple[str, str]:
    if rule.speaks:
        return "在用", "green"
    if rule.stopped_at is not None:
        return "已停用", "grey"
    return ENDS.get(rule.case.outcome, ("审核中", "blue")) if rule.case else ("审核中", "blue")


@page(permission="offers.read")
def rules(request: ActorRequest) -> HttpResponse:
    """Rules of proactive service with their numbers; no names."""
    rows = queries.rules(request.actor, declared.OFFER)
    counts = queries.tallies(request.actor, [r.code for r in rows])

    def number(what: str) -> Any:
        return lambda r: queries.told_count(
            counts.get(r.code, {}).get(what, 0), r.content["subject"]
        )

    table = Table(
        request,
        rows,
        columns=[
            Column(
                "title", "规则", primary=True, sub=lambda r: f"第 {r.version} 版",
                link=lambda r: reverse("offers:rule", args=[r.code]),
            ),
            Column("department.short", "提出部门", cell=lambda r: str(r.department)),
            Column("subject", "面向", cell=lambda r: "个人" if r.content["subject"] == "person" else "企业"),
            Column("offered", "已提示", cell=number("offered")),
            Column("opened", "打开", cell=number("opened")),
            Column("filed", "办理", cell=number("filed")),
            Column("dismissed", "不需要", cell=number("dismissed"), phone=False),
            Column("standing", "状态", kind="badge", cell=lambda r: _standing(r)[0], tone=lambda r: _standing(r)[1]),
        ],
        filters=[
            Filter("subject", "面向", "select", choices=[("person", "个人"), ("entity", "企业")], lookup="content__subject"),
        ],
        caption="主动服务规则",
        export_name="主动服务规则",
        empty=Empty("还没有规则", "规则写在行业包的 offers 目录中，安装后在这里审核上线。", icon="bell"),
    )  # fmt: skip
    return table.respond(request, "offers/rules.html", {"few": queries.settings()["few"]})


@page(permission="offers.read")
def rule(request: ActorRequest, code: str) -> HttpResponse:
    """One rule: what it says, what it reads, its versions and numbers."""
    found = queries.versions(request.actor, code)
    if not found or found[0].kind != declared.OFFER:
        raise Http404
    now = next((r for r in found if r.speaks), found[0])
    return render(request, "offers/rule.html", _about(request, now, found))


def _about(request: ActorRequest, now: Any, found: Any) -> dict[str, Any]:
    told = queries.content_of(now)
    sheet = queries.sheet_of(told.subject)
    months = queries.by_month(request.actor, now.code)
    few = queries.settings()["few"] if told.subject == PERSON else 0

    def shown(number: int) -> int:
        # A bar must not tell what the table beside it keeps back.
        return number if number >= few else 0

    return {
        "rule": now,
        "told": told,
        "item": queries.item_title(told.item),
        "reason": told.filled({n: f"〔{sheet.facts[n].title}〕" for n in told.slots}),
        "standing": _standing(now),
        "versions": [(r, _standing(r)) for r in found],
        "waiting": next((r for r in found if r.approved_at is None and r.case and r.case.state != "closed"), None),
        "conditions": [(c.title, expressions.in_words(c.when, sheet.titles), c.when) for c in told.conditions],
        "reads": [
            (*queries.source_title(request.actor, s), [f.title for f in sheet.wanted(told.facts).values() if not f.of and (f.source or f"library.{sheet.library}") == s])
            for s in sheet.tables(told.facts)
        ],
        "grants": queries.granted(request.actor, now),
        "counts": {
            k: queries.told_count(v, told.subject)
            for k, v in queries.tallies(request.actor, [now.code]).get(now.code, {}).items()
        },
        "few": few,
        "chart": charts.Chart(
            "bar", "每月提示和办理", [f"{t.month:%Y-%m}" for t in months],
            [charts.Series("提示", [shown(t.offered) for t in months]), charts.Series("打开", [shown(t.opened) for t in months]), charts.Series("办理", [shown(t.filed) for t in months])],
            "次",
        ) if any(t.offered >= few for t in months) else None,
        "may_stop": now.speaks and request.actor.may("offers.review"),
    }  # fmt: skip


@page(permission="offers.review")
@require_POST
def stop(request: ActorRequest, code: str) -> HttpResponse:
    """A rule or policy falls silent."""
    kind = "rule"
    try:
        found = queries.versions(request.actor, code)
        kind = "policy" if found and found[0].kind == declared.SUBSIDY else "rule"
        actions.stop_rule(code=code, reason=request.POST.get("reason", ""), by=request.actor)
        messages.success(request, "已停用。")
    except UserError as wrong:
        messages.error(request, str(wrong))
    return redirect(f"offers:{kind}", code=code)


@page(permission="offers.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One approval or one claim: what it is about, the step to be done, what became of it."""
    found = queries.case_of(request.actor, code)
    if found is None:
        raise Http404
    matter, about, claimed = found
    if request.method == "POST":
        do = actions.work_rule if about else actions.work_claim
        try:
            if once(request):
                do(
                    matter,
                    request.POST.get("step", ""),
                    request.POST.get("outcome", ""),
                    note=request.POST.get("note", "")[:1000],
                    by=request.actor,
                )
                messages.success(request, "已办理。")
            return redirect("offers:case", code=code)
        except UserError as wrong:
            messages.error(request, str(wrong))
    given: dict[str, Any] = {
        "case": matter,
        "step": queries.step_for(request.actor, matter),
        "open": matter.items.filter(done_at=None).select_related("department"),
        "end": ENDS.get(matter.outcome),
        "events": queries.events_of(request.actor, matter),
        "claim": claimed,
    }
    if about is not None:
        given |= _about(request, about, queries.versions(request.actor, about.code) or [about])
    if claimed is not None:
        given |= {
            "money": declared.yuan(claimed.amount),
            "agent": queries.masked_name(claimed.by),
            "facts": list(claimed.facts.values()),
            "whole": actions.claiming.digest(claimed.facts) == claimed.digest,
        }
    return render(request, "offers/case.html", given)


@page(permission="offers.read")
def policies(request: ActorRequest) -> HttpResponse:
    """Policies with their money."""
    rows = queries.monies(request.actor)
    table = Table(
        request,
        rows,
        columns=[
            Column("rule.title", "政策", primary=True, sub=lambda m: str(m.rule.department), link=lambda m: reverse("offers:policy", args=[m.rule.code])),
            Column("total", "预算", cell=lambda m: declared.yuan(m.budget.total) if m.budget else "—"),
            Column("paid", "已拨付", cell=lambda m: declared.yuan(m.budget.paid) if m.budget else "—"),
            Column("reserved", "在办占用", cell=lambda m: declared.yuan(m.budget.reserved) if m.budget else "—"),
            Column("left", "余额", cell=lambda m: declared.yuan(m.budget.left) if m.budget else "—"),
            Column("claims", "申领", kind="number"),
            Column("standing", "状态", kind="badge", cell=lambda m: _standing(m.rule)[0], tone=lambda m: _standing(m.rule)[1]),
        ],
        caption="惠企政策",
        export_name="惠企政策",
        empty=Empty("还没有政策", "政策写在行业包的 subsidies 目录中，安装后在这里审核上线。", icon="building"),
    )  # fmt: skip
    with_money = [(m.rule.title, m.budget) for m in rows if m.budget is not None]
    chart = charts.Chart(
        "stack", "各政策资金", [title for title, _ in with_money],
        [
            charts.Series("已拨付", [round(b.paid / 1e6, 2) for _, b in with_money]),
            charts.Series("在办占用", [round(b.reserved / 1e6, 2) for _, b in with_money]),
            charts.Series("余额", [round(b.left / 1e6, 2) for _, b in with_money]),
        ],
        "万元",
    )  # fmt: skip
    return table.respond(
        request, "offers/desk_policies.html", {"chart": chart if with_money else None}
    )


@page(permission="offers.read")
def policy(request: ActorRequest, code: str) -> HttpResponse:
    """One policy: its conditions, its money as a picture, its claims."""
    found = queries.versions(request.actor, code)
    if not found or found[0].kind != declared.SUBSIDY:
        raise Http404
    now = next((r for r in found if r.speaks), found[0])
    money = next((m for m in queries.monies(request.actor) if m.rule.code == code), None)
    may = request.actor.may("offers.claims", now.department)
    table = Table(
        request,
        queries.claims(request.actor, code) if may else [],
        columns=[
            Column("party.name", "企业", primary=True, sub=lambda c: c.code, link=lambda c: reverse("offers:case", args=[c.case.code])),
            Column("amount", "金额", cell=lambda c: declared.yuan(c.amount)),
            Column("made_at", "申领", kind="stamp"),
            Column("paid_at", "拨付", kind="stamp"),
            Column("state", "状态", kind="badge", cell=lambda c: ENDS.get(c.case.outcome, ("办理中", "blue"))[0], tone=lambda c: ENDS.get(c.case.outcome, ("", "blue"))[1]),
        ],
        caption="申领",
        export_name="政策申领",
        empty=Empty("还没有企业申领", "符合条件的企业会在“惠企政策”中看到并一键申领。", icon="inbox"),
    )  # fmt: skip
    given = _about(request, now, found)
    given["chart"] = None
    if money and money.budget:
        b = money.budget
        given["budget"] = [
            (declared.yuan(b.total), "预算"), (declared.yuan(b.paid), "已拨付"),
            (declared.yuan(b.reserved), "在办占用"), (declared.yuan(b.left), "余额"),
        ]  # fmt: skip
        given["chart"] = charts.one(
            "donut", "资金去向",
            [("已拨付", b.paid / 1e6), ("在办占用", b.reserved / 1e6), ("余额", b.left / 1e6)], "万元",
        )  # fmt: skip
        paid = queries.paid_by_month(request.actor, code) if may else []
        if paid:
            given["paid"] = charts.one(
                "bar", "每月拨付", [(m, round(n / 1e6, 2)) for m, n in paid], "万元"
            )
    return table.respond(request, "offers/policy.html", given)
