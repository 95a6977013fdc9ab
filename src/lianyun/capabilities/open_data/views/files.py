"""Files: downloads with checksums, the catalogue for machines, feeds, the site's map for search engines."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed
from django.utils.http import http_date

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.kernel.packs import mapping
from lianyun.ui.pages import public, refusal
from lianyun.ui.visitor import address_of

from .. import actions, adapters
from ..queries import site
from ..rules import standards
from .visitor import base_of, key_text, shared

PAGES = ("home", "datasets", "applications", "requests", "developers", "help")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@public
def download(request: HttpRequest, name: str, file: str, kind: str) -> HttpResponseBase:
    """A version's file, streamed; resumable, never twice over the wire for who has it already."""
    if name != file:
        return refusal(request, 404, "没有这个文件")
    try:
        key = site.key_of(ANONYMOUS, key_text(request))
        found, version, path = site.file_of(ANONYMOUS, name, kind, key)
    except UserError as error:
        return refusal(request, 404, str(error))
    told = version.files[kind]
    tag = f'"{told["sha256"]}"'
    if request.headers.get("If-None-Match") == tag:
        return shared(HttpResponse(status=304, headers={"ETag": tag}))
    try:
        actions.spend(
            what="download",
            who=f"key:{key.pk}" if key else address_of(request),
            limit=int(site.settings()["rates"]["downloads"]),
            opening=found,
        )
    except actions.TooMany as error:
        response = refusal(request, 429, str(error))
        response["Retry-After"] = str(error.seconds)
        return response
    size = int(told["bytes"])
    start, end, code = 0, size, 200
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted and (wanted[1] or wanted[2]):
        if wanted[1]:
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1, size) if wanted[2] else size
        else:
            start = max(size - int(wanted[2]), 0)
        if start >= end:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        code = 206
    body = () if request.method == "HEAD" else adapters.stream(path, start, end)
    stream = StreamingHttpResponse(body, content_type=standards.MEDIA[kind], status=code)
    stream["Content-Length"] = str(end - start)
    if code == 206:
        stream["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    stream["Accept-Ranges"] = "bytes"
    stream["ETag"] = tag
    digest = base64.b64encode(bytes.fromhex(told["sha256"])).decode()
    stream["Repr-Digest"] = f"sha-256=:{digest}:"
    stream["Last-Modified"] = http_date(version.made_at.timestamp())
    stamp = timezone.localtime(version.made_at)
    stream["Content-Disposition"] = f'attachment; filename="{name}-{stamp:%Y%m%d}.{kind}"'
    return shared(stream)


def _body(text: str | bytes, kind: str) -> HttpResponse:
    return shared(HttpResponse(text, content_type=f"{kind}; charset=utf-8"))


def _title() -> str:
    return f"{mapping('core', 'city.yaml').get('name', '')}公共数据开放"


@lru_cache(maxsize=4)
def _catalogue(base: str, turtle: bool, stamp: Any) -> bytes:
    """The catalogue for machines; `stamp` is what the site stands at, so that a change makes it anew."""
    entries = [site.entry(ANONYMOUS, o, base) for o in site.everything(ANONYMOUS)]
    city = mapping("core", "city.yaml").get("name", "")
    told = standards.catalogue(base, _title(), city, site.bureau(ANONYMOUS), entries)
    text = json.dumps(told, ensure_ascii=False, indent=1)
    return adapters.turtle(text) if turtle else text.encode()


@public
def catalogue_jsonld(request: HttpRequest) -> HttpResponse:
    """The site as DCAT-AP 3 in JSON-LD."""
    body = _catalogue(base_of(request), False, site.changed_at(ANONYMOUS))
    return _body(body, "application/ld+json")


@public
def catalogue_turtle(request: HttpRequest) -> HttpResponse:
    """The site as DCAT-AP 3 in Turtle."""
    body = _catalogue(base_of(request), True, site.changed_at(ANONYMOUS))
    return _body(body, "text/turtle")


def _entry(request: HttpRequest, name: str) -> dict[str, Any]:
    return site.entry(ANONYMOUS, site.opening(ANONYMOUS, name), base_of(request))


@public
def dataset_dcat(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """One dataset as DCAT-AP 3."""
    try:
        entry = _entry(request, name)
    except UserError as error:
        return refusal(request, 404, str(error))
    text = json.dumps(standards.one_dataset(entry), ensure_ascii=False, indent=1)
    if kind == "ttl":
        return _body(adapters.turtle(text), "text/turtle")
    return _body(text, "application/ld+json")


@public
def package(request: HttpRequest, name: str) -> HttpResponse:
    """One dataset as a Data Package."""
    try:
        entry = _entry(request, name)
    except UserError as error:
        return refusal(request, 404, str(error))
    text = json.dumps(standards.package(entry), ensure_ascii=False, indent=1)
    return _body(text, "application/json")


@public
def feed(request: HttpRequest, kind: str) -> HttpResponse:
    """What was opened or updated last, for feed readers."""
    base = base_of(request)
    maker = Atom1Feed if kind == "atom" else Rss201rev2Feed
    made = maker(
        title=_title(),
        link=f"{base}{reverse('open_data:home')}",
        description="最近开放和更新的数据集",
        language="zh-CN",
        feed_url=f"{base}{request.path}",
    )
    for found in site.newest(ANONYMOUS):
        assert found.current is not None
        made.add_item(
            title=found.title,
            link=f"{base}{reverse('open_data:dataset', args=[found.name])}",
            description=f"{found.summary}（第 {found.current.number} 版，{found.current.rows} 行）",
            author_name=found.provider.name,
            pubdate=found.opened_at,
            updateddate=found.updated_at,
            unique_id=f"{base}/open/datasets/{found.name}/#v{found.current.number}",
        )
    return shared(HttpResponse(made.writeString("utf-8"), content_type=made.content_type))


@public
def sitemap(request: HttpRequest) -> HttpResponse:
    """The pages that search engines should know."""
    base = base_of(request)
    pages = ["/", *(reverse(f"open_data:{name}") for name in PAGES)]
    lines = [f"<url><loc>{escape(base + path)}</loc></url>" for path in pages]
    for found in site.everything(ANONYMOUS):
        address = f"{base}{reverse('open_data:dataset', args=[found.name])}"
        day = timezone.localtime(found.updated_at).date().isoformat() if found.updated_at else ""
        lines.append(f"<url><loc>{escape(address)}</loc><lastmod>{day}</lastmod></url>")
    text = "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *lines,
            "</urlset>\n",
        ]
    )
    return HttpResponse(text, content_type="application/xml; charset=utf-8")


@public
def robots(request: HttpRequest) -> HttpResponse:
    """What search engines should leave alone, and where the map is."""
    lines = [
        "User-agent: *",
        "Disallow: /workbench/",
        "Disallow: /login/",
        "Disallow: /api/",
        "Disallow: /open/api/",
        f"Sitemap: {base_of(request)}/sitemap.xml",
        "",
    ]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")
