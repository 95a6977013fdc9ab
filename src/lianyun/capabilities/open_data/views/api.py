"""The interface: rows by declared columns for anybody, and the same site in CKAN's shapes.

No SQL comes from outside: a column is looked up among the declared ones, a value is a parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.lake import release
from lianyun.ui.pages import public
from lianyun.ui.visitor import address_of

from .. import actions
from ..queries import site
from ..rules import standards
from .visitor import base_of, key_text, shared

Data = Mapping[str, Any]


class Refused(UserError):
    """An answer with another code than 400."""

    def __init__(self, message: str, code: int, kind: str = "Not Found Error") -> None:
        super().__init__(message)
        self.code, self.kind = code, kind


def _json(data: Any, code: int = 200) -> HttpResponse:
    body = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    return shared(HttpResponse(body, "application/json; charset=utf-8", status=code))


def _counted(request: HttpRequest, opening: Any = None) -> tuple[Any, int, int]:
    """The key (if any), the limit and what is left of it; raises TooMany, Refused for a bad key."""
    rates = site.settings()["rates"]
    text = key_text(request)
    if not text:
        limit = int(rates["api_anonymous"])
        left = actions.spend(what="api", who=address_of(request), limit=limit, opening=opening)
        return None, limit, left
    try:
        key = site.key_of(ANONYMOUS, text)
    except UserError as error:
        actions.spend(what="api", who=address_of(request), limit=int(rates["api_anonymous"]))
        raise Refused(str(error), 401, "Authorization Error") from error
    assert key is not None
    limit = int(rates["api_key"])
    left = actions.spend(what="key_api", who=f"key:{key.pk}", limit=limit, opening=opening)
    actions.note_key_use(key=key, today=timezone.localdate())
    return key, limit, left


def _told(response: HttpResponse, limit: int, left: int) -> HttpResponse:
    response["RateLimit-Limit"], response["RateLimit-Remaining"] = str(limit), str(left)
    return response


METHODS = "GET, HEAD, OPTIONS"


def _interface(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """A public view that answers in JSON, refusals too; only CKAN's actions may be POSTed."""
    allowed = f"{METHODS}, POST" if view.__name__ == "ckan" else METHODS

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            response = shared(HttpResponse(status=204))
            response["Access-Control-Allow-Headers"] = "X-API-Key, Authorization, Content-Type"
            response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            return response
        if request.method not in allowed.split(", "):
            response = _json({"error": "不接受这种请求方法"}, 405)
            response["Allow"] = allowed
            return response
        try:
            if any("\x00" in v for values in request.GET.lists() for v in values[1]):
                raise UserError("参数含有不允许的字符")
            return view(request, *args, **kwargs)
        except actions.TooMany as error:
            response = _json({"error": str(error)}, 429)
            response["Retry-After"] = str(error.seconds)
            return response
        except Refused as error:
            return _json({"error": str(error)}, error.code)
        except UserError as error:
            return _json({"error": str(error)}, 400)

    return public(csrf_exempt(call))


def _opening(name: str) -> Any:
    if not re.fullmatch(r"[-\w]{1,100}", name):
        raise Refused("没有这个数据集", 404)
    try:
        return site.opening(ANONYMOUS, name)
    except UserError as error:
        raise Refused(str(error), 404) from error


def _number(text: Any, name: str, default: int, top: int) -> int:
    if text in (None, ""):
        return default
    if isinstance(text, bool) or not re.fullmatch(r"\d{1,9}", str(text)):
        raise UserError(f"“{name}”应为不小于 0 的整数")
    return min(int(text), top)


def _flag(text: Any, name: str, default: bool) -> bool:
    if text is None:
        return default
    word = str(text).lower()
    if word not in ("true", "false", "1", "0"):
        raise UserError(f"“{name}”应为 true 或 false")
    return word in ("true", "1")


@_interface
def index(request: HttpRequest) -> HttpResponse:
    """What the interface offers."""
    _, limit, left = _counted(request)
    base = base_of(request)
    return _told(
        _json(
            {
                "datasets": f"{base}/open/api/datasets",
                "dataset": f"{base}/open/api/datasets/{{name}}",
                "rows": f"{base}/open/api/datasets/{{name}}/rows",
                "ckan": f"{base}/open/api/3/action/{{action}}",
                "dcat": f"{base}/open/catalog.jsonld",
                "openapi": f"{base}/open/api/openapi.json",
                "help": f"{base}/open/developers/",
            }
        ),
        limit,
        left,
    )


@_interface
def openapi(request: HttpRequest) -> HttpResponse:
    """The interface as OpenAPI 3.1."""
    _, limit, left = _counted(request)
    return _told(_json(site.openapi(ANONYMOUS)), limit, left)


@_interface
def datasets(request: HttpRequest) -> HttpResponse:
    """The opened datasets, searched and narrowed."""
    _, limit, left = _counted(request)
    get = request.GET.get
    if get("sort", "new") not in site.SORTS:
        raise UserError(f"sort 可用：{'、'.join(site.SORTS)}")
    size = max(_number(get("size"), "size", 20, 100), 1)
    found = site.search(
        ANONYMOUS,
        site.Choice(
            get("q", "").strip()[:100],
            get("department", ""),
            get("theme", ""),
            get("kind", ""),
            get("sort", "new"),
            _number(get("page"), "page", 1, 100_000),
        ),
        size,
    )
    base = base_of(request)
    listed = [_brief(site.entry(ANONYMOUS, o, base)) for o in found.rows]
    return _told(
        _json({"total": found.total, "page": found.page, "pages": found.pages, "datasets": listed}),
        limit,
        left,
    )


def _brief(entry: Data) -> dict[str, Any]:
    kept = ("name", "title", "summary", "cycle", "issued", "modified", "rows", "version")
    return {
        **{k: entry[k] for k in kept},
        "provider": entry["provider"]["name"],
        "theme": entry["theme"]["title"],
        "licence": entry["licence"]["title"],
        "conditional": entry["conditional"],
        "page": standards.page_of(entry),
        "files": {
            kind: {**file, "url": standards.file_of(entry, kind)}
            for kind, file in entry["files"].items()
        },
    }


@_interface
def dataset(request: HttpRequest, name: str) -> HttpResponse:
    """One dataset with its columns."""
    found = _opening(name)
    _, limit, left = _counted(request, found)
    entry = site.entry(ANONYMOUS, found, base_of(request))
    return _told(_json({**_brief(entry), "columns": entry["columns"]}), limit, left)


OPERATORS = {f"__{word}": word for word in ("ne", "in", "gte", "lte", "contains", "empty")}


def question_of(parameters: Mapping[str, str], columns: Mapping[str, str]) -> release.Question:
    """A visitor's parameters as a question; raises UserError for what is not declared.

    `column=value`, `column__gte=value` (ne in gte lte contains empty); `_fields`, `_sort` (a minus
    for descending), `_q`, `_limit`, `_offset`, `_total` (0 leaves the count out).
    """
    limits = site.settings()["limits"]
    filters = []
    for name, value in parameters.items():
        if name.startswith("_"):
            if name not in ("_fields", "_sort", "_q", "_limit", "_offset", "_total", "_key"):
                raise UserError(f"没有参数“{name}”")
            continue
        column, operator = name, "eq"
        for ending, word in OPERATORS.items():
            if name.endswith(ending):
                column, operator = name.removesuffix(ending), word
        if column not in columns:
            raise UserError(f"没有名为“{column}”的数据项，可用：{'、'.join(columns)}")
        given: Any = value
        if operator == "in":
            given = [v for v in value.split(",") if v][:200]
        elif operator == "empty":
            given = value not in ("0", "false")
        filters.append((column, operator, given))
    order = []
    for word in filter(None, parameters.get("_sort", "").split(",")):
        order.append((word.removeprefix("-"), word.startswith("-")))
    return release.Question(
        tuple(filters[:20]),
        tuple(order[:5]),
        tuple(filter(None, parameters.get("_fields", "").split(","))),
        parameters.get("_q", "").strip()[:100],
        _number(parameters.get("_limit"), "_limit", 100, int(limits["page"])),
        _number(parameters.get("_offset"), "_offset", 0, int(limits["offset"])),
        _flag(parameters.get("_total"), "_total", True),
    )


@_interface
def rows(request: HttpRequest, name: str) -> HttpResponse:
    """Rows of one dataset, filtered, sorted and paged by declared columns."""
    found = _opening(name)
    key, limit, left = _counted(request, found)
    try:
        site.require_rows(found, key)
    except UserError as error:
        raise Refused(str(error), 403) from error
    version = found.current
    question = question_of(request.GET.dict(), version.types)
    names, listed, total = site.rows_of(ANONYMOUS, found, question)
    told: dict[str, Any] = {
        "dataset": found.name,
        "version": version.number,
        "licence": site.licence(found.licence)["title"],
        "fields": names,
        "rows": [dict(zip(names, row, strict=True)) for row in listed],
    }
    if total is not None:
        told["total"] = total
        after = question.offset + len(listed)
        told["next_offset"] = after if listed and after < total else None
    return _told(_json(told), limit, left)


# ---- CKAN ----------------------------------------------------------------------------------


def _all(base: str) -> list[dict[str, Any]]:
    return [site.entry(ANONYMOUS, o, base) for o in site.everything(ANONYMOUS)]


def _pick(entries: list[dict[str, Any]], wanted: Any) -> dict[str, Any]:
    text = str(wanted or "")
    if not text:
        raise Refused("缺少参数 id", 409, "Validation Error")
    for entry in entries:
        if text in (entry["name"], standards.ckan_id("package", entry["name"])):
            return entry
    raise Refused("没有这个数据集", 404)


def _pick_resource(entries: list[dict[str, Any]], wanted: Any) -> tuple[dict[str, Any], str, int]:
    for entry in entries:
        for i, kind in enumerate(entry["files"]):
            if str(wanted) == standards.ckan_id("resource", entry["name"], kind):
                return entry, kind, i
        if str(wanted) == entry["name"]:
            return entry, "csv", 0
    raise Refused("没有这个资源", 404)


def _by(entries: list[dict[str, Any]], field: str, name: str) -> dict[str, tuple[Any, int]]:
    out: dict[str, tuple[Any, int]] = {}
    for entry in entries:
        part = entry[field]
        out[part[name]] = (part, out.get(part[name], (part, 0))[1] + 1)
    return out


def _lists(field: str, name: str, shape: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def listing(data: Data, request: HttpRequest) -> Any:
        found = _by(_all(base_of(request)), field, name)
        if _flag(data.get("all_fields"), "all_fields", False):
            return [shape(part, n) for part, n in found.values()]
        return sorted(found)

    def show(data: Data, request: HttpRequest) -> Any:
        entries = _all(base_of(request))
        for part, n in _by(entries, field, name).values():
            told = shape(part, n)
            if str(data.get("id")) in (told["id"], told["name"]):
                if _flag(data.get("include_datasets"), "include_datasets", False):
                    told["packages"] = [
                        standards.ckan_package(e) for e in entries if e[field] == part
                    ]
                return told
        raise Refused("没有这个分类", 404)

    return listing, show


_organizations, _organization = _lists("provider", "slug", standards.ckan_organization)
_groups, _group = _lists("theme", "key", standards.ckan_group)


def _page(data: Data, size: str, start: str, default: int) -> tuple[int, int]:
    return (
        _number(data.get(size), size, default, 1000),
        _number(data.get(start), start, 0, 1_000_000),
    )


def _package_list(data: Data, request: HttpRequest) -> Any:
    names = sorted(o.name for o in site.everything(ANONYMOUS))
    limit, offset = _page(data, "limit", "offset", 1000)
    return names[offset : offset + limit]


def _package_show(data: Data, request: HttpRequest) -> Any:
    return standards.ckan_package(_pick(_all(base_of(request)), data.get("id")))


def _with_resources(data: Data, request: HttpRequest) -> Any:
    limit, offset = _page(data, "limit", "offset", 1000)
    entries = _all(base_of(request))[offset : offset + limit]
    return [standards.ckan_package(e) for e in entries]


_FACETS = {"organization": "department", "groups": "theme"}


def _package_search(data: Data, request: HttpRequest) -> Any:
    rows_wanted, start = _page(data, "rows", "start", 10)
    chosen: dict[str, str] = {}
    for field, value in re.findall(r'\+?(\w+):"?([\w-]+)"?', str(data.get("fq") or "")):
        if field not in _FACETS:
            raise Refused(f"fq 只支持 {'、'.join(_FACETS)}", 409, "Validation Error")
        chosen[_FACETS[field]] = value
    text = str(data.get("q") or "").strip()
    text = "" if text in ("*:*", "*") else text[:100]
    order = "title" if str(data.get("sort") or "").startswith(("title", "name")) else "new"
    choice = site.Choice(text, chosen.get("department", ""), chosen.get("theme", ""), sort=order)
    found = site.search(ANONYMOUS, choice, size=100_000)
    base = base_of(request)
    page = [site.entry(ANONYMOUS, o, base) for o in found.rows[start : start + rows_wanted]]
    facets = {
        "organization": {"title": "organization", "items": _facet(found.departments)},
        "groups": {"title": "groups", "items": _facet(found.themes)},
    }
    return {
        "count": found.total,
        "sort": "metadata_modified desc",
        "facets": {},
        "search_facets": facets if data.get("facet.field") else {},
        "results": [standards.ckan_package(e) for e in page],
    }


def _facet(rows: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    return [{"name": name, "display_name": title, "count": n} for name, title, n in rows]


def _resource_show(data: Data, request: HttpRequest) -> Any:
    return standards.ckan_resource(*_pick_resource(_all(base_of(request)), data.get("id")))


def _tags(data: Data, request: HttpRequest) -> Any:
    return sorted({word for e in _all(base_of(request)) for word in e["keywords"]})


def _licences(data: Data, request: HttpRequest) -> Any:
    return [
        {"id": entry["code"], "title": entry["title"], "url": entry["url"], "status": "active"}
        for entry in site.settings()["licences"]
    ]


def _info(data: Data, request: HttpRequest) -> Any:
    wanted = data.get("id") or data.get("resource_id")
    entry, _, _ = _pick_resource(_all(base_of(request)), wanted)
    return {
        "meta": {"id": wanted, "count": entry["rows"], "table_type": "BASE TABLE"},
        "fields": [standards.ckan_field(c) for c in entry["columns"]],
    }


def _datastore(data: Data, request: HttpRequest) -> Any:
    """Rows as CKAN's datastore_search gives them; `filters` by equality, never a statement."""
    base = base_of(request)
    if not data.get("resource_id"):
        raise Refused("缺少参数 resource_id", 409, "Validation Error")
    entry, _, _ = _pick_resource(_all(base), data["resource_id"])
    found = _opening(entry["name"])
    key = site.key_of(ANONYMOUS, key_text(request)) if key_text(request) else None
    try:
        site.require_rows(found, key)
    except UserError as error:
        raise Refused(str(error), 403, "Authorization Error") from error
    filters = data.get("filters") or {}
    if isinstance(filters, str):
        try:
            filters = json.loads(filters)
        except (ValueError, RecursionError) as error:
            raise Refused("filters 应为 JSON 对象", 409, "Validation Error") from error
    if not isinstance(filters, dict):
        raise Refused("filters 应为 JSON 对象", 409, "Validation Error")
    asked = tuple(
        (str(k), "in" if isinstance(v, list) else "eq", v) for k, v in list(filters.items())[:20]
    )
    if any(isinstance(v, list) and len(v) > MOST_VALUES for _, _, v in asked):
        raise Refused(f"一个字段最多比较 {MOST_VALUES} 个值", 409, "Validation Error")
    order = []
    for part in filter(None, (p.strip() for p in str(data.get("sort") or "").split(","))):
        match = re.fullmatch(r"\"?(\w+)\"?(?:\s+(asc|desc))?", part, re.IGNORECASE)
        if match is None:
            raise Refused("sort 应如 “字段 desc”", 409, "Validation Error")
        order.append((match[1], (match[2] or "").lower() == "desc"))
    fields = data.get("fields") or []
    names = fields if isinstance(fields, list) else str(fields).split(",")
    limit, offset = _page(data, "limit", "offset", 100)
    with_total = _flag(data.get("include_total"), "include_total", True)
    try:
        listed, page, total = site.rows_of(
            ANONYMOUS,
            found,
            release.Question(
                asked,
                tuple(order[:5]),
                tuple(str(n).strip() for n in names if str(n).strip()),
                str(data.get("q") or "").strip()[:100]
                if not isinstance(data.get("q"), dict)
                else "",
                limit,
                offset,
                with_total,
            ),
        )
    except UserError as error:
        raise Refused(str(error), 409, "Validation Error") from error
    known = {c["name"]: c for c in entry["columns"]}
    told = {
        "resource_id": str(data["resource_id"]),
        "fields": [standards.ckan_field(known[n]) for n in listed],
        "records": [dict(zip(listed, row, strict=True)) for row in page],
        "records_format": "objects",
        "limit": limit,
        "offset": offset,
        "include_total": with_total,
    }
    if with_total:
        told |= {"total": total, "total_was_estimated": False}
    return told


def _status(data: Data, request: HttpRequest) -> Any:
    return {
        "ckan_version": "2.11.0",
        "site_title": "公共数据开放",
        "site_url": f"{base_of(request)}/open",
        "extensions": ["datastore"],
        "locale_default": "zh_Hans_CN",
    }


ACTIONS: dict[str, Callable[[Data, HttpRequest], Any]] = {
    "site_read": lambda data, request: True,
    "status_show": _status,
    "package_list": _package_list,
    "package_show": _package_show,
    "package_search": _package_search,
    "current_package_list_with_resources": _with_resources,
    "organization_list": _organizations,
    "organization_show": _organization,
    "group_list": _groups,
    "group_show": _group,
    "tag_list": _tags,
    "license_list": _licences,
    "resource_show": _resource_show,
    "datastore_search": _datastore,
    "datastore_info": _info,
}


MOST_BODY = 256 * 1024
MOST_VALUES = 200
"""Bytes of a question in a POST; values that one column may be compared with."""


def _ckan_data(request: HttpRequest) -> Data:
    if request.method != "POST":
        return request.GET.dict()
    if "json" not in (request.content_type or ""):
        return request.POST.dict()
    body = request.body
    if len(body) > MOST_BODY:
        raise Refused("请求内容过大", 413, "Validation Error")
    try:
        data = json.loads(body or b"{}")
        # Half of a surrogate pair is no text, and PostgreSQL keeps no zero character.
        odd = b"\\u0000" in json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused("请求内容不是 JSON", 409, "Validation Error") from error
    if odd or not isinstance(data, dict):
        raise Refused("请求内容应为 JSON 对象", 409, "Validation Error")
    return data


@_interface
def ckan(request: HttpRequest, name: str) -> HttpResponse:
    """One action of CKAN's interface; what is not in ACTIONS does not exist (no SQL, no writing)."""
    address = f"{base_of(request)}/open/developers/"
    try:
        run = ACTIONS.get(name)
        if run is None:
            raise Refused(f"没有名为 {name} 的操作", 404)
        _, limit, left = _counted(request)
        result = run(_ckan_data(request), request)
    except actions.TooMany:
        raise
    except UserError as error:
        code = error.code if isinstance(error, Refused) else 409
        kind = error.kind if isinstance(error, Refused) else "Validation Error"
        told = {"__type": kind, "message": str(error)}
        return _json({"help": address, "success": False, "error": told}, code)
    return _told(_json({"help": address, "success": True, "result": result}), limit, left)
