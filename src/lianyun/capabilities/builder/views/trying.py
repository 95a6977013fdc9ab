"""Trying: an invented person walks a service from the first question to the licence; nothing of it is real."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from lianyun.capabilities.licences import api as licences
from lianyun.kernel.access import UserError
from lianyun.kernel.path import BadPath
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from ..rules import content as parts
from ..rules import walking
from .listing import frame


def _inside(request: ActorRequest, row: Any) -> dict[str, Any]:
    """Where the viewer's try stands; one of an older revision is begun anew."""
    found = queries.rehearsal(request.actor, row)
    return dict(found.inside) if found is not None and found.number == row.number else {}


@page(permission="builder.read")
def trying(request: ActorRequest, code: str) -> HttpResponse:
    """The rehearsal: situations, form, world, path and licence on one page."""
    row = queries.find(request.actor, code)
    inside = _inside(request, row)
    slug = str(row.department.slug)
    base = frame(row, "try", request)
    try:
        world = queries.began(row.content, code, slug, inside, request.actor)
        shown = None
        if request.method == "POST":
            if request.POST.get("do") == "anew":
                actions.forget_rehearsal(row, by=request.actor)
                return redirect("builder:try", code=code)
            shown = _do(request, row, world)
            if not request.htmx and (shown is None or not shown.problems):
                part = request.POST.get("next_part", "")
                where = f"?part={part}" if part else ""
                return redirect(f"{request.path}{where}#{request.POST.get('at', '')}")
        stage = queries.stage_of(world, request.GET.get("part", ""), request.actor, shown)
    except (UserError, BadPath) as wrong:
        return render(request, "builder/try.html", {**base, "problem": str(wrong)})
    own = parts.own(row.content, parts.LICENCE)
    context = {**base, "stage": stage, "world": world, "walk": world.walk, "own_licence": own}
    return render(request, "builder/try.html", context)


def _do(request: ActorRequest, row: Any, world: queries.World) -> Any:
    """One press; returns the form's page where a part was posted (with its errors)."""
    post, inside = request.POST, world.inside
    do, shown = post.get("do", ""), None
    if do == "situations":
        inside["situations"] = {s.id: post.get(f"s-{s.id}", "") for s in world.item.situations}
    elif do == "world":
        inside["world"] = {k[2:]: v for k, v in post.items() if k[:2] == "w-" and len(k) < 100}
        inside["promised"] = post.getlist("promised")[:100]
        age = post.get("age", "")
        inside["age"] = int(age) if age.isascii() and age.isdigit() and len(age) < 4 else 36
    elif do == "invent":
        queries.invented_answers(world)
        if world.form is not None:
            inside["answers"] = world.form.content.answers
    elif do in ("next", "refresh", "later", "add", "upload", "keep") and world.form is not None:
        part = post.get("part", "")
        posted = {name: post.getlist(name)[:100] for name in post}
        try:
            if do == "refresh":
                return world.form.page(part, posted)
            shown, good = world.form.judge(part, posted)
        except (KeyError, Http404):
            return None
        if good:
            inside["answers"] = world.form.content.answers
    elif do == "file":
        judged = queries.judged_in(world)
        told = queries.facts_of(request.actor, world, judged)
        if not world.bpmn:
            raise UserError("办理流程还不能用，先到“检查”看看")
        model = queries.decision_of(world.content, world.code)
        walk = walking.begin(world.bpmn, world.key, told, model)
        inside["walk"] = asdict(walk)
    elif do == "step" and world.walk is not None:
        walk = world.walk
        model = queries.decision_of(world.content, world.code)
        pressed = walking.press(
            world.bpmn, world.key, walk, post.get("token", ""), post.get("outcome", ""), model
        )
        if not pressed:
            messages.error(request, "这一步已经办过了，请看现在到了哪一步")
        inside["walk"] = asdict(walk)
    else:
        return None
    if do in ("situations", "world", "invent", "next"):
        inside.pop("walk", None)  # what was filed before was another application
    actions.keep_rehearsal(row, row.number, inside, by=request.actor)
    return shown


@page(permission="builder.read")
def specimen(request: ActorRequest, code: str, kind: str) -> HttpResponse:
    """The licence as the invented applicant would have it, printed as a specimen."""
    if kind not in ("png", "pdf"):
        raise Http404("no such kind")
    row = queries.find(request.actor, code)
    slug = str(row.department.slug)
    if not parts.own(row.content, parts.LICENCE):
        raise Http404("no licence of its own")
    world = queries.began(row.content, code, slug, _inside(request, row), request.actor)
    known = queries.specimen_values(request.actor, world)
    declared = parts.assembled(row.content, code, slug)[parts.LICENCE]
    mapping = world.item.result.elements
    holder = declared.get("holder") or {}
    values = {
        **known,
        **{e: known[s] for e, s in mapping.items() if s in known},
        str(holder.get("name")): known["applicant_name"],
        str(holder.get("number")): known["applicant_number"],
    }
    try:
        drawn = licences.specimen(declared, values, format=kind)
    except (licences.BadType, KeyError, TypeError, ValueError) as wrong:
        raise UserError(f"证照还不能预览：{wrong}") from wrong
    media = "application/pdf" if kind == "pdf" else "image/png"
    answer = HttpResponse(drawn, content_type=media)
    if kind == "pdf":
        answer["Content-Disposition"] = f'attachment; filename="{code}-specimen.pdf"'
    return answer
