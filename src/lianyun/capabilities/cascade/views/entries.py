"""Pages of entries: what lower nodes told of theirs, and what stands against ours."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from . import forms

SHARE = {1: ("无条件共享", "green"), 2: ("有条件共享", "blue"), 3: ("不予共享", "red")}


@page(permission="cascade.read")
def entries(request: ActorRequest) -> HttpResponse:
    """Lower nodes' entries and the conflicts that wait for an officer."""
    viewer = request.actor
    table = Table(
        request,
        queries.entries(viewer),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                sort=True,
                link=lambda m: reverse("cascade:entry", args=[m.pk]),
                sub=lambda m: m.code,
            ),
            Column("node", "节点", cell=lambda m: m.link.name, sort="link__name"),
            Column("department", "原提供部门", phone=False),
            Column(
                "standing",
                "情况",
                kind="badge",
                cell=lambda m: _standing(m)[0],
                tone=lambda m: _standing(m)[1],
            ),
            Column("changed_at", "更新", kind="stamp", sort=True),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains|department__icontains"),
            Filter(
                "conflict",
                "冲突",
                "select",
                choices=list(rules.CONFLICTS.items()),
                lookup="conflict",
            ),
        ],
        caption="下级目录",
        export_name="下级目录",
        order="-conflict",
        empty=Empty(
            "还没有下级目录",
            "下级节点接入并启用后，其发布的目录会自动出现在这里和数据目录中。",
            icon="list",
        ),
    )
    waiting = queries.entries(viewer).exclude(conflict="").count()
    return table.respond(request, "cascade/entries.html", {"waiting": waiting})


def _standing(mirror: Any) -> tuple[str, str]:
    if mirror.withdrawn:
        return "原单位已撤销", "grey"
    if mirror.conflict:
        return "冲突待处理", "red"
    if mirror.resource_id is not None:
        return "已收录", "green"
    return ("以本级为准", "grey") if mirror.decision == rules.KEEP else ("待收录", "amber")


@page(permission="cascade.read")
def entry(request: ActorRequest, number: int) -> HttpResponse:
    """One entry of a lower node; a conflict beside ours, and its decision."""
    viewer = request.actor
    found = queries.entry(viewer, number)
    if found is None:
        raise Http404
    form = None
    if found.conflict and viewer.may("cascade.decide"):
        form = forms.DecideForm(request.POST or None, conflict=found.conflict)
        if request.method == "POST" and form.is_valid():
            if once(request):
                actions.decide_conflict(
                    mirror=found,
                    decision=form.cleaned_data["decision"],
                    note=form.cleaned_data["note"],
                    by=viewer,
                )
                messages.success(request, "已处理")
            return redirect("cascade:entry", number)
    return render(
        request,
        "cascade/entry.html",
        {
            "mirror": found,
            "standing": _standing(found),
            "rows": queries.differences(found),
            "form": form,
            "items": found.content["items"],
            "pairs": [
                ("下级节点", f"{found.link.name}（{found.link.code}）"),
                ("原提供部门", found.department),
                ("资源代码", found.code),
                ("共享类型", SHARE[rules.share_of(found.content)][0]),
                ("摘要", found.content.get("summary") or "—", "full"),
                ("处理", found.get_decision_display() or "—"),
                ("处理人", found.decided_by or "—"),
                ("理由", found.note or "—", "full"),
            ],
        },
    )
