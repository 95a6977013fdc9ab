"""Views: linkages, a linkage's runs, pairs side by side, entities."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

STATES = [("waiting", "待复核"), *rules.VERDICTS.items()]
KINDS = [("review", "待复核"), ("check", "抽查"), ("dispute", "提出异议")]
TONES = {"same": "green", "different": "red", "unsure": "amber"}


def _linkage(request: ActorRequest, name: str) -> queries.Linkage:
    found = queries.linkage(request.actor, name)
    if found is None:
        raise Http404
    return found


@page(permission="linkage.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All linkages."""
    return render(request, "linkage/list.html", {"linkages": queries.linkages(request.actor)})


@page(permission="linkage.read")
def home(request: ActorRequest, name: str) -> HttpResponse:
    """One linkage: what it compares, what came of it, its model and its runs."""
    viewer, found = request.actor, _linkage(request, name)
    may_review = queries.may(viewer, name, "linkage.review")
    table = Table(
        request,
        queries.runs(viewer, name),
        columns=[
            Column("code", "编号", kind="code", primary=True),
            Column("standing", "状态", kind="state"),
            Column("started_at", "开始", kind="stamp"),
            Column("seconds", "用时（秒）", kind="number", cell=lambda r: r.outcome.get("seconds")),
            Column("pairs", "候选对", kind="number", cell=lambda r: r.outcome.get("pairs")),
            Column("merged", "自动合并", kind="number", cell=lambda r: r.outcome.get("merged")),
            Column("waiting", "须复核", kind="number", cell=lambda r: r.outcome.get("waiting")),
            Column("error", "失败原因", phone=False),
        ],
        caption="运行记录",
        export_name="关联运行记录",
        page_size=10,
        empty=Empty("还没有运行过", "点“运行”，系统会训练模型并找出候选记录对。", icon="play"),
    )
    return table.respond(
        request,
        "linkage/home.html",
        {
            "linkage": found,
            "figure": _weights(found),
            "may_run": viewer.may("linkage.run"),
            "may_review": may_review,
            "contradictions": queries.contradictions(viewer, name) if may_review else [],
        },
    )


def _weights(found: queries.Linkage) -> charts.Chart | None:
    """How much each level of each comparison says, in bits."""
    known = (found.outcome.get("model") or {}).get("fields") or {}
    rows = [
        (f"{f.title}：{v['label']}", round(v["weight"], 1))
        for f in found.spec.fields
        for v in known.get(f.name, ())
    ]
    if not rows:
        return None
    return charts.one("bars", "各项比较的证据强度", rows, "比特", first_column="比较结果")


@page(permission="linkage.run")
@require_POST
def run(request: ActorRequest, name: str) -> HttpResponse:
    """Ask for a run."""
    _linkage(request, name)
    queued = actions.queue_run(name=name, by=request.actor)
    messages.success(request, "已开始运行" if queued else "已在排队，无需重复提交")
    return redirect("linkage:home", name)


@page(permission="linkage.read")
def progress(request: ActorRequest, name: str, code: str) -> HttpResponse:
    """How far a run is (htmx polls it)."""
    found = queries.run_of(request.actor, code)
    if found is None or found.linkage != name:
        raise Http404
    return render(request, "linkage/_progress.html", {"run": found})


@page(permission="linkage.review")
def pairs(request: ActorRequest, name: str) -> HttpResponse:
    """The pairs laid before officers, those that wait first."""
    found = _linkage(request, name)
    table = Table(
        request,
        queries.pairs(request.actor, name),
        columns=[
            Column(
                "pk",
                "编号",
                primary=True,
                cell=lambda p: f"第 {p.pk} 对",
                link=lambda p: reverse("linkage:pair", args=[name, p.pk]),
            ),
            Column("kind", "来由", cell=lambda p: p.get_kind_display()),
            Column(
                "probability",
                "同一的可能",
                sort="probability",
                cell=lambda p: rules.percent(p.probability),
            ),
            Column(
                "verdict",
                "结论",
                kind="badge",
                cell=lambda p: rules.VERDICTS.get(p.verdict, "待复核"),
                tone=lambda p: TONES.get(p.verdict, "blue"),
            ),
            Column("decided_by.name", "判定人"),
            Column("decided_at", "判定时间", kind="stamp", sort="decided_at"),
            Column("note", "说明", phone=False),
        ],
        filters=[
            Filter(
                "state",
                "状态",
                "select",
                choices=STATES,
                apply=lambda rows, v: rows.filter(verdict="" if v == "waiting" else v),
            ),
            Filter("kind", "来由", "select", choices=KINDS, lookup="kind"),
        ],
        caption="关联对",
        export_name="关联复核清单",
        empty=Empty("没有要复核的记录对", "运行关联后，拿不准的记录对会列在这里。", icon="check"),
    )
    return table.respond(request, "linkage/pairs.html", {"linkage": found})


@page(permission="linkage.review")
def review(request: ActorRequest, name: str) -> HttpResponse:
    """The pair to review next."""
    _linkage(request, name)
    found = queries.first_waiting(request.actor, name)
    if found is None:
        messages.success(request, "没有待复核的记录对了")
        return redirect("linkage:pairs", name)
    return redirect("linkage:pair", name, found.pk)


class RevealForm(Styled):
    """Why the plain values are needed."""

    purpose = forms.CharField(
        label="用途", max_length=200, help_text="将记入调用记录，并向本人公开"
    )


@never_cache
@page(permission="linkage.review")
def pair(request: ActorRequest, name: str, number: int) -> HttpResponse:
    """Two rows side by side with the evidence; decided by button or key; shown plain on record."""
    viewer, linkage = request.actor, _linkage(request, name)
    found = queries.pair(viewer, name, number)
    if found is None:
        raise Http404
    form = RevealForm(request.POST if "purpose" in request.POST else None)
    context: dict[str, Any] = {}
    before, after, place, total = queries.neighbours(viewer, found)
    if request.method == "POST" and "verdict" in request.POST:
        if once(request):
            actions.decide(
                pair=found,
                verdict=request.POST["verdict"],
                note=request.POST.get("note", ""),
                by=viewer,
            )
        following = after or before
        if following is None:
            messages.success(request, "已判定；没有待复核的记录对了")
            return redirect("linkage:pairs", name)
        return redirect("linkage:pair", name, following.pk)
    if request.method == "POST" and form.is_valid():
        try:
            purpose = form.cleaned_data["purpose"]
            context["evidence"] = actions.read_pair(pair=found, purpose=purpose, by=viewer)
            context["reveal"] = True
        except UserError as error:
            form.add_error("purpose", str(error))
    return render(
        request,
        "linkage/pair.html",
        {
            "linkage": linkage,
            "pair": found,
            "verdict": rules.VERDICTS.get(found.verdict, ""),
            "tone": TONES.get(found.verdict, "blue"),
            "chance": rules.percent(found.probability),
            "before": before,
            "after": after,
            "place": place,
            "total": total,
            "rivals": [(p, rules.percent(p.probability)) for p in queries.rivals(viewer, found)],
            "form": form,
            "may_reveal": queries.may(viewer, name, "linkage.reveal"),
            "evidence": queries.evidence(viewer, found) if "evidence" not in context else None,
            **context,
        },
    )


@page(permission="linkage.review")
@require_POST
def undo(request: ActorRequest, name: str, number: int) -> HttpResponse:
    """Take a decision back."""
    found = queries.pair(request.actor, name, number)
    if found is None:
        raise Http404
    actions.undo(pair=found, by=request.actor)
    messages.success(request, "已撤销判定，实体恢复到判定之前")
    return redirect("linkage:pair", name, number)


@page(permission="linkage.review")
def entities(request: ActorRequest, name: str) -> HttpResponse:
    """Entities: rows that were found to be one, the largest first."""
    found = _linkage(request, name)
    text = request.GET.get("page", "1")
    number = int(text) if text.isdecimal() and 0 < int(text) < 10**6 else 1
    rows, more = queries.entities(request.actor, name, number)
    return render(
        request,
        "linkage/entities.html",
        {"linkage": found, "rows": rows, "more": more, "number": number},
    )


@never_cache
@page(permission="linkage.review")
def entity(request: ActorRequest, name: str, token: str) -> HttpResponse:
    """One entity: its rows (masked), the pairs that tie them, and the way to doubt one."""
    found = _linkage(request, name)
    if request.method == "POST":
        number = request.POST.get("pair", "")
        if not number.isdecimal():
            raise UserError("请选择要复核的记录对")
        made = actions.dispute(name=name, token=token, number=int(number), by=request.actor)
        return redirect("linkage:pair", name, made.pk)
    return render(
        request,
        "linkage/entity.html",
        {"linkage": found, "whole": queries.whole(request.actor, name, token)},
    )
