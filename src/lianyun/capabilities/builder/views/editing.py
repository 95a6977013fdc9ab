"""Editing: one page of a service as fields or as text, checked while it is typed, previewed, saved."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.flows import api as flows
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.licences import api as licences
from lianyun.decision import BadTable, compile_decision, decide, load
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from ..rules import content as parts
from ..rules import text as words
from .listing import frame

MOST_BODY = 400_000
"""Characters of one posted part."""


def _told(request: ActorRequest) -> dict[str, Any]:
    """The posted part; raises UserError."""
    raw = request.POST.get("content", "")
    if len(raw) > MOST_BODY:
        raise UserError("内容太多，请精简")
    try:
        value = json.loads(raw)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError("没有收到完整的内容，请重新保存") from error
    if not isinstance(value, dict):
        raise UserError("没有收到完整的内容，请重新保存")
    return value


def _base(request: ActorRequest) -> int:
    told = request.POST.get("base", "")
    if not (told.isascii() and told.isdigit() and len(told) < 8):
        raise UserError("页面过期了，请重新打开")
    return int(told)


def _page(name: str) -> tuple[str, str, tuple[str, ...] | None]:
    try:
        return parts.PAGES[name]
    except KeyError:
        raise Http404("no such page") from None


@page(permission="builder.read")
def edit(request: ActorRequest, code: str, page: str) -> HttpResponse:
    """One page of the editor; a post saves it."""
    title, part, keys = _page(page)
    row = queries.find(request.actor, code)
    if request.method == "POST":
        return _save(request, row, part, keys, reverse("builder:edit", args=[code, page]))
    whole = dict(row.content.get(part) or {})
    shown = whole if keys is None else {k: v for k, v in whole.items() if k in keys}
    checked = queries.check(row.content, code, str(row.department.slug), request.actor)
    names = list(parts.PAGES)
    following = names[names.index(page) + 1] if page != names[-1] else ""
    context = {
        **frame(row, page, request),
        "title": title,
        "part": part,
        "page_name": page,
        "content": shown,
        "schema": queries.schema(page),
        "lists": queries.lists(request.actor, page) | _near(row, page, request),
        "findings": _findings(checked, page),
        "following": following,
        "following_title": parts.PAGES[following][0] if following else "",
        "drawn": whole.get("bpmn") or whole.get("dmn"),
        "in_review": queries.in_review(row),
    }
    return render(request, "builder/edit.html", context)


def _near(row: Any, page: str, request: ActorRequest) -> dict[str, Any]:
    """What other parts of the same service offer to this page."""
    slug = str(row.department.slug)
    if page in ("decision", "path", "materials", "form"):
        ask = queries.path_facts if page == "path" else queries.known_facts
        found = ask(row.content, row.code, slug, request.actor)
        if page in (
            "materials",
            "form",
        ):  # their own questions are taken from the page as it stands
            found = [f for f in found if f.name == "applicant_kind" and page == "form"]
        facts = {"facts": [(f.name, f.title, f.kind, f.choices) for f in found]}
        if page in ("decision", "path"):
            return {**facts, "results": list(flows.RESULTS.items())}
        out: dict[str, Any] = facts
    else:
        out = {}
    if page in ("materials", "page"):
        form = queries.form_of(row.content, row.code)
        fields = [(f.id, f.title) for _, f in form.plain_fields()] if form else []
        out["fields"] = fields
        if page == "page":
            out["elements"] = queries.licence_names(row.content, row.code, slug)
    return out


def _findings(checked: queries.Checked, page: str) -> list[dict[str, str]]:
    return [
        {"page": f.page, "place": f.place, "words": f.words, "severity": f.severity}
        for f in checked.of(page)
    ]


def _save(
    request: ActorRequest, row: Any, part: str, keys: tuple[str, ...] | None, back: str
) -> HttpResponse:
    try:
        if not once(request):
            return redirect(back)
        done = actions.save_part(
            row, part, _told(request), base=_base(request), keys=keys,
            note=request.POST.get("note", ""), by=request.actor,
        )  # fmt: skip
    except UserError as mistake:
        messages.error(request, str(mistake))
        return redirect(back)
    if done.aside is not None:
        return redirect("builder:clash", code=row.code, number=done.aside.pk)
    messages.success(request, "已保存，并入了别人刚才的修改" if done.merged else "已保存")
    if request.POST.get("then") == "next" and request.POST.get("following"):
        following = request.POST["following"]
        return redirect("builder:edit", code=row.code, page=following if following in parts.PAGES else "item")  # fmt: skip
    return redirect(back)


@page(permission="builder.edit")
def clash(request: ActorRequest, code: str, number: int) -> HttpResponse:
    """Two saved the same thing: the later one sees both, place by place, and decides; nothing is lost."""
    row = queries.find(request.actor, code)
    aside = queries.clash(request.actor, row, number)
    if request.method == "POST":
        mine = [n for n in range(len(aside.places)) if request.POST.get(f"take-{n}") == "mine"]
        try:
            actions.settle(row, aside, mine=mine, by=request.actor)
            words = f"{len(mine)} 处用了未并入的内容" if mine else "保留了现在的内容"
            messages.success(request, f"{words}；两份内容都在修订记录里")
        except UserError as mistake:
            messages.error(request, str(mistake))
            return redirect("builder:clash", code=code, number=number)
        others = queries.open_asides(request.actor, row)
        if others:
            return redirect("builder:clash", code=code, number=others[0].pk)
        return redirect("builder:edit", code=code, page=_clash_page(aside))
    slug = str(row.department.slug)
    context = {
        **frame(row, _clash_page(aside), request),
        "aside": aside,
        "own": request.actor.party is not None and aside.by_id == request.actor.party.pk,
        "part_title": parts.PARTS[aside.part],
        "choices": queries.choices(
            row.content, aside.content, aside.part, aside.places, (code, slug), request.actor
        ),
        "theirs": queries.saved_as(request.actor, row, aside.number),
        "settles": [n for n, (_, part, _) in parts.PAGES.items() if part == aside.part],
    }
    return render(request, "builder/clash.html", context)


def _clash_page(aside: Any) -> str:
    """The page on which the first of the places stands."""
    return parts.page_of(aside.part, aside.places[0][0] if aside.places else "")


@page(permission="builder.read")
def text(request: ActorRequest, code: str, part: str) -> HttpResponse:
    """A part as YAML text, for whoever likes to write it; both ways without loss."""
    if part not in parts.PARTS:
        raise Http404("no such part")
    row = queries.find(request.actor, code)
    told = row.content.get(part) or {}
    written = str(told.get("bpmn") or told.get("dmn") or words.write(told))
    problem = ""
    if request.method == "POST":
        written = request.POST.get("text", "").replace("\r\n", "\n")
        try:
            raw = _drawn(part, written)
            content = raw if raw is not None else words.read(written)
            if once(request):
                done = actions.save_part(row, part, content, base=_base(request), by=request.actor)
                if done.aside is not None:
                    return redirect("builder:clash", code=code, number=done.aside.pk)
                messages.success(request, "已保存")
            return redirect("builder:text", code=code, part=part)
        except (UserError, words.BadText) as mistake:
            problem = str(mistake)
    page_name = parts.page_of(part)
    context = {
        **frame(row, page_name, request),
        "part": part,
        "part_title": parts.PARTS[part],
        "page_name": page_name,
        "written": written,
        "problem": problem,
    }
    return render(request, "builder/text.html", context, status=400 if problem else 200)


def _drawn(part: str, written: str) -> dict[str, Any] | None:
    """A path or table that was drawn elsewhere, as it is; None for everything else."""
    if written.lstrip().startswith("<"):
        if len(written) > words.MOST:
            raise words.BadText("文本太长")
        if part == parts.PATH:
            return {"bpmn": written}
        if part == parts.DECISION:
            return {"dmn": written}
    return None


def _tried(request: ActorRequest, row: Any, page: str) -> dict[str, Any]:
    """The workbook's content with the posted page in the place of the saved one."""
    _, part, keys = _page(page)
    told = parts.vetted({part: _told(request)})[part]
    now = dict(row.content.get(part) or {})
    if keys is not None:
        told = {k: v for k, v in now.items() if k not in keys} | {
            k: v for k, v in told.items() if k in keys
        }
    return {**row.content, part: told}


@page(permission="builder.read")
def check(request: ActorRequest, code: str) -> HttpResponse:
    """What the checks find in a page as it is typed; nothing is kept."""
    row = queries.find(request.actor, code)
    page = request.POST.get("page", "item")
    try:
        content = _tried(request, row, page)
    except (UserError, parts.BadContent) as mistake:
        found = {"page": page, "place": "", "words": str(mistake), "severity": "error"}
        return JsonResponse({"findings": [found]})
    checked = queries.check(content, code, str(row.department.slug), request.actor)
    return JsonResponse({"findings": _findings(checked, page), "wrong": len(checked.wrong)})


@page(permission="builder.read")
def preview(request: ActorRequest, code: str, page: str) -> HttpResponse:
    """What a page makes: the form as people see it, the path as BPMN, the table tried, the licence drawn."""
    row = queries.find(request.actor, code)
    if request.method != "POST":
        return redirect("builder:edit", code=code, page=page)
    slug = str(row.department.slug)
    try:
        content = _tried(request, row, page)
    except (UserError, parts.BadContent) as mistake:
        return _nothing(str(mistake))
    if page == "form":
        return _form(request, content, code)
    if page == "path":
        _, drawn = queries.bpmn_of(content, code, request.actor)
        return HttpResponse(drawn, content_type="application/xml") if drawn else _nothing("")
    if page == "decision":
        return JsonResponse(_table(request, content, code))
    if page == "licence":
        return _specimen(content, code, slug)
    raise Http404("nothing to preview")


def _nothing(why: str) -> HttpResponse:
    """An answer without a picture: half-written parts are no error, they are on their way."""
    answer = HttpResponse(why, content_type="text/plain; charset=utf-8")
    answer["X-Preview"] = "none"
    return answer


def _form(request: ActorRequest, content: dict[str, Any], code: str) -> HttpResponse:
    told = content.get(parts.FORM) or {}
    context: dict[str, Any] = {"posted": request.POST.get("content", "")}
    try:
        if parts.USE in told:
            tried = forms.rehearsal_of(str(told[parts.USE]))
        else:
            tried = forms.rehearsal({"code": code, **told})
        names = [p.id for p in tried.form.parts]
        at = request.POST.get("part") or names[0]
        posted = {k: request.POST.getlist(k) for k in request.POST}
        for name in names:  # conditions may hide a part: it is previewed as if it were asked
            if name == at:
                shown = posted if request.POST.get("do") == "refresh" else None
                context["page"] = tried.page(name, shown)
        context["parts"] = [(p.id, p.title) for p in tried.form.parts]
        context["at"] = at
    except Http404:
        context["hidden"] = True
        context["parts"], context["at"] = [(p.id, p.title) for p in tried.form.parts], at
    except (forms.BadForm, UserError, TypeError, ValueError, AttributeError, KeyError) as wrong:
        context["problem"] = str(wrong).partition("：")[2] or str(wrong)
    return render(request, "builder/_form_preview.html", context)


def _table(request: ActorRequest, content: dict[str, Any], code: str) -> dict[str, Any]:
    """Each rule judged by itself, and the row that was tried."""
    told = content.get(parts.DECISION) or {}
    rules = told.get("rules") or []
    out: dict[str, Any] = {"rows": {}, "problem": "", "hit": [], "outputs": []}
    try:
        model = load(compile_decision(code, told))
    except (BadTable, KeyError, TypeError, AttributeError, ValueError) as error:
        out["problem"] = str(error)
        for at, rule in enumerate(rules[:500]):
            try:
                compile_decision(code, {**told, "rules": [rule]})
            except (BadTable, KeyError, TypeError, AttributeError, ValueError) as wrong:
                said = str(wrong)
                out["rows"][at] = said.partition("第 1 条规则")[2] or said
        return out
    try:
        given = json.loads(request.POST.get("try", "") or "{}")
    except json.JSONDecodeError:
        given = {}
    if not isinstance(given, dict) or not any(str(v).strip() for v in given.values()):
        return out
    try:
        found = decide(model, {str(k): v for k, v in given.items() if str(v).strip()})
    except BadTable as error:
        out["tried"] = str(error)
        return out
    order = {r.id: n for t in model.tables for n, r in enumerate(t.rules)}
    titles = {o.name: o.title for t in model.tables for o in t.outputs}
    out["hit"] = [order[r] for r in found.rules if r in order]
    out["outputs"] = [
        [titles.get(n, n), "—" if v is None else str(v)] for n, v in found.plain.items()
    ]
    out["notes"] = list(found.annotations)
    return out


def _specimen(content: dict[str, Any], code: str, slug: str) -> HttpResponse:
    told = content.get(parts.LICENCE) or {}
    if not told or parts.USE in told:
        return _nothing("没有自己的证照")
    try:
        drawn = licences.specimen({"name": code, "issuer": slug, **told}, {})
    except (licences.BadType, KeyError, TypeError, ValueError, AttributeError) as wrong:
        return _nothing(str(wrong).partition("：")[2] or str(wrong))
    return HttpResponse(drawn, content_type="image/png")
