"""Listing: the services being made, a new one, one at a glance, its history, in and out as a pack."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, api, queries
from ..rules import archive
from ..rules import content as parts


def standing(row: api.Workbook) -> tuple[str, str]:
    """Where a service stands, in a word and a tone."""
    if queries.in_review(row):
        return "审核中", "violet"
    if row.withdrawn_at is not None:
        return "已下线", "grey"
    if row.live and row.live == row.number:
        return "已上线", "green"
    return ("已上线，有修订", "blue") if row.live else ("草案", "amber")


@page(permission="builder.read")
def listing(request: ActorRequest) -> HttpResponse:
    """The workbooks of my department."""
    table = Table(
        request,
        queries.rows(request.actor),
        columns=[
            Column("title", "服务", primary=True, sort=True, sub=lambda r: r.code,
                   link=lambda r: reverse("builder:overview", args=[r.code])),
            Column("department.short", "实施主体", sort="department__short"),
            Column("state", "状态", kind="badge", cell=lambda r: standing(r)[0], tone=lambda r: standing(r)[1]),
            Column("number", "修订", kind="number", cell=lambda r: f"第 {r.number} 次"),
            Column("changed_at", "最近修改", kind="stamp", sort=True),
        ],
        filters=[Filter("q", "名称或标识", lookup="title__icontains|code__icontains")],
        caption="服务草案",
        order="-changed_at",
        empty=Empty("还没有服务草案", "新建一个，或照着已有的事项建立；不会编程也能做完整个服务。",
                    reverse("builder:new"), "新建服务", icon="layers"),
    )  # fmt: skip
    context = {
        "may_edit": request.actor.may("builder.edit"),
        "waiting": queries.reviews(request.actor),
    }
    return table.respond(request, "builder/list.html", context)


@page(permission="builder.edit")
def new(request: ActorRequest) -> HttpResponse:
    """Begin a service: empty, or as a copy of an item that exists."""
    departments = queries.actor_departments(request.actor)
    problem = ""
    if request.method == "POST":
        code, name = request.POST.get("code", "").strip(), request.POST.get("name", "").strip()
        slug, sample = request.POST.get("department"), request.POST.get("sample", "").strip()
        try:
            party = next((p for p in departments if p.slug == slug), None)
            if party is None:
                raise UserError("请选择实施主体")
            if once(request):
                if sample:
                    actions.copy_item(party, code, name, sample, by=request.actor)
                else:
                    actions.begin_workbook(party, code, name, by=request.actor)
            return redirect("builder:edit", code=code, page="item")
        except UserError as mistake:
            problem = str(mistake)
    context = {"departments": departments, "problem": problem, "posted": request.POST}
    return render(request, "builder/new.html", context, status=400 if problem else 200)


@page(permission="builder.edit")
def import_page(request: ActorRequest) -> HttpResponse:
    """Take a pack in as a draft."""
    departments = queries.actor_departments(request.actor)
    problem = ""
    if request.method == "POST":
        try:
            slug = request.POST.get("department")
            party = next((p for p in departments if p.slug == slug), None)
            uploaded = request.FILES.get("file")
            if party is None or uploaded is None:
                raise UserError("请选择实施主体和文件")
            if (uploaded.size or 0) > archive.MOST_BYTES:
                raise UserError(f"文件超过 {archive.MOST_BYTES // 1_000_000} MB")
            done = actions.import_pack(party, uploaded.read(), by=request.actor)
            if done.asides:
                messages.warning(request, done.words)
                return redirect("builder:clash", code=done.row.code, number=done.asides[0].pk)
            messages.success(request, done.words)
            return redirect("builder:overview", code=done.row.code)
        except UserError as mistake:
            problem = str(mistake)
    context = {"departments": departments, "problem": problem}
    return render(request, "builder/import.html", context, status=400 if problem else 200)


@page(permission="builder.read")
def overview(request: ActorRequest, code: str) -> HttpResponse:
    """One service at a glance: its parts, all checks with the way to each place, what to do next."""
    row = queries.find(request.actor, code)
    checked = queries.check(row.content, code, str(row.department.slug), request.actor)
    word, tone = standing(row)
    pages = [
        (name, title, len([f for f in checked.of(name) if f.wrong]), len([f for f in checked.of(name) if not f.wrong]))
        for name, (title, _, _) in parts.PAGES.items()
    ]  # fmt: skip
    context = {
        **frame(row, "overview", request),
        "checked": checked,
        "pages": pages,
        "word": word,
        "tone": tone,
        "in_review": queries.in_review(row),
        "may_withdraw": request.actor.may("builder.review"),
        "running": queries.running(request.actor, row) if row.live else 0,
        "withdrawal": queries.withdrawal(request.actor, row),
        "history": queries.history(request.actor, row)[:6],
        "asides": [(a, parts.PARTS[a.part]) for a in queries.open_asides(request.actor, row)],
        "fresh": row.live != row.number,
    }
    return render(request, "builder/overview.html", context)


def frame(row: api.Workbook, current: str, request: ActorRequest) -> dict[str, object]:
    """What every page of one service shows: its steps and whether it may be changed."""
    steps = [(name, title, reverse("builder:edit", args=[row.code, name])) for name, (title, _, _) in parts.PAGES.items()]  # fmt: skip
    steps += [
        ("overview", "检查与发布", reverse("builder:overview", args=[row.code])),
        ("try", "试办", reverse("builder:try", args=[row.code])),
        ("history", "修订记录", reverse("builder:history", args=[row.code])),
    ]
    return {
        "row": row,
        "steps": steps,
        "current": current,
        "may_edit": queries.seen(request.actor, row),
    }


@page(permission="builder.read")
def pack(request: ActorRequest, code: str) -> HttpResponse:
    """The service as a pack."""
    row = queries.find(request.actor, code)
    answer = HttpResponse(api.pack_of(row, request.actor), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{row.code}.zip"'
    return answer


@page(permission="builder.read")
def history(request: ActorRequest, code: str) -> HttpResponse:
    """Every save: what, who, when; those laid aside among them."""
    row = queries.find(request.actor, code)
    told = [(r, parts.PARTS.get(r.part, r.part)) for r in queries.history(request.actor, row)]
    context = {**frame(row, "history", request), "revisions": told}
    return render(request, "builder/history.html", context)


@page(permission="builder.read")
def drawing(request: ActorRequest, code: str, number: int) -> HttpResponse:
    """The path of one revision as BPMN."""
    row = queries.find(request.actor, code)
    content = queries.content_at(request.actor, row, number)
    _, drawn = queries.bpmn_of(content, code, request.actor)
    return HttpResponse(drawn or "<none/>", content_type="application/xml")


@page(permission="builder.edit")
def revision(request: ActorRequest, code: str, number: int) -> HttpResponse:
    """What one save changed against now; back to it."""
    row = queries.find(request.actor, code)
    old = queries.content_at(request.actor, row, number)
    if request.method == "POST":
        try:
            actions.restore(row, number, by=request.actor)
            messages.success(request, f"已恢复到第 {number} 次修订")
        except UserError as mistake:
            messages.error(request, str(mistake))
        return redirect("builder:overview", code=code)
    slug = str(row.department.slug)
    context = {
        **frame(row, "history", request),
        "number": number,
        "differences": queries.differences(old, row.content, code, slug, request.actor),
        "before_word": f"第 {number} 次修订",
        "now_word": "现在",
        "now_bpmn": reverse("builder:drawing", args=[code, row.number]),
        "before_bpmn": reverse("builder:drawing", args=[code, number]),
    }
    return render(request, "builder/revision.html", context)
