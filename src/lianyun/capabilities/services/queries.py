"""Queries: the services there are, what they serve, who holds credentials, and their OpenAPI."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.element import ElementSpec, mask_value
from lianyun.kernel.models import Element, Grant, Resource

from . import rules
from .models import Client, Service, Usage


def _declared_library(source: Resource) -> dict[str, Any]:
    try:
        return packs.declaration("libraries", source.name).data
    except KeyError:
        return source.data


def key_of(viewer: Actor, source: Resource) -> list[str]:
    """The columns that tell one row from another."""
    if source.kind == Resource.LIBRARY:
        key = _declared_library(source).get("key") or []
        return [key] if isinstance(key, str) else list(key)
    return list(source.data.get("key") or [])


def fields(viewer: Actor, source: Resource) -> list[rules.Field]:
    """Every column of a dataset or library with its element's type, format and mask."""
    if source.kind == Resource.LIBRARY:
        return _library_fields(source, key_of(viewer, source))
    return [
        rules.Field(
            name=i.name,
            title=i.title,
            type=i.type,
            format=i.format,
            mask=i.spec.mask,
            check=i.spec.check or "",
            element=i.element,
            personal=i.spec.personal,
            definition=i.spec.definition,
            domain=i.spec.domain or "",
        )
        for i in catalogue.items_of(source)
    ]


def _library_fields(source: Resource, key: list[str]) -> list[rules.Field]:
    if kept := source.data.get("federated"):
        return [rules.Field(**c) for c in kept]
    items = list(_declared_library(source).get("fields") or [])
    if key and key[0] not in {i["name"] for i in items}:
        items.insert(0, {"name": key[0], "element": key[0]})
    codes = {str(i.get("element") or "") for i in items}
    known = {e.code: e.spec for e in Element.objects.filter(code__in=codes)}
    out = []
    for item in items:
        spec = known.get(str(item.get("element") or "")) or ElementSpec.of(
            {"code": item["name"], "title": item.get("title") or item["name"]}
        )
        out.append(
            rules.Field(
                name=item["name"],
                title=item.get("title") or spec.title,
                type=spec.type,
                format=spec.format,
                mask=spec.mask,
                check=spec.check or "",
                element=spec.code,
                personal=spec.personal,
                definition=spec.definition,
                domain=spec.domain or "",
            )
        )
    return out


def services(viewer: Actor) -> QuerySet[Service]:
    """All services, with their data and owners."""
    viewer.require("services.read")
    return Service.objects.select_related("source__owner", "resource")


def service(viewer: Actor, name: str) -> Service | None:
    """The service of the dataset or library with this name."""
    return services(viewer).filter(source__name=name).first()


def service_fields(service: Service) -> list[rules.Field]:
    """The columns a service was published with."""
    return [rules.Field(**c) for c in service.columns]


def grants_on(viewer: Actor, service: Service) -> list[Grant]:
    """Grants in force on a service's data that the viewer may know of."""
    rows = Grant.objects.filter(resource=service.source, kind="data").select_related(
        "grantee", "client"
    )
    scope = viewer.departments("services.read")
    if scope is not None and service.source.owner_id not in scope:
        rows = rows.filter(grantee_id__in=scope)
    return list(rows)


def clients(viewer: Actor) -> QuerySet[Client]:
    """Credentials of the viewer's departments, or all for those who manage services."""
    rows = Client.objects.select_related("grant__resource", "grant__grantee")
    if viewer.may("services.manage"):
        return rows
    viewer.require("services.use")
    scope = viewer.departments("services.use")
    return rows if scope is None else rows.filter(grant__grantee_id__in=scope)


def client(viewer: Actor, client_id: str) -> Client | None:
    """One credential, if the viewer may see it."""
    return clients(viewer).filter(client_id=client_id).first()


def used_today(viewer: Actor, grants: list[Grant]) -> dict[int, int]:
    """Calls used up today, by grant."""
    rows = Usage.objects.filter(grant__in=grants, day=timezone.localdate())
    return dict(rows.values_list("grant_id", "used"))


def openapi(viewer: Actor, name: str = "", grant: Grant | None = None) -> dict[str, Any]:
    """OpenAPI 3.1 of all services, or of one (with a grant: only its fields, as masked for it)."""
    rows = Service.objects.select_related("source__owner", "resource").order_by("source__name")
    if name:
        rows = rows.filter(source__name=name)
    paths: dict[str, Any] = {}
    for one in rows:
        paths.update(_paths(one, grant))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "政务数据服务",
            "version": "1",
            "description": "按授权提供的数据查询服务。每次调用都留有记录，本人可以查到谁看过自己的数据。",
        },
        "servers": [{"url": "/"}],
        "security": [{"credential": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "credential": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "凭证号.密钥，由获得授权的部门在“我的调用凭证”中领取",
                }
            },
            "schemas": {
                "Problem": {
                    "type": "object",
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


def example_of(name: str, shown: list[rules.Field], masks: dict[str, str]) -> dict[str, Any]:
    """An answer as a service would give it, with invented values under the masks."""
    row = {f.name: mask_value(masks.get(f.name, "none"), rules.sample_of(f)) for f in shown}
    return {"resource": name, "count": 1, "rows": [row]}


def _problem(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }


def _paths(service: Service, grant: Grant | None) -> dict[str, Any]:
    columns = service_fields(service)
    chosen = set(grant.terms.get("fields", ())) if grant else {f.name for f in columns}
    masks = (grant.terms.get("masks") or {}) if grant else rules.masks_of(columns, ())
    shown = [f for f in columns if f.name in chosen]
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
            "more": {"type": "boolean", "description": "超过一次可返回的行数时为 true"},
        },
    }
    example = example_of(service.source.name, shown, masks)
    titles = {f.name: f for f in columns}
    ways = "；".join(
        "、".join(f"{c}（{titles[c].title}）" for c in way if c in titles)
        for way in service.lookups
    )
    purpose = {
        "name": "X-Purpose",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": "本次使用的用途或办件编号（百分号编码的 UTF-8）；不填则记为授权的用途",
    }
    used = sorted({c for way in service.lookups for c in way})
    parameters: list[dict[str, Any]] = [
        {
            "name": c,
            "in": "query",
            "required": False,
            "schema": {"type": "string", "title": titles[c].title if c in titles else c},
            "example": rules.sample_of(titles[c]) if c in titles else "",
        }
        for c in used
    ]
    responses = {
        "200": {
            "description": "查询结果",
            "content": {"application/json": {"schema": answer, "example": example}},
        },
        "400": _problem("请求有误"),
        "401": _problem("凭证无效"),
        "403": _problem("授权已撤回、暂停或到期，或凭证不用于此数据"),
        "404": _problem("查无此记录"),
        "429": _problem("今日调用次数已用完"),
        "503": _problem("系统繁忙"),
    }
    name = service.source.name
    out: dict[str, Any] = {
        f"/api/data/{name}": {
            "get": {
                "operationId": f"query_{name}",
                "summary": f"查询{service.source.title}",
                "description": f"查询条件须为以下之一：{ways}。",
                "tags": [service.source.owner.name],
                "parameters": [*parameters, purpose],
                "responses": responses,
            }
        }
    }
    if service.lookups and len(service.lookups[0]) == 1:
        only = service.lookups[0][0]
        path: dict[str, Any] = {
            "name": "key",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "title": titles[only].title if only in titles else only},
            "example": rules.sample_of(titles[only]) if only in titles else "",
        }
        out[f"/api/data/{name}/{{key}}"] = {
            "get": {
                "operationId": f"get_{name}",
                "summary": f"按{path['schema']['title']}查询{service.source.title}",
                "tags": [service.source.owner.name],
                "parameters": [path, purpose],
                "responses": responses,
            }
        }
    return out
