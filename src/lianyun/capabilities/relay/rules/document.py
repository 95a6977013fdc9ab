"""Document: the interface between the city and a department's system, in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from . import ERRORS, KINDS, LETTERS, PROTOCOL

SIGNING = """\
双方用登记时约定的密钥对每个请求签名（HMAC-SHA-256），格式与批量交换的 Webhook 相同：
`X-Lianyun-Signature: t=<秒>,v1=<十六进制>`，签名内容是 `t.Idempotency-Key.正文`；没有正文的请求，正文以“方法 空格 路径”代替。
时间与对方相差不得超过 300 秒。`X-Lianyun-System` 是系统编号。
消息以 `number` 为准：同一编号的消息只生效一次，重复送达得到与第一次相同的答复；编号相同而内容不同的被拒绝（409）。
没有收到 2xx 答复的消息应原样重发。到达次序可以与发生次序不同：中止与恢复以 `at` 为准；结果之后到达的消息只留存，不改变结果。"""

_TEXT: dict[str, Any] = {"type": "string"}


def _object(needed: list[str], **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": needed, "properties": fields}


def _headers() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": True, "schema": _TEXT, "description": said}
        for name, said in (
            ("X-Lianyun-System", "系统编号"),
            ("Idempotency-Key", "消息号；查询和取材料时为一次性随机数"),
            ("X-Lianyun-Signature", "t=秒,v1=HMAC-SHA-256"),
        )
    ]


def _responses(*codes: int, good: dict[str, Any] | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "200": {
            "description": "已收到",
            "content": {"application/json": {"schema": good or {"type": "object"}}},
        }
    }
    for status in codes:
        words = "；".join(f"{k}：{w}" for k, (s, w) in ERRORS.items() if s == status)
        out[str(status)] = {
            "description": words,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return out


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of both sides; the paths under `/messages` and `/cases` are the department's own."""
    case = {
        "name": "number",
        "in": "path",
        "required": True,
        "schema": _TEXT,
        "description": "转办号",
    }
    code = {
        "name": "code",
        "in": "path",
        "required": True,
        "schema": _TEXT,
        "description": "附件号",
    }
    common = {
        "number": {
            **_TEXT,
            "maxLength": 64,
            "description": "消息号，本系统内唯一，与 Idempotency-Key 相同",
        },
        "kind": {
            **_TEXT,
            "enum": list(KINDS),
            "description": "、".join(f"{k} {v}" for k, v in KINDS.items()),
        },
        "case": {**_TEXT, "description": "转办号"},
        "at": {**_TEXT, "format": "date-time", "description": "发生时间，带时区"},
        "own_number": {**_TEXT, "description": "本系统的受理编号"},
        "title": {**_TEXT, "maxLength": 60, "description": "progress：进展"},
        "note": {**_TEXT, "maxLength": 300},
        "items": {
            "type": "array",
            "description": "supplement：一次告知的全部补正内容",
            "items": _object(["name", "what"], material=_TEXT, name=_TEXT, what=_TEXT),
        },
        "cause": {
            **_TEXT,
            "description": "suspended：中止事由（hearing 听证、experts 专家评审、testing 检验检测、bidding 招标拍卖）",
        },
        "reason": {**_TEXT, "description": "suspended、result：理由；不予时必填"},
        "outcome": {**_TEXT, "enum": ["granted", "refused"], "description": "result：准予、不予"},
        "basis": {**_TEXT, "description": "result：依据"},
        "decided_by": {**_TEXT, "description": "result：作出机关"},
        "licence": _object(
            [], elements={"type": "object", "description": "证照内容，按证照类型的内容项名"}
        ),
    }
    answer = _object(["number", "effect"], number=_TEXT, effect=_TEXT, message=_TEXT)
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Message"}}},
    }
    letter = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Letter"}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "部门自建审批系统对接", "version": PROTOCOL, "description": SIGNING},
        "tags": [
            {"name": "平台", "description": "部门系统调用平台"},
            {"name": "部门系统", "description": "平台调用部门系统，路径在登记的接口地址之下"},
        ],
        "paths": {
            "/api/relay/v1/messages": {
                "post": {
                    "tags": ["平台"], "summary": "报送进展、补正、中止、恢复和结果",
                    "operationId": "sendMessage", "parameters": _headers(), "requestBody": body,
                    "responses": _responses(401, 404, 409, 413, 422, good=answer),
                }
            },
            "/api/relay/v1/cases/{number}": {
                "get": {
                    "tags": ["平台"], "summary": "核对平台收到了哪些消息",
                    "operationId": "stateAtCity", "parameters": [*_headers(), case],
                    "responses": _responses(401, 404),
                }
            },
            "/api/relay/v1/cases/{number}/files/{code}": {
                "get": {
                    "tags": ["平台"], "summary": "取授权范围内的一份材料",
                    "operationId": "fetchFile", "parameters": [*_headers(), case, code],
                    "responses": _responses(401, 403, 404),
                }
            },
            "/messages": {
                "post": {
                    "tags": ["部门系统"], "summary": "接收平台的消息",
                    "operationId": "takeLetter", "parameters": _headers(), "requestBody": letter,
                    "responses": _responses(401, good=_object([], own_number=_TEXT)),
                }
            },
            "/cases/{number}": {
                "get": {
                    "tags": ["部门系统"], "summary": "给出该办件已发出的全部消息；没有收到过的答 404，平台将重新转办",
                    "operationId": "stateAtDepartment", "parameters": [*_headers(), case],
                    "responses": _responses(
                        401, 404,
                        good=_object(["messages"], own_number=_TEXT, messages={"type": "array", "items": {"$ref": "#/components/schemas/Message"}}),
                    ),
                }
            },
        },
        "components": {
            "schemas": {
                "Message": _object(["number", "kind", "case", "at"], **common),
                "Letter": _object(
                    ["number", "kind", "case", "at"],
                    number=_TEXT, case=_TEXT, at=_TEXT, note=_TEXT, due_on=_TEXT, outcome=_TEXT,
                    kind={**_TEXT, "enum": [*LETTERS, "test"], "description": "、".join(f"{k} {v}" for k, v in LETTERS.items())},
                    item=_object([], code=_TEXT, name=_TEXT),
                    applicant=_object([], kind=_TEXT, name=_TEXT, number=_TEXT),
                    situations={"type": "object"},
                    answers={"type": "object", "description": "授权范围内的申请内容：{字段: {title, value}}"},
                    materials={"type": "array", "description": "授权范围内的材料：依据、共享值或附件", "items": {"type": "object"}},
                ),
                "Refusal": _object(["error", "message"], error=_TEXT, message=_TEXT),
            }
        },
    }  # fmt: skip
