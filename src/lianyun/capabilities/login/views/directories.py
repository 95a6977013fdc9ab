"""Directories: the bureau lets a department's own staff directory write its people, and stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import page

from .. import actions, queries

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@page(permission="login.manage")
def directories(request: HttpRequest) -> HttpResponse:
    """Departments' directories: open one, change its token, stop it."""
    actor = cast("Actor", request.actor)  # type: ignore[attr-defined]
    if request.method == "POST":
        if not once(request):
            return redirect("login:directories")
        return _change(request, actor)
    rows = list(queries.directories(actor))
    taken = {r.department_id for r in rows}
    context = {
        "rows": rows,
        "choices": [d for d in queries.departments(actor) if d.pk not in taken],
        "place": request.build_absolute_uri("/scim/v2"),
    }
    return render(request, "login/directories.html", context)


def _change(request: HttpRequest, actor: Actor) -> HttpResponse:
    slug, verb = request.POST.get("department", ""), request.POST.get("do", "")
    if verb == "open":
        department = queries.departments(actor).filter(slug=slug).first()
        if department is None:
            raise UserError("请选择部门")
        row, token = actions.open_directory(department=department, by=actor)
    elif verb == "rotate":
        row = queries.directory_of(actor, slug)
        token = actions.rotate_token(directory=row, by=actor)
    elif verb == "close":
        row = queries.directory_of(actor, slug)
        actions.close_directory(directory=row, reason=request.POST.get("reason", ""), by=actor)
        messages.success(request, f"{row.department}的人员目录同步已停用")
        return redirect("login:directories")
    else:
        raise UserError("没有这项操作")
    context = {"row": row, "token": token, "place": request.build_absolute_uri("/scim/v2")}
    response = render(request, "login/directory_token.html", context)
    response["Cache-Control"] = "no-store"
    return response
