"""Source views: the list, the form of each kind, one source with its runs, test, run, stop."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from .forms import SourceForm


def source_columns(*, with_dataset: bool = True) -> list[Column]:
    """The columns of a list of sources."""
    own = [
        Column(
            "resource.title",
            "数据集",
            link=lambda s: reverse("collection:dataset", args=[s.resource.name]),
        ),
        Column("resource.owner.short", "部门", phone=False),
    ]
    return [
        Column(
            "title",
            "数据源",
            primary=True,
            link=lambda s: reverse("collection:source", args=[s.name]),
            sub=lambda s: s.name,
        ),
        *(own if with_dataset else []),
        Column("kind", "类型", cell=lambda s: rules.KINDS.get(s.kind, s.kind)),
        Column("mode", "方式", cell=lambda s: rules.MODES.get(s.mode, s.mode)),
        Column("schedule", "计划", kind="code", phone=False),
        Column("due_at", "下次运行", kind="stamp", phone=False),
        Column(
            "enabled",
            "状态",
            kind="badge",
            cell=lambda s: "启用" if s.enabled else "停用",
            tone=lambda s: "green" if s.enabled else "grey",
        ),
    ]


@page(permission="collection.read")
def sources(request: ActorRequest) -> HttpResponse:
    """The sources of the viewer's departments."""
    can_edit = request.actor.may("collection.edit")
    table = Table(
        request,
        queries.sources(request.actor),
        columns=source_columns(),
        filters=[
            Filter(
                "q", "关键词", lookup="title__icontains|name__icontains|resource__title__icontains"
            ),
            Filter("kind", "类型", "select", choices=list(rules.KINDS.items()), lookup="kind"),
        ],
        caption="数据源",
        export_name="数据源",
        empty=Empty(
            "还没有数据源",
            "登记一个数据库、文件或接口后，就可以按计划归集数据。",
            reverse("collection:new_source") if can_edit else "",
            "登记数据源",
            "database",
        ),
    )
    return table.respond(request, "collection/sources.html", {"can_edit": can_edit})


@page(permission="collection.edit")
def new_source(request: ActorRequest) -> HttpResponse:
    """Choose a kind, then fill in its form."""
    kind = request.GET.get("kind", "")
    if kind not in rules.KINDS:
        kinds = [
            (title, f"?kind={key}&dataset={request.GET.get('dataset', '')}", key)
            for key, title in rules.KINDS.items()
        ]
        return render(request, "collection/kinds.html", {"kinds": kinds})
    form = SourceForm(
        kind,
        request.POST or None,
        datasets=queries.loadable(request.actor),
        initial={"dataset": request.GET.get("dataset", ""), "mode": "full"},
    )
    return _save(request, form, kind, replace=False)


@page(permission="collection.edit")
def edit_source(request: ActorRequest, name: str) -> HttpResponse:
    """Change a source; the stored password is never shown, and stays where none is typed."""
    row = queries.source(name, request.actor)
    initial = {
        "dataset": row.resource.name,
        "name": row.name,
        "title": row.title,
        "location": row.location,
        "mode": row.mode,
        "watermark": row.watermark,
        "schedule": row.schedule,
        **row.options,
    }
    form = SourceForm(
        row.kind, request.POST or None, datasets=[row.resource], initial=initial, fixed=True
    )
    return _save(request, form, row.kind, replace=True, row=row)


def _save(
    request: ActorRequest, form: SourceForm, kind: str, *, replace: bool, row: Any = None
) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("collection:sources")
        try:
            made = actions.register_source(**form.arguments(), replace=replace, by=request.actor)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "数据源已保存，建议先测试连接")
            return redirect("collection:source", name=made.name)
    back = reverse("collection:source", args=[row.name]) if row else reverse("collection:sources")
    return render(
        request,
        "collection/source_form.html",
        {"form": form, "kind": rules.KINDS[kind], "row": row, "back": back},
    )


@page(permission="collection.read")
def source(request: ActorRequest, name: str) -> HttpResponse:
    """One source: what it is, whether it runs, its last loads."""
    row = queries.source(name, request.actor)
    return render(
        request,
        "collection/source.html",
        {
            "row": row,
            "kind": rules.KINDS.get(row.kind, row.kind),
            "mode": rules.MODES.get(row.mode, row.mode),
            "running": queries.running(row, request.actor),
            "runs": queries.runs_of(row, request.actor),
            "can_run": queries.may_run(request.actor, row.resource),
            "can_edit": queries.may_edit(request.actor, row.resource),
        },
    )


@require_POST
@page(permission="collection.run")
def run_source(request: ActorRequest, name: str) -> HttpResponse:
    """Begin a load now."""
    row = queries.source(name, request.actor)
    made = actions.run_source(
        source=row, allow_shrink=request.POST.get("shrink") == "1", by=request.actor
    )
    return redirect("collection:batch", code=made.code)


@require_POST
@page(permission="collection.edit")
def test_source(request: ActorRequest, name: str) -> HttpResponse:
    """Connect and read the head of a source; the answer is put into the page."""
    row = queries.source(name, request.actor)
    result = actions.test_source(source=row, by=request.actor)
    if request.htmx:
        return render(request, "collection/_test.html", {"result": result})
    (messages.success if result["ok"] else messages.error)(request, result["message"])
    return redirect("collection:source", name=row.name)


@require_POST
@page(permission="collection.edit")
def enable_source(request: ActorRequest, name: str) -> HttpResponse:
    """Turn a source's schedule on or off."""
    row = queries.source(name, request.actor)
    actions.enable_source(source=row, enabled=request.POST.get("enabled") == "1", by=request.actor)
    messages.success(request, "已启用" if row.enabled else "已停用")
    return redirect("collection:source", name=row.name)


@require_POST
@page(permission="collection.edit")
def remove_source(request: ActorRequest, name: str) -> HttpResponse:
    """Forget a source; its loads stay."""
    row = queries.source(name, request.actor)
    actions.remove_source(source=row, by=request.actor)
    messages.success(request, f"已移除数据源“{row.title}”")
    return redirect("collection:sources")
