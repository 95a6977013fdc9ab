"""Feed: what a receiver's system asks for with its credential and a cursor; JSON lines come back."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from lianyun.kernel.access import Denied, UserError
from lianyun.ui.pages import ActorRequest, public

from .. import actions, queries, rules


def _refused(status: int, message: str) -> JsonResponse:
    return JsonResponse(
        {"error": message}, status=status, json_dumps_params={"ensure_ascii": False}
    )


@require_GET
@never_cache
@public
def feed(request: ActorRequest) -> HttpResponse:
    """`GET /api/feed/?cursor=&limit=` with `Authorization: Bearer`; the cursor is in X-Next-Cursor."""
    client = queries.caller(
        request.actor, request.headers.get("Authorization", ""), request.META["REMOTE_ADDR"]
    )
    if client is None:
        answer = _refused(401, "凭证无效，或不允许从该网段调用")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    limit = request.GET.get("limit", str(rules.PARTS))
    if not limit.isdigit():
        return _refused(400, "limit 应为数字")
    try:
        page = actions.pull(client=client, cursor=request.GET.get("cursor", ""), limit=int(limit))
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
