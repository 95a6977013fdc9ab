"""Queries: the services there are, what they serve, who holds credentials, and their OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.element import (
    ElementSpec,
    citizen_check_digit,
    credit_check_digit,
    mask_value,
)
from lianyun.kernel.models import Code, Element, Grant, Resource

from .. import adapters, rules
from ..models import Client, ClientKey, Service, Usage
from .document import example_of, openapi

SOME_CODES = 40
"""Of so many codes of a list at most are invented rows made."""


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


def service(viewer: Actor, name: str, kind: str = "", version: int = 0) -> Service | None:
    """One service of the dataset or library with this name: the first, or that kind and version."""
    rows = services(viewer).filter(source__name=name)
    if kind:
        rows = rows.filter(kind=kind)
    if version:
        rows = rows.filter(version=version)
    found = sorted(rows, key=lambda s: (list(rules.KINDS).index(s.kind), s.version))
    return found[0] if found else None


def siblings(viewer: Actor, service: Service) -> list[Service]:
    """All services of the same data, by kind and version."""
    rows = services(viewer).filter(source=service.source)
    return sorted(rows, key=lambda s: (list(rules.KINDS).index(s.kind), s.version))


def sources(viewer: Actor) -> QuerySet[Resource]:
    """The datasets and libraries that the viewer may make services of."""
    viewer.require("services.design")
    rows = (
        Resource.objects.filter(
            kind__in=(Resource.DATASET, Resource.LIBRARY), state=Resource.PUBLISHED
        )
        .select_related("owner")
        .exclude(served__kind="federated")
    )
    if viewer.may("services.manage"):
        return rows
    scope = viewer.departments("services.design")
    return rows if scope is None else rows.filter(owner_id__in=scope)


def source(viewer: Actor, name: str) -> Resource | None:
    """One of them, by name."""
    return sources(viewer).filter(name=name).first()


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


def preview(viewer: Actor, source: Resource, chosen: list[str], rows: int) -> dict[str, Any]:
    """Invented rows as a service with these fields would give them, before and after the masks."""
    viewer.require("services.design")
    shown = [f for f in fields(viewer, source) if f.name in set(chosen)]
    codes = codes_of(viewer, shown)
    digits = {"citizen": citizen_check_digit, "credit": credit_check_digit}
    made = rules.invented_rows(shown, key_of(viewer, source), codes, digits, rows)
    return {
        "fields": [f.title for f in shown],
        "rows": [[mask_value(f.mask, row[f.name]) for f in shown] for row in made],
    }


def codes_of(viewer: Actor, fields: Iterable[rules.Field]) -> dict[str, list[str]]:
    """Some codes of each value domain of these fields, for invented rows.

    Asked for one by one: a list of regions has thousands of codes, and who publishes has a second.
    """
    today = timezone.localdate()
    return {
        domain: list(
            Code.objects.filter(list__name=domain)
            .exclude(valid_to__lt=today)
            .values_list("code", flat=True)[:SOME_CODES]
        )
        for domain in {f.domain for f in fields if f.domain}
    }


def sample_keys(viewer: Actor, service: Service) -> list[dict[str, Any]]:
    """A few keys of the test environment, with which a trial finds something."""
    names = list(dict.fromkeys(c for way in service.lookups for c in way))
    titles = {f.name: f.title for f in service_fields(service)}
    rows = adapters.simulated_rows(service.source.name, 3) if names else []
    return [
        {"title": titles.get(n, n), "values": "、".join(str(r[n]) for r in rows if r.get(n))}
        for n in names
        if rows and n in rows[0]
    ]


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


def client_keys(viewer: Actor, client: Client) -> list[ClientKey]:
    """Public keys and certificates registered for a credential, newest first."""
    return list(ClientKey.objects.filter(client=client))


def client_key(viewer: Actor, client: Client, number: int) -> ClientKey | None:
    """One of them, by its row's number."""
    return ClientKey.objects.filter(client=client, pk=number).select_related("client").first()


def used_today(viewer: Actor, grants: list[Grant]) -> dict[int, int]:
    """Calls used up today, by grant."""
    rows = Usage.objects.filter(grant__in=grants, day=timezone.localdate())
    return dict(rows.values_list("grant_id", "used"))


__all__ = [
    "client",
    "clients",
    "codes_of",
    "example_of",
    "fields",
    "grants_on",
    "key_of",
    "openapi",
    "preview",
    "sample_keys",
    "service",
    "service_fields",
    "services",
    "siblings",
    "source",
    "sources",
    "used_today",
]
