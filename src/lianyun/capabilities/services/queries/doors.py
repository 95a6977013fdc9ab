"""Doors: what OpenAPI tells of tokens and receipts, which belong to no service."""

from __future__ import annotations

from typing import Any


def paths() -> dict[str, Any]:
    """The token endpoint and the receipts, as paths of an OpenAPI document."""
    return {
        "/api/oauth/token": {"post": _token()},
        "/api/receipts/{number}": {"get": _receipt()},
    }


def problem(text: str) -> dict[str, Any]:
    """A refusal in words (RFC 9457), as a response of an OpenAPI document."""
    return {
        "description": text,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }


def _token() -> dict[str, Any]:
    """The token endpoint (RFC 6749, 4.4), the client in the form; a caller may also use HTTP Basic."""
    form = {
        "type": "object",
        "required": ["grant_type", "client_id", "client_secret"],
        "properties": {
            "grant_type": {"const": "client_credentials"},
            "client_id": {"type": "string", "pattern": "^[a-z0-9_]{4,40}$"},
            "client_secret": {"type": "string", "pattern": "^[A-Za-z0-9_-]{20,60}$"},
            "scope": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,60}$"},
        },
        "additionalProperties": False,
    }
    token = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {"token_type": {"const": "Bearer"}, "expires_in": {"type": "integer"}},
    }
    wrong = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }

    def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": text, "content": {"application/json": {"schema": schema}}}

    return {
        "operationId": "token",
        "summary": "换取访问令牌",
        "description": "OAuth 2 客户端凭证方式；令牌 10 分钟内有效。出示登记的客户端证书时不必给密钥。",
        "security": [],
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": form}},
        },
        "responses": {
            "200": answer("令牌", token),
            "400": answer("请求有误", wrong),
            "401": answer("凭证无效", wrong),
            "403": problem("来源网络不允许"),
            "405": problem("请求方法有误"),
            "413": problem("请求体过大"),
            "429": problem("尝试过于频繁"),
            "503": problem("系统繁忙"),
        },
    }


def _receipt() -> dict[str, Any]:
    number = {"type": "string", "pattern": "^[0-9a-z]{8,40}$"}
    schema = {"type": "object", "required": ["format", "call", "record", "seal", "token"]}
    return {
        "operationId": "receipt",
        "summary": "取一次调用的存证回执",
        "description": "调用编号在答复的 X-Call 中；约 5 秒后可取，用公开的脚本即可核验。",
        "parameters": [{"name": "number", "in": "path", "required": True, "schema": number}],
        "responses": {
            "200": {"description": "回执", "content": {"application/json": {"schema": schema}}},
            "400": problem("调用编号有误"),
            "401": problem("凭证无效"),
            "404": problem("没有这次调用，或尚未签章"),
            "405": problem("请求方法有误"),
            "429": problem("尝试过于频繁"),
            "503": problem("系统繁忙"),
        },
    }
