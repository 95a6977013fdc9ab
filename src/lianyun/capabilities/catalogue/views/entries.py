"""Entry views: one resource with its tabs, the edit form with its grid of items, the verbs on it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse

from lianyun.kernel.access import UserError
from lianyun.kernel.element import TYPES
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from ..rules import entries as rules
from ..rules.compare import compare as compared

TABS = (
    ("", "概况"),
    ("items", "信息项"),
    ("versions", "版本"),
    ("lineage", "血缘"),
    ("share", "共享授权"),
)
ITEM_KEYS = ("order", "title", "name", "element", "type", "format", "required", "key", "note")


def _share_url(name: str) -> str:
    """Where one asks for the data, if the sharing capability is installed."""
    for view in ("sharing:apply", "sharing:new"):
        try:
            return reverse(view, args=[name])
        except NoReverseMatch:
            continue
    return ""


@page(permission="catalogue.read")
def detail(request: ActorRequest, name: str) -> HttpResponse:
    """One resource: overview, items, versions, lineage, sharing."""
    found = queries.detail(request.actor, name)
    tab = request.GET.get("tab", "")
    here = reverse("catalogue:detail", args=[found.resource.name])
    counts = {"items": len(found.items), "versions": len(found.versions)}
    context: dict[str, Any] = {
        "d": found,
        "r": found.resource,
        "c": found.content,
        "tab": tab,
        "tabs": [
            (title, f"{here}?tab={key}" if key else here, counts.get(key)) for key, title in TABS
        ],
        "share_title": rules.SHARE.get(found.content["share"]["type"], ""),
        "open_title": rules.OPEN.get(found.content["open"]["type"], ""),
        "level_title": rules.LEVELS.get(found.content["level"], ""),
        "apply_url": _share_url(found.resource.name),
    }
    if tab == "lineage":
        graph = queries.lineage(request.actor, found.resource.ref, found.resource.title)
        context.update(graph=graph, spec=_graph(graph))
    if tab == "share":
        context["granted"] = queries.grants(request.actor, found.resource)
    return render(request, "catalogue/detail.html", context)


def _graph(graph: queries.Graph) -> dict[str, Any]:
    """The lineage as the page's script reads it."""
    return {
        "nodes": [
            {
                "ref": n.ref,
                "title": n.title,
                "kind": n.kind,
                "kind_title": n.kind_title,
                "steps": n.steps,
                "url": reverse("catalogue:detail", args=[n.name]) if n.name else "",
            }
            for n in graph.nodes
        ],
        "links": [{"source": x.source, "target": x.target, "note": x.note} for x in graph.links],
    }


def posted(request: ActorRequest) -> dict[str, Any]:
    """The entry that a posted edit form holds; items in the order of their numbers."""
    post = request.POST
    columns = {key: post.getlist(f"item-{key}") for key in ITEM_KEYS}
    rows = [
        {key: values[at].strip() if at < len(values) else "" for key, values in columns.items()}
        for at in range(len(columns["title"]))
    ]
    rows = [row for row in rows if row["title"] or row["name"] or row["element"]]
    rows.sort(
        key=lambda row: float(row["order"]) if row["order"].replace(".", "", 1).isdigit() else 1e6
    )
    return {
        "class": post.get("class", ""),
        "name": post.get("name", "").strip(),
        "title": post.get("title", "").strip(),
        "summary": post.get("summary", "").strip(),
        "format": post.get("format", ""),
        "cycle": post.get("cycle", ""),
        "level": post.get("level", ""),
        "share": {
            "type": post.get("share_type", ""),
            "conditions": post.get("share_conditions", "").strip(),
            "basis": post.get("share_basis", "").strip(),
            "method": post.get("share_method", ""),
        },
        "open": {
            "type": int(post.get("open_type") or 0) if post.get("open_type", "0").isdigit() else 0,
            "conditions": post.get("open_conditions", "").strip(),
        },
        "related": post.get("related", "").replace("，", "、").replace(",", "、").split("、")
        if post.get("related", "").strip()
        else [],
        "items": [
            {**row, "required": row["required"] == "1", "key": row["key"] == "1"} for row in rows
        ],
    }


def _form(
    request: ActorRequest, content: dict[str, Any], extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    context = {
        "c": content,
        "items": queries.item_rows(request.actor, content.get("items") or []),
        "classes": queries.class_options(request.actor),
        "element_list": queries.element_options(request.actor),
        "types": TYPES.items(),
        "formats": rules.FORMATS,
        "cycles": rules.CYCLES,
        "methods": rules.METHODS,
        "shares": rules.SHARE.items(),
        "opens": rules.OPEN.items(),
        "levels": rules.LEVELS.items(),
        **extra,
    }
    return render(request, "catalogue/edit.html", context, status=status)


EMPTY: dict[str, Any] = {
    "class": "",
    "code": "",
    "name": "",
    "title": "",
    "summary": "",
    "format": "数据库",
    "cycle": "每日",
    "level": 2,
    "share": {"type": 2, "conditions": "", "basis": "", "method": "服务接口"},
    "open": {"type": 0, "conditions": ""},
    "related": [],
    "items": [],
}


@page(permission="catalogue.edit")
def new(request: ActorRequest) -> HttpResponse:
    """Draw up a new entry."""
    departments = queries.own_departments(request.actor)
    extra: dict[str, Any] = {"departments": departments, "fresh": True}
    if request.method != "POST":
        return _form(request, EMPTY, extra)
    content = posted(request)
    provider = next((p for p in departments if p.slug == request.POST.get("provider")), None)
    if not once(request):
        return redirect("catalogue:list")
    try:
        if provider is None:
            raise UserError("请选择提供部门")
        row = actions.draft_resource(provider=provider, content=content, by=request.actor)
    except UserError as mistake:
        return _form(request, content, {**extra, "problem": str(mistake), "chosen": provider}, 400)
    return _saved(request, row.name)


def _saved(request: ActorRequest, name: str) -> HttpResponse:
    row = queries.look_up(request.actor, name)
    if "submit" in request.POST:
        try:
            actions.submit_entry(resource=row, by=request.actor)
        except UserError as mistake:
            messages.error(request, str(mistake))
            return redirect("catalogue:edit", name=name)
        messages.success(request, "已提交审签")
        return redirect("catalogue:detail", name=name)
    messages.success(request, "已保存")
    return redirect("catalogue:edit" if "stay" in request.POST else "catalogue:detail", name=name)


@page(permission="catalogue.edit")
def edit(request: ActorRequest, name: str) -> HttpResponse:
    """Edit a draft or the copy in work; what the rules still miss is listed beside the form."""
    found = queries.detail(request.actor, name)
    if not found.may_edit:
        raise UserError(
            "这个目录现在不能修改：正在审核、已发布（请先建立修订稿），或不属于您的部门"
        )
    content = queries.entry_for(request.actor, found.resource)
    extra: dict[str, Any] = {"d": found, "r": found.resource}
    if request.method == "POST":
        wanted = posted(request)
        try:
            actions.edit_resource(resource=found.resource, content=wanted, by=request.actor)
        except UserError as mistake:
            wanted["code"] = content["code"]
            return _form(request, wanted, {**extra, "problem": str(mistake)}, 400)
        return _saved(request, queries.name_of(request.actor, found.resource))
    extra["findings"] = queries.findings(request.actor, content)
    return _form(request, content, extra)


@page(permission="catalogue.edit")
def item_row(request: ActorRequest) -> HttpResponse:
    """One row of the grid of items: an empty one, or one filled from its data element (htmx)."""
    item = {key: request.GET.get(f"item-{key}", "").strip() for key in ITEM_KEYS}
    context = {
        "row": queries.filled_item(request.actor, item),
        "types": TYPES.items(),
        "order": item["order"],
    }
    return render(request, "catalogue/_item_row.html", context)


@page(permission="catalogue.edit")
def submit(request: ActorRequest, name: str) -> HttpResponse:
    """Send an entry to review."""
    row = queries.look_up(request.actor, name)
    if request.method == "POST":
        try:
            actions.submit_entry(resource=row, by=request.actor)
            messages.success(request, "已提交审签，审核进度见“版本”页")
        except UserError as mistake:
            messages.error(request, str(mistake))
            return redirect("catalogue:edit", name=name)
    return redirect("catalogue:detail", name=name)


@page(permission="catalogue.edit")
def revise(request: ActorRequest, name: str) -> HttpResponse:
    """Begin the next version of a published entry."""
    row = queries.look_up(request.actor, name)
    if request.method != "POST":
        return redirect("catalogue:detail", name=name)
    actions.new_version(resource=row, by=request.actor)
    messages.success(request, "修订稿已建立，发布前其他部门看到的仍是现行版本")
    return redirect("catalogue:edit", name=name)


@page(permission="catalogue.edit")
def discard(request: ActorRequest, name: str) -> HttpResponse:
    """Throw a draft or copy in work away."""
    row = queries.look_up(request.actor, name)
    if request.method != "POST":
        return redirect("catalogue:detail", name=name)
    actions.discard_draft(resource=row, by=request.actor)
    messages.success(request, "草稿已删除")
    return redirect("catalogue:detail", name=name) if row.version else redirect("catalogue:list")


@page(permission="catalogue.withdraw")
def withdraw(request: ActorRequest, name: str) -> HttpResponse:
    """Take a published entry out of the catalogue, with a reason."""
    found = queries.detail(request.actor, name)
    if not found.may_withdraw:
        raise UserError("这个目录现在不能撤销：未发布、修订稿正在审核，或不属于您的部门")
    problem = ""
    if request.method == "POST":
        try:
            actions.withdraw_resource(
                resource=found.resource, reason=request.POST.get("reason", ""), by=request.actor
            )
            messages.success(request, "目录已撤销，历次版本仍可查看")
            return redirect("catalogue:detail", name=name)
        except UserError as mistake:
            problem = str(mistake)
    context = {"r": found.resource, "d": found, "problem": problem}
    return render(request, "catalogue/withdraw.html", context, status=400 if problem else 200)


@page(permission="catalogue.read")
def compare(request: ActorRequest, name: str) -> HttpResponse:
    """Two versions side by side, field by field and item by item."""
    found = queries.detail(request.actor, name)
    numbers = [v.number for v in found.versions]
    if not numbers:
        raise UserError("这个目录还没有发布过版本")

    def wanted(key: str, default: int) -> int:
        text = request.GET.get(key, "")
        return int(text) if text.isdigit() and int(text) in numbers else default

    new_number = wanted("to", numbers[0])
    old_number = wanted("from", numbers[min(1, len(numbers) - 1)])
    old = queries.version(request.actor, name, old_number)
    fresh = queries.version(request.actor, name, new_number)
    context = {
        "r": found.resource,
        "numbers": numbers,
        "old": old_number,
        "new": new_number,
        "changes": compared(old, fresh),
    }
    return render(request, "catalogue/compare.html", context)
