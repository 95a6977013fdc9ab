"""Node API: the doors that other nodes knock at; every request but two is signed, every answer too."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.ui.pages import public

from .. import actions, queries, rules

log = logging.getLogger("lianyun.cascade")
Answer = tuple[int, dict[str, Any]]
MOST_BODY = rules.MOST_CHUNK_BYTES
MOST_GREETING = 64 * 1024


def _refusal(code: str) -> dict[str, Any]:
    return {"error": code, "message": rules.ERRORS[code]}


def _respond(status: int, body: bytes, headers: dict[str, str]) -> HttpResponse:
    answer = HttpResponse(body, status=status, content_type="application/json")
    for name, value in headers.items():
        answer[name] = value
    answer["Cache-Control"] = "no-store"
    return answer


def _signed(request: HttpRequest, run: Callable[[Any, bytes], Answer]) -> HttpResponse:
    """Let the sender in or turn it away; answer with our signature."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BODY:
        return _respond(413, json.dumps(_refusal("malformed")).encode(), {})
    body = request.body
    try:
        knock = actions.let_in(request.method or "", request.get_full_path(), request.headers, body)
    except actions.Refused as refused:
        told = _refusal(refused.code)
        return _respond(
            refused.status,
            *actions.signed_answer(refused.link, refused.nonce, refused.status, told),
        )
    try:
        status, told = run(knock.link, body)
    except (UserError, ValueError, TypeError, KeyError, AttributeError) as malformed:
        log.info("node %s sent a malformed request: %s", knock.link.code, malformed)
        status, told = 400, _refusal("malformed")
    return _respond(status, *actions.signed_answer(knock.link, knock.nonce, status, told))


@public
@require_GET
def greet(request: HttpRequest) -> HttpResponse:
    """Who this node is; for the operator who types its address."""
    told = queries.greeting(ANONYMOUS)
    if told is None:
        return JsonResponse(_refusal("unknown_node"), status=404)
    return JsonResponse(told, json_dumps_params={"ensure_ascii": False})


@csrf_exempt
@public
@require_POST
def enrol(request: HttpRequest) -> HttpResponse:
    """A lower node comes with its one-time code."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_GREETING:
        return JsonResponse(_refusal("malformed"), status=413)
    status, told = actions.admit(request.body)
    return JsonResponse(told, status=status, json_dumps_params={"ensure_ascii": False})


@csrf_exempt
@public
@require_POST
def exchange(request: HttpRequest) -> HttpResponse:
    """Messages of the other node, and ours for it."""

    def run(link: Any, body: bytes) -> Answer:
        told = json.loads(body)
        if not isinstance(told, dict):
            raise ValueError
        return 200, actions.answer_round(link, told)

    return _signed(request, run)


@csrf_exempt
@public
@require_GET
def transfer(request: HttpRequest, code: str) -> HttpResponse:
    """Which chunks of a transfer are missing here."""

    def run(link: Any, body: bytes) -> Answer:
        told = actions.missing_chunks(link, code)
        return (200, told) if told is not None else (404, _refusal("unknown_transfer"))

    return _signed(request, run)


@csrf_exempt
@public
@require_http_methods(["PUT"])
def chunk(request: HttpRequest, code: str, number: int) -> HttpResponse:
    """One chunk."""

    def run(link: Any, body: bytes) -> Answer:
        wrong = actions.receive_chunk(link, code, number, body)
        if not wrong:
            return 200, {"kept": number}
        return (404 if wrong == "unknown_transfer" else 422), _refusal(wrong)

    return _signed(request, run)


@public
@require_GET
def openapi(request: HttpRequest) -> HttpResponse:
    """The node API in OpenAPI 3.1."""
    return JsonResponse(queries.protocol(), json_dumps_params={"ensure_ascii": False})
