"""Own: the one inbox, a message, what comes by which way; and the number in every header."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import SimpleLazyObject

from lianyun.ui.context import address_of
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions, adapters, queries
from ..rules import declared

A_PAGE = 20


def header(request: HttpRequest) -> dict[str, Any]:
    """Template variable `unread` of all frames: how many messages wait; asked only where it is drawn."""
    actor = getattr(request, "actor", None)
    if actor is None or actor.party is None:
        return {}
    return {"unread": SimpleLazyObject(lambda: queries.unread(actor))}


def _frame(request: ActorRequest) -> str:
    return "ui/workbench.html" if request.actor.roles else "ui/base.html"


def _way(message: Any) -> str:
    """The address that a message leads to; '' where there is none any more."""
    name, _, rest = message.link.partition(" ")
    return address_of(name, *([rest] if rest else [])) if name else ""


@signed_in
def inbox(request: ActorRequest) -> HttpResponse:
    """All messages, newest first, by group."""
    unread = queries.unread(request.actor)
    group, only = request.GET.get("group", ""), request.GET.get("show") == "unread"
    groups = list(dict.fromkeys(k.group for k in adapters.kinds().values()))
    group = group if group in groups else ""
    pages = Paginator(queries.inbox(request.actor, group, unread_only=only), A_PAGE)
    page = pages.get_page(request.GET.get("page"))
    known = set(queries.inbox(request.actor).order_by().values_list("key", flat=True).distinct())
    there = [
        g for g in groups if any(k.group == g and k.key in known for k in adapters.kinds().values())
    ]
    return render(
        request,
        "messages/inbox.html",
        {
            "frame": _frame(request),
            "page": page,
            "tabs": [("全部", request.path), ("未读", f"{request.path}?show=unread", unread)]
            + [(g, f"{request.path}?group={g}") for g in there],
            "unread": unread,  # the frame shows it too
        },
    )  # fmt: skip


@signed_in
def recent(request: ActorRequest) -> HttpResponse:
    """The newest messages as a part of another page."""
    return render(request, "messages/_recent.html", {"rows": queries.recent(request.actor)})


@signed_in
def message(request: ActorRequest, number: int) -> HttpResponse:
    """One message: its words, where it leads, and what became of its mail and text."""
    found = queries.message(request.actor, number)
    if found is None:
        raise Http404("没有这条消息")
    row, sendings = found
    actions.mark_read(row, by=request.actor)
    return render(
        request,
        "messages/message.html",
        {
            "frame": _frame(request),
            "message": row,
            "kind": adapters.kinds().get(row.key),
            "sendings": sendings,
            "way": _way(row),
        },
    )


@signed_in
def read_all(request: ActorRequest) -> HttpResponse:
    """Everything is read."""
    if request.method == "POST":
        actions.read_all(by=request.actor)
    return redirect("messages:inbox")


@signed_in
def settings(request: ActorRequest) -> HttpResponse:
    """What comes by which way."""
    groups = queries.switches(request.actor)
    if request.method == "POST":
        ticked = set(request.POST.getlist("on"))
        shown = {(s.kind.key, w) for g in groups.values() for s in g for w, *_ in s.ways}
        moved = actions.choose({m: ":".join(m) in ticked for m in shown}, by=request.actor)
        messages.success(request, f"已保存，改动 {moved} 项。" if moved else "没有改动。")
        return redirect("messages:settings")
    return render(
        request,
        "messages/settings.html",
        {
            "frame": _frame(request),
            "groups": groups,
            "channels": declared.CHANNELS,
            "addresses": queries.ways_of(request.actor),
            "terms": adapters.terms(),
        },
    )
