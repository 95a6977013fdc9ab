"""Document: OpenAPI 3.1 of the services, exact enough that a machine can walk the whole API by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lianyun.kernel.access import Actor
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Grant

from .. import rules
from ..models import Service
from . import doors

_TEXT = r"^[!-~\u00a1-\uD7FF\uE000-\uFEFE](?:[ -~\u00a1-\uD7FF\uE000-\uFEFE]{0,98}[!-~\u00a1-\uD7FF\uE000-\uFEFE])?$"
_UNIT = (
    r"(?:[!-$&-~]|%[2-6][0-9A-F]|%7[0-9A-E]|%C2%[AB][0-9A-F]|%(?:C[3-9A-F]|D[0-9A-F])%[89AB][0-9A-F]"
    r"|%E[1-9A-C]%[89AB][0-9A-F]%[89AB][0-9A-F])"
)
_PURPOSE = f"^(?:{_UNIT}(?:(?: |{_UNIT}){{0,78}}{_UNIT})?)?$"
_SCHEMES = {
    "credential": {
        "type": "http",
        "scheme": "bearer",
        "description": "凭证号.密钥，由获得授权的部门在“我的调用凭证”中领取；"
        "测试凭证在服务页面上领取，只能得到模拟数据",
    }
}


def openapi(
    viewer: Actor, name: str = "", grant: Grant | None = None, kind: str = "", version: int = 0
) -> dict[str, Any]:
    """OpenAPI 3.1 of all services, of one source, or of one service.

    With a grant: only its fields, as masked for it.
    """
    rows = Service.objects.select_related("source__owner", "resource").order_by(
        "source__name", "kind", "version"
    )
    if name:
        rows = rows.filter(source__name=name)
    if kind:
        rows = rows.filter(kind=kind)
    if version:
        rows = rows.filter(version=version)
    paths: dict[str, Any] = {}
    oldest: dict[tuple[int, str], int] = {}
    for one in rows:
        first = oldest.setdefault((one.source_id, one.kind), one.version)
        places = [f"v{one.version}/"] if one.version != first or version else [""]
        for place in places:
            paths.update(_paths(one, grant, place))
    if not name:
        paths |= doors.paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "政务数据服务",
            "version": "1",
            "description": "按授权提供的数据服务：查询、核验、统计。每次调用都留有记录，"
            "本人可以查到谁看过自己的数据。不写版本时使用仍在提供的最早版本，"
            "也可在请求头 API-Version 中写明。",
        },
        "servers": [{"url": "/"}],
        "security": [{"credential": []}],
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["title", "status"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "instance": {"type": "string", "description": "调用编号"},
                    },
                }
            },
        },
    }


def example_of(name: str, shown: Iterable[rules.Field], masks: dict[str, str]) -> dict[str, Any]:
    """An answer as a query service would give it, with invented values under the masks."""
    row = {f.name: mask_value(masks.get(f.name, "none"), rules.sample_of(f)) for f in shown}
    return {"resource": name, "count": 1, "rows": [row]}


def _responses(answer: dict[str, Any], text: str, *, key: bool, body: bool) -> dict[str, Any]:
    out = {
        "200": {"description": text, "content": {"application/json": answer}},
        "400": doors.problem("请求有误"),
        "401": doors.problem("凭证无效"),
        "403": doors.problem("授权已撤回、暂停或到期，或不包含此操作"),
        "404": doors.problem("查无此记录，或服务尚未开通" if key else "服务尚未开通"),
        "405": doors.problem("请求方法有误"),
        "410": doors.problem("此版本已停止"),
        "429": doors.problem("超出每日或每秒次数"),
        "503": doors.problem("系统繁忙"),
    }
    if body:
        out["413"] = doors.problem("请求体过大")
        out["415"] = doors.problem("请求体应为 JSON")
    else:
        out["409"] = doors.problem("游标不属于这次查询，或已过期")
    return out


def value_schema(field: rules.Field | None, *, key: bool = False) -> dict[str, Any]:
    """The schema of a value that a caller gives for a field."""
    out: dict[str, Any] = {"title": field.title} if field else {}
    kind = rules.json_type(field) if field else "string"
    if field and field.type == "D":
        return {**out, "type": "string", "format": "date"}
    if field and field.type == "T":
        return {
            **out,
            "type": "string",
            "pattern": r"^20[0-9]{2}-0[1-9]-[01][1-9]T[01][0-9]:00:00$",
        }
    if kind == "integer":
        return {**out, "type": "integer", "minimum": 0, "maximum": 2_000_000_000}
    if kind == "number" or (field and field.type == "N"):
        return {**out, "type": "string", "pattern": r"^[0-9]{1,9}(?:\.[0-9]{1,2})?$"}
    if kind == "boolean":
        return {**out, "type": "boolean"}
    # In an address what still looks encoded, or like a step in a path, is refused.
    return {
        **out,
        "type": "string",
        "pattern": r"^[0-9A-Za-z_\u4e00-\u9fa5-]{1,60}$" if key else _TEXT,
    }


def _as_text(field: rules.Field | None) -> dict[str, Any]:
    """The schema of a value that stands as text in a request's body."""
    schema = value_schema(field)
    patterns = {"integer": "^(?:0|[1-9][0-9]{0,8})$", "boolean": "^(?:true|false)$"}
    if schema["type"] in patterns:
        title = {"title": field.title} if field else {}
        return {**title, "type": "string", "pattern": patterns[str(schema["type"])]}
    return schema


def _ways(service: Service, names: dict[str, rules.Field], clear: set[str]) -> list[dict[str, Any]]:
    """Each way to ask a query service, as an object of parameters; ranges of `clear` fields alone."""
    ranges = [c for c in service.design.get("ranges", ()) if c in names and c in clear]
    bounds: dict[str, Any] = {}
    for c in ranges:
        for end, word in (("from", "起"), ("to", "止")):
            bounds[f"{c}.{end}"] = {
                **value_schema(names[c]),
                "title": f"{names[c].title}（{word}，含）",
            }
    out: list[dict[str, Any]] = [
        {
            "type": "object",
            "title": "按" + "、".join(names[c].title if c in names else c for c in way),
            "properties": {**{c: value_schema(names.get(c)) for c in way}, **bounds},
            "required": list(way),
            "additionalProperties": False,
        }
        for way in service.lookups
    ]
    for name in bounds:
        out.append(
            {
                "type": "object",
                "title": f"按范围：{bounds[name]['title']}",
                "properties": bounds,
                "required": [name],
                "additionalProperties": False,
            }
        )
    return out


def _purpose() -> dict[str, Any]:
    return {
        "name": "X-Purpose",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": _PURPOSE},
        "description": "本次使用的用途或办件编号（百分号编码的 UTF-8）；不填则记为授权的用途",
    }


def _paths(service: Service, grant: Grant | None, place: str) -> dict[str, Any]:
    columns = [rules.Field(**c) for c in service.columns]
    chosen = set(grant.terms.get("fields", ())) if grant else {f.name for f in columns}
    masks = (grant.terms.get("masks") or {}) if grant else rules.masks_of(columns, ())
    shown = [f for f in columns if f.name in chosen]
    base = f"/api/data/{place}{service.source.name}"
    if service.kind == "query":
        return _query(service, base, columns, shown, masks)
    if service.kind == "verify":
        return _verify(service, base, columns, shown)
    if service.kind == "statistics":
        return _statistics(service, base, shown, masks if grant else {})
    if service.kind == "federated":
        # Its sources keep no order from call to call, so there are no pages.
        asked = _query(service, f"{base}:federated", columns, shown, masks)[f"{base}:federated"]
        asked["get"]["parameters"] = [
            p for p in asked["get"]["parameters"] if p["name"] != "cursor"
        ]
        return {f"{base}:federated": asked}
    return {}


def _head(service: Service, verb: str, title: str, text: str) -> dict[str, Any]:
    tail = "" if service.version == 1 else f"_v{service.version}"
    out: dict[str, Any] = {
        "operationId": f"{verb}_{service.source.name}{tail}",
        "summary": title,
        "description": text,
        "tags": [service.source.owner.name],
    }
    if service.sunset_on is not None:
        out["deprecated"] = True
        out["description"] += f" 本版本将于 {service.sunset_on:%Y-%m-%d} 停止。"
    return out


def _query(
    service: Service,
    base: str,
    columns: Sequence[rules.Field],
    shown: Sequence[rules.Field],
    masks: dict[str, str],
) -> dict[str, Any]:
    row = {
        "type": "object",
        "properties": {f.name: rules.schema_of(f, masks.get(f.name, "")) for f in shown},
    }
    answer = {
        "type": "object",
        "required": ["resource", "count", "rows"],
        "properties": {
            "resource": {"type": "string"},
            "count": {"type": "integer", "maximum": rules.MAXIMUM_ROWS},
            "rows": {"type": "array", "items": row},
            "more": {"type": "boolean", "description": "还有更多行时为 true"},
            "next": {"type": "string", "description": "下一页的游标，24 小时内有效"},
            "simulated": {"type": "string", "description": "仅测试环境：模拟数据"},
        },
    }
    content = {"schema": answer, "example": example_of(service.source.name, shown, masks)}
    names = {f.name: f for f in columns}
    ways = _ways(service, names, {f.name for f in shown if masks.get(f.name, "none") == "none"})
    parameters: list[dict[str, Any]] = [
        {
            "name": "conditions",
            "in": "query",
            "required": True,
            "style": "form",
            "explode": True,
            "description": "查询条件，须为其中一种，逐项作为查询参数给出",
            "schema": {"anyOf": ways},
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": rules.MAXIMUM_ROWS},
            "description": "每页行数",
        },
        {
            "name": "cursor",
            "in": "query",
            "required": False,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{60,900}$"},
            "description": "上一页给出的 next",
        },
        _purpose(),
    ]
    listed = "；".join(str(way["title"]) for way in ways)
    out: dict[str, Any] = {
        base: {
            "get": {
                **_head(service, "query", f"查询{service.source.title}", f"查询条件：{listed}。"),
                "parameters": parameters,
                "responses": _responses(content, "查询结果", key=False, body=False),
            }
        }
    }
    if service.lookups and len(service.lookups[0]) == 1:
        only = service.lookups[0][0]
        path = {
            "name": "key",
            "in": "path",
            "required": True,
            "schema": value_schema(names.get(only), key=True),
        }
        title = names[only].title if only in names else only
        out[f"{base}/{{key}}"] = {
            "get": {
                **_head(service, "get", f"按{title}查询{service.source.title}", "给出一条记录。"),
                "parameters": [path, _purpose()],
                "responses": _responses(content, "查询结果", key=True, body=False),
            }
        }
    return out


def _verify(
    service: Service,
    base: str,
    columns: Sequence[rules.Field],
    shown: Sequence[rules.Field],
) -> dict[str, Any]:
    names = {f.name: f for f in columns}
    design = service.design
    allowed = {f.name for f in shown}
    values = [v for v in design.get("values", ()) if v in allowed]
    text = {"type": "string", "pattern": _TEXT}
    keys = [
        {
            "type": "object",
            "title": "按" + "、".join(names[c].title if c in names else c for c in way),
            "properties": {c: _as_text(names.get(c)) for c in way},
            "required": list(way),
            "additionalProperties": False,
        }
        for way in service.lookups
    ]
    body = {
        "type": "object",
        "required": ["key", "values"],
        "additionalProperties": False,
        "properties": {
            "key": {"anyOf": keys, "description": "要核验的对象"},
            "values": {
                "type": "object",
                "description": f"待核验的数据项，至少 {design.get('least', 1)} 项",
                "properties": {v: {**text, "title": names[v].title} for v in values},
                "additionalProperties": False,
                "minProperties": int(design.get("least", 1)),
            },
        },
    }
    answer: dict[str, Any] = {
        "type": "object",
        "required": ["resource", "result"],
        "properties": {
            "resource": {"type": "string"},
            "result": {"enum": list(rules.RESULTS.values())},
            "simulated": {"type": "string", "description": "仅测试环境：模拟数据"},
        },
    }
    if design.get("tell"):
        answer["properties"]["differs"] = {"type": "array", "items": {"enum": values}}
    first = service.lookups[0] if service.lookups else []
    example = {
        "key": {c: str(rules.sample_of(names[c])) if c in names else "" for c in first},
        "values": {v: str(rules.sample_of(names[v])) for v in values},
    }
    told = {
        "schema": answer,
        "example": {"resource": service.source.name, "result": rules.RESULTS["match"]},
    }
    note = "只答一致、不一致或查无此人，不给出任何数据。"
    return {
        f"{base}:verify": {
            "post": {
                **_head(service, "verify", f"核验{service.source.title}", note),
                "parameters": [_purpose()],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": body, "example": example}},
                },
                "responses": _responses(told, "核验结果", key=False, body=True),
            }
        }
    }


def _statistics(
    service: Service, base: str, shown: Sequence[rules.Field], masks: dict[str, str]
) -> dict[str, Any]:
    names = {f.name: f for f in shown}
    by = [d for d in service.design.get("by", ()) if d in names and d not in masks]
    measures, _ = rules.measures_of(service.design, names, masks)
    wanted = ["count", *(f"{f}_{m}" for m in measures for f in ("sum", "avg"))]
    titles = {"sum": "合计", "avg": "平均"}
    answer = {
        "type": "object",
        "required": ["resource", "by", "smallest_group", "suppressed", "count", "groups"],
        "properties": {
            "resource": {"type": "string"},
            "by": {"type": "array", "items": {"type": "string"}},
            "smallest_group": {"type": "integer"},
            "suppressed": {"type": "boolean", "description": "有人数过少或可被推算的组未给出"},
            "count": {"type": "integer"},
            "groups": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        **{d: {"title": names[d].title, "type": ["string", "null"]} for d in by},
                        "count": {"title": "行数", "type": "integer"},
                        **{
                            f"{f}_{m}": {
                                "title": f"{names[m].title}{titles[f]}",
                                "type": ["number", "null"],
                            }
                            for m in measures
                            for f in titles
                        },
                    },
                },
            },
            "simulated": {"type": "string", "description": "仅测试环境：模拟数据"},
        },
    }
    parameters: list[dict[str, Any]] = [
        {
            "name": "by",
            "in": "query",
            "required": False,
            "style": "form",
            "explode": False,
            "schema": {
                "type": "array",
                "items": {"enum": by},
                "uniqueItems": True,
                "minItems": 1,
                "maxItems": min(3, len(by)),
            },
            "description": "分组维度（逗号分隔，最多 3 个）；不填为全部合计",
        },
        {
            "name": "measures",
            "in": "query",
            "required": False,
            "style": "form",
            "explode": False,
            "schema": {
                "type": "array",
                "items": {"enum": wanted},
                "uniqueItems": True,
                "minItems": 1,
            },
            "description": "统计量（逗号分隔）",
        },
    ]
    # Filters and groups together name three dimensions at most: with few, any mixture is right.
    if len(by) <= 3:
        parameters += [
            {
                "name": d,
                "in": "query",
                "required": False,
                "schema": value_schema(names[d]),
                "description": f"只看此{names[d].title}",
            }
            for d in by
        ]
    example = {
        "resource": service.source.name,
        "by": by[:1],
        "smallest_group": service.design.get("group", 5),
        "suppressed": False,
        "count": 1,
        "groups": [{**{d: str(rules.sample_of(names[d])) for d in by[:1]}, "count": 128}],
    }
    least = service.design.get("group", 5)
    note = f"少于 {least} 人的组不给出，也不能由其他组推算。"
    told = {"schema": answer, "example": example}
    return {
        f"{base}:statistics": {
            "get": {
                **_head(service, "statistics", f"统计{service.source.title}", note),
                "parameters": [*parameters, _purpose()],
                "responses": _responses(told, "统计结果", key=False, body=False),
            }
        }
    }
