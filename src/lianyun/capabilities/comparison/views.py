"""Views: comparison over HTTP: rules and figures, a rule, findings, one finding's evidence and case."""

from __future__ import annotations

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
from lianyun.ui.tables import Bulk, Column, Empty, Filter, Table

from . import actions, queries, rules


class PlanForm(Styled):
    """How often a rule runs by itself."""

    cycle = forms.ChoiceField(label="自动比对周期", choices=[(c, c) for c in rules.CYCLES])
    paused = forms.BooleanField(label="停用自动比对", required=False)


class RevealForm(Styled):
    """Why evidence is read in clear."""

    purpose = forms.CharField(
        label="查阅明文的用途", max_length=200, help_text="将记入调用记录，并向本人公开"
    )


# ---- rules ---------------------------------------------------------------------------------


def _grouped(kind: str, title: str, pairs: list[tuple[str, queries.Totals]]) -> charts.Chart:
    """Found, confirmed and recovered side by side, in 10,000 yuan."""
    return charts.Chart(
        kind,
        title,
        [name for name, _ in pairs],
        [
            charts.Series("涉及金额", [round(t.amount / 10000, 2) for _, t in pairs]),
            charts.Series("核实金额", [round(t.confirmed_amount / 10000, 2) for _, t in pairs]),
            charts.Series("追缴金额", [round(t.recovered / 10000, 2) for _, t in pairs]),
        ],
        "万元",
    )


@page(permission="comparison.read")
def home(request: ActorRequest) -> HttpResponse:
    """Every rule with its last run and figures; the city's totals, by group and department."""
    shown = queries.lines(request.actor)
    groups: dict[str, list[queries.Line]] = {}
    for one in shown:
        groups.setdefault(one.group, []).append(one)
    table = Table(
        request,
        shown,
        columns=[
            Column(
                "title",
                "规则",
                primary=True,
                sort=True,
                link=lambda x: reverse("comparison:rule", args=[x.name]),
                sub=lambda x: f"{x.group}　{x.plan}",
            ),
            Column("desk.short", "承办部门", sort=True),
            Column("found", "发现", kind="number", sort=True),
            Column("amount", "涉及（万元）", kind="number", sort=True, cell=lambda x: x.amount_wan),
            Column("confirmed", "属实", kind="number", sort=True),
            Column(
                "recovered",
                "追缴（元）",
                kind="number",
                sort=True,
                cell=lambda x: round(x.recovered),
            ),
            Column("held", "数据不全", kind="number", sort=True, phone=False),
            Column(
                "last",
                "最近比对",
                kind="date",
                cell=lambda x: x.last.finished_at if x.last else None,
            ),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                apply=lambda rows, v: [r for r in rows if v in r.title or v in r.group],
            ),
            Filter(
                "group",
                "类别",
                "select",
                choices=[(g, g) for g in groups],
                apply=lambda rows, v: [r for r in rows if r.group == v],
            ),
            Filter(
                "desk",
                "承办部门",
                "select",
                choices=sorted({(x.desk.slug or "", x.desk.short) for x in shown}),
                apply=lambda rows, v: [r for r in rows if r.desk.slug == v],
            ),
        ],
        caption="比对规则",
        export_name="数据比对规则",
        empty=Empty("还没有比对规则", "行业包声明比对规则后，会列在这里。", icon="swap"),
    )
    by_group = [(name, queries.totals(part)) for name, part in groups.items()]
    by_desk = [(desk.short, total) for desk, total in queries.by_desk(shown)]
    return table.respond(
        request,
        "comparison/home.html",
        {
            "totals": queries.totals(shown),
            "by_group": _grouped("bar", "各类比对的金额", by_group),
            "by_desk": _grouped("bars", "各承办部门的金额", by_desk),
            "trend": charts.one(
                "line", "全市比对发现", queries.trend(request.actor), "条", first_column="日期"
            ),
            "ran": any(x.last for x in shown),
        },
    )


@page(permission="comparison.read")
def rule(request: ActorRequest, name: str) -> HttpResponse:
    """One rule in plain words, its statement behind a fold, its runs and figures."""
    line = queries.line(request.actor, name)
    view = queries.rule_view(request.actor, name)
    stages = charts.one(
        "bar",
        "发现的处置情况",
        [(title, line.counts.get(stage, 0)) for stage, title in rules.STAGES],
        "条",
        first_column="状态",
    )
    history = queries.history(request.actor, name)
    doubts = (line.last.outcome.get("doubts") or {}) if line.last else {}
    return render(
        request,
        "comparison/rule.html",
        {
            "line": line,
            "view": view,
            "stages": stages,
            "trend": charts.Chart(
                "line",
                "历次比对",
                [f"{r.finished_at:%m-%d %H:%M}" for r in history],
                [
                    charts.Series("发现", [r.outcome.get("found") for r in history]),
                    charts.Series("数据不全", [r.outcome.get("incomplete") for r in history]),
                ],
                "条",
                first_column="比对时间",
            ),
            "doubts": [(rules.DOUBTS.get(d, d), n) for d, n in doubts.items()],
            "thin": (line.last.outcome.get("thin") or []) if line.last else [],
            "blocked": bool(line.last and line.last.outcome.get("blocked")),
            "runs": view.runs,
            "may_run": request.actor.may("comparison.run"),
            "plan_form": PlanForm(initial={"cycle": view.cycle, "paused": view.paused}),
        },
    )


@page(permission="comparison.run")
@require_POST
def run(request: ActorRequest, name: str) -> HttpResponse:
    """Ask for a run."""
    if once(request):
        queued = actions.queue_run(name=name, by=request.actor)
        messages.success(request, "已开始比对" if queued else "比对已在排队，无需重复提交")
    return redirect("comparison:rule", name)


@page(permission="comparison.run")
@require_POST
def plan(request: ActorRequest, name: str) -> HttpResponse:
    """Set how often a rule runs by itself."""
    form = PlanForm(request.POST)
    if form.is_valid():
        actions.set_plan(name=name, by=request.actor, **form.cleaned_data)
        messages.success(request, "自动比对周期已保存")
    else:
        messages.error(request, "请选择周期")
    return redirect("comparison:rule", name)


@page(permission="comparison.read")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The bar of a run; when it has ended the page is asked to show what came of it."""
    found = queries.run(request.actor, code)
    if found is None:
        raise Http404
    answer = render(request, "comparison/_progress.html", {"run": found})
    if found.standing not in ("queued", "running"):
        answer["HX-Refresh"] = "true"
    return answer


# ---- findings ------------------------------------------------------------------------------


@page(permission="comparison.read")
def findings(request: ActorRequest) -> HttpResponse:
    """Findings of the viewer's desks; names only for the acting department."""
    viewer = request.actor
    titles, towns = queries.rule_titles(), queries.towns(viewer)
    seen = queries.persons_departments(viewer)
    table = Table(
        request,
        queries.findings(viewer),
        columns=[
            Column(
                "short",
                "编号",
                primary=True,
                link=lambda f: reverse("comparison:finding", args=[f.code]),
                sub=lambda f: titles.get(f.rule, f.rule),
            ),
            *(
                [
                    Column(
                        "label",
                        "对象（脱敏）",
                        cell=lambda f: f.label if f.department_id in seen else "",
                    )
                ]
                if seen
                else []
            ),
            Column("department.short", "承办部门", phone=False),
            Column("town", "乡镇街道", cell=lambda f: towns.get(f.town, ""), phone=False),
            Column("period", "期次", phone=False),
            Column(
                "amount",
                "涉及金额（元）",
                kind="number",
                sort="amount",
                cell=lambda f: float(f.amount),
            ),
            Column(
                "confidence",
                "置信度",
                kind="number",
                sort="confidence",
                cell=lambda f: f"{f.confidence:.0%}",
            ),
            Column(
                "stage",
                "状态",
                kind="badge",
                cell=lambda f: f.get_stage_display(),
                tone=lambda f: rules.TONES[f.stage],
                sub=lambda f: rules.DOUBTS.get(f.doubt, "") if f.stage == rules.HELD else "",
            ),
            Column(
                "recovered",
                "追缴（元）",
                kind="number",
                sort="recovered",
                phone=False,
                cell=lambda f: float(f.recovered),
            ),
            Column("changed_at", "更新", kind="stamp", sort="changed_at", phone=False),
        ],
        filters=[
            Filter("q", "编号", lookup="code__istartswith", placeholder="编号开头"),
            Filter("rule", "规则", "select", choices=list(titles.items()), lookup="rule"),
            Filter(
                "desk",
                "承办部门",
                "select",
                choices=lambda: sorted(
                    {(str(x.desk.pk), x.desk.short) for x in queries.lines(viewer)}
                ),
                lookup="department_id",
            ),
            Filter("stage", "状态", "select", choices=rules.STAGES, lookup="stage"),
            Filter(
                "least",
                "金额",
                "select",
                choices=[
                    ("10000", "1 万元以上"),
                    ("100000", "10 万元以上"),
                    ("1000000", "100 万元以上"),
                ],
                lookup="amount__gte",
            ),
            Filter("town", "乡镇街道", "select", choices=list(towns.items()), lookup="town"),
        ],
        bulk=[
            Bulk(
                "立案交办",
                reverse("comparison:open"),
                confirm="将所选发现交由承办部门核查？",
            )
        ]
        if viewer.may("comparison.open")
        else [],
        pick=lambda f: f.code,
        caption="比对发现",
        export_name="比对发现",
        order="-amount",
        empty=Empty(
            "没有符合条件的发现",
            "规则运行后，证据充分的发现会列在这里；数据不全的单独标出。",
            reverse("comparison:home"),
            "查看规则",
            icon="target",
        ),
    )
    return table.respond(request, "comparison/findings.html", {"names": bool(seen)})


@page(permission="comparison.open")
@require_POST
def open_findings(request: ActorRequest) -> HttpResponse:
    """Open the ticked findings as cases."""
    if not once(request):
        return redirect("comparison:findings")
    try:
        made = actions.open_findings(codes=request.POST.getlist("pick"), by=request.actor)
    except UserError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"已立案 {len(made)} 件，承办部门须在 10 个工作日内核查")
    target = request.POST.get("finding", "")
    if target:
        return redirect("comparison:finding", target)
    return redirect("comparison:findings")


@never_cache
@page(permission="comparison.read")
def finding(request: ActorRequest, code: str) -> HttpResponse:
    """One finding: evidence side by side (masked), confidence explained, its case."""
    return _finding(request, code)


def _finding(
    request: ActorRequest,
    code: str,
    proof: queries.Proof | None = None,
    form: RevealForm | None = None,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> HttpResponse:
    viewer = request.actor
    found = queries.finding(viewer, code)
    sees = queries.sees_persons(viewer, found)
    revealed = proof is not None
    if sees and proof is None:
        proof = queries.proof(viewer, found)
    declared = queries.declared(found.rule)
    item = queries.to_do(viewer, found)
    return render(
        request,
        "comparison/finding.html",
        {
            "finding": found,
            "declared": declared,
            "sees": sees,
            "proof": proof,
            "revealed": revealed,
            "amount": float(found.amount),
            "confirmed": float(found.confirmed),
            "recovered": float(found.recovered),
            "tone": rules.TONES[found.stage],
            "doubt": rules.DOUBTS.get(found.doubt, "") if found.standing == "incomplete" else "",
            "town": queries.towns(viewer).get(found.town, ""),
            "item": item,
            "outcomes": item.declared.outcomes if item else (),
            "asks_confirmed": bool(item and item.step == "verify"),
            "asks_recovered": bool(item and item.step == "recover"),
            "items": queries.items(viewer, found),
            "events": queries.timeline(viewer, found),
            "may_open": found.stage == rules.NEW
            and viewer.may("comparison.open", found.department),
            "may_reveal": sees and viewer.may("comparison.reveal", found.department),
            "form": form or RevealForm(),
            "problem": problem,
            "typed": typed or {},
        },
        status=400 if problem else 200,
    )


@never_cache
@page(permission="comparison.reveal")
@require_POST
def reveal(request: ActorRequest, code: str) -> HttpResponse:
    """The same page with evidence in clear; the reading is on record first."""
    found = queries.finding(request.actor, code)
    form = RevealForm(request.POST)
    if not form.is_valid():
        return _finding(request, code, form=form)
    try:
        proof = actions.reveal(
            finding=found, purpose=form.cleaned_data["purpose"], by=request.actor
        )
    except UserError as error:
        form.add_error("purpose", str(error))
        return _finding(request, code, form=form)
    return _finding(request, code, proof=proof)


@page(permission="comparison.read")
@require_POST
def work(request: ActorRequest, number: int) -> HttpResponse:
    """Do a step of a finding's case."""
    item = queries.work_item(request.actor, number)
    code = item.case.subject.removeprefix("finding:")
    if not once(request):
        return redirect("comparison:finding", code)
    typed = {"note": request.POST.get("note", ""), "amount": request.POST.get("amount", "")}
    try:
        actions.work(item=item, outcome=request.POST.get("outcome", ""), by=request.actor, **typed)
    except UserError as error:
        return _finding(request, code, problem=str(error), typed=typed)
    messages.success(request, "已办理")
    return redirect("comparison:finding", code)


@page(permission="comparison.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """Where a work item leads: the finding that the case is about."""
    return redirect("comparison:finding", queries.finding_of_case(request.actor, code).code)
