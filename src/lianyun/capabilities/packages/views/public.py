"""Public: the packages that are offered, by everyday words and life events; one package's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import render

from lianyun.ui.pages import ActorRequest, public

from ..queries import offered
from ..rules.package import AUDIENCES, ENTITY, PERSON


@public
def listing(request: ActorRequest) -> HttpResponse:
    """All packages, narrowed by words, by whom they serve, by the event of life."""
    text = request.GET.get("q", "").strip()[:80]
    audience = request.GET.get("for", "")
    audience = audience if audience in AUDIENCES else ""
    life = request.GET.get("life", "")[:10]
    everything = offered.tiles(request.actor, audience)
    events = dict.fromkeys(
        (code, name) for t in everything for code, name in zip(t.package.life, t.life, strict=False)
    )
    query = {"q": text} if text else {}
    tabs = [
        {
            "title": title,
            "url": f"?{urlencode({**query, 'for': key} if key else query)}",
            "current": key == audience,
        }
        for key, title in (("", "全部"), (PERSON, "个人一生"), (ENTITY, "企业一生"))
    ]
    return render(
        request,
        "packages/list.html",
        {
            "q": text,
            "audience": audience,
            "life": life,
            "rows": offered.search(request.actor, text, audience, life),
            "tabs": tabs,
            "events": list(events),
        },
    )


@public
def package(request: ActorRequest, code: str) -> HttpResponse:
    """One package: its items, why each, what waits for what, what is needed once; answers narrow it."""
    told = offered.plan(request.actor, code, request.GET.dict())
    if told is None:
        raise Http404("no such package")
    return render(request, "packages/package.html", page_of(request, told))


def page_of(request: ActorRequest, told: Any) -> dict[str, Any]:
    """What the pages of a package show of its plan."""
    names = {p.member.item: p.item.name for p in told.parts}
    departments = offered.department_names(request.actor)
    parts = [
        {
            "part": p,
            "after": [names[a] for a in p.after],
            "department": departments.get(p.item.department, p.item.department_name),
        }
        for p in told.parts
    ]
    return {
        "p": told.package,
        "plan": told,
        "parts": parts,
        "lead": departments.get(told.package.lead, ""),
        "wanted": offered.wanted(request.actor, told.chosen),
        "sum": offered.spared(request.actor, told.chosen) if told.chosen else None,
        "query": urlencode(told.answered),
    }
