"""Views: the workbench's home."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from lianyun.ui.pages import signed_in

from . import queries, rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """What awaits me, how my department's datasets stand, and the city's figures."""
    actor = cast("Actor", request.actor)  # type: ignore[attr-defined]
    waiting, total, late = queries.awaiting(actor)
    city = actor.may("dashboard.read")
    board = queries.board(actor) if city or actor.may("collection.read") else []
    context = {
        "greeting": rules.greeting(timezone.localtime().hour),
        "waiting": waiting,
        "waiting_total": total,
        "waiting_late": late,
        "datasets": queries.own_datasets(actor, board)[: queries.SHOWN],
        "figures": queries.figures(actor, board) if city else None,
        "charts": queries.charts(actor) if city else {},
        "tiles": queries.tiles(actor) if city else [],
        "recent": queries.recent(actor),
        "beginning": queries.beginning(actor) if city else [],
    }
    return render(request, "dashboard/home.html", context)
