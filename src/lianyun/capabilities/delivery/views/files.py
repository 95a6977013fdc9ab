"""Files: the grants that allow files, the files being made and there to be fetched."""

from __future__ import annotations

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
                cell=lambda r: "下载" if r.there(now) else ("没有生成" if r.error else "已失效"),
                link=lambda r: f"/workbench/delivery/files/{r.code}/fetch/" if r.there(now) else "",
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
            "grants": queries.grants_for(request.actor, "file"),
            "waiting": waiting,
            "formats": rules.DOWNLOADS,
            "days": rules.DAYS_KEPT,
        },
    )


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


@page(permission="delivery.use")
def fetch(request: ActorRequest, code: str) -> HttpResponseBase:
    """The file itself, for those whose grant it is, until it expires."""
    found = queries.download(request.actor, code)
    if found is None:
        raise Http404
    path = actions.fetch_file(row=found, by=request.actor)
    assert found.finished_at is not None
    name = (
        f"{found.grant.resource}_{timezone.localtime(found.finished_at):%Y%m%d_%H%M}.{found.format}"
    )
    answer = FileResponse(path.open("rb"), content_type=_TYPES[found.format])
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    answer["Cache-Control"] = "no-store"
    return answer
