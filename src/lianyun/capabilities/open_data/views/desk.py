"""The desk: officers' pages: what is open, propose, the risk report, approve, what the public says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, adapters, rules
from ..queries import desk as queries
from ..queries import site


@page(permission="open_data.read")
def desk(request: ActorRequest) -> HttpResponse:
    """All openings, how they stand, and what waits for the viewer."""
    viewer = request.actor
    now = timezone.now()
    table = Table(
        request,
        queries.openings(viewer),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                sort="title",
                link=lambda o: reverse("open_data:opening", args=[o.name]),
                sub=lambda o: o.get_kind_display(),
            ),
            Column("provider.short", "提供部门", sort="provider__short"),
            Column(
                "rows",
                "行数",
                kind="number",
                cell=lambda o: o.current.rows if o.current else None,
                sort="current__rows",
            ),
            Column(
                "promise",
                "更新承诺",
                kind="badge",
                cell=lambda o: (
                    "暂缓发布" if o.held else rules.promise(o.cycle, o.updated_at, now).title
                ),
                tone=lambda o: "red" if o.held else rules.promise(o.cycle, o.updated_at, now).tone,
            ),
            Column("uses", "使用", kind="number", sort="uses"),
            Column(
                "stage",
                "状态",
                kind="badge",
                cell=lambda o: o.get_stage_display(),
                tone=lambda o: rules.TONES[o.stage],
            ),
            Column("updated_at", "最近更新", kind="stamp", sort="updated_at", phone=False),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|name__icontains"),
            Filter("stage", "状态", "select", choices=rules.STAGES, lookup="stage"),
            Filter("kind", "开放属性", "select", choices=rules.KINDS, lookup="kind"),
        ],
        caption="开放数据集",
        export_name="开放数据集",
        order="-proposed_at",
        empty=Empty(
            "还没有开放数据集",
            "数据专员选择本部门的数据集，提出开放方案，经两级审核后发布到公共数据开放网站。",
            reverse("open_data:candidates") if viewer.may("open_data.propose") else "",
            "提出开放",
            icon="globe",
        ),
    )
    return table.respond(
        request,
        "open_data/desk.html",
        {
            "desk": queries.desk(viewer),
            "to_do": queries.to_do(viewer)[:8],
            "may_propose": viewer.may("open_data.propose"),
        },
    )


@page(permission="open_data.propose")
def candidates(request: ActorRequest) -> HttpResponse:
    """Datasets that could be opened next."""
    table = Table(
        request,
        queries.candidates(request.actor),
        columns=[
            Column(
                "title",
                "数据集",
                primary=True,
                sort="title",
                link=lambda r: reverse("open_data:propose", args=[r.name]),
                sub=lambda r: r.name,
            ),
            Column("owner.short", "提供部门", sort="owner__short"),
            Column("level", "安全级别", kind="number", sort="level"),
            Column(
                "way",
                "可行的方式",
                kind="badge",
                cell=lambda r: "可逐行开放" if r.level <= rules.RAW_LEVEL else "须先匿名化",
                tone=lambda r: "green" if r.level <= rules.RAW_LEVEL else "amber",
            ),
        ],
        filters=[Filter("q", "关键词", lookup="title__icontains|name__icontains")],
        caption="可提出开放的数据集",
        order="title",
        empty=Empty(
            "没有可以提出的数据集",
            "已归集且尚未开放的数据集会列在这里。",
            reverse("open_data:desk"),
            "返回",
            icon="database",
        ),
    )
    return table.respond(request, "open_data/candidates.html", {})


def _steps(request: HttpRequest, names: Sequence[str]) -> list[rules.Step]:
    out = []
    for name in names:
        text = request.POST.get(f"width_{name}", "").strip()
        try:
            width = float(text or 0)
        except ValueError as error:
            raise UserError(f"“{name}”的档宽应为数字") from error
        out.append(
            rules.Step(
                name,
                request.POST.get(f"how_{name}", "drop"),
                request.POST.get(f"role_{name}", "plain"),
                width,
            )
        )
    return out


def _whole(request: HttpRequest, name: str, title: str, default: int) -> int:
    text = request.POST.get(name, str(default)).strip()
    if not text.isdecimal() or len(text) > 6:
        raise UserError(f"{title}应为整数")
    return int(text)


@page(permission="open_data.propose")
def propose(request: ActorRequest, name: str) -> HttpResponse:
    """A proposal: what becomes of each item, what that would mean, then on to the approvers."""
    viewer = request.actor
    resource = queries.resource(viewer, name)
    declared = queries.items(viewer, resource)
    problem = ""
    post = request.method == "POST"
    typed = {
        "title": request.POST.get("title", resource.title),
        "summary": request.POST.get("summary", (resource.data or {}).get("summary", "")),
        "kind": request.POST.get("kind", rules.UNCONDITIONAL),
        "licence": request.POST.get("licence", "cc-by-4.0"),
        "cycle": request.POST.get("cycle", queries.cycle_of(viewer, resource)),
    }
    assessment = None
    try:
        if post:
            first = queries.start(viewer, resource)
            recipe = queries.with_changes(
                first,
                _steps(request, [i.name for i in declared]),
                k=max(_whole(request, "k", "k", first.k), 1),
                l=max(_whole(request, "l", "l", first.l), 1),
                form=request.POST.get("form", "rows"),
                small=request.POST.get("small", "suppress"),
            )
            recipe = adapters.recipe_of(adapters.recipe_dict(recipe))
            assessment = queries.assessed(viewer, resource, recipe)
            if "submit" in request.POST:
                if not once(request):
                    return redirect("open_data:desk")
                opening = actions.propose(resource=resource, recipe=recipe, by=viewer, **typed)
                messages.success(request, "已提交审核")
                return redirect("open_data:opening", opening.name)
        else:
            assessment = queries.proposal(viewer, resource)
    except UserError as error:
        problem = str(error)
    recipe_now = assessment.recipe if assessment else queries.start(viewer, resource)
    steps = {t.name: t for t in recipe_now.treatments}
    risk = adapters.risk_dict(assessment.risk) if assessment else None
    return render(
        request,
        "open_data/propose.html",
        {
            "resource": resource,
            "rows": [(i, steps[i.name]) for i in declared if i.name in steps],
            "hows": list(rules.HOW_TITLES.items()),
            "roles": list(rules.ROLE_TITLES.items()),
            "kinds": rules.KINDS,
            "licences": site.settings()["licences"],
            "cycles": list(rules.CYCLE_DAYS),
            "typed": typed,
            "recipe": recipe_now,
            "assessment": assessment,
            "risk": risk,
            "chart": queries.size_chart(risk) if risk else None,
            "problem": problem,
        },
        status=400 if problem else 200,
    )


@page(permission="open_data.read")
def opening(request: ActorRequest, name: str) -> HttpResponse:
    """One opening: the risk report, the recipe in words, its case, its versions."""
    return _opening(request, name)


def _opening(request: ActorRequest, name: str, problem: str = "") -> HttpResponse:
    viewer = request.actor
    found = queries.opening(viewer, name)
    item = queries.item_of(viewer, found.case_id)
    risk = found.risk if "rows" in found.risk else None
    recipe = adapters.recipe_of(found.recipe)
    return render(
        request,
        "open_data/opening.html",
        {
            "opening": found,
            "risk": risk,
            "recipe": recipe,
            "findings": queries.stored_findings(viewer, found) if risk else [],
            "chart": queries.size_chart(risk) if risk else None,
            "treated": queries.treated(viewer, found),
            "item": item,
            "outcomes": item.declared.outcomes if item else (),
            "items": found.case.items.select_related("department", "by") if found.case else (),
            "events": queries.events(viewer, found.ref, found.case_id),
            "versions": found.versions.all()[:10],
            "promise": rules.promise(found.cycle, found.updated_at, timezone.now()),
            "licence": site.licence(found.licence),
            "tone": rules.TONES[found.stage],
            "may_close": found.stage == rules.OPEN
            and viewer.may("open_data.close", found.provider),
            "problem": problem,
        },
        status=400 if problem else 200,
    )


@page(permission="open_data.read")
@require_POST
def work(request: ActorRequest, number: int) -> HttpResponse:
    """Do a step of an opening or of something the public sent in."""
    item = queries.work_item(request.actor, number)
    kind, name = queries.place_of_case(request.actor, item.case.code)
    target = "open_data:opening" if kind == "opening" else "open_data:voice_desk"
    if not once(request):
        return redirect(target, name)
    outcome, note = request.POST.get("outcome", ""), request.POST.get("note", "")
    try:
        if kind == "opening":
            actions.do_step(item=item, outcome=outcome, note=note, by=request.actor)
        else:
            actions.answer(
                item=item,
                outcome=outcome,
                note=note,
                publish="publish" in request.POST,
                by=request.actor,
            )
    except UserError as error:
        if kind == "opening":
            return _opening(request, name, str(error))
        return _voice(request, name, str(error), note)
    messages.success(request, "已办理")
    return redirect(target, name)


@page(permission="open_data.close")
@require_POST
def close(request: ActorRequest, name: str) -> HttpResponse:
    """Take an opening down."""
    found = queries.opening(request.actor, name)
    if not once(request):
        return redirect("open_data:opening", name)
    try:
        actions.close(opening=found, reason=request.POST.get("reason", ""), by=request.actor)
    except UserError as error:
        return _opening(request, name, str(error))
    messages.success(request, "已下架")
    return redirect("open_data:opening", name)


@page(permission="open_data.read")
def voices(request: ActorRequest) -> HttpResponse:
    """What the public sent in to the viewer's departments."""
    table = Table(
        request,
        queries.voices(request.actor),
        columns=[
            Column(
                "title",
                "标题",
                primary=True,
                link=lambda v: reverse("open_data:voice_desk", args=[v.code]),
                sub=lambda v: v.opening.title if v.opening else "",
            ),
            Column("kind", "类别", kind="badge", cell=lambda v: v.get_kind_display()),
            Column("department.short", "承办部门"),
            Column("case", "办理", kind="state", cell=lambda v: v.case.state if v.case else ""),
            Column("at", "时间", kind="stamp", sort="at"),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|told__icontains"),
            Filter("kind", "类别", "select", choices=rules.VOICES, lookup="kind"),
        ],
        caption="公众意见",
        export_name="公众意见",
        order="-at",
        empty=Empty(
            "还没有公众意见",
            "公众在数据开放网站提出的需求、纠错、使用申请和利用成果会列在这里。",
            reverse("open_data:home"),
            "打开网站",
            icon="heart",
        ),
    )
    return table.respond(request, "open_data/voices.html", {})


@page(permission="open_data.read")
def voice(request: ActorRequest, code: str) -> HttpResponse:
    """One of them, with its step."""
    return _voice(request, code)


def _voice(request: ActorRequest, code: str, problem: str = "", note: str = "") -> HttpResponse:
    viewer = request.actor
    found = queries.voice(viewer, code)
    item = queries.item_of(viewer, found.case_id)
    return render(
        request,
        "open_data/voice_desk.html",
        {
            "voice": found,
            "item": item,
            "outcomes": item.declared.outcomes if item else (),
            "events": queries.events(viewer, found.ref, found.case_id),
            "problem": problem,
            "note": note,
            "may_publish": found.kind == rules.REQUEST,
        },
        status=400 if problem else 200,
    )


@page(permission="open_data.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """Where a work item leads."""
    kind, name = queries.place_of_case(request.actor, code)
    target: Any = "open_data:opening" if kind == "opening" else "open_data:voice_desk"
    return redirect(target, name)
