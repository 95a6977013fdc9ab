"""Mine: the systems that a person lets know him, what each has been told, and the way to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.pages import signed_in

from .. import actions, queries, rules

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@signed_in
def authorizations(request: HttpRequest) -> HttpResponse:
    """我的授权: consents that hold, and the last entries with what was told."""
    viewer = cast("Actor", request.actor)  # type: ignore[attr-defined]
    held = queries.consents(viewer)
    if request.method == "POST":
        chosen = next((c for c in held if str(c.pk) == request.POST.get("consent", "")), None)
        if chosen is None:
            raise UserError("这项授权已经撤回")
        actions.withdraw_consent(chosen, by=viewer)
        messages.success(request, f"已撤回对“{chosen.system}”的授权，它已不能再获取您的信息")
        return redirect("login:mine")
    titles = {c: t for s in rules.SCOPES.values() for c, t in s.claims.items()}
    context = {
        "rows": [
            {
                "consent": consent,
                "scopes": [
                    (rules.SCOPES[name].title, why or "识别您是同一个人")
                    for name, why in consent.scopes.items()
                    if name in rules.SCOPES
                ],
            }
            for consent in held
        ],
        "entries": [
            {"entry": e, "told": "、".join(titles.get(c, c) for c in e.told) or "仅化名"}
            for e in queries.entries(viewer)
        ],
    }
    return render(request, "login/mine.html", context)
