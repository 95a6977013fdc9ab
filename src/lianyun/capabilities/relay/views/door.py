"""Doors: where departments' systems bring messages and fetch files; every request is signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from lianyun.kernel.access import UserError
from lianyun.ui.pages import public

from .. import actions, queries, rules
from ..rules import document


def _answer(status: int, told: dict[str, Any]) -> HttpResponse:
    answer = JsonResponse(told, status=status, json_dumps_params={"ensure_ascii": False})
    answer["Cache-Control"] = "no-store"
    return answer


def _signed(request: HttpRequest, run: Callable[[Any], HttpResponse]) -> HttpResponse:
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > rules.MOST_BODY:
            raise actions.Refused("too_large")
        system = actions.let_in(request.method or "", request.path, request.headers, request.body)
        return run(system)
    except actions.Refused as refused:
        return _answer(refused.status, refused.told)
    except UserError as wrong:
        return _answer(409, {"error": "refused", "message": str(wrong)})


@csrf_exempt
@public
@require_POST
def messages(request: HttpRequest) -> HttpResponse:
    """One message of a system."""

    def run(system: Any) -> HttpResponse:
        try:
            told = json.loads(request.body)
        except ValueError as wrong:
            raise actions.Refused("malformed", "消息不是有效的 JSON") from wrong
        if isinstance(told, dict) and told.get("kind") == rules.TEST:
            return _answer(200, {"effect": "test"})
        if not isinstance(told, dict) or told.get("number") != request.headers["Idempotency-Key"]:
            raise actions.Refused("malformed", "“number”应与 Idempotency-Key 相同")
        return _answer(*actions.take_in(system, told))

    return _signed(request, run)


@csrf_exempt
@public
@require_GET
def state(request: HttpRequest, number: str) -> HttpResponse:
    """What we hold of a case: the numbers of the messages taken, and whether it has ended."""

    def run(system: Any) -> HttpResponse:
        told = queries.state(queries.acting(system), system, number)
        if told is None:
            raise actions.Refused("unknown_case")
        return _answer(200, told)

    return _signed(request, run)


@csrf_exempt
@public
@require_GET
def file(request: HttpRequest, number: str, code: str) -> HttpResponse:
    """One file of a case that is with the system."""

    def run(system: Any) -> HttpResponse:
        name, media, body = actions.fetch_file(
            system=system, number=number, code=code, by=queries.acting(system)
        )
        answer = HttpResponse(body, content_type=media)
        answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        answer["Cache-Control"] = "no-store"
        return answer

    return _signed(request, run)


@public
@require_GET
def openapi(request: HttpRequest) -> HttpResponse:
    """Both sides' interface in OpenAPI 3.1."""
    return JsonResponse(document.document(), json_dumps_params={"ensure_ascii": False})
