"""Pages: who may open them, what refusals look like, what every answer carries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError
from lianyun.kernel.party import Party
from lianyun.ui.pages import SIGNED_IN, page, public, safe_next, signed_in

KNOWN = Actor(Party(kind="person", name="张三"), held={"catalogue.read": None})


def ask(actor: Actor = KNOWN, method: str = "get", path: str = "/x/?a=1", **headers: str) -> Any:
    request = getattr(RequestFactory(), method)(path, headers=headers)
    request.actor, request.user = actor, AnonymousUser()
    request.htmx = headers.get("HX-Request") == "true"
    return request


@page(permission="catalogue.read")
def reading(request: HttpRequest) -> HttpResponse:
    return HttpResponse("read")


@page(permission="catalogue.edit")
def editing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("edit")


@public
def mistaken(request: HttpRequest) -> HttpResponse:
    raise UserError("请先选择<部门>")


@public
def denied(request: HttpRequest) -> HttpResponse:
    raise Denied("不可以")


@signed_in
def own(request: HttpRequest) -> HttpResponse:
    return HttpResponse("own")


def test_views_carry_their_permission() -> None:
    assert reading.permission == "catalogue.read"  # type: ignore[attr-defined]
    assert mistaken.permission is None  # type: ignore[attr-defined]
    assert mistaken.public  # type: ignore[attr-defined]
    assert own.permission == SIGNED_IN  # type: ignore[attr-defined]


def test_who_may_gets_in() -> None:
    assert reading(ask()).content == b"read"
    assert own(ask()).content == b"own"


def test_visitors_go_to_the_login_and_come_back() -> None:
    assert reading(ask(ANONYMOUS))["Location"] == "/login/?next=%2Fx%2F%3Fa%3D1"
    assert own(ask(ANONYMOUS, "post"))["Location"] == "/login/?next=%2Fworkbench%2F"
    htmx = reading(ask(ANONYMOUS, **{"HX-Request": "true"}))
    assert htmx["HX-Redirect"].startswith("/login/")
    assert reading(ask(ANONYMOUS, Accept="application/json")).status_code == 401


def test_refusals_are_pages_that_say_what_to_do(db: None) -> None:
    refused = editing(ask())
    assert refused.status_code == 403
    assert "部门管理员" in refused.content.decode()
    wrong = mistaken(ask())
    assert wrong.status_code == 400
    assert "请先选择&lt;部门&gt;" in wrong.content.decode()
    assert denied(ask()).status_code == 403


def test_htmx_gets_a_toast_and_programmes_get_json(db: None) -> None:
    toast = mistaken(ask(**{"HX-Request": "true"}))
    assert toast["HX-Retarget"] == "#toasts"
    assert 'role="alert"' in toast.content.decode()
    answer = mistaken(ask(Accept="application/json"))
    assert json.loads(answer.content) == {"error": "请先选择<部门>"}


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/workbench/x/?a=1", "/workbench/x/?a=1"),
        ("https://evil.example/", "/d/"),
        ("//evil.example", "/d/"),
        ("/\\evil.example", "/d/"),
        ("javascript:alert(1)", "/d/"),
        ("", "/d/"),
    ],
)
def test_next_stays_on_this_site(wanted: str, goes: str) -> None:
    assert safe_next(RequestFactory().get("/", {"next": wanted}), "/d/") == goes


def test_every_answer_carries_the_policy(db: None) -> None:
    answer = Client().get("/login/")
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in answer.content.decode()
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_display_choices_are_kept_in_a_cookie(db: None) -> None:
    client = Client()
    answer = client.get("/display/", {"set": "elder", "next": "/login/"})
    assert answer["Location"] == "/login/"
    assert 'class="elder"' in client.get("/login/").content.decode()
    client.get("/display/", {"set": "contrast"})
    assert 'class="elder contrast"' in client.get("/login/").content.decode()
    client.get("/display/", {"set": "elder"})
    assert 'class="contrast"' in client.get("/login/").content.decode()
    assert client.get("/display/", {"next": "//evil.example"})["Location"] == "/"


def test_a_missing_page_is_handsome(db: None) -> None:
    answer = Client().get("/no-such-page/")
    assert answer.status_code == 404
    assert "没有找到这个页面" in answer.content.decode()
