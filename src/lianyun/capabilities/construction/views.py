"""Views: a project with its four stages, for its owner and for officers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Denied, UserError
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page, signed_in
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules


class ProjectForm(Styled):
    """What is said of a project."""

    name = forms.CharField(label="项目名称", max_length=200)
    kind = forms.ChoiceField(label="项目类型")
    code = forms.CharField(
        label="项目代码",
        max_length=24,
        required=False,
        help_text="办过立项的填投资项目统一代码（24 位，含短横线）；还没有的留空，由平台赋码（模拟数据）",
    )
    site = forms.CharField(label="建设地点", max_length=200)
    investment = forms.DecimalField(
        label="总投资（万元）", min_value=0, max_digits=14, decimal_places=2
    )
    area = forms.DecimalField(
        label="建筑面积（平方米）", min_value=0, max_digits=14, decimal_places=2
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [  # type: ignore[attr-defined]
            (k.key, f"{k.title}（{len(k.stages)} 个阶段，共 {k.days} 个工作日）")
            for k in queries.kinds().values()
        ]


@signed_in
def mine(request: ActorRequest) -> HttpResponse:
    """The projects of whom one acts for."""
    rows = [queries.view(request.actor, p) for p in queries.mine(request.actor)[:50]]
    who = identity.acting(request)
    return render(request, "construction/mine.html", {"rows": rows, "who": who})


@signed_in
def new(request: ActorRequest) -> HttpResponse:
    """Register a project."""
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.register_project(
                owner=identity.acting(request), by=request.actor, **form.cleaned_data
            )
        except (UserError, Denied) as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "项目已登记，可以申报第一阶段")
            return redirect("construction:own", made.code)
    return render(
        request, "construction/new.html", {"form": form, "back": reverse("construction:mine")}
    )


@signed_in
def own(request: ActorRequest, code: str) -> HttpResponse:
    """One's own project: picture, stages to apply for, help."""
    found = queries.own(request.actor, code)
    if found is None:
        raise Http404
    if request.method == "POST" and once(request):
        try:
            actions.ask_agent(project=found, by=request.actor)
            messages.success(request, "已请求代办，代办员会与您联系")
        except UserError as wrong:
            messages.error(request, str(wrong))
        return redirect("construction:own", code)
    view = queries.view(request.actor, found)
    applies = {s.stage.key: address_of("items:item", s.stage.item) for s in view.stages}
    return render(
        request,
        "construction/own.html",
        {"view": view, "stages": [(s, applies[s.stage.key]) for s in view.stages]},
    )


@page(permission="construction.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All projects."""
    kinds = queries.kinds()
    views: dict[int, queries.View] = {}

    def seen(row: Any) -> queries.View:
        if row.pk not in views:
            views[row.pk] = queries.view(request.actor, row)
        return views[row.pk]

    table = Table(
        request,
        queries.projects(request.actor),
        columns=[
            Column(
                "name", "项目", primary=True, sort=True,
                link=lambda p: reverse("construction:detail", args=[p.code]), sub=lambda p: p.code,
            ),
            Column("owner.name", "建设单位"),
            Column("kind", "类型", cell=lambda p: kinds[p.kind].title if p.kind in kinds else p.kind, phone=False),
            Column("stage", "阶段", cell=lambda p: f"{seen(p).done} / {len(seen(p).stages)} 已批准"),
            Column(
                "lamp", "进展", kind="badge",
                cell=lambda p: _now(seen(p))[0], tone=lambda p: _now(seen(p))[1],
            ),
            Column("agent.name", "代办", cell=lambda p: p.agent.name if p.agent else ("待接手" if p.agent_wanted_at else "")),
        ],
        filters=[
            Filter("q", "名称或代码", lookup="name__icontains|code__icontains|owner__name__icontains"),
            Filter("kind", "类型", "select", choices=[(k.key, k.title) for k in kinds.values()], lookup="kind"),
            Filter(
                "help", "代办", "select", choices=[("wanted", "待接手"), ("taken", "已接手")],
                apply=lambda rows, v: rows.filter(agent__isnull=v == "wanted", agent_wanted_at__isnull=False),
            ),
        ],
        caption="工程建设项目",
        export_name="工程建设项目",
        empty=Empty("还没有项目", "建设单位登记项目后，各阶段的进展会显示在这里。", icon="building"),
    )  # fmt: skip
    return table.respond(request, "construction/list.html", {})


def _now(view: queries.View) -> tuple[str, str]:
    """The stage that is under way, in words."""
    under = [s for s in view.stages if s.row is not None and s.tone in ("blue", "amber", "red")]
    if not under:
        whole = view.done == len(view.stages)
        return ("全部完成", "green") if whole else ("待申报", "grey")
    return (
        f"{under[0].stage.title}：{under[0].words}",
        rules.worst(s.tone for s in under),
    )


@page(permission="construction.read")
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One project for officers: picture, stages, what its agent did."""
    viewer = request.actor
    found = queries.project(viewer, code)
    if found is None:
        raise Http404
    if request.method == "POST" and once(request):
        try:
            if request.POST.get("do") == "take":
                actions.take_project(project=found, by=viewer)
                messages.success(request, "已接手代办")
            else:
                actions.note_help(project=found, note=request.POST.get("note", ""), by=viewer)
                messages.success(request, "已记录，建设单位可以看到")
        except (UserError, Denied) as wrong:
            messages.error(request, str(wrong))
        return redirect("construction:detail", code)
    view = queries.view(viewer, found)
    helps = viewer.may("construction.help")
    return render(
        request,
        "construction/detail.html",
        {
            "view": view,
            "stages": [
                (
                    s,
                    address_of("desk:case", s.row.case.code)
                    if s.row and viewer.may("desk.read")
                    else "",
                )
                for s in view.stages
            ],
            "may_take": helps and found.agent is None and found.agent_wanted_at is not None,
            "may_note": helps and viewer.party is not None and found.agent == viewer.party,
        },
    )
