"""Files: the grants that allow files, the files being made and there to be fetched."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Table

from .. import actions, queries, rules

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}


@page(permission="delivery.use")
def files(request: ActorRequest) -> HttpResponse:
    """Grants that allow files with a button for each format; below, the files."""
    now = timezone.now()
    rows = list(queries.downloads(request.actor)[:200])
    waiting = [r for r in rows if r.finished_at is None]
    grants = queries.grants_for(request.actor, "file")
    met = {g.pk: g for g in (*grants, *(r.grant for r in rows))}
    barred = queries.barred(
        request.actor, met.values(), headers_of(request), request.META["REMOTE_ADDR"]
    )
    table = Table(
        request,
        [r for r in rows if r.finished_at is not None],
        columns=[
            Column(
                "grant.resource.title",
                "数据",
                primary=True,
                sub=lambda r: r.error or f"SHA-256 {r.digest[:16]}…",
            ),
            Column("format", "格式", cell=lambda r: r.format.upper()),
            Column("rows", "行数", kind="number"),
            Column("finished_at", "生成", kind="stamp"),
            Column("expires_at", "失效", kind="stamp", phone=False),
            Column("fetched", "下载次数", kind="number", phone=False),
            Column(
                "code",
                "下载",
                cell=lambda r: _way(r, now, barred),
                link=lambda r: (
                    f"/workbench/delivery/files/{r.code}/fetch/"
                    if r.there(now) and r.grant_id not in barred
                    else ""
                ),
            ),
        ],
        caption="文件",
        export_name="文件下载",
        empty=Empty("还没有生成文件", "在上方选择授权和格式，后台生成后在这里下载。", icon="file"),
    )
    return table.respond(
        request,
        "delivery/files.html",
        {
            "grants": [(g, barred.get(g.pk, "")) for g in grants],
            "waiting": waiting,
            "formats": rules.DOWNLOADS,
            "days": rules.DAYS_KEPT,
        },
    )


def _way(row: Any, now: dt.datetime, barred: dict[int, str]) -> str:
    """How a file is had: in the browser, by its address for systems, or no longer."""
    if not row.there(now):
        return "没有生成" if row.error else "已失效"
    return f"按接口取件 /api/files/{row.code}/" if row.grant_id in barred else "下载"


@require_POST
@page(permission="delivery.use")
def make(request: ActorRequest, grant: str) -> HttpResponse:
    """Ask for a file."""
    found = queries.grant(request.actor, grant)
    if found is None:
        raise Http404
    if once(request):
        actions.ask_file(grant=found, form=request.POST.get("format", ""), by=request.actor)
        messages.success(request, "已开始生成文件")
    return redirect("delivery:files")


@page(permission="delivery.use")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The bar of a file in the making; at its end the page is shown anew."""
    found = queries.download(request.actor, code)
    if found is None:
        raise Http404
    answer = render(request, "delivery/_progress.html", {"file": found})
    if found.finished_at is not None:
        answer["HX-Refresh"] = "true"
    return answer


def headers_of(request: ActorRequest) -> list[tuple[bytes, bytes]]:
    """The headers as they came: WSGI would make one of `Client-Cert` and `Client_Cert`."""
    scope = request.META.get("asgi.scope")
    if scope is not None:
        return list(scope["headers"])
    return [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in request.headers.items()]


@page(permission="delivery.use")
def fetch(request: ActorRequest, code: str) -> HttpResponseBase:
    """The file itself, for those whose grant it is, until it expires."""
    found = queries.download(request.actor, code)
    if found is None:
        raise Http404
    path = actions.fetch_file(
        row=found,
        by=request.actor,
        headers=headers_of(request),
        peer=request.META["REMOTE_ADDR"],
    )
    return handed(found, path)


def handed(row: Any, path: Path) -> FileResponse:
    """The answer that holds a file."""
    assert row.finished_at is not None
    name = f"{row.grant.resource}_{timezone.localtime(row.finished_at):%Y%m%d_%H%M}.{row.format}"
    answer = FileResponse(path.open("rb"), content_type=_TYPES[row.format])
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    answer["Cache-Control"] = "no-store"
    answer["X-SHA256"] = row.digest
    return answer
