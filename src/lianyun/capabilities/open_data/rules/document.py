"""Document: OpenAPI 3.1 of the open-data interface, exact enough that a machine can walk it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WORDS = "^[^\\x00]*$"
_NUMBER = 999_999_999
"""The largest number that is read; a page or a start beyond what there is means the last."""
_ACTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "site_read": ("能否读取", {}),
    "status_show": ("站点状态", {}),
    "package_list": ("数据集标识列表", {"limit": "count", "offset": "count"}),
    "package_show": ("一个数据集", {"id": "dataset"}),
    "package_search": ("查找数据集", {"q": "words", "rows": "count", "start": "count"}),
    "current_package_list_with_resources": ("全部数据集", {"limit": "count", "offset": "count"}),
    "organization_list": ("提供部门", {"all_fields": "flag"}),
    "group_list": ("主题", {"all_fields": "flag"}),
    "tag_list": ("标签", {}),
    "license_list": ("许可", {}),
    "resource_show": ("一个文件", {"id": "dataset"}),
    "datastore_search": (
        "按条件取行",
        {"resource_id": "dataset", "limit": "count", "offset": "count"},
    ),
    "datastore_info": ("数据项", {"id": "dataset"}),
}
"""CKAN's actions that are documented one by one, with the kinds of their parameters."""
_NEEDED = {"id", "resource_id"}


@dataclass(frozen=True)
class Described:
    """What the document tells of one opened dataset: columns by name with their DuckDB types."""

    name: str
    title: str
    types: Mapping[str, str]


def _count() -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": _NUMBER}


def _schemas(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {
        "count": _count(),
        "words": {"type": "string", "pattern": _WORDS},
        "flag": {"type": "boolean"},
        "dataset": {"type": "string", "enum": list(names)},
    }


def _parameter(name: str, schema: dict[str, Any], text: str, *, required: bool = False) -> Any:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": text,
    }


def _answers(text: str, schema: dict[str, Any], *refusals: str, problem: str) -> dict[str, Any]:
    words = {
        "400": "参数有误",
        "401": "密钥无效或已停用",
        "403": "有条件开放，须先获准",
        "404": "没有这个数据集",
        "405": "请求方法有误",
        "409": "参数有误",
        "429": "过于频繁，按 Retry-After 等待",
    }
    out: dict[str, Any] = {
        "200": {"description": text, "content": {"application/json": {"schema": schema}}}
    }
    for code in ("401", "429", *refusals):
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{problem}"}}}
        out[code] = {"description": words[code], "content": content}
    return out


def _value(kind: str) -> dict[str, Any]:
    """The schema of a value that a column is compared with."""
    if kind in ("BIGINT", "INTEGER", "UBIGINT"):
        return {"type": "integer", "minimum": 0, "maximum": 2_000_000_000}
    if kind == "DATE":
        return {"type": "string", "format": "date"}
    if kind == "BOOLEAN":
        return {"type": "boolean"}
    if kind == "DOUBLE" or kind.startswith("DECIMAL"):
        return {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,2})?$"}
    if kind.startswith("TIMESTAMP"):
        return {"type": "string", "pattern": r"^20[0-9]{2}-0[1-9]-[01][1-9]T[01][0-9]:00:00$"}
    return {"type": "string", "pattern": _WORDS}


def _rows(dataset: Described, page: int) -> dict[str, Any]:
    one = "|".join(dataset.types)
    text = "VARCHAR" in dataset.types.values()
    parameters = [
        *(_parameter(name, _value(kind), "等于") for name, kind in dataset.types.items()),
        _parameter(
            "_fields",
            {"type": "string", "pattern": f"^(({one})(,({one})){{0,4}})?$"},
            "只要这些数据项",
        ),
        _parameter(
            "_sort",
            {"type": "string", "pattern": f"^(-?({one})(,-?({one})){{0,4}})?$"},
            "排序，减号为降序",
        ),
        _parameter("_limit", _count(), "每页行数"),
        _parameter("_offset", _count(), "起点"),
        _parameter(
            "_total", {"type": "string", "enum": ["0", "1", "true", "false"]}, "0 为不要总数"
        ),
    ]
    if text:
        parameters.append(_parameter("_q", {"type": "string", "pattern": _WORDS}, "全文查找"))
    answer = {
        "type": "object",
        "required": ["dataset", "version", "licence", "fields", "rows"],
        "properties": {
            "dataset": {"const": dataset.name},
            "version": {"type": "integer"},
            "licence": {"type": "string"},
            "fields": {"type": "array", "items": {"enum": list(dataset.types)}},
            "rows": {"type": "array", "maxItems": page, "items": {"type": "object"}},
            "total": {"type": "integer"},
            "next_offset": {"type": ["integer", "null"]},
        },
    }
    return {
        "get": {
            "operationId": f"rows_{dataset.name}",
            "summary": f"按条件读取“{dataset.title}”",
            "description": "数据项名后可加 __ne、__gte、__lte、__in、__contains、__empty 作其他比较",
            "parameters": parameters,
            "responses": _answers("一页", answer, "400", "403", "404", problem="Refusal"),
        }
    }


def openapi(datasets: Iterable[Described], sorts: Sequence[str], page: int) -> dict[str, Any]:
    """The document: the catalogue, each dataset's rows by its own columns, and CKAN's reading actions.

    `page` is the most rows of an answer.
    """
    listed = list(datasets)
    names = [d.name for d in listed]
    schemas = _schemas(names)
    brief = {"type": "object", "required": ["name", "title", "provider", "files"]}
    paths: dict[str, Any] = {
        "/open/api/": {
            "get": {
                "operationId": "index",
                "summary": "接口入口",
                "responses": _answers("各入口的地址", {"type": "object"}, problem="Refusal"),
            }
        },
        "/open/api/datasets": {
            "get": {
                "operationId": "datasets",
                "summary": "查找数据集",
                "parameters": [
                    _parameter("q", schemas["words"], "关键词"),
                    _parameter("sort", {"type": "string", "enum": list(sorts)}, "排序"),
                    _parameter("page", _count(), "第几页"),
                    _parameter("size", _count(), "每页个数"),
                ],
                "responses": _answers(
                    "一页",
                    {
                        "type": "object",
                        "required": ["total", "page", "pages", "datasets"],
                        "properties": {"datasets": {"type": "array", "items": brief}},
                    },
                    "400",
                    problem="Refusal",
                ),
            }
        },
    }
    if names:
        path = {"name": "name", "in": "path", "required": True, "schema": schemas["dataset"]}
        paths["/open/api/datasets/{name}"] = {
            "get": {
                "operationId": "dataset",
                "summary": "一个数据集及其数据项",
                "parameters": [path],
                "responses": _answers("数据集", brief, "400", "404", problem="Refusal"),
            }
        }
    for dataset in listed:
        paths[f"/open/api/datasets/{dataset.name}/rows"] = _rows(dataset, page)
    for action, (title, parameters) in _ACTIONS.items():
        answer = {
            "type": "object",
            "required": ["help", "success", "result"],
            "properties": {"success": {"const": True}},
        }
        if not names and _NEEDED & set(parameters):
            continue
        paths[f"/open/api/3/action/{action}"] = {
            "get": {
                "operationId": f"ckan_{action}",
                "summary": f"CKAN：{title}",
                "parameters": [
                    _parameter(name, schemas[kind], "", required=name in _NEEDED)
                    for name, kind in parameters.items()
                ],
                "responses": _answers(
                    title, answer, "400", "403", "404", "409", problem="CkanRefusal"
                ),
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "公共数据开放接口",
            "version": "1",
            "description": "不需要登录；带密钥（请求头 X-API-Key）时频率更高。不接受 SQL。",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "schemas": {
                "Refusal": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
                "CkanRefusal": {
                    "type": "object",
                    "anyOf": [{"required": ["success", "error"]}, {"required": ["error"]}],
                },
            },
        },
    }


__all__ = ["Described", "openapi"]
