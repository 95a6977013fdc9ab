"""Document: OpenAPI 3.1 of what a receiver's system calls: the feed of changes and the files."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from lianyun.ui.pages import ActorRequest, public

from .. import rules

_CODE = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,60}$"}


@require_safe
@public
def openapi(request: ActorRequest) -> HttpResponseBase:
    """`GET /api/delivery/openapi.json`: for everybody; it holds no data and names no department."""
    return JsonResponse(_document(), json_dumps_params={"ensure_ascii": False})


def _document() -> dict[str, Any]:
    paths = {
        "/api/feed/": {"get": _feed()},
        "/api/files/": {"get": _files()},
        "/api/files/{code}/": {"get": _file()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "批量交换",
            "version": "1",
            "description": "使用部门的系统按授权拉取变更、下载文件。"
            "授权暂停、撤销或到期后，下一次请求即被拒绝。",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "credential": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "凭证号.密钥，或由它换取的访问令牌",
                }
            },
            "schemas": {
                "Refusal": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string", "description": "原因，中文"}},
                },
                "File": {
                    "type": "object",
                    "required": ["code", "format", "rows", "size", "sha256", "expires"],
                    "properties": {
                        "code": _CODE,
                        "format": {"enum": list(rules.DOWNLOADS)},
                        "rows": {"type": "integer", "description": "行数"},
                        "size": {"type": "integer", "description": "字节数"},
                        "sha256": {"type": "string"},
                        "expires": {"type": ["string", "null"], "format": "date-time"},
                    },
                },
            },
        },
        "security": [{"credential": []}],
    }


def _header(text: str, **schema: Any) -> dict[str, Any]:
    return {"description": text, "schema": schema or {"type": "string"}}


def _refusals() -> dict[str, Any]:
    """What each of the three may say instead of an answer."""
    words = {
        "400": "请求有误，或所要的已不可取",
        "401": "凭证无效",
        "403": "授权不允许，或来源网络不允许",
        "429": "超过授权的频次",
        "503": "存证中断，暂不提供",
    }
    schema = {"schema": {"$ref": "#/components/schemas/Refusal"}}
    told: dict[str, Any] = {
        code: {"description": text, "content": {"application/json": schema}}
        for code, text in words.items()
    }
    return told | {"405": {"description": "请求方法有误"}}


def _feed() -> dict[str, Any]:
    flag = {"type": "string", "enum": ["0", "1"]}
    return {
        "operationId": "feed",
        "summary": "拉取变更",
        "description": "每行一个 JSON。把 X-Next-Cursor 原样带回，即确认上一页已收到；"
        "用同一游标再问，得到同一页。",
        "parameters": [
            {
                "name": "cursor",
                "in": "query",
                "description": "上一次返回的 X-Next-Cursor；第一次不带",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": 2000},
            },
            {
                "name": "limit",
                "in": "query",
                "description": "一页最多多少行",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": rules.PAGE,
                    "default": rules.PARTS,
                },
            },
        ],
        "responses": {
            "200": {
                "description": "一页变更",
                "headers": {
                    "X-Next-Cursor": _header("下一页从这里开始"),
                    "X-More": _header("1 表示还有下一页", **flag),
                    "X-Full": _header("1 表示从头给出全部数据", **flag),
                    "X-Rows": _header("本页行数", type="string", pattern="^[0-9]+$"),
                },
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            },
            **_refusals(),
        },
    }


def _files() -> dict[str, Any]:
    listed = {
        "type": "object",
        "required": ["files"],
        "properties": {"files": {"type": "array", "items": {"$ref": "#/components/schemas/File"}}},
    }
    return {
        "operationId": "files",
        "summary": "本授权下现在可以下载的文件",
        "responses": {
            "200": {"description": "文件", "content": {"application/json": {"schema": listed}}},
            **_refusals(),
        },
    }


def _file() -> dict[str, Any]:
    body = {"schema": {"type": "string", "format": "binary"}}
    return {
        "operationId": "file",
        "summary": "下载一个文件",
        "parameters": [{"name": "code", "in": "path", "required": True, "schema": _CODE}],
        "responses": {
            "200": {
                "description": "文件",
                "headers": {"X-SHA256": _header("内容的 SHA-256")},
                "content": {
                    "text/csv": body,
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": body,
                    "application/vnd.apache.parquet": body,
                },
            },
            **_refusals(),
            "404": {"description": "地址有误"},
        },
    }
