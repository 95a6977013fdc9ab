"""Answer: who asks, and the JSON that the endpoints give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.http import HttpRequest, JsonResponse

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def actor_in(request: HttpRequest) -> Actor:
    """Who acts in this request."""
    return cast("Actor", request.actor)  # type: ignore[attr-defined]


def json_answer(data: Any, *, seconds: int = 0) -> JsonResponse:
    """JSON that pages of other sites may read; `seconds`: how long it may be kept."""
    response = JsonResponse(data)
    response["Cache-Control"] = f"public, max-age={seconds}" if seconds else "no-store"
    response["Access-Control-Allow-Origin"] = "*"
    return response
