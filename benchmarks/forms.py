"""Forms: a part's page and a posted part, beside a bare Django form view with the same fields.

``python benchmarks/forms.py [--requests N] [--growth K]`` serves both through the same middleware in one
process (Django's test client: no network): the part 拟设企业 of 企业开办 with seven questions, known
values and conditions, drawn N times and posted N times; then the same questions as a plain Django
form in a bare page of the same frame that keeps the answers as JSON in one row, without sealing,
conditions, events or two windows. Then after K times as many other drafts, to see how it grows.
Target: 95 of 100 pages and posts within 100 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from installation import installation

TARGET = 0.100
POSTED = {
    "do": "next",
    "entity_name": "连云港山海商贸有限公司",
    "other_names": "山海、海州",
    "entity_type": "1130",
    "industry_section": "F",
    "business_scope": "日用百货销售；食品销售；货物进出口",
    "registered_capital": "100",
    "capital_due_on": "2030-01-01",
}


def peer_urls() -> ModuleType:
    """The peer: one view with a plain Django form, whose answers go as JSON into one session row."""
    from django.conf import settings
    from django.contrib.sessions.backends.db import SessionStore
    from django.http import HttpResponse
    from django.shortcuts import redirect
    from django.template import engines
    from django.urls import include, path

    from lianyun.capabilities.forms import adapters
    from lianyun.ui.forms import Styled, element_form
    from lianyun.ui.pages import signed_in

    items = [
        {"name": f.id, "title": f.title, "element": f.element, "required": f.required}
        if f.element
        else {"name": f.id, "title": f.title, "type": "C", "format": "an..200"}
        for f in adapters.form(["company_opening"]).part("company").fields
    ]
    form: type[Styled] = element_form(items)  # type: ignore[assignment]
    page = engines["django"].from_string(
        '{% extends "ui/base.html" %}{% load ui %}{% block content %}'
        '<form method="post">{% form form %}</form>{% endblock %}'
    )

    @signed_in
    def view(request: Any) -> HttpResponse:
        store = SessionStore(session_key="peer" + "0" * 28)
        made = form(request.POST or None, initial=store.load())
        if request.method == "POST" and made.is_valid():
            store.update({k: str(v) for k, v in made.cleaned_data.items()})
            store.save()
            return redirect("/peer/")
        return HttpResponse(page.render({"form": made}, request))

    module = ModuleType("peer_urls")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("peer/", view),
        path("", include(settings.ROOT_URLCONF)),
    ]
    return module


def timed(count: int, work: Callable[[], Any], wanted: int) -> tuple[float, float]:
    """Median and 95th percentile of `count` calls in seconds; each must answer with `wanted`."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        answer = work()
        took.append(time.perf_counter() - began)
        assert answer.status_code == wanted, (answer.status_code, answer.content[:2000])
    return statistics.median(took), statistics.quantiles(took, n=20)[18]


def opened(count: int, party: Any, actor: Any, word: str) -> Any:
    """So many drafts of one person; returns the last."""
    from lianyun.capabilities.forms import api

    made = None
    for n in range(count):
        made = api.open_draft(
            ["company_opening"],
            party,
            subject="item:company_opening",
            once=f"{word}{n}",
            back_to="/",
            next_to="/",
            by=actor,
        )
        api.fill(made, {"name": api.Filled("张三丰", "实名信息")}, by=actor)
    return made


def measure(requests: int, growth: int) -> bool:
    """Draw and post, print, and say whether the target is met."""
    from django.test import Client, override_settings

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM, actor_of

    user = identity.create_personal_account("张三丰", "kaiban", password="Haizhou-2026", by=SYSTEM)
    assert user.party is not None
    actor = actor_of(user.party)
    sys.modules["peer_urls"] = peer_urls()
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(user)
    met = True
    for round_, others in enumerate((1, requests * growth)):
        draft = opened(others, user.party, actor, f"r{round_}-")
        here = f"/forms/{draft.code}/company/"
        version = iter(range(10**6))

        def post(here: str = here, version: Any = version) -> Any:
            return browser.post(here, {**POSTED, "version": str(next(version))})

        def draw(here: str = here) -> Any:
            return browser.get(here)

        with override_settings(ROOT_URLCONF="peer_urls"):
            timed(5, lambda: browser.get("/peer/"), 200)
            peer_page = timed(requests, lambda: browser.get("/peer/"), 200)
            peer_post = timed(requests, lambda: browser.post("/peer/", POSTED), 302)
        timed(5, draw, 200)
        page, sent = timed(requests, draw, 200), timed(requests, post, 302)
        print(f"{others:>6,} 份草稿之后")
        for title, own, peer in (("看一部分", page, peer_page), ("保存一部分", sent, peer_post)):
            print(
                f"  {title}  中位 {own[0] * 1000:5.1f} 毫秒  p95 {own[1] * 1000:5.1f} 毫秒   "
                f"裸 Django 表单 {peer[0] * 1000:5.1f} / {peer[1] * 1000:5.1f}   "
                f"比 {own[0] / peer[0]:.2f}"
            )
            met = met and own[1] <= TARGET
    return met


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--growth", type=int, default=5)
    arguments = parser.parse_args()
    with installation():
        met = measure(arguments.requests, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
