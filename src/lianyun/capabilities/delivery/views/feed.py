"""Feed: what a receiver's system asks for with its credential and a cursor; JSON lines come back."""

from __future__ import annotations

import re

from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import Denied, UserError
from lianyun.ui.pages import ActorRequest, public

from .. import actions, rules


def _refused(status: int, message: str) -> JsonResponse:
    return JsonResponse(
        {"error": message}, status=status, json_dumps_params={"ensure_ascii": False}
    )


def _headers(request: ActorRequest) -> list[tuple[bytes, bytes]]:
    """The headers as they came: WSGI would make one of `Client-Cert` and `Client_Cert`."""
    scope = request.META.get("asgi.scope")
    if scope is not None:
        return list(scope["headers"])
    return [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in request.headers.items()]


@require_GET
@never_cache
@public
def feed(request: ActorRequest) -> HttpResponse:
    """`GET /api/feed/?cursor=&limit=` with `Authorization: Bearer`; the cursor is in X-Next-Cursor."""
    limit = request.GET.get("limit", str(rules.PARTS))
    if not re.fullmatch(r"[0-9]{1,6}", limit):
        return _refused(400, "limit 应为数字")
    try:
        client = services.identify_caller(
            method=request.method or "GET",
            path=request.path,
            query=request.META.get("QUERY_STRING", "").encode("latin-1"),
            headers=_headers(request),
            peer=request.META["REMOTE_ADDR"],
        )
        page = actions.pull(client=client, cursor=request.GET.get("cursor", ""), limit=int(limit))
    except services.Refused as refused:
        answer = _refused(refused.status, refused.title)
        if refused.status == 401:
            answer["WWW-Authenticate"] = "Bearer"
        elif refused.status == 429:
            answer["Retry-After"] = str(refused.retry)
        return answer
    except Denied as error:
        return _refused(403, str(error))
    except UserError as error:
        return _refused(400, str(error))
    out = HttpResponse(page.body, content_type="application/x-ndjson; charset=utf-8")
    out["X-Next-Cursor"] = page.cursor
    out["X-More"] = "1" if page.more else "0"
    out["X-Full"] = "1" if page.full else "0"
    out["X-Rows"] = str(page.rows)
    return out
