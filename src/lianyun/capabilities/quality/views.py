"""Views: quality over HTTP: scores, a dataset's findings, rules, the correction desk, reports."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table
from lianyun.ui.templatetags.ui import lamp

from . import actions, queries
from .rules import grade

CASE_STATES = [("open", "办理中"), ("closed", "已办结")]


class AnswerForm(Styled):
    """How a correction ends."""

    outcome = forms.ChoiceField(
        label="结论",
        choices=[("corrected", "已更正"), ("upheld", "核实无误，不需更正")],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label="说明",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="选择“核实无误”时必须写明理由；更正他人反馈的，写明更正情况",
    )


class ReportForm(Styled):
    """A receiver says which value is wrong."""

    def __init__(
        self,
        *args: object,
        keys: list[tuple[str, str]],
        items: list[tuple[str, str]],
        **more: object,
    ):
        super().__init__(*args, **more)
        for name, title in keys:
            self.fields[f"key-{name}"] = forms.CharField(label=title, max_length=200)
        self.fields["item"] = forms.ChoiceField(label="有误的数据项", choices=items)
        self.fields["told"] = forms.CharField(
            label="哪里有误、依据是什么", max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
        )
        self.fields["expected"] = forms.CharField(
            label="正确的内容应为", max_length=500, required=False
        )
        self.fields["evidence"] = forms.CharField(
            label="证据",
            max_length=4000,
            required=False,
            widget=forms.Textarea(attrs={"rows": 2}),
            help_text="如原始证照的名称和编号、核对记录",
        )
        for field in self.fields.values():
            field.error_messages["required"] = f"请填写{field.label}"


@page(permission="quality.read")
def home(request: ActorRequest) -> HttpResponse:
    """Scores by department, the city's trend, the worst rules, the cases that are open."""
    standings = queries.standings(request.actor)
    scores = charts.one(
        "bars",
        "各部门质量得分",
        [(s.name, s.score) for s in standings[:20]],
        "分",
        target=98,
        links=[reverse("quality:department", args=[s.department.slug]) for s in standings[:20]],
        first_column="部门",
    )
    trend = charts.one(
        "line", "全市质量得分", queries.trend(request.actor), "分", target=98, first_column="日期"
    )
    table = Table(
        request,
        standings,
        columns=[
            Column(
                "name",
                "部门",
                primary=True,
                sort=True,
                link=lambda s: reverse("quality:department", args=[s.department.slug]),
            ),
            Column("score", "得分", kind="number", sort=True),
            Column(
                "grade", "等级", kind="badge", cell=lambda s: s.grade[0], tone=lambda s: s.grade[1]
            ),
            Column("datasets", "数据集", kind="number", sort=True),
            Column("failing", "最近拒收行", kind="number", sort=True),
            Column("open", "在办校核", kind="number", sort=True),
            Column("overdue", "逾期校核", kind="number", sort=True),
        ],
        caption="各部门质量",
        export_name="部门数据质量",
        row_class=lambda s: "late" if s.overdue else "",
        empty=Empty("还没有评分", "数据归集后自动检查并评分。", icon="pulse"),
    )
    return table.respond(
        request,
        "quality/home.html",
        {
            "figures": queries.figures(request.actor),
            "grade": grade(queries.figures(request.actor)["score"]),
            "scores": scores,
            "trend": trend,
            "worst": queries.worst_rules(request.actor),
        },
    )


@page(permission="quality.read")
def department(request: ActorRequest, slug: str) -> HttpResponse:
    """One department: its score's trend and its datasets."""
    found = queries.department(slug, request.actor)
    trend = charts.one(
        "line",
        "质量得分",
        queries.trend(request.actor, f"department:{slug}"),
        "分",
        target=98,
        first_column="日期",
    )
    table = Table(
        request,
        queries.scored(found, request.actor),
        columns=[
            Column(
                "title",
                "数据集",
                primary=True,
                link=lambda r: reverse("quality:dataset", args=[r.name]),
            ),
            Column("score", "得分", kind="number", sort=True),
            Column(
                "grade",
                "等级",
                kind="badge",
                cell=lambda r: grade(r.score)[0],
                tone=lambda r: grade(r.score)[1],
            ),
            Column("landed", "最近落地", kind="number", sort=True),
            Column("rejected", "最近拒收", kind="number", sort=True),
        ],
        caption="数据集质量",
        export_name="数据集质量",
        empty=Empty("还没有评分", "该部门的数据归集后自动评分。", icon="pulse"),
    )
    return table.respond(request, "quality/department.html", {"department": found, "trend": trend})


@page(permission="quality.read")
def dataset(request: ActorRequest, name: str) -> HttpResponse:
    """One dataset: its score batch by batch, what its newest batch's checks found, its cases."""
    resource = queries.dataset(name, request.actor)
    batches = queries.batch_scores(resource, request.actor)
    figure = charts.one(
        "line",
        "质量得分",
        [(f"{b.started_at:%m-%d} {b.code[-4:]}", b.score) for b in batches],
        "分",
        target=98,
        first_column="批次",
    )
    last = batches[-1] if batches else None
    table = Table(
        request,
        queries.findings(resource, request.actor),
        columns=[
            Column("title", "检查", primary=True, sub=lambda f: f.rule),
            Column(
                "severity",
                "级别",
                kind="badge",
                cell=lambda f: "拒收" if f.severity == "reject" else "警告",
                tone=lambda f: "red" if f.severity == "reject" else "amber",
            ),
            Column("failed", "问题行数", kind="number", sort=True),
            Column(
                "case",
                "校核工单",
                cell=lambda f: f.case.code if f.case else "",
                link=lambda f: reverse("quality:case", args=[f.case.code]) if f.case else "",
            ),
        ],
        caption="最近一批的检查发现",
        empty=Empty("没有发现问题", "最近一批的每一行都通过了全部检查。", icon="check"),
    )
    return table.respond(
        request,
        "quality/dataset.html",
        {
            "resource": resource,
            "last": last,
            "grade": grade(last.score if last else None),
            "figure": figure,
            "can_report": request.actor.may("quality.report"),
            "recheck": queries.last_recheck(resource, request.actor),
        },
    )


@require_POST
@page(permission="quality.report")
def recheck(request: ActorRequest, name: str) -> HttpResponse:
    """Hold a dataset's accepted rows against today's rules."""
    if once(request):
        found = actions.recheck(dataset=name, by=request.actor)
        bad = sum(found["failed"].values())
        told = f"发现 {bad:,} 处与现行规则不符" if bad else "全部符合现行规则"
        messages.success(request, f"已复查 {found['rows']:,} 行：{told}")
    return redirect("quality:dataset", name=name)


@page(permission="quality.read")
def rules(request: ActorRequest) -> HttpResponse:
    """Every rule that packs declare, and what it found last."""
    rows = queries.rule_rows(request.actor)
    table = Table(
        request,
        rows,
        columns=[
            Column("title", "规则", primary=True, sub=lambda r: r.code),
            Column(
                "dataset_title",
                "数据集",
                sort=True,
                link=lambda r: (
                    reverse("quality:dataset", args=[r.dataset]) if r.failed is not None else ""
                ),
            ),
            Column("provider", "提供部门", sort=True),
            Column(
                "severity",
                "级别",
                kind="badge",
                cell=lambda r: "拒收" if r.severity == "reject" else "警告",
                tone=lambda r: "red" if r.severity == "reject" else "amber",
            ),
            Column("sql", "条件（为真即合格）", kind="code", phone=False),
            Column("failed", "最近问题行", kind="number", sort=True),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                apply=lambda rs, v: [r for r in rs if v in r.title or v in r.dataset_title],
            ),
            Filter(
                "severity",
                "级别",
                "select",
                choices=[("reject", "拒收"), ("warn", "警告")],
                apply=lambda rs, v: [r for r in rs if r.severity == v],
            ),
        ],
        caption="质量规则",
        export_name="质量规则",
    )
    return table.respond(request, "quality/rules.html")


@page(permission="quality.read")
def desk(request: ActorRequest) -> HttpResponse:
    """Correction cases: mine to answer first, then all that I may read."""
    mine = queries.desk(request.actor)
    table = Table(
        request,
        queries.cases(request.actor),
        columns=[
            Column(
                "title",
                "校核事项",
                primary=True,
                link=lambda c: reverse("quality:case", args=[c.code]),
                sub=lambda c: c.code,
            ),
            Column("department.short", "提供部门"),
            Column("data.failed", "问题行", kind="number"),
            Column("state", "状态", kind="state"),
            Column("outcome", "结论", cell=queries.outcome_title),
            Column("opened_at", "发起", kind="stamp", phone=False),
            Column("due_on", "时限", cell=lambda c: lamp(c.due_on, c.done_at)),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains"),
            Filter("state", "状态", "select", choices=CASE_STATES, lookup="state"),
        ],
        caption="校核工单",
        export_name="校核工单",
        empty=Empty("没有校核工单", "检查发现问题时，会自动向提供部门发起校核。", icon="check"),
    )
    return table.respond(request, "quality/desk.html", {"mine": list(mine[:20])})


@page(permission="quality.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One correction: the offending rows, how many are still wrong, and its answer."""
    found = queries.case_of(code, request.actor)
    item = queries.item_of(found, request.actor)
    can_answer = queries.may_answer(found, request.actor)
    form = AnswerForm(request.POST or None)
    if request.method == "POST" and can_answer and item is not None and form.is_valid():
        if not once(request):
            return redirect("quality:case", code=code)
        try:
            actions.answer_correction(
                item=item,
                outcome=form.cleaned_data["outcome"],
                note=form.cleaned_data["note"],
                by=request.actor,
            )
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "校核已办结")
            return redirect("quality:case", code=code)
    offences = queries.offences(found, request.actor)
    actions.note_offences_read(found, offences, by=request.actor)
    columns = list(dict.fromkeys(t for o in offences for t in o.values))
    lines = [
        {
            "offence": o,
            "cells": [o.values.get(t) for t in columns] if o.values else [],
        }
        for o in offences
    ]
    return render(
        request,
        "quality/case.html",
        {
            "case": found,
            "item": item,
            "resource": queries.resource_of(found, request.actor),
            "report": queries.report_of(found, request.actor),
            "can_answer": can_answer,
            "form": form,
            "left": queries.outstanding(found, request.actor) if found.state != "closed" else 0,
            "columns": columns,
            "lines": lines,
            "batches": found.data.get("batches") or [],
            "rules": queries.rules_of(found, request.actor),
            "outcome": queries.outcome_title(found),
            "events": queries.timeline(found, request.actor),
        },
    )


@page(permission="quality.correct")
def rows_csv(request: ActorRequest, code: str) -> HttpResponse:
    """The offending rows of a case as a file, for the department that corrects them."""
    found = queries.case_of(code, request.actor)
    request.actor.require("quality.correct", found.department)
    rows = queries.offences(found, request.actor, limit=100_000)
    actions.note_offences_read(found, rows, by=request.actor, how="export")
    answer = HttpResponse(queries.offences_csv(rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="correction-{found.code}.csv"'
    return answer


@page(permission="quality.report")
def report(request: ActorRequest, name: str) -> HttpResponse:
    """Report a wrong value of a dataset to its provider."""
    resource = queries.dataset(name, request.actor)
    titles = {i["name"]: i.get("title") or i["name"] for i in queries.items_of(resource)}
    keys = [(k, titles.get(k, k)) for k in queries.key_of(resource)]
    form = ReportForm(request.POST or None, keys=keys, items=list(titles.items()))
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("quality:dataset", name=name)
        told = form.cleaned_data
        try:
            made = actions.report_error(
                dataset=name,
                key={k: told[f"key-{k}"] for k, _ in keys},
                item=told["item"],
                told=told["told"],
                expected=told["expected"],
                evidence=told["evidence"],
                by=request.actor,
            )
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"已发起校核 {made.code}，提供部门须在 10 个工作日内反馈")
            return redirect("quality:case", code=made.code)
    return render(request, "quality/report.html", {"form": form, "resource": resource})
