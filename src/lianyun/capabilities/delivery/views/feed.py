"""Feed: what a receiver's system asks for with its credential: changes by a cursor, files by number."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps

from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.ui.pages import ActorRequest, public

from .. import actions, queries, rules
from .files import handed, headers_of


def _refused(status: int, message: str, retry: int = 0) -> JsonResponse:
    answer = JsonResponse(
        {"error": message}, status=status, json_dumps_params={"ensure_ascii": False}
    )
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    if retry:
        answer["Retry-After"] = str(retry)
    return answer


def by_credential(
    channel: str, operation: str
) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A view for whoever proves to hold a credential; a refusal is JSON and on record.

    The view is called with the credential (`services.Client`) before its other arguments.
    """

    def wrap(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def call(request: ActorRequest, *args: str, **named: str) -> HttpResponseBase:
            client = None
            try:
                client = services.identify_caller(
                    method=request.method or "GET",
                    path=request.path,
                    query=request.META.get("QUERY_STRING", "").encode("latin-1"),
                    headers=headers_of(request),
                    peer=request.META["REMOTE_ADDR"],
                    channel=channel,
                    operation=operation,
                )
                return view(request, client, *args, **named)
            except services.Refused as refused:
                if client is not None:
                    services.note_refusal(client.grant, refused, channel, operation)
                return _refused(
                    refused.status, refused.title, refused.retry if refused.status == 429 else 0
                )
            except audit.Unproven as closed:
                return _refused(503, str(closed), 60)
            except Denied as error:
                if client is not None:
                    told = services.Refused(403, "forbidden", str(error))
                    services.note_refusal(client.grant, told, channel, operation)
                return _refused(403, str(error))
            except UserError as error:
                return _refused(400, str(error))

        return require_GET(never_cache(public(call)))

    return wrap


@by_credential("delivery", "feed")
def feed(request: ActorRequest, client: services.Client) -> HttpResponseBase:
    """`GET /api/feed/?cursor=&limit=` with `Authorization: Bearer`; the cursor is in X-Next-Cursor."""
    limit = request.GET.get("limit", str(rules.PARTS))
    if not re.fullmatch(r"[0-9]{1,6}", limit):
        return _refused(400, "limit 应为数字")
    page = actions.pull(client=client, cursor=request.GET.get("cursor", ""), limit=int(limit))
    out = HttpResponse(page.body, content_type="application/x-ndjson; charset=utf-8")
    out["X-Next-Cursor"] = page.cursor
    out["X-More"] = "1" if page.more else "0"
    out["X-Full"] = "1" if page.full else "0"
    out["X-Rows"] = str(page.rows)
    return out


@by_credential("file", "file")
def ready(request: ActorRequest, client: services.Client) -> HttpResponseBase:
    """`GET /api/files/`: the files of the credential's grant that may be fetched now."""
    return JsonResponse(
        {
            "files": [
                {
                    "code": f.code,
                    "format": f.format,
                    "rows": f.rows,
                    "size": f.size,
                    "sha256": f.digest,
                    "expires": f.expires_at.isoformat() if f.expires_at else None,
                }
                for f in queries.files_of(SYSTEM, client)
            ]
        }
    )


@by_credential("file", "file")
def collect(request: ActorRequest, client: services.Client, code: str) -> HttpResponseBase:
    """`GET /api/files/CODE/`: the file itself."""
    row, path = actions.collect_file(client=client, code=code, by=SYSTEM)
    return handed(row, path)
