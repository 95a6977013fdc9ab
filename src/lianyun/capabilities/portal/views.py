"""Views: the public home, the search over the public catalogue, one entry, departments, help."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from lianyun.kernel.access import UserError
from lianyun.ui.pages import public

from . import queries

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def _actor(request: HttpRequest) -> Actor:
    return cast("Actor", request.actor)  # type: ignore[attr-defined]


@public
def home(request: HttpRequest) -> HttpResponse:
    """The city's front door."""
    return render(request, "portal/home.html", {"home": queries.home(_actor(request))})


@public
def search(request: HttpRequest) -> HttpResponse:
    """The public catalogue, searched and narrowed."""
    get = request.GET.get
    page = get("page", "1")
    found = queries.found(
        _actor(request),
        get("q", "").strip()[:100],
        department=get("department", ""),
        category=get("category", ""),
        share=get("share", ""),
        page=int(page) if page.isdecimal() and len(page) < 7 else 1,
    )
    departments = [(p.slug, str(p)) for p, n in queries.departments(_actor(request)) if n]
    asked = get("q", "").strip()[:100]
    context = {
        "found": found,
        "matters": queries.matters(_actor(request), asked) if asked else None,
        "q": get("q", "").strip()[:100],
        "chosen": {k: get(k, "") for k in ("department", "category", "share")},
        "departments": departments,
        "classes": queries.classes(_actor(request)),
        "shares": list(queries.SHARE.items()),
    }
    return render(request, "portal/search.html", context)


@public
def entry(request: HttpRequest, name: str) -> HttpResponse:
    """One entry of the public catalogue."""
    try:
        shown = queries.entry(_actor(request), name)
    except UserError as missing:
        raise Http404(str(missing)) from missing
    return render(request, "portal/entry.html", shown)


@public
def departments(request: HttpRequest) -> HttpResponse:
    """All departments with what they publish."""
    return render(
        request, "portal/departments.html", {"rows": queries.departments(_actor(request))}
    )


@public
def guide(request: HttpRequest) -> HttpResponse:
    """How to use the portal."""
    return render(request, "portal/help.html")
